"""Store spans in groups: whatever waits is written in one transaction, then all are told.

It takes spans from anyone, not only from the web framework: what it returns is done when the spans
are durable.
"""

import logging
import threading
import time
from collections import deque
from collections.abc import Iterable, Sequence
from concurrent.futures import Future

import msgspec
from msgspec.structs import replace

from agenttrace.errors import StoreUnavailable
from agenttrace.models import RawSpan, Span, SpanEvent
from agenttrace.plugins import Plugins
from agenttrace_server.decode.log_event import LogEvent
from agenttrace_server.reading import make_ready
from agenttrace_server.rejected import Rejected, rejected
from agenttrace_server.store import SpanKey, Store
from agenttrace_server.store.batch import Batch

log = logging.getLogger("agenttrace.ingest")

MOST_WAITING_SPANS = 65_536
MOST_WAITING_BYTES = 256 * 1024 * 1024
GROUP_SPANS = 8192
"""At most so many spans are written in one transaction, unless one request has more."""


class IngestFull(StoreUnavailable):
    """More spans wait to be written than memory allows; the same request may succeed later."""


class _Job(msgspec.Struct, eq=False):
    """One request: its spans or log events, and whom to tell."""

    batch: Batch
    events: Sequence[LogEvent]
    size: int
    done: "Future[tuple[Rejected, ...]]"


class Ingest:
    """Writes what many threads submit, from one thread of its own."""

    def __init__(
        self,
        store: Store,
        plugins: Plugins,
        *,
        most_spans: int = MOST_WAITING_SPANS,
        most_bytes: int = MOST_WAITING_BYTES,
    ) -> None:
        self._store = store
        self._plugins = plugins
        self._project_id = store.project_id
        self._most_spans = most_spans
        self._most_bytes = most_bytes
        self._jobs: deque[_Job] = deque()
        self._waiting_spans = 0
        self._waiting_bytes = 0
        self._changed = threading.Condition()
        self._closing = False
        self._thread = threading.Thread(target=self._run, name="ingest", daemon=True)
        self._thread.start()

    def submit(self, batch: Batch, size: int = 0) -> "Future[tuple[Rejected, ...]]":
        """Store spans; the future is done once they are durable, and says which had to be refused.

        `size` is about how many bytes they take. The future fails with `StoreUnavailable`, and then
        nothing that was submitted with it counts as stored. Raises `IngestFull` at once where too
        much waits already.
        """
        return self._put(_Job(batch, (), size, Future()))

    def submit_events(
        self, events: Sequence[LogEvent], size: int = 0
    ) -> "Future[tuple[Rejected, ...]]":
        """Join log events to their spans, or keep them until those arrive; else like `submit`."""
        return self._put(_Job(Batch(self._project_id), events, size, Future()))

    def check_room(self, size: int = 0) -> None:
        """Raise `IngestFull` if so many bytes must not wait. What is alone may have any size."""
        with self._changed:
            self._check_room(0, size)

    def close(self) -> None:
        """Write what waits, then take no more."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        self._thread.join()

    def _check_room(self, spans: int, size: int) -> None:
        if self._closing:
            raise IngestFull("The server is shutting down; send it again later")
        too_many = self._waiting_spans + spans > self._most_spans
        if self._jobs and (too_many or self._waiting_bytes + size > self._most_bytes):
            raise IngestFull(
                f"{self._waiting_spans} spans are waiting to be written; send it again later"
            )

    def _put(self, job: _Job) -> "Future[tuple[Rejected, ...]]":
        if not job.batch and not job.events:
            job.done.set_result(())
            return job.done
        with self._changed:
            self._check_room(_count(job), job.size)
            self._jobs.append(job)
            self._waiting_spans += _count(job)
            self._waiting_bytes += job.size
            self._changed.notify_all()
        return job.done

    def _run(self) -> None:
        while group := self._next_group():
            try:
                self._write(group)
            except Exception as error:  # noqa: BLE001 - this thread must go on; each job is told
                for job in group:
                    if not job.done.done():
                        job.done.set_exception(error)

    def _next_group(self) -> list[_Job]:
        """Wait for jobs; return those to write together, or none when closed and empty."""
        with self._changed:
            self._changed.wait_for(lambda: self._jobs or self._closing)
            group: list[_Job] = []
            count = 0
            while self._jobs and (not group or count + _count(self._jobs[0]) <= GROUP_SPANS):
                job = self._jobs.popleft()
                group.append(job)
                count += _count(job)
                self._waiting_spans -= _count(job)
                self._waiting_bytes -= job.size
            return group

    def _write(self, group: list[_Job]) -> None:
        batch = _together([job.batch for job in group])
        events = _by_span(event for job in group for event in job.events)
        kept = self._store.kept_events(batch.incoming) if batch else {}
        early = self._join(batch, kept, events)
        refused = self._store_all(batch)
        if kept:
            self._store.drop_events(kept.keys() - refused.keys())
        if early:
            self._store.keep_events(early)
        for job in group:
            found = job.batch.incoming.keys() & refused.keys() if refused else ()
            job.done.set_result(tuple(refused[key] for key in sorted(found)))

    def _join(
        self,
        batch: Batch,
        kept: dict[SpanKey, list[SpanEvent]],
        events: dict[SpanKey, list[SpanEvent]],
    ) -> dict[SpanKey, list[SpanEvent]]:
        """Give the spans all log events there are for them; return the events without a span."""
        early: dict[SpanKey, list[SpanEvent]] = {}
        for key in events.keys() | kept.keys():
            span = batch.span(key) if key in batch.incoming else self._store.span(*key)
            if span is None:
                early[key] = events[key]
            else:
                batch.merge(self._with_events(span, [*kept.get(key, ()), *events.get(key, ())]))
        return early

    def _with_events(self, span: Span, more: list[SpanEvent]) -> Batch:
        new = [event for event in more if event not in span.events]
        unique = [event for place, event in enumerate(new) if event not in new[:place]]
        events = tuple(sorted((*span.events, *unique), key=lambda event: event.time_ns))
        raw = RawSpan(*(getattr(span, name) for name in RawSpan.__struct_fields__))
        return make_ready([replace(raw, events=events)], self._plugins, self._project_id).batch

    def _store_all(self, batch: Batch) -> dict[SpanKey, Rejected]:
        """Store the spans; return those that cannot be stored, with why.

        One bad span must not cost the others: where a batch fails for what is in it, each half is
        tried, down to the span.
        """
        if not batch:
            return {}
        try:
            self._store.write_batch(batch)
        except StoreUnavailable:
            raise
        except Exception as error:
            if len(batch) > 1:
                first, second = batch.halves()
                return self._store_all(first) | self._store_all(second)
            [(key, span)] = batch.incoming.items()
            log.exception("Span %s of trace %s cannot be stored", key[1], key[0])
            reason = f"It cannot be stored: {type(error).__name__}: {error}"
            return {key: rejected(time.time_ns(), reason, span.service_name, *key, span.name)}
        return {}


def _together(batches: list[Batch]) -> Batch:
    if len(batches) == 1:
        return batches[0]
    whole = Batch(batches[0].project_id)
    for batch in batches:
        whole.merge(batch)
    return whole


def _count(job: _Job) -> int:
    return len(job.batch) + len(job.events)


def _by_span(events: Iterable[LogEvent]) -> dict[SpanKey, list[SpanEvent]]:
    found: dict[SpanKey, list[SpanEvent]] = {}
    for event in events:
        found.setdefault((event.trace_id, event.span_id), []).append(event.span_event)
    return found
