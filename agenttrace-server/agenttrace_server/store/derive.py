"""Hand out traces to analyse, and keep what the analysis found."""

import math
import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any, Final

from msgspec.structs import astuple
from sqlalchemy import (
    ColumnElement,
    Connection,
    Row,
    Table,
    and_,
    delete,
    or_,
    select,
    update,
)

from agenttrace.accounting import ModelUse
from agenttrace.models import Message
from agenttrace_server.shown import EVERYTHING, Thresholds
from agenttrace_server.store import Analysis, Change, Claimed, Size, findings
from agenttrace_server.store.counting import TRACES, TraceState
from agenttrace_server.store.dialect import Dialect
from agenttrace_server.store.joining import Joining
from agenttrace_server.store.rows import encode
from agenttrace_server.store.search import Search
from agenttrace_server.tables import (
    AgentRow,
    AnalysisRow,
    CheckpointRow,
    MessageRow,
    TraceModel,
    table,
)

MODELS, ANALYSES = map(table, (TraceModel, AnalysisRow))
AGENTS, MESSAGES = table(AgentRow), table(MessageRow)
CHECKPOINTS = table(CheckpointRow)

_SECOND = 1_000_000_000
LEASE_NS = 10 * _SECOND
"""A claim that nobody holds on to is given out again after this long: who had it was killed."""
LARGE = 20_000
"""Traces of more spans are worked on apart, so that the others need not wait for them."""
SPANS_AT_ONCE = 4096
"""Traces are claimed together as long as they have no more spans than this."""
ROOT_GRACE = 0.1
"""The part of the quiet time after which a trace is due whose root has arrived."""
RESTLESS = 5
"""A trace that is never quiet is due after this many quiet times …"""
RESTLESS_SPANS = 2000
"""… and again as many for each so many spans it has: all of it is analysed each time."""
ABANDONED_NS = 600 * _SECOND
"""A trace without a root that was silent this long is not running any more."""


_OF_SIZE: dict[Size, tuple[ColumnElement[bool], ...]] = {
    "any": (),
    "small": (TRACES.c.span_count <= LARGE,),
    "large": (TRACES.c.span_count > LARGE,),
}


def due(now: int, project_id: int, quiet_seconds: float, size: Size = "any") -> ColumnElement[bool]:
    """The condition that a trace has to be analysed and nobody is at it."""
    quiet = int(quiet_seconds * _SECOND)
    patience = RESTLESS * quiet * (1 + TRACES.c.span_count / RESTLESS_SPANS)
    return and_(
        *_OF_SIZE[size],
        TRACES.c.project_id == project_id,
        TRACES.c.analysed_version < TRACES.c.version,
        TRACES.c.claimed_until < now,
        or_(
            TRACES.c.written_at <= now - quiet,
            and_(TRACES.c.head_rank == 0, TRACES.c.written_at <= now - int(quiet * ROOT_GRACE)),
            TRACES.c.dirty_since <= now - patience,
        ),
    )


def claim(
    tx: Connection,
    dialect: Dialect,
    project_id: int,
    limit: int,
    quiet_seconds: float,
    size: Size = "any",
) -> list[Claimed]:
    """Claim traces that are due, the longest silent first, and no more than fit into memory."""
    now = time.time_ns()
    query = select(TRACES.c.trace_id, TRACES.c.version, TRACES.c.span_count)
    query = query.where(due(now, project_id, quiet_seconds, size))
    query = query.order_by(TRACES.c.written_at).limit(limit)
    claimed: list[Claimed] = []
    spans = 0
    for trace_id, version, span_count in tx.execute(dialect.free(query)).all():
        spans += span_count
        if claimed and spans > SPANS_AT_ONCE:
            break
        claimed.append(Claimed(trace_id, version))
    if claimed:
        tx.execute(
            update(TRACES)
            .where(
                TRACES.c.project_id == project_id,
                TRACES.c.trace_id.in_([one.trace_id for one in claimed]),
            )
            .values(claimed_until=now + LEASE_NS)
        )
    return claimed


def hold(
    tx: Connection, dialect: Dialect, project_id: int, claims: Iterable[Claimed], seconds: float
) -> None:
    """Keep claims that were not saved yet for so long from now."""
    held = and_(
        TRACES.c.project_id == project_id,
        TRACES.c.trace_id.in_([claimed.trace_id for claimed in claims]),
        TRACES.c.claimed_until > 0,
    )
    # Locked in the order in which others lock them, or two could wait in a circle.
    tx.execute(dialect.locked(select(TRACES.c.trace_id).where(held).order_by(TRACES.c.trace_id)))
    until = time.time_ns() + int(seconds * _SECOND)
    tx.execute(update(TRACES).where(held).values(claimed_until=until))


class Saving:
    """Replaces what was derived from traces of one project, in the caller's transaction."""

    def __init__(self, tx: Connection, dialect: Dialect, search: Search, project_id: int) -> None:
        self._tx = tx
        self._dialect = dialect
        self._search = search
        self._project_id = project_id
        self._joining = Joining(tx, dialect, search, project_id)

    def save(
        self, given: Iterable[tuple[Claimed, Analysis]], thresholds: Thresholds = EVERYTHING
    ) -> None:
        """Replace what was derived from each trace, and join it with the fragments of its run.

        Nothing happens where the trace was deleted, or a later version of it was saved.
        """
        offered = {claimed.trace_id: (claimed, analysis) for claimed, analysis in given}
        seen = self._states(offered)
        found = {
            trace_id: (claimed, analysis)
            for trace_id, (claimed, analysis) in offered.items()
            if trace_id in seen and seen[trace_id].analysed_version <= claimed.version
        }
        fragments = (analysis.fragment for _, analysis in found.values())
        # First, because it locks the rows of all traces that it changes in one order.
        self._joining.keep([fragment for fragment in fragments if fragment is not None])
        states = self._states(found, locked=True)
        found = {trace_id: both for trace_id, both in found.items() if trace_id in states}
        if not found:
            return
        again = {trace_id for trace_id in found if states[trace_id].analysed_version}
        for into, rows_of in _DERIVED:
            rows = [row for one in found.values() for row in rows_of(self._project_id, *one)]
            self._replace(into, again, rows)
        self._save_messages({key: one.messages for key, (_, one) in found.items()}, again)
        failures = {trace_id: one.failures for trace_id, (_, one) in found.items()}
        findings.save(self._tx, self._dialect, self._project_id, failures)
        # Where spans came meanwhile, another analysis is due.
        whole = {
            trace_id: one.used
            for trace_id, (claimed, one) in found.items()
            if one.used is not None and claimed.version == states[trace_id].version
        }
        models = [
            (self._project_id, trace_id, *astuple(used))
            for trace_id, all_used in whole.items()
            for used in all_used
        ]
        self._replace(MODELS, again & whole.keys(), models)
        self._finish(found, states, whole, thresholds)

    def _states(self, trace_ids: Collection[str], *, locked: bool = False) -> dict[str, TraceState]:
        query = select(TRACES).where(*self._are(TRACES, trace_ids)).order_by(TRACES.c.trace_id)
        rows = self._tx.execute(self._dialect.locked(query) if locked else query)
        return {row.trace_id: TraceState(*row) for row in rows}

    def _finish(
        self,
        found: Mapping[str, tuple[Claimed, Analysis]],
        states: Mapping[str, TraceState],
        whole: Mapping[str, Sequence[ModelUse]],
        thresholds: Thresholds,
    ) -> None:
        """Bring the traces' own rows up to date and tell that they changed."""
        shown = findings.counts(self._tx, self._project_id, found, thresholds)
        now = time.time_ns()
        cursor = self._dialect.take(self._tx, "cursor", len(found))
        for number, (trace_id, (claimed, analysis)) in enumerate(found.items()):
            state = states[trace_id]
            if trace_id in whole:
                state.tokens_in, state.tokens_out, state.cost_usd = _added_up(whole[trace_id])
            state.agents = encode(list(dict.fromkeys(one.name for one in analysis.agents)))
            state.message_count = len({one.message_id for one in analysis.messages})
            state.failure_count = shown.get(trace_id, 0)
            state.analysed_version = min(claimed.version, state.version)
            state.claimed_until = 0
            state.dirty_since = now
            state.cursor = cursor + number
        self._dialect.put(self._tx, TRACES, [states[trace_id].row() for trace_id in found])

    def _replace(self, into: Table, again: Collection[str], rows: Iterable[Sequence[Any]]) -> None:
        """Write rows of a table, in place of those that traces analysed `again` have there."""
        if again:
            self._tx.execute(delete(into).where(*self._are(into, again)))
        places = [list(into.c).index(column) for column in into.primary_key]
        unique: dict[tuple[Any, ...], Sequence[Any]] = {}
        for row in rows:
            # PostgreSQL has no NUL characters: what differs in those alone is the same.
            key = tuple(str(row[place]).replace("\0", "\ufffd") for place in places)
            unique.setdefault(key, row)
        self._dialect.insert(self._tx, into, list(unique.values()))

    def _save_messages(
        self, messages: Mapping[str, Iterable[Message]], again: Collection[str]
    ) -> None:
        """Write only what differs: another analysis mostly finds the same, and indexing is dear."""
        query = select(MESSAGES).where(*self._are(MESSAGES, again))
        rows = self._tx.execute(query) if again else ()
        stored = {(row.trace_id, row.message_id): row for row in rows}
        found = {
            (trace_id, message.message_id): _message_row(self._project_id, trace_id, message)
            for trace_id, of_trace in messages.items()
            for message in of_trace
        }
        kept = _in_place(found, stored) if stored else set()
        gone = [row for key, row in stored.items() if key not in kept]
        self._search.forget_messages(
            self._tx, {row.trace_id for row in gone}, {row.message_no for row in gone}
        )
        for start in range(0, len(gone), 500):
            numbers = [row.message_no for row in gone[start : start + 500]]
            self._tx.execute(delete(MESSAGES).where(MESSAGES.c.message_no.in_(numbers)))
        new = [row for key, row in found.items() if key not in kept]
        if new:
            first = self._dialect.take(self._tx, "message", len(new))
            numbered = [(first + n, *row) for n, row in enumerate(new)]
            self._dialect.insert(self._tx, MESSAGES, numbered)

    def _are(self, rows: Table, trace_ids: Collection[str]) -> tuple[ColumnElement[bool], ...]:
        return rows.c.project_id == self._project_id, rows.c.trace_id.in_(sorted(trace_ids))


_SENT_AT: Final = [column.name for column in MESSAGES.c].index("sent_at") - 1


def _in_place(
    found: Mapping[tuple[str, str], tuple[Any, ...]], stored: Mapping[tuple[str, str], Row[Any]]
) -> set[tuple[str, str]]:
    """Return which stored messages are as found, and in their place among those of their moment.

    What is sent at the same moment is read in the order of its numbers, and new ones are higher.
    """
    kept: set[tuple[str, str]] = set()
    latest: dict[tuple[str, int], float] = {}
    for key, row in found.items():
        there = stored.get(key)
        number = there.message_no if there is not None and tuple(there[1:]) == row else math.inf
        moment = key[0], row[_SENT_AT]
        in_place = latest.get(moment, -1) < number < math.inf
        latest[moment] = number if in_place else math.inf
        if in_place:
            kept.add(key)
    return kept


def _added_up(used: Sequence[ModelUse]) -> tuple[int, int, float | None]:
    costs = [one.cost_usd for one in used if one.cost_usd is not None]
    return (
        sum(one.tokens_in for one in used),
        sum(one.tokens_out for one in used),
        math.fsum(costs) if costs else None,
    )


def _analysis_rows(project_id: int, claimed: Claimed, analysis: Analysis) -> list[tuple[Any, ...]]:
    return [
        (
            project_id,
            claimed.trace_id,
            encode(analysis.graph),
            encode(analysis.owners),
            encode(analysis.decisive),
            encode(analysis.accounting),
        )
    ]


def _agent_rows(project_id: int, claimed: Claimed, analysis: Analysis) -> list[tuple[Any, ...]]:
    return [
        (
            project_id,
            agent.name,
            agent.framework or "",
            claimed.trace_id,
            position,
            agent.role,
            encode(agent.models),
            encode(agent.tools),
            agent.spans,
            agent.errors,
            agent.tokens_in,
            agent.tokens_out,
            agent.cost_usd,
            agent.first_ns,
            agent.last_ns,
            agent.busy_ns,
        )
        for position, agent in enumerate(analysis.agents)
    ]


def _checkpoint_rows(
    project_id: int, claimed: Claimed, analysis: Analysis
) -> list[tuple[Any, ...]]:
    return [
        (
            project_id,
            claimed.trace_id,
            checkpoint.checkpoint_id,
            position,
            checkpoint.span_id,
            checkpoint.framework,
            checkpoint.label,
            checkpoint.state,
            checkpoint.input,
            checkpoint.config,
            checkpoint.created_at,
            int(checkpoint.resumable),
            checkpoint.why_not,
        )
        for position, checkpoint in enumerate(analysis.checkpoints)
    ]


_DERIVED: tuple[tuple[Table, Callable[[int, Claimed, Analysis], list[tuple[Any, ...]]]], ...] = (
    (ANALYSES, _analysis_rows),
    (AGENTS, _agent_rows),
    (CHECKPOINTS, _checkpoint_rows),
)


def _message_row(project_id: int, trace_id: str, message: Message) -> tuple[Any, ...]:
    return (
        project_id,
        trace_id,
        message.message_id,
        message.span_id,
        message.sender,
        message.recipient,
        message.type,
        message.content,
        message.content_hash,
        message.sent_at,
        message.caused_by,
        encode(message.audience),
        message.tokens,
        message.provenance,
        message.confidence,
    )


def changes(connection: Connection, project_id: int, after: int, limit: int) -> list[Change]:
    """Return what changed since cursor `after`, oldest first."""
    c = TRACES.c
    rows = connection.execute(
        select(c.cursor, c.trace_id, c.version, c.analysed_version >= c.version)
        .where(c.project_id == project_id, c.cursor > after)
        .order_by(c.cursor)
        .limit(limit)
    )
    return [Change(cursor, trace, version, bool(done)) for cursor, trace, version, done in rows]


def settle(tx: Connection, dialect: Dialect) -> None:
    """Give a status to traces whose root never came and that have been silent for long."""
    now = time.time_ns()
    query = select(TRACES.c.project_id, TRACES.c.trace_id, TRACES.c.error_count)
    query = query.where(abandoned(now)).order_by(TRACES.c.trace_id)
    for project_id, trace_id, errors in tx.execute(dialect.locked(query)).all():
        tx.execute(
            update(TRACES)
            .where(TRACES.c.project_id == project_id, TRACES.c.trace_id == trace_id)
            .values(status="error" if errors else "ok", cursor=dialect.take(tx, "cursor", 1))
        )


def abandoned(now: int) -> ColumnElement[bool]:
    """The condition that a trace has had no root and no span for long."""
    return and_(TRACES.c.status == "running", TRACES.c.written_at < now - ABANDONED_NS)
