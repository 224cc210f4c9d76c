"""Delete a trace, and with it everything that was kept of it."""

from sqlalchemy import Connection, and_, delete, exists, or_, select

from agenttrace_server.store.reach import of_traces
from agenttrace_server.store.search import Search
from agenttrace_server.tables import (
    AgentRow,
    AnalysisRow,
    CheckpointRow,
    ExperimentRow,
    FailureRow,
    FragmentRow,
    JoinKey,
    JudgementRow,
    MessageRow,
    RejectedSpan,
    ReplayRow,
    Row,
    ScopeRow,
    SpanBody,
    SpanRow,
    TraceFacet,
    TraceModel,
    TraceRow,
    TraceScope,
    WaitingEvent,
    table,
)

SPANS, BODIES, SCOPES, TRACE_SCOPES = map(table, (SpanRow, SpanBody, ScopeRow, TraceScope))
REPLAYS, EXPERIMENTS = table(ReplayRow), table(ExperimentRow)

_OF_TRACE: tuple[type[Row], ...] = (
    TraceFacet,
    TraceModel,
    AnalysisRow,
    AgentRow,
    MessageRow,
    CheckpointRow,
    FailureRow,
    JudgementRow,
    RejectedSpan,
    WaitingEvent,
    TraceScope,
    FragmentRow,
    JoinKey,
    TraceRow,
)


def remove(
    tx: Connection, search: Search, project_id: int, trace_id: str, *, spans: bool = True
) -> bool:
    """Delete all of a trace, or without `spans` all else; return whether there was one."""
    search.forget_trace(tx, project_id, trace_id)
    of_trace = of_traces(tx, project_id, [trace_id])
    bodies = BODIES.c.body_id.in_(select(SPANS.c.body_id).where(of_trace))
    tx.execute(delete(BODIES).where(bodies))
    of_scopes = (TRACE_SCOPES.c.project_id == project_id, TRACE_SCOPES.c.trace_id == trace_id)
    scopes = tx.execute(select(TRACE_SCOPES.c.scope_id).where(*of_scopes)).scalars().all()
    replays = or_(REPLAYS.c.trace_id == trace_id, REPLAYS.c.source_trace_id == trace_id)
    tx.execute(delete(REPLAYS).where(REPLAYS.c.project_id == project_id, replays))
    of_source = (EXPERIMENTS.c.project_id == project_id, EXPERIMENTS.c.source_trace_id == trace_id)
    tx.execute(delete(EXPERIMENTS).where(*of_source))
    if spans:
        tx.execute(delete(SPANS).where(of_trace))
    for row in _OF_TRACE:
        rows = table(row)
        deleted = tx.execute(
            delete(rows).where(rows.c.project_id == project_id, rows.c.trace_id == trace_id)
        )
    still_used = exists().where(
        and_(
            TRACE_SCOPES.c.project_id == SCOPES.c.project_id,
            TRACE_SCOPES.c.scope_id == SCOPES.c.scope_id,
        )
    )
    tx.execute(
        delete(SCOPES).where(
            SCOPES.c.project_id == project_id, SCOPES.c.scope_id.in_(scopes), ~still_used
        )
    )
    return bool(deleted.rowcount)
