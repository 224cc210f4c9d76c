"""A plugin that nobody here wrote: built, installed with pip, and used by a real server."""

import json
import re
import subprocess
import time
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from support.command import Home
from support.wheels import Installed, bare_environment, installed

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "writing-a-plugin.md"
LINES = 25
TRACE = "5b8efff798038103d269b633813fc60c"


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Installed:
    """An environment of its own: what is installed here must not reach the other tests."""
    published = installed(tmp_path_factory)
    folder = tmp_path_factory.mktemp("with a plugin")
    mine = Installed(folder)
    bare_environment(mine.folder, published.wheels, "pip", "hatchling")
    return mine


def test_the_plugin_of_the_documentation_is_short() -> None:
    assert len(code("python").splitlines()) <= LINES


def test_a_plugin_installed_with_pip_is_used_by_the_server(
    packages: Installed, tmp_path: Path
) -> None:
    package = tmp_path / "agenttrace-swarmlet"
    package.mkdir()
    (package / "agenttrace_swarmlet.py").write_text(code("python"))
    (package / "pyproject.toml").write_text(code("toml"))
    home = Home(tmp_path / "home", packages.python)
    pip = [packages.python, "-m", "pip", "install", "--no-deps", "--no-build-isolation", package]

    before = read_by(home)
    subprocess.run(pip, check=True, capture_output=True)
    listed = {info["name"]: info for info in home.run("plugins", "--format", "json").json}
    home = Home(tmp_path / "another home", packages.python)
    after = read_by(home)

    assert before["agents"] == []
    assert listed["swarmlet"]["hooks"] == ["agenttrace_normalizer"]
    assert sorted(after["agents"]) == ["builder", "planner"]
    assert [(span["kind"], span["agent"]) for span in after["spans"]] == [
        ("agent", "planner"),
        ("llm", "planner"),
        ("agent", "builder"),
    ]
    assert after["spans"][1]["output"] == "build it"
    assert {span["framework"] for span in after["spans"]} == {"swarmlet"}


def code(language: str) -> str:
    """The first block of this language in the documentation."""
    text = DOCUMENT.read_text("utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.M | re.S)[0]


def read_by(home: Home) -> dict[str, Any]:
    """Send swarmlet's spans to a server in this home; return what it makes of them."""
    with home.serving() as server:
        request = urllib.request.Request(
            f"{server.url}/v1/traces",
            json.dumps(spans()).encode(),
            {"Content-Type": "application/json"},
        )
        urllib.request.urlopen(request).close()
        url = f"{server.url}/api/traces/{TRACE}"
        deadline = time.monotonic() + 60
        while not get(url)["analysed"] and time.monotonic() < deadline:
            time.sleep(0.1)
        return {
            "agents": [agent["name"] for agent in get(f"{url}/agents")["items"]],
            "spans": [get(f"{url}/spans/{i}") for i in get(f"{url}/spans")["span_id"]],
        }


def spans() -> dict[str, Any]:
    steps = [
        ("turn", "planner", None, {}),
        ("think", "planner", 0, {"prompt": "what now?", "reply": "build it"}),
        ("turn", "builder", 0, {"prompt": "build it", "reply": "built"}),
    ]
    return {
        "resourceSpans": [
            {
                "scopeSpans": [
                    {
                        "scope": {"name": "swarmlet"},
                        "spans": [span(i, *step) for i, step in enumerate(steps)],
                    }
                ]
            }
        ]
    }


def span(
    index: int, step: str, actor: str, parent: int | None, more: dict[str, str]
) -> dict[str, Any]:
    attributes = {"step": step, "actor": actor, **more}
    start = 1_700_000_000_000_000_000 + index * 1_000_000
    return {
        "traceId": TRACE,
        "spanId": f"{index + 1:016x}",
        "parentSpanId": "" if parent is None else f"{parent + 1:016x}",
        "name": f"{step} {actor}",
        "startTimeUnixNano": str(start),
        "endTimeUnixNano": str(start + 500_000),
        "attributes": [
            {"key": f"swarmlet.{key}", "value": {"stringValue": value}}
            for key, value in attributes.items()
        ],
    }


def get(url: str) -> Any:
    with urllib.request.urlopen(url) as answer:
        return json.load(answer)
