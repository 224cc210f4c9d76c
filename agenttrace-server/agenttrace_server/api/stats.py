"""Counts, tokens, cost, latency and failures over time, per agent, model and framework."""

from typing import Annotated

from fastapi import APIRouter, Query

from agenttrace_server.api.asked import StoreOf, problems
from agenttrace_server.api.figures import Stats
from agenttrace_server.api.times import TimeNs, rfc3339

router = APIRouter(tags=["stats"])


@router.get("/stats", operation_id="getStats", responses=problems())
def get_stats(
    store: StoreOf,
    since: Annotated[TimeNs | None, Query(description="Started at this time or later")] = None,
    until: Annotated[TimeNs | None, Query(description="Started before this time")] = None,
) -> Stats:
    """Return figures over the traces that started in the given time."""
    figures = store.stats(since, until)
    points = [{"time": rfc3339(point["start_ns"]), **point} for point in figures["over_time"]]
    failures = [
        {"time": rfc3339(point["start_ns"]), **point} for point in figures["failures_over_time"]
    ]
    changed = {
        "over_time": points,
        "failures_over_time": failures,
        "bucket_seconds": figures["bucket_ns"] / 1e9,
    }
    return Stats.model_validate(figures | changed)
