"""Mark every span of a replay as such, and say of each whether it was recorded or live."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.sdk.trace import ReadableSpan, Span, SpanProcessor

from agenttrace import replay, sdk, semconv

_TIER = semconv.AGENTTRACE_REPLAY_TIER


class _Stamps(SpanProcessor):
    """Stamps spans as they start, and keeps those that are open, to stamp what is around a call.

    A span counts as live until all the calls in it were answered from the record.
    """

    def __init__(self) -> None:
        self._open: dict[int, Span] = {}
        self._fixed: set[int] = set()
        """Open spans whose tier does not change any more."""

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        """Stamp the span if it belongs to a replay."""
        found = replay.current(parent_context)
        if found is None:
            return
        span.set_attributes(
            {
                semconv.AGENTTRACE_REPLAY_ID: found.replay_id,
                semconv.AGENTTRACE_REPLAY_SOURCE_TRACE_ID: found.source_trace_id,
                _TIER: "live",
            }
        )
        self._open[span.get_span_context().span_id] = span

    def on_end(self, span: ReadableSpan) -> None:
        """Forget the span."""
        context = span.get_span_context()
        if context is not None:
            self._open.pop(context.span_id, None)
            self._fixed.discard(context.span_id)

    def stamp(self, span: Any, tier: replay.Tier) -> None:
        """Stamp a call's span, and its ancestors with what they are by it."""
        self._set(span, tier)
        if tier == "restored":
            return
        parent = getattr(span, "parent", None)
        while parent is not None and (around := self._open.get(parent.span_id)) is not None:
            if parent.span_id not in self._fixed:
                around.set_attribute(_TIER, tier)
                if tier == "live":
                    self._fixed.add(parent.span_id)
            parent = around.parent

    def _set(self, span: Any, tier: replay.Tier) -> None:
        if span.is_recording():
            span.set_attribute(_TIER, tier)
            self._fixed.add(span.get_span_context().span_id)


_stamps = _Stamps()
_lock = threading.Lock()
_running: dict[int, int] = {}
"""How many replays run with each provider, by its id."""


def stamp(span: Any, tier: replay.Tier) -> None:
    """Say on a span where it comes from; see `agenttrace.replay.Replay.stamp`."""
    _stamps.stamp(span, tier)


@contextmanager
def stamping() -> Iterator[None]:
    """Have the spans of replays stamped, by a processor that is there only meanwhile."""
    recording = sdk.recording()
    provider: Any = trace.get_tracer_provider() if recording is None else recording.provider
    if not callable(getattr(provider, "add_span_processor", None)):
        yield
        return
    with _lock:
        _running[id(provider)] = _running.get(id(provider), 0) + 1
        if _running[id(provider)] == 1:
            provider.add_span_processor(_stamps)
    try:
        yield
    finally:
        with _lock:
            _running[id(provider)] -= 1
            if not _running[id(provider)]:
                del _running[id(provider)]
                sdk.remove_processor(provider, _stamps)
