"""The last spans that were not stored, and why."""

from typing import Annotated

import msgspec
from fastapi import APIRouter, Query

from agenttrace_server.api.asked import StoreOf, problems
from agenttrace_server.api.models import Listing, RejectedSpan
from agenttrace_server.api.times import rfc3339

router = APIRouter(tags=["server"])


@router.get("/rejected", operation_id="listRejected", responses=problems())
def list_rejected(
    store: StoreOf, limit: Annotated[int, Query(ge=1, le=500)] = 100
) -> Listing[RejectedSpan]:
    """List the newest spans that were refused, newest first."""
    items = []
    for rejected in store.rejected(limit):
        values = msgspec.structs.asdict(rejected)
        items.append(RejectedSpan(time=rfc3339(values.pop("at_ns")), **values))
    return Listing(items=items, total=len(items), offset=0, limit=limit)
