"""The moments a run can go back to."""

from typing import Annotated

import msgspec
from fastapi import APIRouter, Path, Query

from agenttrace import models as flow
from agenttrace.errors import CheckpointNotFound
from agenttrace_server.api.asked import Limit, Offset, StoreOf, TraceId, found, problems
from agenttrace_server.api.models import Checkpoint, Listing
from agenttrace_server.api.times import rfc3339

router = APIRouter(tags=["checkpoints"])


@router.get(
    "/traces/{trace_id}/checkpoints", operation_id="listCheckpoints", responses=problems(404)
)
def list_checkpoints(
    store: StoreOf,
    trace_id: TraceId,
    state: Annotated[bool, Query(description="Whether to send the states, which are large")] = True,
    offset: Offset = 0,
    limit: Limit = 1000,
) -> Listing[Checkpoint]:
    """List the checkpoints of a trace in the order they were made."""
    checkpoints = store.checkpoints(found(store, trace_id).trace_id)
    items = [show(one, with_state=state) for one in checkpoints[offset : offset + limit]]
    return Listing(items=items, total=len(checkpoints), offset=offset, limit=limit)


@router.get(
    "/traces/{trace_id}/checkpoints/{checkpoint_id}",
    operation_id="getCheckpoint",
    responses=problems(404),
)
def get_checkpoint(
    store: StoreOf, trace_id: TraceId, checkpoint_id: Annotated[str, Path(max_length=500)]
) -> Checkpoint:
    """Return one checkpoint with its state."""
    for checkpoint in store.checkpoints(found(store, trace_id).trace_id):
        if checkpoint.checkpoint_id == checkpoint_id:
            return show(checkpoint)
    raise CheckpointNotFound(f"There is no checkpoint {checkpoint_id!r} in trace {trace_id!r}")


def show(checkpoint: flow.Checkpoint, *, with_state: bool = True) -> Checkpoint:
    """Return a checkpoint as it goes over HTTP."""
    values = msgspec.structs.asdict(checkpoint)
    values["created_at"] = rfc3339(checkpoint.created_at)
    values["state_bytes"] = len(checkpoint.state.encode(errors="replace"))
    values["state"] = checkpoint.state if with_state else None
    return Checkpoint(**values)
