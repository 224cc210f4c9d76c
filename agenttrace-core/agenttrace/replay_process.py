"""A worker's side of the process in which replays run: start it, hear from it, give it up."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from queue import Empty, SimpleQueue
from typing import Any

import msgspec

from agenttrace.errors import AgentTraceError
from agenttrace.jobs import Target
from agenttrace.rerun_notes import Note, Order

END_SECONDS = 3.0

# Ctrl-C reaches everyone in the terminal's group; it is the worker's to say when a replay ends.
_OUT_OF_CTRL_C: dict[str, Any] = (
    {"creationflags": getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0)}
    if os.name == "nt"
    else {"process_group": 0}
)


class BrokenModule(AgentTraceError):
    """The module cannot be imported, or makes nothing replayable."""


class ReplayProcess:
    """One process of `agenttrace.rerun` for a module; used by one thread."""

    def __init__(
        self, module: str, environment: dict[str, str], known: dict[str, int] | None = None
    ) -> None:
        self._module = module
        self._process = subprocess.Popen(
            [sys.executable, "-m", "agenttrace.rerun", module],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={k: v for k, v in environment.items() if k not in ("TRACEPARENT", "TRACESTATE")},
            **_OUT_OF_CTRL_C,
        )
        self._notes: SimpleQueue[Note | None] = SimpleQueue()
        threading.Thread(target=self._read, daemon=True, name="agenttrace-notes").start()
        self.targets: Sequence[Target] = ()
        self.files = {file: _changed(file) for file in known or ()}
        """The application's source files, and when each was last changed."""

    def wait_ready(self) -> None:
        """Wait until the module is imported; raise `BrokenModule` if it cannot be."""
        note = self._notes.get()
        if note is None or note.kind != "ready":
            self.end()
            why = note.error if note else f"its process {self.how_it_ended()}"
            raise BrokenModule(f"{self._module} cannot be replayed: {why}")
        self.targets = note.targets
        self.files |= {file: _changed(file) for file in note.files}

    @property
    def is_stale(self) -> bool:
        """Whether it has ended, or runs code that is not the newest."""
        return self.is_changed or self.has_ended

    @property
    def is_changed(self) -> bool:
        """Whether a source file of the application was changed since this process began."""
        return any(_changed(file) != at for file, at in self.files.items())

    def start(self, job: bytes) -> None:
        """Have a job run; what becomes of it is told by `next_note`."""
        self._tell(Order(job=msgspec.Raw(job)))

    def cancel(self) -> None:
        """Ask for the present job to be given up at its next model or tool call."""
        self._tell(Order(cancel=True))

    def next_note(self, seconds: float) -> Note | None:
        """Return what it says next, None if it says nothing for so long or has ended."""
        try:
            return self._notes.get(timeout=max(0.0, seconds))
        except Empty:
            return None

    @property
    def has_ended(self) -> bool:
        """Whether the process is gone."""
        return self._process.poll() is not None

    def how_it_ended(self) -> str:
        """Say for people how the process ended."""
        try:
            code = self._process.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            return "does not answer any more"
        if code < 0:
            return f"was killed by {signal.Signals(-code).name}"
        return f"ended with exit code {code}"

    def end(self) -> None:
        """Let it deliver its spans and end; kill it where that takes long."""
        if self._process.stdin is not None:
            try:
                self._process.stdin.close()
            except OSError:  # it was told something it did not live to read
                pass
        try:
            self._process.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _tell(self, order: Order) -> None:
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(msgspec.json.encode(order) + b"\n")
            self._process.stdin.flush()
        except OSError:  # it has ended, which the next look at it will show
            pass

    def _read(self) -> None:
        assert self._process.stdout is not None
        with self._process.stdout as notes:
            for line in notes:
                self._notes.put(msgspec.json.decode(line, type=Note))
        self._notes.put(None)


def _changed(file: str) -> int:
    try:
        return os.stat(file).st_mtime_ns
    except OSError:
        return 0
