"""Give a trace back in the formats of others."""

from collections.abc import Callable, Sequence
from typing import Annotated, Literal

from fastapi import APIRouter, Query, Response

from agenttrace.errors import TraceNotFound
from agenttrace.models import RawSpan
from agenttrace_server import encode
from agenttrace_server.api.asked import StoreOf, TraceId, clean_id, problems

router = APIRouter(tags=["export"])

Format = Literal["otlp", "otlp-protobuf", "jaeger", "zipkin"]

_JSON = "application/json"
_ENCODERS: dict[Format, tuple[Callable[[Sequence[RawSpan]], bytes], str, str]] = {
    "otlp": (encode.encode_json, _JSON, "otlp.json"),
    "otlp-protobuf": (encode.encode_protobuf, "application/x-protobuf", "otlp.pb"),
    "jaeger": (encode.encode_jaeger, _JSON, "jaeger.json"),
    "zipkin": (encode.encode_zipkin, _JSON, "zipkin.json"),
}


@router.get(
    "/traces/{trace_id}/export",
    operation_id="exportTrace",
    response_class=Response,
    responses={
        **problems(404),
        200: {
            "description": "The trace as a file",
            "content": {"application/json": {}, "application/x-protobuf": {}},
        },
    },
)
def export_trace(
    store: StoreOf,
    trace_id: TraceId,
    format: Annotated[Format, Query(description="The file's format")] = "otlp",
) -> Response:
    """Return every span of the trace; OTLP loses nothing, and `POST /v1/traces` takes it back."""
    trace = store.trace(clean_id(trace_id))
    if trace is None:
        raise TraceNotFound(f"There is no trace {trace_id!r}")
    encoder, media_type, suffix = _ENCODERS[format]
    name = f"{trace.trace_id}.{suffix}"
    return Response(
        encoder(trace.spans),
        media_type=media_type,
        headers={"Content-Disposition": f'attachment; filename="{name}"'},
    )
