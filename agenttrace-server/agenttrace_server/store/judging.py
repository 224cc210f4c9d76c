"""Keep what a judge found and what it cost, and what people made of all findings."""

import time
import uuid
from typing import Any

from sqlalchemy import ColumnElement, Connection, and_, case, delete, func, select, update

from agenttrace_server.store import BY_HAND, Agreement, JudgeUse
from agenttrace_server.store.dialect import Dialect
from agenttrace_server.tables import FailureRow, JudgeCall, JudgementRow, TraceRow, table

FAILURES, JUDGEMENTS = table(FailureRow), table(JudgementRow)
CALLS, TRACES = table(JudgeCall), table(TraceRow)


def judgement(connection: Connection, project_id: int, trace_id: str, digest: str) -> str | None:
    """Return the findings kept for a transcript of the trace, or None."""
    j = JUDGEMENTS.c
    found = connection.execute(
        select(j.findings).where(
            j.project_id == project_id, j.trace_id == trace_id, j.transcript_hash == digest
        )
    ).scalar()
    return None if found is None else str(found)


def keep(
    tx: Connection, dialect: Dialect, project_id: int, trace_id: str, digest: str, findings: str
) -> None:
    """Keep a judge's findings in place of those of other transcripts; not of a deleted trace."""
    j = JUDGEMENTS.c
    there = TRACES.c.project_id == project_id, TRACES.c.trace_id == trace_id
    tx.execute(delete(JUDGEMENTS).where(j.project_id == project_id, j.trace_id == trace_id))
    if tx.execute(dialect.locked(select(TRACES.c.trace_id).where(*there))).first() is None:
        return
    dialect.put(tx, JUDGEMENTS, [(project_id, trace_id, digest, time.time_ns(), findings)])


def called(
    tx: Connection,
    dialect: Dialect,
    project_id: int,
    model: str,
    tokens_in: int,
    tokens_out: int,
    cost_usd: float,
    error: str | None = None,
) -> None:
    """Keep what one call cost, or why it came to nothing."""
    now = time.time_ns()
    row = (project_id, uuid.uuid4().hex, now, model, tokens_in, tokens_out, cost_usd, error)
    dialect.insert(tx, CALLS, [row])


def use(connection: Connection, project_id: int, since_ns: int) -> JudgeUse:
    """Return what the judge's model was called for since then."""
    c = CALLS.c
    since = (c.project_id == project_id, c.at >= since_ns)
    calls, sent, made, cost = connection.execute(
        select(
            func.count(), func.sum(c.tokens_in), func.sum(c.tokens_out), func.sum(c.cost_usd)
        ).where(*since, c.error.is_(None))
    ).one()
    newest = select(c.error).where(*since).order_by(c.at.desc()).limit(1)
    return JudgeUse(
        calls=calls,
        tokens_in=int(sent or 0),
        tokens_out=int(made or 0),
        cost_usd=float(cost or 0),
        error=connection.execute(newest).scalar(),
    )


def look_again(tx: Connection, project_id: int, trace_id: str) -> None:
    """Make a trace due once more, an analysis that is under way notwithstanding."""
    tx.execute(
        update(TRACES)
        .where(TRACES.c.project_id == project_id, TRACES.c.trace_id == trace_id)
        .values(version=TRACES.c.version + 1)
    )


def agreement(connection: Connection, project_id: int) -> list[Agreement]:
    """Return what people made of the findings, by the classifier's own mode."""
    f = FAILURES.c
    mode = func.coalesce(f.found_mode, f.mode)
    own = f.found_mode.is_(None)
    machine = f.classifier != BY_HAND
    rows = connection.execute(
        select(
            mode.label("mode"),
            f.classifier,
            func.max(case((own, f.category))).label("category"),
            func.max(case((own, f.subcategory))).label("subcategory"),
            _count(and_(machine, own, f.review == "confirmed")).label("confirmed"),
            _count(and_(machine, f.review == "rejected")).label("rejected"),
            _count(and_(machine, ~own, f.review == "confirmed")).label("corrected"),
            _count(and_(~machine, f.review == "confirmed")).label("missed"),
        )
        .where(f.project_id == project_id, f.review != "proposed")
        .group_by(mode, f.classifier)
        .order_by(mode, f.classifier)
    )
    return [
        Agreement(
            mode=row.mode,
            category=row.category or "",
            subcategory=row.subcategory or row.mode,
            classifier=row.classifier,
            confirmed=int(row.confirmed),
            rejected=int(row.rejected),
            corrected=int(row.corrected),
            missed=int(row.missed),
        )
        for row in rows
    ]


def reviewed(connection: Connection, project_id: int, after: str, limit: int) -> list[str]:
    """Return ids of traces with a finding that people decided on, in order, those after `after`."""
    f = FAILURES.c
    return list(
        connection.execute(
            select(f.trace_id)
            .distinct()
            .where(f.project_id == project_id, f.review != "proposed", f.trace_id > after)
            .order_by(f.trace_id)
            .limit(limit)
        ).scalars()
    )


def _count(condition: ColumnElement[bool]) -> ColumnElement[Any]:
    return func.coalesce(func.sum(case((condition, 1), else_=0)), 0)
