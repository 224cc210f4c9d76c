"""Parse OTLP/JSON into loose shapes: every field optional, null allowed, numbers as text or not."""

import json
from typing import Any, Generic, TypeAlias, TypeVar

import msgspec
from msgspec import Raw, Struct

from agenttrace.errors import InvalidPayload
from agenttrace_server.decode import rules
from agenttrace_server.decode.rules import BadSpan

T = TypeVar("T")
Number: TypeAlias = int | float | str | None
Enum: TypeAlias = int | str | None


class Values(Struct):
    """The elements of an array."""

    values: "list[Value | None] | None" = None


class Pairs(Struct):
    """The entries of a map."""

    values: "list[Pair] | None" = None


class Value(Struct, rename="camel"):
    """An AnyValue."""

    string_value: str | None = None
    bool_value: bool | None = None
    int_value: Number = None
    double_value: Number = None
    array_value: Values | None = None
    kvlist_value: Pairs | None = None
    bytes_value: str | None = None


class Pair(Struct):
    """A KeyValue."""

    key: str = ""
    value: Value | None = None


class Event(Struct, rename="camel"):
    """A span event."""

    name: str | None = None
    time_unix_nano: Number = None
    attributes: list[Pair] | None = None


class Link(Struct, rename="camel"):
    """A span link."""

    trace_id: str | None = None
    span_id: str | None = None
    attributes: list[Pair] | None = None
    trace_state: str | None = None
    flags: Number = None


class Status(Struct):
    """A span's status."""

    code: Enum = None
    message: str | None = None


class Span(Struct, rename="camel"):
    """A span."""

    trace_id: str | None = None
    span_id: str | None = None
    parent_span_id: str | None = None
    name: str | None = None
    kind: Enum = None
    start_time_unix_nano: Number = None
    end_time_unix_nano: Number = None
    attributes: list[Pair] | None = None
    events: list[Event] | None = None
    links: list[Link] | None = None
    status: Status | None = None
    trace_state: str | None = None
    flags: Number = None


class Record(Struct, rename="camel"):
    """A log record."""

    trace_id: str | None = None
    span_id: str | None = None
    event_name: str | None = None
    time_unix_nano: Number = None
    observed_time_unix_nano: Number = None
    severity_text: str | None = None
    body: Value | None = None
    attributes: list[Pair] | None = None


class Resource(Struct):
    """A resource."""

    attributes: list[Pair] | None = None


class Scope(Struct):
    """An instrumentation scope."""

    name: str | None = None
    version: str | None = None
    attributes: list[Pair] | None = None


class ScopeItems(Struct, Generic[T], rename="camel"):
    """A scope's spans or log records."""

    scope: Scope | None = None
    schema_url: str | None = None
    spans: list[T] | None = None
    log_records: list[T] | None = None


class ResourceItems(Struct, Generic[T], rename="camel"):
    """A resource's scopes."""

    resource: Resource | None = None
    schema_url: str | None = None
    scope_spans: list[ScopeItems[T]] | None = None
    scope_logs: list[ScopeItems[T]] | None = None


class Request(Struct, Generic[T], rename="camel"):
    """An ExportTraceServiceRequest or ExportLogsServiceRequest."""

    resource_spans: list[ResourceItems[T]] | None = None
    resource_logs: list[ResourceItems[T]] | None = None


class _Keys(Struct):
    """The request's keys alone, to tell what was sent to the wrong place."""

    resourceSpans: Raw = Raw()
    resourceLogs: Raw = Raw()
    resourceMetrics: Raw = Raw()
    resource_spans: Raw = Raw()
    resource_logs: Raw = Raw()
    data: Raw = Raw()


_spans_at_once = msgspec.json.Decoder(Request[Span] | list[Request[Span]])
_records_at_once = msgspec.json.Decoder(Request[Record] | list[Request[Record]])
_one_by_one = msgspec.json.Decoder(Request[Raw] | list[Request[Raw]])
_span_decoder = msgspec.json.Decoder(Span)
_record_decoder = msgspec.json.Decoder(Record)
_keys_decoder = msgspec.json.Decoder(_Keys | list[_Keys])

_BOM = b"\xef\xbb\xbf"

# What msgspec raises on bytes that are no JSON, or JSON that is too deep.
DECODE_ERRORS = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


def traces(body: bytes) -> list[ResourceItems[Any]]:
    """Return the resources of one or several trace requests; their spans are `Span` or `Raw`."""
    body = body.removeprefix(_BOM)
    requests = _parse(body, _spans_at_once, "trace")
    resources = [each for request in requests for each in request.resource_spans or ()]
    if not resources:
        _check_keys(body, wanted="resourceSpans")
    return resources


def logs(body: bytes) -> list[ResourceItems[Any]]:
    """Return the resources of one or several logs requests; their records are `Record` or `Raw`."""
    body = body.removeprefix(_BOM)
    requests = _parse(body, _records_at_once, "logs")
    resources = [each for request in requests for each in request.resource_logs or ()]
    if not resources:
        _check_keys(body, wanted="resourceLogs")
    return resources


def span(item: Span | Raw) -> Span:
    """Return a span that may have been left raw; raises `BadSpan` saying which field is wrong."""
    return _typed(item, _span_decoder) if isinstance(item, Raw) else item


def record(item: Record | Raw) -> Record:
    """Return a log record that may have been left raw; raises `BadSpan`."""
    return _typed(item, _record_decoder) if isinstance(item, Raw) else item


def _typed(item: Raw, decoder: msgspec.json.Decoder[T]) -> T:
    try:
        return decoder.decode(item)
    except DECODE_ERRORS as error:
        raise BadSpan(str(error)) from error


def _parse(body: bytes, at_once: msgspec.json.Decoder[Any], what: str) -> list[Request[Any]]:
    """Parse all in one go; where that fails, with each span left raw, to find the ones to blame."""
    for decoder in (at_once, _one_by_one):
        try:
            return _as_list(decoder.decode(body))
        except DECODE_ERRORS as caught:
            error = caught
    if b"}\n{" in body or b"}\r\n{" in body:
        lines = [line for line in body.splitlines() if line.strip()]
        return [request for line in lines for request in _parse(line, at_once, what)]
    try:
        return _as_list(_one_by_one.decode(_mended(body)))
    except (*DECODE_ERRORS, ValueError):
        raise InvalidPayload(f"The body is no OTLP {what} request in JSON: {error}") from error


def _as_list(parsed: Any) -> list[Request[Any]]:
    return parsed if isinstance(parsed, list) else [parsed]


def _mended(body: bytes) -> bytes:
    """Return JSON without what other writers let through: bare NaN, half an emoji in cut text."""
    text = json.dumps(json.loads(body, parse_constant=str), ensure_ascii=False)
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace").encode()


def _check_keys(body: bytes, wanted: str) -> None:
    """Say what is wrong with a request that holds nothing of what was wanted, if anything is."""
    try:
        keys = _keys_decoder.decode(body)
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
