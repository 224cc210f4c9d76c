"""Insert many rows with few statements; how many rows at once, each database says."""

from collections.abc import Sequence
from itertools import chain
from typing import Any

from sqlalchemy import Connection, Table

ADD = "ON CONFLICT DO NOTHING"
"""The end of a statement that leaves rows as they are whose key is there."""


def replacing(table: Table) -> str:
    """Return the end of a statement that replaces rows whose primary key is there."""
    key = [column.name for column in table.primary_key]
    changes = ", ".join(f"{c.name}=excluded.{c.name}" for c in table.c if c.name not in key)
    return f"ON CONFLICT ({', '.join(key)}) DO UPDATE SET {changes}"


def insert_many(
    connection: Connection,
    table: Table,
    rows: Sequence[Sequence[Any]],
    tail: str,
    *,
    mark: str,
    most: int,
) -> None:
    """Insert whole rows, at most so many with one statement; `mark` stands for a parameter."""
    columns = ", ".join(column.name for column in table.c)
    row = f"({', '.join([mark] * len(table.c))})"
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
