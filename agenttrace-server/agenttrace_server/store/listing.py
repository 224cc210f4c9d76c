"""List traces: filters, order and pages, all of it in the database."""

from collections.abc import Sequence
from typing import Any

import msgspec
from msgspec.structs import replace
from sqlalchemy import ColumnElement, Connection, Row, and_, func, literal, or_, select, tuple_

from agenttrace.errors import TraceNotFound
from agenttrace_server.shown import EVERYTHING, Thresholds
from agenttrace_server.store import Page, SortKey, TraceFilter, TraceQuery, TraceSummary
from agenttrace_server.store.findings import shown
from agenttrace_server.store.search import Search
from agenttrace_server.tables import AgentRow, FailureRow, TraceFacet, TraceRow, table

TRACES, FACETS, AGENTS, FAILURES = map(table, (TraceRow, TraceFacet, AgentRow, FailureRow))

_SORTS: dict[SortKey, ColumnElement[Any]] = {
    "start": TRACES.c.start_time,
    "duration": TRACES.c.duration,
    "spans": TRACES.c.span_count,
    "messages": TRACES.c.message_count,
    "failures": TRACES.c.failure_count,
    "tokens": TRACES.c.tokens_in + TRACES.c.tokens_out,
    "cost": func.coalesce(TRACES.c.cost_usd, 0.0),
}


def page(
    connection: Connection,
    project_id: int,
    search: Search,
    query: TraceQuery,
    thresholds: Thresholds = EVERYTHING,
) -> Page:
    """Return one page of traces; `failure` means those that are shown.

    Raises `TraceNotFound` where there is none to begin behind.
    """
    conditions = conditions_of(connection, project_id, search, query, thresholds)
    total = connection.execute(
        select(func.count()).select_from(TRACES).where(*conditions)
    ).scalar_one()
    keys = list(dict.fromkeys((_SORTS[query.sort], TRACES.c.start_time, TRACES.c.trace_id)))
    if query.after is not None:
        conditions.append(_behind(connection, project_id, keys, query.after, query.descending))
    rows = connection.execute(
        select(TRACES)
        .where(*conditions)
        .order_by(*(key.desc() if query.descending else key for key in keys))
        .limit(query.limit)
        .offset(query.offset)
    )
    items = [summary(row) for row in rows]
    stale = _stale(connection, project_id, [item.trace_id for item in items if item.parts])
    items = [replace(i, analysed=False) if i.trace_id in stale else i for i in items]
    return Page(tuple(items), total, query.offset, query.limit)


def _behind(
    connection: Connection,
    project_id: int,
    keys: Sequence[ColumnElement[Any]],
    trace_id: str,
    descending: bool,
) -> ColumnElement[bool]:
    """The condition that a trace comes after this one in the order of the keys."""
    query = select(*keys).where(TRACES.c.project_id == project_id, TRACES.c.trace_id == trace_id)
    place = connection.execute(query).first()
    if place is None:
        raise TraceNotFound(f"There is no trace {trace_id!r} to begin behind")
    there = tuple_(*map(literal, place))
    return tuple_(*keys) < there if descending else tuple_(*keys) > there


def one(connection: Connection, project_id: int, trace_id: str) -> TraceSummary | None:
    """Return the trace's row of the list, or None."""
    row = connection.execute(
        select(TRACES).where(TRACES.c.project_id == project_id, TRACES.c.trace_id == trace_id)
    ).first()
    if row is None:
        return None
    found = summary(row)
    if found.parts and _stale(connection, project_id, [trace_id]):
        return replace(found, analysed=False)
    return found


def _stale(connection: Connection, project_id: int, joined: list[str]) -> set[str]:
    """Return which joined traces have a part whose newest spans were not looked at yet."""
    if not joined:
        return set()
    c = TRACES.c
    query = select(c.part_of).where(c.project_id == project_id, c.part_of.in_(joined))
    return set(connection.execute(query.where(c.analysed_version < c.version)).scalars())


def summary(row: Row[Any]) -> TraceSummary:
    """Return the summary of a row of `traces`."""
    return TraceSummary(
        trace_id=row.trace_id,
        name=row.name,
        service_name=row.service_name,
        frameworks=tuple(msgspec.json.decode(row.frameworks)),
        status=row.status,
        start_ns=row.start_time,
        end_ns=row.end_time,
        span_count=row.span_count,
        error_count=row.error_count,
        agents=tuple(msgspec.json.decode(row.agents)),
        message_count=row.message_count,
        failure_count=row.failure_count,
        tokens_in=row.tokens_in,
        tokens_out=row.tokens_out,
        cost_usd=row.cost_usd,
        session=row.session,
        replay_of=row.replay_of,
        replay_id=row.replay_id,
        analysed=row.analysed_version >= row.version,
        version=row.version,
        parts=row.parts,
        part_of=row.part_of or None,
    )


def conditions_of(
    connection: Connection,
    project_id: int,
    search: Search,
    query: TraceFilter,
    thresholds: Thresholds,
) -> list[ColumnElement[bool]]:
    """Return what is true of the rows of `traces` that are wanted."""
    conditions = [TRACES.c.project_id == project_id]
    conditions.append(TRACES.c.part_of == "" if query.joined else TRACES.c.parts == 0)
    if query.service is not None:
        conditions.append(_with_facet(project_id, "service", query.service))
    if query.framework is not None:
        conditions.append(_with_facet(project_id, "framework", query.framework))
    if query.agent is not None:
        named = and_(AGENTS.c.project_id == project_id, AGENTS.c.name == query.agent)
        conditions.append(TRACES.c.trace_id.in_(select(AGENTS.c.trace_id).where(named)))
    if query.status is not None:
        conditions.append(TRACES.c.status == query.status)
    if query.failure is not None:
        kinds = (FAILURES.c.mode, FAILURES.c.category, FAILURES.c.subcategory)
        failed = and_(
            FAILURES.c.project_id == project_id,
            shown(thresholds),
            or_(*(kind == query.failure for kind in kinds)),
        )
        conditions.append(TRACES.c.trace_id.in_(select(FAILURES.c.trace_id).where(failed)))
    if query.since_ns is not None:
        conditions.append(TRACES.c.start_time >= query.since_ns)
    if query.until_ns is not None:
        conditions.append(TRACES.c.start_time < query.until_ns)
    if query.q is not None and query.q.strip():
        conditions.append(search.condition(connection, query.q))
    return conditions


def _with_facet(project_id: int, facet: str, value: str) -> ColumnElement[bool]:
    labelled = and_(
        FACETS.c.project_id == project_id, FACETS.c.facet == facet, FACETS.c.value == value
    )
    return TRACES.c.trace_id.in_(select(FACETS.c.trace_id).where(labelled))
