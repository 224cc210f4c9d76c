"""Turn a wish to run again into replays: which checkpoint, which application, or why not."""

from collections.abc import Iterable, Sequence
from typing import Any, Literal

import msgspec

from agenttrace.errors import (
    CheckpointNotFound,
    NotResumable,
    NoWorker,
    ReplayError,
    TraceNotFound,
)
from agenttrace.jobs import Mode, Target
from agenttrace.models import Checkpoint, Message
from agenttrace.replayables import CUSTOM
from agenttrace_server.replay.walk import walk
from agenttrace_server.store import Store
from agenttrace_server.store.replays import LiveTools, NewReplay, Replay, Worker

Otherwise = Literal["simulate", "queue", "refuse"]

START_LINE = "agenttrace worker MODULE"


class Wish(msgspec.Struct, frozen=True, kw_only=True):
    """What somebody wants to run again.

    A checkpoint, or a message to go back to just before; `trace_id` tells which trace is meant
    where several have it. `otherwise` says what to do when no worker is connected: by default a
    recorded replay is simulated, a live one refused.
    """

    checkpoint_id: str | None = None
    message_id: str | None = None
    trace_id: str | None = None
    edits: tuple[dict[str, Any], ...] = ()
    mode: Mode = "recorded"
    live_tools: LiveTools = ()
    target: str | None = None
    timeout_seconds: float = 600.0
    label: str = ""
    experiment_id: str | None = None
    place: int = 0
    otherwise: Otherwise | None = None


def start(store: Store, wishes: Sequence[Wish]) -> list[Replay]:
    """Store replays as they are wished for, and return them.

    Raises a `ReplayError` that says what to do where one is not possible; then none is stored.
    """
    workers = store.replays.workers()
    return store.replays.add([_new(store, wish, workers) for wish in wishes])


def checkpoint_of(store: Store, wish: Wish) -> Checkpoint:
    """Return the checkpoint a wish means; raises `CheckpointNotFound` or `NotResumable`."""
    if wish.checkpoint_id is not None:
        checkpoint = store.replays.checkpoint(wish.checkpoint_id, wish.trace_id)
        if checkpoint is None:
            where = f" in trace {wish.trace_id!r}" if wish.trace_id else ""
            raise CheckpointNotFound(
                f"There is no checkpoint {wish.checkpoint_id!r}{where}; "
                "list them: agenttrace checkpoints TRACE"
            )
    else:
        checkpoint = before(store, wish.message_id or "", wish.trace_id)
    if not checkpoint.resumable:
        raise NotResumable(f"This checkpoint cannot be resumed: {checkpoint.why_not}")
    return checkpoint


def before(store: Store, message_id: str, trace_id: str | None = None) -> Checkpoint:
    """Return the newest resumable checkpoint before a message was sent."""
    found = store.replays.before(message_id, trace_id)
    if found is None:
        raise CheckpointNotFound(f"There is no message {message_id!r}")
    if isinstance(found, Message):
        raise NotResumable(
            f"No checkpoint before the message from {found.sender} to {found.recipient} can be "
            "resumed; GET /api/traces/{id}/checkpoints says why of each"
        )
    return found


def framework_of(checkpoint: Checkpoint) -> str:
    """Return whose executor resumes a checkpoint; recorded by hand, it is the user's own."""
    return checkpoint.framework or CUSTOM


def _new(store: Store, wish: Wish, workers: Sequence[Worker]) -> NewReplay:
    checkpoint = checkpoint_of(store, wish)
    otherwise = wish.otherwise or ("simulate" if wish.mode == "recorded" else "refuse")
    target: str | None = wish.target
    try:
        target = choose(store, checkpoint, wish.target, workers)
    except NoWorker:
        if otherwise == "refuse":
            raise
    else:
        otherwise = "queue"
    new = NewReplay(
        checkpoint_id=checkpoint.checkpoint_id,
        source_trace_id=checkpoint.trace_id,
        framework=framework_of(checkpoint),
        target=target,
        mode=wish.mode,
        edits=wish.edits,
        live_tools=wish.live_tools,
        timeout_seconds=wish.timeout_seconds,
        label=wish.label,
        experiment_id=wish.experiment_id,
        place=wish.place,
    )
    return _simulated(store, new, checkpoint) if otherwise == "simulate" else new


def _simulated(store: Store, new: NewReplay, checkpoint: Checkpoint) -> NewReplay:
    trace = store.trace(checkpoint.trace_id)
    if trace is None:
        raise TraceNotFound(f"There is no trace {checkpoint.trace_id!r}")
    walked = walk(trace, checkpoint, new.edits)
    return msgspec.structs.replace(
        new, status="simulated", steps=walked.steps, counts=walked.counts, output=walked.output
    )


def choose(
    store: Store, checkpoint: Checkpoint, asked: str | None, workers: Iterable[Worker]
) -> str:
    """Return which application is to run again.

    Raises `NoWorker` where no connected worker has it, `ReplayError` where several might be meant.
    """
    framework = framework_of(checkpoint)
    offered = [target for worker in workers for target in worker.targets]
    fitting = {target.name for target in offered if target.framework in (framework, "")}
    if asked is not None:
        if asked in fitting:
            return asked
        raise NoWorker(_why_not(asked, framework, offered))
    if not fitting:
        raise NoWorker(_why_not(None, framework, offered))
    if len(fitting) == 1:
        return fitting.pop()
    summary = store.summary(checkpoint.trace_id)
    named = {summary.service_name, summary.name} & fitting if summary else set()
    if len(named) == 1:
        return named.pop()
    raise ReplayError(
        f"Several applications could be meant: {', '.join(sorted(fitting))}; say which: target"
    )


def _why_not(asked: str | None, framework: str, offered: Sequence[Target]) -> str:
    start = f"start one: {START_LINE}, with agenttrace.replayable(…) in that module"
    if not offered:
        return f"No worker is connected that could run this again; {start}"
    there = ", ".join(sorted({f"{t.name} ({t.framework or '?'})" for t in offered}))
    what = f"{asked!r}" if asked else f"a checkpoint of {framework}"
    return f"No connected worker can replay {what}, only: {there}; {start}"


def waits_for(replay: Replay, workers: Iterable[Worker]) -> str | None:
    """Say what a queued replay waits for, None where it does not wait."""
    if replay.status != "queued":
        return None
    offered = [target for worker in workers for target in worker.targets]
    if replay.target is not None and replay.target in {target.name for target in offered}:
        return "A worker that is connected takes it as soon as it is free"
    fitting = {target.name for target in offered if target.framework == replay.framework}
    if replay.target is None and len(fitting) == 1:
        return "A worker that is connected takes it as soon as it is free"
    return _why_not(replay.target, replay.framework, offered)
