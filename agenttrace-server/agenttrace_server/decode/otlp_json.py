"""Read OTLP requests written as JSON: lowerCamelCase keys, hex ids, 64-bit integers as text."""

import base64
import binascii
import math
import time
from collections.abc import Iterator
from typing import Any, Generic, TypeVar

import msgspec
from msgspec import Raw, Struct

from agenttrace.errors import InvalidPayload
from agenttrace.models import AttributeValue, RawSpan, Scope, SpanEvent, SpanLink
from agenttrace_server.decode import rules
from agenttrace_server.decode.log_event import LogEvent
from agenttrace_server.decode.rules import BadSpan
from agenttrace_server.rejected import Rejected

T = TypeVar("T")
Number = int | float | str | None
Enum = int | str | None

_INT64 = range(-(2**63), 2**63)


class _Values(Struct):
    values: "list[_Any | None] | None" = None


class _Pairs(Struct):
    values: "list[_Pair] | None" = None


class _Any(Struct, rename="camel"):
    string_value: str | None = None
    bool_value: bool | None = None
    int_value: Number = None
    double_value: Number = None
    array_value: _Values | None = None
    kvlist_value: _Pairs | None = None
    bytes_value: str | None = None


class _Pair(Struct):
    key: str = ""
    value: _Any | None = None


class _Event(Struct, rename="camel"):
    name: str | None = None
    time_unix_nano: Number = None
    attributes: list[_Pair] | None = None


class _Link(Struct, rename="camel"):
    trace_id: str | None = None
    span_id: str | None = None
    attributes: list[_Pair] | None = None
    trace_state: str | None = None
    flags: Number = None


class _Status(Struct):
    code: Enum = None
    message: str | None = None


class _Span(Struct, rename="camel"):
    trace_id: str | None = None
    span_id: str | None = None
    parent_span_id: str | None = None
    name: str | None = None
    kind: Enum = None
    start_time_unix_nano: Number = None
    end_time_unix_nano: Number = None
    attributes: list[_Pair] | None = None
    events: list[_Event] | None = None
    links: list[_Link] | None = None
    status: _Status | None = None
    trace_state: str | None = None
    flags: Number = None


class _Record(Struct, rename="camel"):
    trace_id: str | None = None
    span_id: str | None = None
    event_name: str | None = None
    time_unix_nano: Number = None
    observed_time_unix_nano: Number = None
    severity_text: str | None = None
    body: _Any | None = None
    attributes: list[_Pair] | None = None


class _Resource(Struct):
    attributes: list[_Pair] | None = None


class _Scope(Struct):
    name: str | None = None
    version: str | None = None
    attributes: list[_Pair] | None = None


class _ScopeItems(Struct, Generic[T], rename="camel"):
    scope: _Scope | None = None
    schema_url: str | None = None
    spans: list[T] | None = None
    log_records: list[T] | None = None


class _ResourceItems(Struct, Generic[T], rename="camel"):
    resource: _Resource | None = None
    scope_spans: list[_ScopeItems[T]] | None = None
    scope_logs: list[_ScopeItems[T]] | None = None


class _Request(Struct, Generic[T], rename="camel"):
    resource_spans: list[_ResourceItems[T]] | None = None
    resource_logs: list[_ResourceItems[T]] | None = None


class _Keys(Struct):
    """The request's keys alone, to tell what was sent to the wrong place."""

    resourceSpans: Raw = Raw()
    resourceLogs: Raw = Raw()
    resourceMetrics: Raw = Raw()
    resource_spans: Raw = Raw()
    resource_logs: Raw = Raw()
    data: Raw = Raw()


_spans_at_once = msgspec.json.Decoder(_Request[_Span] | list[_Request[_Span]])
_records_at_once = msgspec.json.Decoder(_Request[_Record] | list[_Request[_Record]])
_one_by_one = msgspec.json.Decoder(_Request[Raw] | list[_Request[Raw]])
_span_decoder = msgspec.json.Decoder(_Span)
_record_decoder = msgspec.json.Decoder(_Record)
_keys_decoder = msgspec.json.Decoder(_Keys | list[_Keys])

BOM = b"\xef\xbb\xbf"

# What msgspec raises on bytes that are no JSON, or JSON that is too deep.
DECODE_ERRORS = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


def spans(body: bytes) -> tuple[list[RawSpan], list[Rejected]]:
    """Return the spans of an ExportTraceServiceRequest, and those that had to be refused.

    Files hold several requests, as an array or one a line; they are read as if sent one by one.
    """
    good: list[RawSpan] = []
    bad: list[Rejected] = []
    requests = _parse(body, _spans_at_once, "trace")
    if not any(request.resource_spans for request in requests):
        _check_keys(body, wanted="resourceSpans")
    for resource_items in _each(requests, "resource_spans"):
        resource = _attributes_or_empty(resource_items.resource)
        for items in resource_items.scope_spans or ():
            scope = _scope(items, resource)
            for item in items.spans or ():
                try:
                    good.append(_span(_typed(item, _span_decoder), scope))
                except BadSpan as error:
                    bad.append(_refuse(item, scope, error))
    return good, bad


def logs(body: bytes) -> tuple[list[LogEvent], list[Rejected]]:
    """Return the events of an ExportLogsServiceRequest, and records that had to be refused."""
    good: list[LogEvent] = []
    bad: list[Rejected] = []
    requests = _parse(body, _records_at_once, "logs")
    if not any(request.resource_logs for request in requests):
        _check_keys(body, wanted="resourceLogs")
    for resource_items in _each(requests, "resource_logs"):
        resource = _attributes_or_empty(resource_items.resource)
        for items in resource_items.scope_logs or ():
            scope = _scope(items, resource)
            for item in items.log_records or ():
                try:
                    good.append(_log_event(_typed(item, _record_decoder), scope))
                except BadSpan as error:
                    bad.append(_refuse(item, scope, error))
    return good, bad


def _each(requests: list[_Request[Any]], field: str) -> Iterator[_ResourceItems[Any]]:
    for request in requests:
        yield from getattr(request, field) or ()


def _parse(body: bytes, at_once: msgspec.json.Decoder[Any], what: str) -> list[_Request[Any]]:
    """Parse all in one go; where that fails, with each span left raw, to find the ones to blame."""
    body = body.removeprefix(BOM)
    try:
        return _as_list(at_once.decode(body))
    except DECODE_ERRORS:
        pass
    try:
        return _as_list(_one_by_one.decode(body))
    except DECODE_ERRORS as error:
        if b"}\n{" in body or b"}\r\n{" in body:
            return [request for line in body.splitlines() for request in _line(line, at_once, what)]
        raise InvalidPayload(f"The body is no OTLP {what} request in JSON: {error}") from error


def _line(line: bytes, at_once: msgspec.json.Decoder[Any], what: str) -> list[_Request[Any]]:
    return _parse(line, at_once, what) if line.strip() else []


def _as_list(parsed: Any) -> list[_Request[Any]]:
    return parsed if isinstance(parsed, list) else [parsed]


def _check_keys(body: bytes, wanted: str) -> None:
    """Say what is wrong with a request that holds nothing of what was wanted, if anything is."""
    try:
        keys = _keys_decoder.decode(body.removeprefix(BOM))
    except DECODE_ERRORS:
        return
    for each in keys if isinstance(keys, list) else [keys]:
        if each.resourceMetrics:
            raise InvalidPayload(rules.SENT_METRICS)
        if wanted == "resourceSpans" and each.resourceLogs:
            raise InvalidPayload(rules.SENT_LOGS)
        if wanted == "resourceLogs" and each.resourceSpans:
            raise InvalidPayload(rules.SENT_TRACES)
        if each.resource_spans or each.resource_logs:
            raise InvalidPayload(f"Keys of OTLP/JSON are lowerCamelCase: write {wanted}")


def _typed(item: Any, decoder: msgspec.json.Decoder[Any]) -> Any:
    if not isinstance(item, Raw):
        return item
    try:
        return decoder.decode(item)
    except DECODE_ERRORS as error:
        raise BadSpan(str(error)) from error


def _span(span: _Span, scope: Scope) -> RawSpan:
    trace_id = _id(span.trace_id, 16)
    span_id = _id(span.span_id, 8)
    parent_id = rules.check_ids(trace_id, span_id, _id(span.parent_span_id, 8))
    start_ns, end_ns = rules.check_times(
        _integer(span.start_time_unix_nano), _integer(span.end_time_unix_nano)
    )
    status = span.status
    code = _enum(status.code, "STATUS_CODE_", rules.STATUSES) if status else "unset"
    return RawSpan(
        trace_id,
        span_id,
        span.name or "",
        start_ns,
        end_ns,
        parent_id,
        _enum(span.kind, "SPAN_KIND_", rules.SPAN_KINDS),
        code,  # type: ignore[arg-type]
        (status.message or "") if status else "",
        _attributes(span.attributes),
        tuple([_event(event) for event in span.events]) if span.events else (),
        tuple([_link(link) for link in span.links]) if span.links else (),
        scope,
        span.trace_state or "",
        _integer(span.flags) & 0xFFFFFFFF,
    )


def _event(event: _Event) -> SpanEvent:
    time_ns = min(max(_integer(event.time_unix_nano), 0), rules.LATEST_NS)
    return SpanEvent(event.name or "", time_ns, _attributes(event.attributes))


def _link(link: _Link) -> SpanLink:
    return SpanLink(
        _id(link.trace_id, 16),
        _id(link.span_id, 8),
        _attributes(link.attributes),
        link.trace_state or "",
        _integer(link.flags) & 0xFFFFFFFF,
    )


def _scope(items: _ScopeItems[Any], resource: dict[str, AttributeValue]) -> Scope:
    scope = items.scope or _Scope()
    attributes = _attributes_or_empty(scope)
    return Scope(
        scope.name or "", scope.version or "", attributes, items.schema_url or "", resource
    )


def _log_event(record: _Record, scope: Scope) -> LogEvent:
    trace_id = _id(record.trace_id, 16)
    span_id = _id(record.span_id, 8)
    try:
        rules.check_ids(trace_id, span_id, "")
    except BadSpan as error:
        raise BadSpan(f"{rules.NO_SPAN_TO_JOIN}: {error}") from error
    attributes = _attributes(record.attributes)
    time_ns = _integer(record.time_unix_nano) or _integer(record.observed_time_unix_nano)
    return LogEvent(
        trace_id,
        span_id,
        record.event_name or str(attributes.get("event.name") or ""),
        min(max(time_ns, 0), rules.LATEST_NS),
        _value(record.body, 0),
        attributes,
        record.severity_text or "",
        scope,
    )


def _attributes(pairs: list[_Pair] | None) -> dict[str, AttributeValue]:
    if not pairs:
        return {}
    return {pair.key: _value(pair.value, 0) for pair in pairs}


def _attributes_or_empty(holder: _Resource | _Scope | None) -> dict[str, AttributeValue]:
    """Attributes of a resource or scope; one that cannot be read must not cost all its spans."""
    try:
        return _attributes(holder.attributes) if holder else {}
    except BadSpan:
        return {}


def _value(value: _Any | None, depth: int) -> AttributeValue:
    if value is None:
        return None
    if value.string_value is not None:
        return value.string_value
    if value.int_value is not None:
        return _integer(value.int_value)
    if value.bool_value is not None:
        return value.bool_value
    if value.double_value is not None:
        return _double(value.double_value)
    if value.bytes_value is not None:
        return _bytes(value.bytes_value)
    if depth >= rules.DEEPEST and (value.array_value or value.kvlist_value):
        raise BadSpan(f"An attribute value is nested more than {rules.DEEPEST} levels deep")
    if value.array_value is not None:
        return [_value(item, depth + 1) for item in value.array_value.values or ()]
    if value.kvlist_value is not None:
        pairs = value.kvlist_value.values or ()
        return {pair.key: _value(pair.value, depth + 1) for pair in pairs}
    return None


def _integer(value: Number) -> int:
    if value is None or value == "":
        return 0
    try:
        number = int(value)
    except (ValueError, OverflowError) as error:
        raise BadSpan(f"{value!r} is no integer") from error
    if isinstance(value, float) and number != value:
        raise BadSpan(f"{value!r} is no integer")
    return number


def _double(value: int | float | str) -> float:
    try:
        return float(value)
    except (ValueError, OverflowError) as error:
        raise BadSpan(f"{value!r} is no number") from error


def _bytes(text: str) -> bytes:
    try:
        padded = text.rstrip("=") + "=" * (-len(text.rstrip("=")) % 4)
        return base64.b64decode(padded.replace("-", "+").replace("_", "/"), validate=True)
    except (binascii.Error, ValueError) as error:
        raise BadSpan(f"bytesValue is no base64: {text[:64]!r}") from error


def _id(text: str | None, size: int) -> str:
    """Return an id as lower-case hex; base64, which some JSON writers send, is understood too."""
    if not text:
        return ""
    try:
        return bytes.fromhex(text).hex()
    except ValueError as error:
        if len(text) == math.ceil(size / 3) * 4:
            return _bytes(text).hex()
        raise BadSpan(f"{text[:64]!r} is no hex id") from error


def _enum(value: Enum, prefix: str, names: tuple[str, ...]) -> str:
    if isinstance(value, str):
        name = value.removeprefix(prefix).lower()
        if name in names:
            return name
        value = int(value) if value.isascii() and value.isdigit() else 0
    return names[value] if value is not None and 0 <= value < len(names) else names[0]


def _refuse(item: Any, scope: Scope, error: BadSpan) -> Rejected:
    fields: dict[str, Any] = {}
    try:
        fields = msgspec.to_builtins(item) if isinstance(item, Struct) else {}
        if isinstance(item, Raw):
            fields = msgspec.json.decode(item)
    except DECODE_ERRORS:
        pass
    if not isinstance(fields, dict):
        fields = {}
    return rules.rejected(
        time.time_ns(),
        error,
        scope.service_name,
        str(fields.get("traceId") or ""),
        str(fields.get("spanId") or ""),
        str(fields.get("name") or fields.get("eventName") or ""),
    )
