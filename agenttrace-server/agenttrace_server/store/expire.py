"""Delete traces that are older than they are to be kept."""

from sqlalchemy import Connection, delete, exists, select, text

from agenttrace_server.store.dialect import Dialect
from agenttrace_server.tables import SpanRow, TraceRow, table

TRACES, SPANS = table(TraceRow), table(SpanRow)
AT_ONCE = 50
"""Traces deleted in one transaction, so that writers hardly wait."""


def oldest(tx: Connection, dialect: Dialect, project_id: int, before_ns: int) -> list[str]:
    """Return some traces that ended before a time and that nobody else is deleting.

    Parts of joined traces go when the whole does.
    """
    c = TRACES.c
    query = select(c.trace_id).where(
        c.project_id == project_id, c.part_of == "", c.end_time < before_ns
    )
    return list(tx.execute(dialect.free(query.limit(AT_ONCE))).scalars())


def has_chunks(connection: Connection) -> bool:
    """Say whether spans are in chunks by time, which can be dropped whole."""
    if connection.dialect.name == "sqlite":
        return False
    known = "SELECT count(*) FROM pg_extension WHERE extname = 'timescaledb'"
    if not connection.execute(text(known)).scalar():
        return False
    table_name = "SELECT count(*) FROM timescaledb_information.hypertables"
    return bool(connection.execute(text(f"{table_name} WHERE hypertable_name = 'spans'")).scalar())


def drop_spans(tx: Connection, before_ns: int) -> None:
    """Drop the chunks that hold only spans of deleted traces, and such spans of the others.

    A trace may last for days: no chunk is dropped in which one that is kept has a span.
    """
    kept = tx.execute(select(TRACES.c.start_time).order_by(TRACES.c.start_time).limit(1)).scalar()
    limit = before_ns if kept is None else min(before_ns, kept)
    tx.execute(text("SELECT drop_chunks('spans', older_than => :ns ::bigint)"), {"ns": limit})
    has_trace = exists().where(
        TRACES.c.project_id == SPANS.c.project_id, TRACES.c.trace_id == SPANS.c.trace_id
    )
    tx.execute(delete(SPANS).where(SPANS.c.start_time < before_ns, ~has_trace))
