"""One job of a worker on its way: heartbeats to the server, and an end in any case."""

import random
import sys
import threading
import time

import msgspec

from agenttrace.errors import ServerError
from agenttrace.jobs import Counts, Finish, Heartbeat, Job, Orders, Outcome
from agenttrace.replay_process import ReplayProcess
from agenttrace.server_calls import Refused, Server

BEAT_SECONDS = 2.0
PROGRESS_SECONDS = 0.2
"""Progress is told at most this often."""
GIVE_UP_SECONDS = 3.0
"""A replay that is to stop has so long until its process is killed."""
LONGEST_PAUSE = 5.0


def say(text: str) -> None:
    """Tell the user something, on standard error."""
    print(f"agenttrace: {text}", file=sys.stderr, flush=True)  # noqa: T201


class Line:
    """The worker's line to the server, which may be away: then it says so once, and waits."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self._lock = threading.Lock()
        self._away = False

    def call(self, method: str, path: str, body: object = None, seconds: float = 10.0) -> bytes:
        """Send a request; raises `ServerError` where the server is away, having said so once."""
        try:
            answer = self.server.call(method, path, body, seconds)
        except ServerError as error:
            self._note(True, f"{error}; waiting for it")
            raise
        self._note(False, f"{self.server.url} answers again")
        return answer

    def insist(self, method: str, path: str, body: object, stop: threading.Event) -> None:
        """Send a request until the server takes it, or `stop` is set."""
        pause = 0.2
        while not stop.is_set():
            try:
                self.call(method, path, body)
            except ServerError:
                pause = rest(pause, stop)
            else:
                return

    def _note(self, away: bool, words: str) -> None:
        with self._lock:
            changed, self._away = away != self._away, away
        if changed:
            say(words)


def rest(pause: float, stop: threading.Event) -> float:
    """Wait about so long unless `stop` is set; return how long to wait the next time."""
    stop.wait(pause * random.uniform(0.5, 1.0))
    return min(2 * pause, LONGEST_PAUSE)


class Run:
    """One job: what its process says goes to the server, what the server says to its process."""

    def __init__(self, line: Line, worker_id: str, giving_up: threading.Event, job: Job) -> None:
        self._line = line
        self._worker_id = worker_id
        self._giving_up = giving_up
        self._job = job
        self._counts = Counts()
        self._trace_id: str | None = None

    def confirm(self) -> Finish | None:
        """Tell the server that the job is here; return its end if nobody wants it."""
        return self.ended("cancelled", None) if self._beat() else None

    def result(self, process: ReplayProcess, text: bytes) -> Finish | None:
        """Have the job run; return how it ended, None if the worker had to leave it."""
        process.start(text)
        deadline = time.monotonic() + self._job.timeout_seconds
        last_beat, told = time.monotonic(), (self._counts, self._trace_id)
        while True:
            if (finish := self._hear(process, deadline)) is not None:
                return finish
            if process.has_ended:
                return self._hear(process, 0.0) or self.ended("failed", _died(process))
            now = time.monotonic()
            if now >= deadline:
                self._give_up(process)
                seconds = self._job.timeout_seconds
                return self.ended("failed", f"It took longer than its timeout of {seconds:g} s")
            if self._giving_up.is_set():
                self._give_up(process)
                return None
            news = told != (self._counts, self._trace_id)
            if now - last_beat >= (PROGRESS_SECONDS if news else BEAT_SECONDS):
                if self._beat():
                    return self._give_up(process) or self.ended("cancelled", None)
                last_beat, told = now, (self._counts, self._trace_id)

    def ended(self, status: Outcome, error: str | None) -> Finish:
        """Return how the job ended, in the worker's words."""
        return Finish(
            worker_id=self._worker_id,
            attempt=self._job.attempt,
            status=status,
            error=error,
            trace_id=self._trace_id,
            counts=self._counts,
        )

    def _hear(self, process: ReplayProcess, until: float) -> Finish | None:
        """Take in what the process says next; return the job's end if it says so."""
        note = process.next_note(min(until - time.monotonic(), PROGRESS_SECONDS))
        if note is None:
            return None
        if note.kind == "done" and note.finish is not None:
            return msgspec.structs.replace(note.finish, worker_id=self._worker_id)
        self._counts, self._trace_id = note.counts, note.trace_id
        return None

    def _beat(self) -> bool:
        """Tell the server that we are at it; return whether to give up."""
        beat = Heartbeat(
            replay_id=self._job.replay_id,
            attempt=self._job.attempt,
            counts=self._counts,
            trace_id=self._trace_id,
        )
        path = f"/api/workers/{self._worker_id}/heartbeat"
        try:
            return msgspec.json.decode(self._line.call("POST", path, beat, 5.0), type=Orders).cancel
        except ServerError:
            return False  # it may be back before our claim has run out
        except Refused as error:
            say(str(error))
            return error.status == 404

    def _give_up(self, process: ReplayProcess) -> Finish | None:
        """End the replay: by asking, then by force. Returns how it ended by itself, if it did."""
        process.cancel()
        until = time.monotonic() + GIVE_UP_SECONDS
        next_beat = time.monotonic()
        while time.monotonic() < until and not process.has_ended:
            if time.monotonic() >= next_beat:
                self._beat()  # the claim must hold until the end is told
                next_beat = time.monotonic() + BEAT_SECONDS
            if (finish := self._hear(process, until)) is not None:
                return finish
        process.end()
        return None


def _died(process: ReplayProcess) -> str:
    how = process.how_it_ended()
    return f"The process of the replay {how}; what it printed is on the worker's terminal"
