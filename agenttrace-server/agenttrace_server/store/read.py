"""Read one trace: its spans, and what was derived from them."""

from collections.abc import Sequence
from itertools import repeat
from typing import Any

import msgspec
from sqlalchemy import Connection, CursorResult, Row, Select, and_, case, func, select

from agenttrace.accounting import Accounting
from agenttrace.models import Agent, Checkpoint, FailureAnnotation, Message, Scope, Span, Trace
from agenttrace_server.store import SpanColumns, Suspect
from agenttrace_server.store.parts import beginnings, parts_of, wholes_of
from agenttrace_server.store.reach import of_traces
from agenttrace_server.store.rows import decode_scope, row_span
from agenttrace_server.tables import (
    AgentRow,
    AnalysisRow,
    CheckpointRow,
    FailureRow,
    MessageRow,
    ScopeRow,
    SpanBody,
    SpanRow,
    table,
)

SPANS, BODIES, SCOPES = map(table, (SpanRow, SpanBody, ScopeRow))
AGENTS, MESSAGES, CHECKPOINTS = map(table, (AgentRow, MessageRow, CheckpointRow))
FAILURES, ANALYSES = table(FailureRow), table(AnalysisRow)


def trace(connection: Connection, project_id: int, trace_id: str) -> Trace | None:
    """Return the whole trace, or None."""
    found = spans(connection, project_id, trace_id)
    if not found:
        return None
    return Trace(
        trace_id,
        tuple(found),
        agents(connection, project_id, trace_id),
        messages(connection, project_id, trace_id),
        checkpoints(connection, project_id, trace_id),
    )


def span(connection: Connection, project_id: int, trace_id: str, span_id: str) -> Span | None:
    """Return one span, whole, or None."""
    return next(iter(spans(connection, project_id, trace_id, SPANS.c.span_id == span_id)), None)


def spans(connection: Connection, project_id: int, trace_id: str, *where: Any) -> list[Span]:
    """Return the spans of a trace that fulfil the conditions, whole, in start order."""
    return _spans(connection, project_id, parts_of(connection, project_id, trace_id), *where)


def spans_of(
    connection: Connection, project_id: int, trace_ids: Sequence[str]
) -> dict[str, tuple[Span, ...]]:
    """Return the spans of those of the traces that are there, each trace's in start order."""
    wholes = wholes_of(connection, project_id, trace_ids)
    parts = set(trace_ids) - set(wholes.values()) | wholes.keys()
    found: dict[str, list[Span]] = {trace_id: [] for trace_id in trace_ids}
    for span in _spans(connection, project_id, sorted(parts)):
        for trace_id in (span.trace_id, wholes.get(span.trace_id)):
            if trace_id in found:
                found[trace_id].append(span)
    return {trace_id: tuple(spans) for trace_id, spans in found.items() if spans}


def _spans(
    connection: Connection, project_id: int, trace_ids: Sequence[str], *where: Any
) -> list[Span]:
    c = SPANS.c
    result = connection.execute(
        select(SPANS, BODIES.c.body)
        .join(BODIES, and_(BODIES.c.body_id == c.body_id, BODIES.c.start_time == c.start_time))
        .where(of_traces(connection, project_id, trace_ids), *where)
        .order_by(c.start_time, c.end_time.desc(), c.span_id)
    )
    rows = _plain(result)
    scopes = _scopes(connection, project_id, {row[_SCOPE] for row in rows})
    return [row_span(row, row[-1], scopes[row[_SCOPE]]) for row in rows]


_SCOPE = list(SPANS.c).index(SPANS.c.scope_id)


def _plain(result: CursorResult[Any]) -> Sequence[tuple[Any, ...]]:
    """Return the driver's own tuples: row objects would take as long as everything else."""
    rows = result.cursor.fetchall() if result.cursor else []
    result.close()
    return rows


def _scopes(connection: Connection, project_id: int, scope_ids: set[int]) -> dict[int, Scope]:
    c = SCOPES.c
    query = select(c.scope_id, c.scope).where(c.project_id == project_id)
    rows = connection.execute(query.where(c.scope_id.in_(sorted(scope_ids)))) if scope_ids else ()
    return {scope_id: decode_scope(text) for scope_id, text in rows}


def agents(connection: Connection, project_id: int, trace_id: str) -> tuple[Agent, ...]:
    """Return the agents of a trace in order of appearance."""
    rows = connection.execute(_of(AGENTS, project_id, trace_id).order_by(AGENTS.c.position))
    return tuple(
        Agent(
            row.name,
            row.trace_id,
            row.framework or None,
            row.role,
            tuple(msgspec.json.decode(row.models)),
            tuple(msgspec.json.decode(row.tools)),
            row.spans,
            row.errors,
            row.tokens_in,
            row.tokens_out,
            row.cost_usd,
            row.first_time,
            row.last_time,
            row.busy,
        )
        for row in rows
    )


def messages(connection: Connection, project_id: int, trace_id: str) -> tuple[Message, ...]:
    """Return the messages of a trace in the order they were sent."""
    query = _of(MESSAGES, project_id, trace_id)
    rows = connection.execute(query.order_by(MESSAGES.c.sent_at, MESSAGES.c.message_no))
    return tuple(message(row) for row in rows)


def message(row: Row[Any]) -> Message:
    """Return the message of a row."""
    return Message(
        message_id=row.message_id,
        trace_id=row.trace_id,
        span_id=row.span_id,
        sender=row.sender,
        recipient=row.recipient,
        type=row.type,
        content=row.content,
        content_hash=row.content_hash,
        sent_at=row.sent_at,
        caused_by=row.caused_by,
        audience=tuple(msgspec.json.decode(row.audience)),
        tokens=row.tokens,
        provenance=row.provenance,
        confidence=row.confidence,
    )


def checkpoints(connection: Connection, project_id: int, trace_id: str) -> tuple[Checkpoint, ...]:
    """Return the checkpoints of a trace in the order they were made."""
    query = _of(CHECKPOINTS, project_id, trace_id)
    rows = connection.execute(query.order_by(CHECKPOINTS.c.created_at, CHECKPOINTS.c.position))
    return tuple(checkpoint(row) for row in rows)


def checkpoint(row: Row[Any]) -> Checkpoint:
    """Return the checkpoint of a row."""
    return Checkpoint(
        checkpoint_id=row.checkpoint_id,
        trace_id=row.trace_id,
        span_id=row.span_id,
        framework=row.framework,
        label=row.label,
        state=row.state,
        input=row.input,
        config=row.config,
        created_at=row.created_at,
        resumable=bool(row.resumable),
        why_not=row.why_not,
    )


def failures(
    connection: Connection, project_id: int, trace_id: str
) -> tuple[FailureAnnotation, ...]:
    """Return the failures of a trace, decisive ones first, then by confidence."""
    query = _of(FAILURES, project_id, trace_id)
    order = (FAILURES.c.decisive.desc(), FAILURES.c.confidence.desc(), FAILURES.c.annotation_id)
    return tuple(failure(row) for row in connection.execute(query.order_by(*order)))


def failure(row: Row[Any]) -> FailureAnnotation:
    """Return the failure annotation of a row."""
    return FailureAnnotation(
        annotation_id=row.annotation_id,
        trace_id=row.trace_id,
        mode=row.mode,
        category=row.category,
        subcategory=row.subcategory,
        classifier=row.classifier,
        span_id=row.span_id,
        message_id=row.message_id,
        agent=row.agent,
        severity=row.severity,
        confidence=row.confidence,
        evidence=row.evidence,
        explanation=row.explanation,
        decisive=bool(row.decisive),
        review=row.review,
        reviewer=row.reviewer,
        reviewed_at=row.reviewed_at,
        comment=row.comment,
        found_mode=row.found_mode,
        also_by=tuple(msgspec.json.decode(row.also_by)),
    )


def suspects(connection: Connection, project_id: int, trace_id: str) -> tuple[Suspect, ...]:
    """Return the steps that may have decided the trace's failure, the likeliest first."""
    query = select(ANALYSES.c.decisive).where(
        ANALYSES.c.project_id == project_id, ANALYSES.c.trace_id == trace_id
    )
    text = connection.execute(query).scalar()
    return () if text is None else msgspec.json.decode(text, type=tuple[Suspect, ...])


def accounting(connection: Connection, project_id: int, trace_id: str) -> Accounting | None:
    """Return which model calls the last analysis counted, or None before the first."""
    query = select(ANALYSES.c.accounting).where(
        ANALYSES.c.project_id == project_id, ANALYSES.c.trace_id == trace_id
    )
    text = connection.execute(query).scalar()
    return None if text is None else msgspec.json.decode(text, type=Accounting)


def graph(connection: Connection, project_id: int, trace_id: str) -> dict[str, Any] | None:
    """Return the agent graph stored by the last analysis, or None before the first."""
    query = select(ANALYSES.c.graph).where(
        ANALYSES.c.project_id == project_id, ANALYSES.c.trace_id == trace_id
    )
    text = connection.execute(query).scalar()
    return None if text is None else msgspec.json.decode(text, type=dict[str, Any])


def columns(connection: Connection, project_id: int, trace_id: str) -> SpanColumns | None:
    """Return the skeleton of every span of the trace, or None."""
    c = SPANS.c
    parts = parts_of(connection, project_id, trace_id)
    result = connection.execute(
        select(
            c.trace_id,
            c.span_id,
            c.parent_span_id,
            c.start_time,
            case((c.end_time > c.start_time, (c.end_time - c.start_time) // 1000), else_=0),
            c.name,
            c.kind,
            c.agent,
            c.model,
            case((c.failed == 1, 2), else_=c.status),
            func.coalesce(c.tokens_in, 0) + func.coalesce(c.tokens_out, 0),
        )
        .where(of_traces(connection, project_id, parts))
        .order_by(c.start_time, c.end_time.desc(), c.span_id)
    )
    rows = _plain(result)
    if not rows:
        return None
    traces, span_ids, parents, starts, durations, names, kinds, agent_names, *rest = zip(
        *rows, strict=True
    )
    models, statuses, tokens = rest
    owners = _owners(connection, project_id, trace_id)
    if owners:
        agent_names = tuple(map(_first, agent_names, map(owners.get, span_ids)))
    place: dict[str | None, int] = dict(zip(span_ids, range(len(rows)), strict=True))
    place[None] = -1
    first = starts[0]
    name_list, name_index = _indexed(names)
    kind_list, kind_index = _indexed(kinds)
    agent_list, agent_index = _indexed(agent_names)
    model_list, model_index = _indexed(models)
    rows_of_parents = list(map(place.get, parents, repeat(-2)))
    missing: dict[str, list[int]] = {}
    if -2 in rows_of_parents:
        for row, (parent, at) in enumerate(zip(parents, rows_of_parents, strict=True)):
            if at == -2:
                missing.setdefault(parent, []).append(row)
    joined = parts != [trace_id]
    return SpanColumns(
        trace_id=trace_id,
        start_ns=first,
        span_id=list(span_ids),
        parent=rows_of_parents,
        start_us=[(start - first) // 1000 for start in starts],
        duration_us=[int(duration) for duration in durations],
        name=name_index,
        kind=kind_index,
        agent=agent_index,
        model=model_index,
        status=list(statuses),
        tokens=list(tokens),
        names=name_list,
        kinds=kind_list,
        agents=agent_list,
        models=model_list,
        missing=missing,
        joined=beginnings(connection, project_id, traces, rows_of_parents) if joined else [],
    )


def _first(own: str | None, inherited: str | None) -> str | None:
    return own or inherited


def _owners(connection: Connection, project_id: int, trace_id: str) -> dict[str, str]:
    query = select(ANALYSES.c.owners).where(
        ANALYSES.c.project_id == project_id, ANALYSES.c.trace_id == trace_id
    )
    text = connection.execute(query).scalar()
    return {} if text is None else msgspec.json.decode(text, type=dict[str, str])


def _indexed(values: Sequence[str | None]) -> tuple[list[str], list[int]]:
    """Return the distinct values in order of appearance, and each value's place (-1: None)."""
    distinct = [value for value in dict.fromkeys(values) if value is not None]
    places: dict[str | None, int] = {value: place for place, value in enumerate(distinct)}
    places[None] = -1
    return distinct, list(map(places.__getitem__, values))


def _of(rows: Any, project_id: int, trace_id: str) -> Select[Any]:
    return select(rows).where(rows.c.project_id == project_id, rows.c.trace_id == trace_id)
