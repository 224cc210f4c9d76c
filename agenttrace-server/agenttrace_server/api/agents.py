"""The agents of a trace."""

import msgspec
from fastapi import APIRouter

from agenttrace_server.api.asked import Limit, Offset, StoreOf, TraceId, found, problems
from agenttrace_server.api.models import Agent, Listing
from agenttrace_server.api.times import milliseconds, rfc3339

router = APIRouter(tags=["agents"])


@router.get("/traces/{trace_id}/agents", operation_id="listAgents", responses=problems(404))
def list_agents(
    store: StoreOf, trace_id: TraceId, offset: Offset = 0, limit: Limit = 1000
) -> Listing[Agent]:
    """List the agents of a trace in order of appearance."""
    agents = store.agents(found(store, trace_id).trace_id)
    items = []
    for agent in agents[offset : offset + limit]:
        values = msgspec.structs.asdict(agent)
        first, last = rfc3339(values.pop("first_ns")), rfc3339(values.pop("last_ns"))
        busy = milliseconds(values.pop("busy_ns"))
        items.append(Agent(**values, first_time=first, last_time=last, busy_ms=busy))
    return Listing(items=items, total=len(agents), offset=offset, limit=limit)
