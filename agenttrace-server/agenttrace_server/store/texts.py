"""The texts that traces are found by: of spans and of messages, each under a number that grows."""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Connection, Row, select, tuple_

from agenttrace import semconv
from agenttrace_server.store.dialect import Dialect
from agenttrace_server.store.reach import between
from agenttrace_server.store.rows import Body, decode_body
from agenttrace_server.tables import MessageRow, SpanBody, SpanRow, table

SPANS, BODIES, MESSAGES = table(SpanRow), table(SpanBody), table(MessageRow)

# Written without spaces between words: each character is made a word of its own.
_UNSPACED = re.compile(r"([\u0e00-\u0eff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff\uac00-\ud7af])")
_MOST_CHARACTERS = 8_000
"""Of several texts in one document: PostgreSQL knows no more than 255 places of a word in it."""


class Text(NamedTuple):
    """The words of a span or of a message, under its number."""

    number: int
    project_id: int
    trace_id: str
    text: str


class Source(NamedTuple):
    """Where texts come from."""

    name: str
    given: str
    """The counter of the numbers that were given out."""
    reached: str
    """The counter that says up to which number texts are in the index."""
    number: ColumnElement[int]
    trace_id: ColumnElement[str]
    size: Callable[[Any], int]
    """How many bytes a row is, about."""
    texts: Callable[[Connection, Dialect, Sequence[Row[Any]]], list[Text]]


def read(
    connection: Connection,
    dialect: Dialect,
    source: Source,
    *where: ColumnElement[bool],
    limit: int | None = None,
    most_bytes: int | None = None,
) -> list[Text]:
    """Return texts in the order of their numbers; with `most_bytes`, about so much of them."""
    query = select(source.number.table).where(*where).order_by(source.number).limit(limit)
    rows: list[Row[Any]] = []
    size = 0
    with connection.execute(query) as result:
        for row in result:
            rows.append(row)
            size += source.size(row)
            if most_bytes is not None and size >= most_bytes:
                break
    return source.texts(connection, dialect, rows)


def grouped(texts: Iterable[Text]) -> Iterator[list[Text]]:
    """Put texts of one trace together, as many as fit into one document."""
    open_groups: dict[tuple[int, str], list[Text]] = {}
    sizes: dict[tuple[int, str], int] = {}
    for text in texts:
        trace = text.project_id, text.trace_id
        size = sizes.get(trace, 0) + len(text.text)
        if size > _MOST_CHARACTERS and trace in open_groups:
            yield open_groups.pop(trace)
            size = len(text.text)
        open_groups.setdefault(trace, []).append(text)
        sizes[trace] = size
    yield from open_groups.values()


def joined(texts: Iterable[Text]) -> str:
    """Return the text of one document, the same for the same texts."""
    return "\n".join(dict.fromkeys(text.text for text in texts))


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


def _of_spans(connection: Connection, dialect: Dialect, bodies: Sequence[Row[Any]]) -> list[Text]:
    spans = _spans_of(connection, dialect, bodies)
    return [
        Text(
            row.body_id,
            row.project_id,
            row.trace_id,
            span_text(*spans.get(row.body_id, ("", None)), decode_body(row.body)),
        )
        for row in bodies
    ]


def _of_messages(_: Connection, _dialect: Dialect, rows: Sequence[Row[Any]]) -> list[Text]:
    return [Text(row.message_no, row.project_id, row.trace_id, spaced(row.content)) for row in rows]


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


OF_SPANS = Source(
    "span",
    "body",
    "searchable",
    BODIES.c.body_id,
    BODIES.c.trace_id,
    lambda row: len(row.body),
    _of_spans,
)
OF_MESSAGES = Source(
    "message",
    "message",
    "searchable_messages",
    MESSAGES.c.message_no,
    MESSAGES.c.trace_id,
    lambda row: len(row.content),
    _of_messages,
)
SOURCES = (OF_SPANS, OF_MESSAGES)
