"""Add up the findings that are shown: by mode, agent, framework, model and time."""

from typing import Any

from sqlalchemy import ColumnElement, Connection, Table, and_, case, func, literal_column, select

from agenttrace_server.shown import Thresholds
from agenttrace_server.store.findings import shown
from agenttrace_server.tables import FailureRow, TraceFacet, TraceModel, TraceRow, table

TRACES, FAILURES = table(TraceRow), table(FailureRow)
FACETS, MODELS = table(TraceFacet), table(TraceModel)

MOST = 100
"""At most so many modes; of each breakdown the most frequent ones."""
MOST_POINTS = 2000

Where = list[ColumnElement[bool]]


def figures(
    connection: Connection, where: Where, thresholds: Thresholds, width: int, first: str | None
) -> dict[str, Any]:
    """Return the breakdowns over the traces that `where` selects; `width` is one point in time.

    Of those by agent, those of the agent `first` come first.

    A finding counts for the framework and the models of its trace, for each where there are
    several.
    """
    counted = [*where, shown(thresholds)]
    return {
        "failure_modes": _modes(connection, counted),
        "failures_over_time": _over_time(connection, counted, width),
        "failures_by_agent": _by_agent(connection, counted, first),
        "failures_by_framework": _by_facet(connection, counted),
        "failures_by_model": _by_model(connection, counted),
    }


def per_agent(connection: Connection, where: Where, thresholds: Thresholds) -> dict[str, int]:
    """Return how many findings each agent has."""
    agent = FAILURES.c.agent
    rows = connection.execute(
        select(agent, func.count())
        .join(TRACES, _of_trace(FAILURES))
        .where(*where, shown(thresholds), agent.is_not(None))
        .group_by(agent)
    )
    return dict(rows.all())


def per_model(connection: Connection, where: Where, thresholds: Thresholds) -> dict[str, int]:
    """Return how many findings the traces of each model have."""
    rows = connection.execute(
        select(MODELS.c.model, func.count())
        .select_from(FAILURES)
        .join(TRACES, _of_trace(FAILURES))
        .join(MODELS, _of_trace(MODELS))
        .where(*where, shown(thresholds))
        .group_by(MODELS.c.model)
    )
    return dict(rows.all())


def _modes(connection: Connection, counted: Where) -> list[dict[str, Any]]:
    f = FAILURES.c
    kind = (f.mode, f.category, f.subcategory)
    confirmed = func.sum(case((f.review == "confirmed", 1), else_=0))
    rows = connection.execute(
        select(
            *kind,
            func.count().label("count"),
            func.count(f.trace_id.distinct()).label("traces"),
            confirmed.label("confirmed"),
        )
        .join(TRACES, _of_trace(FAILURES))
        .where(*counted)
        .group_by(*kind)
        .order_by(func.count().desc(), f.mode)
        .limit(MOST)
    )
    return [dict(row) | {"confirmed": int(row["confirmed"])} for row in rows.mappings()]


def _over_time(connection: Connection, counted: Where, width: int) -> list[dict[str, Any]]:
    start = TRACES.c.start_time
    # Written out: PostgreSQL takes two parameters for two things when it compares the groups.
    bucket = (start - start % literal_column(str(int(width)))).label("start_ns")
    f = FAILURES.c
    rows = connection.execute(
        select(bucket, f.mode, f.subcategory, func.count().label("count"))
        .select_from(FAILURES)
        .join(TRACES, _of_trace(FAILURES))
        .where(*counted)
        .group_by(bucket, f.mode, f.subcategory)
        .order_by(bucket.desc(), f.mode, f.subcategory)
        .limit(MOST_POINTS)
    )
    return [
        dict(row) | {"start_ns": int(row["start_ns"])} for row in reversed(rows.mappings().all())
    ]


def _by_agent(connection: Connection, counted: Where, first: str | None) -> list[dict[str, Any]]:
    f = FAILURES.c
    return _crossed(connection, counted, f.agent, None, f.agent.is_not(None), first)


def _by_facet(connection: Connection, counted: Where) -> list[dict[str, Any]]:
    of_framework = FACETS.c.facet == "framework"
    return _crossed(connection, counted, FACETS.c.value, FACETS, of_framework)


def _by_model(connection: Connection, counted: Where) -> list[dict[str, Any]]:
    return _crossed(connection, counted, MODELS.c.model, MODELS, MODELS.c.model != "")


def _crossed(
    connection: Connection,
    counted: Where,
    name: ColumnElement[Any],
    through: Table | None,
    condition: ColumnElement[bool],
    first: str | None = None,
) -> list[dict[str, Any]]:
    """Return how often each mode was found with each name: of `first`, then the most frequent."""
    f = FAILURES.c
    query = (
        select(name.label("name"), f.mode, f.subcategory, func.count().label("count"))
        .select_from(FAILURES)
        .join(TRACES, _of_trace(FAILURES))
    )
    if through is not None:
        query = query.join(through, _of_trace(through))
    rows = connection.execute(
        query.where(*counted, condition)
        .group_by(name, f.mode, f.subcategory)
        .order_by(case((name == first, 0), else_=1), func.count().desc(), name, f.mode)
        .limit(MOST)
    )
    return [dict(row) for row in rows.mappings()]


def _of_trace(rows: Any) -> ColumnElement[bool]:
    return and_(rows.c.project_id == TRACES.c.project_id, rows.c.trace_id == TRACES.c.trace_id)
