"""What went wrong, and what people decided about it."""

from typing import Annotated

import msgspec
from fastapi import APIRouter, Path

from agenttrace.models import FailureAnnotation
from agenttrace_server.api.asked import Limit, Offset, StoreOf, TraceId, found, problems
from agenttrace_server.api.models import Failure, Listing, ReviewChange
from agenttrace_server.store import Store

router = APIRouter(tags=["failures"])


@router.get("/traces/{trace_id}/failures", operation_id="listFailures", responses=problems(404))
def list_failures(
    store: StoreOf, trace_id: TraceId, offset: Offset = 0, limit: Limit = 1000
) -> Listing[Failure]:
    """List the failures of a trace: decisive ones first, then by confidence."""
    return listing(store, found(store, trace_id).trace_id, offset, limit)


@router.patch("/failures/{annotation_id}", operation_id="reviewFailure", responses=problems(404))
def review_failure(
    store: StoreOf, annotation_id: Annotated[str, Path(max_length=200)], change: ReviewChange
) -> Failure:
    """Confirm or reject a failure, or put it back to proposed; later analyses keep that."""
    failure = store.review(annotation_id.replace("\0", ""), change.review, change.reviewer)
    return show(failure)


def listing(store: Store, trace_id: str, offset: int = 0, limit: int = 1000) -> Listing[Failure]:
    """Return the failures of a trace that is known to exist."""
    failures = store.failures(trace_id)
    items = [show(failure) for failure in failures[offset : offset + limit]]
    return Listing(items=items, total=len(failures), offset=offset, limit=limit)


def show(failure: FailureAnnotation) -> Failure:
    """Return a failure as it goes over HTTP."""
    return Failure(**msgspec.structs.asdict(failure))
