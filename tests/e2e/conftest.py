"""A browser, a server with the built UI, and pages that must not complain."""

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Page,
    Request,
    expect,
    sync_playwright,
)

from agenttrace_server import ui_build
from support.server import RunningServer, running_server

ROOT = Path(__file__).parents[2]
RESULTS = ROOT / "test-results"
UI = ROOT / "ui"
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What asks for a page needs Chromium."""
    for item in items:
        if "page" in getattr(item, "fixturenames", ()):
            item.add_marker("browser")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Any:
    """Leave each phase's report on the test, so that fixtures know whether it failed."""
    report = yield
    item.stash.setdefault(_REPORTS, {})[report.when] = report
    return report


_REPORTS: pytest.StashKey[dict[str, pytest.TestReport]] = pytest.StashKey()


@pytest.fixture(scope="session")
def built_ui() -> None:
    """The built UI, built now if it is missing or older than its sources."""
    if not ui_build.is_current(UI):
        ui_build.build(UI, say=print)


# A busy machine is slow, not wrong.
expect.set_options(timeout=20_000)


# Not the whole session: Playwright leaves an event loop running, in which no async test can start.
@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Chromium: that of the system, else the one Playwright knows of."""
    path = next((found for name in BROWSERS if (found := shutil.which(name))), None)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def server(built_ui: None) -> Iterator[RunningServer]:
    """A server for all tests of a module."""
    with running_server() as server:
        yield server


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    """A fresh browser profile in the dark theme, as wide as a small laptop."""
    context = browser.new_context(
        viewport={"width": 1280, "height": 800}, color_scheme="dark", reduced_motion="reduce"
    )
    context.set_default_timeout(20_000)
    yield context
    context.close()


@pytest.fixture
def page(
    context: BrowserContext, server: RunningServer, request: pytest.FixtureRequest
) -> Iterator[Page]:
    """A page that fails its test if it logs an error, breaks its policy or calls elsewhere."""
    page = context.new_page()
    complaints = watch(page, server.url)
    yield page
    report = request.node.stash.get(_REPORTS, {}).get("call")
    if (report is None or report.failed or complaints) and not page.is_closed():
        RESULTS.mkdir(exist_ok=True)
        name = re.sub(r"[^\w.-]+", "-", request.node.name)
        page.screenshot(path=RESULTS / f"{name}.png")
    assert complaints == []


def watch(page: Page, url: str) -> list[str]:
    """Collect what a page complains of from now on."""
    complaints: list[str] = []
    host = urlsplit(url).netloc

    def logged(message: ConsoleMessage) -> None:
        # An answer of 404 is the tested case of several pages; the page's own words are checked.
        if message.type == "error" and "status of 404" not in message.text:
            complaints.append(f"console: {message.text}")

    def requested(request: Request) -> None:
        address = urlsplit(request.url)
        if address.scheme not in ("data", "blob") and address.netloc != host:
            complaints.append(f"called {request.url}")

    page.on("console", logged)
    page.on("pageerror", lambda error: complaints.append(f"error: {error}"))
    page.on("request", requested)
    return complaints


@pytest.fixture(scope="session")
def axe() -> str:
    """The source of axe-core, from the UI's own packages."""
    script = UI / "node_modules" / "axe-core" / "axe.min.js"
    if not script.is_file():
        npm = shutil.which("npm") or "npm"
        subprocess.run([npm, "ci", "--no-audit", "--no-fund"], cwd=UI, check=True, env=os.environ)
    return script.read_text("utf-8")
