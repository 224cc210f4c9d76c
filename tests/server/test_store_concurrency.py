"""Many threads, many processes, and processes that die."""

import random
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest

from agenttrace_server.store import Analysis, Store, TraceQuery
from support.stored import killed_writer, opened, random_trace, span, trace_id


def test_threads_that_write_one_trace_leave_exact_counts(store: Store) -> None:
    spans = random_trace(1, 120)
    alone = random_trace(2, 120)

    with ThreadPoolExecutor(6) as pool:
        parts = [spans[n::6] + spans[(n + 1) % 6 :: 6] for n in range(6)]
        list(pool.map(store.write, parts))
    store.write(alone)

    several, one = store.summary(trace_id(1)), store.summary(trace_id(2))
    assert several is not None
    assert one is not None
    assert several.span_count == one.span_count == 120
    assert len(store.trace(trace_id(1)).spans) == 120  # type: ignore[union-attr]
    recounted = [s for s in spans if s.status == "error"]
    assert several.error_count == len(recounted)


def test_stores_that_write_one_trace_leave_exact_counts(store: Store, database_url: str) -> None:
    spans = random_trace(1, 120)

    def write(part: int) -> None:
        with opened(database_url) as own:
            for start in range(part, 120, 20):
                own.write(spans[start : start + 30])

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(write, (0, 5, 10, 15)))
    store.write(spans)

    several = store.summary(trace_id(1))
    assert several is not None
    assert several.span_count == 120
    assert several.error_count == sum(s.status == "error" for s in spans)
    assert len(store.trace(trace_id(1)).spans) == 120  # type: ignore[union-attr]


def test_reading_never_waits_for_writing_nor_sees_half_of_it(store: Store) -> None:
    stop = threading.Event()
    seen: list[int] = []

    def write() -> None:
        number = 0
        while not stop.is_set():
            number += 1
            store.write(random_trace(number, 7))

    writer = threading.Thread(target=write)
    writer.start()
    try:
        for _ in range(60):
            for item in store.traces(TraceQuery(limit=5)).items:
                trace = store.trace(item.trace_id)
                assert trace is not None
                seen.append(len(trace.spans))
    finally:
        stop.set()
        writer.join()
    assert set(seen) <= {7}


def test_writing_analysing_reviewing_and_deleting_at_once_work(
    store: Store, database_url: str
) -> None:
    def write() -> None:
        for number in range(1, 41):
            store.write(random_trace(number, 9))

    def analyse() -> None:
        with opened(database_url) as own:
            for _ in range(40):
                for claimed in own.claim(5, 0):
                    own.save(claimed, Analysis(graph={"of": claimed.trace_id}))

    def delete() -> None:
        for number in range(1, 41, 2):
            while not store.delete(trace_id(number)):
                time.sleep(0.001)

    with ThreadPoolExecutor(3) as pool:
        for future in [pool.submit(job) for job in (write, analyse, delete)]:
            future.result()

    left = store.traces(TraceQuery(limit=100))
    assert {int(item.trace_id, 16) for item in left.items} == set(range(2, 41, 2))
    assert {item.span_count for item in left.items} == {9}


@pytest.mark.parametrize("seed", range(5))
def test_nothing_acknowledged_is_lost_when_the_writer_is_killed(
    database_url: str, seed: int
) -> None:
    with opened(database_url):
        pass
    acknowledged: list[int] = []
    for kill in range(2):
        writer = subprocess.Popen(
            [sys.executable, "-c", killed_writer(database_url, 2 * seed + kill)],
            stdout=subprocess.PIPE,
            text=True,
        )
        assert writer.stdout is not None
        acknowledged.append(int(writer.stdout.readline()))
        time.sleep(random.Random(seed * 10 + kill).uniform(0, 0.4))
        writer.send_signal(signal.SIGKILL)
        acknowledged += [int(line) for line in writer.stdout.read().split()]
        writer.wait()

    with opened(database_url) as store:
        for number in acknowledged:
            trace = store.trace(trace_id(number))
            assert trace is not None
            assert sorted(trace.spans, key=lambda s: s.span_id) == random_trace(number, 20)
        page = store.traces(TraceQuery(limit=100_000))
        assert {item.span_count for item in page.items} == {20}
        claimed = [one for some in iter(lambda: store.claim(100_000, 0), []) for one in some]
        assert len(claimed) == page.total >= len(acknowledged)


def test_a_killed_writer_leaves_a_sound_file(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'db'}"
    writer = subprocess.Popen(
        [sys.executable, "-c", killed_writer(url, 1)], stdout=subprocess.PIPE, text=True
    )
    assert writer.stdout is not None
    writer.stdout.readline()
    writer.kill()
    writer.wait()
    writer.stdout.close()

    with closing(sqlite3.connect(tmp_path / "db")) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        assert connection.execute("PRAGMA foreign_key_check").fetchall() == []


def test_processes_that_open_a_new_database_at_once_all_succeed(tmp_path: Path) -> None:
    program = (
        "import sys; from agenttrace_server.store.sql import open_store; "
        f"open_store('sqlite:///{tmp_path / 'new' / 'db'}').close(); print('ok')"
    )
    processes = [
        subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
        for _ in range(4)
    ]

    assert [process.communicate()[0].strip() for process in processes] == ["ok"] * 4


def test_a_store_survives_being_used_from_many_threads_at_once(store: Store) -> None:
    store.write([span(1)])

    with ThreadPoolExecutor(80) as pool:
        answers = list(pool.map(lambda _: store.summary(trace_id()), range(200)))

    assert len(set(answers)) == 1
