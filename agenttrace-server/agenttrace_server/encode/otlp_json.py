"""Write spans as OTLP/JSON."""

import base64
import math
from collections.abc import Sequence
from typing import Any

import msgspec

from agenttrace.models import Attributes, RawSpan, SpanEvent, SpanLink
from agenttrace_server.decode.rules import SPAN_KINDS, STATUSES
from agenttrace_server.encode.grouping import by_resource_and_scope


def encode_json(spans: Sequence[RawSpan]) -> bytes:
    """Return an ExportTraceServiceRequest that decodes to equal spans."""
    return msgspec.json.encode(
        {
            "resourceSpans": [
                {
                    "resource": {"attributes": _attributes(first.resource)},
                    "scopeSpans": [
                        {
                            "scope": {
                                "name": scope.name,
                                "version": scope.version,
                                "attributes": _attributes(scope.attributes),
                            },
                            "spans": [_span(span) for span in own],
                            "schemaUrl": scope.schema_url,
                        }
                        for scope, own in scopes
                    ],
                }
                for first, scopes in by_resource_and_scope(spans)
            ]
        }
    )


def _span(span: RawSpan) -> dict[str, Any]:
    written: dict[str, Any] = {
        "traceId": span.trace_id,
        "spanId": span.span_id,
        "name": span.name,
        "kind": _position(SPAN_KINDS, span.span_kind),
        "startTimeUnixNano": str(span.start_ns),
        "endTimeUnixNano": str(span.end_ns),
        "attributes": _attributes(span.attributes),
        "events": [_event(event) for event in span.events],
        "links": [_link(link) for link in span.links],
        "status": {
            "code": _position(STATUSES, span.status),
            "message": span.status_message,
        },
        "flags": span.flags,
    }
    if span.parent_id:
        written["parentSpanId"] = span.parent_id
    if span.trace_state:
        written["traceState"] = span.trace_state
    return written


def _position(names: Sequence[str], name: str) -> int:
    return names.index(name) if name in names else 0


def _event(event: SpanEvent) -> dict[str, Any]:
    return {
        "name": event.name,
        "timeUnixNano": str(event.time_ns),
        "attributes": _attributes(event.attributes),
    }


def _link(link: SpanLink) -> dict[str, Any]:
    return {
        "traceId": link.trace_id,
        "spanId": link.span_id,
        "attributes": _attributes(link.attributes),
        "traceState": link.trace_state,
        "flags": link.flags,
    }


def _attributes(attributes: Attributes) -> list[dict[str, Any]]:
    return [{"key": key, "value": _value(value)} for key, value in attributes.items()]


def _value(value: Any) -> dict[str, Any]:
    if value is None:
        return {}
    if isinstance(value, str):
        return {"stringValue": value}
    if isinstance(value, bool):
        return {"boolValue": value}
    if isinstance(value, int):
        return {"intValue": str(value)}
    if isinstance(value, float):
        return {"doubleValue": value if math.isfinite(value) else _name(value)}
    if isinstance(value, bytes):
        return {"bytesValue": base64.b64encode(value).decode()}
    if isinstance(value, dict):
        return {"kvlistValue": {"values": _attributes(value)}}
    return {"arrayValue": {"values": [_value(item) for item in value]}}


def _name(value: float) -> str:
    if math.isnan(value):
        return "NaN"
    return "Infinity" if value > 0 else "-Infinity"
