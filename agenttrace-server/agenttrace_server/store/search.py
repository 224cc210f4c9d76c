"""Find traces by the words in their spans and messages.

Indexing words costs more than writing what they are in, so texts are indexed a moment later, in the
order they came, by whoever asks for traces to analyse. What is not indexed yet when somebody
searches is indexed aside for that one question, so an answer never misses what is stored.

Texts of one trace that are indexed at once make one document: a word that everybody uses is then
found once in a trace, not once in each of its spans.
"""

import re
from collections.abc import Collection, Sequence
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Row,
    Select,
    and_,
    delete,
    false,
    or_,
    select,
    union_all,
    update,
)

from agenttrace_server.store.dialect import Dialect, FullText
from agenttrace_server.store.texts import (
    BODIES,
    MESSAGES,
    OF_MESSAGES,
    OF_SPANS,
    SOURCES,
    SPANS,
    Source,
    Text,
    grouped,
    joined,
    read,
    spaced,
)
from agenttrace_server.tables import Counter, DocumentRow, FragmentRow, TraceRow, table

TRACES, COUNTERS = table(TraceRow), table(Counter)
FRAGMENTS, DOCUMENTS = table(FragmentRow), table(DocumentRow)

_TERM = re.compile(r'"([^"]*)"|(\S+)')
MOST_PENDING = 5000
"""So many texts a search looks through that are not indexed yet; see `SqlStore.traces`."""
FEW = 1000
"""Documents that have a word: with no more than that, their traces are named in the query."""
_HEX = re.compile(r"[0-9a-f]{8,32}")


def terms(q: str) -> list[str]:
    """Return the FTS expressions that all have to be found: words by their beginning, "phrases".

    Words stand in quotes, so nothing a person types is read as an operator.
    """
    found = []
    for phrase, word in _TERM.findall(q):
        words = spaced(phrase or word).replace('"', " ").split()
        if any(char.isalnum() for part in words for char in part):
            star = "" if phrase else " *"
            found.append('"' + " ".join(words) + '"' + star)
    return found


class Search:
    """The full-text index over spans and messages; without FTS5 a search reads everything."""

    def __init__(self, dialect: Dialect, index: FullText | None) -> None:
        self._dialect = dialect
        self._index = index

    def pending(
        self, connection: Connection, limit: int, most_bytes: int | None = None
    ) -> list[tuple[Source, int, list[Text]]]:
        """Return of each source how far the index reaches, and the texts that are next.

        With `most_bytes`, no more of them than it takes to have read so much.
        """
        found = []
        for source in SOURCES:
            reached = _value(connection, source.reached)
            behind = source.number > reached
            texts = read(
                connection, self._dialect, source, behind, limit=limit, most_bytes=most_bytes
            )
            found.append((source, reached, texts))
        return found

    def backlog(self, connection: Connection) -> int:
        """Return about how many texts are not indexed yet."""
        if self._index is None:
            return 0
        numbers = dict(connection.execute(select(COUNTERS.c.name, COUNTERS.c.value)).all())
        return sum(int(numbers[one.given] - numbers[one.reached]) for one in SOURCES)

    def index(self, tx: Connection, source: Source, reached: int, texts: Sequence[Text]) -> None:
        """Index what `pending` returned, unless that is no longer what is next."""
        if not texts or self._index is None:
            return
        last = texts[-1].number
        moved = tx.execute(
            update(COUNTERS)
            .where(COUNTERS.c.name == source.reached, COUNTERS.c.value == reached)
            .values(value=last)
        ).rowcount
        if not moved:
            return
        there = select(source.number).where(source.number.between(reached + 1, last))
        present = set(tx.execute(there).scalars())
        groups = list(grouped(text for text in texts if text.number in present))
        first = self._dialect.take(tx, "document", len(groups))
        rows = [
            (
                first + place,
                group[0].project_id,
                group[0].trace_id,
                source.name,
                group[0].number,
                group[-1].number,
            )
            for place, group in enumerate(groups)
        ]
        self._dialect.insert(tx, DOCUMENTS, rows)
        docs = [(first + place, joined(group)) for place, group in enumerate(groups)]
        self._index.add(tx, docs)

    def forget_trace(self, tx: Connection, project_id: int, trace_id: str) -> None:
        """Take a trace out of the index; call it before its rows are deleted."""
        if self._index is None:
            return
        self._wait(tx)
        of_trace = (DOCUMENTS.c.project_id == project_id, DOCUMENTS.c.trace_id == trace_id)
        docs = tx.execute(select(DOCUMENTS).where(*of_trace)).all()
        texts = (self._texts(tx, doc) if self._index.needs_text else () for doc in docs)
        self._index.remove(tx, [(doc.doc, joined(t)) for doc, t in zip(docs, texts, strict=True)])
        tx.execute(delete(DOCUMENTS).where(*of_trace))

    def forget_spans(self, tx: Connection, trace_ids: Collection[str], gone: set[int]) -> None:
        """Take some bodies out of the index; call it before their rows are deleted."""
        self._forget(tx, OF_SPANS, trace_ids, gone)

    def forget_messages(self, tx: Connection, trace_ids: Collection[str], gone: set[int]) -> None:
        """Take some messages out of the index; call it before their rows are deleted."""
        self._forget(tx, OF_MESSAGES, trace_ids, gone)

    def _forget(
        self, tx: Connection, source: Source, trace_ids: Collection[str], gone: set[int]
    ) -> None:
        if self._index is None or not gone:
            return
        self._wait(tx)
        c = DOCUMENTS.c
        near = and_(c.source == source.name, c.first <= max(gone), c.last >= min(gone))
        for doc in tx.execute(select(DOCUMENTS).where(c.trace_id.in_(trace_ids), near)).all():
            texts = self._texts(tx, doc)
            kept = [text for text in texts if text.number not in gone]
            if len(kept) == len(texts):
                continue
            self._index.remove(tx, [(doc.doc, joined(texts))])
            if kept:
                self._index.add(tx, [(doc.doc, joined(kept))])
            else:
                tx.execute(delete(DOCUMENTS).where(c.doc == doc.doc))

    def _wait(self, tx: Connection) -> None:
        """Wait for whoever is indexing: what they index must not be forgotten before."""
        counters = [source.reached for source in SOURCES]
        query = select(COUNTERS.c.value).where(COUNTERS.c.name.in_(counters))
        tx.execute(self._dialect.locked(query.order_by(COUNTERS.c.name)))

    def _texts(self, tx: Connection, doc: Row[Any]) -> list[Text]:
        source = next(one for one in SOURCES if one.name == doc.source)
        of_trace = source.trace_id == doc.trace_id
        within = source.number.between(doc.first, doc.last)
        texts = read(tx, self._dialect, source, of_trace, within)
        return [text for text in texts if text.project_id == doc.project_id]

    def condition(self, connection: Connection, q: str) -> ColumnElement[bool]:
        """Return the condition on `traces` that every term of `q` is found in the trace."""
        found = and_(*self._found(connection, terms(q)))
        if not _HEX.fullmatch(q.strip().lower()):
            return found
        named = TRACES.c.trace_id.startswith(q.strip().lower())
        return _in_any([select(TRACES.c.trace_id).where(one) for one in (found, named)])

    def _found(self, connection: Connection, wanted: list[str]) -> list[ColumnElement[bool]]:
        if not wanted:
            return [false()]
        if self._index is None:
            return [_like(term.strip('" *')) for term in wanted]
        pending = self.pending(connection, MOST_PENDING)
        waiting = [text for _, _, texts in pending for text in texts]
        numbered = [(number, text.text) for number, text in enumerate(waiting)]
        aside = self._index.look(connection, numbered, wanted)
        any_joined = connection.execute(_ANY_JOINED).first() is not None
        conditions = []
        for term in wanted:
            known = self._few(connection, term)
            places = [] if known is not None else [_of_documents(self._index.matches(term))]
            known = (known or set()) | {waiting[number].trace_id for number in aside[term]}
            if known:
                places.append(select(TRACES.c.trace_id).where(TRACES.c.trace_id.in_(known)))
            if any_joined:
                places += [_wholes_of(place) for place in places]
            conditions.append(_in_any(places) if places else false())
        return conditions

    def _few(self, connection: Connection, term: str) -> set[str] | None:
        """Return the indexed traces that have a term, or None where there may be many."""
        assert self._index is not None
        # PostgreSQL thinks of every word that two traces of a hundred have it. So it would look for
        # a rare one in each trace, the newest first; and with a limit, through the whole index.
        matching = self._index.matches(term).cte("matching").prefix_with("MATERIALIZED")
        docs = connection.execute(select(matching).limit(FEW + 1)).scalars().all()
        if len(docs) > FEW:
            return None
        return set(connection.execute(_of_documents(docs)).scalars())


def _of_documents(docs: Any) -> Select[Any]:
    return select(DOCUMENTS.c.trace_id).where(DOCUMENTS.c.doc.in_(docs))


def _in_any(queries: Sequence[Select[Any]]) -> ColumnElement[bool]:
    """The condition that a trace is in what one of these queries gives.

    Not with OR: for each trace PostgreSQL would go through all that a query gives.
    """
    return TRACES.c.trace_id.in_(union_all(*queries) if len(queries) > 1 else queries[0])


_ANY_JOINED = select(FRAGMENTS.c.trace_id).where(FRAGMENTS.c.joined_id > "").limit(1)


def _wholes_of(trace_ids: Any) -> Select[Any]:
    """The joined traces that these are parts of: a joined trace has no span of its own."""
    c = TRACES.c
    return select(c.part_of).where(c.trace_id.in_(trace_ids), c.part_of != "")


def _value(connection: Connection, counter: str) -> int:
    query = select(COUNTERS.c.value).where(COUNTERS.c.name == counter)
    return int(connection.execute(query).scalar_one())


def _like(word: str) -> ColumnElement[bool]:
    """The condition for a database without full text: the word is anywhere in the stored text."""
    return or_(
        TRACES.c.trace_id.in_(
            select(BODIES.c.trace_id).where(BODIES.c.body.icontains(word, autoescape=True))
        ),
        TRACES.c.trace_id.in_(
            select(SPANS.c.trace_id).where(SPANS.c.name.icontains(word, autoescape=True))
        ),
        TRACES.c.trace_id.in_(
            select(MESSAGES.c.trace_id).where(MESSAGES.c.content.icontains(word, autoescape=True))
        ),
    )
