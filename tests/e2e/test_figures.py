"""The dashboard and the page of one agent: figures, and where they lead."""

import re

import pytest
from playwright.sync_api import Page, expect

from support.runs import Run, research_team
from support.server import RunningServer


@pytest.fixture(scope="module", autouse=True)
def team(server: RunningServer) -> str:
    """The trace id of a failing team's run, beside runs of another service that are fine."""
    failing = research_team("tidal power")
    runs = [failing]
    for index in range(3):
        run = Run(f"plain {index}", service="other")
        run.llm(10, 90, run.span(f"plain {index}", 0, 100), "say hello", "hello")
        runs.append(run)
    for run in runs:
        server.post(run.otlp())
    for run in runs:
        server.wait_analysed(run.trace_id)
    return failing.trace_id


def test_the_dashboard_can_be_of_one_service(page: Page, server: RunningServer) -> None:
    page.goto(f"{server.url}/dashboard")
    figure = page.get_by_role("definition").first
    expect(figure).to_contain_text("4")

    page.get_by_role("combobox", name="Service").select_option("other")

    expect(figure).to_contain_text("3")
    expect(page.get_by_text("No failure was found in this period.")).to_be_visible()
    expect(page).to_have_url(re.compile("service=other"))
    page.go_back()
    expect(figure).to_contain_text("4")


def test_the_slowest_agent_stands_first_and_any_column_sorts(
    page: Page, server: RunningServer
) -> None:
    page.goto(f"{server.url}/dashboard")
    agents = page.get_by_role("table", name="Agents", exact=True)
    stats = server.get("/api/stats")["agents"]
    slowest = max(stats, key=lambda agent: agent["busy_ms"] / agent["traces"])

    expect(agents.locator("tbody tr").first).to_contain_text(slowest["agent"])
    agents.get_by_role("button", name="Failures").click()
    failing = max(stats, key=lambda agent: agent["failures"])
    expect(agents.locator("tbody tr").first).to_contain_text(failing["agent"])


def test_an_agent_has_a_page_that_leads_to_its_failures_and_traces(
    page: Page, server: RunningServer, team: str
) -> None:
    page.goto(f"{server.url}/agents")
    page.get_by_role("link", name="researcher").click()

    expect(page.get_by_role("heading", level=1)).to_have_text("researcher")
    expect(page).to_have_url(re.compile(r"agents\?name=researcher"))
    works_with = page.get_by_role("table", name="Agents it works with")
    expect(works_with.get_by_role("link", name="critic")).to_be_visible()
    wrong = page.get_by_role("region", name="What goes wrong with it").get_by_role("link")
    expect(wrong.first).to_have_attribute("href", re.compile("failure=.*agent=researcher"))

    wrong.first.click()
    expect(page.get_by_role("link", name="invoke_workflow tidal power")).to_be_visible()
    page.go_back()
    page.get_by_role("button", name="Slowest").click()
    page.get_by_role("table", name="Traces").get_by_role("link", name="tidal power").click()
    expect(page).to_have_url(re.compile(f"traces/{team}.agent=researcher"))
    expect(page.get_by_role("region", name="Details", exact=True)).to_contain_text("At work")


def test_an_agent_that_never_ran_says_so(page: Page, server: RunningServer) -> None:
    page.goto(f"{server.url}/agents?name=no.such/agent")

    expect(page.get_by_text("It did not run in this period")).to_be_visible()
