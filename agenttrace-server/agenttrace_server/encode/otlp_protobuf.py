"""Write spans as OTLP protobuf."""

from collections.abc import Sequence
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from agenttrace.models import Attributes, RawSpan
from agenttrace_server.decode.rules import SPAN_KINDS, STATUSES
from agenttrace_server.encode.grouping import by_resource_and_scope

# Repeated fields of the generated classes cost mypy more than they give.
_Message = Any


def encode_protobuf(spans: Sequence[RawSpan]) -> bytes:
    """Return an ExportTraceServiceRequest that decodes to equal spans."""
    request: _Message = ExportTraceServiceRequest()
    for first, scopes in by_resource_and_scope(spans):
        resource_spans = request.resource_spans.add()
        _add(resource_spans.resource.attributes, first.resource)
        for scope, own in scopes:
            scope_spans = resource_spans.scope_spans.add()
            scope_spans.schema_url = scope.schema_url
            scope_spans.scope.name = scope.name
            scope_spans.scope.version = scope.version
            _add(scope_spans.scope.attributes, scope.attributes)
            for span in own:
                _write(scope_spans.spans.add(), span)
    written: bytes = request.SerializeToString()
    return written


def _write(message: _Message, span: RawSpan) -> None:
    message.trace_id = bytes.fromhex(span.trace_id)
    message.span_id = bytes.fromhex(span.span_id)
    message.parent_span_id = bytes.fromhex(span.parent_id or "")
    message.name = span.name
    message.kind = SPAN_KINDS.index(span.span_kind) if span.span_kind in SPAN_KINDS else 0
    message.start_time_unix_nano = span.start_ns
    message.end_time_unix_nano = span.end_ns
    message.status.code = STATUSES.index(span.status)
    message.status.message = span.status_message
    message.trace_state = span.trace_state
    message.flags = span.flags
    _add(message.attributes, span.attributes)
    for event in span.events:
        written = message.events.add(name=event.name, time_unix_nano=event.time_ns)
        _add(written.attributes, event.attributes)
    for link in span.links:
        written = message.links.add(
            trace_id=bytes.fromhex(link.trace_id),
            span_id=bytes.fromhex(link.span_id),
            trace_state=link.trace_state,
            flags=link.flags,
        )
        _add(written.attributes, link.attributes)


def _add(pairs: _Message, attributes: Attributes) -> None:
    for key, value in attributes.items():
        _set(pairs.add(key=key).value, value)


def _set(message: _Message, value: Any) -> None:
    if value is None:
        return
    if isinstance(value, str):
        message.string_value = value
    elif isinstance(value, bool):
        message.bool_value = value
    elif isinstance(value, int):
        message.int_value = value
    elif isinstance(value, float):
        message.double_value = value
    elif isinstance(value, bytes):
        message.bytes_value = value
    elif isinstance(value, dict):
        message.kvlist_value.SetInParent()
        _add(message.kvlist_value.values, value)
    else:
        message.array_value.SetInParent()
        for item in value:
            _set(message.array_value.values.add(), item)
