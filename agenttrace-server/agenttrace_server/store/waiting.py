"""Keep log events until the spans they belong to arrive."""

import time
from collections.abc import Iterable, Mapping, Sequence

import msgspec
from sqlalchemy import Connection, delete, select, tuple_

from agenttrace.models import SpanEvent
from agenttrace_server.store import SpanKey
from agenttrace_server.store.dialect import Dialect
from agenttrace_server.store.rows import content_id, encode
from agenttrace_server.tables import WaitingEvent, table
from agenttrace_server.values import loads, mark

WAITING = table(WaitingEvent)
KEPT_NS = 24 * 3600 * 1_000_000_000


def keep(
    tx: Connection,
    dialect: Dialect,
    project_id: int,
    events: Mapping[SpanKey, Sequence[SpanEvent]],
) -> None:
    """Add events, each once, and forget those whose spans never came."""
    now = time.time_ns()
    rows = []
    for (trace_id, span_id), listed in events.items():
        for event in listed:
            text = encode([event.name, event.time_ns, mark(event.attributes)])
            rows.append((project_id, trace_id, span_id, content_id(text), now, text))
    tx.execute(delete(WAITING).where(WAITING.c.at < now - KEPT_NS))
    dialect.add(tx, WAITING, rows)


def kept(
    connection: Connection, dialect: Dialect, project_id: int, spans: Iterable[SpanKey]
) -> dict[SpanKey, list[SpanEvent]]:
    """Return the events of these spans."""
    # There are hardly ever any: one look spares a join for each batch of spans.
    if connection.execute(select(WAITING.c.at).limit(1)).first() is None:
        return {}
    listed, item = dialect.each(spans)
    c = WAITING.c
    query = select(c.trace_id, c.span_id, c.event).where(
        tuple_(c.trace_id, c.span_id).in_(select(item(0), item(1)).select_from(listed))
    )
    found: dict[SpanKey, list[SpanEvent]] = {}
    for trace_id, span_id, text in connection.execute(query.where(c.project_id == project_id)):
        event = msgspec.convert(loads(text), tuple[str, int, dict])  # type: ignore[type-arg]
        found.setdefault((trace_id, span_id), []).append(SpanEvent(*event))
    for events in found.values():
        events.sort(key=lambda event: (event.time_ns, event.name))
    return found


def drop(tx: Connection, project_id: int, spans: Iterable[SpanKey]) -> None:
    """Delete the events of these spans."""
    c = WAITING.c
    for trace_id, span_id in spans:
        of_span = (c.project_id == project_id, c.trace_id == trace_id, c.span_id == span_id)
        tx.execute(delete(WAITING).where(*of_span))
