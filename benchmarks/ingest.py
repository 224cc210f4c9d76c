"""Spans accepted and committed per second over HTTP, beside raw inserts into the same tables.

Four connections send requests of 512 agent spans, about 930 bytes each, to a server in a process of
its own; a request counts when it was answered, which is after its commit. The baseline inserts the
very same rows with `executemany` (COPY on PostgreSQL) into a database with the same tables and
indexes, 512 at a time, in the same run. `--analysis` runs all of `agenttrace serve`, which also
derives agents, messages and failures, in a second process.

    python benchmarks/ingest.py [--seconds 10] [--analysis] [--server postgresql://…]
"""

import argparse
import json
import os
import re
import secrets
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from http.client import HTTPConnection
from itertools import count
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span
from sqlalchemy.engine import make_url

from agenttrace_server.store.database import Database
from agenttrace_server.store.sql import open_store

CONNECTIONS = 4
SPANS = 512
SPANS_PER_TRACE = 32
TEXT = (
    "The reviewer found that the summary cites no source for its second claim and asks the "
    "researcher to look up the figure again before the writer continues with the draft. "
)


def request(trace_number: int) -> bytes:
    """Return a request of 512 spans of 16 traces: agents, their model calls and tools."""
    message = ExportTraceServiceRequest()
    resource = message.resource_spans.add()
    _set(resource.resource.attributes, "service.name", "bench")
    scope = resource.scope_spans.add()
    scope.scope.name = "agenttrace.langgraph"
    scope.scope.version = "1"
    now = time.time_ns()
    for number in range(SPANS):
        place = number % SPANS_PER_TRACE
        if place == 0:
            trace_id = secrets.token_bytes(16)
            parent = b""
            trace_number += 1
        span = scope.spans.add()
        span.trace_id = trace_id
        span.span_id = secrets.token_bytes(8)
        span.parent_span_id = parent
        span.kind = Span.SPAN_KIND_INTERNAL
        span.start_time_unix_nano = now + number * 1000
        span.end_time_unix_nano = now + number * 1000 + 50_000_000
        agent = ("planner", "researcher", "critic", "writer")[place % 4]
        if place == 0:
            span.name = "research team"
            _set(span.attributes, "gen_ai.operation.name", "invoke_workflow")
            parent = span.span_id
        elif place % 3 == 0:
            span.name = "chat gpt-4o-mini"
            _set(span.attributes, "gen_ai.operation.name", "chat")
            _set(span.attributes, "gen_ai.request.model", "gpt-4o-mini")
            _set(span.attributes, "gen_ai.usage.input_tokens", 420 + place)
            _set(span.attributes, "gen_ai.usage.output_tokens", 60 + place)
        else:
            span.name = f"invoke_agent {agent}"
            _set(span.attributes, "gen_ai.operation.name", "invoke_agent")
        _set(span.attributes, "gen_ai.agent.name", agent)
        _set(span.attributes, "gen_ai.conversation.id", f"session-{trace_number}")
        _set(span.attributes, "gen_ai.provider.name", "openai")
        _set(span.attributes, "agenttrace.framework", "langgraph")
        _set(span.attributes, "agenttrace.input", f"{trace_number}/{place}: {TEXT}")
        _set(span.attributes, "agenttrace.output", f"{place}/{trace_number}: {TEXT} {TEXT[:120]}")
    return message.SerializeToString()


def _set(attributes: object, key: str, value: str | int) -> None:
    attribute = attributes.add()  # type: ignore[attr-defined]
    attribute.key = key
    if isinstance(value, str):
        attribute.value.string_value = value
    else:
        attribute.value.int_value = value


class Load:
    """Connections that send as fast as they are answered, from bodies made before the clock."""

    def __init__(self, url: str, seconds: float) -> None:
        self._address = urlsplit(url)
        self._until = time.monotonic() + seconds
        self.accepted = 0
        self.latencies: list[float] = []
        self._lock = threading.Lock()

    def send(self, bodies: list[bytes]) -> None:
        """Send the bodies in turn until the time is over, each with ids of its own."""
        with closing(HTTPConnection(self._address.hostname or "", self._address.port or 0)) as http:
            for number in count():
                if time.monotonic() > self._until or number == len(bodies):
                    return
                began = time.monotonic()
                headers = {"Content-Type": "application/x-protobuf"}
                http.request("POST", "/v1/traces", bodies[number], headers)
                response = http.getresponse()
                body = response.read()
                if response.status != 200 or body:
                    raise SystemExit(f"refused: {response.status} {body!r}")
                with self._lock:
                    self.accepted += SPANS
                    self.latencies.append(time.monotonic() - began)


RECEIVER = """
import sys, uvicorn
from agenttrace_server.app import create_app
from agenttrace_server.settings import Settings
config = uvicorn.Config(create_app(Settings()), port=0, log_level="info", access_log=False)
uvicorn.Server(config).run()
"""


def over_http(
    database_url: str, seconds: float, bodies: list[list[bytes]], analysis: bool
) -> dict[str, float]:
    """Return what the server took in, and how long each request waited for its answer."""
    environment = {
        **os.environ,
        "AGENTTRACE_DATABASE_URL": database_url,
        "LOG_LEVEL": "WARNING",
        "AGENTTRACE_BUILD_UI": "0",
    }
    whole = ["-m", "agenttrace_server", "serve", "--port", "0"]
    command = [sys.executable, *(whole if analysis else ["-c", RECEIVER])]
    server = subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True)
    try:
        url = _url(server)
        load = Load(url, seconds)
        threads = [threading.Thread(target=load.send, args=(own,)) for own in bodies]
        began, cpu = time.monotonic(), _cpu_seconds(server.pid)
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        took = time.monotonic() - began
        memory, cpu = _memory(server.pid), _cpu_seconds(server.pid) - cpu
    finally:
        server.terminate()
        server.wait()
    cuts = statistics.quantiles(load.latencies, n=100)
    return {
        "spans_per_second": load.accepted / took,
        "spans": load.accepted,
        "p50_ms": cuts[49] * 1000,
        "p99_ms": cuts[98] * 1000,
        "server_mb": memory,
        "server_cpu_us_per_span": cpu / load.accepted * 1e6,
    }


def _url(server: "subprocess.Popen[str]") -> str:
    assert server.stderr is not None
    for line in server.stderr:
        if found := re.search(r"http://[\d.]+:\d+", line):
            threading.Thread(target=server.stderr.read, daemon=True).start()
            return found[0]
    raise SystemExit("the server did not start")


def _memory(pid: int) -> float:
    status = Path(f"/proc/{pid}/status")
    if not status.exists():
        return 0.0
    found = re.search(r"VmRSS:\s+(\d+)", status.read_text())
    return int(found[1]) / 1024 if found else 0.0


def _cpu_seconds(pid: int) -> float:
    stat = Path(f"/proc/{pid}/stat")
    if not stat.exists():
        return 0.0
    fields = stat.read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


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


@contextmanager
def databases(server: str | None) -> Iterator[tuple[str, str]]:
    """Two empty databases: SQLite files, or made on the PostgreSQL server whose URL is given."""
    if server is None:
        with tempfile.TemporaryDirectory() as folder:
            yield f"sqlite:///{folder}/bench.db", f"sqlite:///{folder}/raw.db"
        return
    names = [f"agenttrace_bench_{os.getpid()}_{place}" for place in ("server", "raw")]
    url = make_url(server)
    with psycopg.connect(server, autocommit=True) as connection:
        for name in names:
            connection.execute(f"CREATE DATABASE {name}".encode())
        try:
            one, two = (url.set(database=n).render_as_string(hide_password=False) for n in names)
            yield one, two
        finally:
            for name in names:
                connection.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())


def main() -> None:
    """Measure and report."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--server", help="a PostgreSQL to make databases on: postgresql://…")
    parser.add_argument("--analysis", action="store_true")
    options = parser.parse_args()
    requests = int(options.seconds * 40_000 / SPANS / CONNECTIONS) + 1
    numbers = count()
    bodies = [[request(next(numbers) * SPANS) for _ in range(requests)] for _ in range(CONNECTIONS)]
    with databases(options.server) as (source, target):
        found = over_http(source, options.seconds, bodies, options.analysis)
        found["raw_per_second"] = raw_inserts(source, target)
    per_span = len(bodies[0][0]) / SPANS
    what = "accepted, committed and analysed" if options.analysis else "accepted and committed"
    kind = "PostgreSQL" if options.server else "SQLite"
    name = f"{kind}: spans {what} ({per_span:.0f} bytes each)"
    rate, raw = found["spans_per_second"], found["raw_per_second"]
    least = 10_000 if options.analysis else 20_000 if options.server else 15_000
    report(name, rate, "spans/s", least, baseline=round(raw), ratio=round(rate / raw, 2))
    report("p50 of an export", found["p50_ms"], "ms")
    report("p99 of an export", found["p99_ms"], "ms")
    report("processor time of the server", found["server_cpu_us_per_span"], "µs/span")
    report("memory of the server", found["server_mb"], "MB", -400)


def report(name: str, value: float, unit: str, target: float = 0, **more: float) -> None:
    """Print one figure as a JSON line; a negative target is the most, a positive one the least."""
    line: dict[str, object] = {"name": name, "value": round(value, 1), "unit": unit, **more}
    if target:
        line["target"] = f"{'>=' if target > 0 else '<='} {abs(target):g}"
        line["ok"] = value >= target if target > 0 else value <= -target
    print(json.dumps(line, ensure_ascii=False), flush=True)


if __name__ == "__main__":
    main()
