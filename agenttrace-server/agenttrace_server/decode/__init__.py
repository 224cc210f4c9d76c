"""Turn OTLP request bodies into raw spans and log events; a bad one costs only itself."""

import msgspec

from agenttrace.errors import InvalidPayload
from agenttrace.models import RawSpan
from agenttrace_server.decode import otlp_json, otlp_protobuf
from agenttrace_server.decode.log_event import LogEvent
from agenttrace_server.rejected import Rejected

__all__ = [
    "JSON",
    "PROTOBUF",
    "Decoded",
    "DecodedLogs",
    "LogEvent",
    "decode",
    "decode_logs",
    "media_type",
]

JSON = "application/json"
PROTOBUF = "application/x-protobuf"

_SYNONYMS = {
    "text/json": JSON,
    "application/x-json": JSON,
    "application/protobuf": PROTOBUF,
    "application/vnd.google.protobuf": PROTOBUF,
}


class Decoded(msgspec.Struct, frozen=True):
    """What one request held: spans in the order they came, and those that had to be refused."""

    spans: list[RawSpan]
    rejected: list[Rejected]


class DecodedLogs(msgspec.Struct, frozen=True):
    """What one request held: log events of spans, and records that had to be refused."""

    events: list[LogEvent]
    rejected: list[Rejected]


def media_type(content_type: str) -> str | None:
    """Return `JSON` or `PROTOBUF` for a Content-Type header, None for anything else."""
    bare = content_type.partition(";")[0].strip().lower()
    bare = _SYNONYMS.get(bare, bare)
    return bare if bare in (JSON, PROTOBUF) else None


def decode(body: bytes, content_type: str) -> Decoded:
    """Return the spans of an ExportTraceServiceRequest.

    A span with missing, zero or wrong-length ids, or with values of a wrong type, comes back as
    rejected with the reason. Raises `InvalidPayload` where the body as a whole is no such request.
    """
    if _form(content_type) == JSON:
        return Decoded(*otlp_json.spans(body))
    return Decoded(*otlp_protobuf.spans(body))


def decode_logs(body: bytes, content_type: str) -> DecodedLogs:
    """Return the log events of an ExportLogsServiceRequest that name the span they belong to.

    Records without a trace id and span id come back as rejected. Raises `InvalidPayload`.
    """
    if _form(content_type) == JSON:
        return DecodedLogs(*otlp_json.logs(body))
    return DecodedLogs(*otlp_protobuf.logs(body))


def _form(content_type: str) -> str:
    form = media_type(content_type)
    if form is None:
        raise InvalidPayload(
            f"Content type {content_type!r} is not supported; send {PROTOBUF} or {JSON}"
        )
    return form
