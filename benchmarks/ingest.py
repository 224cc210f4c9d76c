"""Spans accepted, committed and analysed per second over HTTP, beside raw inserts in the same run.

Four connections send requests of 512 agent spans, about 900 bytes each, to a server in a process of
its own; a request counts when it was answered, which is after its commit. The baseline inserts the
very same rows with `executemany` (COPY on PostgreSQL) into a database with the same tables and
indexes, 512 at a time. The sustained figure is of all of `agenttrace serve`, which also derives
agents, messages and failures, in a second process; spans count as analysed when they are.

    python benchmarks/ingest.py [--seconds 10] [--sustained 60] [--only SQLite|TimescaleDB]
        [--server postgresql://…]
"""

import argparse
import json
import statistics
import threading
import time
from typing import Any

from databases import add_options, chosen, database
from load import SPANS, Load, Server, bodies, running
from sqlalchemy import text
from sqlalchemy.engine import URL

from agenttrace_server.store.database import Database
from agenttrace_server.store.sql import open_store

ACCEPTED = {"SQLite": 15_000, "TimescaleDB": 20_000}
ANALYSED = 10_000
MOST_MB = 400
MOST_LAG = 15.0
"""Seconds that a span waits for its analysis, while they keep coming."""


def accepted(kind: str, server: URL | None, seconds: float) -> None:
    """As fast as it goes, then at half of that."""
    requests = bodies(int(seconds * 40_000 / SPANS) + 1)
    with database(server) as url, database(server, "raw") as raw_url:
        with running(url, analysis=False) as receiver:
            load = Load(receiver.url, seconds)
            cpu = receiver.cpu_seconds()
            took = load.send(requests)
            rate = load.accepted / took
            cpu = receiver.cpu_seconds() - cpu
        raw = raw_inserts(url, raw_url)
    least = ACCEPTED.get(kind, 0)
    name = f"{kind}: spans accepted and committed"
    ratio = round(rate / raw, 2)
    report(name, rate, "spans/s", least, baseline=round(raw), ratio=ratio)
    report(f"{kind}: processor time of the server", cpu / load.accepted * 1e6, "µs/span")
    with database(server) as url, running(url, analysis=False) as receiver:
        calm = Load(receiver.url, seconds, rate / 2)
        calm.send(bodies(int(seconds * rate / 2 / SPANS) + 1))
    cuts = statistics.quantiles(calm.latencies, n=100)
    full = statistics.quantiles(load.latencies, n=100)[98] * 1000
    name = f"{kind}: p99 of an export at half that load"
    report(name, cuts[98] * 1000, "ms", -250, baseline=round(full))


def sustained(kind: str, server: URL | None, seconds: float) -> None:
    """Everything derived, for as long as spans keep coming at the target's pace."""
    pace = 1.1 * ANALYSED
    requests = bodies(int(seconds * pace / SPANS) + 1)
    with database(server) as url, running(url, analysis=True) as whole:
        load = Load(whole.url, seconds, pace)
        watched = Watch(url, whole)
        took = load.send(requests)
        lags, memory = watched.stop()
        left = watched.unanalysed()
        done = load.accepted - left
    rate = done / took
    report(
        f"{kind}: spans accepted, committed and analysed",
        rate,
        "spans/s",
        ANALYSED,
        baseline=round(load.accepted / took),
        ratio=round(done / load.accepted, 2),
    )
    report(
        f"{kind}: longest wait for the analysis",
        max(lags),
        "s",
        -MOST_LAG,
        baseline=lags[len(lags) // 2],
    )
    p99 = statistics.quantiles(load.latencies, n=100)[98] * 1000
    report(f"{kind}: p99 of an export meanwhile", p99, "ms")
    report(
        f"{kind}: memory of the server in the end",
        memory[-1],
        "MB",
        -MOST_MB,
        baseline=round(memory[len(memory) // 2]),
    )


class Watch:
    """Looks every second how far the analysis is behind, and how much memory the server has."""

    def __init__(self, url: str, server: Server) -> None:
        self._database = Database(url)
        self._server = server
        self._ended = threading.Event()
        self._lags: list[float] = []
        self._memory: list[float] = []
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def stop(self) -> tuple[list[float], list[float]]:
        """Return seconds of lag and megabytes, one for each second."""
        self._ended.set()
        self._thread.join()
        return self._lags, self._memory

    def unanalysed(self) -> int:
        """How many stored spans are of traces that are not analysed as they are."""
        return int(self._ask("SELECT coalesce(sum(span_count), 0) FROM traces") or 0)

    def _run(self) -> None:
        while not self._ended.wait(1.0):
            since = self._ask("SELECT min(written_at) FROM traces")
            self._lags.append(0.0 if since is None else round(time.time() - since / 1e9, 1))
            self._memory.append(self._server.memory())

    def _ask(self, query: str) -> Any:
        with self._database.read() as connection:
            return connection.execute(text(f"{query} WHERE analysed_version < version")).scalar()


def raw_inserts(source: str, target: str) -> float:
    """Return rows per second of the driver's fastest way with the rows that the server stored.

    `executemany` on SQLite, COPY on PostgreSQL; 512 spans and their bodies in each transaction.
    """
    stored = Database(source)
    with stored.read() as connection:
        rows = {
            name: [
                tuple(row)
                for row in connection.exec_driver_sql(
                    f"SELECT * FROM {name} ORDER BY body_id LIMIT 50000"
                )
            ]
            for name in ("spans", "span_bodies")
        }
    stored.close()
    open_store(target).close()
    raw = Database(target)
    count = len(rows["spans"])
    began = time.monotonic()
    for start in range(0, count, SPANS):
        with raw.write() as connection:
            driver: Any = connection.connection.driver_connection
            for name, all_rows in rows.items():
                part = all_rows[start : start + SPANS]
                if raw.is_sqlite:
                    marks = ", ".join("?" * len(part[0]))
                    driver.executemany(f"INSERT INTO {name} VALUES ({marks})", part)
                else:
                    with driver.cursor() as cursor, cursor.copy(f"COPY {name} FROM STDIN") as copy:
                        for row in part:
                            copy.write_row(row)
    took = time.monotonic() - began
    raw.close()
    return count / took


def main() -> None:
    """Measure and report."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--sustained", type=float, default=60)
    add_options(parser)
    options = parser.parse_args()
    for kind, server in chosen(options):
        if options.seconds:
            accepted(kind, server, options.seconds)
        if options.sustained:
            sustained(kind, server, options.sustained)


def report(name: str, value: float, unit: str, target: float = 0, **more: float) -> None:
    """Print one figure as a JSON line; a negative target is the most, a positive one the least."""
    line: dict[str, object] = {"name": name, "value": round(value, 1), "unit": unit, **more}
    if target:
        line["target"] = f"{'>=' if target > 0 else '<='} {abs(target):g}"
        line["ok"] = value >= target if target > 0 else value <= -target
    print(json.dumps(line, ensure_ascii=False), flush=True)


if __name__ == "__main__":
    main()
