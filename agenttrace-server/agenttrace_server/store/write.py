"""Write spans: once each, however often and in whatever order they come."""

import time
from collections.abc import Sequence
from typing import Any

import msgspec
from sqlalchemy import ColumnElement, Connection, and_, delete, false, or_, select, tuple_

from agenttrace_server.store import SpanKey
from agenttrace_server.store.batch import Batch, Incoming
from agenttrace_server.store.counting import (
    COST,
    END,
    FRAMEWORK,
    PARENT,
    START,
    TOKENS_IN,
    TOKENS_OUT,
    TRACES,
    TraceState,
    leaves,
    uses_tokens,
)
from agenttrace_server.store.dialect import Dialect
from agenttrace_server.store.reach import between
from agenttrace_server.store.rows import decode_body, encode
from agenttrace_server.store.search import Search
from agenttrace_server.tables import (
    ScopeRow,
    SpanBody,
    SpanRow,
    TraceFacet,
    TraceScope,
    table,
)

SPANS, BODIES = table(SpanRow), table(SpanBody)
SCOPES, TRACE_SCOPES, FACETS = table(ScopeRow), table(TraceScope), table(TraceFacet)


def write(tx: Connection, dialect: Dialect, search: Search, batch: Batch) -> None:
    """Write what is new of a batch and bring its traces up to date, in the caller's transaction."""
    dialect.turn(tx)
    states = _states(tx, dialect, batch)
    within = _times(tx, states)
    stored = _stored(tx, dialect, batch, states, within)
    outdated = [row for key, row in stored.items() if _replaces(tx, batch.incoming[key], row)]
    kept = stored.keys() - {(row[1], row[2]) for row in outdated}
    fresh = [incoming for key, incoming in batch.incoming.items() if key not in kept]
    if not fresh:
        return
    _remove(tx, search, outdated)
    touched: dict[str, TraceState] = {}
    labels: set[tuple[str, str, str]] = set()
    for incoming in fresh:
        row, service = incoming.row, incoming.service_name
        trace_id, framework = row[1], row[FRAMEWORK]
        state = touched.get(trace_id)
        if state is None:
            state = states.get(trace_id) or TraceState(batch.project_id, trace_id)
            touched[trace_id] = state
        state.add(row, service)
        state.note(incoming)
        labels.add((trace_id, "service", service))
        if framework:
            labels.add((trace_id, "framework", framework))
    _count_tokens(tx, dialect, fresh, touched, states, within)
    dialect.add(tx, SCOPES, list(batch.scopes.values()))
    dialect.add(tx, TRACE_SCOPES, list(batch.trace_scopes()))
    dialect.add(tx, FACETS, _label(touched, labels))
    body = dialect.take(tx, "body", len(fresh))
    dialect.insert(tx, SPANS, [(*item.row, body + n) for n, item in enumerate(fresh)])
    dialect.insert(
        tx,
        BODIES,
        [(body + n, i.row[3], *i.row[:3], i.body) for n, i in enumerate(fresh)],
    )
    for trace_id in {old[1] for old in outdated}:
        _recount(tx, touched[trace_id])
    _finish(tx, dialect, list(touched.values()))


def _replaces(tx: Connection, incoming: Incoming, row: Sequence[Any]) -> bool:
    """Whether a span is a newer version of the one that is stored."""
    if incoming.row[END] != row[END] or not incoming.events:
        return bool(incoming.row[END] > row[END])
    body = tx.execute(select(BODIES.c.body).where(BODIES.c.body_id == row[-1])).scalar_one()
    return incoming.events > len(decode_body(body).events)


def _states(tx: Connection, dialect: Dialect, batch: Batch) -> dict[str, TraceState]:
    listed, item = dialect.each([[trace_id] for trace_id in {key[0] for key in batch.incoming}])
    query = select(TRACES).where(TRACES.c.trace_id.in_(select(item(0)).select_from(listed)))
    query = query.where(TRACES.c.project_id == batch.project_id).order_by(TRACES.c.trace_id)
    rows = tx.execute(dialect.locked(query))
    return {row.trace_id: TraceState(*row) for row in rows}


def _times(tx: Connection, states: dict[str, TraceState]) -> ColumnElement[bool]:
    """The condition that a span started while one of the stored traces ran."""
    if not states:
        return false()
    first = min(state.start_time for state in states.values())
    return between(tx, first, max(state.end_time for state in states.values()))


def _stored(
    tx: Connection,
    dialect: Dialect,
    batch: Batch,
    states: dict[str, TraceState],
    within: ColumnElement[bool],
) -> dict[SpanKey, Sequence[Any]]:
    """Return the rows of those spans of the batch that are stored already."""
    keys = [key for key in batch.incoming if key[0] in states]
    rows = _spans(tx, dialect, batch.project_id, keys, within)
    return {(row[1], row[2]): row for row in rows}


def _spans(
    tx: Connection, dialect: Dialect, project_id: int, keys: Sequence[SpanKey], *where: Any
) -> Sequence[Sequence[Any]]:
    if not keys:
        return []
    listed, item = dialect.each(keys)
    # Not a join: SQLite would go through the list once for every span of the project.
    wanted = tuple_(SPANS.c.trace_id, SPANS.c.span_id).in_(
        select(item(0), item(1)).select_from(listed)
    )
    query = select(SPANS).where(SPANS.c.project_id == project_id, wanted, *where)
    return tx.execute(query).all()


def _remove(tx: Connection, search: Search, outdated: Sequence[Sequence[Any]]) -> None:
    """Delete versions of spans that newer ones replace."""
    if not outdated:
        return
    search.forget_spans(tx, {row[1] for row in outdated}, {row[-1] for row in outdated})
    for row in outdated:
        tx.execute(delete(BODIES).where(BODIES.c.body_id == row[-1]))
        tx.execute(
            delete(SPANS).where(
                SPANS.c.project_id == row[0],
                SPANS.c.trace_id == row[1],
                SPANS.c.span_id == row[2],
                SPANS.c.start_time == row[START],
            )
        )


def _label(
    touched: dict[str, TraceState], labels: set[tuple[str, str, str]]
) -> list[tuple[Any, ...]]:
    """Put services and frameworks on the traces; return the facets that are new."""
    facets: list[tuple[Any, ...]] = []
    for trace_id, facet, value in sorted(labels):
        state = touched[trace_id]
        listed = msgspec.json.decode(state.services if facet == "service" else state.frameworks)
        if value not in listed:
            text = encode(sorted([*listed, value]))
            if facet == "service":
                state.services = text
            else:
                state.frameworks = text
            facets.append((state.project_id, facet, value, trace_id))
    return facets


def _count_tokens(
    tx: Connection,
    dialect: Dialect,
    fresh: Sequence[Incoming],
    touched: dict[str, TraceState],
    states: dict[str, TraceState],
    within: ColumnElement[bool],
) -> None:
    """Add what new LLM spans used, leaving out those that have another one directly beneath.

    The last analysis looks further than one level down; see `derive.save`.
    """
    users = {(i.row[1], i.row[2]): i.row for i in fresh if uses_tokens(i.row)}
    if not users:
        return
    project_id = fresh[0].row[0]
    # Only a trace that was stored before can have parents or children of these in the store.
    known = sorted(key for key in users if key[0] in states)
    parents = {(row[1], row[PARENT]) for row in users.values() if row[PARENT] is not None}
    elsewhere = sorted(key for key in parents - users.keys() if key[0] in states)
    stored_parents = _spans(tx, dialect, project_id, elsewhere, within, *_IS_USER)
    above = {key for key in parents if key in users}
    above |= _having_children(tx, dialect, project_id, known, within)
    for key, row in users.items():
        if key not in above:
            touched[row[1]].use(row[TOKENS_IN], row[TOKENS_OUT], row[COST])
    counted = {(row[1], row[2]): row for row in stored_parents}
    for key in _having_children(tx, dialect, project_id, sorted(counted), within):
        del counted[key]
    for parent in counted.values():
        touched[parent[1]].unuse(parent[TOKENS_IN], parent[TOKENS_OUT], parent[COST])


_IS_USER = (
    SPANS.c.kind == "llm",
    or_(
        SPANS.c.tokens_in.is_not(None),
        SPANS.c.tokens_out.is_not(None),
        SPANS.c.cost_usd.is_not(None),
    ),
)


def _having_children(
    tx: Connection,
    dialect: Dialect,
    project_id: int,
    keys: Sequence[SpanKey],
    within: ColumnElement[bool],
) -> set[SpanKey]:
    """Return which of these spans have a stored LLM span directly beneath that reports usage."""
    if not keys:
        return set()
    listed, item = dialect.each(keys)
    wanted = tuple_(SPANS.c.trace_id, SPANS.c.parent_span_id).in_(
        select(item(0), item(1)).select_from(listed)
    )
    query = select(SPANS.c.trace_id, SPANS.c.parent_span_id)
    rows = tx.execute(query.where(SPANS.c.project_id == project_id, wanted, within, *_IS_USER))
    return {(trace_id, parent) for trace_id, parent in rows}


def _recount(tx: Connection, state: TraceState) -> None:
    """Count a trace's spans anew, after one of them was replaced."""
    rows = tx.execute(
        select(SPANS, SCOPES.c.service_name)
        .join(
            SCOPES,
            and_(SCOPES.c.project_id == SPANS.c.project_id, SCOPES.c.scope_id == SPANS.c.scope_id),
        )
        .where(
            SPANS.c.project_id == state.project_id,
            SPANS.c.trace_id == state.trace_id,
            between(tx, state.start_time, state.end_time),
        )
    ).all()
    blank = TraceState(state.project_id, state.trace_id)
    for name in (
        "start_time", "end_time", "span_count", "error_count", "tokens_in", "tokens_out",
        "cost_usd", "head_rank",
    ):  # fmt: skip
        setattr(state, name, getattr(blank, name))
    users = {row[2] for row in rows if uses_tokens(row)}
    counted = leaves({row[2]: row[PARENT] for row in rows}, users)
    for row in rows:
        state.add(row, row[-1])
        if row[2] in counted:
            state.use(row[TOKENS_IN], row[TOKENS_OUT], row[COST])


def _finish(tx: Connection, dialect: Dialect, states: Sequence[TraceState]) -> None:
    """Store the traces under a new version and tell that they changed."""
    now = time.time_ns()
    cursor = dialect.take(tx, "cursor", len(states))
    for number, state in enumerate(states):
        if state.analysed_version >= state.version:
            state.dirty_since = now
        if state.head_rank:
            state.status = "running"
        state.version += 1
        state.written_at = now
        state.cursor = cursor + number
    dialect.put(tx, TRACES, [state.row() for state in states])
