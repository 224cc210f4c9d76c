"""Write spans as the JSON that Jaeger's UI and query API use; times lose their nanoseconds."""

import base64
from collections.abc import Sequence
from typing import Any

import msgspec

from agenttrace.models import Attributes, RawSpan
from agenttrace_server import values


def encode_jaeger(spans: Sequence[RawSpan]) -> bytes:
    """Return one entry of `data` per trace; arrays and maps become JSON text: Jaeger has none."""
    by_trace: dict[str, list[RawSpan]] = {}
    for span in spans:
        by_trace.setdefault(span.trace_id, []).append(span)
    data = [_trace(trace_id, own) for trace_id, own in by_trace.items()]
    return msgspec.json.encode({"data": data, "total": 0, "limit": 0, "offset": 0, "errors": None})


def _trace(trace_id: str, spans: list[RawSpan]) -> dict[str, Any]:
    processes: dict[str, str] = {}
    written: dict[str, Any] = {}
    found = []
    for span in spans:
        resource = dict(span.scope.resource)
        key = values.dumps(resource)
        if key not in processes:
            processes[key] = f"p{len(processes) + 1}"
            service = str(resource.pop("service.name", "") or "unknown_service")
            written[processes[key]] = {"serviceName": service, "tags": _tags(resource)}
        found.append(_span(span, processes[key]))
    return {"traceID": trace_id, "spans": found, "processes": written, "warnings": None}


def _span(span: RawSpan, process: str) -> dict[str, Any]:
    references = [("CHILD_OF", span.trace_id, span.parent_id)] if span.parent_id else []
    references += [("FOLLOWS_FROM", link.trace_id, link.span_id) for link in span.links]
    start_us = span.start_ns // 1000
    return {
        "traceID": span.trace_id,
        "spanID": span.span_id,
        "operationName": span.name,
        "references": [
            {"refType": kind, "traceID": trace_id, "spanID": span_id}
            for kind, trace_id, span_id in references
        ],
        "startTime": start_us,
        "duration": span.duration_ns // 1000,
        "tags": _tags(_all_tags(span)),
        "logs": [
            {
                "timestamp": event.time_ns // 1000,
                "fields": _tags({"event": event.name, **event.attributes}),
            }
            for event in span.events
        ],
        "processID": process,
        "warnings": None,
    }


def _all_tags(span: RawSpan) -> dict[str, Any]:
    tags: dict[str, Any] = {}
    if span.scope.name:
        tags["otel.scope.name"] = span.scope.name
    if span.scope.version:
        tags["otel.scope.version"] = span.scope.version
    tags |= span.attributes
    if span.span_kind != "unspecified":
        tags["span.kind"] = span.span_kind
    if span.status != "unset":
        tags["otel.status_code"] = span.status.upper()
    if span.status == "error":
        tags["error"] = True
    if span.status_message:
        tags["otel.status_description"] = span.status_message
    if span.trace_state:
        tags["w3c.tracestate"] = span.trace_state
    return tags


def _tags(attributes: Attributes) -> list[dict[str, Any]]:
    return [_tag(key, value) for key, value in attributes.items()]


def _tag(key: str, value: Any) -> dict[str, Any]:
    if isinstance(value, str):
        return {"key": key, "type": "string", "value": value}
    if isinstance(value, bool):
        return {"key": key, "type": "bool", "value": value}
    if isinstance(value, int):
        return {"key": key, "type": "int64", "value": value}
    if isinstance(value, float) and abs(value) < float("inf"):
        return {"key": key, "type": "float64", "value": value}
    if isinstance(value, bytes):
        return {"key": key, "type": "binary", "value": base64.b64encode(value).decode()}
    return {"key": key, "type": "string", "value": "" if value is None else values.dumps(value)}
