"""What a worker and the server tell each other: JSON over HTTP, these shapes.

    POST /api/workers/claim                   Claim      → 200 Job, or 204 when there is none
    POST /api/workers/{worker_id}/heartbeat   Heartbeat  → 200 Orders
    POST /api/replays/{replay_id}/finish      Finish     → 200, also when said twice; 409 if late
    DELETE /api/workers/{worker_id}                      → 204: the worker leaves

A claim is a lease: a worker that is silent for `Job.lease_seconds` loses the job, and nobody takes
its `Finish` any more. `attempt` says which giving-out of the job is meant.
"""

from typing import Any, Literal

import msgspec

from agenttrace.models import Checkpoint

Mode = Literal["recorded", "live"]

Status = Literal[
    "queued", "claimed", "running", "succeeded", "failed", "stopped", "cancelled", "simulated"
]
"""`stopped` means that it went as far as it could without running a tool live."""

Outcome = Literal["succeeded", "failed", "stopped", "cancelled"]

ENDED: frozenset[Status] = frozenset({"succeeded", "failed", "stopped", "cancelled", "simulated"})


class Target(msgspec.Struct, frozen=True):
    """What a worker can run again; `framework` is empty where nobody can tell."""

    name: str
    framework: str = ""


class Counts(msgspec.Struct, frozen=True):
    """How many steps of a replay were restored, answered from the record, and run live so far."""

    restored: int = 0
    recorded: int = 0
    live: int = 0


class Claim(msgspec.Struct, frozen=True, kw_only=True):
    """A worker asks for a job it can run, and waits up to `wait_seconds` for one."""

    worker_id: str
    name: str = ""
    targets: tuple[Target, ...] = ()
    wait_seconds: float = 0.0


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """One replay to run.

    `edits` are `{"path", "value"}`; `live_tools` names tools, or is "all"; `recording` is the JSON
    of an `agenttrace.replay.Recording`.
    """

    replay_id: str
    attempt: int
    target: str
    checkpoint: Checkpoint
    edits: tuple[dict[str, Any], ...] = ()
    mode: Mode = "recorded"
    live_tools: tuple[str, ...] | Literal["all"] = ()
    recording: msgspec.Raw = msgspec.Raw(b"{}")
    source_trace_id: str = ""
    timeout_seconds: float = 600.0
    lease_seconds: float = 30.0


class Heartbeat(msgspec.Struct, frozen=True, kw_only=True):
    """A worker is alive and this far with its job; prolongs the lease."""

    replay_id: str
    attempt: int
    counts: Counts = Counts()
    trace_id: str | None = None


class Orders(msgspec.Struct, frozen=True):
    """What the worker has to do about its job: go on, or give it up."""

    cancel: bool = False


class Finish(msgspec.Struct, frozen=True, kw_only=True):
    """How a job ended. `output` is text, structured values as JSON; `error` one line."""

    worker_id: str
    attempt: int
    status: Outcome
    error: str | None = None
    trace_id: str | None = None
    output: str | None = None
    counts: Counts = Counts()
