"""The steps a replay took: which calls came with its checkpoint, from the record, or ran live."""

from collections.abc import Iterator
from typing import Any

from agenttrace import semconv
from agenttrace.models import Span, Trace
from agenttrace_server.replay.walk import RUN, step
from agenttrace_server.store.replays import Replay

BEFORE = "It happened before the checkpoint"


def taken(replay: Replay, source: Trace | None, run: Trace, begins_ns: int) -> list[dict[str, Any]]:
    """Return each model and tool call of a replay in order, those that were restored first.

    As `walk` tells them; `trace_id` says which of the two traces holds the span. The tier of a call
    that had no recorded answer and might not run is "stopped".
    """
    steps = []
    if source is not None:
        earlier = (span for span in _calls(source) if span.start_ns < begins_ns)
        steps = [step(source, span, "restored", BEFORE) for span in earlier]
    for span in _calls(run):
        tier = str(span.attributes.get(semconv.AGENTTRACE_REPLAY_TIER, "live"))
        if tier in ("restored", "recorded", "live"):
            tier = "stopped" if tier == "live" and _was_refused(replay, span) else tier
            steps.append(step(run, span, tier, _why(replay, span, tier)))
    return steps


def _calls(trace: Trace) -> Iterator[Span]:
    for span in sorted(trace.spans, key=lambda span: (span.start_ns, span.span_id)):
        if span.kind in RUN:
            yield span


def _was_refused(replay: Replay, span: Span) -> bool:
    """Whether a call marked as live never ran: capture marks it so until it is answered."""
    if replay.status != "stopped" or span.kind != "tool" or span.output is not None:
        return False
    return replay.live_tools != "all" and span.tool not in replay.live_tools


def _why(replay: Replay, span: Span, tier: str) -> str:
    if tier == "restored":
        return "Its result is in the checkpoint"
    if tier == "recorded":
        return "Its input is unchanged"
    if tier == "stopped":
        return "It has no recorded answer and might not run: the replay ended here"
    if span.kind == "tool":
        return "It was allowed to run live"
    return (
        "Every model was asked again" if replay.mode == "live" else "Its input is not in the record"
    )
