"""How soon the UI shows something, and how smoothly it moves: Chromium, a real server and database.

Every load is cold: a new browser profile, nothing in its cache. A JSON line per figure. Given the
address of a running Phoenix (`phoenix serve`), the same trace is shown there too.

    python benchmarks/ui.py [--traces 60000] [--loads 10] [--database-url sqlite:///FILE]
                            [--phoenix http://127.0.0.1:6006]
"""

import argparse
import gzip
import json
import os
import random
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

from playwright.sync_api import Browser, Page, sync_playwright
from store_read import SECOND, START_NS, fill, report, trace

from agenttrace.models import Scope, Span
from agenttrace_server import ui_build
from agenttrace_server.analyse import classifiers
from agenttrace_server.analyse.process import Loop
from agenttrace_server.encode.otlp_protobuf import encode_protobuf
from agenttrace_server.store.sql import open_store
from agenttrace_server.yaml_rules import RuleFile

SHORT, LONG, LONGER, LONGEST = 5_000, 20_000, 50_000, 200_000
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
PHOENIX_ROW = "document.querySelector('.span-node-wrap') && performance.now()"
TIMELINE = "performance.getEntriesByName('timeline drawn')[0]?.startTime"

# Notes when the first row of the list stands in a frame that is about to be shown.
WATCH_LIST = """
const look = () => {
  if (document.querySelector('tbody a[data-row]')) window.listDrawn = performance.now()
  else requestAnimationFrame(look)
}
requestAnimationFrame(look)
"""

# Asked once, answered when the expression has a value. The page's policy forbids to evaluate text.
WAIT = """
() => new Promise(done => {
  const look = () => {
    const value = %s
    if (value) done(value)
    else requestAnimationFrame(look)
  }
  look()
})
"""

# Frames a second while every frame moves something, for three seconds.
FRAMES = """
move => new Promise(done => {
  const tree = document.querySelector('[role=tree]')
  const box = tree.getBoundingClientRect()
  const moves = {
    scroll: () => { tree.scrollTop += 60 },
    zoom: frame => tree.dispatchEvent(new WheelEvent('wheel', {
      bubbles: true, cancelable: true, ctrlKey: true, deltaY: frame % 120 < 60 ? -30 : 30,
      clientX: box.x + box.width * 0.7, clientY: box.y + 100,
    })),
  }
  let frames = 0, began
  const next = now => {
    began ??= now
    if (now - began > 3000) return done(1000 * frames / (now - began))
    moves[move](frames++)
    requestAnimationFrame(next)
  }
  requestAnimationFrame(next)
})
"""


def trace_id(spans: int) -> str:
    """Return the id of the trace with so many spans."""
    return f"{spans:x}".rjust(32, "f")


def long_trace(spans: int) -> list[Span]:
    """Return the spans of one of the long traces, which began now: Phoenix shows the last days."""
    second = (time.time_ns() - START_NS) // SECOND
    return trace(trace_id(spans), second, spans, Scope("bench"), random.Random(spans))


def prepare(database: str, traces: int) -> None:
    """Store and analyse a long list, and long traces."""
    store = open_store(database)
    fill(store, traces, 2)
    for spans in (SHORT, LONG, LONGER, LONGEST):
        rows = long_trace(spans)
        for start in range(0, spans, 2000):
            store.write(rows[start : start + 2000])
    analysis = Loop(store, classifiers.load(RuleFile(Path("no-rules.yaml"), False), None), 0.0)
    while analysis.once() or store._index_some():
        pass
    store.close()


@contextmanager
def serving(database: str) -> Iterator[str]:
    """Run `agenttrace serve` on the database; yields its address."""
    command = [sys.executable, "-m", "agenttrace_server", "serve", "--port", "0", "--no-ui"]
    with tempfile.TemporaryFile("w+") as log:
        server = subprocess.Popen(
            [*command, "--database-url", database],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
        )
        assert server.stdout is not None
        try:
            for line in server.stdout:
                log.write(line)
                if found := re.search(r"serves (http://\S+)", line):
                    yield found[1]
                    return
            log.seek(0)
            raise RuntimeError(f"The server did not start:\n{log.read()}")
        finally:
            server.terminate()
            server.wait()


def load(browser: Browser, address: str, drawn: str) -> float:
    """Open a page in a new profile; return the seconds until the expression has a value."""
    context = browser.new_context(viewport={"width": 1280, "height": 800})
    context.add_init_script(WATCH_LIST)
    page = context.new_page()
    # A browser that is open and idle: it has started the process that the next page will be in.
    page.wait_for_timeout(1000)
    page.goto(address, wait_until="commit")
    milliseconds: float = page.evaluate(WAIT % drawn)
    # What the page asks for later must not slow the next one down.
    page.wait_for_load_state("networkidle")
    context.close()
    return milliseconds / 1000


def frames(browser: Browser, address: str) -> dict[str, float]:
    """Return frames a second while the timeline scrolls and while it zooms."""
    context = browser.new_context(viewport={"width": 1280, "height": 800})
    page: Page = context.new_page()
    page.goto(address)
    page.evaluate(WAIT % TIMELINE)
    page.wait_for_load_state("networkidle")
    found = {move: float(page.evaluate(FRAMES, move)) for move in ("scroll", "zoom")}
    context.close()
    return found


def beside_phoenix(browser: Browser, url: str, phoenix: str, loads: int) -> None:
    """Report how soon each shows the trace: we all of its spans, Phoenix the first thousand."""
    rows = long_trace(SHORT)
    for start in range(0, SHORT, 500):
        _post(f"{phoenix}/v1/traces", encode_protobuf(rows[start : start + 500]), "x-protobuf")
    query = json.dumps({"query": "{projects{edges{node{id name}}}}"}).encode()
    projects = json.loads(_post(f"{phoenix}/graphql", query, "json"))["data"]["projects"]["edges"]
    project = next(one["node"]["id"] for one in projects if one["node"]["name"] == "default")
    theirs = f"{phoenix}/projects/{project}/traces/{trace_id(SHORT)}"
    ours = f"{url}/traces/{trace_id(SHORT)}?view=timeline"
    load(browser, theirs, PHOENIX_ROW)
    pairs = [
        (load(browser, ours, TIMELINE), load(browser, theirs, PHOENIX_ROW)) for _ in range(loads)
    ]
    mine, other = (statistics.median(times) for times in zip(*pairs, strict=True))
    name = f"UI: {SHORT} spans, first drawn"
    report(name, mine, "s", other, baseline=round(other, 3), beside="Phoenix")


def _post(address: str, body: bytes, kind: str) -> bytes:
    headers = {"content-type": f"application/{kind}"}
    with urllib.request.urlopen(urllib.request.Request(address, body, headers)) as answer:
        return bytes(answer.read())


def bundle(static: Path) -> float:
    """Return what the browser must load before any page is shown, gzipped, in kB."""
    html = (static / "index.html").read_text("utf-8")
    scripts = set(re.findall(r'(?:src|href)="([^"]+\.js)"', html))
    return sum(len(gzip.compress((static / name).read_bytes(), 9)) for name in scripts) / 1000


def main() -> None:
    """Fill a database unless one is given, then look at it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--traces", type=int, default=60_000)
    parser.add_argument("--loads", type=int, default=10)
    parser.add_argument("--database-url", help="made by this script before, or to be made")
    parser.add_argument("--phoenix", help="where Phoenix runs, to measure it too")
    options = parser.parse_args()
    ui = ui_build.source_folder()
    if ui and not ui_build.is_current(ui):
        ui_build.build(ui, say=lambda line: print(line, file=sys.stderr))
    report("UI: entry bundle, gzip", bundle(ui_build.STATIC), "kB", 150)
    browser_path = next((program for name in BROWSERS if (program := shutil.which(name))), None)
    with tempfile.TemporaryDirectory() as folder:
        database = options.database_url or f"sqlite:///{Path(folder) / 'bench.db'}"
        file = Path(urlsplit(database).path.removeprefix("/"))
        if not (database.startswith("sqlite") and file.is_file()):
            prepare(database, options.traces)
        with serving(database) as url, sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=browser_path, args=ARGUMENTS)
            pages = {
                f"list of {options.traces} traces": ("traces", "window.listDrawn", 0.5),
                f"{LONG} spans": (f"traces/{trace_id(LONG)}?view=timeline", TIMELINE, 0.7),
                f"{LONGER} spans": (f"traces/{trace_id(LONGER)}?view=timeline", TIMELINE, 1.0),
            }
            for name, (path, drawn, target) in pages.items():
                taken = [load(browser, f"{url}/{path}", drawn) for _ in range(options.loads)]
                report(
                    f"UI: {name}, first drawn",
                    statistics.median(taken),
                    "s",
                    target,
                    worst=round(max(taken), 3),
                    load=round(os.getloadavg()[0], 1),
                )
            for spans, least in ((LONGER, 55), (LONGEST, 30)):
                found = frames(browser, f"{url}/traces/{trace_id(spans)}?view=timeline")
                for move, rate in found.items():
                    report(f"UI: {spans} spans, {move}", rate, "fps", least, at_least=True)
            if options.phoenix:
                beside_phoenix(browser, url, options.phoenix.rstrip("/"), options.loads)
            browser.close()


if __name__ == "__main__":
    main()
