"""The list of traces, as someone uses it."""

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from support.runs import Run, research_team
from support.server import RunningServer, running_server

from .conftest import watch


@pytest.fixture(scope="module", autouse=True)
def traces(server: RunningServer) -> list[Run]:
    """A failing run and a few that are fine."""
    runs = [research_team("tidal power")]
    for index in range(30):
        run = Run(f"plain {index}", service="other")
        root = run.span(f"plain {index}", 0, 100 + index)
        run.llm(10, 90, root, "say hello", "hello")
        runs.append(run)
    for run in runs:
        server.post(run.otlp())
    for run in runs:
        server.wait_analysed(run.trace_id)
    return runs


def test_a_trace_leads_to_its_span(page: Page, server: RunningServer) -> None:
    page.goto(server.url)
    page.get_by_role("link", name="invoke_workflow tidal power").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("invoke_workflow tidal power")

    page.get_by_role("treeitem", name=re.compile("execute_tool search_web")).first.click()

    details = page.get_by_role("region", name="Details", exact=True)
    expect(details.get_by_role("heading", name="execute_tool search_web")).to_be_visible()
    expect(details.get_by_text("La Rance annual production").first).to_be_visible()
    expect(details.get_by_role("note", name="Error")).to_contain_text("HTTP 503")
    expect(page).to_have_url(re.compile("span="))


def test_filters_stand_in_the_address(page: Page, server: RunningServer) -> None:
    page.goto(f"{server.url}/traces")
    expect(page.get_by_text("31 in all")).to_be_visible()

    page.get_by_role("combobox", name="Agent").select_option("researcher")
    expect(page.get_by_text("1 found", exact=True)).to_be_visible()
    expect(page).to_have_url(re.compile("agent=researcher"))
    page.reload()
    expect(page.get_by_role("combobox", name="Agent")).to_have_value("researcher")
    expect(page.get_by_text("1 found", exact=True)).to_be_visible()

    page.go_back()
    expect(page.get_by_text("31 in all")).to_be_visible()


def test_a_stretch_of_time_is_chosen(page: Page, server: RunningServer) -> None:
    page.goto(f"{server.url}/traces")
    expect(page.get_by_text("31 in all")).to_be_visible()

    page.get_by_role("button", name="Time: Any time").click()
    page.get_by_label("To").fill("2020-01-01T00:00")
    page.get_by_role("button", name="Show").click()
    expect(page.get_by_text("0 found")).to_be_visible()
    expect(page).to_have_url(re.compile("until=20"))

    page.get_by_role("button", name=re.compile("Time: until")).click()
    page.get_by_label("From").fill("2020-01-01T00:00")
    page.get_by_label("To").fill("2020-01-01T00:00")
    expect(page.get_by_role("alert")).to_contain_text("must come after")
    page.get_by_role("button", name="Last hour").click()
    expect(page.get_by_text("31 found")).to_be_visible()
    expect(page).not_to_have_url(re.compile("until="))


def test_a_bar_leads_to_its_time_and_the_bars_are_of_what_is_listed(
    page: Page, server: RunningServer
) -> None:
    page.goto(f"{server.url}/traces?service=other")
    chart = page.get_by_role("img", name=re.compile("^Traces over time"))
    expect(page.get_by_text("30 · 0 % errors")).to_be_visible()

    chart.locator("g", has_text=re.compile(r"[1-9]\d* without")).last.locator("rect").last.click()

    expect(page).to_have_url(re.compile("service=other&since=20.*&until=20"))
    expect(page.get_by_text(re.compile(r"^\d+ found"))).not_to_have_text("0 found")


def test_what_is_typed_searches_contents(page: Page, server: RunningServer) -> None:
    page.goto(f"{server.url}/traces")

    page.get_by_role("searchbox").fill("no source. Do not publish")

    expect(page.get_by_text("1 found", exact=True)).to_be_visible()
    expect(page.get_by_role("link", name="invoke_workflow tidal power")).to_be_visible()
    expect(page).to_have_url(re.compile("q=no[+]source"))


def test_a_filter_that_nothing_fits_says_so(page: Page, server: RunningServer) -> None:
    page.goto(f"{server.url}/traces?q=thereisnosuchtext")
    expect(page.get_by_text("No trace fits these filters")).to_be_visible()

    page.get_by_role("button", name="Clear filters").click()

    expect(page.get_by_text("31 in all")).to_be_visible()


def test_columns_sort_and_pages_turn(page: Page, server: RunningServer) -> None:
    page.goto(f"{server.url}/traces?size=25")
    page.get_by_role("button", name="Spans").click()

    first = page.locator("tbody tr").first
    expect(first).to_contain_text("tidal power")
    expect(page.get_by_role("columnheader", name="Spans")).to_have_attribute(
        "aria-sort", "descending"
    )
    page.get_by_role("button", name="Next page").click()
    expect(page.get_by_text("26–31 of 31")).to_be_visible()
    expect(page).to_have_url(re.compile("page=2"))
    expect(page).to_have_url(re.compile("sort=-spans"))


def test_a_new_trace_appears_by_itself(page: Page, server: RunningServer) -> None:
    page.goto(f"{server.url}/traces")
    expect(page.get_by_text("Live")).to_be_visible()
    page.mouse.move(2, 2)

    run = research_team("just now")
    server.post(run.otlp())

    expect(page.get_by_role("link", name="invoke_workflow just now")).to_be_visible()
    server.client.delete(f"/api/traces/{run.trace_id}").raise_for_status()


def test_rows_stay_while_the_pointer_is_on_them(page: Page, server: RunningServer) -> None:
    page.goto(f"{server.url}/traces")
    expect(page.get_by_text("Live")).to_be_visible()
    page.get_by_role("link", name="invoke_workflow tidal power").hover()

    run = research_team("held back")
    server.post(run.otlp())

    page.get_by_role("button", name="1 new").click()
    expect(page.get_by_role("link", name="invoke_workflow held back")).to_be_visible()
    server.client.delete(f"/api/traces/{run.trace_id}").raise_for_status()


def test_chosen_traces_are_deleted_once_confirmed(page: Page, server: RunningServer) -> None:
    run = Run("to be deleted")
    run.span("to be deleted", 0, 5)
    server.post(run.otlp())
    page.goto(f"{server.url}/traces?q=deleted")
    page.get_by_role("checkbox", name="Choose to be deleted").check()
    page.get_by_role("button", name="Delete", exact=True).click()

    page.get_by_role("dialog").get_by_role("button", name="Delete 1 trace").click()

    expect(page.get_by_text("No trace fits these filters")).to_be_visible()
    assert server.client.get(f"/api/traces/{run.trace_id}").status_code == 404


def test_the_keyboard_alone_is_enough(page: Page, server: RunningServer) -> None:
    page.goto(f"{server.url}/traces")
    expect(page.get_by_role("link", name="invoke_workflow tidal power")).to_be_visible()

    page.keyboard.press("/")
    expect(page.get_by_role("searchbox")).to_be_focused()
    page.keyboard.type("tidal")
    expect(page.get_by_text("1 found", exact=True)).to_be_visible()
    page.keyboard.press("Escape")
    page.keyboard.press("j")
    expect(page.get_by_role("link", name="invoke_workflow tidal power")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("invoke_workflow tidal power")

    # As fast as they can be pressed: no key may wait for what it is pressed in to be drawn.
    for key in ("4", "ArrowDown", "ArrowDown", "ArrowDown", "ArrowUp"):
        page.keyboard.press(key)
    expect(page).to_have_url(re.compile("view=timeline"))
    details = page.get_by_role("region", name="Details", exact=True)
    expect(details.get_by_role("heading", name="invoke_agent supervisor")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page).not_to_have_url(re.compile("span="))

    page.keyboard.press("?")
    expect(page.get_by_role("dialog", name="Keyboard shortcuts")).to_be_visible()
    page.keyboard.press("Escape")
    page.keyboard.press("Control+k")
    page.keyboard.type("dash")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("Dashboard")


def test_the_theme_is_chosen_and_remembered(page: Page, server: RunningServer) -> None:
    page.goto(f"{server.url}/settings")
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")

    page.get_by_role("button", name="Light", exact=True).first.click()

    expect(page.locator("html")).to_have_attribute("data-theme", "light")
    page.reload()
    expect(page.locator("html")).to_have_attribute("data-theme", "light")


@pytest.fixture(scope="module")
def guarded(built_ui: None) -> Iterator[RunningServer]:
    """A server without a trace, under a path, that asks for a key."""
    with running_server(api_key="open sesame", root_path="/tools/trace") as server:
        yield server


def test_an_empty_server_asks_for_its_key_and_teaches(
    context: BrowserContext, guarded: RunningServer
) -> None:
    page = context.new_page()
    assert guarded.url.endswith("/tools/trace")
    page.goto(f"{guarded.url}/traces")

    page.get_by_label("This server asks for its API key").fill("wrong")
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("alert")).to_contain_text("not the server's API key")
    complaints = watch(page, guarded.url)
    page.get_by_label("This server asks for its API key").fill("open sesame")
    page.get_by_role("button", name="Sign in").click()

    expect(page.get_by_role("heading", name="Waiting for the first trace")).to_be_visible()
    expect(page.get_by_text("agenttrace.instrument()")).to_be_visible()
    run = research_team("under a path")
    guarded.post(run.otlp())
    page.get_by_role("link", name="invoke_workflow under a path").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("invoke_workflow under a path")
    expect(page).to_have_url(re.compile(re.escape(f"{guarded.url}/traces/")))
    page.reload()
    expect(page.get_by_role("heading", level=1)).to_have_text("invoke_workflow under a path")
    assert complaints == []
