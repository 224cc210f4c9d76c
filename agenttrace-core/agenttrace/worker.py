"""`python -m agenttrace worker MODULE`: run the replays of what MODULE makes replayable.

A worker asks the server for jobs and has each run in a process that has imported the module
(`agenttrace.rerun`), which it can give up when it hangs, and which it starts anew after the
application's code was changed. It needs nothing but the standard library, the core and a plugin.
"""

import os
import signal
import socket
import sys
import threading
import time
import uuid
from collections.abc import Sequence

import msgspec

from agenttrace import endpoint
from agenttrace.errors import AgentTraceError, ServerError
from agenttrace.jobs import Claim, Finish, Job
from agenttrace.replay_process import BrokenModule, ReplayProcess
from agenttrace.replay_run import Line, Run, rest, say
from agenttrace.server_calls import Refused, Server

USAGE = """\
usage: agenttrace worker [--server URL] [--name NAME] [--jobs N] MODULE

Run the replays of what MODULE (a file, or a dotted name) makes replayable, until Ctrl-C.

  --server URL   the server (OTEL_EXPORTER_OTLP_ENDPOINT, else http://127.0.0.1:4318)
  --name NAME    what the server calls this worker (default: this machine and the module)
  --jobs N       how many replays run at the same time (default: 1)

example: agenttrace worker app.py"""

POLL_SECONDS = 10.0


def main(argv: Sequence[str] | None = None) -> int:
    """Work until told to stop; return 0 then, 1 if it cannot work, 2 if `argv` makes no sense."""
    try:
        options, module = _parse(list(sys.argv[1:] if argv is None else argv))
        where = endpoint.resolve(options.get("--server"))
        jobs = _count(options.get("--jobs", "1"))
    except ValueError as problem:
        print(problem, file=sys.stderr)  # noqa: T201 - the command line's own output
        return 0 if str(problem) == USAGE else 2
    name = options.get("--name") or f"{socket.gethostname()}:{os.path.basename(module)}"
    return Worker(Server(where), module, name, jobs).run()


class Worker:
    """Some slots, each of which runs one replay at a time."""

    def __init__(self, server: Server, module: str, name: str, jobs: int) -> None:
        self.stopping = threading.Event()
        self.giving_up = threading.Event()
        line = Line(server)
        names = [name] if jobs == 1 else [f"{name}/{number}" for number in range(1, jobs + 1)]
        self._slots = [Slot(self, line, module, each) for each in names]
        self._problems: list[str] = []

    def run(self) -> int:
        """Work until a signal, or until no slot can go on; return the exit code."""
        before = {n: signal.signal(n, self._on_signal) for n in (signal.SIGINT, signal.SIGTERM)}
        threads = {
            slot: threading.Thread(target=self._serve, args=(slot,), daemon=True)
            for slot in self._slots
        }
        try:
            for thread in threads.values():
                thread.start()
            # A slot that waits for a job hears of the end only when the server answers it.
            while any(t.is_alive() and not self._is_idle(s) for s, t in threads.items()):
                time.sleep(0.05)
            for slot in self._slots:
                slot.leave()
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
        for problem in dict.fromkeys(self._problems):
            say(problem)
        return 1 if self._problems else 0

    def _serve(self, slot: "Slot") -> None:
        try:
            slot.serve()
        except AgentTraceError as error:
            self._problems.append(str(error))
            self.stopping.set()

    def _is_idle(self, slot: "Slot") -> bool:
        return self.stopping.is_set() and not slot.busy

    def _on_signal(self, number: int, _frame: object) -> None:
        if self.stopping.is_set() or number == signal.SIGTERM:
            self.giving_up.set()
        elif any(slot.busy for slot in self._slots):
            say("finishing what runs, then stopping; Ctrl-C again gives it up")
        self.stopping.set()


class Slot:
    """Takes jobs and has them run, one at a time; to the server it is a worker of its own."""

    def __init__(self, worker: Worker, line: Line, module: str, name: str) -> None:
        self._worker = worker
        self._line = line
        self._module = module
        self._name = name
        self._id = uuid.uuid4().hex
        self._process: ReplayProcess | None = None
        self._leaving = threading.Lock()
        self._gone = False
        self.busy = False

    def serve(self) -> None:
        """Work until the worker stops. Raises `AgentTraceError` where it cannot go on."""
        pause = 0.2
        try:
            self._ready()
            while not self._worker.stopping.is_set():
                try:
                    job = self._claim(self._ready())
                except BrokenModule as error:
                    say(f"{error}; waiting for it to be changed")
                    self._wait_for_change()
                except ServerError:
                    pause = rest(pause, self._worker.stopping)
                else:
                    pause = 0.2
                    if job:
                        self._take(job)
        finally:
            self.leave()

    def _ready(self) -> ReplayProcess:
        """Return the process, started anew where it has ended or its code was changed."""
        process = self._process
        if process is None or process.is_stale:
            if process is not None:
                process.end()
            environment = {**os.environ, "OTEL_EXPORTER_OTLP_ENDPOINT": self._line.server.url}
            known = process.files if process else None
            process = self._process = ReplayProcess(self._module, environment, known)
            process.wait_ready()
            names = ", ".join(f"{t.name} ({t.framework or '?'})" for t in process.targets)
            say(f"{self._name} can replay: {names}")
        return process

    def _wait_for_change(self) -> None:
        process = self._process
        while process and not process.is_changed and not self._worker.stopping.wait(0.5):
            pass

    def _claim(self, process: ReplayProcess) -> bytes:
        claim = Claim(
            worker_id=self._id,
            name=self._name,
            targets=tuple(process.targets),
            wait_seconds=POLL_SECONDS,
        )
        return self._line.call("POST", "/api/workers/claim", claim, POLL_SECONDS + 20)

    def _take(self, text: bytes) -> None:
        with self._leaving:
            if self._worker.stopping.is_set():
                return
            self.busy = True
        try:
            self._work(text)
        finally:
            self.busy = False

    def _work(self, text: bytes) -> None:
        job = msgspec.json.decode(text, type=Job)
        try:
            where = job.checkpoint.label or job.checkpoint.checkpoint_id
            say(f"replaying {job.target} from {where}")
            run = Run(self._line, self._id, self._worker.giving_up, job)
            # The claim holds for longer once it is confirmed: new code may take time to import.
            finish = run.confirm() or self._run(run, text)
            if finish is None:
                return  # the server gives the job to somebody else
            say(f"{finish.status}{f': {finish.error}' if finish.error else ''}")
            path = f"/api/replays/{job.replay_id}/finish"
            self._line.insist("POST", path, finish, self._worker.giving_up)
        except Refused as error:
            say(str(error))

    def _run(self, run: Run, text: bytes) -> Finish | None:
        try:
            process = self._ready()
        except BrokenModule as error:
            return run.ended("failed", str(error))
        return run.result(process, text)

    def leave(self) -> None:
        """End the process and tell the server that this slot is gone; a second call does nothing.

        A job that the server has given us meanwhile goes back to the queue.
        """
        with self._leaving:
            if self._gone:
                return
            self._gone = True
            if self._process is not None:
                self._process.end()
            try:
                self._line.server.call("DELETE", f"/api/workers/{self._id}", seconds=2.0)
            except AgentTraceError:
                return  # it will notice by our silence


def _parse(argv: list[str]) -> tuple[dict[str, str], str]:
    options: dict[str, str] = {}
    modules: list[str] = []
    while argv:
        word = argv.pop(0)
        if word in ("-h", "--help"):
            raise ValueError(USAGE)
        option, equals, value = word.partition("=")
        if not word.startswith("-"):
            modules.append(word)
        elif option not in ("--server", "--name", "--jobs"):
            raise ValueError(f"agenttrace worker: no such option: {option}\n{USAGE}")
        elif not equals and not argv:
            raise ValueError(f"agenttrace worker: {option} needs a value\n{USAGE}")
        else:
            options[option] = value if equals else argv.pop(0)
    if len(modules) != 1:
        raise ValueError(f"agenttrace worker: name one module\n{USAGE}")
    return options, modules[0]


def _count(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= 64:
        raise ValueError(f"agenttrace worker: --jobs {text}: give a number from 1 to 64")
    return int(text)
