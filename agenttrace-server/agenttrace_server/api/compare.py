"""Compare any two traces by their messages."""

from typing import Annotated

import msgspec
from fastapi import APIRouter, Query

from agenttrace.errors import TraceNotFound
from agenttrace.models import Message
from agenttrace_server import diff as diffs
from agenttrace_server.api import failures
from agenttrace_server.api.asked import StoreOf, ThresholdsOf, clean_id, problems
from agenttrace_server.api.replay_models import Diff, DiffRow, Figures, Outputs, Piece, Said
from agenttrace_server.api.times import rfc3339
from agenttrace_server.shown import Thresholds
from agenttrace_server.store import Store

router = APIRouter(tags=["replays"])

Id = Annotated[str, Query(max_length=100, description="A trace id")]


@router.get("/compare", operation_id="compareTraces", responses=problems(404))
def compare_traces(store: StoreOf, thresholds: ThresholdsOf, left: Id, right: Id) -> Diff:
    """Compare two traces: their messages aligned, what came of them, what they took.

    If the right one is a replay of the left one, from the checkpoint it began at.
    """
    return diff(store, thresholds, clean_id(left), clean_id(right))


def diff(store: Store, thresholds: Thresholds, left: str, right: str) -> Diff:
    """Return the comparison of two traces, with the failures that are shown.

    Raises `TraceNotFound`.
    """
    runs = _run(store, thresholds, left), _run(store, thresholds, right)
    found = diffs.compare(*runs, _since(store, left, right))
    return Diff(
        left_trace_id=left,
        right_trace_id=right,
        same=found.same,
        first_divergence=found.first_divergence,
        rows=[_row(row) for row in found.rows],
        counts=found.counts,
        outputs=Outputs.model_validate(found.outputs),
        failures_gained=[failures.show(one, thresholds) for one in found.failures_gained],
        failures_lost=[failures.show(one, thresholds) for one in found.failures_lost],
        left=Figures.model_validate(found.left),
        right=Figures.model_validate(found.right),
    )


def _run(store: Store, thresholds: Thresholds, trace_id: str) -> diffs.Run:
    trace = store.trace(trace_id)
    if trace is None:
        raise TraceNotFound(f"There is no trace {trace_id!r}")
    return diffs.Run(trace, tuple(filter(thresholds.show, store.failures(trace_id))))


def _since(store: Store, left: str, right: str) -> int:
    """The moment of the checkpoint that the right trace is a replay of the left one from, or 0."""
    summary = store.summary(right)
    if summary is None or summary.replay_of != left or summary.replay_id is None:
        return 0
    replay = store.replays.get(summary.replay_id)
    if replay is None:
        return 0
    checkpoint = store.replays.checkpoint(replay.checkpoint_id, left)
    return checkpoint.created_at if checkpoint else 0


def _row(row: diffs.MessageRow) -> DiffRow:
    whole = row.change in ("changed", "removed", "added")
    return DiffRow(
        change=row.change,
        left=_said(row.left, whole),
        right=_said(row.right, whole),
        similarity=round(row.similarity, 4),
        words=None if row.words is None else [Piece.model_validate(p) for p in row.words],
    )


def _said(message: Message | None, whole: bool) -> Said | None:
    if message is None:
        return None
    values = msgspec.structs.asdict(message)
    values |= {"sent_at": rfc3339(message.sent_at), "content": message.content if whole else None}
    return Said(**{name: values[name] for name in Said.model_fields})
