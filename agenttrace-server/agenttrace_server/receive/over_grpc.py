"""OTLP over gRPC: TraceService and LogsService, by the bytes, on the same path as OTLP over HTTP.

The answer comes after the spans are durable. What may be sent again gets UNAVAILABLE with a
`RetryInfo`, a body beyond the limit RESOURCE_EXHAUSTED, what is no such request INVALID_ARGUMENT.
"""

import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import grpc
import grpc.aio
from google.protobuf.any_pb2 import Any
from google.protobuf.duration_pb2 import Duration
from google.rpc.error_details_pb2 import RetryInfo
from google.rpc.status_pb2 import Status

from agenttrace.errors import InvalidPayload, StoreUnavailable
from agenttrace_server.access import key_is, token_of
from agenttrace_server.body import TooLarge
from agenttrace_server.receive.export import LOGS, RETRY_SECONDS, TRACES, Exports, Signal
from agenttrace_server.settings import Settings

log = logging.getLogger("agenttrace.receive")

GRACE_SECONDS = 10
_PROTO = "opentelemetry.proto.collector"
_SIGNALS = {
    f"{_PROTO}.trace.v1.TraceService": TRACES,
    f"{_PROTO}.logs.v1.LogsService": LOGS,
}

Context = grpc.aio.ServicerContext[bytes, bytes]


@asynccontextmanager
async def serving(
    exports: Exports, settings: Settings, stored: Callable[[], None]
) -> AsyncIterator[bool]:
    """Serve on the port of the settings while the block runs; yield whether it could be had.

    `stored` is called after each export.
    """
    server = _server(exports, settings, stored)
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    address = f"{host}:{settings.grpc_port}"
    try:
        server.add_insecure_port(address)
    except RuntimeError as error:
        log.warning("No OTLP over gRPC: cannot listen on %s (%s)", address, error)
        yield False
        return
    await server.start()
    log.info("OTLP over gRPC at %s", address)
    try:
        yield True
    finally:
        await server.stop(GRACE_SECONDS)


def _server(exports: Exports, settings: Settings, stored: Callable[[], None]) -> grpc.aio.Server:
    server = grpc.aio.server(
        options=[
            # Else a second server would share the port, and take half of the spans.
            ("grpc.so_reuseport", 0),
            # Holds before and after decompression.
            ("grpc.max_receive_message_length", exports.limit),
        ]
    )

    def answering(signal: Signal) -> Callable[[bytes, Context], Awaitable[bytes]]:
        async def export(body: bytes, context: Context) -> bytes:
            if not _is_authorised(settings, context):
                await context.abort(
                    grpc.StatusCode.UNAUTHENTICATED,
                    "This server asks for its API key, as the metadata 'authorization: Bearer KEY' "
                    "or 'x-api-key: KEY'",
                )
            answer = await _receive(exports, signal, body, context)
            stored()
            return answer

        return export

    for service, signal in _SIGNALS.items():
        # Without serialisers: requests and responses are bytes, which need no generated code.
        method: grpc.RpcMethodHandler[bytes, bytes]
        method = grpc.unary_unary_rpc_method_handler(answering(signal))
        handler = grpc.method_handlers_generic_handler(service, {"Export": method})
        server.add_generic_rpc_handlers((handler,))
    return server


async def _receive(exports: Exports, signal: Signal, body: bytes, context: Context) -> bytes:
    metrics = exports.metrics
    with metrics.ingestion_duration.time():
        try:
            with exports.body(len(body)):
                return await exports.take(signal, body)
        except TooLarge as error:
            metrics.ingestion_error("too_large")
            await context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, str(error))
        except InvalidPayload as error:
            metrics.ingestion_error("invalid")
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, str(error))
        except StoreUnavailable as error:
            metrics.ingestion_error("unavailable")
            log.warning("Refused an export for now: %s", error)
            await context.abort(grpc.StatusCode.UNAVAILABLE, str(error), _retry(str(error)))
        except Exception:
            metrics.ingestion_error("internal")
            log.exception("An export over gRPC failed")
            await context.abort(grpc.StatusCode.INTERNAL, "The server failed; its log says how")
    raise AssertionError("abort raises")


def _retry(message: str) -> tuple[tuple[str, bytes], ...]:
    """Say when to come again, in the place of the specification and in that of older clients."""
    retry = RetryInfo(retry_delay=Duration(seconds=RETRY_SECONDS))
    detail = Any()
    detail.Pack(retry)
    status = Status(code=grpc.StatusCode.UNAVAILABLE.value[0], message=message, details=[detail])
    return (
        ("grpc-status-details-bin", status.SerializeToString()),
        ("google.rpc.retryinfo-bin", retry.SerializeToString()),
    )


def _is_authorised(settings: Settings, context: Context) -> bool:
    if settings.api_key is None:
        return True
    metadata = dict(context.invocation_metadata() or ())
    bearer = token_of(str(metadata.get("authorization", "")))
    return key_is(settings, bearer) or key_is(settings, str(metadata.get("x-api-key", "")))
