"""Add up traces: counts, tokens, cost, latency, failures, over time and per whoever it was."""

from typing import Any

from sqlalchemy import ColumnElement, Connection, and_, case, func, select

from agenttrace_server.shown import EVERYTHING, Thresholds
from agenttrace_server.store import TraceFilter, failure_statistics
from agenttrace_server.store.listing import conditions_of
from agenttrace_server.store.search import Search
from agenttrace_server.tables import (
    AgentRow,
    TraceFacet,
    TraceModel,
    TraceRow,
    table,
)

TRACES, AGENTS, MODELS = table(TraceRow), table(AgentRow), table(TraceModel)
FACETS = table(TraceFacet)

BUCKETS = 60
"""At most so many points over time."""
MOST = 100
"""At most so many agents, models, services, the most frequent ones."""
_WIDTHS = [
    seconds * 1_000_000_000
    for seconds in (60, 300, 900, 3600, 4 * 3600, 24 * 3600, 7 * 24 * 3600, 30 * 24 * 3600)
]


def stats(
    connection: Connection,
    project_id: int,
    search: Search,
    wanted: TraceFilter,
    thresholds: Thresholds = EVERYTHING,
) -> dict[str, Any]:
    """Return the figures of the traces that are wanted; an agent they are wanted for comes first.

    Latencies are milliseconds of traces that are not running; tokens and cost are those of leaf
    LLM spans; agents, models and failures are those found by the last analysis of each trace, of
    failures those that are shown.
    """
    c = TRACES.c
    where = conditions_of(connection, project_id, search, wanted, thresholds)
    total = connection.execute(
        select(
            func.count().label("traces"),
            _count(c.status == "running").label("running"),
            _count(c.status == "error").label("errors"),
            *(
                func.coalesce(func.sum(c[column]), 0).label(name)
                for name, column in (
                    ("spans", "span_count"),
                    ("messages", "message_count"),
                    ("failures", "failure_count"),
                    ("tokens_in", "tokens_in"),
                    ("tokens_out", "tokens_out"),
                )
            ),
            func.sum(c.cost_usd).label("cost_usd"),
            func.min(c.start_time).label("first"),
            func.max(c.start_time).label("last"),
        ).where(*where)
    ).one()
    first = wanted.since_ns if wanted.since_ns is not None else total.first or 0
    last = wanted.until_ns if wanted.until_ns is not None else total.last or 0
    width = next((w for w in _WIDTHS if (last - first) // w < BUCKETS), _WIDTHS[-1])
    return {
        **{
            name: _number(getattr(total, name))
            for name in (
                "traces",
                "running",
                "errors",
                "spans",
                "messages",
                "failures",
                "tokens_in",
                "tokens_out",
            )
        },
        "cost_usd": total.cost_usd,
        "latency_ms": _latency(connection, where),
        "bucket_ns": width,
        "over_time": _over_time(connection, where, width),
        "agents": _agents(connection, where, thresholds, wanted.agent),
        "models": _models(connection, where, thresholds),
        "frameworks": _facets(connection, where, "framework"),
        "services": _facets(connection, where, "service"),
        **failure_statistics.figures(connection, where, thresholds, width, wanted.agent),
    }


def _latency(connection: Connection, where: list[ColumnElement[bool]]) -> dict[str, float | None]:
    done = [*where, TRACES.c.status != "running"]
    count = connection.execute(select(func.count()).select_from(TRACES).where(*done)).scalar_one()
    parts = {"p50": 0.5, "p90": 0.9, "p95": 0.95, "p99": 0.99, "max": 1.0}
    places = {name: 1 + max(0, min(count - 1, int(part * count))) for name, part in parts.items()}
    place = func.row_number().over(order_by=TRACES.c.duration).label("place")
    placed = select(TRACES.c.duration, place).where(*done).subquery()
    query = select(placed.c.place, placed.c.duration).where(placed.c.place.in_(places.values()))
    found = dict(connection.execute(query).all())
    return {name: found[at] / 1e6 if at in found else None for name, at in places.items()}


def _over_time(
    connection: Connection, where: list[ColumnElement[bool]], width: int
) -> list[dict[str, Any]]:
    c = TRACES.c
    bucket = (c.start_time - c.start_time % width).label("start_ns")
    rows = connection.execute(
        select(
            bucket,
            func.count().label("traces"),
            _count(c.status == "error").label("errors"),
            func.sum(c.failure_count).label("failures"),
            func.sum(c.tokens_in + c.tokens_out).label("tokens"),
            func.sum(c.cost_usd).label("cost_usd"),
            func.avg(c.duration).label("duration"),
        )
        .where(*where)
        .group_by(bucket)
        .order_by(bucket.desc())
        .limit(10 * BUCKETS)
    )
    return [
        {
            "start_ns": int(row.start_ns),
            "traces": row.traces,
            "errors": _number(row.errors),
            "failures": _number(row.failures),
            "tokens": _number(row.tokens),
            "cost_usd": row.cost_usd,
            "latency_ms": float(row.duration) / 1e6,
        }
        for row in reversed(rows.all())
    ]


def _agents(
    connection: Connection,
    where: list[ColumnElement[bool]],
    thresholds: Thresholds,
    first: str | None,
) -> list[dict[str, Any]]:
    a = AGENTS.c
    failures = failure_statistics.per_agent(connection, where, thresholds)
    rows = connection.execute(
        select(
            a.name,
            func.count(a.trace_id.distinct()).label("traces"),
            func.sum(a.spans).label("spans"),
            func.sum(a.errors).label("errors"),
            func.sum(a.tokens_in).label("tokens_in"),
            func.sum(a.tokens_out).label("tokens_out"),
            func.sum(a.cost_usd).label("cost_usd"),
            func.sum(a.busy).label("busy_ns"),
        )
        .join(TRACES, _of_trace(AGENTS))
        .where(*where)
        .group_by(a.name)
        .order_by(case((a.name == first, 0), else_=1), func.count().desc(), a.name)
        .limit(MOST)
    )
    return [
        {
            "agent": row.name,
            "failures": failures.get(row.name, 0),
            "busy_ms": round(int(row.busy_ns) / 1e6, 3),
            **_figures(row),
        }
        for row in rows
    ]


def _models(
    connection: Connection, where: list[ColumnElement[bool]], thresholds: Thresholds
) -> list[dict[str, Any]]:
    m = MODELS.c
    failures = failure_statistics.per_model(connection, where, thresholds)
    rows = connection.execute(
        select(
            m.model,
            func.count().label("traces"),
            func.sum(m.calls).label("calls"),
            func.sum(m.errors).label("errors"),
            func.sum(m.tokens_in).label("tokens_in"),
            func.sum(m.tokens_out).label("tokens_out"),
            func.sum(m.cost_usd).label("cost_usd"),
        )
        .join(TRACES, _of_trace(MODELS))
        .where(*where, m.model != "")
        .group_by(m.model)
        .order_by(func.sum(m.calls).desc(), m.model)
        .limit(MOST)
    )
    return [
        {"model": row.model, **_figures(row), "failures": failures.get(row.model, 0)}
        for row in rows
    ]


def _facets(
    connection: Connection, where: list[ColumnElement[bool]], facet: str
) -> list[dict[str, Any]]:
    c = TRACES.c
    rows = connection.execute(
        select(
            FACETS.c.value,
            func.count().label("traces"),
            _count(c.status == "error").label("errors"),
            func.sum(c.failure_count).label("failures"),
            func.sum(c.tokens_in).label("tokens_in"),
            func.sum(c.tokens_out).label("tokens_out"),
            func.sum(c.cost_usd).label("cost_usd"),
        )
        .join(TRACES, _of_trace(FACETS))
        .where(*where, FACETS.c.facet == facet)
        .group_by(FACETS.c.value)
        .order_by(func.count().desc(), FACETS.c.value)
        .limit(MOST)
    )
    return [{facet: row.value, **_figures(row)} for row in rows]


def _of_trace(rows: Any) -> ColumnElement[bool]:
    return and_(rows.c.project_id == TRACES.c.project_id, rows.c.trace_id == TRACES.c.trace_id)


def _count(condition: ColumnElement[bool]) -> ColumnElement[Any]:
    return func.coalesce(func.sum(case((condition, 1), else_=0)), 0)


def _figures(row: Any) -> dict[str, Any]:
    """The row's figures by name, without its first column."""
    return {
        name: value if name == "cost_usd" else _number(value)
        for name, value in list(row._mapping.items())[1:]
    }


def _number(value: Any) -> int:
    return int(value or 0)
