"""Read of which traces a joined trace is made."""

from collections.abc import Collection, Sequence
from typing import Any

from sqlalchemy import Connection, Row, or_, select

from agenttrace_server.store.joins import JoinedRows, TracePart
from agenttrace_server.tables import FragmentRow, TraceRow, table

TRACES, FRAGMENTS = table(TraceRow), table(FragmentRow)


def parts_of(connection: Connection, project_id: int, trace_id: str) -> list[str]:
    """Return the traces whose spans are this one's: the parts of a joined trace, else itself."""
    c = TRACES.c
    query = select(c.trace_id).where(c.project_id == project_id, c.part_of == trace_id)
    parts = connection.execute(query.order_by(c.start_time, c.trace_id)).scalars().all()
    return list(parts) or [trace_id]


def wholes_of(connection: Connection, project_id: int, trace_ids: Sequence[str]) -> dict[str, str]:
    """Return the parts of those of the traces that are joined ones, each with its whole."""
    c = TRACES.c
    query = select(c.trace_id, c.part_of).where(
        c.project_id == project_id, c.part_of.in_(trace_ids)
    )
    return dict(connection.execute(query).all())


def described(connection: Connection, project_id: int, trace_id: str) -> tuple[TracePart, ...]:
    """Return the parts of a joined trace, or of that which this one is or was a part of."""
    f, t = FRAGMENTS.c, TRACES.c
    of_part = select(f.joined_id).where(f.project_id == project_id, f.trace_id == trace_id)
    joined_id = connection.execute(of_part).scalar() or trace_id
    rows = connection.execute(
        select(f.trace_id, t.name, f.joined_to, f.reason, f.apart, t.start_time, t.span_count)
        .join(TRACES, (t.project_id == f.project_id) & (t.trace_id == f.trace_id))
        .where(f.project_id == project_id, f.joined_id == joined_id)
        .order_by(t.start_time, f.trace_id)
    ).all()
    return tuple(
        TracePart(
            trace_id=row.trace_id,
            name=row.name,
            joined_to=row.joined_to,
            reason=row.reason,
            apart=bool(row.apart),
            start_ns=row.start_time,
            span_count=row.span_count,
        )
        for row in rows
    )


def beginnings(
    connection: Connection, project_id: int, trace_ids: Sequence[str], parents: Sequence[int]
) -> list[JoinedRows]:
    """Return where the parts of a joined trace begin: the rows of each that have no parent.

    `trace_ids` and `parents` are those of the rows of a skeleton.
    """
    tops: dict[str, list[int]] = {trace_id: [] for trace_id in trace_ids}
    for row, (trace_id, parent) in enumerate(zip(trace_ids, parents, strict=True)):
        if parent < 0:
            tops[trace_id].append(row)
    ties = {row.trace_id: row for row in rows(connection, project_id, tops)}
    return [
        JoinedRows(trace_id, ties[trace_id].joined_to, ties[trace_id].reason, found)
        for trace_id, found in tops.items()
        if trace_id in ties
    ]


def rows(connection: Connection, project_id: int, trace_ids: Collection[str]) -> list[Row[Any]]:
    """Return the rows of `fragments` for these traces."""
    found: list[Row[Any]] = []
    ordered = sorted(trace_ids)
    for start in range(0, len(ordered), 500):
        c = FRAGMENTS.c
        some = c.trace_id.in_(ordered[start : start + 500])
        query = select(FRAGMENTS).where(c.project_id == project_id, some)
        found += connection.execute(query).all()
    return found


def members(connection: Connection, project_id: int, joined_ids: Collection[str]) -> list[Row[Any]]:
    """Return the rows of `fragments` that belong to these joined traces now."""
    c = FRAGMENTS.c
    if not joined_ids:
        return []
    any_of = or_(*(c.joined_id == one for one in sorted(joined_ids)))
    query = select(FRAGMENTS).where(c.project_id == project_id, any_of, c.apart == 0)
    return list(connection.execute(query).all())
