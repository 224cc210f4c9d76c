"""The store on SQLite and PostgreSQL: `open_store` gives one."""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from msgspec.structs import astuple
from sqlalchemy import delete, exists, inspect, select, text

from agenttrace.accounting import Accounting
from agenttrace.models import (
    Agent,
    Checkpoint,
    FailureAnnotation,
    Message,
    Review,
    Span,
    SpanEvent,
    Trace,
)
from agenttrace_server.shown import EVERYTHING, Thresholds
from agenttrace_server.store import (
    EVERY_TRACE,
    Agreement,
    Analysis,
    Change,
    Claimed,
    Correction,
    JudgeUse,
    Page,
    Pool,
    Rejected,
    Size,
    SpanColumns,
    SpanKey,
    Suspect,
    TraceFilter,
    TraceQuery,
    TraceSummary,
    derive,
    expire,
    findings,
    judging,
    listing,
    read,
    schema,
    statistics,
    waiting,
    write,
)
from agenttrace_server.store.batch import Batch, ready
from agenttrace_server.store.database import Database
from agenttrace_server.store.dialect import Dialect, FullText
from agenttrace_server.store.joining import Joining
from agenttrace_server.store.postgres import PostgresDialect, PostgresFullText
from agenttrace_server.store.rows import scrubbed
from agenttrace_server.store.search import MOST_PENDING, Search
from agenttrace_server.store.sql_joins import SqlJoins
from agenttrace_server.store.sql_replays import SqlReplays
from agenttrace_server.store.sqlite import SqliteDialect, SqliteFullText
from agenttrace_server.tables import Counter, RejectedSpan, table

if TYPE_CHECKING:
    from agenttrace_server.store.notices import Notices

REJECTED = table(RejectedSpan)
LEARN_SECONDS = 2.0
"""How often, while analyses are saved, the database may look at what it does not know yet."""
KEPT_REJECTIONS = 500
POLL_SECONDS = 0.3
"""How often a database is asked for changes that does not tell of them."""
INDEX_AT_ONCE = 1024
"""Texts of spans, and as many of messages, indexed in one transaction: writers hardly wait."""
INDEX_BYTES = 16 * 1024 * 1024
"""Span bodies read for one such transaction, where they are large."""
INDEX_SECONDS = 0.5
"""Spent on indexing each time somebody asks for traces to analyse and there are none."""


def open_store(
    database_url: str,
    *,
    read_url: str | None = None,
    project_id: int = 1,
    thresholds: Thresholds = EVERYTHING,
) -> "SqlStore":
    """Open the store of a database URL, making or migrating its tables first.

    Findings below the thresholds are neither counted nor filtered by; `show_from` changes them.
    `read_url` names a replica that answers queries. Raises `StoreUnavailable` where the database
    cannot be reached, `SchemaError` where its tables are newer than this server.
    """
    database = Database(database_url, read_url)
    try:
        schema.prepare(database)
        return SqlStore(database, project_id, thresholds)
    except BaseException:
        database.close()
        raise


class SqlStore:
    """The `Store` of one project in one database."""

    def __init__(
        self, database: Database, project_id: int = 1, thresholds: Thresholds = EVERYTHING
    ) -> None:
        self._database = database
        self._thresholds = thresholds
        self.project_id = project_id
        self._notices: Notices | None = None
        self._learn_at = time.monotonic() + LEARN_SECONDS
        self._dialect: Dialect
        index: Callable[[str], FullText]
        if database.is_sqlite:
            self._dialect, index = SqliteDialect(), SqliteFullText
        else:
            self._dialect, index = PostgresDialect(), PostgresFullText
        with database.read() as connection:
            full_text = inspect(connection).has_table("word_search")
        self._search = Search(self._dialect, index("word_search") if full_text else None)
        self.replays = SqlReplays(database, self._dialect, project_id)
        self.joins = SqlJoins(database, self._dialect, self._search, project_id)

    def write(self, spans: Sequence[Span]) -> None:
        """Return only once every span is durable. Writing a span twice leaves one copy.

        Raises ValueError where a span holds what no database can.
        """
        batch, refused = ready(self.project_id, spans)
        if refused:
            raise ValueError(refused[0].reason)
        self.write_batch(batch)

    def write_batch(self, batch: Batch) -> None:
        """Like `write`, of spans that are ready for it."""
        if not batch.incoming:
            return
        try:
            self._write(batch)
        except UnicodeEncodeError:
            self._write(batch.scrubbed())

    def _write(self, batch: Batch) -> None:
        with self._database.write() as tx:
            write.write(tx, self._dialect, self._search, batch)

    def trace(self, trace_id: str) -> Trace | None:
        """Return every span of the trace in start order with what was derived, or None."""
        with self._database.query() as connection:
            return read.trace(connection, self.project_id, trace_id)

    def spans(self, trace_ids: Sequence[str]) -> dict[str, tuple[Span, ...]]:
        """Return the spans of those of the traces that are there, each trace's in start order."""
        with self._database.read() as connection:
            return read.spans_of(connection, self.project_id, trace_ids)

    def summary(self, trace_id: str) -> TraceSummary | None:
        """Return the trace's row of the list, or None."""
        with self._database.query() as connection:
            return listing.one(connection, self.project_id, trace_id)

    def traces(self, query: TraceQuery) -> Page:
        """Return one page of traces."""
        if query.q:
            self._index_backlog()
        with self._database.query() as connection:
            return listing.page(connection, self.project_id, self._search, query, self._thresholds)

    def columns(self, trace_id: str) -> SpanColumns | None:
        """Return the skeleton of every span of the trace, or None if there is no such trace."""
        with self._database.query() as connection:
            return read.columns(connection, self.project_id, trace_id)

    def span(self, trace_id: str, span_id: str) -> Span | None:
        """Return one span, whole, or None."""
        with self._database.read() as connection:
            return read.span(connection, self.project_id, trace_id, span_id)

    def agents(self, trace_id: str) -> tuple[Agent, ...]:
        """Return the agents of a trace in order of appearance."""
        with self._database.query() as connection:
            return read.agents(connection, self.project_id, trace_id)

    def messages(self, trace_id: str) -> tuple[Message, ...]:
        """Return the messages of a trace in the order they were sent."""
        with self._database.query() as connection:
            return read.messages(connection, self.project_id, trace_id)

    def checkpoints(self, trace_id: str) -> tuple[Checkpoint, ...]:
        """Return the checkpoints of a trace in the order they were made."""
        with self._database.query() as connection:
            return read.checkpoints(connection, self.project_id, trace_id)

    def failures(self, trace_id: str) -> tuple[FailureAnnotation, ...]:
        """Return the failures of a trace, decisive ones first, then by confidence."""
        with self._database.query() as connection:
            return read.failures(connection, self.project_id, trace_id)

    def graph(self, trace_id: str) -> dict[str, Any] | None:
        """Return the agent graph stored by the last analysis, or None before the first."""
        with self._database.query() as connection:
            return read.graph(connection, self.project_id, trace_id)

    def accounting(self, trace_id: str) -> Accounting | None:
        """Return which model calls the last analysis counted, or None before the first."""
        with self._database.query() as connection:
            return read.accounting(connection, self.project_id, trace_id)

    def suspects(self, trace_id: str) -> tuple[Suspect, ...]:
        """Return the steps that may have decided the trace's failure, the likeliest first."""
        with self._database.read() as connection:
            return read.suspects(connection, self.project_id, trace_id)

    def review(
        self,
        annotation_id: str,
        review: Review | None,
        reviewer: str | None,
        correction: Correction = Correction(),
    ) -> FailureAnnotation:
        """Keep what a person decided about a failure; raises `FailureNotFound`."""
        with self._database.write() as tx:
            return findings.review(
                tx,
                self._dialect,
                self.project_id,
                annotation_id,
                review,
                reviewer and scrubbed(reviewer),
                scrubbed(correction),
                self._thresholds,
            )

    def add_failure(self, failure: FailureAnnotation) -> FailureAnnotation:
        """Store a finding made by hand, of a trace that is there; later analyses keep it."""
        with self._database.write() as tx:
            return findings.add(
                tx, self._dialect, self.project_id, scrubbed(failure), self._thresholds
            )

    def remove_failure(self, annotation_id: str) -> None:
        """Delete a finding made by hand. Raises `FailureNotFound`, or `NotByHand`."""
        with self._database.write() as tx:
            findings.remove(tx, self._dialect, self.project_id, annotation_id, self._thresholds)

    def show_from(self, thresholds: Thresholds) -> None:
        """Count and filter by these thresholds from now on, traces stored before included."""
        self._thresholds = thresholds
        with self._database.write() as tx:
            findings.recount(tx, self._dialect, self.project_id, thresholds)

    def agreement(self) -> list[Agreement]:
        """Return what people made of the findings, by mode and classifier."""
        with self._database.read() as connection:
            return judging.agreement(connection, self.project_id)

    def reviewed(self, after: str = "", limit: int = 100) -> list[str]:
        """Return ids of traces with a finding that people decided on, those after `after`."""
        with self._database.read() as connection:
            return judging.reviewed(connection, self.project_id, after, limit)

    def judgement(self, trace_id: str, transcript_hash: str) -> str | None:
        """Return what `keep_judgement` was given for this transcript, or None."""
        with self._database.read() as connection:
            return judging.judgement(connection, self.project_id, trace_id, transcript_hash)

    def keep_judgement(self, trace_id: str, transcript_hash: str, findings: str) -> None:
        """Keep a judge's findings (JSON) in place of those of other transcripts of the trace."""
        with self._database.write() as tx:
            judging.keep(tx, self._dialect, self.project_id, trace_id, transcript_hash, findings)

    def judge_called(
        self,
        model: str,
        tokens_in: int,
        tokens_out: int,
        cost_usd: float,
        error: str | None = None,
    ) -> None:
        """Keep what a call of the judge's model cost, or why it came to nothing."""
        call = (model, tokens_in, tokens_out, cost_usd, error)
        with self._database.write() as tx:
            judging.called(tx, self._dialect, self.project_id, *call)

    def judge_use(self, since_ns: int = 0) -> JudgeUse:
        """Return what the judge's model was called for since then."""
        with self._database.read() as connection:
            return judging.use(connection, self.project_id, since_ns)

    def look_again(self, trace_id: str) -> None:
        """Have a trace analysed once more."""
        with self._database.write() as tx:
            judging.look_again(tx, self.project_id, trace_id)

    def delete(self, trace_id: str) -> bool:
        """Delete all of a trace, of a joined one every part; return whether there was one."""
        with self._database.write() as tx:
            joining = Joining(tx, self._dialect, self._search, self.project_id)
            return joining.delete(trace_id)

    def expire(self, before_ns: int) -> int:
        """Delete the traces that ended before a time; return how many there were."""
        with self._database.read() as connection:
            chunks = expire.has_chunks(connection)
        count = 0
        while True:
            with self._database.write() as tx:
                joining = Joining(tx, self._dialect, self._search, self.project_id)
                found = expire.oldest(tx, self._dialect, self.project_id, before_ns)
                for trace_id in found:
                    joining.delete(trace_id, spans=not chunks)
            count += len(found)
            if len(found) < expire.AT_ONCE:
                break
        if chunks:
            with self._database.write() as tx:
                self._dialect.turn(tx)
                expire.drop_spans(tx, before_ns)
        return count

    def claim(self, limit: int, quiet_seconds: float, size: Size = "any") -> list[Claimed]:
        """Return traces whose derived data is older than their spans and that nobody else claimed.

        It also settles abandoned traces. Where none is due, it indexes the words of spans that came
        since: whoever searches before that indexes them.
        """
        claimed = self._claim(limit, quiet_seconds, size)
        if claimed or size == "large":
            return claimed
        until = time.monotonic() + INDEX_SECONDS
        while self._index_some() and time.monotonic() < until:
            pass
        return []

    def _claim(self, limit: int, quiet_seconds: float, size: Size) -> list[Claimed]:
        now = time.time_ns()
        with self._database.read() as connection:
            due = connection.execute(
                select(exists().where(derive.due(now, self.project_id, quiet_seconds, size)))
            ).scalar()
            abandoned = connection.execute(select(exists().where(derive.abandoned(now)))).scalar()
        if not due and not abandoned:
            return []
        with self._database.write() as tx:
            if abandoned:
                derive.settle(tx, self._dialect)
            return derive.claim(tx, self._dialect, self.project_id, limit, quiet_seconds, size)

    def hold(self, claims: Iterable[Claimed], seconds: float) -> None:
        """Keep claims for so long from now. One that was saved is not brought back."""
        with self._database.write() as tx:
            derive.hold(tx, self._dialect, self.project_id, claims, seconds)

    def save(self, claimed: Claimed, analysis: Analysis) -> None:
        """Store what was derived. Reviews that people made are kept."""
        self.save_all([(claimed, analysis)])

    def save_all(self, found: Sequence[tuple[Claimed, Analysis]]) -> None:
        """Store what was derived from several traces in one transaction: all of it or nothing."""
        if not found:
            return
        try:
            self._save(found)
        except UnicodeEncodeError:
            self._save([(claimed, scrubbed(analysis)) for claimed, analysis in found])

    def _save(self, found: Sequence[tuple[Claimed, Analysis]]) -> None:
        with self._database.write() as tx:
            saving = derive.Saving(tx, self._dialect, self._search, self.project_id)
            saving.save(found, self._thresholds)
        if time.monotonic() > self._learn_at:
            self._learn_at = time.monotonic() + LEARN_SECONDS
            with self._database.write() as tx:
                self._dialect.learn(tx)

    def changes(self, after: int, limit: int = 1000) -> list[Change]:
        """Return what changed since cursor `after`, oldest first."""
        with self._database.query() as connection:
            return derive.changes(connection, self.project_id, after, limit)

    def cursor(self) -> int:
        """Return the cursor of the newest change, 0 before the first."""
        query = select(table(Counter).c.value).where(table(Counter).c.name == "cursor")
        with self._database.query() as connection:
            return int(connection.execute(query).scalar_one())

    def await_change(self, seconds: float) -> None:
        """Return once another change MAY be there, at the latest after `seconds`."""
        # A replica has a change later than its notice arrives; SQLite gives none.
        if self._database.is_sqlite or self._database.has_replica:
            time.sleep(min(seconds, POLL_SECONDS))
            return
        if self._notices is None:
            from agenttrace_server.store.notices import Notices

            self._notices = Notices(self._database.url)
        self._notices.wait(seconds)

    def stats(self, wanted: TraceFilter = EVERY_TRACE) -> dict[str, Any]:
        """Return figures of these traces: see `statistics.stats`."""
        with self._database.query() as connection:
            return statistics.stats(
                connection, self.project_id, self._search, wanted, self._thresholds
            )

    def keep_events(self, events: Mapping[SpanKey, Sequence[SpanEvent]]) -> None:
        """Keep events that came before their spans; they are kept for a day."""
        with self._database.write() as tx:
            waiting.keep(tx, self._dialect, self.project_id, events)

    def kept_events(self, spans: Iterable[SpanKey]) -> dict[SpanKey, list[SpanEvent]]:
        """Return the events kept for these spans, in the order of their time."""
        with self._database.read() as connection:
            return waiting.kept(connection, self._dialect, self.project_id, spans)

    def drop_events(self, spans: Iterable[SpanKey]) -> None:
        """Forget the events kept for these spans, which have them now."""
        with self._database.write() as tx:
            waiting.drop(tx, self.project_id, spans)

    def reject(self, rejected: Iterable[Rejected]) -> None:
        """Remember spans that were refused; only the newest few hundred are kept."""
        refused = [scrubbed(one) for one in rejected][-KEPT_REJECTIONS:]
        if not refused:
            return
        with self._database.write() as tx:
            number = self._dialect.take(tx, "rejected", len(refused))
            rows = [
                (number + place, self.project_id, *astuple(one))
                for place, one in enumerate(refused)
            ]
            self._dialect.insert(tx, REJECTED, rows)
            oldest = number + len(refused) - KEPT_REJECTIONS
            tx.execute(delete(REJECTED).where(REJECTED.c.rejected_no < oldest))

    def rejected(self, limit: int = 100) -> tuple[Rejected, ...]:
        """Return the newest refused spans, newest first."""
        c = REJECTED.c
        query = select(c.at, c.reason, c.service_name, c.trace_id, c.span_id, c.name)
        query = query.where(c.project_id == self.project_id).order_by(c.rejected_no.desc())
        with self._database.query() as connection:
            return tuple(Rejected(*row) for row in connection.execute(query.limit(limit)))

    def ping(self) -> Pool:
        """Return how many connections are in use if the database answers; a replica must too.

        Else raise `StoreUnavailable`.
        """
        for session in (self._database.read, self._database.query):
            with session() as connection:
                connection.execute(text("SELECT count(*) FROM counters"))
        return Pool(*self._database.pool())

    def close(self) -> None:
        """Let go of every connection."""
        if self._notices is not None:
            self._notices.close()
        self._database.close()

    def _index_some(self) -> int:
        """Index the texts that are next; return how many there were."""
        with self._database.read() as connection:
            pending = self._search.pending(connection, INDEX_AT_ONCE, INDEX_BYTES)
        count = sum(len(texts) for _, _, texts in pending)
        if count:
            with self._database.write() as tx:
                for source, reached, texts in pending:
                    self._search.index(tx, source, reached, texts)
        return count

    def _index_backlog(self) -> None:
        """Index until a search can look through the rest aside."""
        while True:
            with self._database.read() as connection:
                if self._search.backlog(connection) <= MOST_PENDING:
                    return
            if not self._index_some():
                return
