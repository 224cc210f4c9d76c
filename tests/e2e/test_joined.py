"""A joined trace says of what it was joined, and can be taken apart and put together again."""

import re
import time

from playwright.sync_api import Page, expect

from support import captures
from support.server import RunningServer


def joined_id(server: RunningServer, parts: int) -> str:
    """The id of the trace that was joined from so many, once it is."""
    until = time.monotonic() + 120
    while time.monotonic() < until:
        items = server.get("/api/traces", limit=100)["items"]
        if found := [item for item in items if item["parts"] == parts and item["analysed"]]:
            return str(found[0]["trace_id"])
        time.sleep(0.2)
    raise AssertionError(f"Nothing was joined from {parts} traces:\n{server.log()[-2000:]}")


def test_the_26_traces_of_a_swarm_are_one_page_that_can_be_taken_apart(
    page: Page, server: RunningServer
) -> None:
    server.post(captures.body("autogen-0.7.5-builtin-swarm"))
    page.goto(f"{server.url}/traces/{joined_id(server, 26)}")

    mark = page.get_by_role("button", name="Joined from 26 traces")
    expect(mark).to_be_visible(timeout=60_000)
    joined = page.url
    expect(page.get_by_role("button", name="planner to worker: 1 message")).to_be_visible()
    mark.click()
    expect(page.get_by_role("list", name="Parts").get_by_role("listitem")).to_have_count(26)
    page.get_by_role("list", name="Parts").get_by_role("link").nth(3).click()
    expect(page.get_by_role("link", name="Part of a joined trace")).to_be_visible()
    page.get_by_role("link", name="Part of a joined trace").click()
    expect(page).to_have_url(joined)

    mark.click()
    page.get_by_role("button", name="Undo the join").click()

    expect(page.get_by_text("26 traces stand alone again")).to_be_visible()
    expect(mark).to_have_count(0)
    page.get_by_role("button", name="More actions").click()
    page.get_by_role("button", name="Join again").click()
    expect(mark).to_be_visible(timeout=60_000)
    expect(page).to_have_url(joined)


def test_tokens_say_how_they_were_counted(page: Page, server: RunningServer) -> None:
    server.post(captures.body("agentprism_smol_deep_research.otlp"))
    trace_id = captures.load("agentprism_smol_deep_research.otlp")[0].trace_id
    server.wait_analysed(trace_id)
    page.goto(f"{server.url}/traces/{trace_id}")

    page.get_by_role("button", name=re.compile("tokens: how they were counted")).click()

    expect(page.get_by_text(re.compile("6 model calls, each counted once"))).to_be_visible()
    expect(page.get_by_role("row", name=re.compile("^Leaves sum"))).to_be_visible()
