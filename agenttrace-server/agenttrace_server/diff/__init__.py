"""Compare two runs by their messages: where they part, and what came of it."""

from collections import Counter
from collections.abc import Sequence
from typing import Literal

import msgspec

from agenttrace.accounting import counted
from agenttrace.messages import content_hash
from agenttrace.models import FailureAnnotation, Message, Trace
from agenttrace_server.diff.align import align
from agenttrace_server.diff.outcome import outcome, told
from agenttrace_server.diff.words import Piece, similarity, word_diff

__all__ = [
    "Diff",
    "Figures",
    "MessageRow",
    "Outputs",
    "Piece",
    "Run",
    "compare",
    "outcome",
    "told",
]

MOST_WORD_DIFFS = 500
"""Changed messages whose words are compared; nobody reads on, and both texts are there."""

Change = Literal["same", "changed", "removed", "added", "restored"]


class Run(msgspec.Struct, frozen=True):
    """One side of a comparison: a trace with what was derived from it, and its failures."""

    trace: Trace
    failures: tuple[FailureAnnotation, ...] = ()


class MessageRow(msgspec.Struct, frozen=True, kw_only=True):
    """A message of the left run, its counterpart of the right one, or both.

    `restored` are those before the checkpoint a replay began at: it has them in its state. `words`
    says what changed, None where the row is not `changed` or there are too many of them.
    """

    change: Change
    left: Message | None = None
    right: Message | None = None
    similarity: float = 1.0
    words: tuple[Piece, ...] | None = None


class Figures(msgspec.Struct, frozen=True, kw_only=True):
    """What one run took, from where the two are compared. Milliseconds, US dollars."""

    duration_ms: float
    spans: int
    messages: int
    llm_calls: int
    tool_calls: int
    errors: int
    tokens_in: int
    tokens_out: int
    cost_usd: float | None


class Outputs(msgspec.Struct, frozen=True, kw_only=True):
    """What both runs came to: their root spans' outputs, of a conversation the last message."""

    left: str | None
    right: str | None
    same: bool
    words: tuple[Piece, ...] | None = None


class Diff(msgspec.Struct, frozen=True, kw_only=True):
    """What differs between two runs.

    `same` says that no message differs; `first_divergence` is the place in `rows` of the first that
    does. Figures are those after `since_ns`, where a replay began.
    """

    left_trace_id: str
    right_trace_id: str
    same: bool
    first_divergence: int | None
    rows: tuple[MessageRow, ...]
    counts: dict[str, int]
    outputs: Outputs
    failures_gained: tuple[FailureAnnotation, ...]
    failures_lost: tuple[FailureAnnotation, ...]
    left: Figures
    right: Figures


def compare(left: Run, right: Run, since_ns: int = 0) -> Diff:
    """Return what differs between two runs.

    Of the left one only what happened at `since_ns` or later counts, which is for replays the
    moment of their checkpoint. 5,000 messages each take well under two seconds.
    """
    before = [m for m in left.trace.messages if m.sent_at < since_ns]
    after = [m for m in left.trace.messages if m.sent_at >= since_ns]
    rows = (
        *(MessageRow(change="restored", left=message) for message in before),
        *_rows(after, right.trace.messages),
    )
    divergence = next(
        (place for place, row in enumerate(rows) if row.change not in ("same", "restored")), None
    )
    return Diff(
        left_trace_id=left.trace.trace_id,
        right_trace_id=right.trace.trace_id,
        same=divergence is None,
        first_divergence=divergence,
        rows=rows,
        counts=dict(Counter(row.change for row in rows)),
        outputs=_outputs(left.trace, right.trace),
        failures_gained=_without(right.failures, left.failures),
        failures_lost=_lost(left, right, since_ns, divergence is None),
        left=_figures(left.trace, len(after), since_ns),
        right=_figures(right.trace, len(right.trace.messages), 0),
    )


def _rows(left: Sequence[Message], right: Sequence[Message]) -> list[MessageRow]:
    rows = []
    word_diffs = 0
    for i, j in align(left, right):
        ours = None if i is None else left[i]
        theirs = None if j is None else right[j]
        if ours is None or theirs is None:
            change: Change = "added" if ours is None else "removed"
            rows.append(MessageRow(change=change, left=ours, right=theirs, similarity=0.0))
        elif _hash(ours) == _hash(theirs):
            rows.append(MessageRow(change="same", left=ours, right=theirs))
        else:
            word_diffs += 1
            told = word_diffs <= MOST_WORD_DIFFS
            rows.append(
                MessageRow(
                    change="changed",
                    left=ours,
                    right=theirs,
                    similarity=similarity(ours.content, theirs.content),
                    words=word_diff(ours.content, theirs.content) if told else None,
                )
            )
    return rows


def _hash(message: Message) -> str:
    return message.content_hash or content_hash(message.content)


def _outputs(left: Trace, right: Trace) -> Outputs:
    ours, theirs = outcome(left), outcome(right)
    same = ours == theirs or (
        ours is not None and theirs is not None and content_hash(ours) == content_hash(theirs)
    )
    words = None if same or ours is None or theirs is None else word_diff(ours, theirs)
    return Outputs(left=ours, right=theirs, same=same, words=words)


def _lost(left: Run, right: Run, since_ns: int, same: bool) -> tuple[FailureAnnotation, ...]:
    """Return what failed in the left run only; none where a replay only said the same again.

    What failed before a replay's checkpoint did so in both.
    """
    if same and since_ns:
        return ()
    began: dict[str | None, int] = {span.span_id: span.start_ns for span in left.trace.spans}
    sent: dict[str | None, int] = {m.message_id: m.sent_at for m in left.trace.messages}
    later = [
        failure
        for failure in left.failures
        # A span may have begun long before the message it failed with.
        if sent.get(failure.message_id, began.get(failure.span_id, since_ns)) >= since_ns
    ]
    return _without(later, right.failures)


def _without(
    failures: Sequence[FailureAnnotation], others: Sequence[FailureAnnotation]
) -> tuple[FailureAnnotation, ...]:
    """Return the failures that the others do not have: of the same mode and agent, as often."""
    left = Counter(_kind(failure) for failure in others if failure.review != "rejected")
    found = []
    for failure in failures:
        if failure.review == "rejected":
            continue
        if left[_kind(failure)] > 0:
            left[_kind(failure)] -= 1
        else:
            found.append(failure)
    return tuple(found)


def _kind(failure: FailureAnnotation) -> tuple[str, str, str | None]:
    return failure.mode, failure.subcategory, failure.agent


def _figures(trace: Trace, messages: int, since_ns: int) -> Figures:
    spans = [span for span in trace.spans if span.start_ns >= since_ns]
    calls = [span for span in counted(trace) if span.start_ns >= since_ns]
    costs = [span.cost_usd for span in calls if span.cost_usd is not None]
    start = max(since_ns, min((span.start_ns for span in trace.spans), default=0))
    end = max((max(span.start_ns, span.end_ns) for span in trace.spans), default=0)
    return Figures(
        duration_ms=max(0, end - start) / 1e6,
        spans=len(spans),
        messages=messages,
        llm_calls=sum(span.kind == "llm" for span in spans),
        tool_calls=sum(span.kind == "tool" for span in spans),
        errors=sum(span.error is not None for span in spans),
        tokens_in=sum(span.tokens_in or 0 for span in calls),
        tokens_out=sum(span.tokens_out or 0 for span in calls),
        cost_usd=sum(costs) if costs else None,
    )
