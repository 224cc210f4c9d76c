"""Take the pictures in docs/images: each view of the demo's trace, as a browser shows it.

`uv run nox -s screenshots` runs it. A server, a database and runs of their own; nothing is faked.
"""

import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from playwright.sync_api import Browser, Page, sync_playwright

ROOT = Path(__file__).resolve().parents[1]
IMAGES = ROOT / "docs" / "images"
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--force-color-profile=srgb"]
LAPTOP = {"width": 1440, "height": 900}
PHONE = {"width": 390, "height": 844}
OTHERS = {
    "research_team_autogen.py": "autogen_agentchat",
    "research_team_crewai.py": "crewai",
}
OBJECTION = "before supervisor"
CORRECTION = "REJECTED: use the audited accounts"


class Demo:
    """The demo as it runs: where its server is, and the failing trace."""

    def __init__(self, trace_url: str) -> None:
        self.url, _, self.trace = trace_url.partition("/traces/")

    def ask(self, path: str, body: object = None) -> Any:
        """Return the JSON the server answers with."""
        request = urllib.request.Request(
            f"{self.url}/api/{path}",
            None if body is None else json.dumps(body).encode(),
            {"content-type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.load(answer)

    def run(self, file: str) -> None:
        """Run another of the examples."""
        subprocess.run(
            [sys.executable, "-m", "agenttrace", "run", str(ROOT / "examples" / file)],
            env={**os.environ, "OTEL_EXPORTER_OTLP_ENDPOINT": self.url},
            check=True,
            stdout=sys.stderr,
        )

    def corrected(self) -> str:
        """Replay from the critic's objection with another objection; return the replay's id."""
        checkpoints = self.ask(f"traces/{self.trace}/checkpoints?limit=1000")["items"]
        able = [c for c in checkpoints if c["resumable"]]
        critic = next(i for i, c in enumerate(able) if c["label"] == "before critic")
        after = next(c for c in able[critic:] if c["label"] == OBJECTION)
        edit = {"path": "messages/-1/content", "value": CORRECTION}
        replay = self.ask(
            "replays",
            {
                "checkpoint_id": after["checkpoint_id"],
                "edits": [edit],
                "mode": "recorded",
                "live_tools": ["read_accounts", "calculate"],
            },
        )
        return self._until(f"replays/{replay['replay_id']}", "status", "succeeded")

    def settled(self) -> None:
        """Return once every trace is analysed."""
        for trace in self.ask("traces?limit=200")["items"]:
            self._until(f"traces/{trace['trace_id']}", "analysed", True)

    def _until(self, path: str, key: str, value: object) -> str:
        for _ in range(1200):
            found = self.ask(path)
            if found[key] == value:
                return path.split("/")[-1]
            if found[key] in ("failed", "cancelled", "stopped"):
                break
            time.sleep(0.1)
        raise SystemExit(f"{path}: {key} is not {value!r} but {found[key]!r}: {found}")


@contextmanager
def demo(database: Path) -> Iterator[Demo]:
    """Run `agenttrace demo` until the block is left."""
    command = [sys.executable, "-m", "agenttrace_server", "demo", "--port", "0"]
    process = subprocess.Popen(
        [*command, "--database-url", f"sqlite:///{database}"],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1", "COLUMNS": "300"},
    )
    assert process.stdout is not None
    try:
        for line in process.stdout:
            if found := re.search(r"Look at it: (\S+)", line):
                yield Demo(found[1])
                return
        raise SystemExit("the demo ended before it printed an address")
    finally:
        process.terminate()
        process.wait()


def shoot(browser: Browser, at: Demo, names: dict[str, str], size: Any, theme: Any) -> None:
    """Take a picture of each address, named by its key."""
    context = browser.new_context(
        viewport=size,
        color_scheme=theme,
        reduced_motion="reduce",
        locale="en-GB",
        timezone_id="Europe/Paris",
    )
    page = context.new_page()
    for name, path in names.items():
        page.goto(f"{at.url}/{path}")
        _drawn(page)
        page.screenshot(path=IMAGES / f"{name}.png")
        sys.stderr.write(f"docs/images/{name}.png\n")
    context.close()


def _drawn(page: Page) -> None:
    page.get_by_role("heading", level=1).wait_for()
    page.wait_for_load_state("networkidle")
    page.wait_for_function("() => !document.querySelector('.skeleton')")
    page.wait_for_function("() => document.fonts.status === 'loaded'")


def addresses(at: Demo, replay: str) -> dict[str, str]:
    """Return what is shown, by the name of its picture."""
    trace = f"traces/{at.trace}"
    messages = at.ask(f"{trace}/messages?limit=1000")["items"]
    objection = next(m for m in messages if m["sender"] == "critic")

    def view(name: str, **selection: str) -> str:
        return f"{trace}?{urlencode({'view': name, **selection})}"

    return {
        "traces": "traces",
        "trace": trace,
        "graph": view("graph", agent="critic", to=objection["recipient"]),
        "sequence": view("sequence", message=objection["message_id"]),
        "timeline": view("timeline", span=objection["span_id"]),
        "transcript": view("transcript", message=objection["message_id"]),
        "failures": view("failures"),
        "replay-start": f"{trace}/replay",
        "replay": f"replays/{replay}",
        "dashboard": "dashboard",
        "agents": "agents",
        "agent": "agents?name=supervisor",
        "settings": "settings",
    }


def main() -> None:
    """Run the demo and what stands beside it, then take every picture."""
    IMAGES.mkdir(exist_ok=True)
    executable = next((found for name in BROWSERS if (found := shutil.which(name))), None)
    with (
        tempfile.TemporaryDirectory() as folder,
        demo(Path(folder, "demo.db")) as at,
        sync_playwright() as playwright,
    ):
        for file, module in OTHERS.items():
            if importlib.util.find_spec(module):
                at.run(file)
        replay = at.corrected()
        at.settled()
        names = addresses(at, replay)
        browser = playwright.chromium.launch(executable_path=executable, args=ARGUMENTS)
        shoot(browser, at, names, LAPTOP, "dark")
        light = {f"{name}-light": names[name] for name in ("trace", "graph", "dashboard")}
        shoot(browser, at, light, LAPTOP, "light")
        shoot(browser, at, {"phone": names["sequence"]}, PHONE, "dark")
        browser.close()


if __name__ == "__main__":
    main()
