"""PostgreSQL's own ways of being away."""

from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from agenttrace.errors import StoreUnavailable
from agenttrace_server.store import Analysis, TraceQuery, schema, sql
from agenttrace_server.store.reach import SPANS, of_traces
from agenttrace_server.store.sql import SqlStore, open_store
from support import postgres
from support.stored import START_NS, random_trace, span, trace_id

if not postgres.is_available():
    pytest.skip("PostgreSQL is not installed here", allow_module_level=True)


@pytest.fixture
def url() -> Iterator[str]:
    with postgres.postgres_url() as url:
        yield url


@pytest.fixture
def store(url: str) -> Iterator[SqlStore]:
    store = open_store(url)
    yield store
    store.close()


def cut_connections(store: SqlStore) -> None:
    """End every connection to the database but one's own, as a restart does."""
    with store._database.writer.connect() as connection:
        connection.exec_driver_sql(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )


@settings(
    max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(kept=st.text(st.sampled_from("{}\",\\\n\0 '%$NULaé漢"), max_size=12))
@example("NULL")
@example('{"a": "b\\\\\\"c"}')
def test_any_text_comes_back_from_a_row_that_is_put(store: SqlStore, kept: str) -> None:
    store.write([span(1)])

    store.keep_judgement(trace_id(), "digest", kept)

    assert store.judgement(trace_id(), "digest") == kept.replace("\0", "\ufffd")


def test_a_restart_of_the_database_is_survived(store: SqlStore) -> None:
    store.write([span(1)])
    store.summary(trace_id())
    cut_connections(store)

    store.write([span(2, 1)])

    assert store.summary(trace_id()).span_count == 2  # type: ignore[union-attr]


def test_a_connection_that_breaks_in_the_middle_stores_nothing(store: SqlStore, url: str) -> None:
    other = open_store(url)
    with pytest.raises(StoreUnavailable, match="terminat"):
        _break_in_the_middle(store, other)

    other.close()
    assert store.cursor() == 0
    store.write([span(1)])


def _break_in_the_middle(store: SqlStore, other: SqlStore) -> None:
    with store._database.write() as tx:
        tx.exec_driver_sql("UPDATE counters SET value = value + 100 WHERE name = 'cursor'")
        cut_connections(other)
        tx.exec_driver_sql("SELECT 1")


def test_a_database_that_may_only_be_read_is_unavailable_for_writing(store: SqlStore) -> None:
    store.write([span(1)])
    with store._database.writer.begin() as connection:
        name = connection.exec_driver_sql("SELECT current_database()").scalar_one()
        connection.exec_driver_sql(f"ALTER DATABASE {name} SET default_transaction_read_only = on")
    cut_connections(store)
    store._database.writer.dispose()

    with pytest.raises(StoreUnavailable, match="read-only"):
        store.write([span(2, 1)])
    assert store.traces(TraceQuery()).total == 1


def test_queries_go_to_the_replica_that_is_named(url: str) -> None:
    with postgres.postgres_url() as replica:
        store = open_store(url, read_url=replica)
        store.write([span(1)])

        assert store.traces(TraceQuery()).total == 0
        store.close()


def test_a_nul_in_a_name_costs_the_nul(store: SqlStore) -> None:
    store.write([span(1, name="a\0b", input="c\0d", attributes={"x": "e\0f"})])

    (kept,) = store.trace(trace_id()).spans  # type: ignore[union-attr]
    assert (kept.name, kept.input, kept.attributes) == ("a\ufffdb", "c\0d", {"x": "e\0f"})


def test_spans_are_a_hypertable_of_days_where_timescale_is_installed(store: SqlStore) -> None:
    day = 24 * 3600 * 1_000_000_000
    store.write([span(n, start_ns=START_NS + n * day) for n in range(1, 4)])

    with store._database.reader.connect() as connection:
        ask = connection.exec_driver_sql
        has_timescale = ask("SELECT count(*) FROM pg_extension WHERE extname = 'timescaledb'")
        chunks = "SELECT count(*) FROM timescaledb_information.chunks WHERE hypertable_name='spans'"
        assert not has_timescale.scalar() or ask(chunks).scalar() == 3
    assert len(store.trace(trace_id()).spans) == 3  # type: ignore[union-attr]


def test_a_trace_is_looked_for_in_the_days_it_lasted_only(store: SqlStore) -> None:
    day = 24 * 3600 * 1_000_000_000
    store.write([span(1, trace=n, start_ns=START_NS + n * day) for n in range(1, 9)])

    with store._database.reader.connect() as connection:
        query = select(SPANS.c.name).where(of_traces(connection, 1, [trace_id(3), trace_id(4)]))
        text = str(query.compile(connection, compile_kwargs={"literal_binds": True}))
        plan = str(connection.exec_driver_sql(f"EXPLAIN {text}").all())
    assert plan.count("Scan") <= 2, plan


def test_queries_of_a_new_database_are_planned_by_what_is_in_it(
    store: SqlStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sql, "LEARN_SECONDS", -1.0)
    store._learn_at = 0.0
    for number in range(1, 41):
        store.write(random_trace(number, 50))
    (claimed, *_) = store.claim(1, 0)

    store.save(claimed, Analysis())

    query = "SELECT count(*) FROM pg_stats WHERE tablename = ANY(%s) AND attname = 'trace_id'"
    with store._database.read() as connection:
        chunks = "SELECT relname FROM pg_class WHERE relname LIKE '_hyper_%%_chunk'"
        names = connection.exec_driver_sql(chunks).scalars().all() or ["spans"]
        known = connection.exec_driver_sql(query, ([*names, "span_bodies"],)).scalar_one()
    assert known == len(names) + 1


def test_going_down_takes_everything_away() -> None:
    with postgres.postgres_url(empty=True) as url:
        schema.upgrade(url)
        store = open_store(url)
        store.write(random_trace(1, 50))
        store.close()

        schema.downgrade(url)

        assert schema.current(url) is None
