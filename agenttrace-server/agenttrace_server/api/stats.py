"""Counts, tokens, cost, latency and failures over time, per agent, model and framework."""

from typing import Annotated, Any

from fastapi import APIRouter, Query

from agenttrace_server.api.asked import StoreOf, problems
from agenttrace_server.api.times import TimeNs

router = APIRouter(tags=["stats"])


@router.get("/stats", operation_id="getStats", responses=problems())
def get_stats(
    store: StoreOf,
    since: Annotated[TimeNs | None, Query(description="Started at this time or later")] = None,
    until: Annotated[TimeNs | None, Query(description="Started before this time")] = None,
) -> dict[str, Any]:
    """Return figures over the traces that started in the given time."""
    return store.stats(since, until)
