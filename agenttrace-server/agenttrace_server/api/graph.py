"""Who talked to whom."""

from fastapi import APIRouter

from agenttrace_server.analyse.graph import build_graph
from agenttrace_server.api.asked import StoreOf, TraceId, found, problems
from agenttrace_server.api.models import Graph

router = APIRouter(tags=["graph"])


@router.get("/traces/{trace_id}/graph", operation_id="getGraph", responses=problems(404))
def get_graph(store: StoreOf, trace_id: TraceId) -> Graph:
    """Return the agent graph of the last analysis; empty before the first."""
    summary = found(store, trace_id)
    graph = store.graph(summary.trace_id) or build_graph((), (), (), {})
    return Graph(trace_id=summary.trace_id, **graph)
