"""Who talked to whom."""

from collections import Counter

from fastapi import APIRouter

from agenttrace_server.analyse.graph import build_graph
from agenttrace_server.api.asked import StoreOf, ThresholdsOf, TraceId, found, problems
from agenttrace_server.api.models import Graph

router = APIRouter(tags=["graph"])


@router.get("/traces/{trace_id}/graph", operation_id="getGraph", responses=problems(404))
def get_graph(store: StoreOf, thresholds: ThresholdsOf, trace_id: TraceId) -> Graph:
    """Return the agent graph of the last analysis; empty before the first.

    A node's failures are those that are shown now, whatever people said since.
    """
    summary = found(store, trace_id)
    graph = store.graph(summary.trace_id) or build_graph((), (), (), {})
    shown = filter(thresholds.show, store.failures(summary.trace_id))
    failed = Counter(failure.agent for failure in shown)
    for node in graph["nodes"]:
        node["failures"] = failed[node["name"]]
    return Graph(trace_id=summary.trace_id, **graph)
