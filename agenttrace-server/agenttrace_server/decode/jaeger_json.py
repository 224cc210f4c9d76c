"""Read traces saved from Jaeger's UI or query API."""

import base64
import binascii
import re
import time
from typing import Any, TypeAlias

import msgspec

from agenttrace.models import AttributeValue, RawSpan, Scope, SpanEvent, SpanLink, SpanStatus
from agenttrace_server.decode import rules
from agenttrace_server.decode.rules import BadSpan
from agenttrace_server.rejected import Rejected, rejected

# Nineteen digits may exceed 64 bits; nobody counts that far.
_INT64 = re.compile(r"-?[0-9]{1,18}")

Microseconds: TypeAlias = int | float


class _Tag(msgspec.Struct):
    key: str
    value: Any = None
    type: str = "string"


class _Reference(msgspec.Struct, rename={"kind": "refType", "trace_id": "traceID"}):
    trace_id: str = ""
    spanID: str = ""
    kind: str = "CHILD_OF"


class _Log(msgspec.Struct):
    timestamp: Microseconds = 0
    fields: list[_Tag] | None = None


class _Process(msgspec.Struct):
    serviceName: str = ""
    tags: list[_Tag] | None = None


class _Span(msgspec.Struct):
    traceID: str = ""
    spanID: str = ""
    operationName: str = ""
    references: list[_Reference] | None = None
    startTime: Microseconds = 0
    duration: Microseconds = 0
    tags: list[_Tag] | None = None
    logs: list[_Log] | None = None
    processID: str = ""


class _Trace(msgspec.Struct):
    spans: list[msgspec.Raw] | None = None
    processes: dict[str, _Process] | None = None


class _File(msgspec.Struct):
    data: list[_Trace]


_file_decoder = msgspec.json.Decoder(_File)
_span_decoder = msgspec.json.Decoder(_Span)


def spans(body: bytes) -> tuple[list[RawSpan], list[Rejected]] | None:
    """Return the spans of a Jaeger file and those refused, or None where it is no such file."""
    try:
        file = _file_decoder.decode(body)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return None
    good: list[RawSpan] = []
    bad: list[Rejected] = []
    for trace in file.data:
        scopes: dict[tuple[str, str, str], Scope] = {}
        processes = trace.processes or {}
        for item in trace.spans or ():
            try:
                good.append(_span(_span_decoder.decode(item), processes, scopes))
            except (BadSpan, msgspec.DecodeError, UnicodeError, RecursionError) as error:
                bad.append(rejected(time.time_ns(), error, ""))
    return good, bad


def _span(
    span: _Span, processes: dict[str, _Process], scopes: dict[tuple[str, str, str], Scope]
) -> RawSpan:
    trace_id, span_id = _id(span.traceID, 32), _id(span.spanID, 16)
    references = span.references or []
    parents = [r for r in references if r.kind == "CHILD_OF" and r.trace_id == span.traceID]
    parent_id = _id(parents[0].spanID, 16) if parents else ""
    start_ns, duration_ns = int(span.startTime) * 1000, int(span.duration) * 1000
    tags = _attributes(span.tags)
    status, message = _status(tags)
    kind = str(tags.pop("span.kind", "")).lower()
    return RawSpan(
        trace_id,
        span_id,
        span.operationName,
        *rules.check_times(start_ns, start_ns + duration_ns),
        rules.check_ids(trace_id, span_id, parent_id),
        kind if kind in rules.SPAN_KINDS else "unspecified",
        status,
        message,
        tags,
        tuple(_event(log) for log in span.logs or ()),
        tuple(
            SpanLink(_id(r.trace_id, 32), _id(r.spanID, 16))
            for r in references
            if r not in parents[:1]
        ),
        _scope(span, tags, processes, scopes),
        str(tags.pop("w3c.tracestate", "")),
    )


def _id(text: str, digits: int) -> str:
    """Return an id in full: Jaeger writes 64-bit trace ids short, OpenTelemetry always 128 bits."""
    try:
        return bytes.fromhex(text.zfill(digits)).hex()
    except ValueError as error:
        raise BadSpan(f"{text[:64]!r} is no hex id") from error


def _scope(
    span: _Span,
    tags: dict[str, AttributeValue],
    processes: dict[str, _Process],
    scopes: dict[tuple[str, str, str], Scope],
) -> Scope:
    name = str(tags.pop("otel.scope.name", "") or tags.pop("otel.library.name", ""))
    version = str(tags.pop("otel.scope.version", "") or tags.pop("otel.library.version", ""))
    key = (span.processID, name, version)
    if key not in scopes:
        process = processes.get(span.processID) or _Process()
        resource = {**_attributes(process.tags)}
        if process.serviceName:
            resource["service.name"] = process.serviceName
        scopes[key] = Scope(name, version, resource=resource)
    return scopes[key]


def _status(tags: dict[str, AttributeValue]) -> tuple[SpanStatus, str]:
    code = str(tags.pop("otel.status_code", "")).lower()
    message = str(tags.pop("otel.status_description", ""))
    if tags.get("error") is True:
        tags.pop("error")
        code = code or "error"
    return ("ok" if code == "ok" else "error" if code == "error" else "unset"), message


def _event(log: _Log) -> SpanEvent:
    fields = _attributes(log.fields)
    name = str(fields.pop("event", "") or "log")
    return SpanEvent(name, int(log.timestamp) * 1000, fields)


def _attributes(tags: list[_Tag] | None) -> dict[str, AttributeValue]:
    return {tag.key: _value(tag) for tag in tags or ()}


def _value(tag: _Tag) -> AttributeValue:
    if tag.type == "binary" and isinstance(tag.value, str):
        try:
            return base64.b64decode(tag.value, validate=True)
        except (binascii.Error, ValueError):
            return tag.value
    if tag.type == "float64" and isinstance(tag.value, int):
        return float(tag.value)
    if tag.type == "int64" and isinstance(tag.value, str) and _INT64.fullmatch(tag.value):
        return int(tag.value)
    # What is no plain value, or a larger number than any other format holds, stays as its text.
    known = isinstance(tag.value, (str, bool, float)) or tag.value is None
    small = isinstance(tag.value, int) and -(2**63) <= tag.value < 2**63
    return tag.value if known or small else msgspec.json.encode(tag.value).decode()
