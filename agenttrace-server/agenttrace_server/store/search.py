"""Find traces by the words in their spans and messages.

Indexing words costs more than writing the span they are in, so spans are indexed a moment later, in
the order they came, by whoever asks for traces to analyse. What is not indexed yet when somebody
searches is indexed aside for that one question, so an answer never misses what is stored.
"""

import re
from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Row,
    Select,
    and_,
    false,
    or_,
    select,
    tuple_,
    update,
)

from agenttrace import semconv
from agenttrace_server.store.dialect import Dialect, Doc, FullText
from agenttrace_server.store.reach import between
from agenttrace_server.store.rows import Body, decode_body
from agenttrace_server.tables import (
    Counter,
    FragmentRow,
    MessageRow,
    SpanBody,
    SpanRow,
    TraceRow,
    table,
)

TRACES, SPANS, BODIES = table(TraceRow), table(SpanRow), table(SpanBody)
MESSAGES, COUNTERS, FRAGMENTS = table(MessageRow), table(Counter), table(FragmentRow)

# Written without spaces between words: each character is made a word of its own.
_UNSPACED = re.compile(r"([\u0e00-\u0eff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff\uac00-\ud7af])")
_TERM = re.compile(r'"([^"]*)"|(\S+)')
MOST_PENDING = 5000
"""So many documents a search looks through that are not indexed yet; see `SqlStore.traces`."""
_HEX = re.compile(r"[0-9a-f]{8,32}")


def spaced(text: str) -> str:
    """Return the text as it is indexed: no NUL, and unspaced scripts a character at a time."""
    text = text.replace("\0", " ")
    return text if text.isascii() else _UNSPACED.sub(r" \1 ", text)


def span_text(name: str, agent: str | None, body: Body) -> str:
    """Return the words a span is found by."""
    parts = [name, agent or "", body.tool or "", body.error or body.status_message]
    parts += [body.text("input") or "", body.text("output") or ""]
    for event in body.events:
        if event.name == semconv.MESSAGE_EVENT:
            parts.append(str(event.attributes.get(semconv.MESSAGE_CONTENT) or ""))
    return spaced("\n".join(dict.fromkeys(part for part in parts if part)))


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
    """The full-text indexes over spans and messages; without FTS5 a search reads everything."""

    def __init__(self, dialect: Dialect, spans: FullText | None, messages: FullText | None) -> None:
        self._dialect = dialect
        self._spans = spans
        self._messages = messages

    def pending(
        self, connection: Connection, limit: int, most_bytes: int | None = None
    ) -> tuple[int, list[tuple[Doc, str]]]:
        """Return how far the index reaches, and the next documents with their trace ids.

        With `most_bytes`, no more of them than it takes to have read so much.
        """
        reached = connection.execute(
            select(COUNTERS.c.value).where(COUNTERS.c.name == "searchable")
        ).scalar_one()
        query = select(BODIES).where(BODIES.c.body_id > reached).order_by(BODIES.c.body_id)
        bodies: list[Row[Any]] = []
        size = 0
        with connection.execute(query.limit(limit)) as rows:
            for row in rows:
                bodies.append(row)
                size += len(row.body)
                if most_bytes is not None and size >= most_bytes:
                    break
        spans = _spans_of(connection, self._dialect, bodies)
        return reached, [
            (_doc(row, *spans.get(row.body_id, ("", None))), row.trace_id) for row in bodies
        ]

    def backlog(self, connection: Connection) -> int:
        """Return about how many spans are not indexed yet."""
        if self._spans is None:
            return 0
        numbers = dict(connection.execute(select(COUNTERS.c.name, COUNTERS.c.value)).all())
        return int(numbers["body"] - numbers["searchable"])

    def index(self, tx: Connection, reached: int, docs: Sequence[Doc]) -> bool:
        """Index what `pending` returned; return False if that is no longer what is next."""
        if not docs or self._spans is None:
            return False
        last = docs[-1][0]
        moved = tx.execute(
            update(COUNTERS)
            .where(COUNTERS.c.name == "searchable", COUNTERS.c.value == reached)
            .values(value=last)
        ).rowcount
        there = select(BODIES.c.body_id).where(BODIES.c.body_id.between(reached + 1, last))
        present = set(tx.execute(there).scalars())
        self._spans.add(tx, [doc for doc in docs if doc[0] in present] if moved else [])
        return bool(moved)

    def forget_spans(self, tx: Connection, where: ColumnElement[bool]) -> None:
        """Take spans out of the index; call it before their rows are deleted."""
        if self._spans is not None:
            reached = select(COUNTERS.c.value).where(COUNTERS.c.name == "searchable")
            indexed = BODIES.c.body_id <= reached.scalar_subquery()
            if self._spans.needs_text:
                rows = tx.execute(_SPAN_TEXTS.where(where, indexed))
                self._spans.remove(tx, [_doc(row, row.name, row.agent) for row in rows])
            else:
                numbers = tx.execute(select(BODIES.c.body_id).where(where, indexed)).scalars()
                self._spans.remove(tx, [(number, "") for number in numbers])

    def add_messages(self, tx: Connection, messages: Iterable[tuple[int, str]]) -> None:
        """Index messages by their number and content."""
        if self._messages is not None:
            self._messages.add(tx, [(number, spaced(content)) for number, content in messages])

    def forget_messages(self, tx: Connection, messages: Iterable[tuple[int, str]]) -> None:
        """Take messages out of the index."""
        if self._messages is not None:
            self._messages.remove(tx, [(number, spaced(content)) for number, content in messages])

    def condition(self, connection: Connection, q: str) -> ColumnElement[bool]:
        """Return the condition on `traces` that every term of `q` is found in the trace."""
        found = [self._found(connection, terms(q))]
        if _HEX.fullmatch(q.strip().lower()):
            found.append([TRACES.c.trace_id.startswith(q.strip().lower())])
        return or_(*(and_(*each) if each else false() for each in found))

    def _found(self, connection: Connection, wanted: list[str]) -> list[ColumnElement[bool]]:
        if self._spans is None or self._messages is None:
            return [_like(term.strip('" *')) for term in wanted]
        _, waiting = self.pending(connection, MOST_PENDING)
        trace_ids = {doc[0]: trace_id for doc, trace_id in waiting}
        aside = self._spans.look(connection, [doc for doc, _ in waiting], wanted)
        any_joined = connection.execute(_ANY_JOINED).first() is not None
        conditions = []
        for term in wanted:
            spans = select(BODIES.c.trace_id).where(BODIES.c.body_id.in_(self._spans.matches(term)))
            messages = select(MESSAGES.c.trace_id).where(
                MESSAGES.c.message_no.in_(self._messages.matches(term))
            )
            places = [TRACES.c.trace_id.in_(spans), TRACES.c.trace_id.in_(messages)]
            if any_joined:
                places.append(TRACES.c.trace_id.in_(_wholes_of(spans)))
            if aside[term]:
                unindexed = {trace_ids[doc] for doc in aside[term]}
                places.append(TRACES.c.trace_id.in_(unindexed))
                if any_joined:
                    places.append(TRACES.c.trace_id.in_(_wholes_of(unindexed)))
            conditions.append(or_(*places))
        return conditions


_ANY_JOINED = select(FRAGMENTS.c.trace_id).where(FRAGMENTS.c.joined_id > "").limit(1)


def _wholes_of(trace_ids: Any) -> Select[Any]:
    """The joined traces that these are parts of: a joined trace has no span of its own."""
    c = TRACES.c
    return select(c.part_of).where(c.trace_id.in_(trace_ids), c.part_of != "")


_SPAN_TEXTS = select(
    BODIES.c.body_id, BODIES.c.trace_id, SPANS.c.name, SPANS.c.agent, BODIES.c.body
).join(
    SPANS,
    and_(
        SPANS.c.project_id == BODIES.c.project_id,
        SPANS.c.trace_id == BODIES.c.trace_id,
        SPANS.c.span_id == BODIES.c.span_id,
    ),
)


def _spans_of(
    connection: Connection, dialect: Dialect, bodies: Sequence[Row[Any]]
) -> dict[int, tuple[str, str | None]]:
    """Return the names and agents of the spans that these bodies belong to, by body.

    Not a join: with old statistics PostgreSQL goes through every span that there is for it.
    """
    if not bodies:
        return {}
    listed, item = dialect.each([row.trace_id, row.span_id] for row in bodies)
    wanted = tuple_(SPANS.c.trace_id, SPANS.c.span_id).in_(
        select(item(0), item(1)).select_from(listed)
    )
    times = [row.start_time for row in bodies]
    query = select(SPANS.c.body_id, SPANS.c.name, SPANS.c.agent).where(
        SPANS.c.project_id.in_({row.project_id for row in bodies}),
        wanted,
        between(connection, min(times), max(times)),
    )
    return {body_id: (name, agent) for body_id, name, agent in connection.execute(query)}


def _doc(row: Any, name: str, agent: str | None) -> Doc:
    return row.body_id, span_text(name, agent, decode_body(row.body))


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
