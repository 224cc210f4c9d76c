"""What went wrong, and what people decided about it."""

import time
import uuid
from typing import Annotated

import msgspec
from fastapi import APIRouter, Path, Query

from agenttrace.errors import MessageNotFound, SpanNotFound
from agenttrace.models import FailureAnnotation
from agenttrace_server.api.asked import (
    Limit,
    Offset,
    StoreOf,
    ThresholdsOf,
    TraceId,
    found,
    problems,
)
from agenttrace_server.api.findings import Failure, FailureList, NewFailure, ReviewChange
from agenttrace_server.api.times import rfc3339
from agenttrace_server.shown import Thresholds
from agenttrace_server.store import BY_HAND, Correction, Store
from agenttrace_server.taxonomy import mode_of

router = APIRouter(tags=["failures"])

FailureId = Annotated[str, Path(max_length=200)]


@router.get("/traces/{trace_id}/failures", operation_id="listFailures", responses=problems(404))
def list_failures(
    store: StoreOf,
    thresholds: ThresholdsOf,
    trace_id: TraceId,
    everything: Annotated[
        bool, Query(alias="all", description="Those that are not sure, and rejected ones, too")
    ] = False,
    offset: Offset = 0,
    limit: Limit = 1000,
) -> FailureList:
    """List the failures of a trace: decisive ones first, then by confidence."""
    trace = found(store, trace_id).trace_id
    return listing(store, thresholds, trace, everything, offset, limit)


@router.post(
    "/traces/{trace_id}/failures",
    operation_id="addFailure",
    status_code=201,
    responses=problems(404),
)
def add_failure(
    store: StoreOf, thresholds: ThresholdsOf, trace_id: TraceId, new: NewFailure
) -> Failure:
    """Add a failure that a person saw; it is confirmed, and later analyses keep it."""
    trace = found(store, trace_id).trace_id
    return show(store.add_failure(_by_hand(store, trace, new)), thresholds)


@router.patch("/failures/{annotation_id}", operation_id="reviewFailure", responses=problems(404))
def review_failure(
    store: StoreOf, thresholds: ThresholdsOf, annotation_id: FailureId, change: ReviewChange
) -> Failure:
    """Confirm, reject or correct a failure, or comment on it; later analyses keep that.

    `{"review": "proposed"}` takes a verdict back.
    """
    named = mode_of(change.mode) if change.mode is not None else None
    correction = Correction(
        comment=change.comment,
        mode=change.mode,
        category=change.category or (named.category if named else None),
        subcategory=named.subcategory if named else None,
        severity=change.severity,
        decisive=change.decisive,
    )
    failure = store.review(_clean(annotation_id), change.review, change.reviewer, correction)
    return show(failure, thresholds)


@router.delete(
    "/failures/{annotation_id}",
    operation_id="deleteFailure",
    status_code=204,
    responses=problems(404, 409),
)
def delete_failure(store: StoreOf, annotation_id: FailureId) -> None:
    """Delete a failure that was added by hand; what a classifier found can only be rejected."""
    store.remove_failure(_clean(annotation_id))


def listing(
    store: Store,
    thresholds: Thresholds,
    trace_id: str,
    everything: bool = False,
    offset: int = 0,
    limit: int = 1000,
) -> FailureList:
    """Return the failures of a trace that is known to exist."""
    failures = store.failures(trace_id)
    shown = [one for one in failures if thresholds.show(one)]
    asked = list(failures) if everything else shown
    rejected = sum(one.review == "rejected" for one in failures)
    return FailureList(
        items=[show(one, thresholds) for one in asked[offset : offset + limit]],
        total=len(asked),
        offset=offset,
        limit=limit,
        hidden=len(failures) - len(shown) - rejected,
    )


def show(failure: FailureAnnotation, thresholds: Thresholds) -> Failure:
    """Return a failure as it goes over HTTP."""
    values = msgspec.structs.asdict(failure)
    at = values.pop("reviewed_at")
    return Failure(
        **values,
        shown=thresholds.show(failure),
        reviewed_at=None if at is None else rfc3339(at),
    )


def _by_hand(store: Store, trace_id: str, new: NewFailure) -> FailureAnnotation:
    """Return the finding, its agent and span filled in from the message or span it names."""
    span_id, agent = new.span_id, new.agent
    if new.message_id is not None:
        message = next(
            (m for m in store.messages(trace_id) if m.message_id == new.message_id), None
        )
        if message is None:
            raise MessageNotFound(f"No message {new.message_id!r} in trace {trace_id}")
        span_id, agent = span_id or message.span_id, agent or message.sender
    if new.span_id is not None:
        span = store.span(trace_id, new.span_id.lower())
        if span is None:
            raise SpanNotFound(f"No span {new.span_id!r} in trace {trace_id}")
        span_id, agent = span.span_id, agent or span.agent
    named = mode_of(new.mode)
    return FailureAnnotation(
        annotation_id=uuid.uuid4().hex,
        trace_id=trace_id,
        mode=new.mode,
        category=new.category or named.category,
        subcategory=named.subcategory,
        classifier=BY_HAND,
        span_id=span_id,
        message_id=new.message_id,
        agent=agent,
        severity=new.severity,
        evidence=new.evidence,
        explanation=new.explanation,
        comment=new.comment,
        decisive=new.decisive,
        review="confirmed",
        reviewer=new.reviewer,
        reviewed_at=time.time_ns(),
    )


def _clean(annotation_id: str) -> str:
    return annotation_id.replace("\0", "")
