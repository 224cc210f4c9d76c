"""Take in one OTLP export, whichever way it came: decode, hand on, wait until it is durable."""

import asyncio
import json
import logging
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from typing import NamedTuple

import anyio
import anyio.to_thread
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTracePartialSuccess,
    ExportTraceServiceResponse,
)

from agenttrace.errors import StoreUnavailable
from agenttrace_server.body import decompress
from agenttrace_server.decode import JSON, PROTOBUF, decode_logs
from agenttrace_server.ingest import Ingest, IngestFull
from agenttrace_server.metrics import Metrics
from agenttrace_server.reading.process import Readers
from agenttrace_server.rejected import Rejected
from agenttrace_server.store import Store

log = logging.getLogger("agenttrace.receive")

# Decoding is Python: more at once would only take more memory.
AT_ONCE = 4
REASONS = 5
"""Partial success names so many different reasons."""
RETRY_SECONDS = 2
"""How long a client should wait before it sends again what was refused for now."""
MOST_BODIES = 256 * 1024 * 1024
"""Bytes of bodies that are being read or decoded at once."""

_EMPTY = {PROTOBUF: b"", JSON: b"{}"}

Stored = Future[tuple[Rejected, ...]]


class Taken(NamedTuple):
    """A request that was read and handed on: what was in it, and what became of it in the end."""

    traces: int
    items: int
    rejected: list[Rejected]
    stored: Stored


class Signal(NamedTuple):
    """One kind of export: what JSON calls its items, and how a body of them is taken."""

    items: str
    take: "Callable[[Exports, bytes, str], Taken]"


class Bodies:
    """Counts the bytes of bodies in memory, from the event loop alone."""

    def __init__(self, most: int = MOST_BODIES) -> None:
        self._most = most
        self._held = 0

    def take(self, size: int) -> None:
        """Count `size` more bytes; raises `IngestFull` where others leave no room for them."""
        if self._held and self._held + size > self._most:
            raise IngestFull(f"{self._held} bytes are being received; send it again later")
        self._held += size

    def give_back(self, size: int) -> None:
        """Stop counting them."""
        self._held -= size


class Exports:
    """Takes exports in, for every door they come through."""

    def __init__(
        self, readers: Readers, ingest: Ingest, store: Store, metrics: Metrics, limit: int
    ) -> None:
        self.readers = readers
        self.ingest = ingest
        self.metrics = metrics
        self.limit = limit
        self.bodies = Bodies()
        self._store = store
        self._decoding = anyio.CapacityLimiter(AT_ONCE)

    async def take(
        self, signal: Signal, body: bytes, form: str = PROTOBUF, encoding: str = "identity"
    ) -> bytes:
        """Store what a body holds; return the Export…ServiceResponse in the same form.

        Raises `InvalidPayload`, `TooLarge` and, where the same may succeed later,
        `StoreUnavailable`.
        """

        def work() -> Taken:
            # No bytes at all are an empty message in protobuf; the same is meant in JSON.
            whole = decompress(body, encoding, self.limit) or _EMPTY[form]
            return signal.take(self, whole, form)

        taken = await anyio.to_thread.run_sync(work, limiter=self._decoding)
        rejected = [*taken.rejected, *await asyncio.wrap_future(taken.stored)]
        self.metrics.traces_received.inc(taken.traces)
        self.metrics.spans_received.inc(taken.items - (len(rejected) - len(taken.rejected)))
        if rejected:
            self.metrics.ingestion_error("rejected_span", len(rejected))
            await anyio.to_thread.run_sync(self._remember, rejected)
        return _response(rejected, form, signal)

    @contextmanager
    def body(self, size: int) -> Iterator[None]:
        """Count a body of this size for as long as it is in memory; raises `IngestFull`."""
        self.bodies.take(size)
        try:
            yield
        finally:
            self.bodies.give_back(size)

    def _remember(self, rejected: Sequence[Rejected]) -> None:
        """Keep why spans were refused; what was accepted is stored and must be answered so."""
        try:
            self._store.reject(rejected)
        except StoreUnavailable as error:
            log.warning("%d refused spans are not remembered: %s", len(rejected), error)


def _take_traces(exports: Exports, body: bytes, form: str) -> Taken:
    exports.ingest.check_room(len(body))
    found = exports.readers.read(body, form)
    stored = exports.ingest.submit(found.batch, len(body))
    traces = len({trace_id for trace_id, _ in found.batch.incoming})
    return Taken(traces, found.count, found.rejected, stored)


def _take_logs(exports: Exports, body: bytes, form: str) -> Taken:
    decoded = decode_logs(body, form)
    stored = exports.ingest.submit_events(decoded.events, len(body))
    return Taken(0, 0, decoded.rejected, stored)


TRACES = Signal("Spans", _take_traces)
LOGS = Signal("LogRecords", _take_logs)


def _response(rejected: Sequence[Rejected], form: str, signal: Signal) -> bytes:
    """Return the Export…ServiceResponse: empty, unless something was refused."""
    if not rejected:
        return _EMPTY[form]
    reasons = list(dict.fromkeys(_reason(one) for one in rejected))
    more = f"; and {len(reasons) - REASONS} more reasons" if len(reasons) > REASONS else ""
    message = "; ".join(reasons[:REASONS]) + more
    if form == JSON:
        count = {f"rejected{signal.items}": str(len(rejected)), "errorMessage": message}
        return json.dumps({"partialSuccess": count}).encode()
    # Spans and log records have the same field numbers.
    partial = ExportTracePartialSuccess(rejected_spans=len(rejected), error_message=message)
    return ExportTraceServiceResponse(partial_success=partial).SerializeToString()


def _reason(rejected: Rejected) -> str:
    return f"{rejected.name}: {rejected.reason}" if rejected.name else rejected.reason
