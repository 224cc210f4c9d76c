"""Take in OTLP over HTTP, by version 1.11 of its specification.

Everything is answered after the spans are durable: 200 promises that. What may be sent again gets
503 with `Retry-After`, what must not gets 400, 413 or 415, each with a `google.rpc.Status`.
"""

import asyncio
import json
import logging
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import NamedTuple, cast

import anyio
import anyio.to_thread
from fastapi import APIRouter, HTTPException, Request, Response
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTracePartialSuccess,
    ExportTraceServiceResponse,
)
from starlette.datastructures import State
from starlette.requests import ClientDisconnect

from agenttrace.errors import InvalidPayload, StoreUnavailable
from agenttrace_server.body import TooLarge, UnknownEncoding, decompress, encoding_of
from agenttrace_server.decode import JSON, PROTOBUF, decode, decode_logs, media_type
from agenttrace_server.ingest import Ingest
from agenttrace_server.metrics import Metrics
from agenttrace_server.rejected import Rejected
from agenttrace_server.store import Store

log = logging.getLogger("agenttrace.receive")

router = APIRouter(tags=["OTLP"])

# Decoding is Python: more at once would only take more memory.
AT_ONCE = 4
_EMPTY = {PROTOBUF: b"", JSON: b"{}"}
REASONS = 5
"""Partial success names so many different reasons."""

RETRY_AFTER = {"Retry-After": "2"}

Stored = Future[tuple[Rejected, ...]]


class Taken(NamedTuple):
    """A request that was read and handed on: what was in it, and what became of it in the end."""

    traces: int
    items: int
    rejected: list[Rejected]
    stored: Stored


@router.post(
    "/v1/traces",
    operation_id="exportTraces",
    summary="Receive spans",
    response_description="An ExportTraceServiceResponse",
)
async def traces(request: Request) -> Response:
    """Store the spans of an OTLP ExportTraceServiceRequest, protobuf or JSON."""
    return await _receive(request, _take_traces, "Spans")


@router.post(
    "/v1/logs",
    operation_id="exportLogs",
    summary="Receive GenAI log events",
    response_description="An ExportLogsServiceResponse",
)
async def logs(request: Request) -> Response:
    """Join the events of an OTLP ExportLogsServiceRequest to the spans they name."""
    return await _receive(request, _take_logs, "LogRecords")


def _take_traces(ingest: Ingest, body: bytes, content_type: str) -> Taken:
    decoded = decode(body, content_type)
    stored = ingest.submit(decoded.spans, len(body))
    traces = len({span.trace_id for span in decoded.spans})
    return Taken(traces, len(decoded.spans), decoded.rejected, stored)


def _take_logs(ingest: Ingest, body: bytes, content_type: str) -> Taken:
    decoded = decode_logs(body, content_type)
    stored = ingest.submit_events(decoded.events, len(body))
    return Taken(0, 0, decoded.rejected, stored)


async def _receive(
    request: Request, take: Callable[[Ingest, bytes, str], Taken], signal: str
) -> Response:
    metrics: Metrics = request.app.state.metrics
    with metrics.ingestion_duration.time():
        try:
            return await _answer(request, take, signal)
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


async def _answer(
    request: Request, take: Callable[[Ingest, bytes, str], Taken], signal: str
) -> Response:
    form = media_type(request.headers.get("content-type", ""))
    if form is None:
        raise HTTPException(415, f"Send {PROTOBUF} or {JSON} as the content type")
    encoding = encoding_of(request.headers.get("content-encoding", ""))
    ingest: Ingest = request.app.state.ingest
    limit: int = request.app.state.settings.max_body_bytes
    ingest.check_room()
    body = await _read(request, limit)

    def work() -> Taken:
        # No bytes at all are an empty message in protobuf; the same is meant in JSON.
        return take(ingest, decompress(body, encoding, limit) or _EMPTY[form], form)

    taken = await anyio.to_thread.run_sync(work, limiter=_limiter(request.app.state))
    rejected = [*taken.rejected, *await asyncio.wrap_future(taken.stored)]
    metrics: Metrics = request.app.state.metrics
    metrics.traces_received.inc(taken.traces)
    metrics.spans_received.inc(taken.items - (len(rejected) - len(taken.rejected)))
    if rejected:
        metrics.ingestion_error("rejected_span", len(rejected))
        await anyio.to_thread.run_sync(_remember, request.app.state.store, rejected)
    return _partial(rejected, form, signal)


async def _read(request: Request, limit: int) -> bytes:
    """Return the body as sent; raises `TooLarge` as soon as it is known to be."""
    announced = request.headers.get("content-length", "")
    parts: list[bytes] = []
    room = limit - (int(announced) if announced.isdecimal() else 0)
    if room >= 0:
        room = limit
        async for part in request.stream():
            room -= len(part)
            if room < 0:
                break
            parts.append(part)
    if room < 0:
        raise TooLarge(f"The body is larger than {limit} bytes")
    return b"".join(parts)


def _limiter(state: State) -> anyio.CapacityLimiter:
    if not hasattr(state, "decoding"):
        state.decoding = anyio.CapacityLimiter(AT_ONCE)
    return cast(anyio.CapacityLimiter, state.decoding)


def _remember(store: Store, rejected: Sequence[Rejected]) -> None:
    """Keep why spans were refused; what was accepted is stored and must be answered so."""
    try:
        store.reject(rejected)
    except StoreUnavailable as error:
        log.warning("%d refused spans are not remembered: %s", len(rejected), error)


def _partial(rejected: Sequence[Rejected], form: str, signal: str) -> Response:
    """Return the Export…ServiceResponse: empty, unless something was refused."""
    if not rejected:
        return Response(b"" if form == PROTOBUF else b"{}", media_type=form)
    reasons = list(dict.fromkeys(_reason(one) for one in rejected))
    more = f"; and {len(reasons) - REASONS} more reasons" if len(reasons) > REASONS else ""
    message = "; ".join(reasons[:REASONS]) + more
    if form == JSON:
        count = {f"rejected{signal}": str(len(rejected)), "errorMessage": message}
        return Response(json.dumps({"partialSuccess": count}), media_type=JSON)
    # Spans and log records have the same field numbers.
    partial = ExportTracePartialSuccess(rejected_spans=len(rejected), error_message=message)
    answer = ExportTraceServiceResponse(partial_success=partial)
    return Response(answer.SerializeToString(), media_type=PROTOBUF)


def _reason(rejected: Rejected) -> str:
    return f"{rejected.name}: {rejected.reason}" if rejected.name else rejected.reason
