"""What was answered with success survives `kill -9` of anything, and is there once.

`AGENTTRACE_TEST_KILLS` says how often to kill; `benchmarks/kills.py` sets it to many.
"""

import os
import random
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import text

from agenttrace_server.store.database import Database
from support import postgres
from support.clients import SPANS, Client, over_grpc, over_http, wait_for_more
from support.cluster import Cluster
from support.ports import free_port
from support.server import RunningServer, running_server

KILLS = int(os.environ.get("AGENTTRACE_TEST_KILLS", "4"))
BETWEEN = 12
"""So many traces are stored between two kills, at least."""

KINDS = ["sqlite", *(["postgres"] if postgres.can_be_killed() else [])]


@contextmanager
def kept(kind: str, folder: Path) -> Iterator[tuple[str, Cluster | None]]:
    """The URL of an empty database, and the cluster that it is in, if it is."""
    if kind == "sqlite":
        yield f"sqlite:///{folder / 'traces.db'}", None
        return
    cluster = postgres.own_cluster()
    try:
        yield cluster.url.render_as_string(hide_password=False), cluster
    finally:
        cluster.remove()


def kill_the_server(server: RunningServer) -> None:
    server.kill()
    server.start()


def kill_the_analysis(server: RunningServer) -> None:
    """It is the server that starts it again."""
    listed = subprocess.run(
        ["ps", "-o", "pid=", "--ppid", str(server.pid)], capture_output=True, text=True
    )
    for pid in listed.stdout.split():
        os.kill(int(pid), signal.SIGKILL)


def traces_in(url: str) -> dict[str, int]:
    """How many spans each trace has, none of them twice."""
    database = Database(url)
    with database.read() as connection:
        rows = connection.execute(text("SELECT trace_id, span_id FROM spans")).all()
    database.close()
    assert len(rows) == len({tuple(row) for row in rows}), "spans are stored twice"
    found: dict[str, int] = {}
    for trace_id, _ in rows:
        found[trace_id] = found.get(trace_id, 0) + 1
    return found


def wait_until_all_is_analysed(server: RunningServer, seconds: float = 300.0) -> int:
    """Return how many traces there are, once each is analysed as it is."""
    until = time.monotonic() + seconds
    while True:
        found = server.get("/api/traces", limit=200)
        total, offset = found["total"], 200
        items = found["items"]
        while len(items) < total:
            items += server.get("/api/traces", limit=200, offset=offset)["items"]
            offset += 200
        waiting = [item["trace_id"] for item in items if not item["analysed"]]
        if not waiting:
            return int(total)
        assert time.monotonic() < until, f"{len(waiting)} traces wait:\n{server.log()[-3000:]}"
        time.sleep(0.5)


@pytest.mark.parametrize("kind", KINDS)
def test_every_acknowledged_span_is_there_once_whatever_is_killed(
    kind: str, tmp_path: Path
) -> None:
    chance = random.Random(4318)
    port = free_port()
    with (
        kept(kind, tmp_path) as (url, cluster),
        running_server(database_url=url, grpc_port=port) as server,
    ):
        kills: list[Callable[[RunningServer], None]] = [kill_the_server, kill_the_analysis]
        if cluster is not None:

            def kill_the_database(_: RunningServer) -> None:
                cluster.kill()
                cluster.start()

            kills.append(kill_the_database)
        clients = [Client(number, over_http(server.url)) for number in (1, 2)]
        clients.append(Client(3, over_grpc(port)))
        for client in clients:
            client.start()
        try:
            for number in range(KILLS):
                wait_for_more(clients, BETWEEN)
                time.sleep(chance.uniform(0, 0.3))
                kills[number % len(kills)](server)
            wait_for_more(clients, BETWEEN)
        finally:
            for client in clients:
                client.stop()

        acknowledged = [trace_id for client in clients for trace_id in client.acknowledged]
        total = wait_until_all_is_analysed(server)
        stored = traces_in(url)
    print(
        f"on {kind}: {KILLS} kills, {len(acknowledged)} traces acknowledged, "
        f"{sum(client.again for client in clients)} requests sent again"
    )
    assert len(acknowledged) >= BETWEEN * (KILLS + 1)
    assert {stored.get(trace_id, 0) for trace_id in acknowledged} == {SPANS}
    # What was stored but not acknowledged before a kill was sent again: at most one of each client.
    assert len(acknowledged) <= len(stored) == total <= len(acknowledged) + len(clients)
