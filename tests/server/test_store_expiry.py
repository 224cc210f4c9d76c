"""Old traces are deleted whole, others not at all, whatever the database keeps them in."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from agenttrace.models import Span
from agenttrace_server.store import Store, TraceQuery, expire
from agenttrace_server.store.sql import SqlStore
from agenttrace_server.tables import Row
from support.server import running_server
from support.stored import (
    SECOND,
    START_NS,
    WITH_PLAIN,
    database,
    opened,
    random_trace,
    span,
    trace_id,
)

DAY = 24 * 3600 * SECOND
KEPT = {"projects", "counters"}


@pytest.fixture(params=WITH_PLAIN)
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    with database(request.param, tmp_path) as url, opened(url) as store:
        yield store


def rows(store: Store) -> dict[str, int]:
    """How many rows there are in each table that has any."""
    assert isinstance(store, SqlStore)
    with store._database.read() as connection:
        counts = {
            name: connection.exec_driver_sql(f"SELECT count(*) FROM {name}").scalar_one()
            for name in Row.metadata.tables.keys() - KEPT
        }
    return {name: count for name, count in counts.items() if count}


def daily(number: int, day: int) -> list[Span]:
    return [span(n, trace=number, start_ns=START_NS + day * DAY + n) for n in range(1, 4)]


def test_traces_that_ended_before_a_time_are_deleted_whole(store: Store) -> None:
    for day in range(10):
        store.write(daily(day + 1, day))
    store.claim(100, 0)
    before = rows(store)

    assert store.expire(START_NS + 5 * DAY + DAY // 2) == 6
    assert {t.trace_id for t in store.traces(TraceQuery()).items} == {
        trace_id(number) for number in range(7, 11)
    }
    assert rows(store) == {name: count * 4 // 10 or 1 for name, count in before.items()}
    assert store.columns(trace_id(1)) is None
    assert store.trace(trace_id(7)) is not None
    assert store.traces(TraceQuery(q="step")).total == 4


def test_a_trace_that_lasts_for_days_is_kept_whole_until_it_ended_long_ago(store: Store) -> None:
    long = [span(n, 1 if n > 1 else None, start_ns=START_NS + n * DAY) for n in range(1, 9)]
    store.write([*long, *daily(2, 1), *daily(3, 2)])

    assert store.expire(START_NS + 5 * DAY) == 2
    trace = store.trace(trace_id(1))
    assert trace is not None
    assert len(trace.spans) == 8
    assert rows(store)["spans"] == 8


def test_more_than_one_transaction_takes_are_deleted(store: Store) -> None:
    count = 2 * expire.AT_ONCE + 1
    store.write([one for number in range(1, count + 1) for one in random_trace(number, 2)])

    assert store.expire(START_NS + DAY) == count
    assert rows(store) == {}


def test_a_deleted_trace_may_come_again(store: Store) -> None:
    store.write(daily(1, 0))
    store.expire(START_NS + DAY)

    store.write(daily(1, 0))

    assert store.summary(trace_id(1)).span_count == 3  # type: ignore[union-attr]


def test_timescaledb_drops_whole_chunks(store: Store) -> None:
    assert isinstance(store, SqlStore)
    with store._database.read() as connection:
        if not expire.has_chunks(connection):
            return
    for day in range(10):
        store.write(daily(day + 1, day))
    store.expire(START_NS + 5 * DAY + DAY // 2)

    with store._database.read() as connection:
        chunks = connection.exec_driver_sql("SELECT count(*) FROM show_chunks('spans')")
        assert chunks.scalar_one() == 4


def test_a_server_that_keeps_traces_for_a_day_deletes_older_ones(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'old.db'}"
    now = time.time_ns()
    with opened(url) as store:
        store.write([span(1, start_ns=now - 2 * DAY), span(1, trace=2, start_ns=now - DAY // 2)])
    with running_server(database_url=url, keep_days=1) as server:
        until = time.monotonic() + 60
        while server.get("/api/traces")["total"] > 1 and time.monotonic() < until:
            time.sleep(0.05)

        assert [one["trace_id"] for one in server.get("/api/traces")["items"]] == [trace_id(2)]
