"""Going back to a message in the browser: change it, run again, see where the two part."""

import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal

import pytest
from playwright.sync_api import Page, expect

from support.axe import violations
from support.server import RunningServer

TEAM = str(Path(__file__).parents[2] / "examples" / "research_team.py")
SECONDS = 120.0


def python(server: RunningServer, *arguments: str) -> "subprocess.Popen[bytes]":
    """Start `python -m agenttrace` with these arguments, against the server."""
    return subprocess.Popen(
        [sys.executable, "-m", "agenttrace", *arguments],
        env={**os.environ, "OTEL_EXPORTER_OTLP_ENDPOINT": server.url},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


@pytest.fixture(scope="module")
def team(server: RunningServer) -> str:
    """The trace id of the example's run, which ends in a claim that nobody verified."""
    assert python(server, "run", TEAM).wait(SECONDS) == 0
    trace_id = str(server.get("/api/traces")["items"][0]["trace_id"])
    server.wait_analysed(trace_id)
    return trace_id


@pytest.fixture(scope="module")
def worker(server: RunningServer, team: str) -> Iterator[None]:
    process = python(server, "worker", TEAM)
    wait(lambda: server.get("/api/workers")["items"])
    yield
    process.terminate()
    process.wait(SECONDS)


def wait(what: Callable[[], Any]) -> Any:
    until = time.monotonic() + SECONDS
    while not (answer := what()):
        assert time.monotonic() < until, "it never happened"
        time.sleep(0.1)
    return answer


def after_the_objection(server: RunningServer, trace_id: str) -> str:
    """The message by which the supervisor ignores the critic and has the same work done again."""
    said = server.get(f"/api/traces/{trace_id}/messages")["items"]
    objection = next(place for place, m in enumerate(said) if m["content"].startswith("I object"))
    assert (said[objection + 1]["sender"], said[objection + 1]["recipient"]) == (
        "supervisor",
        "researcher",
    )
    return str(said[objection + 1]["message_id"])


@pytest.fixture(scope="module")
def replayed(server: RunningServer, team: str, worker: None) -> dict[str, Any]:
    """A replay of the team in which the critic's objection is a rejection."""
    wish = {
        "message_id": after_the_objection(server, team),
        "live_tools": "all",
        "edits": [{"path": "/messages/-1/content", "value": "REJECTED: see the accounts."}],
    }
    made = server.client.post("/api/replays", json=wish).json()

    def ended() -> dict[str, Any] | None:
        now: dict[str, Any] = server.get(f"/api/replays/{made['replay_id']}")
        return now if now["ended_at"] else None

    found: dict[str, Any] = wait(ended)
    assert found["status"] == "succeeded", found["error"]
    server.wait_analysed(found["trace_id"])
    return found


@pytest.fixture(scope="module")
def tried(server: RunningServer, team: str, worker: None) -> str:
    """The id of an experiment: the critic's objection in two other wordings."""
    wish: dict[str, Any] = {
        "message_id": after_the_objection(server, team),
        "live_tools": "all",
        "variants": [
            {"edits": [{"path": "/messages/-1/content", "value": wording}]}
            for wording in ("REJECTED: see the accounts.", "Fine with me.")
        ],
    }
    made = server.client.post("/api/experiments", json=wish).json()
    path = f"/api/experiments/{made['experiment_id']}"
    wait(lambda: server.get(path)["done"] == len(wish["variants"]))
    return str(made["experiment_id"])


@pytest.mark.usefixtures("worker")
def test_an_edited_message_changes_what_the_team_comes_to(
    page: Page, server: RunningServer, team: str
) -> None:
    message = after_the_objection(server, team)
    page.goto(f"{server.url}/traces/{team}?view=transcript&message={message}")
    page.get_by_role("link", name="Replay from before this").last.click()
    expect(page.get_by_text("worker connected")).to_be_visible()

    state = page.get_by_role("region", name="Change what was known then")
    state.get_by_role("button", name=re.compile(r"^Edit messages.*content$")).last.click()
    state.get_by_role("textbox").fill("REJECTED: the audited accounts show 8.2 %.")
    state.get_by_role("button", name="Keep this").click()
    edits = page.get_by_role("list", name="Edits")
    expect(edits.get_by_text("REJECTED", exact=False)).to_be_visible()
    page.get_by_role("textbox", name="Tools that may run live").fill("all")
    page.get_by_role("button", name="Run it again").click()

    expect(page.get_by_text("Done", exact=True)).to_be_visible(timeout=SECONDS * 1000)
    expect(page.get_by_text("Here the two part")).to_be_visible(timeout=SECONDS * 1000)
    output = page.get_by_role("region", name="Output")
    expect(output).to_contain_text("The critic confirmed the figure")
    calls = page.get_by_role("table", name="Calls")
    page.get_by_role("button", name=re.compile("Show .* calls before the checkpoint")).click()
    expect(calls.get_by_text("restored").first).to_be_visible()
    expect(calls.get_by_text("live", exact=True).first).to_be_visible()
    expect(page.get_by_role("region", name="Where it comes from")).to_contain_text("this")


def test_only_checkpoints_a_run_can_go_back_to_are_shown_at_first(
    page: Page, server: RunningServer, team: str
) -> None:
    page.goto(f"{server.url}/traces/{team}/replay")
    rows = page.get_by_role("list", name="Checkpoints").get_by_role("button")
    expect(rows.first).to_be_visible()
    at_first = rows.count()
    expect(page.get_by_text("It belongs to the subgraph")).to_have_count(0)

    page.get_by_role("button", name=re.compile("a run cannot go back to, and why")).click()

    expect(page.get_by_text("It belongs to the subgraph").first).to_be_visible()
    assert rows.count() > at_first


def test_two_chosen_traces_are_compared(
    page: Page, server: RunningServer, team: str, replayed: dict[str, Any]
) -> None:
    page.goto(f"{server.url}/traces")
    for trace_id in (team, replayed["trace_id"]):
        row = page.get_by_role("row").filter(has=page.locator(f'a[href="/traces/{trace_id}"]'))
        row.get_by_role("checkbox").check()

    page.get_by_role("link", name="Compare").click()

    expect(page).to_have_url(re.compile(f"left={team}&right={replayed['trace_id']}"))
    expect(page.get_by_text("Here the two part")).to_be_visible()


@pytest.mark.parametrize(("width", "theme"), [(1280, "dark"), (1280, "light"), (390, "light")])
@pytest.mark.parametrize(
    "path",
    [
        "replays",
        "replays/{replay_id}",
        "experiments/{experiment_id}",
        "traces/{team}/replay",
        "compare?left={team}&right={run}",
    ],
)
def test_axe_finds_nothing_and_nothing_is_wider_than_the_screen(
    page: Page,
    server: RunningServer,
    team: str,
    replayed: dict[str, Any],
    tried: str,
    axe: str,
    path: str,
    width: int,
    theme: Literal["dark", "light"],
) -> None:
    page.emulate_media(color_scheme=theme)
    page.set_viewport_size({"width": width, "height": 844})
    names = {
        "team": team,
        "run": replayed["trace_id"],
        "replay_id": replayed["replay_id"],
        "experiment_id": tried,
    }
    page.goto(f"{server.url}/{path.format(**names)}")
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    expect(page.get_by_role("status", name="Loading")).to_have_count(0)
    page.wait_for_load_state("networkidle")

    assert violations(page, axe) == []
    assert page.evaluate("document.documentElement.scrollWidth") <= width
