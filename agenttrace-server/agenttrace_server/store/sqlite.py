"""What SQLite does its own way."""

import sqlite3
from collections.abc import Callable, Iterable, Sequence
from contextlib import closing
from itertools import chain
from typing import Any

import msgspec
from sqlalchemy import (
    BindParameter,
    ColumnElement,
    Connection,
    Select,
    Table,
    bindparam,
    column,
    func,
    literal_column,
    select,
)
from sqlalchemy import table as lightweight_table

from agenttrace_server.store.dialect import Doc
from agenttrace_server.store.inserting import ADD, replacing

FULL_TEXT = """CREATE VIRTUAL TABLE {} USING fts5(
    content, content='', tokenize='unicode61 remove_diacritics 2'
)"""

_PARAMETERS = 4096
"""Parameters per statement: SQLite's own limit is 32,766, past a few thousand nothing is won."""


class SqliteDialect:
    """The `Dialect` of SQLite."""

    def insert(self, connection: Connection, table: Table, rows: Sequence[Sequence[Any]]) -> None:
        """Insert whole rows, in the table's order of columns, none of which is there."""
        _insert(connection, table, rows, "")

    def add(self, connection: Connection, table: Table, rows: Sequence[Sequence[Any]]) -> None:
        """Insert the rows whose key is not there yet."""
        _insert(connection, table, rows, ADD)

    def put(self, connection: Connection, table: Table, rows: Sequence[Sequence[Any]]) -> None:
        """Insert whole rows; one whose primary key is there replaces that row."""
        _insert(connection, table, rows, replacing(table))

    def each(self, values: Iterable[Any]) -> tuple[Any, Callable[[int], ColumnElement[str]]]:
        """Return a table of the given lists of text, and how to say its nth column."""
        parameter: BindParameter[str] = bindparam(None, msgspec.json.encode(list(values)).decode())
        listed = func.json_each(parameter).table_valued("value").alias("listed")
        return listed, lambda n: func.json_extract(listed.c.value, f"$[{n}]")

    def take(self, connection: Connection, counter: str, count: int) -> int:
        """Take the next `count` numbers of a counter; return the first."""
        last = connection.exec_driver_sql(
            "UPDATE counters SET value = value + ? WHERE name = ? RETURNING value", (count, counter)
        ).scalar_one()
        return int(last) - count + 1

    def turn(self, connection: Connection) -> None:
        """Do nothing: a write transaction locks the whole database."""

    def learn(self, connection: Connection) -> None:
        """Do nothing: what SQLite plans depends on the indexes alone."""

    def free(self, query: Select[Any]) -> Select[Any]:
        """Return the query as it is: a write transaction locks the whole database."""
        return query

    def locked(self, query: Select[Any]) -> Select[Any]:
        """Return the query as it is: a write transaction locks the whole database."""
        return query


def _insert(connection: Connection, table: Table, rows: Sequence[Sequence[Any]], tail: str) -> None:
    """Insert whole rows with few statements.

    Not with `executemany`: that gives up the interpreter lock for every row. Where other threads
    compute, each row then waits milliseconds to get it back (measured: 255 rows/s, not 8,500).
    """
    columns = ", ".join(column.name for column in table.c)
    row = f"({', '.join('?' * len(table.c))})"
    most = max(1, _PARAMETERS // len(table.c))
    start = 0
    while start < len(rows):
        # Halving sizes, so that there are few statements, each of which the driver prepares once.
        size = most
        while size > len(rows) - start:
            size //= 2
        values = ", ".join([row] * size)
        statement = f"INSERT INTO {table.name} ({columns}) VALUES {values} {tail}"
        part = rows[start : start + size]
        connection.exec_driver_sql(statement, tuple(chain.from_iterable(part)))
        start += size


class SqliteFullText:
    """The `FullText` of SQLite: an FTS5 index that keeps no copy of the texts."""

    needs_text = True

    def __init__(self, name: str) -> None:
        self._name = name

    def add(self, connection: Connection, docs: Sequence[Doc]) -> None:
        """Make documents findable."""
        if docs:
            connection.exec_driver_sql(
                f"INSERT INTO {self._name} (rowid, content) VALUES (?, ?)", list(docs)
            )

    def remove(self, connection: Connection, docs: Sequence[Doc]) -> None:
        """Forget documents; their text must be what `add` was given."""
        if docs:
            connection.exec_driver_sql(
                f"INSERT INTO {self._name} ({self._name}, rowid, content) VALUES ('delete', ?, ?)",
                list(docs),
            )

    def matches(self, term: str) -> Select[Any]:
        """Return a query for the numbers of the documents that have the term."""
        index = lightweight_table(self._name, column("rowid"))
        return select(index.c.rowid).where(literal_column(self._name).op("MATCH")(term))

    def look(
        self,
        connection: Connection,  # noqa: ARG002 - in memory, so that a reader writes nothing
        docs: Sequence[Doc],
        terms: Sequence[str],
    ) -> dict[str, set[int]]:
        """Return which of these documents, not added, have each term."""
        if not docs:
            return {term: set() for term in terms}
        with closing(sqlite3.connect(":memory:")) as aside:
            aside.execute(FULL_TEXT.format("docs"))
            aside.executemany("INSERT INTO docs (rowid, content) VALUES (?, ?)", docs)
            query = "SELECT rowid FROM docs WHERE docs MATCH ?"
            return {term: {row[0] for row in aside.execute(query, (term,))} for term in terms}
