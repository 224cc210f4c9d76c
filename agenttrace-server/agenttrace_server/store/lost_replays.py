"""Decide what becomes of a replay whose worker fell silent."""

import time
from typing import Any

from sqlalchemy import Connection, select

from agenttrace.errors import ReplayCancelled, ReplayStopped
from agenttrace.replayables import CUSTOM
from agenttrace_server.store.read import SPANS, spans
from agenttrace_server.store.replays import ATTEMPTS, Replay
from agenttrace_server.tables import TraceRow, WorkerRow, table

TRACES, WORKERS = table(TraceRow), table(WorkerRow)


def verdict(tx: Connection, project_id: int, lost: Replay) -> dict[str, Any]:
    """Return the columns to change: it ended after all, goes back to the queue, or fails."""
    left = {"trace_id": lost.trace_id or _trace(tx, project_id, lost)}
    if lost.cancel:
        return _end("cancelled", None) | left
    if done := _complete(tx, project_id, lost):
        return done
    who = _worker(tx, project_id, lost.worker_id)
    if lost.live_tools and lost.status == "running":
        look = "look at its trace, then " if left["trace_id"] else ""
        return left | _end(
            "failed",
            f"{who} died during the replay. Tools may have run live, so it is not run again by "
            f"itself; {look}start it again if that is safe",
        )
    if lost.attempt >= ATTEMPTS:
        return left | _end(
            "failed",
            f"{lost.attempt} workers died during the replay, the last was {who}; see what they "
            "printed, then start it again",
        )
    return {"status": "queued", "claimed_until": 0}


def _trace(tx: Connection, project_id: int, lost: Replay) -> str | None:
    """The trace that the last attempt left behind."""
    c = TRACES.c
    query = select(c.trace_id).where(c.project_id == project_id, c.replay_id == lost.replay_id)
    return tx.execute(query.order_by(c.start_time.desc()).limit(1)).scalar()


def _complete(tx: Connection, project_id: int, lost: Replay) -> dict[str, Any] | None:
    """How it ended, where all of its trace is there: the worker died before it could say so.

    Functions of the user's own may make several traces, whose first says nothing of the others.
    """
    if lost.framework == CUSTOM:
        return None
    c = TRACES.c
    row = tx.execute(
        select(TRACES)
        .where(c.project_id == project_id, c.replay_id == lost.replay_id, c.head_rank == 0)
        .order_by(c.start_time.desc())
        .limit(1)
    ).first()
    if row is None or (lost.trace_id and row.trace_id != lost.trace_id):
        return None
    (head,) = spans(tx, project_id, row.trace_id, SPANS.c.span_id == row.head_span_id)
    error = (head.error or "") if row.status == "error" else None
    if error and ReplayCancelled.__name__ in error:
        return None  # nobody cancelled it: its process gave it up when the worker was gone
    if error is None:
        ended = _end("succeeded", None)
    else:
        ended = _end("stopped" if ReplayStopped.__name__ in error else "failed", error)
    return ended | {"trace_id": row.trace_id, "output": head.output}


def _end(status: str, error: str | None) -> dict[str, Any]:
    return {"status": status, "error": error, "ended_at": time.time_ns()}


def _worker(tx: Connection, project_id: int, worker_id: str | None) -> str:
    c = WORKERS.c
    query = select(c.name).where(c.project_id == project_id, c.worker_id == worker_id)
    name = tx.execute(query).scalar()
    return f"Worker {name}" if name else "Its worker"
