"""Joined traces: see of what they are made, take them apart, put them together."""

from typing import Annotated

from fastapi import APIRouter, Body
from pydantic import BaseModel, ConfigDict, Field

from agenttrace.errors import TraceNotFound
from agenttrace.joins import Reason
from agenttrace_server.api.asked import StoreOf, TraceId, clean_id, found, problems
from agenttrace_server.api.models import Model
from agenttrace_server.api.times import rfc3339

router = APIRouter(tags=["joins"])


class TracePart(Model):
    """A trace as it was recorded, one of those that are shown as one.

    It was joined because of `reason`, which it has in common with `joined_to`; the first part is
    joined to none. `apart` says that a person took it out again.
    """

    trace_id: str
    name: str
    joined_to: str | None
    reason: Reason | None
    apart: bool
    start_time: str
    span_count: int


class TraceParts(Model):
    """The parts of a joined trace in start order; none of a trace that was never joined.

    `trace_id` is what they are shown as, null while each stands alone.
    """

    trace_id: str | None
    items: list[TracePart]


class Split(Model):
    """The traces that a join was undone of: each stands alone now."""

    trace_ids: list[str]


class JoinRequest(BaseModel):
    """Which other traces to join with; none means: undo a split."""

    model_config = ConfigDict(extra="forbid")

    trace_ids: list[Annotated[str, Field(min_length=1, max_length=100)]] = Field(
        default=[], max_length=100
    )


class Joined(Model):
    """What the traces are shown as, null where nothing belongs with the given one."""

    trace_id: str | None


@router.get("/traces/{trace_id}/parts", operation_id="getParts", responses=problems(404))
def get_parts(store: StoreOf, trace_id: TraceId) -> TraceParts:
    """Return the traces that this one is made of, or is a part of together with others."""
    summary = found(store, trace_id)
    items = [
        TracePart(
            trace_id=part.trace_id,
            name=part.name,
            joined_to=part.joined_to,
            reason=part.reason,
            apart=part.apart,
            start_time=rfc3339(part.start_ns),
            span_count=part.span_count,
        )
        for part in store.joins.parts(summary.trace_id)
    ]
    shown = summary.trace_id if summary.parts else summary.part_of
    return TraceParts(trace_id=shown, items=items)


@router.post("/traces/{trace_id}/split", operation_id="splitTrace", responses=problems(404))
def split_trace(store: StoreOf, trace_id: TraceId) -> Split:
    """Undo a join, or take one part out of it. Later analyses do not join these traces again."""
    summary = found(store, trace_id)
    return Split(trace_ids=list(store.joins.split(summary.trace_id)))


@router.post("/traces/{trace_id}/join", operation_id="joinTraces", responses=problems(404))
def join_traces(
    store: StoreOf, trace_id: TraceId, asked: Annotated[JoinRequest | None, Body()] = None
) -> Joined:
    """Undo a split of a trace, or join it with others whatever they have in common."""
    others = [clean_id(one) for one in asked.trace_ids] if asked else []
    for one in others:
        if store.summary(one) is None:
            raise TraceNotFound(f"There is no trace {one!r}")
    return Joined(trace_id=store.joins.join(found(store, trace_id).trace_id, others))
