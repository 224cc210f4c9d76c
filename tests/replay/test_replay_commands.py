"""The commands that run a recorded application again, as their users type them."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.command import Done, Home
from support.relay import Relay


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    home = Home(tmp_path_factory.mktemp("home"))
    with home.serving():
        yield home


@pytest.fixture(scope="module")
def relay(home: Home, tmp_path_factory: pytest.TempPathFactory) -> Relay:
    relay = Relay(tmp_path_factory.mktemp("relay"), home.url)
    relay.record("build a shed")
    return relay


@pytest.fixture(scope="module")
def recorded(home: Home, relay: Relay) -> str:
    """The id of the application's trace."""
    listed = home.run("traces", "list", "--format", "json").json
    return str(listed["items"][-1]["trace_id"])


@pytest.fixture(scope="module")
def worker(home: Home, relay: Relay) -> Iterator["subprocess.Popen[str]"]:
    process = subprocess.Popen(
        [sys.executable, "-m", "agenttrace_server", "worker", str(relay.app)],
        env={**relay.environment, **home.environment(PYTHONPATH=str(relay.folder))},
        cwd=relay.folder,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    assert "can replay: relay-bot (relay)" in process.stderr.readline()
    yield process
    process.terminate()
    process.communicate(timeout=60)


def before(home: Home, trace_id: str, label: str) -> str:
    listed = home.run("checkpoints", trace_id, "--format", "json").json
    return str(next(one["checkpoint_id"] for one in listed if one["label"] == label))


def edited(home: Home, trace_id: str, *more: str) -> Done:
    return home.run("replay", before(home, trace_id, "before coder"), "--set", "task=a tree", *more)


def test_the_help_teaches(home: Home) -> None:
    shown = home.run("replay", "--help")
    started = home.run("replay", "start", "--help")

    assert all(word in shown.out for word in ("start", "list", "cancel", "verify", "worker"))
    assert "agenttrace checkpoints last" in shown.out
    assert "--live-tools" in started.out
    assert "agenttrace worker app.py" in home.run("worker", "--help").err


def test_checkpoints_are_listed_with_what_they_are_before(home: Home, recorded: str) -> None:
    done = home.run("checkpoints", recorded)

    assert done.code == 0
    assert [f"before {agent}" in done.out for agent in ("planner", "coder", "critic")] == [True] * 3
    assert done.says("3 of 3 can be gone back to")


def test_without_a_worker_the_record_is_walked_through(home: Home, recorded: str) -> None:
    done = edited(home, recorded, "--wait")

    assert done.code == 0, done.err
    assert "simulated" in done.out
    assert done.says("No worker is connected")


def test_a_live_replay_without_a_worker_says_how_to_start_one(home: Home, recorded: str) -> None:
    done = edited(home, recorded, "--live")

    assert done.code == 1
    assert done.says("start one: agenttrace worker MODULE")


@pytest.mark.usefixtures("worker")
def test_an_edited_replay_shows_where_the_two_part_and_what_came_of_it(
    home: Home, recorded: str
) -> None:
    done = edited(home, recorded, "--wait")

    assert done.code == 0, done.err
    assert "Here the two part:" in done.out
    assert "~ coder → critic said “coder did [a tree]” where" in done.out
    assert "Output is:  critic did [coder did [a tree]]" in done.out
    assert done.says("analysed")


@pytest.mark.usefixtures("worker")
def test_text_stays_text_where_the_state_has_text(home: Home, recorded: str) -> None:
    where = before(home, recorded, "before coder")

    done = home.run("replay", where, "--edit", "/task=42", "--wait", "--format", "json")

    assert done.code == 0, done.err
    assert done.json["replay"]["edits"] == [{"path": "/task", "value": "42"}]
    assert done.json["replay"]["output"] == "critic did [coder did [42]]"


@pytest.mark.usefixtures("worker")
def test_a_message_is_replayed_from_just_before_it_was_sent(home: Home, recorded: str) -> None:
    said = home.run("traces", "show", recorded, "--format", "json").json["messages"]
    last = next(m for m in said if m["sender"] == "critic")

    done = home.run("replay", last["message_id"], "--wait", "--format", "json")

    assert done.code == 0, done.err
    assert done.json["replay"]["checkpoint_id"] == before(home, recorded, "before critic")
    assert done.json["replay"]["counts"] == {"restored": 2, "recorded": 1, "live": 0}
    assert done.json["diff"]["same"]


@pytest.mark.usefixtures("worker")
def test_a_replay_that_fails_ends_with_exit_code_1(home: Home, recorded: str) -> None:
    where = before(home, recorded, "before coder")

    done = home.run("replay", where, "--set", "task=RAISE", "--wait")

    assert done.code == 1
    assert "the coder has had enough" in done.out


@pytest.mark.usefixtures("worker")
def test_a_run_is_verified_from_every_checkpoint_and_leaves_nothing_behind(
    home: Home, recorded: str
) -> None:
    stored = home.run("traces", "list", "--format", "json").json["total"]

    done = home.run("replay", "verify", recorded, "--format", "json")

    assert done.code == 0, done.err
    assert done.json["same"]
    assert [row["counts"]["recorded"] for row in done.json["checkpoints"]] == [3, 2, 1]
    assert home.run("traces", "list", "--format", "json").json["total"] == stored


@pytest.mark.usefixtures("worker")
def test_what_does_not_repeat_itself_is_named(home: Home, relay: Relay, tmp_path: Path) -> None:
    export = tmp_path / "forged.json"
    relay.record("dig a hole")
    newest = home.run("traces", "list", "--format", "json").json["items"][0]["trace_id"]
    forged = home.run("export", newest).out.replace(newest, "f" * 32)
    # An answer that is not what was recorded is not given again.
    export.write_text(forged.replace("planner did [dig a hole]", "planner did [dig a pond]"))
    assert home.run("import", export).code == 0

    done = home.run("replay", "verify", "f" * 32)

    assert done.code == 1
    assert "no: chat of planner was not in the record, and ran again" in done.out


@pytest.mark.usefixtures("worker")
def test_two_traces_are_compared(home: Home, recorded: str) -> None:
    edited(home, recorded, "--wait")
    replayed = home.run("replay", "list", "--format", "json").json["items"][0]

    same = home.run("diff", recorded, recorded)
    parted = home.run("diff", recorded, replayed["trace_id"])

    assert (same.code, parted.code) == (0, 1)
    assert "No message differs" in same.out
    assert "Here the two part:" in parted.out
    assert json.loads(home.run("diff", recorded, "last", "--format", "json").out)["rows"]


def test_what_cannot_be_is_one_line(home: Home, recorded: str) -> None:
    for arguments in (
        ("replay", "nonsense"),
        ("replay", "x", "--set", "nothing"),
        ("checkpoints", "f0" * 16),
        ("diff", recorded, "f0" * 16),
        ("replay", "cancel", "nonsense"),
    ):
        done = home.run(*arguments)
        assert done.code in (1, 2), arguments
        assert "Traceback" not in done.err
