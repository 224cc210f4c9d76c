"""Write spans as Zipkin's JSON, version 2; times lose their nanoseconds, every tag is text."""

from collections.abc import Sequence
from typing import Any

import msgspec

from agenttrace.models import Attributes, RawSpan
from agenttrace_server import values

_KINDS = {"client": "CLIENT", "server": "SERVER", "producer": "PRODUCER", "consumer": "CONSUMER"}


def encode_zipkin(spans: Sequence[RawSpan]) -> bytes:
    """Return the spans as a list, with the tags that OpenTelemetry specifies for Zipkin."""
    return msgspec.json.encode([_span(span) for span in spans])


def _span(span: RawSpan) -> dict[str, Any]:
    written: dict[str, Any] = {
        "traceId": span.trace_id,
        "id": span.span_id,
        "name": span.name,
        "timestamp": span.start_ns // 1000,
        "duration": max(1, span.duration_ns // 1000),
        "localEndpoint": {"serviceName": span.scope.service_name},
        "tags": _tags(span),
    }
    if span.parent_id:
        written["parentId"] = span.parent_id
    if span.span_kind in _KINDS:
        written["kind"] = _KINDS[span.span_kind]
    if span.events:
        written["annotations"] = [
            {"timestamp": event.time_ns // 1000, "value": _annotation(event.name, event.attributes)}
            for event in span.events
        ]
    return written


def _annotation(name: str, attributes: Attributes) -> str:
    return f"{values.dumps(name)}: {values.dumps(dict(attributes))}" if attributes else name


def _tags(span: RawSpan) -> dict[str, str]:
    said = {
        **{key: value for key, value in span.scope.resource.items() if key != "service.name"},
        "otel.scope.name": span.scope.name or None,
        "otel.scope.version": span.scope.version or None,
        **span.attributes,
        "otel.status_code": None if span.status == "unset" else span.status.upper(),
        "error": span.status_message if span.status == "error" else None,
    }
    return {
        key: value if isinstance(value, str) else values.dumps(value)
        for key, value in said.items()
        if value is not None
    }
