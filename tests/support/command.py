"""The `agenttrace` command as its users run it: a process of its own, in a home of its own."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from agenttrace_server.decode import JSON, decode
from support.ports import free_port

SECONDS = 300
_KEPT = ("PATH", "LANG", "SYSTEMROOT", "TMPDIR")


class Done:
    """A command that has ended."""

    def __init__(self, code: int, out: str, err: str) -> None:
        self.code, self.out, self.err = code, out, err

    @property
    def json(self) -> Any:
        """What it wrote, which must be one JSON document."""
        return json.loads(self.out)

    def says(self, pattern: str) -> bool:
        """Whether the words it told the user match."""
        return re.search(pattern, " ".join(self.err.split())) is not None


class Home:
    """An empty home folder and a port that nobody uses, so that nothing else is found."""

    def __init__(self, folder: Path, python: Path = Path(sys.executable)) -> None:
        self.folder = folder
        self.python = python
        self.port = free_port()
        self.folder.mkdir(parents=True, exist_ok=True)

    @property
    def url(self) -> str:
        """Where this home's server answers when it runs."""
        return f"http://127.0.0.1:{self.port}"

    def environment(self, **more: str) -> dict[str, str]:
        """Variables for a process that lives in this home."""
        return {
            **{name: os.environ[name] for name in _KEPT if name in os.environ},
            "HOME": str(self.folder),
            "AGENTTRACE_PORT": str(self.port),
            "AGENTTRACE_GRPC_PORT": "0",
            "AGENTTRACE_BUILD_UI": "0",
            "OTEL_EXPORTER_OTLP_ENDPOINT": self.url,
            "NO_COLOR": "1",
            **more,
        }

    def run(self, *arguments: str | Path, stdin: bytes | None = None, **more: str) -> Done:
        """Run `agenttrace` with these arguments to its end."""
        done = subprocess.run(
            [self.python, "-m", "agenttrace_server", *map(str, arguments)],
            env=self.environment(**more),
            cwd=self.folder,
            input=stdin or b"",
            capture_output=True,
            timeout=SECONDS,
        )
        return Done(done.returncode, done.stdout.decode(), done.stderr.decode())

    def largest_trace(self, file: Path) -> str:
        """Import a file of OTLP/JSON and return the id of its largest trace."""
        imported = self.run("import", "--format", "json", file).json[0]
        ids = [span.trace_id for span in decode(file.read_bytes(), JSON).spans]
        return str(max(imported["traces"], key=ids.count))

    @contextmanager
    def serving(self, *options: str, **more: str) -> Iterator["Serving"]:
        """Run `agenttrace serve` until the block is left; it must then end well."""
        process = subprocess.Popen(
            [self.python, "-m", "agenttrace_server", "serve", *options],
            env=self.environment(**more),
            cwd=self.folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        serving = Serving(process)
        try:
            serving.url = serving.wait_for(r"AgentTrace serves (\S+)")
            yield serving
        finally:
            serving.stop()
        assert process.returncode == 0, serving.said


class Serving:
    """A command that goes on: what it said, and how to end it."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self.process = process
        self.url = ""
        self.said = ""
        self._more = threading.Condition()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def wait_for(self, pattern: str) -> str:
        """Return what `pattern`'s group matched on its standard error, once it does."""
        with self._more:
            self._more.wait_for(
                lambda: re.search(pattern, self.said) or not self._reader.is_alive(), SECONDS
            )
            found = re.search(pattern, self.said)
        assert found, f"never said {pattern!r}:\n{self.said}"
        return found[1] if found.groups() else found[0]

    def stop(self, number: int = signal.SIGINT) -> int:
        """Send a signal and return the exit code."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        try:
            self.process.wait(SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise
        finally:
            self._reader.join(5)
            for stream in (self.process.stdout, self.process.stderr):
                if stream:
                    stream.close()
        return self.process.returncode

    def _read(self) -> None:
        for line in self.process.stderr or ():
            with self._more:
                self.said += line
                self._more.notify_all()
        with self._more:
            self._more.notify_all()


def path_without(*programs: str, folder: Path) -> str:
    """Return a PATH with everything on this one's but the named programs."""
    folder.mkdir(parents=True, exist_ok=True)
    for directory in os.environ["PATH"].split(os.pathsep):
        for program in Path(directory).glob("*") if Path(directory).is_dir() else ():
            link = folder / program.name
            if program.name not in programs and not link.exists():
                link.symlink_to(program)
    assert all(shutil.which(program, path=str(folder)) is None for program in programs)
    return str(folder)
