"""OTLP over HTTP: each answer in the request's own content type.

Everything is answered after the spans are durable: 200 promises that. What may be sent again gets
503 with `Retry-After`, what must not gets 400, 413 or 415, each with a `google.rpc.Status`.
"""

import logging
from typing import Any

from fastapi import APIRouter, HTTPException, Request, Response
from starlette.requests import ClientDisconnect

from agenttrace.errors import InvalidPayload, StoreUnavailable
from agenttrace_server.body import TooLarge, UnknownEncoding, encoding_of
from agenttrace_server.decode import JSON, PROTOBUF, media_type
from agenttrace_server.receive.export import LOGS, RETRY_SECONDS, TRACES, Exports, Signal

log = logging.getLogger("agenttrace.receive")

router = APIRouter(tags=["OTLP"])

RETRY_AFTER = {"Retry-After": str(RETRY_SECONDS)}

# Their bodies are a `google.rpc.Status` in the request's own content type.
_REFUSALS: dict[int | str, dict[str, Any]] = {
    400: {"description": "It is no such request; do not send it again"},
    401: {"description": "The API key is missing or wrong"},
    413: {"description": "The body is too large, before or after decompression"},
    415: {"description": "The content type or the content encoding is not supported"},
    503: {"description": "Nothing of it is stored; send it again after `Retry-After` seconds"},
}


@router.post(
    "/v1/traces",
    operation_id="exportTraces",
    summary="Receive spans",
    response_description="An ExportTraceServiceResponse",
    responses=_REFUSALS,
)
async def traces(request: Request) -> Response:
    """Store the spans of an OTLP ExportTraceServiceRequest, protobuf or JSON."""
    return await _receive(request, TRACES)


@router.post(
    "/v1/logs",
    operation_id="exportLogs",
    summary="Receive GenAI log events",
    response_description="An ExportLogsServiceResponse",
    responses=_REFUSALS,
)
async def logs(request: Request) -> Response:
    """Join the events of an OTLP ExportLogsServiceRequest to the spans they name."""
    return await _receive(request, LOGS)


async def _receive(request: Request, signal: Signal) -> Response:
    exports: Exports = request.app.state.exports
    metrics = exports.metrics
    with metrics.ingestion_duration.time():
        try:
            return await _answer(request, exports, signal)
        except TooLarge as error:
            metrics.ingestion_error("too_large")
            raise HTTPException(413, str(error)) from None
        except UnknownEncoding as error:
            metrics.ingestion_error("invalid")
            raise HTTPException(415, str(error)) from None
        except InvalidPayload as error:
            metrics.ingestion_error("invalid")
            raise HTTPException(400, str(error)) from None
        except StoreUnavailable as error:
            metrics.ingestion_error("unavailable")
            log.warning("Refused an export for now: %s", error)
            raise HTTPException(503, str(error), headers=RETRY_AFTER) from None
        except HTTPException:
            metrics.ingestion_error("invalid")
            raise
        except ClientDisconnect:
            # Nobody reads the answer; the client will send it all again.
            metrics.ingestion_error("invalid")
            return Response(status_code=400)
        except Exception:
            metrics.ingestion_error("internal")
            raise


async def _answer(request: Request, exports: Exports, signal: Signal) -> Response:
    form = media_type(request.headers.get("content-type", ""))
    if form is None:
        raise HTTPException(415, f"Send {PROTOBUF} or {JSON} as the content type")
    encoding = encoding_of(request.headers.get("content-encoding", ""))
    exports.ingest.check_room()
    announced = request.headers.get("content-length", "")
    size = int(announced) if announced.isdecimal() else 0
    if size > exports.limit:
        raise TooLarge(f"The body is larger than {exports.limit} bytes")
    with exports.body(size):
        body = await _read(request, exports.limit)
        # A body in chunks announces nothing.
        with exports.body(len(body) - size):
            answer = await exports.take(signal, body, form, encoding)
    return Response(answer, media_type=form)


async def _read(request: Request, limit: int) -> bytes:
    """Return the body as sent; raises `TooLarge` as soon as it is known to be."""
    parts: list[bytes] = []
    room = limit
    async for part in request.stream():
        room -= len(part)
        if room < 0:
            raise TooLarge(f"The body is larger than {limit} bytes")
        parts.append(part)
    return b"".join(parts)
