"""Say what happens to rows that are inserted where others are."""

from sqlalchemy import Table

ADD = "ON CONFLICT DO NOTHING"
"""The end of a statement that leaves rows as they are whose key is there."""


def replacing(table: Table) -> str:
    """Return the end of a statement that replaces rows whose primary key is there."""
    key = [column.name for column in table.primary_key]
    changes = ", ".join(f"{c.name}=excluded.{c.name}" for c in table.c if c.name not in key)
    return f"ON CONFLICT ({', '.join(key)}) DO UPDATE SET {changes}"
