"""A real AgentTrace server in a process of its own, for tests."""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

START_SECONDS = 60.0
WAIT_SECONDS = 30.0

# Its standard input ends with the test process, however that goes; then so does the server.
_ENTRY = """
import os, signal, sys, threading
from agenttrace_server.app import serve
from agenttrace_server.settings import Settings

def end():
    os.read(0, 1)
    os.kill(os.getpid(), signal.SIGTERM)

threading.Thread(target=end, daemon=True).start()
serve(Settings(), ready=lambda url: print(url, flush=True))
"""


class RunningServer:
    """A server process: where it is, and ways to be rude to it."""

    def __init__(self, folder: Path, settings: dict[str, Any]) -> None:
        self.folder = folder
        self._settings = settings
        self._process: subprocess.Popen[str] | None = None
        self._log = (folder / "server.log").open("a+")
        self.url = ""
        self.client = httpx.Client()

    def start(self) -> None:
        """Start the process; return when it answers. A restart takes the same port again."""
        port = httpx.URL(self.url).port if self.url else 0
        settings = {
            "port": port,
            "grpc_port": 0,
            "database_url": f"sqlite:///{self.folder / 'agenttrace.db'}",
            "quiet_seconds": 0.2,
            **self._settings,
        }
        environment = {k: v for k, v in os.environ.items() if not k.startswith("AGENTTRACE_")}
        for name, value in settings.items():
            environment[f"AGENTTRACE_{name.upper()}"] = str(value)
        self._process = subprocess.Popen(
            [sys.executable, "-c", _ENTRY],
            env=environment,
            cwd=self.folder,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
        )
        assert self._process.stdout is not None
        self.url = self._process.stdout.readline().strip()
        if not self.url:
            self._process.wait(START_SECONDS)
            raise AssertionError(f"The server did not start:\n{self.log()}")
        headers = {"x-api-key": str(settings["api_key"])} if settings.get("api_key") else {}
        self.client.close()
        self.client = httpx.Client(base_url=self.url, headers=headers, timeout=30)

    @property
    def pid(self) -> int:
        """The id of the server's process."""
        assert self._process is not None
        return self._process.pid

    def kill(self) -> None:
        """Kill the process as `kill -9` does."""
        assert self._process is not None
        self._process.kill()
        self._process.wait(START_SECONDS)

    def stop(self) -> int:
        """End the process in order, by SIGTERM; return its exit code."""
        assert self._process is not None
        self._process.terminate()
        return self._process.wait(START_SECONDS)

    def restart(self) -> None:
        """Stop the process if it runs, and start it again on the same database and port."""
        if self._process is not None and self._process.poll() is None:
            self.stop()
        self.start()

    def log(self) -> str:
        """Return what the server has logged so far."""
        self._log.flush()
        return (self.folder / "server.log").read_text()

    def post(self, body: bytes | dict[str, Any], content_type: str = "application/json") -> Any:
        """Send an OTLP request; return the answer, which must be a success."""
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        response = self.client.post(
            "/v1/traces", content=content, headers={"content-type": content_type}
        )
        response.raise_for_status()
        return response.json() if content_type == "application/json" else response.content

    def get(self, path: str, **parameters: Any) -> Any:
        """Return the JSON at a path, which must be there."""
        response = self.client.get(path, params=parameters)
        assert response.status_code == 200, (response.status_code, response.text)
        return response.json()

    def wait_analysed(self, trace_id: str, seconds: float = WAIT_SECONDS) -> dict[str, Any]:
        """Return the trace's summary once everything derived from it is up to date."""
        until = time.monotonic() + seconds
        while True:
            response = self.client.get(f"/api/traces/{trace_id}")
            if response.status_code == 200 and response.json()["analysed"]:
                summary: dict[str, Any] = response.json()
                return summary
            if time.monotonic() > until:
                raise AssertionError(f"{trace_id} was not analysed: {response.text}\n{self.log()}")
            time.sleep(0.05)

    def close(self) -> None:
        """End everything."""
        self.client.close()
        if self._process is not None:
            if self._process.poll() is None:
                self._process.terminate()
                try:
                    self._process.wait(START_SECONDS)
                except subprocess.TimeoutExpired:
                    self._process.kill()
                    self._process.wait()
            for pipe in (self._process.stdin, self._process.stdout):
                if pipe is not None:
                    pipe.close()
        self._log.close()


@contextmanager
def running_server(**settings: Any) -> Iterator[RunningServer]:
    """Run a server on a free port and a temporary database; `settings` are those of `Settings`."""
    with tempfile.TemporaryDirectory(prefix="agenttrace-test-") as folder:
        server = RunningServer(Path(folder), settings)
        try:
            server.start()
            yield server
        finally:
            server.close()
