"""The moments a run can go back to."""

from bisect import bisect_right
from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Path, Query

from agenttrace import models as flow
from agenttrace.errors import CheckpointNotFound
from agenttrace_server.api.asked import Limit, Offset, StoreOf, TraceId, clean_id, found, problems
from agenttrace_server.api.models import Checkpoint, CheckpointState, Listing
from agenttrace_server.api.times import rfc3339
from agenttrace_server.replay import wishes
from agenttrace_server.store import Store

router = APIRouter(tags=["checkpoints"])

Id = Annotated[str, Path(max_length=500)]
OfTrace = Annotated[
    str | None, Query(max_length=100, description="Which trace, where several have this id")
]


@router.get(
    "/traces/{trace_id}/checkpoints", operation_id="listCheckpoints", responses=problems(404)
)
def list_checkpoints(
    store: StoreOf,
    trace_id: TraceId,
    state: Annotated[bool, Query(description="Whether to send the states too")] = False,
    offset: Offset = 0,
    limit: Limit = 1000,
) -> Listing[Checkpoint]:
    """List the checkpoints of a trace in the order they were made.

    One that cannot be resumed says in `why_not` what to do about it.
    """
    of_trace = found(store, trace_id).trace_id
    if state:
        whole = store.checkpoints(of_trace)
        items = [show(one) for one in whole[offset : offset + limit]]
        return Listing(items=items, total=len(whole), offset=offset, limit=limit)
    light = store.replays.outlines(of_trace)
    items = [_light(one.checkpoint, one.state_bytes) for one in light[offset : offset + limit]]
    return Listing(items=items, total=len(light), offset=offset, limit=limit)


@router.get(
    "/traces/{trace_id}/checkpoints/{checkpoint_id}",
    operation_id="getCheckpoint",
    responses=problems(404),
)
def get_checkpoint(store: StoreOf, trace_id: TraceId, checkpoint_id: Id) -> CheckpointState:
    """Return one checkpoint of a trace with its state, as text and as what the text says."""
    return find_checkpoint(store, checkpoint_id, found(store, trace_id).trace_id)


@router.get("/checkpoints/{checkpoint_id}", operation_id="findCheckpoint", responses=problems(404))
def find_checkpoint(store: StoreOf, checkpoint_id: Id, trace_id: OfTrace = None) -> CheckpointState:
    """Return a checkpoint with its state, of the trace that had it first unless one is named."""
    of_trace = clean_id(trace_id) if trace_id else None
    checkpoint = store.replays.checkpoint(checkpoint_id.replace("\0", ""), of_trace)
    if checkpoint is None:
        where = f" in trace {trace_id!r}" if trace_id else ""
        raise CheckpointNotFound(f"There is no checkpoint {checkpoint_id!r}{where}")
    return _whole(checkpoint)


@router.get(
    "/messages/{message_id}/checkpoint",
    operation_id="checkpointBefore",
    responses=problems(404, 409),
)
def checkpoint_before(store: StoreOf, message_id: Id, trace_id: OfTrace = None) -> CheckpointState:
    """Return where to begin, to replay from just before a message."""
    of_trace = clean_id(trace_id) if trace_id else None
    return _whole(wishes.before(store, message_id.replace("\0", ""), of_trace))


class Before:
    """Tells of each moment of a trace the checkpoint to begin at, to come to it again."""

    def __init__(self, store: Store, trace_id: str) -> None:
        light = [one.checkpoint for one in store.replays.outlines(trace_id)]
        self._resumable = [checkpoint for checkpoint in light if checkpoint.resumable]
        self._made = [checkpoint.created_at for checkpoint in self._resumable]

    def at(self, time_ns: int) -> str | None:
        """Return the id of the newest resumable checkpoint up to then, None if there is none."""
        place = bisect_right(self._made, time_ns)
        return self._resumable[place - 1].checkpoint_id if place else None


def show(checkpoint: flow.Checkpoint) -> Checkpoint:
    """Return a checkpoint as it goes over HTTP, with its state."""
    size = len(checkpoint.state.encode(errors="replace"))
    return _light(checkpoint, size).model_copy(update={"state": checkpoint.state})


def _light(checkpoint: flow.Checkpoint, state_bytes: int) -> Checkpoint:
    values = msgspec.structs.asdict(checkpoint)
    values |= {"created_at": rfc3339(checkpoint.created_at), "state": None}
    return Checkpoint(**values, state_bytes=state_bytes)


def _whole(checkpoint: flow.Checkpoint) -> CheckpointState:
    parsed: Any = None
    try:
        parsed = msgspec.json.decode(checkpoint.state)
    except (msgspec.DecodeError, RecursionError):
        parsed = None  # a framework's own form, or cut off: the text is all there is
    return CheckpointState(**show(checkpoint).model_dump(), parsed=parsed)
