"""axe-core finds nothing to object to, in either theme."""

from typing import Literal

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from support.axe import violations
from support.runs import research_team
from support.server import RunningServer, running_server

from .conftest import watch

PAGES = (
    "traces",
    "traces?q=nothing-has-this",
    "traces/{trace}",
    "traces/{trace}?view=graph&agent=researcher",
    "traces/{trace}?view=sequence&agent=supervisor&to=critic",
    "traces/{trace}?view=timeline&span={span}",
    "traces/{trace}?view=transcript&message={message}",
    "traces/{trace}?view=failures",
    "dashboard",
    "agents",
    "agents?name=researcher",
    "settings",
)


@pytest.fixture(scope="module")
def names(server: RunningServer) -> dict[str, str]:
    """What the addresses above name."""
    run = research_team()
    server.post(run.otlp())
    server.wait_analysed(run.trace_id)
    message = server.get(f"/api/traces/{run.trace_id}/messages")["items"][2]["message_id"]
    return {"trace": run.trace_id, "span": run.spans[4]["spanId"], "message": message}


@pytest.fixture(params=["dark", "light"])
def themed(request: pytest.FixtureRequest, page: Page) -> Page:
    """The page in one of the themes."""
    page.emulate_media(color_scheme=request.param, reduced_motion="reduce")
    return page


@pytest.mark.parametrize("path", PAGES)
def test_axe_finds_nothing(
    themed: Page, server: RunningServer, names: dict[str, str], axe: str, path: str
) -> None:
    themed.goto(f"{server.url}/{path.format(**names)}")
    expect(themed.get_by_role("heading", level=1)).to_be_visible()
    expect(themed.get_by_role("status", name="Loading")).to_have_count(0)
    themed.wait_for_load_state("networkidle")

    assert violations(themed, axe) == []


@pytest.mark.parametrize("key", ["Control+k", "?"])
def test_axe_finds_nothing_in_dialogs(
    themed: Page, server: RunningServer, axe: str, key: str
) -> None:
    themed.goto(f"{server.url}/traces")
    expect(themed.get_by_role("heading", level=1)).to_be_visible()
    themed.keyboard.press(key)
    expect(themed.get_by_role("dialog")).to_be_visible()

    assert violations(themed, axe) == []


@pytest.mark.parametrize("theme", ["dark", "light"])
def test_axe_finds_nothing_before_the_first_trace(
    context: BrowserContext, built_ui: None, axe: str, theme: Literal["dark", "light"]
) -> None:
    with running_server() as empty:
        page = context.new_page()
        complaints = watch(page, empty.url)
        page.emulate_media(color_scheme=theme)
        page.goto(f"{empty.url}/traces")
        expect(page.get_by_role("heading", name="Waiting for the first trace")).to_be_visible()

        assert violations(page, axe) == []
        assert complaints == []


@pytest.mark.parametrize("path", PAGES)
def test_nothing_is_wider_than_a_phone(
    page: Page, server: RunningServer, names: dict[str, str], path: str
) -> None:
    page.set_viewport_size({"width": 390, "height": 844})
    page.goto(f"{server.url}/{path.format(**names)}")
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    page.wait_for_load_state("networkidle")

    assert page.evaluate("document.documentElement.scrollWidth") <= 390
