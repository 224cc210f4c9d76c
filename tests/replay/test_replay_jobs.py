"""Replays from the wish to the diff: a real server, real workers, a framework nobody knows."""

import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from support.relay import Relay
from support.server import RunningServer, running_server

SECONDS = 60.0
LEASE = 5.0


@pytest.fixture(scope="module")
def server() -> Iterator[RunningServer]:
    with running_server(replay_lease_seconds=LEASE) as server:
        yield server


@pytest.fixture(scope="module")
def relay(server: RunningServer, tmp_path_factory: pytest.TempPathFactory) -> Relay:
    return Relay(tmp_path_factory.mktemp("relay"), server.url)


@pytest.fixture(scope="module")
def recorded(server: RunningServer, relay: Relay) -> str:
    """The id of a trace of the application."""
    relay.record("build a shed")
    trace_id = str(server.get("/api/traces")["items"][0]["trace_id"])
    server.wait_analysed(trace_id)
    return trace_id


@pytest.fixture
def worker(server: RunningServer, relay: Relay) -> Iterator["subprocess.Popen[str]"]:
    with relay.working() as process:
        wait(lambda: server.get("/api/workers")["items"])
        relay.forget()
        yield process


def wait(what: Callable[[], Any]) -> Any:
    until = time.monotonic() + SECONDS
    while not (answer := what()):
        assert time.monotonic() < until, "it never happened"
        time.sleep(0.05)
    return answer


def checkpoint(server: RunningServer, trace_id: str, label: str) -> str:
    listed = server.get(f"/api/traces/{trace_id}/checkpoints")["items"]
    return str(next(c["checkpoint_id"] for c in listed if c["label"] == label))


def start(server: RunningServer, **wish: Any) -> dict[str, Any]:
    response = server.client.post("/api/replays", json=wish)
    assert response.status_code == 201, response.text
    started: dict[str, Any] = response.json()
    return started


def ended(server: RunningServer, replay: dict[str, Any]) -> dict[str, Any]:
    def look() -> dict[str, Any] | None:
        now: dict[str, Any] = server.get(f"/api/replays/{replay['replay_id']}")
        return now if now["ended_at"] else None

    found: dict[str, Any] = wait(look)
    return found


def is_running(server: RunningServer, replay: dict[str, Any]) -> bool:
    return bool(server.get(f"/api/replays/{replay['replay_id']}")["status"] == "running")


def hashes(server: RunningServer, trace_id: str) -> list[tuple[str, str, str]]:
    messages = server.get(f"/api/traces/{trace_id}/messages")["items"]
    return [(m["sender"], m["recipient"], m["content_hash"]) for m in messages]


@pytest.mark.usefixtures("worker")
def test_an_unchanged_replay_says_the_same_and_calls_no_model(
    server: RunningServer, relay: Relay, recorded: str
) -> None:
    where = checkpoint(server, recorded, "before coder")

    done = ended(server, start(server, checkpoint_id=where))
    server.wait_analysed(done["trace_id"])

    assert (done["status"], done["error"]) == ("succeeded", None)
    assert done["counts"] == {"restored": 1, "recorded": 2, "live": 0}
    assert relay.calls() == []
    assert done["output"] == "critic did [coder did [planner did [build a shed]]]"
    said = hashes(server, recorded)
    assert [one for one in hashes(server, done["trace_id"]) if one in said] == said[-2:]
    summary = server.get(f"/api/traces/{done['trace_id']}")
    assert (summary["replay_of"], summary["replay_id"]) == (recorded, done["replay_id"])
    assert summary["service_name"] == server.get(f"/api/traces/{recorded}")["service_name"]
    assert not summary["cost_usd"]
    steps = server.get(f"/api/replays/{done['replay_id']}")["steps"]
    assert [(s["agent"], s["tier"], s["trace_id"] == recorded) for s in steps] == [
        ("planner", "restored", True),
        ("coder", "recorded", False),
        ("critic", "recorded", False),
    ]
    diff = server.get(f"/api/replays/{done['replay_id']}/diff")
    assert diff["same"]
    assert diff["outputs"]["same"]


@pytest.mark.usefixtures("worker")
def test_what_is_changed_upstream_changes_what_comes_after_it_and_nothing_before_runs(
    server: RunningServer, relay: Relay, recorded: str
) -> None:
    message = server.get(f"/api/traces/{recorded}/messages")["items"][-1]

    done = ended(
        server,
        start(
            server,
            message_id=message["message_id"],
            edits=[{"path": "/task", "value": "paint it"}],
            label="paint",
        ),
    )

    assert done["output"] == "critic did [paint it]"
    assert done["checkpoint_id"] == message["checkpoint_id"]
    assert relay.calls() == ["critic"]
    server.wait_analysed(done["trace_id"])
    diff = server.get("/api/compare", left=recorded, right=done["trace_id"])
    assert not diff["same"]
    changed = diff["rows"][diff["first_divergence"]]
    assert changed["change"] == "changed"
    assert {p["op"] for p in changed["words"]} == {"same", "removed", "added"}
    assert "restored" in diff["counts"]
    tiers = {
        server.get(f"/api/traces/{done['trace_id']}/spans/{span_id}")["attributes"][
            "agenttrace.replay.tier"
        ]
        for span_id in server.get(f"/api/traces/{done['trace_id']}/spans")["span_id"]
    }
    assert tiers == {"live"}


@pytest.mark.usefixtures("worker")
def test_a_replay_of_a_replay_of_a_replay_keeps_its_lineage(
    server: RunningServer, recorded: str
) -> None:
    trace_id, line = recorded, [recorded]
    for generation in range(3):
        where = checkpoint(server, trace_id, "before critic")
        done = ended(
            server,
            start(
                server,
                checkpoint_id=where,
                trace_id=trace_id,
                edits=[{"path": "task", "value": f"{generation}"}],
            ),
        )
        trace_id = done["trace_id"]
        server.wait_analysed(trace_id)
        line.append(trace_id)

    family = server.get(f"/api/traces/{trace_id}/replays")["members"]
    parents = {one["trace_id"]: one["replay_of"] for one in family}

    assert [parents[one] for one in line] == [None, *line[:-1]]


@pytest.mark.usefixtures("worker")
@pytest.mark.parametrize(
    ("task", "status", "error"),
    [
        ("RAISE", "failed", "ValueError: the coder has had enough (app.py:"),
        ("CRASH", "failed", "was killed by SIGKILL"),
        ("TOOL", "stopped", "--live-tools send_mail"),
    ],
)
def test_what_goes_wrong_in_a_replay_ends_it_in_a_clear_state(
    server: RunningServer, recorded: str, task: str, status: str, error: str
) -> None:
    where = checkpoint(server, recorded, "before planner")
    edits = [{"path": "task", "value": task}]

    done = ended(server, start(server, checkpoint_id=where, edits=edits, label=task))

    assert done["status"] == status
    assert error in done["error"]
    assert done["counts"]["live"] == 1
    healthy = ended(server, start(server, checkpoint_id=where))
    assert healthy["status"] == "succeeded"


@pytest.mark.usefixtures("worker")
def test_the_call_at_which_a_replay_stopped_is_not_said_to_have_run(
    server: RunningServer, relay: Relay, recorded: str
) -> None:
    where = checkpoint(server, recorded, "before planner")
    wish = {"checkpoint_id": where, "edits": [{"path": "task", "value": "TOOL"}]}

    done = ended(server, start(server, **wish))
    server.wait_analysed(done["trace_id"])

    steps = server.get(f"/api/replays/{done['replay_id']}")["steps"]
    assert [s["name"] for s in steps if s["tier"] == "stopped"] == [steps[-1]["name"]]
    assert "no recorded answer" in steps[-1]["why"]
    assert "send_mail" not in relay.calls()


@pytest.mark.usefixtures("worker")
def test_a_tool_runs_live_if_it_is_named(
    server: RunningServer, relay: Relay, recorded: str
) -> None:
    where = checkpoint(server, recorded, "before planner")
    wish = {"checkpoint_id": where, "edits": [{"path": "task", "value": "TOOL"}]}

    done = ended(server, start(server, **wish, live_tools=["send_mail"]))

    assert done["status"] == "succeeded"
    assert relay.calls().count("send_mail") == 1
    server.wait_analysed(done["trace_id"])
    steps = server.get(f"/api/replays/{done['replay_id']}")["steps"]
    assert [s["why"] for s in steps if s["kind"] == "tool"] == ["It was allowed to run live"]


@pytest.mark.usefixtures("worker")
def test_a_stuck_replay_is_given_up_by_its_timeout_and_by_cancelling(
    server: RunningServer, recorded: str
) -> None:
    where = checkpoint(server, recorded, "before planner")
    edits = [{"path": "task", "value": "HANG"}]

    timed = start(server, checkpoint_id=where, edits=edits, timeout_seconds=1.0)
    assert "timeout of 1 s" in ended(server, timed)["error"]

    stuck = start(server, checkpoint_id=where, edits=edits)
    waiting = start(server, checkpoint_id=where, edits=edits)
    wait(lambda: is_running(server, stuck))
    for one in (waiting, stuck):
        server.client.post(f"/api/replays/{one['replay_id']}/cancel").raise_for_status()

    assert [ended(server, one)["status"] for one in (stuck, waiting)] == ["cancelled"] * 2
    slow = start(server, checkpoint_id=where, edits=[{"path": "task", "value": "SLOW"}])
    wait(lambda: server.get(f"/api/replays/{slow['replay_id']}")["counts"]["live"] > 3)
    server.client.post(f"/api/replays/{slow['replay_id']}/cancel").raise_for_status()
    assert ended(server, slow)["status"] == "cancelled"
    assert ended(server, start(server, checkpoint_id=where))["status"] == "succeeded"


def test_a_killed_workers_job_is_run_by_another_one(
    server: RunningServer, relay: Relay, recorded: str
) -> None:
    where = checkpoint(server, recorded, "before planner")
    edits = [{"path": "task", "value": "SLOW"}]
    with relay.working("--name", "first") as first:
        wait(lambda: server.get("/api/workers")["items"])
        job = start(server, checkpoint_id=where, edits=edits)
        wait(lambda: is_running(server, job))
        first.kill()
        first.wait()
        with relay.working("--name", "second"):
            done = ended(server, job)

    assert (done["status"], done["attempt"]) == ("succeeded", 2), done["error"]
    assert done["output"] == "critic did [coder did [planner did [SLOW]]]"


def test_a_worker_outlives_its_server_and_finishes_its_job_once(
    server: RunningServer, relay: Relay, recorded: str
) -> None:
    where = checkpoint(server, recorded, "before planner")
    edits = [{"path": "task", "value": "SLOW"}]
    with relay.working() as process:
        wait(lambda: server.get("/api/workers")["items"])
        running = start(server, checkpoint_id=where, edits=edits)
        waiting = start(server, checkpoint_id=where)
        wait(lambda: is_running(server, running))
        server.kill()
        server.start()
        done, later = ended(server, running), ended(server, waiting)
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=60)

    assert (done["status"], done["attempt"]) == ("succeeded", 1)
    assert (later["status"], later["attempt"]) == ("succeeded", 1)
    assert said.count("waiting for it") == 1
    assert process.returncode == 0


def test_a_worker_that_is_told_to_stop_gives_its_job_back_at_once(
    server: RunningServer, relay: Relay, recorded: str
) -> None:
    where = checkpoint(server, recorded, "before planner")
    with relay.working() as process:
        wait(lambda: server.get("/api/workers")["items"])
        hanging = [{"path": "task", "value": "HANG"}]
        job = start(server, checkpoint_id=where, edits=hanging)
        wait(lambda: is_running(server, job))
        process.terminate()
        process.wait(60)

    now = server.get(f"/api/replays/{job['replay_id']}")
    assert now["status"] == "queued"
    assert "No worker is connected" in now["note"]
    server.client.post(f"/api/replays/{job['replay_id']}/cancel").raise_for_status()


def test_a_worker_runs_the_newest_code(server: RunningServer, relay: Relay, recorded: str) -> None:
    where = checkpoint(server, recorded, "before critic")
    code = relay.app.read_text()
    wish = {"checkpoint_id": where, "mode": "live"}
    with relay.working():
        wait(lambda: server.get("/api/workers")["items"])
        try:
            before = ended(server, start(server, **wish))
            relay.app.write_text(code.replace("did [", "has done ["))
            after = ended(server, start(server, **wish))
            relay.app.write_text(code + "\nthis is no Python\n")
            broken = ended(server, start(server, **wish))
        finally:
            relay.app.write_text(code)
        again = ended(server, start(server, **wish))

    assert before["output"].startswith("critic did [")
    assert after["output"].startswith("critic has done [")
    assert broken["status"] == "failed"
    assert "SyntaxError" in broken["error"]
    assert again["output"] == before["output"]


def test_several_jobs_run_at_the_same_time_if_that_is_asked_for(
    server: RunningServer, relay: Relay, recorded: str
) -> None:
    where = checkpoint(server, recorded, "before planner")
    with relay.working("--jobs", "2"):
        wait(lambda: len(server.get("/api/workers")["items"]) == 2)
        slow = [
            start(server, checkpoint_id=where, edits=[{"path": "task", "value": "HANG"}])
            for _ in range(2)
        ]
        wait(lambda: all(is_running(server, one) for one in slow))
        for one in slow:
            server.client.post(f"/api/replays/{one['replay_id']}/cancel").raise_for_status()
        assert {ended(server, one)["status"] for one in slow} == {"cancelled"}


def test_an_experiment_tries_variants_and_tells_what_came_of_each(
    server: RunningServer, relay: Relay, recorded: str
) -> None:
    body = {
        "name": "which paint",
        "checkpoint_id": checkpoint(server, recorded, "before critic"),
        "variants": [
            {"label": "red", "edits": [{"path": "task", "value": "red"}]},
            {"label": "as it was", "edits": []},
        ],
        "repeats": 2,
    }
    with relay.working():
        wait(lambda: server.get("/api/workers")["items"])
        made = server.client.post("/api/experiments", json=body).json()
        path = f"/api/experiments/{made['experiment_id']}"
        wait(lambda: server.get(path)["done"] == 4)
    for outcome in server.get(path)["outcomes"]:
        server.wait_analysed(outcome["replay"]["trace_id"])
    result = server.get(path)

    rows = [(o["replay"]["label"], o["output"], o["same_output"]) for o in result["outcomes"]]
    whole = "critic did [coder did [planner did [build a shed]]]"
    assert rows == [("red", "critic did [red]", False)] * 2 + [("as it was", whole, True)] * 2
    assert result["baseline"]["output"] == whole
    assert [o["cost_usd"] is not None for o in result["outcomes"]][:2] == [True, True]
    assert all(o["failures"] is not None for o in result["outcomes"])
    assert server.get("/api/experiments")["items"][0]["total"] == 4


def test_without_a_worker_a_recorded_replay_is_walked_and_a_live_one_refused(
    server: RunningServer, recorded: str
) -> None:
    wait(lambda: not server.get("/api/workers")["items"])
    where = checkpoint(server, recorded, "before coder")

    unchanged = start(server, checkpoint_id=where)
    edited = start(server, checkpoint_id=where, edits=[{"path": "task", "value": "something else"}])
    refused = server.client.post("/api/replays", json={"checkpoint_id": where, "mode": "live"})
    queued = start(server, checkpoint_id=where, mode="live", otherwise="queue")
    server.client.post(f"/api/replays/{queued['replay_id']}/cancel").raise_for_status()

    assert unchanged["status"] == edited["status"] == "simulated"
    assert [s["tier"] for s in unchanged["steps"]] == ["restored", "recorded", "recorded"]
    assert [(s["agent"], s["tier"]) for s in edited["steps"]] == [
        ("planner", "restored"),
        ("coder", "live"),
        ("critic", "live"),
    ]
    assert refused.status_code == 409
    assert "agenttrace worker MODULE" in refused.json()["detail"]
    assert queued["status"] == "queued"
    assert "No worker is connected" in queued["note"]


def test_what_cannot_be_replayed_says_why(server: RunningServer, recorded: str) -> None:
    def refused(**wish: Any) -> tuple[int, str]:
        response = server.client.post("/api/replays", json=wish)
        return response.status_code, str(response.json()["detail"])

    assert refused(checkpoint_id="none") == (
        404,
        "There is no checkpoint 'none'; list them: agenttrace checkpoints TRACE",
    )
    assert refused(message_id="none")[0] == 404
    assert refused()[0] == 422
    where = checkpoint(server, recorded, "before coder")
    status, why = refused(checkpoint_id=where, target="other", otherwise="refuse")
    assert status == 409
    assert "agenttrace worker MODULE" in why


def test_a_module_that_offers_nothing_or_does_not_exist_is_told(
    relay: Relay, tmp_path: Path
) -> None:
    empty = tmp_path / "empty.py"
    empty.write_text("")

    def said(*arguments: str) -> tuple[int, str]:
        command = [sys.executable, "-m", "agenttrace", "worker", *arguments]
        done = subprocess.run(command, env=relay.environment, capture_output=True, text=True)
        return done.returncode, done.stderr

    assert said(str(empty))[0] == 1
    assert "agenttrace.replayable(" in said(str(empty))[1]
    assert "There is no file" in said("nowhere.py")[1]
    assert said()[0] == 2
    assert said("--jobs", "x", str(empty))[0] == 2
