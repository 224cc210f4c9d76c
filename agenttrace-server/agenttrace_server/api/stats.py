"""Counts, tokens, cost, latency and failures over time, per agent, model and framework."""

from fastapi import APIRouter

from agenttrace_server.api.asked import FilterOf, StoreOf, problems
from agenttrace_server.api.figures import Stats
from agenttrace_server.api.times import rfc3339

router = APIRouter(tags=["stats"])


@router.get("/stats", operation_id="getStats", responses=problems())
def get_stats(store: StoreOf, wanted: FilterOf) -> Stats:
    """Return figures over the traces that fulfil every given condition."""
    figures = store.stats(wanted)
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
