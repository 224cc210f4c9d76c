"""Replays survive `kill -9` of workers and of the server: none is lost, none ends twice.

`AGENTTRACE_TEST_KILLS` says how often to kill.
"""

import os
import random
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from support.relay import Relay
from support.server import RunningServer, running_server

KILLS = int(os.environ.get("AGENTTRACE_TEST_KILLS", "3"))
SECONDS = 240.0


@pytest.fixture
def server() -> Iterator[RunningServer]:
    with running_server(replay_lease_seconds=3.0) as server:
        yield server


def test_whatever_is_killed_every_replay_ends_once_and_as_it_should(
    server: RunningServer, tmp_path: Path
) -> None:
    relay, where = recorded(server, tmp_path)
    chance = random.Random(7)
    ends: dict[str, Any] = {}

    def look() -> list[dict[str, Any]]:
        """All replays as they are now; what has ended once must stay as it ended."""
        now: list[dict[str, Any]] = server.get("/api/replays", limit=500)["items"]
        for one in now:
            if one["ended_at"]:
                end = (one["status"], one["trace_id"], one["attempt"], one["ended_at"])
                assert ends.setdefault(one["replay_id"], end) == end
        return now

    def wait(what: str) -> None:
        until = time.monotonic() + SECONDS
        while not any(one["status"] == what for one in look()):
            assert time.monotonic() < until, f"none was {what}"
            time.sleep(0.05)

    with ExitStack() as stack:
        worker = stack.enter_context(relay.working())
        for kill in range(KILLS):
            wish = {"checkpoint_id": where, "edits": [{"path": "task", "value": f"SLOW {kill}"}]}
            body = {**wish, "otherwise": "queue"}
            server.client.post("/api/replays", json=body).raise_for_status()
            wait("running")
            time.sleep(chance.uniform(0, 1.5))
            if kill % 2:
                server.kill()
                server.start()
            else:
                worker.kill()
                worker.wait()
                worker = stack.enter_context(relay.working())
        until = time.monotonic() + SECONDS
        while len(ends) < KILLS and time.monotonic() < until:
            look()
            time.sleep(0.1)

    replays = look()
    assert len(replays) == KILLS
    assert {one["status"] for one in replays} <= {"succeeded", "failed"}
    for one in replays:
        if one["status"] == "failed":
            assert "workers died during the replay" in one["error"]
        else:
            task = one["edits"][0]["value"]
            assert one["output"] == f"critic did [coder did [planner did [{task}]]]"
    assert len({one["trace_id"] for one in replays}) == KILLS


def test_who_waits_for_a_replay_survives_its_server(server: RunningServer, tmp_path: Path) -> None:
    relay, where = recorded(server, tmp_path)
    command = ["replay", where, "--set", "task=SLOW", "--wait", "--server", server.url]

    with relay.working():
        until(server, "/api/workers", targets="relay-bot")
        with subprocess.Popen(
            [sys.executable, "-m", "agenttrace_server", *command],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as waiting:
            until(server, "/api/replays", status="running")
            server.kill()
            time.sleep(2)
            server.start()
            out, told = waiting.communicate(timeout=SECONDS)

    assert waiting.returncode == 0, told
    assert "waiting for it" in told
    assert "succeeded" in out


def test_what_a_dead_worker_left_behind_is_named(server: RunningServer, tmp_path: Path) -> None:
    relay, where = recorded(server, tmp_path)
    wish = {"checkpoint_id": where, "edits": [{"path": "task", "value": "HANG"}]}

    with relay.working() as worker:
        until(server, "/api/workers", targets="relay-bot")
        made = server.client.post("/api/replays", json=wish | {"live_tools": "all"}).json()
        until(server, "/api/traces", replay_id=made["replay_id"])
        worker.kill()
        worker.wait()
        replay = until(server, "/api/replays", status="failed")

    assert "look at its trace" in replay["error"]
    assert server.get(f"/api/traces/{replay['trace_id']}")["replay_id"] == replay["replay_id"]


def recorded(server: RunningServer, folder: Path) -> tuple[Relay, str]:
    """The application, once recorded, and the first checkpoint of its run."""
    relay = Relay(folder, server.url)
    relay.record("build a shed")
    trace_id = server.get("/api/traces")["items"][0]["trace_id"]
    server.wait_analysed(trace_id)
    where = server.get(f"/api/traces/{trace_id}/checkpoints")["items"][0]["checkpoint_id"]
    return relay, where


def until(server: RunningServer, path: str, **wanted: str) -> dict[str, Any]:
    """Wait until one of a list is as wanted; return it."""
    end = time.monotonic() + SECONDS
    while time.monotonic() < end:
        for one in server.get(path)["items"]:
            if all(value in str(one.get(name, "")) for name, value in wanted.items()):
                return dict(one)
        time.sleep(0.05)
    raise AssertionError(f"{path}: none was {wanted}")
