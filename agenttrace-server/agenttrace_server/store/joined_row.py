"""Write the row of `traces` that stands for several traces joined into one."""

import math
import time
from collections.abc import Mapping
from typing import Any

import msgspec
from sqlalchemy import Connection

from agenttrace.fragments import Fragment
from agenttrace_server.store.counting import TRACES, TraceState
from agenttrace_server.store.dialect import Dialect
from agenttrace_server.store.rows import encode
from agenttrace_server.tables import TraceFacet, table

FACETS = table(TraceFacet)


def put_joined(
    tx: Connection,
    dialect: Dialect,
    old: TraceState,
    parts: Mapping[str, TraceState],
    facts: Mapping[str, Fragment],
) -> None:
    """Add up the parts under a new version, so that all is derived anew.

    `old` is the joined trace's state, a blank one if it is new; `facts` has those of every part.
    """
    head = min(parts.values(), key=lambda state: _rank(state, facts[state.trace_id]))
    state = _added_up(old, list(parts.values()), head)
    now = time.time_ns()
    if state.analysed_version >= state.version:
        state.dirty_since = now
    state.version += 1
    state.written_at = now
    state.cursor = dialect.take(tx, "cursor", 1)
    dialect.put(tx, TRACES, [state.row()])
    labels = [("service", s) for s in msgspec.json.decode(state.services)]
    labels += [("framework", s) for s in msgspec.json.decode(state.frameworks)]
    rows = [(state.project_id, facet, value, state.trace_id) for facet, value in labels]
    dialect.add(tx, FACETS, rows)


def _rank(state: TraceState, fact: Fragment) -> tuple[int, int, str]:
    """The part that comes first names the whole: a run, else an agent's, else any."""
    kind = 0 if fact.is_whole else 1 if fact.opened else 3 if fact.only_announces else 2
    return kind, state.start_time, state.trace_id


def _added_up(old: TraceState, parts: list[TraceState], head: TraceState) -> TraceState:
    """Return the joined trace's state; what was derived stays until it is derived again."""
    costs = [part.cost_usd for part in parts if part.cost_usd is not None]
    failed = head.status == "error" or all(part.status == "error" for part in parts)
    running = any(part.status == "running" for part in parts)
    return msgspec.structs.replace(
        old,
        name=head.name,
        service_name=head.service_name,
        services=_union(part.services for part in parts),
        frameworks=_union(part.frameworks for part in parts),
        status="running" if running else "error" if failed else "ok",
        start_time=min(part.start_time for part in parts),
        end_time=max(part.end_time for part in parts),
        span_count=sum(part.span_count for part in parts),
        error_count=sum(part.error_count for part in parts),
        tokens_in=sum(part.tokens_in for part in parts),
        tokens_out=sum(part.tokens_out for part in parts),
        cost_usd=math.fsum(costs) if costs else None,
        session=min((part.session for part in parts if part.session), default=None),
        replay_of=min((part.replay_of for part in parts if part.replay_of), default=None),
        replay_id=min((part.replay_id for part in parts if part.replay_id), default=None),
        # As of a trace whose root is missing: it is analysed once its parts are quiet.
        head_rank=1,
        head_time=head.head_time,
        head_span_id=head.head_span_id,
        part_of="",
        parts=len(parts),
    )


def _union(listed: Any) -> str:
    return encode(sorted({value for text in listed for value in msgspec.json.decode(text)}))
