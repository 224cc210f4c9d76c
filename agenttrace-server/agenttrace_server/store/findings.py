"""Keep findings: what classifiers say is replaced, what people said about it stays."""

import time
from collections.abc import Iterable, Mapping
from typing import Any

from msgspec.structs import replace
from sqlalchemy import ColumnElement, Connection, and_, case, delete, func, or_, select, update

from agenttrace.errors import FailureNotFound, NotByHand
from agenttrace.models import FailureAnnotation, Review
from agenttrace_server.shown import Thresholds
from agenttrace_server.store import BY_HAND, Correction
from agenttrace_server.store.dialect import Dialect
from agenttrace_server.store.read import failure
from agenttrace_server.store.rows import content_id, encode
from agenttrace_server.tables import Counter, FailureRow, TraceRow, table

TRACES, FAILURES, COUNTERS = table(TraceRow), table(FailureRow), table(Counter)


def save(
    tx: Connection,
    dialect: Dialect,
    project_id: int,
    found: Mapping[str, Iterable[FailureAnnotation]],
) -> None:
    """Replace what nobody reviewed of these traces; what a person said stays in any case.

    A finding of the same mode at the same place as a reviewed one is that one, whatever id a later
    version of its classifier gives it.
    """
    of_traces = and_(FAILURES.c.project_id == project_id, FAILURES.c.trace_id.in_(sorted(found)))
    tx.execute(delete(FAILURES).where(of_traces, FAILURES.c.reviewed_at.is_(None)))
    kept: dict[str, list[FailureAnnotation]] = {}
    for row in tx.execute(select(FAILURES).where(of_traces)):
        kept.setdefault(row.trace_id, []).append(failure(row))
    rows: list[tuple[Any, ...]] = []
    for trace_id, failures in found.items():
        reviewed = kept.get(trace_id, [])
        taken = {place for one in reviewed for place in _places(one)}
        new = [one for one in failures if taken.isdisjoint(_places(one))]
        if any(one.decisive for one in reviewed):
            new = [replace(one, decisive=False) for one in new]
        rows += [_row(project_id, one) for one in new]
    dialect.add(tx, FAILURES, rows)


def add(
    tx: Connection,
    dialect: Dialect,
    project_id: int,
    new: FailureAnnotation,
    thresholds: Thresholds,
) -> FailureAnnotation:
    """Store a finding made by hand."""
    dialect.add(tx, FAILURES, [_row(project_id, new)])
    if new.decisive:
        _only_decisive(tx, project_id, new.trace_id, new.annotation_id)
    _touch(tx, dialect, project_id, new.trace_id, thresholds)
    return new


def remove(
    tx: Connection, dialect: Dialect, project_id: int, annotation_id: str, thresholds: Thresholds
) -> None:
    """Delete a finding made by hand; raises `FailureNotFound`, or `NotByHand` for another's."""
    this = and_(FAILURES.c.project_id == project_id, FAILURES.c.annotation_id == annotation_id)
    row = tx.execute(select(FAILURES).where(this)).first()
    if row is None:
        raise _missing(annotation_id)
    if row.classifier != BY_HAND:
        raise NotByHand(
            f"{row.classifier} found {annotation_id}, and would find it again; reject it instead"
        )
    tx.execute(delete(FAILURES).where(this))
    _touch(tx, dialect, project_id, row.trace_id, thresholds)


def review(
    tx: Connection,
    dialect: Dialect,
    project_id: int,
    annotation_id: str,
    verdict: Review | None,
    reviewer: str | None,
    correction: Correction,
    thresholds: Thresholds,
) -> FailureAnnotation:
    """Keep what a person decided about a failure; raises `FailureNotFound`."""
    this = and_(FAILURES.c.project_id == project_id, FAILURES.c.annotation_id == annotation_id)
    row = tx.execute(dialect.locked(select(FAILURES).where(this))).first()
    if row is None:
        raise _missing(annotation_id)
    tx.execute(update(FAILURES).where(this).values(_changed(row, verdict, reviewer, correction)))
    if correction.decisive:
        _only_decisive(tx, project_id, row.trace_id, annotation_id)
    _touch(tx, dialect, project_id, row.trace_id, thresholds)
    changed = tx.execute(select(FAILURES).where(this)).one()
    return failure(changed)


def _changed(
    row: Any, verdict: Review | None, reviewer: str | None, correction: Correction
) -> dict[str, Any]:
    values: dict[str, Any] = {"reviewer": reviewer, "reviewed_at": time.time_ns()}
    # To correct the mode is to confirm that something went wrong there.
    decided = verdict or ("confirmed" if correction.mode else row.review)
    values["review"] = decided
    if correction.mode is not None:
        found = row.found_mode or row.mode
        by_hand = row.classifier == BY_HAND
        values["mode"] = correction.mode
        values["category"] = correction.category or row.category
        values["subcategory"] = correction.subcategory or correction.mode
        values["found_mode"] = None if by_hand or found == correction.mode else found
    for name in ("comment", "severity"):
        if (given := getattr(correction, name)) is not None:
            values[name] = given
    if correction.decisive is not None:
        values["decisive"] = int(correction.decisive)
    untouched = decided == "proposed" and not (
        values.get("comment", row.comment) or values.get("found_mode", row.found_mode)
    )
    if untouched and row.classifier != BY_HAND:
        # Taken back to "proposed", a failure is the classifier's again.
        values["reviewed_at"] = values["reviewer"] = None
    return values


def counts(
    tx: Connection, project_id: int, trace_ids: Iterable[str], thresholds: Thresholds
) -> dict[str, int]:
    """Return how many findings of each trace are shown; one of which none is, is left out."""
    c = FAILURES.c
    of_traces = (c.project_id == project_id, c.trace_id.in_(sorted(trace_ids)))
    query = select(c.trace_id, func.count()).where(*of_traces, shown(thresholds))
    return dict(tx.execute(query.group_by(c.trace_id)).all())


def shown(thresholds: Thresholds) -> ColumnElement[bool]:
    """The condition that a finding is shown: the same as `Thresholds.show`."""
    f = FAILURES.c
    limit: Any = thresholds.others
    if thresholds.modes:
        limit = case(dict(thresholds.modes), value=f.mode, else_=thresholds.others)
    return or_(f.review == "confirmed", and_(f.review == "proposed", f.confidence >= limit))


def recount(tx: Connection, dialect: Dialect, project_id: int, thresholds: Thresholds) -> bool:
    """Count every trace's failures again if that was last done with other thresholds."""
    mark = content_id(str(thresholds))
    this = and_(COUNTERS.c.name == "thresholds")
    if tx.execute(dialect.locked(select(COUNTERS.c.value).where(this))).scalar_one() == mark:
        return False
    counted = (
        select(func.count())
        .where(
            FAILURES.c.project_id == TRACES.c.project_id,
            FAILURES.c.trace_id == TRACES.c.trace_id,
            shown(thresholds),
        )
        .scalar_subquery()
    )
    with_any = select(FAILURES.c.trace_id).where(FAILURES.c.project_id == project_id)
    tx.execute(
        update(TRACES)
        .where(TRACES.c.project_id == project_id, TRACES.c.trace_id.in_(with_any))
        .values(failure_count=counted)
    )
    tx.execute(update(COUNTERS).where(this).values(value=mark))
    return True


def _touch(
    tx: Connection, dialect: Dialect, project_id: int, trace_id: str, thresholds: Thresholds
) -> None:
    """Bring the trace's count up to date and tell who follows it."""
    this = (TRACES.c.project_id == project_id, TRACES.c.trace_id == trace_id)
    # The row before the counter, as everywhere: so nobody waits in a circle.
    tx.execute(dialect.locked(select(TRACES.c.trace_id).where(*this)))
    shown_now = counts(tx, project_id, [trace_id], thresholds).get(trace_id, 0)
    cursor = dialect.take(tx, "cursor", 1)
    tx.execute(update(TRACES).where(*this).values(failure_count=shown_now, cursor=cursor))


def _only_decisive(tx: Connection, project_id: int, trace_id: str, annotation_id: str) -> None:
    tx.execute(
        update(FAILURES)
        .where(
            FAILURES.c.project_id == project_id,
            FAILURES.c.trace_id == trace_id,
            FAILURES.c.annotation_id != annotation_id,
        )
        .values(decisive=0)
    )


def _places(one: FailureAnnotation) -> set[tuple[str, str]]:
    """Return the mode with the message, else the span, that a finding is pinned to.

    A finding whose mode a person changed stands for both: the classifier's must not come back.
    """
    where = one.message_id or one.span_id
    return {(mode, where) for mode in (one.mode, one.found_mode) if mode and where}


def _row(project_id: int, found: FailureAnnotation) -> tuple[Any, ...]:
    return (
        project_id,
        found.trace_id,
        found.annotation_id,
        found.mode,
        found.category,
        found.subcategory,
        found.classifier,
        found.span_id,
        found.message_id,
        found.agent,
        found.severity,
        found.confidence,
        found.evidence,
        found.explanation,
        int(found.decisive),
        found.review,
        found.reviewer,
        found.reviewed_at,
        found.comment,
        found.found_mode,
        encode(found.also_by),
    )


def _missing(annotation_id: str) -> FailureNotFound:
    return FailureNotFound(f"No failure annotation {annotation_id!r} in the store")
