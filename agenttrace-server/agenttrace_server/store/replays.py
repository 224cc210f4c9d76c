"""Keep replays, who runs them, and experiments: the contract, and the values that go in and out."""

from collections.abc import Sequence
from typing import Any, Literal, Protocol

import msgspec

from agenttrace.jobs import Counts, Finish, Mode, Status, Target
from agenttrace.models import Checkpoint, Message

LEASE_SECONDS = 30.0
"""A worker that is silent for so long has lost its job."""
CONNECTED_SECONDS = 35.0
"""A worker that has asked for jobs within this time is there."""
ATTEMPTS = 2
"""A job whose worker died is given out once more."""

LiveTools = tuple[str, ...] | Literal["all"]


class NewReplay(msgspec.Struct, frozen=True, kw_only=True):
    """A wish to run again. `steps` is what a simulated replay found instead of running."""

    checkpoint_id: str
    source_trace_id: str
    framework: str
    target: str | None = None
    mode: Mode = "recorded"
    edits: tuple[dict[str, Any], ...] = ()
    live_tools: LiveTools = ()
    timeout_seconds: float = 600.0
    label: str = ""
    experiment_id: str | None = None
    place: int = 0
    status: Literal["queued", "simulated"] = "queued"
    output: str | None = None
    counts: Counts = Counts()
    steps: tuple[dict[str, Any], ...] | None = None


class Replay(NewReplay, frozen=True, kw_only=True):
    """A replay as it is now. Times are Unix nanoseconds; `trace_id` is known once it has begun."""

    replay_id: str
    status: Status = "queued"  # type: ignore[assignment]
    trace_id: str | None = None
    attempt: int = 0
    worker_id: str | None = None
    cancel: bool = False
    error: str | None = None
    created_ns: int = 0
    updated_ns: int = 0
    started_ns: int | None = None
    ended_ns: int | None = None
    cursor: int = 0


class ReplayQuery(msgspec.Struct, frozen=True, kw_only=True):
    """Which replays, newest first. `trace` is the one replayed or the one that came of it."""

    offset: int = 0
    limit: int = 50
    status: Status | None = None
    trace: str | None = None
    checkpoint: str | None = None
    experiment: str | None = None


class Worker(msgspec.Struct, frozen=True):
    """A process of a user's that can run replays, and when it last asked for one."""

    worker_id: str
    name: str
    targets: tuple[Target, ...]
    seen_ns: int = 0


class Experiment(msgspec.Struct, frozen=True):
    """Several replays of one checkpoint that are looked at together."""

    experiment_id: str
    name: str
    checkpoint_id: str
    source_trace_id: str
    created_ns: int = 0


class Outline(msgspec.Struct, frozen=True):
    """A checkpoint without its state, which may be large; `state_bytes` is its size in UTF-8."""

    checkpoint: Checkpoint
    state_bytes: int


class Relative(msgspec.Struct, frozen=True):
    """A trace of a family of replays: `replay_of` is the trace it came from, None for the first."""

    trace_id: str
    replay_of: str | None
    replay_id: str | None
    name: str
    status: str
    start_ns: int


class Replays(Protocol):
    """Keeps replays. Every method is safe to call from any thread and any process.

    A replay is given to one worker at a time, and completes once. Raises `StoreUnavailable` where
    the database cannot be reached.
    """

    lease_seconds: float
    """How long a claim holds without a heartbeat."""

    def add(self, new: Sequence[NewReplay]) -> list[Replay]:
        """Store replays; those that are queued are given to workers in this order."""

    def get(self, replay_id: str) -> Replay | None:
        """Return a replay, or None."""

    def page(self, query: ReplayQuery) -> tuple[list[Replay], int]:
        """Return a page of replays, newest first, and how many there are in all."""

    def claim(self, worker_id: str, targets: Sequence[Target]) -> Replay | None:
        """Give the oldest queued replay that one of the targets can run to this worker, or None."""

    def beat(
        self, replay_id: str, worker_id: str, attempt: int, counts: Counts, trace_id: str | None
    ) -> bool:
        """Prolong a worker's claim and note how far it is; return whether it must give up.

        A worker that was silent for too long gets its job back as long as nobody else has it.
        """

    def finish(self, replay_id: str, finish: Finish) -> Replay:
        """End a replay; said again by the same worker, nothing changes.

        Raises `ReplayNotFound`, and `ReplayLost` where the replay is no longer this worker's.
        """

    def cancel(self, replay_id: str) -> Replay:
        """End a queued replay, and have the worker of a running one told. Raises ReplayNotFound.

        A replay that has ended stays as it is.
        """

    def settle(self) -> int:
        """Take back what silent workers hold; return how many replays that were.

        Such a replay is queued once more. It fails where that happened before, and where its tools
        may have run live; it has succeeded where the whole trace of it is there.
        """

    def seen(self, worker: Worker) -> None:
        """Note that a worker is there, and what it can run."""

    def gone(self, worker_id: str) -> None:
        """Note that a worker has left; what it held is taken back at once."""

    def workers(self) -> list[Worker]:
        """Return the workers that are there, by name."""

    def add_experiment(self, experiment: Experiment) -> None:
        """Store an experiment."""

    def experiment(self, experiment_id: str) -> Experiment | None:
        """Return an experiment, or None."""

    def experiments(self, limit: int, offset: int) -> tuple[list[Experiment], int]:
        """Return experiments, newest first, and how many there are in all."""

    def changes(self, after: int, limit: int = 1000) -> list[Replay]:
        """Return the replays that changed since cursor `after`, in that order."""

    def checkpoint(self, checkpoint_id: str, trace_id: str | None = None) -> Checkpoint | None:
        """Return a checkpoint, of the trace that had it first unless one is named, or None.

        A replay has the checkpoint it began at too.
        """

    def outlines(self, trace_id: str) -> list[Outline]:
        """Return the checkpoints of a trace in the order they were made, without their states."""

    def before(self, message_id: str, trace_id: str | None = None) -> Checkpoint | Message | None:
        """Return the newest resumable checkpoint made before a message was sent.

        The message itself where there is none, None where there is no such message.
        """

    def family(self, trace_id: str) -> list[Relative]:
        """Return the trace, what it is a replay of, and every replay of any of these, by start."""
