"""Read OTLP requests written as protobuf."""

import time
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, InstrumentationScope
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1 import trace_pb2

from agenttrace.errors import InvalidPayload
from agenttrace.models import AttributeValue, RawSpan, Scope, SpanEvent, SpanLink
from agenttrace_server.decode import rules
from agenttrace_server.decode.log_event import LogEvent
from agenttrace_server.decode.rules import BadSpan
from agenttrace_server.rejected import Rejected, rejected

# The generated message classes are typed, but their repeated fields cost mypy more than they give.
_Message = Any

_KINDS = dict(enumerate(rules.SPAN_KINDS))
_STATUSES = dict(enumerate(rules.STATUSES))


def spans(body: bytes) -> tuple[list[RawSpan], list[Rejected]]:
    """Return the spans of an ExportTraceServiceRequest, and those that had to be refused."""
    try:
        request = ExportTraceServiceRequest.FromString(body)
    except DecodeError:
        good, bad = _salvage(body)
    else:
        good, bad = [], []
        for resource_spans in request.resource_spans:
            resource = _attributes_or_empty(resource_spans.resource.attributes)
            for scope_spans in resource_spans.scope_spans:
                scope = _scope(
                    scope_spans.scope, scope_spans.schema_url or resource_spans.schema_url, resource
                )
                _read_all(scope_spans.spans, scope, good, bad)
    if bad and not good and _holds_logs(body):
        raise InvalidPayload(rules.SENT_LOGS)
    return good, bad


def logs(body: bytes) -> tuple[list[LogEvent], list[Rejected]]:
    """Return the events of an ExportLogsServiceRequest, and records that had to be refused."""
    try:
        request = ExportLogsServiceRequest.FromString(body)
    except DecodeError as error:
        if _holds_spans(body):
            raise InvalidPayload(rules.SENT_TRACES) from error
        raise InvalidPayload(f"The body is no OTLP logs request in protobuf: {error}") from error
    good: list[LogEvent] = []
    bad: list[Rejected] = []
    now = time.time_ns()
    for resource_logs in request.resource_logs:
        resource = _attributes_or_empty(resource_logs.resource.attributes)
        for scope_logs in resource_logs.scope_logs:
            scope = _scope(
                scope_logs.scope, scope_logs.schema_url or resource_logs.schema_url, resource
            )
            for record in scope_logs.log_records:
                try:
                    good.append(_log_event(record, scope))
                except BadSpan as error:
                    name = record.event_name or record.severity_text
                    bad.append(rejected(now, error, scope.service_name, name=name))
    if bad and not good and _holds_spans(body):
        raise InvalidPayload(rules.SENT_TRACES)
    return good, bad


def _read_all(messages: _Message, scope: Scope, good: list[RawSpan], bad: list[Rejected]) -> None:
    for message in messages:
        try:
            good.append(_span(message, scope))
        except BadSpan as error:
            bad.append(_refuse(message, scope, error))


def _span(message: _Message, scope: Scope) -> RawSpan:
    parent_id = message.parent_span_id
    span_id = message.span_id.hex()
    trace_id = message.trace_id.hex()
    parent_id = rules.check_ids(trace_id, span_id, parent_id.hex() if parent_id else "")
    start_ns, end_ns = rules.check_times(message.start_time_unix_nano, message.end_time_unix_nano)
    events = message.events
    links = message.links
    status = message.status
    return RawSpan(
        trace_id,
        span_id,
        message.name,
        start_ns,
        end_ns,
        parent_id,
        _KINDS.get(message.kind, "unspecified"),
        _STATUSES.get(status.code, "unset"),
        status.message,
        _attributes(message.attributes),
        tuple([_event(event) for event in events]) if events else (),
        tuple([_link(link) for link in links]) if links else (),
        scope,
        message.trace_state,
        message.flags,
    )


def _attributes(pairs: _Message) -> dict[str, AttributeValue]:
    attributes: dict[str, AttributeValue] = {}
    for pair in pairs:
        value = pair.value
        # Four in five values are text; asking for it first saves a WhichOneof per attribute.
        attributes[pair.key] = value.string_value or _value(value, 0)
    return attributes


def _value(value: AnyValue, depth: int) -> AttributeValue:
    which = value.WhichOneof("value")
    if which is None:
        return None
    if which == "array_value":
        _check_depth(depth)
        return [_value(item, depth + 1) for item in value.array_value.values]
    if which == "kvlist_value":
        _check_depth(depth)
        return {pair.key: _value(pair.value, depth + 1) for pair in value.kvlist_value.values}
    return getattr(value, which)


def _check_depth(depth: int) -> None:
    if depth >= rules.DEEPEST:
        raise BadSpan(f"An attribute value is nested more than {rules.DEEPEST} levels deep")


def _event(event: _Message) -> SpanEvent:
    time_ns = min(event.time_unix_nano, rules.LATEST_NS)
    return SpanEvent(event.name, time_ns, _attributes(event.attributes))


def _link(link: _Message) -> SpanLink:
    return SpanLink(
        link.trace_id.hex(),
        link.span_id.hex(),
        _attributes(link.attributes),
        link.trace_state,
        link.flags,
    )


def _scope(scope: _Message, schema_url: str, resource: dict[str, AttributeValue]) -> Scope:
    attributes = _attributes_or_empty(scope.attributes)
    return Scope(scope.name, scope.version, attributes, schema_url, resource)


def _attributes_or_empty(pairs: _Message) -> dict[str, AttributeValue]:
    """Attributes of a resource or scope; one that cannot be read must not cost all its spans."""
    attributes = {}
    for pair in pairs:
        with suppress(BadSpan):
            attributes[pair.key] = _value(pair.value, 0)
    return attributes


def _log_event(record: _Message, scope: Scope) -> LogEvent:
    try:
        rules.check_ids(record.trace_id.hex(), record.span_id.hex(), "")
    except BadSpan as error:
        raise BadSpan(f"{rules.NO_SPAN_TO_JOIN}: {error}") from error
    attributes = _attributes(record.attributes)
    return LogEvent(
        record.trace_id.hex(),
        record.span_id.hex(),
        record.event_name or str(attributes.get("event.name") or ""),
        min(record.time_unix_nano or record.observed_time_unix_nano, rules.LATEST_NS),
        _value(record.body, 0),
        attributes,
        record.severity_text,
        scope,
    )


def _refuse(message: _Message, scope: Scope, error: BadSpan) -> Rejected:
    return rejected(
        time.time_ns(),
        error,
        scope.service_name,
        message.trace_id.hex(),
        message.span_id.hex(),
        message.name,
    )


def _holds_logs(body: bytes) -> bool:
    try:
        request = ExportLogsServiceRequest.FromString(body)
    except DecodeError:
        return False
    return any(
        record.time_unix_nano or record.observed_time_unix_nano
        for resource_logs in request.resource_logs
        for scope_logs in resource_logs.scope_logs
        for record in scope_logs.log_records
    )


def _holds_spans(body: bytes) -> bool:
    try:
        request = ExportTraceServiceRequest.FromString(body)
    except DecodeError:
        return False
    return any(
        len(span.trace_id) == 16 and len(span.span_id) == 8
        for resource_spans in request.resource_spans
        for scope_spans in resource_spans.scope_spans
        for span in scope_spans.spans
    )


def _salvage(body: bytes) -> tuple[list[RawSpan], list[Rejected]]:
    """Parse span by span what cannot be parsed as a whole, as with one string that is no UTF-8."""
    good: list[RawSpan] = []
    bad: list[Rejected] = []
    reason = "it ends in the middle, or is something else"
    try:
        for scope, data in _span_bytes(memoryview(body)):
            try:
                _read_all([trace_pb2.Span.FromString(data)], scope, good, bad)
            except DecodeError as error:
                reason = str(error)
                text = f"The span cannot be parsed ({reason}); is all its text UTF-8?"
                bad.append(rejected(time.time_ns(), text, scope.service_name))
    except (DecodeError, IndexError) as error:
        raise _malformed(reason) from error
    if not good:
        if _holds_logs(body):
            raise InvalidPayload(rules.SENT_LOGS)
        raise _malformed(reason)
    return good, bad


def _malformed(reason: str) -> InvalidPayload:
    return InvalidPayload(f"The body is no OTLP trace request in protobuf: {reason}")


def _span_bytes(body: memoryview) -> Iterator[tuple[Scope, bytes]]:
    for resource_spans in _submessages(body, 1):
        resource_bytes = b"".join(_submessages(resource_spans, 1))
        resource = _attributes_or_empty(Resource.FromString(resource_bytes).attributes)
        for scope_spans in _submessages(resource_spans, 2):
            scope_bytes = b"".join(_submessages(scope_spans, 1))
            urls = [*_submessages(resource_spans, 3), *_submessages(scope_spans, 3)]
            schema_url = bytes(urls[-1]).decode(errors="replace") if urls else ""
            scope = _scope(InstrumentationScope.FromString(scope_bytes), schema_url, resource)
            for span in _submessages(scope_spans, 2):
                yield scope, bytes(span)


def _submessages(data: memoryview, wanted: int) -> Iterator[memoryview]:
    """Yield the length-delimited fields of one number; raise IndexError where the bytes run out."""
    at = 0
    while at < len(data):
        tag, at = _varint(data, at)
        wire_type = tag & 7
        if wire_type == 2:
            size, at = _varint(data, at)
            if at + size > len(data):
                raise IndexError(at)
            if tag >> 3 == wanted:
                yield data[at : at + size]
            at += size
        elif wire_type == 0:
            _, at = _varint(data, at)
        elif wire_type in (1, 5):
            at += 8 if wire_type == 1 else 4
        else:
            raise DecodeError(f"wire type {wire_type} at byte {at}")


def _varint(data: memoryview, at: int) -> tuple[int, int]:
    number = shift = 0
    while True:
        byte = data[at]
        at += 1
        number |= (byte & 0x7F) << shift
        if byte < 0x80:
            return number, at
        shift += 7
        if shift > 63:
            raise DecodeError("a varint of more than ten bytes")
