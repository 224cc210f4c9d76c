"""Pages whose server dies and comes back, and pages behind a proxy."""

import re
import threading
from collections.abc import Iterator
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import BrowserContext, expect

from support.runs import research_team
from support.server import RunningServer, running_server

from .conftest import watch

PREFIX = "/tools/trace"
HOP = {"connection", "transfer-encoding", "keep-alive", "date", "server"}


def test_a_running_trace_outlives_its_server(context: BrowserContext, built_ui: None) -> None:
    run = research_team("interrupted")
    root, rest = run.spans[0], run.spans[1:]
    with running_server() as mortal:
        mortal.post(run.otlp(rest[:4]))
        # Errors in the console are what a lost connection is: this page may have them.
        page = context.new_page()
        page.goto(f"{mortal.url}/traces/{run.trace_id}?view=timeline")
        expect(page.get_by_text("Running", exact=True)).to_be_visible()
        expect(page.get_by_text("Live", exact=True)).to_be_visible()
        expect(page.get_by_role("treeitem", name="Parent that has not arrived")).to_be_visible()
        kept = page.get_by_role("treeitem", name=re.compile("^invoke_agent supervisor"))
        before = kept.bounding_box()

        mortal.kill()
        expect(page.get_by_text("Live", exact=True)).to_have_count(0)
        expect(page.get_by_role("treeitem")).to_have_count(5)
        mortal.start()
        # Sent while the page may not be connected yet: it has to catch up by itself.
        mortal.post(run.otlp(rest[4:]))

        expect(page.get_by_role("treeitem")).to_have_count(16)
        assert kept.bounding_box() == before
        mortal.post(run.otlp([root]))
        first = page.get_by_role("treeitem", name=re.compile("^invoke_workflow interrupted"))
        expect(first).to_be_visible()
        expect(page.get_by_text("Running", exact=True)).to_have_count(0)


class _Proxy(BaseHTTPRequestHandler):
    """Hands on what comes under the prefix, without it; refuses everything else."""

    protocol_version = "HTTP/1.1"
    upstream = ""

    def _hand_on(self) -> None:
        if not self.path.startswith(f"{PREFIX}/"):
            self.send_error(404, "not under the prefix")
            return
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        connection = HTTPConnection(self.upstream, timeout=60)
        headers = {k: v for k, v in self.headers.items() if k.lower() not in HOP}
        connection.request(self.command, self.path[len(PREFIX) :], body, headers)
        answer = connection.getresponse()
        content = answer.read()
        self.send_response(answer.status)
        for name, value in answer.getheaders():
            if name.lower() not in HOP | {"content-length"}:
                self.send_header(name, value)
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)
        connection.close()

    do_GET = do_POST = do_PATCH = do_DELETE = _hand_on

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing: the server behind has a log."""


@pytest.fixture(scope="module")
def proxied(built_ui: None) -> Iterator[tuple[RunningServer, str]]:
    """A server that knows its prefix, and the address of a proxy in front of it."""
    with running_server(root_path=PREFIX) as server:
        handler = type("Proxy", (_Proxy,), {"upstream": urlsplit(server.url).netloc})
        proxy = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        thread = threading.Thread(target=proxy.serve_forever, daemon=True)
        thread.start()
        yield server, f"http://127.0.0.1:{proxy.server_address[1]}{PREFIX}"
        proxy.shutdown()
        proxy.server_close()
        thread.join()


def test_every_page_works_behind_a_proxy_that_strips_a_prefix(
    context: BrowserContext, proxied: tuple[RunningServer, str]
) -> None:
    server, address = proxied
    run = research_team("behind a proxy")
    server.post(run.otlp())
    server.wait_analysed(run.trace_id)
    page = context.new_page()
    complaints = watch(page, address)

    page.goto(f"{address}/traces")
    page.get_by_role("link", name="invoke_workflow behind a proxy").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("invoke_workflow behind a proxy")
    expect(page).to_have_url(re.compile(re.escape(f"{address}/traces/{run.trace_id}")))
    for path in ("dashboard", "agents", "settings", "replays", f"traces/{run.trace_id}?view=graph"):
        page.goto(f"{address}/{path}")
        expect(page.get_by_role("heading", level=1)).to_be_visible()
        expect(page.get_by_role("alert")).to_have_count(0)
    # This proxy speaks no WebSocket, as many do not: pages work, only nothing comes by itself.
    assert [c for c in complaints if "WebSocket" not in c] == []
