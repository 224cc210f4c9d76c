"""What SQLite and PostgreSQL do differently: bulk inserts, lists as tables, full text."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Protocol

from sqlalchemy import ColumnElement, Connection, Select, Table

Doc = tuple[int, str]
"""A document's number and its text."""


class Dialect(Protocol):
    """How one database does what SQL has no common word for."""

    def insert(self, connection: Connection, table: Table, rows: Sequence[Sequence[Any]]) -> None:
        """Insert whole rows, in the table's order of columns, none of which is there."""

    def add(self, connection: Connection, table: Table, rows: Sequence[Sequence[Any]]) -> None:
        """Insert the rows whose key is not there yet."""

    def put(self, connection: Connection, table: Table, rows: Sequence[Sequence[Any]]) -> None:
        """Insert whole rows; one whose primary key is there replaces that row."""

    def each(self, values: Iterable[Any]) -> tuple[Any, Callable[[int], ColumnElement[str]]]:
        """Return a table of the given lists of text, and how to say its nth column."""

    def take(self, connection: Connection, counter: str, count: int) -> int:
        """Take the next `count` numbers of a counter; return the first."""

    def turn(self, connection: Connection) -> None:
        """Wait until no other transaction writes spans."""

    def learn(self, connection: Connection) -> None:
        """Have the database look at new tables that have grown, to plan queries by them."""

    def free(self, query: Select[Any]) -> Select[Any]:
        """Return the query so that it locks its rows and leaves out those locked by others."""

    def locked(self, query: Select[Any]) -> Select[Any]:
        """Return the query so that it locks its rows, after others have let go of them."""


class FullText(Protocol):
    """Finds documents by their words."""

    needs_text: bool
    """Whether `remove` must be given the text too."""

    def add(self, connection: Connection, docs: Sequence[Doc]) -> None:
        """Make documents findable."""

    def remove(self, connection: Connection, docs: Sequence[Doc]) -> None:
        """Forget documents; where `needs_text`, their text must be what `add` was given."""

    def matches(self, term: str) -> Select[Any]:
        """Return a query for the numbers of the documents that have the term."""

    def look(
        self, connection: Connection, docs: Sequence[Doc], terms: Sequence[str]
    ) -> dict[str, set[int]]:
        """Return which of these documents, not added, have each term."""
