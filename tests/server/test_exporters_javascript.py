"""The exporters of OpenTelemetry for JavaScript, from npm, against a real server."""

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.ports import free_port
from support.receiver import Receiver, served

FOLDER = Path(__file__).parent / "javascript"
SECONDS = 300


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Receiver]:
    with served(tmp_path_factory.mktemp("javascript"), grpc_port=free_port()) as server:
        yield server


@pytest.fixture(scope="module")
def sender(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The program that sends, beside the packages it needs."""
    folder = tmp_path_factory.mktemp("exporters")
    for name in ("package.json", "package-lock.json", "send.mjs"):
        shutil.copy(FOLDER / name, folder)
    npm = shutil.which("npm")
    assert npm, "Node.js is needed for this test as it is for the UI"
    install = [npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--prefer-offline"]
    subprocess.run(install, cwd=folder, check=True, timeout=SECONDS, capture_output=True)
    return folder / "send.mjs"


@pytest.mark.parametrize("kind", ["proto", "http", "grpc"])
def test_the_exporters_of_javascript_are_understood(
    server: Receiver, sender: Path, kind: str
) -> None:
    grpc = f"http://127.0.0.1:{server.app.state.settings.grpc_port}"
    url = grpc if kind == "grpc" else f"{server.url}/v1/traces"
    done = subprocess.run(
        ["node", sender.name, kind, url],
        cwd=sender.parent,
        capture_output=True,
        text=True,
        timeout=SECONDS,
    )

    assert done.returncode == 0, done.stderr
    trace = server.store.trace(done.stdout.strip())
    assert trace is not None, done.stderr
    outer, inner = trace.spans
    assert (outer.name, inner.name, inner.parent_id) == ("outer", "inner", outer.span_id)
    assert (outer.attributes["half"], outer.attributes["whole"]) == (0.5, 12)
    assert outer.attributes["flags"] == [True, False]
    assert (inner.status, inner.status_message) == ("error", "no")
    assert [event.name for event in inner.events] == ["thought"]
    assert inner.scope.name == "javascript"
