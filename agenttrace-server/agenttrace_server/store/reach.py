"""Say when the spans of traces were: where spans are in chunks by time, only those are looked into.

A year has 365 chunks; to look for a span in the index of each takes ten times as long as in one.
"""

from collections.abc import Iterable

from sqlalchemy import ColumnElement, Connection, and_, func, select, true

from agenttrace_server.tables import SpanRow, TraceRow, table

SPANS, TRACES = table(SpanRow), table(TraceRow)


def of_traces(
    connection: Connection, project_id: int, trace_ids: Iterable[str]
) -> ColumnElement[bool]:
    """The condition that a span is one of these traces', as far as they are stored by now."""
    ids, c = list(trace_ids), TRACES.c
    times = select(func.min(c.start_time), func.max(c.end_time))
    times = times.where(c.project_id == project_id, c.trace_id.in_(ids))
    first, last = connection.execute(times).one()
    belongs = and_(SPANS.c.project_id == project_id, SPANS.c.trace_id.in_(ids))
    return belongs if first is None else and_(belongs, between(connection, first, last))


def between(connection: Connection, first: int, last: int) -> ColumnElement[bool]:
    """The condition that a span started between two times, both included, if that spares work."""
    # SQLite has no chunks, and would take the index on the time for the better one.
    return (
        true() if connection.dialect.name == "sqlite" else SPANS.c.start_time.between(first, last)
    )
