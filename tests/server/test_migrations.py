"""The migrations go up and down, and nothing but them makes tables."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import inspect

from agenttrace.errors import SchemaError
from agenttrace_server.store import TraceQuery, schema
from agenttrace_server.store.database import Database
from agenttrace_server.tables import Row
from support.stored import opened, random_trace, span


def test_up_and_down_and_up_again(empty_database_url: str) -> None:
    assert schema.current(empty_database_url) is None

    schema.upgrade(empty_database_url)
    assert schema.current(empty_database_url) == schema.HEAD
    schema.check(empty_database_url)
    with opened(empty_database_url) as store:
        store.write(random_trace(1, 5))

    schema.downgrade(empty_database_url)
    assert schema.current(empty_database_url) is None
    assert _tables(empty_database_url) <= {"alembic_version"}

    schema.upgrade(empty_database_url)
    with opened(empty_database_url) as store:
        assert store.traces(TraceQuery()).total == 0
        store.write([span(1)])


def test_the_newest_migration_is_the_one_the_server_needs() -> None:
    revisions = schema.history()

    assert revisions[-1].revision == schema.HEAD
    assert revisions[0].down is None
    assert [r.down for r in revisions[1:]] == [r.revision for r in revisions[:-1]]
    assert all(r.message for r in revisions)


def test_the_migrations_make_exactly_the_tables_of_the_classes(empty_database_url: str) -> None:
    schema.upgrade(empty_database_url)

    database = Database(empty_database_url)
    with database.read() as connection:
        context = MigrationContext.configure(
            connection,
            opts={
                "compare_type": True,
                "include_name": lambda name, *_: "_search" not in (name or ""),
            },
        )
        differences = compare_metadata(context, Row.metadata)
    database.close()

    assert differences == []


def test_every_table_knows_its_project() -> None:
    without = {n for n, t in Row.metadata.tables.items() if "project_id" not in t.c}

    assert without == {"counters"}


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        ("UPDATE alembic_version SET version_num = '9999'", "newer"),
        ("DELETE FROM alembic_version", "half migrated"),
        ("INSERT INTO alembic_version VALUES ('0001')", "half migrated"),
        ("DROP TABLE spans", "spans"),
    ],
)
def test_a_schema_that_is_not_ours_is_refused(tmp_path: Path, damage: str, message: str) -> None:
    file = tmp_path / "db"
    schema.upgrade(f"sqlite:///{file}")
    with closing(sqlite3.connect(file)) as connection:
        connection.execute(damage)
        connection.commit()

    with pytest.raises(SchemaError, match=message), opened(f"sqlite:///{file}"):
        pass
    for migrate in (schema.upgrade, schema.downgrade):
        with pytest.raises(SchemaError, match=message):
            migrate(f"sqlite:///{file}")


def test_a_failed_migration_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = f"sqlite:///{tmp_path / 'db'}"
    run = schema._run

    def fails(*arguments: object) -> None:
        run(*arguments)  # type: ignore[arg-type]
        raise RuntimeError("the power went away")

    with monkeypatch.context() as patched:
        patched.setattr(schema, "_run", fails)
        with pytest.raises(RuntimeError):
            schema.upgrade(url)

    assert _tables(url) == set()
    schema.upgrade(url)
    schema.check(url)


def test_a_database_without_tables_is_told_what_to_do(empty_database_url: str) -> None:
    with pytest.raises(SchemaError, match="agenttrace migrate up"):
        schema.check(empty_database_url)


def test_an_unknown_revision_is_refused(empty_database_url: str) -> None:
    schema.upgrade(empty_database_url)

    with pytest.raises(SchemaError, match="nonsense"):
        schema.downgrade(empty_database_url, "nonsense")


def _tables(url: str) -> set[str]:
    database = Database(url)
    try:
        with database.read() as connection:
            return set(inspect(connection).get_table_names())
    finally:
        database.close()
