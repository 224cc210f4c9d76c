"""Read OTLP requests written as JSON: lowerCamelCase keys, hex ids, 64-bit integers as text."""

import base64
import binascii
import math
import re
import time
from contextlib import suppress
from typing import Any

import msgspec

from agenttrace.models import AttributeValue, RawSpan, Scope, SpanEvent, SpanLink
from agenttrace_server.decode import jaeger_json, json_request, rules
from agenttrace_server.decode.log_event import LogEvent
from agenttrace_server.decode.rules import BadSpan
from agenttrace_server.rejected import Rejected, rejected

_INT64 = range(-(2**63), 2**63)


def spans(body: bytes) -> tuple[list[RawSpan], list[Rejected]]:
    """Return the spans of an ExportTraceServiceRequest, and those that had to be refused.

    Files hold several requests, as an array or one a line; they are read as if sent one by one.
    What Jaeger saves is understood too, because the same file dialog offers it.
    """
    good: list[RawSpan] = []
    bad: list[Rejected] = []
    resources = json_request.traces(body)
    if not resources and b'"data"' in body and (found := jaeger_json.spans(body)) is not None:
        return found
    for resource_items in resources:
        resource = _attributes_or_empty(resource_items.resource)
        for items in resource_items.scope_spans or ():
            scope = _scope(items, resource, resource_items.schema_url)
            for item in items.spans or ():
                try:
                    good.append(_span(json_request.span(item), scope))
                except BadSpan as error:
                    bad.append(_refuse(item, scope, error))
    return good, bad


def logs(body: bytes) -> tuple[list[LogEvent], list[Rejected]]:
    """Return the events of an ExportLogsServiceRequest, and records that had to be refused."""
    good: list[LogEvent] = []
    bad: list[Rejected] = []
    for resource_items in json_request.logs(body):
        resource = _attributes_or_empty(resource_items.resource)
        for items in resource_items.scope_logs or ():
            scope = _scope(items, resource, resource_items.schema_url)
            for item in items.log_records or ():
                try:
                    good.append(_log_event(json_request.record(item), scope))
                except BadSpan as error:
                    bad.append(_refuse(item, scope, error))
    return good, bad


def _span(span: json_request.Span, scope: Scope) -> RawSpan:
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


def _event(event: json_request.Event) -> SpanEvent:
    time_ns = min(max(_integer(event.time_unix_nano), 0), rules.LATEST_NS)
    return SpanEvent(event.name or "", time_ns, _attributes(event.attributes))


def _link(link: json_request.Link) -> SpanLink:
    return SpanLink(
        _id(link.trace_id, 16),
        _id(link.span_id, 8),
        _attributes(link.attributes),
        link.trace_state or "",
        _integer(link.flags) & 0xFFFFFFFF,
    )


def _scope(
    items: json_request.ScopeItems[Any], resource: dict[str, AttributeValue], schema_url: str | None
) -> Scope:
    scope = items.scope or json_request.Scope()
    attributes = _attributes_or_empty(scope)
    schema_url = items.schema_url or schema_url or ""
    return Scope(scope.name or "", scope.version or "", attributes, schema_url, resource)


def _log_event(record: json_request.Record, scope: Scope) -> LogEvent:
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


def _attributes(pairs: list[json_request.Pair] | None) -> dict[str, AttributeValue]:
    if not pairs:
        return {}
    return {pair.key: _value(pair.value, 0) for pair in pairs}


def _attributes_or_empty(
    holder: json_request.Resource | json_request.Scope | None,
) -> dict[str, AttributeValue]:
    """Attributes of a resource or scope; one that cannot be read must not cost all its spans."""
    attributes = {}
    for pair in (holder.attributes if holder else None) or ():
        with suppress(BadSpan):
            attributes[pair.key] = _value(pair.value, 0)
    return attributes


def _value(value: json_request.Value | None, depth: int) -> AttributeValue:
    if value is None:
        return None
    if value.string_value is not None:
        return value.string_value
    if value.int_value is not None:
        return _int64(value.int_value)
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


def _integer(value: json_request.Number) -> int:
    if value is None or value == "":
        return 0
    try:
        number = int(value)
    except (ValueError, OverflowError) as error:
        raise BadSpan(f"{value!r} is no integer") from error
    if isinstance(value, float) and number != value:
        raise BadSpan(f"{value!r} is no integer")
    return number


def _int64(value: json_request.Number) -> int:
    number = _integer(value)
    if number not in _INT64:
        raise BadSpan(f"{number} is no 64-bit integer")
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


def _enum(value: json_request.Enum, prefix: str, names: tuple[str, ...]) -> str:
    if isinstance(value, str):
        name = value.removeprefix(prefix).lower()
        if name in names:
            return name
        # At most two digits: Python refuses to read a number of thousands of them.
        value = int(value) if re.fullmatch("[0-9]{1,2}", value) else 0
    return names[value] if value is not None and 0 <= value < len(names) else names[0]


def _refuse(item: Any, scope: Scope, error: BadSpan) -> Rejected:
    fields: Any = {}
    with suppress(*json_request.DECODE_ERRORS):
        raw = isinstance(item, msgspec.Raw)
        fields = msgspec.json.decode(item) if raw else msgspec.to_builtins(item)
    if not isinstance(fields, dict):
        fields = {}
    return rejected(
        time.time_ns(),
        error,
        scope.service_name,
        str(fields.get("traceId") or ""),
        str(fields.get("spanId") or ""),
        str(fields.get("name") or fields.get("eventName") or ""),
    )
