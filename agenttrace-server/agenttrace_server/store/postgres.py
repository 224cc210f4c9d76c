"""What PostgreSQL does its own way."""

import re
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from typing import Any

import msgspec
from sqlalchemy import (
    BigInteger,
    BindParameter,
    Column,
    ColumnElement,
    Connection,
    Dialect,
    Select,
    Table,
    Text,
    bindparam,
    cast,
    column,
    func,
    literal,
    select,
)
from sqlalchemy import table as lightweight_table
from sqlalchemy import text as sql
from sqlalchemy.dialects import postgresql
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

from agenttrace_server.store.dialect import Doc
from agenttrace_server.store.inserting import ADD, replacing

CHANNEL = "agenttrace_changes"
"""What changes of traces are notified on."""

_WRITERS = 0x6167656E74  # any number will do: the key of the lock that writers take in turn
_MOST_CHARACTERS = 200_000
"""Of one document: PostgreSQL refuses more than a megabyte of words."""
_LOOKED_AT_ONCE = 500
_PIECE = 128 * 1024
_MOST_ROWS = 4096
"""Of one statement, which may take a gigabyte."""
_DIALECT: Dialect = postgresql.dialect()  # type: ignore[no-untyped-call]
_NO_WORD = re.compile(r"[\W_]+")


class PostgresDialect:
    """The `Dialect` of PostgreSQL."""

    def insert(self, connection: Connection, table: Table, rows: Sequence[Sequence[Any]]) -> None:
        """Insert whole rows, in the table's order of columns, none of which is there."""
        if not rows:
            return
        columns = ", ".join(c.name for c in table.c)
        driver: Any = connection.connection.driver_connection
        with driver.cursor() as cursor:
            statement = f"COPY {table.name} ({columns}) FROM STDIN"
            with cursor.copy(statement, writer=_at_once(cursor)) as copy:
                for row in rows:
                    copy.write_row(_clean(row))

    def add(self, connection: Connection, table: Table, rows: Sequence[Sequence[Any]]) -> None:
        """Insert the rows whose key is not there yet."""
        _insert(connection, table, rows, ADD)

    def put(self, connection: Connection, table: Table, rows: Sequence[Sequence[Any]]) -> None:
        """Insert whole rows; one whose primary key is there replaces that row."""
        _insert(connection, table, rows, replacing(table))

    def each(self, values: Iterable[Any]) -> tuple[Any, Callable[[int], ColumnElement[str]]]:
        """Return a table of the given lists of text, and how to say its nth column."""
        text: BindParameter[str] = bindparam(None, msgspec.json.encode(list(values)).decode())
        elements = func.jsonb_array_elements(cast(text, JSONB))
        listed = elements.table_valued(column("value", JSONB)).render_derived(name="listed")
        return listed, lambda n: listed.c.value[n].astext

    def take(self, connection: Connection, counter: str, count: int) -> int:
        """Take the next `count` numbers of a counter; return the first.

        The counter's row stays locked until the commit, so numbers become visible in order. Who
        listens hears of a new cursor then.
        """
        if counter == "cursor":
            connection.exec_driver_sql(f"NOTIFY {CHANNEL}")
        last = connection.exec_driver_sql(
            "UPDATE counters SET value = value + %s WHERE name = %s RETURNING value",
            (count, counter),
        ).scalar_one()
        return int(last) - count + 1

    def turn(self, connection: Connection) -> None:
        """Wait until no other transaction writes spans: counts are read first, then written."""
        connection.exec_driver_sql("SELECT pg_advisory_xact_lock(%s)", (_WRITERS,))

    def learn(self, connection: Connection) -> None:
        """Have the database look at new tables that have grown, to plan queries by them.

        It does so itself, but only after a minute; until then it plans as if they were empty, and
        goes through all of a new chunk for each trace.
        """
        for name in connection.exec_driver_sql(_UNKNOWN).scalars().all():
            connection.exec_driver_sql(f"ANALYZE {name}")

    def free(self, query: Select[Any]) -> Select[Any]:
        """Return the query so that it locks its rows and leaves out those locked by others."""
        return query.with_for_update(skip_locked=True)

    def locked(self, query: Select[Any]) -> Select[Any]:
        """Return the query so that it locks its rows, after others have let go of them."""
        return query.with_for_update()


_UNKNOWN = """SELECT c.oid::regclass::text FROM pg_class c
WHERE c.relkind = 'r' AND c.reltuples < 0 AND pg_relation_size(c.oid) > 32 * 8192 AND (
    c.relnamespace = current_schema()::regnamespace
    OR c.oid IN (SELECT inhrelid FROM pg_inherits WHERE inhparent = 'spans'::regclass)
)"""
"""Tables and chunks of some size that were never looked at."""


def _at_once(cursor: Any) -> Any:
    """Return a writer for COPY that waits for the server in the end only.

    The driver's own waits every 32 KB; each time it gives up the interpreter lock, and where other
    threads compute, gets it back milliseconds later.
    """
    from psycopg.copy import LibpqWriter  # costs a third of a second to import

    class AtOnce(LibpqWriter):
        def write(self, data: Any) -> None:
            for start in range(0, len(data), _PIECE):
                piece = bytes(data[start : start + _PIECE])
                # 0: no memory to keep it until it is sent.
                if not self.connection.pgconn.put_copy_data(piece):
                    super().write(piece)

    return AtOnce(cursor)


def _insert(connection: Connection, table: Table, rows: Sequence[Sequence[Any]], tail: str) -> None:
    """Send each column as one array, so that any number of rows is one and the same statement."""
    statement = _statement(table, tail)
    for start in range(0, len(rows), _MOST_ROWS):
        columns = zip(*rows[start : start + _MOST_ROWS], strict=True)
        arrays = [_array(column, values) for column, values in zip(table.c, columns, strict=True)]
        connection.exec_driver_sql(statement, tuple(arrays))


@lru_cache(maxsize=128)
def _statement(table: Table, tail: str) -> str:
    columns = ", ".join(column.name for column in table.c)
    arrays = ", ".join(f"%s::{column.type.compile(_DIALECT)}[]" for column in table.c)
    return f"INSERT INTO {table.name} ({columns}) SELECT * FROM unnest({arrays}) {tail}"


def _array(column: Column[Any], values: Sequence[Any]) -> str:
    """Return the values of a column as PostgreSQL writes an array, of one type and without NUL.

    The driver would write it itself, but much slower: each escaped character by a call in Python.
    """
    kind = column.type.python_type
    if kind is str:
        return "{" + ",".join("NULL" if v is None else _quoted(v) for v in _clean(values)) + "}"
    return "{" + ",".join("NULL" if v is None else str(kind(v)) for v in values) + "}"


def _quoted(value: Any) -> str:
    escaped = str(value).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _clean(values: Sequence[Any]) -> list[Any]:
    """Return the values without NUL characters, which PostgreSQL's text cannot hold."""
    return [v.replace("\0", "\ufffd") if type(v) is str and "\0" in v else v for v in values]


class PostgresFullText:
    """The `FullText` of PostgreSQL: a table of word vectors with a GIN index."""

    needs_text = False

    def __init__(self, name: str) -> None:
        self._name = name

    def add(self, connection: Connection, docs: Sequence[Doc]) -> None:
        """Make documents findable."""
        if docs:
            texts = [_words(text)[:_MOST_CHARACTERS] for _, text in docs]
            connection.exec_driver_sql(
                f"INSERT INTO {self._name} (doc, words) SELECT doc, to_tsvector('simple', words) "
                "FROM unnest(%s::bigint[], %s::text[]) AS docs (doc, words)",
                ([number for number, _ in docs], texts),
            )

    def remove(self, connection: Connection, docs: Sequence[Doc]) -> None:
        """Forget documents."""
        if docs:
            connection.execute(
                sql(f"DELETE FROM {self._name} WHERE doc = ANY(:numbers)"),
                {"numbers": [number for number, _ in docs]},
            )

    def matches(self, term: str) -> Select[Any]:
        """Return a query for the numbers of the documents that have the term."""
        index = lightweight_table(self._name, column("doc"), column("words"))
        return select(index.c.doc).where(index.c.words.op("@@")(_query(term)))

    def look(
        self, connection: Connection, docs: Sequence[Doc], terms: Sequence[str]
    ) -> dict[str, set[int]]:
        """Return which of these documents, not added, have each term."""
        found: dict[str, set[int]] = {term: set() for term in terms}
        for start in range(0, len(docs) if terms else 0, _LOOKED_AT_ONCE):
            some = docs[start : start + _LOOKED_AT_ONCE]
            numbers = [number for number, _ in some]
            texts = [_words(text)[:_MOST_CHARACTERS] for _, text in some]
            listed = func.unnest(
                literal(numbers, ARRAY(BigInteger)), literal(texts, ARRAY(Text))
            ).table_valued(column("doc", BigInteger), column("content", Text))
            listed = listed.render_derived(name="listed")
            vectors = select(
                listed.c.doc, func.to_tsvector("simple", listed.c.content).label("words")
            ).cte("vectors")
            has = [vectors.c.words.op("@@")(_query(term)) for term in terms]
            for number, *answers in connection.execute(select(vectors.c.doc, *has)):
                for term, answer in zip(terms, answers, strict=True):
                    if answer:
                        found[term].add(number)
        return found


def _words(text: str) -> str:
    """Return the text as plain words in lower case without accents, so that all is cut alike."""
    if not text.isascii():
        parts = unicodedata.normalize("NFKD", text)
        text = "".join(char for char in parts if not unicodedata.combining(char))
    return _NO_WORD.sub(" ", text).lower()


def _query(term: str) -> ColumnElement[Any]:
    """Return the tsquery of a term, which is `"words"` or, for a beginning, `"words" *`."""
    words = _words(term.removesuffix(" *")).split()
    if term.endswith(" *"):
        words[-1] += ":*"
    return func.to_tsquery("simple", " <-> ".join(words))
