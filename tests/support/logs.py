"""Log events that reach the server after the spans they belong to."""

import json
from typing import Any

import msgspec

from agenttrace.models import Trace
from agenttrace.normalize import normalize
from agenttrace.plugins import load_plugins
from agenttrace.testing import derive
from agenttrace_server.decode import JSON, decode_logs


def joined(trace: Trace, name: str, *events: tuple[str, dict[str, Any]]) -> Trace:
    """Return the trace with log events, each (name, body), joined to the span called `name`."""
    [span] = [each for each in trace.spans if each.name == name]
    records = [
        {
            "traceId": span.trace_id,
            "spanId": span.span_id,
            "timeUnixNano": str(span.start_ns + at),
            "eventName": event,
            "body": _any_value(body),
        }
        for at, (event, body) in enumerate(events)
    ]
    request = {"resourceLogs": [{"scopeLogs": [{"logRecords": records}]}]}
    found = decode_logs(json.dumps(request).encode(), JSON).events
    with_events = msgspec.structs.replace(span, events=tuple(e.span_event for e in found))
    raws = [with_events if each is span else each for each in trace.spans]
    plugins = load_plugins()
    return derive(normalize(raws, plugins), plugins)


def _any_value(value: Any) -> dict[str, Any]:
    if isinstance(value, dict):
        pairs = [{"key": key, "value": _any_value(item)} for key, item in value.items()]
        return {"kvlistValue": {"values": pairs}}
    if isinstance(value, int):
        return {"intValue": str(value)}
    return {"stringValue": str(value)}
