"""Keep the analysis in a process of its own, alive for as long as the server is."""

import json
import logging
import os
import subprocess
import threading
import time
from typing import IO

import msgspec

from agenttrace_server import children
from agenttrace_server.judge import terms
from agenttrace_server.settings import Settings

log = logging.getLogger("agenttrace.server")

FIRST_PAUSE = 0.5
LONGEST_PAUSE = 30.0
# A process that lived this long did not fail at once: the next pause is short again.
HEALTHY_SECONDS = 60.0
STOP_SECONDS = 10.0


class Supervisor:
    """Starts the analysis process, starts it again when it dies, and ends with it.

    One pipe does everything: its first line says which database, each further byte that there is
    something new, and its end that the server is gone, however it went.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._process: subprocess.Popen[bytes] | None = None
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._supervise, name="analysis", daemon=True)

    @property
    def alive(self) -> bool:
        """Whether the process runs now."""
        process = self._process
        return process is not None and process.poll() is None

    @property
    def pid(self) -> int | None:
        """The id of the process that runs now, or None."""
        process = self._process
        return process.pid if process is not None and process.poll() is None else None

    def start(self) -> None:
        """Start the process; return at once."""
        self._process = self._spawn()
        self._thread.start()

    def wake(self) -> None:
        """Have the process look for quiet traces soon. Never blocks."""
        process = self._process
        if process is not None and process.stdin is not None:
            self._write(process.stdin, b"\n")

    def stop(self) -> None:
        """End the process once the trace it is at is saved; kill it if that takes too long."""
        self._stopping.set()
        process = self._process
        if process is not None:
            _hang_up(process)
            try:
                process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
        self._thread.join(STOP_SECONDS)

    def _supervise(self) -> None:
        pause = FIRST_PAUSE
        while (process := self._process) is not None:
            began = time.monotonic()
            code = process.wait()
            if self._stopping.is_set():
                return
            _hang_up(process)
            pause = FIRST_PAUSE if time.monotonic() - began > HEALTHY_SECONDS else pause
            log.error("The analysis process ended (%s); starting it again in %ss", code, pause)
            if self._stopping.wait(pause):
                return
            self._process = self._spawn()
            if self._stopping.is_set():
                _hang_up(self._process)
            pause = min(LONGEST_PAUSE, 2 * pause)

    def _spawn(self) -> subprocess.Popen[bytes]:
        process = children.start("agenttrace_server.analyse.process", bufsize=0)
        assert process.stdin is not None
        # Not on the command line, where every user of the machine could read the password.
        first = {
            "database_url": self._settings.database_url,
            "quiet_seconds": self._settings.quiet_seconds,
            "keep_days": self._settings.keep_days,
            "confidence_threshold": self._settings.confidence_threshold,
            "rules": str(self._settings.rule_file),
            "rules_required": self._settings.rules is not None,
            "judge": msgspec.to_builtins(terms(self._settings)),
        }
        self._write(process.stdin, json.dumps(first).encode() + b"\n")
        if os.name == "posix":
            os.set_blocking(process.stdin.fileno(), False)
        return process

    def _write(self, pipe: IO[bytes], data: bytes) -> None:
        try:
            pipe.write(data)
        except (OSError, ValueError) as error:
            # Full: it has been woken often enough. Broken or closed: it is about to be replaced.
            log.debug("The analysis process was not told: %r", error)


def _hang_up(process: subprocess.Popen[bytes]) -> None:
    if process.stdin is not None:
        try:
            process.stdin.close()
        except OSError as error:
            log.debug("The pipe to the analysis process was broken: %r", error)
