"""Ask whether an AgentTrace server answers, and start one if none does."""

import os
import subprocess
import sys
import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Literal
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit
from urllib.request import ProxyHandler, build_opener

import msgspec

from agenttrace.errors import ServerError

LOCAL = ("127.0.0.1", "localhost", "::1")
STARTUP = 60.0
"""Seconds a server may take to start: the first start of a checkout builds the UI."""

START_LINE = "agenttrace serve"
INSTALL_LINE = "pip install agenttrace-server && agenttrace serve"


class Health(msgspec.Struct, frozen=True):
    """What answers at a URL: AgentTrace, something else, or nothing, with the reason."""

    kind: Literal["agenttrace", "other", "nothing"]
    version: str = ""
    reason: str = ""


def ask(url: str, timeout: float = 3.0) -> Health:
    """Return what answers at `url`; never raises."""
    handlers = [ProxyHandler({})] if urlsplit(url).hostname in LOCAL else []
    try:
        with build_opener(*handlers).open(f"{url.rstrip('/')}/health", timeout=timeout) as reply:
            return _read(reply.read(65536))
    except HTTPError as error:
        return _read(error.read(65536), f"HTTP {error.code}")
    except URLError as error:
        return Health("nothing", reason=str(error.reason))
    except (OSError, ValueError) as error:
        return Health("nothing", reason=str(error) or type(error).__name__)


def _read(body: bytes, reason: str = "") -> Health:
    try:
        told = msgspec.json.decode(body, type=dict)
    except (msgspec.DecodeError, UnicodeDecodeError):
        told = {}
    if told.get("service") == "agenttrace":
        return Health("agenttrace", str(told.get("version", "")), reason)
    return Health("other", reason=reason or "it does not say that it is AgentTrace")


def ensure_server(url: str, say: Callable[[str], None]) -> Health:
    """Return what answers at `url`, having started a server there if nothing did and one can be.

    `say` is told what happens. Raises ServerError if the server was started and does not answer.
    """
    found = ask(url)
    if found.kind != "nothing" or urlsplit(url).hostname not in LOCAL:
        return found
    if find_spec("agenttrace_server") is None:
        say(f"no server at {url}; start one with: {INSTALL_LINE}")
        return found
    log = data_folder() / "server.log"
    say(f"starting a server at {url} (log: {log})")
    return _wait(url, _start(url, log), log)


def _start(url: str, log: Path) -> "subprocess.Popen[bytes]":
    parts = urlsplit(url)
    command = [
        *(sys.executable, "-m", "agenttrace_server", "serve"),
        *("--host", parts.hostname or LOCAL[0], "--port", str(parts.port or 80)),
    ]
    try:
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("ab") as output:
            return subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,  # it outlives the program, and its Ctrl-C
                env={k: v for k, v in os.environ.items() if k not in ("TRACEPARENT", "TRACESTATE")},
            )
    except OSError as error:
        raise ServerError(f"No server could be started at {url}: {error}") from error


def _wait(url: str, server: "subprocess.Popen[bytes]", log: Path) -> Health:
    deadline = time.monotonic() + STARTUP
    while time.monotonic() < deadline:
        found = ask(url, timeout=1.0)
        if found.kind == "agenttrace" and not found.reason:
            return found
        if server.poll() is not None:
            break
        time.sleep(0.1)
    lines = log.read_text("utf-8", "replace").strip().splitlines()[-3:] if log.exists() else []
    said = "; ".join(line.strip() for line in lines) or "it said nothing"
    raise ServerError(f"The server started at {url} does not answer ({said}); see {log}")


def data_folder() -> Path:
    """Where AgentTrace keeps its files for this user, by the platform's own convention."""
    if folder := os.environ.get("AGENTTRACE_DATA_DIR"):
        return Path(folder)
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Application Support" / "agenttrace"
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or Path.home()) / "agenttrace"
    return Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share") / "agenttrace"
