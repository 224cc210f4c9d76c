"""Replays: start one, look at it, compare it with its original, cancel it."""

import time
from typing import Annotated, Literal

import msgspec
from fastapi import APIRouter, Path, Query, Request

from agenttrace.errors import ReplayError, ReplayNotFound
from agenttrace.jobs import ENDED, Status
from agenttrace_server.api import compare
from agenttrace_server.api.asked import (
    Limit,
    Offset,
    StoreOf,
    ThresholdsOf,
    TraceId,
    Word,
    clean_id,
    found,
    problems,
)
from agenttrace_server.api.models import Listing
from agenttrace_server.api.replay_models import (
    Diff,
    Family,
    NewReplay,
    Relative,
    Replay,
    Start,
    Step,
)
from agenttrace_server.api.times import milliseconds, rfc3339
from agenttrace_server.replay import wishes
from agenttrace_server.replay.taken import taken
from agenttrace_server.store import Store
from agenttrace_server.store.replays import Replay as Stored
from agenttrace_server.store.replays import ReplayQuery, Worker

router = APIRouter(tags=["replays"])

ReplayId = Annotated[str, Path(max_length=100)]


@router.post("/replays", operation_id="startReplay", status_code=201, responses=problems(404, 409))
def start_replay(request: Request, store: StoreOf, new: NewReplay) -> Replay:
    """Run an application again from a checkpoint, in a worker of yours, with what you change.

    What comes back is queued, or simulated where no worker is connected: then `steps` says of each
    call whether it would run again.
    """
    edits = tuple(edit.model_dump() for edit in new.edits)
    wish = msgspec.structs.replace(wish_of(new), edits=edits, label=new.label)
    (replay,) = wishes.start(store, [wish])
    request.app.state.bell.ring()
    return show(replay, store.replays.workers())


@router.get("/replays", operation_id="listReplays", responses=problems())
def list_replays(
    request: Request,
    store: StoreOf,
    status: Status | None = None,
    trace: Annotated[Word, Query(description="Replayed, or what came of it")] = None,
    checkpoint: Word = None,
    experiment: Word = None,
    offset: Offset = 0,
    limit: Limit = 50,
) -> Listing[Replay]:
    """List replays, newest first."""
    settle(request, store)
    query = ReplayQuery(
        offset=offset,
        limit=limit,
        status=status,
        trace=clean_id(trace) if trace else None,
        checkpoint=checkpoint or None,
        experiment=experiment or None,
    )
    replays, total = store.replays.page(query)
    workers = store.replays.workers()
    items = [show(replay, workers) for replay in replays]
    return Listing(items=items, total=total, offset=offset, limit=limit)


@router.get("/replays/{replay_id}", operation_id="getReplay", responses=problems(404))
def get_replay(request: Request, store: StoreOf, replay_id: ReplayId) -> Replay:
    """Return one replay as it is now, once it has ended with the steps it took."""
    settle(request, store)
    replay = stored(store, replay_id)
    shown = show(replay, store.replays.workers())
    return shown.model_copy(update={"steps": _steps(store, replay)})


@router.post("/replays/{replay_id}/cancel", operation_id="cancelReplay", responses=problems(404))
def cancel_replay(store: StoreOf, replay_id: ReplayId) -> Replay:
    """End a replay: at once if it waits, else as soon as its worker hears of it."""
    return show(store.replays.cancel(clean_id(replay_id)), store.replays.workers())


@router.get("/replays/{replay_id}/diff", operation_id="diffReplay", responses=problems(404, 409))
def diff_replay(store: StoreOf, thresholds: ThresholdsOf, replay_id: ReplayId) -> Diff:
    """Compare a replay with the run it began in, from its checkpoint on."""
    replay = stored(store, replay_id)
    if replay.trace_id is None or store.summary(replay.trace_id) is None:
        raise NothingYet(
            f"Replay {replay_id!r} is {replay.status}: it has no trace to compare yet"
            + (f" ({replay.error})" if replay.error else "")
        )
    return compare.diff(store, thresholds, replay.source_trace_id, replay.trace_id)


@router.get("/traces/{trace_id}/replays", operation_id="getFamily", responses=problems(404))
def get_family(store: StoreOf, trace_id: TraceId) -> Family:
    """Return what a trace is a replay of, and the replays of it, over all generations."""
    summary = found(store, trace_id)
    members = [
        Relative(
            **{k: v for k, v in msgspec.structs.asdict(one).items() if k != "start_ns"},
            start_time=rfc3339(one.start_ns),
        )
        for one in store.replays.family(summary.trace_id)
    ]
    return Family(trace_id=summary.trace_id, members=members)


class NothingYet(ReplayError):
    """There is nothing to compare yet."""


def wish_of(start: Start) -> wishes.Wish:
    """Return the part of a wish that a request says about where to begin and how to run."""
    tools: tuple[str, ...] | Literal["all"]
    tools = "all" if start.live_tools == "all" else tuple(start.live_tools)
    return wishes.Wish(
        checkpoint_id=start.checkpoint_id,
        message_id=start.message_id,
        trace_id=clean_id(start.trace_id) if start.trace_id else None,
        mode=start.mode,
        live_tools=tools,
        target=start.target,
        timeout_seconds=start.timeout_seconds,
        otherwise=start.otherwise,
    )


def stored(store: Store, replay_id: str) -> Stored:
    """Return a replay. Raises `ReplayNotFound`."""
    replay = store.replays.get(clean_id(replay_id))
    if replay is None:
        raise ReplayNotFound(f"There is no replay {replay_id!r}")
    return replay


def settle(request: Request, store: Store) -> None:
    """Take back what silent workers hold, and tell those that wait for jobs.

    Not in a server that has just started: workers could not reach it while it was away.
    """
    up = time.monotonic() - request.app.state.started
    if up > store.replays.lease_seconds and store.replays.settle():
        request.app.state.bell.ring()


def _steps(store: Store, replay: Stored) -> list[Step] | None:
    """Return the steps of a replay that has ended, None where its trace is not there."""
    if replay.steps is not None:
        return _walked(replay)
    run = store.trace(replay.trace_id) if replay.trace_id and replay.status in ENDED else None
    if run is None:
        return None
    source = store.trace(replay.source_trace_id)
    checkpoint = store.replays.checkpoint(replay.checkpoint_id, replay.source_trace_id)
    begins = checkpoint.created_at if checkpoint else 0
    return [Step.model_validate(one) for one in taken(replay, source, run, begins)]


def _walked(replay: Stored) -> list[Step] | None:
    """Return what a simulated replay would do. Older ones do not name the trace: the source."""
    if replay.steps is None:
        return None
    of = {"trace_id": replay.source_trace_id}
    return [Step.model_validate(of | one) for one in replay.steps]


def show(replay: Stored, workers: list[Worker]) -> Replay:
    """Return a replay as it goes over HTTP."""
    ended, started = replay.ended_ns, replay.started_ns
    values = msgspec.to_builtins(replay) | {
        "note": wishes.waits_for(replay, workers),
        "steps": _walked(replay),
        "created_at": rfc3339(replay.created_ns),
        "started_at": None if started is None else rfc3339(started),
        "ended_at": None if ended is None else rfc3339(ended),
        "duration_ms": milliseconds(ended - started) if ended and started else None,
    }
    return Replay.model_validate(values)
