"""SQLite's own ways of being away, and of being asked."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from agenttrace.errors import SchemaError, StoreUnavailable
from agenttrace_server.store import Store, TraceQuery, database, search
from agenttrace_server.store.sql import open_store
from support.stored import opened, random_trace, span, trace_id


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "traces.db"


@pytest.mark.parametrize(
    "url",
    [
        "sqlite://",
        "sqlite:///:memory:",
        "nonsense",
        "mysql://localhost/x",
        "sqlite:////proc/nowhere/x.db",
        "sqlite:////dev/null/x.db",
    ],
)
def test_a_url_that_cannot_be_used_says_why(url: str) -> None:
    with pytest.raises(StoreUnavailable) as caught:
        open_store(url)

    assert "\n" not in str(caught.value)


def test_a_password_is_not_told() -> None:
    with pytest.raises(StoreUnavailable) as caught:
        open_store("postgresql://ann:secret@127.0.0.1:1/x")

    assert "secret" not in str(caught.value)
    assert "127.0.0.1" in str(caught.value)


def test_a_missing_folder_is_made(tmp_path: Path) -> None:
    with opened(f"sqlite:///{tmp_path / 'a' / 'b' / 'c.db'}") as store:
        store.ping()


def test_a_file_that_is_no_database_is_left_alone(file: Path) -> None:
    file.write_text("my diary, " * 1000)

    with pytest.raises(StoreUnavailable, match="not an SQLite database"):
        open_store(f"sqlite:///{file}")

    assert file.read_text().startswith("my diary")


def test_another_programs_database_gets_tables_of_ours_beside_its_own(file: Path) -> None:
    with closing(sqlite3.connect(file)) as other:
        other.execute("CREATE TABLE mine (x)")

    with opened(f"sqlite:///{file}") as store:
        store.write([span(1)])

    with closing(sqlite3.connect(file)) as other:
        assert other.execute("SELECT count(*) FROM mine").fetchone() == (0,)


def test_a_lock_held_by_others_is_unavailable_and_passes(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "BUSY_SECONDS", 0.05)
    with opened(f"sqlite:///{file}") as store:
        with closing(sqlite3.connect(file, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            with pytest.raises(StoreUnavailable, match="locked"):
                store.write([span(1)])
            assert store.traces(TraceQuery()).total == 0
            other.execute("ROLLBACK")

        store.write([span(1)])
        assert store.traces(TraceQuery()).total == 1


def test_a_full_disk_is_unavailable_loses_nothing_and_passes(file: Path) -> None:
    with opened(f"sqlite:///{file}") as store:
        store.write(random_trace(1, 20))
        _limit_pages(store, 1)

        with pytest.raises(StoreUnavailable, match="full"):
            _write_traces(store, range(2, 500))
        before = store.traces(TraceQuery()).total

        _limit_pages(store, 2**30)
        store.write(random_trace(900, 20))
        assert store.traces(TraceQuery()).total == before + 1
        assert {s.span_count for s in store.traces(TraceQuery(limit=500)).items} <= {20, 200}


def _write_traces(store: Store, numbers: range) -> None:
    for number in numbers:
        store.write(random_trace(number, 200))


def _limit_pages(store: Store, pages: int) -> None:
    """What a full disk does to SQLite: the file may not grow."""
    with store._database.writer.connect() as connection:  # type: ignore[attr-defined]
        connection.exec_driver_sql(f"PRAGMA max_page_count = {pages}")


def test_a_read_only_file_can_be_read_but_not_written(file: Path) -> None:
    with opened(f"sqlite:///{file}") as store:
        store.write([span(1)])
        with store._database.writer.connect() as connection:  # type: ignore[attr-defined]
            connection.exec_driver_sql("PRAGMA query_only = ON")

        with pytest.raises(StoreUnavailable, match="read-only"):
            store.write([span(2)])
        assert store.summary(trace_id()).span_count == 1  # type: ignore[union-attr]


def test_commits_are_synced_to_the_disk(file: Path) -> None:
    with (
        opened(f"sqlite:///{file}") as store,
        store._database.writer.connect() as connection,  # type: ignore[attr-defined]
    ):
        pragma = connection.exec_driver_sql

        assert pragma("PRAGMA journal_mode").scalar() == "wal"
        assert pragma("PRAGMA synchronous").scalar() == 2
        assert pragma("PRAGMA foreign_keys").scalar() == 1


def test_deleting_a_trace_leaves_no_row_of_it_in_any_table(file: Path) -> None:
    with opened(f"sqlite:///{file}") as store:
        empty = _rows(file)
        store.write(random_trace(1, 30))
        store.keep_events({(trace_id(), "x"): []})
        store.claim(10, 0)
        store.delete(trace_id())
        after = _rows(file)

    assert after == empty


def _rows(file: Path) -> dict[str, int]:
    with closing(sqlite3.connect(file)) as connection:
        tables = connection.execute(
            "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE '%search\\_%'"
            " ESCAPE '\\'"
        ).fetchall()
        return {
            name: connection.execute(f"SELECT count(*) FROM {name}").fetchone()[0]
            for (name,) in tables
        }


def test_without_full_text_a_search_reads_everything(file: Path) -> None:
    with opened(f"sqlite:///{file}"):
        pass
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("DROP TABLE word_search")

    with opened(f"sqlite:///{file}") as store:
        store.write([span(1, name="Weather lookup", input="100% sure")])
        store.write([span(1, trace=2, output="nothing of the kind")])
        store.claim(10, 0)
        found = {
            q: store.traces(TraceQuery(q=q)).total for q in ("weather SURE", "kin", "100%", "%")
        }
        assert store.delete(trace_id())

    assert found == {"weather SURE": 1, "kin": 1, "100%": 1, "%": 0}


@pytest.mark.parametrize(
    "query",
    [
        TraceQuery(),
        TraceQuery(service="shop"),
        TraceQuery(framework="langgraph"),
        TraceQuery(agent="planner"),
        TraceQuery(failure="1.3"),
        TraceQuery(status="error"),
        TraceQuery(since_ns=1, until_ns=2),
        TraceQuery(q="planner"),
    ],
    ids=repr,
)
@pytest.mark.parametrize("few", [search.FEW, -1], ids=["few", "many"])
def test_no_list_query_reads_a_whole_table(
    file: Path, query: TraceQuery, few: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search, "FEW", few)
    with opened(f"sqlite:///{file}") as store:
        plans: list[str] = []
        statements: list[tuple[str, object]] = []
        from sqlalchemy import event

        engine = store._database.reader  # type: ignore[attr-defined]
        event.listen(
            engine,
            "before_cursor_execute",
            lambda _c, _u, sql, parameters, *_: statements.append((sql, parameters)),
        )
        store.traces(query)
        with closing(sqlite3.connect(file)) as connection:
            for sql, parameters in statements:
                if "FROM traces" in sql:
                    rows = connection.execute(f"EXPLAIN QUERY PLAN {sql}", parameters)
                    plans += [row[3] for row in rows]

    assert plans
    assert [plan for plan in plans if plan.startswith("SCAN") and "VIRTUAL" not in plan] == []


def test_a_second_batch_of_a_trace_is_looked_up_by_key(file: Path) -> None:
    with opened(f"sqlite:///{file}") as store:
        store.write([span(1), span(2, parent=1)])
        statements: list[tuple[str, object]] = []
        from sqlalchemy import event

        event.listen(
            store._database.writer,  # type: ignore[attr-defined]
            "before_cursor_execute",
            lambda _c, _u, sql, parameters, *_: statements.append((sql, parameters)),
        )
        store.write([span(2, parent=1), span(3, parent=2)])
        with closing(sqlite3.connect(file)) as connection:
            plans = [
                row[3]
                for sql, parameters in statements
                if sql.startswith("SELECT spans.") and "json_each" in sql
                for row in connection.execute(f"EXPLAIN QUERY PLAN {sql}", parameters)
                if " spans " in row[3]
            ]

    assert plans
    # By the project alone, it would read every span there is, once for each of the batch.
    assert [plan for plan in plans if "trace_id=?" not in plan] == []


def test_a_database_of_a_newer_version_is_refused(file: Path) -> None:
    with opened(f"sqlite:///{file}"):
        pass
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
        connection.commit()

    with pytest.raises(SchemaError, match=r"9999.*newer"):
        open_store(f"sqlite:///{file}")
