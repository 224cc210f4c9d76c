"""Take ended spans from the traced program and deliver them on a thread of its own."""

import logging
import os
import threading
import time
import weakref
from collections import deque
from collections.abc import Iterator, Sequence
from random import random
from typing import Protocol

from opentelemetry.context import _SUPPRESS_INSTRUMENTATION_KEY, Context, attach, set_value
from opentelemetry.sdk.trace import ReadableSpan, Span, SpanProcessor

from agenttrace.exporter import BATCH_SPANS, Batch, Outcome
from agenttrace.serialise import describe

log = logging.getLogger("agenttrace.exporter")

QUEUE_SPANS = 16384
HELD_BYTES = 64 * 1024 * 1024
DELAY = 0.5
LONGEST_PAUSE = 5.0
PATIENCE = 2.0
"""Seconds a flush waits for a server that does not answer."""

STALL = 5.0
"""Seconds an exit waits for a server that has taken a request and says nothing."""

LONGEST_EXIT = 30.0
REMEMBERED_TRACES = 1000


class Delivery(Protocol):
    """What the queue hands spans to; `OTLPExporter` is one. `target` names it in log lines."""

    target: str

    def prepare(self, spans: Sequence[ReadableSpan]) -> Iterator[Batch]:
        """Yield the spans, serialised, in batches; those that cannot be are left out."""

    def send(self, batch: Batch) -> Outcome:
        """Deliver a batch once and say what became of it; never raises."""

    def split(self, batch: Batch) -> list[Batch]:
        """Return a batch that was too large in smaller parts, or nothing."""

    def shutdown(self) -> None:
        """Let go of what is open."""

    def after_fork(self) -> None:
        """Become usable in a forked child."""


class SpanQueue(SpanProcessor):
    """Hands ended spans over in batches without ever making the program wait.

    At most `size` spans wait; what comes beyond is dropped and counted. While the server does not
    answer, spans are kept, serialised, and go out when it does. `force_flush` and `shutdown` wait
    only while that makes sense: as long as spans arrive, just seconds for a server that is down.
    """

    def __init__(self, delivery: Delivery, size: int = QUEUE_SPANS, delay: float = DELAY) -> None:
        self.delivery = delivery
        self._size = size
        self._delay = delay
        self._closed = False
        self._reset()
        if hasattr(os, "register_at_fork"):
            method = weakref.WeakMethod(self._after_fork)

            def after_fork() -> None:
                if run := method():
                    run()

            os.register_at_fork(after_in_child=after_fork)

    def _reset(self) -> None:
        self.traces: dict[int, None] = {}
        """The traces that began in this process, oldest first, at most the newest 1,000."""
        self.delivered = 0
        self.lost = 0
        self._accepted = 0
        self._queue: deque[ReadableSpan] = deque()
        self._held: deque[Batch] = deque()
        self._held_spans = 0
        self._held_bytes = 0
        self._failures = 0
        self._failed_attempts = 0
        self._activity = 0
        self._trouble = ""
        self._retry_at = 0.0
        self._told_to_wait = False
        self._stopped = False
        self._gave_up_at = -1
        self._worker: threading.Thread | None = None
        self._wake = threading.Event()
        self._hurry = threading.Event()
        self._counting = threading.Lock()
        self._working = threading.Lock()
        self._starting = threading.Lock()
        self._progress = threading.Condition()
        self._complaints: set[str] = set()

    @property
    def closed(self) -> bool:
        """Whether it has been shut down, and takes nothing more."""
        return self._closed

    @property
    def waiting(self) -> int:
        """How many spans have not been delivered yet."""
        return max(0, self._accepted - self.delivered - self.lost)

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        """Do nothing: a span is taken when it ends."""

    def on_end(self, span: ReadableSpan) -> None:
        """Queue the span; microseconds, whatever the server does."""
        context = span.context
        if context is None or not context.trace_flags.sampled or self._closed:
            return
        worker = self._worker or self._start_worker()
        if worker is not None and worker.ident == threading.get_ident():
            return  # made by a payload's own code while it is serialised: there is no end to those
        with self._counting:
            self._accepted += 1
            if span.parent is None or span.parent.is_remote:
                self._remember(context.trace_id)
        if len(self._queue) + self._held_spans >= self._size:
            self._lose(1, f"the queue of {self._size} spans is full")
            return
        self._queue.append(span)
        if not self._wake.is_set():
            self._wake.set()
        if len(self._queue) >= BATCH_SPANS and not self._hurry.is_set():
            self._hurry.set()

    def force_flush(self, timeout_millis: int = 30000) -> bool:
        """Return whether all that has ended is delivered, within the time and PATIENCE."""
        return self._flush(timeout_millis / 1000)

    def shutdown(self) -> None:
        """Deliver what is there, in seconds when the server is down; say what was lost; stop."""
        if self._closed:
            return
        # Where a flush has waited for all of these in vain, two more tries will do.
        patience = 0.0 if self._gave_up_at == self._accepted else PATIENCE
        self._flush(LONGEST_EXIT, STALL, patience)
        self._closed = self._stopped = True
        self._wake.set()
        self._hurry.set()
        self.lost += self.waiting
        if self.lost:
            log.warning(
                "AgentTrace lost %d of %d spans: %s did not take them (%s)",
                self.lost, self._accepted, self.delivery.target, self._trouble or "no answer yet",
            )  # fmt: skip
        if self._working.acquire(timeout=0.1):
            try:
                self.delivery.shutdown()
            finally:
                self._working.release()

    # --- the worker ---

    def _start_worker(self) -> threading.Thread | None:
        with self._starting:
            if self._worker is None and not self._closed:
                worker = threading.Thread(target=self._work, name="agenttrace", daemon=True)
                try:
                    worker.start()
                except RuntimeError:  # the interpreter is going down: the flush will do the work
                    return None
                self._worker = worker
            return self._worker

    def _work(self) -> None:
        attach(set_value(_SUPPRESS_INSTRUMENTATION_KEY, True))
        while not self._stopped:
            if not self._held and not self._queue:
                self._wake.wait()
            pause = self._retry_at - time.monotonic() if self._failures else self._delay
            self._hurry.wait(max(0.0, pause))
            self._wake.clear()
            self._hurry.clear()
            self._round()

    def _round(self) -> None:
        with self._working:
            try:
                self._serialise()
                self._send()
            except Exception:  # noqa: BLE001 - the worker must outlive whatever happens to one batch
                self._complain("AgentTrace could not export spans", error=True)
                self._retry_at = time.monotonic() + 1.0
        with self._progress:
            self._progress.notify_all()

    def _serialise(self) -> None:
        # Done also while the server is down: what is serialised no longer holds the program's
        # objects, and takes a tenth of their memory.
        while self._queue and self._held_bytes < HELD_BYTES:
            count = min(BATCH_SPANS, len(self._queue))
            spans = [self._queue.popleft() for _ in range(count)]
            made = 0
            try:
                for batch in self.delivery.prepare(spans):
                    self._hold(batch)
                    made += batch.spans
            finally:
                if made < count:
                    self._lose(count - made, "they could not be serialised")

    def _send(self) -> None:
        while self._held and not self._stopped and time.monotonic() >= self._retry_at:
            batch = self._held[0]
            try:
                outcome = self.delivery.send(batch)
            except Exception as error:  # noqa: BLE001 - trying it again would not help either
                outcome = Outcome("refused", describe(error))
            if outcome.kind == "retry":
                self._wait_before_retry(outcome)
                return
            self._held.popleft()
            self._held_spans -= batch.spans
            self._held_bytes -= batch.size
            self._settle(batch, outcome)
            with self._progress:
                self._progress.notify_all()

    def _settle(self, batch: Batch, outcome: Outcome) -> None:
        self._activity += 1
        if self._failures:
            log.info("AgentTrace: %s takes spans again", self.delivery.target)
            self._failures = 0
        if outcome.kind == "sent":
            self.delivered += batch.spans - outcome.rejected
            if outcome.rejected:
                self._lose(outcome.rejected, f"the server rejected them: {outcome.reason}")
            return
        parts = self.delivery.split(batch) if outcome.kind == "too_large" else []
        for part in reversed(parts):
            self._hold(part, first=True)
        if not parts:
            self._lose(batch.spans, outcome.reason)

    def _wait_before_retry(self, outcome: Outcome) -> None:
        self._failures += 1
        self._failed_attempts += 1
        self._trouble = outcome.reason
        pause = min(LONGEST_PAUSE, 0.25 * 2 ** min(self._failures, 10)) * (0.5 + random() / 2)
        self._told_to_wait = outcome.retry_after is not None
        if outcome.retry_after is not None:
            pause = outcome.retry_after
        self._retry_at = time.monotonic() + pause
        self._complain(
            f"AgentTrace: {self.delivery.target} does not take spans ({outcome.reason}); up to "
            f"{self._size} are kept until it does. To start a server: agenttrace serve"
        )

    def _hold(self, batch: Batch, first: bool = False) -> None:
        if first:
            self._held.appendleft(batch)
        else:
            self._held.append(batch)
        self._held_spans += batch.spans
        self._held_bytes += batch.size
        self._activity += 1

    # --- waiting, counting, forking ---

    def _flush(
        self, timeout: float, stall: float | None = None, patience: float | None = None
    ) -> bool:
        """Wait until what has ended by now is delivered or lost; return whether it is.

        Gives up after `timeout` seconds, after `patience` (PATIENCE) seconds without a step forward
        while the server fails, and after `stall` seconds without one, if given.
        """
        patience = PATIENCE if patience is None else patience
        start = moved = time.monotonic()
        target, failed, activity = self._accepted, self._failed_attempts, self._activity
        while self.delivered + self.lost < target and not self._stopped:
            self._press_on()
            now = time.monotonic()
            if activity != self._activity:
                activity, moved = self._activity, now
            idle = now - moved
            failing = self._failed_attempts - failed >= 2 or self._told_to_wait
            if now - start >= timeout or idle >= (stall or timeout):
                break
            if self._failures and failing and idle >= patience:
                break
        done = self.delivered + self.lost >= target
        self._gave_up_at = -1 if done else target
        return done

    def _press_on(self) -> None:
        """Have the worker try now, unless the server said when to, and give it a moment."""
        if not self._told_to_wait:
            self._retry_at = 0.0
        if self._start_worker() is None:
            self._round()
        self._wake.set()
        self._hurry.set()
        with self._progress:
            self._progress.wait(0.1)

    def _remember(self, trace_id: int) -> None:
        self.traces[trace_id] = None
        if len(self.traces) > REMEMBERED_TRACES:
            self.traces.pop(next(iter(self.traces)), None)

    def _lose(self, spans: int, reason: str) -> None:
        with self._counting:
            self.lost += spans
        self._trouble = self._trouble or reason
        self._complain(f"AgentTrace drops spans: {reason}")

    def _complain(self, text: str, error: bool = False) -> None:
        """Log once; the same trouble comes with every batch."""
        topic = text.partition("(")[0]
        if topic not in self._complaints and len(self._complaints) < 100:
            self._complaints.add(topic)
            log.warning(text, exc_info=error)

    def _after_fork(self) -> None:
        # What waits belongs to the parent, and its thread and connection did not come along.
        self._reset()
        self.delivery.after_fork()
