"""Give a trace back in the formats of others."""

from collections.abc import Callable, Sequence
from typing import Annotated, Literal

from fastapi import APIRouter, Query, Response

from agenttrace.errors import TraceNotFound
from agenttrace.models import RawSpan
from agenttrace_server.api.asked import StoreOf, TraceId, clean_id, problems

router = APIRouter(tags=["export"])

Format = Literal["otlp", "otlp-protobuf"]

_MEDIA: dict[Format, tuple[str, str]] = {
    "otlp": ("application/json", "otlp.json"),
    "otlp-protobuf": ("application/x-protobuf", "otlp.pb"),
}


def _encoder(format: Format) -> Callable[[Sequence[RawSpan]], bytes]:
    from agenttrace_server import encode

    return encode.encode_json if format == "otlp" else encode.encode_protobuf


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
    """Return every span of the trace as it was received; `POST /v1/traces` takes it back."""
    trace = store.trace(clean_id(trace_id))
    if trace is None:
        raise TraceNotFound(f"There is no trace {trace_id!r}")
    media_type, suffix = _MEDIA[format]
    name = f"{trace.trace_id}.{suffix}"
    return Response(
        _encoder(format)(trace.spans),
        media_type=media_type,
        headers={"Content-Disposition": f'attachment; filename="{name}"'},
    )
