"""Hand out traces to analyse, and keep what the analysis found."""

import math
import time
from collections.abc import Iterable, Sequence
from typing import Any

from msgspec.structs import astuple
from sqlalchemy import ColumnElement, Connection, and_, delete, or_, select, update

from agenttrace.models import Message
from agenttrace_server.shown import EVERYTHING, Thresholds
from agenttrace_server.store import Analysis, Change, Claimed, Size, findings
from agenttrace_server.store.dialect import Dialect
from agenttrace_server.store.joining import Joining
from agenttrace_server.store.rows import encode
from agenttrace_server.store.search import Search
from agenttrace_server.tables import (
    AgentRow,
    AnalysisRow,
    CheckpointRow,
    MessageRow,
    TraceModel,
    TraceRow,
    table,
)

TRACES, MODELS, ANALYSES = map(table, (TraceRow, TraceModel, AnalysisRow))
AGENTS, MESSAGES = table(AgentRow), table(MessageRow)
CHECKPOINTS = table(CheckpointRow)

_SECOND = 1_000_000_000
LEASE_NS = 10 * _SECOND
"""A claim that nobody holds on to is given out again after this long: who had it was killed."""
LARGE = 20_000
"""Traces of more spans are worked on apart, so that the others need not wait for them."""
ROOT_GRACE = 0.1
"""The part of the quiet time after which a trace is due whose root has arrived."""
RESTLESS = 5
"""A trace that is never quiet is due after this many quiet times …"""
RESTLESS_SPANS = 2000
"""… and again as many for each so many spans it has: all of it is analysed each time."""
ABANDONED_NS = 600 * _SECOND
"""A trace without a root that was silent this long is not running any more."""


_OF_SIZE: dict[Size, tuple[ColumnElement[bool], ...]] = {
    "any": (),
    "small": (TRACES.c.span_count <= LARGE,),
    "large": (TRACES.c.span_count > LARGE,),
}


def due(now: int, project_id: int, quiet_seconds: float, size: Size = "any") -> ColumnElement[bool]:
    """The condition that a trace has to be analysed and nobody is at it."""
    quiet = int(quiet_seconds * _SECOND)
    patience = RESTLESS * quiet * (1 + TRACES.c.span_count / RESTLESS_SPANS)
    return and_(
        *_OF_SIZE[size],
        TRACES.c.project_id == project_id,
        TRACES.c.analysed_version < TRACES.c.version,
        TRACES.c.claimed_until < now,
        or_(
            TRACES.c.written_at <= now - quiet,
            and_(TRACES.c.head_rank == 0, TRACES.c.written_at <= now - int(quiet * ROOT_GRACE)),
            TRACES.c.dirty_since <= now - patience,
        ),
    )


def claim(
    tx: Connection,
    dialect: Dialect,
    project_id: int,
    limit: int,
    quiet_seconds: float,
    size: Size = "any",
) -> list[Claimed]:
    """Claim traces that are due, the longest silent first."""
    now = time.time_ns()
    query = select(TRACES.c.trace_id, TRACES.c.version)
    query = query.where(due(now, project_id, quiet_seconds, size))
    query = query.order_by(TRACES.c.written_at).limit(limit)
    claimed = []
    for trace_id, version in tx.execute(dialect.free(query)).all():
        tx.execute(
            update(TRACES)
            .where(TRACES.c.project_id == project_id, TRACES.c.trace_id == trace_id)
            .values(claimed_until=now + LEASE_NS)
        )
        claimed.append(Claimed(trace_id, version))
    return claimed


def hold(tx: Connection, project_id: int, claims: Iterable[Claimed], seconds: float) -> None:
    """Keep claims that were not saved yet for so long from now."""
    tx.execute(
        update(TRACES)
        .where(
            TRACES.c.project_id == project_id,
            TRACES.c.trace_id.in_([claimed.trace_id for claimed in claims]),
            TRACES.c.claimed_until > 0,
        )
        .values(claimed_until=time.time_ns() + int(seconds * _SECOND))
    )


def save(
    tx: Connection,
    dialect: Dialect,
    search: Search,
    project_id: int,
    claimed: Claimed,
    analysis: Analysis,
    thresholds: Thresholds = EVERYTHING,
) -> None:
    """Replace what was derived from a trace, and join it with the fragments of its run.

    Nothing happens where the trace was deleted, or a later version of it was saved.
    """
    trace_id = claimed.trace_id
    joining = Joining(tx, dialect, search, project_id) if analysis.fragment else None
    state = tx.execute(
        dialect.locked(
            select(TRACES.c.version, TRACES.c.analysed_version).where(
                TRACES.c.project_id == project_id, TRACES.c.trace_id == trace_id
            )
        )
    ).first()
    if state is None or state.analysed_version > claimed.version:
        return
    if joining is not None and analysis.fragment is not None:
        joining.keep(analysis.fragment)
    _replace(
        tx, dialect, ANALYSES, project_id, trace_id, [_analysis_row(project_id, claimed, analysis)]
    )
    _replace(tx, dialect, AGENTS, project_id, trace_id, _agent_rows(project_id, claimed, analysis))
    _replace(
        tx,
        dialect,
        CHECKPOINTS,
        project_id,
        trace_id,
        _checkpoint_rows(project_id, claimed, analysis),
    )
    _save_messages(tx, dialect, search, project_id, trace_id, analysis.messages)
    findings.save(tx, dialect, project_id, trace_id, analysis.failures)
    values: dict[str, Any] = {
        "agents": encode(list(dict.fromkeys(agent.name for agent in analysis.agents))),
        "message_count": len({message.message_id for message in analysis.messages}),
        "failure_count": findings.count(tx, project_id, trace_id, thresholds),
        "analysed_version": min(claimed.version, state.version),
        "claimed_until": 0,
        "dirty_since": time.time_ns(),
        "cursor": dialect.take(tx, "cursor", 1),
    }
    # Where spans came meanwhile, another analysis is due.
    if analysis.used is not None and claimed.version == state.version:
        models = [(project_id, trace_id, *astuple(used)) for used in analysis.used]
        _replace(tx, dialect, MODELS, project_id, trace_id, models)
        costs = [used.cost_usd for used in analysis.used if used.cost_usd is not None]
        values["tokens_in"] = sum(used.tokens_in for used in analysis.used)
        values["tokens_out"] = sum(used.tokens_out for used in analysis.used)
        values["cost_usd"] = math.fsum(costs) if costs else None
    tx.execute(
        update(TRACES)
        .where(TRACES.c.project_id == project_id, TRACES.c.trace_id == trace_id)
        .values(values)
    )


def _replace(
    tx: Connection,
    dialect: Dialect,
    into: Any,
    project_id: int,
    trace_id: str,
    rows: Sequence[Sequence[Any]],
) -> None:
    """Make these the trace's only rows of a table."""
    tx.execute(delete(into).where(into.c.project_id == project_id, into.c.trace_id == trace_id))
    dialect.add(tx, into, rows)


def _analysis_row(project_id: int, claimed: Claimed, analysis: Analysis) -> tuple[Any, ...]:
    return (
        project_id,
        claimed.trace_id,
        encode(analysis.graph),
        encode(analysis.owners),
        encode(analysis.decisive),
        encode(analysis.accounting),
    )


def _agent_rows(project_id: int, claimed: Claimed, analysis: Analysis) -> list[tuple[Any, ...]]:
    return [
        (
            project_id,
            agent.name,
            agent.framework or "",
            claimed.trace_id,
            position,
            agent.role,
            encode(agent.models),
            encode(agent.tools),
            agent.spans,
            agent.errors,
            agent.tokens_in,
            agent.tokens_out,
            agent.cost_usd,
            agent.first_ns,
            agent.last_ns,
        )
        for position, agent in enumerate(analysis.agents)
    ]


def _checkpoint_rows(
    project_id: int, claimed: Claimed, analysis: Analysis
) -> list[tuple[Any, ...]]:
    return [
        (
            project_id,
            claimed.trace_id,
            checkpoint.checkpoint_id,
            position,
            checkpoint.span_id,
            checkpoint.framework,
            checkpoint.label,
            checkpoint.state,
            checkpoint.input,
            checkpoint.config,
            checkpoint.created_at,
            int(checkpoint.resumable),
            checkpoint.why_not,
        )
        for position, checkpoint in enumerate(analysis.checkpoints)
    ]


def _save_messages(
    tx: Connection,
    dialect: Dialect,
    search: Search,
    project_id: int,
    trace_id: str,
    messages: Iterable[Message],
) -> None:
    """Write only what differs: another analysis mostly finds the same, and indexing is dear."""
    of_trace = and_(MESSAGES.c.project_id == project_id, MESSAGES.c.trace_id == trace_id)
    stored = {row.message_id: row for row in tx.execute(select(MESSAGES).where(of_trace))}
    found = {
        message.message_id: _message_row(project_id, trace_id, message) for message in messages
    }
    gone = [
        row for key, row in stored.items() if found.get(key) is None or found[key] != tuple(row[1:])
    ]
    search.forget_messages(tx, [(row.message_no, row.content) for row in gone])
    for start in range(0, len(gone), 500):
        numbers = [row.message_no for row in gone[start : start + 500]]
        tx.execute(delete(MESSAGES).where(MESSAGES.c.message_no.in_(numbers)))
    kept = stored.keys() - {row.message_id for row in gone}
    new = [row for key, row in found.items() if key not in kept]
    first = dialect.take(tx, "message", len(new))
    numbered = [(first + n, *row) for n, row in enumerate(new)]
    dialect.insert(tx, MESSAGES, numbered)
    search.add_messages(tx, [(row[0], row[8]) for row in numbered])


def _message_row(project_id: int, trace_id: str, message: Message) -> tuple[Any, ...]:
    return (
        project_id,
        trace_id,
        message.message_id,
        message.span_id,
        message.sender,
        message.recipient,
        message.type,
        message.content,
        message.content_hash,
        message.sent_at,
        message.caused_by,
        encode(message.audience),
        message.tokens,
        message.provenance,
        message.confidence,
    )


def changes(connection: Connection, project_id: int, after: int, limit: int) -> list[Change]:
    """Return what changed since cursor `after`, oldest first."""
    c = TRACES.c
    rows = connection.execute(
        select(c.cursor, c.trace_id, c.version, c.analysed_version >= c.version)
        .where(c.project_id == project_id, c.cursor > after)
        .order_by(c.cursor)
        .limit(limit)
    )
    return [Change(cursor, trace, version, bool(done)) for cursor, trace, version, done in rows]


def settle(tx: Connection, dialect: Dialect) -> None:
    """Give a status to traces whose root never came and that have been silent for long."""
    now = time.time_ns()
    rows = tx.execute(
        select(TRACES.c.project_id, TRACES.c.trace_id, TRACES.c.error_count).where(abandoned(now))
    ).all()
    for project_id, trace_id, errors in rows:
        tx.execute(
            update(TRACES)
            .where(TRACES.c.project_id == project_id, TRACES.c.trace_id == trace_id)
            .values(status="error" if errors else "ok", cursor=dialect.take(tx, "cursor", 1))
        )


def abandoned(now: int) -> ColumnElement[bool]:
    """The condition that a trace has had no root and no span for long."""
    return and_(TRACES.c.status == "running", TRACES.c.written_at < now - ABANDONED_NS)
