"""Run a LangGraph application again from a recorded checkpoint.

The recorded state is a whole LangGraph checkpoint. With the edits made in it, it is put into a
saver in memory, and the graph goes on from there as LangGraph resumes a thread: the same nodes run
next, pending `Send`s with their arguments, interrupts as they were answered. Nothing has to be
written with reducers or routed again, so graphs whose edges are static, conditional, by `Command`
or by `Send` are one case. The application's own saver, store and cache are not touched, and it
needs none.
"""

import inspect
from collections.abc import Awaitable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import msgspec
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.pregel import Pregel
from langgraph.types import Command

from agenttrace.edits import Edit
from agenttrace.errors import ReplayError
from agenttrace.models import Checkpoint
from agenttrace.replay import Replay
from agenttrace_langgraph import capture, seams, state
from agenttrace_langgraph.changes import START, as_messages, edited
from agenttrace_langgraph.checkpoints import LOST
from agenttrace_langgraph.runs import Inbox, Resumed, resumed
from agenttrace_langgraph.sandbox import Sandbox

THREAD = "agenttrace-replay"


def run_again(
    target: Any, checkpoint: Checkpoint, edits: Sequence[Edit], replay: Replay
) -> Any | Awaitable[Any]:
    """Resume a graph from `checkpoint`; return its output, awaitable where it ran async.

    `target` is a compiled graph, or a function without parameters that makes one; such a function
    may also return a pair of the graph and keyword arguments for `invoke`, for what cannot be
    recorded: `(graph, {"context": Context(db=...)})`. An output with `__interrupt__` in it means
    that the replay waits for an answer, as the run would.
    """
    if not checkpoint.resumable:
        raise ReplayError(
            f"Checkpoint {checkpoint.label!r} cannot be resumed: {checkpoint.why_not}"
        )
    made = target() if callable(target) and not isinstance(target, Pregel) else target
    if inspect.isawaitable(made):
        return _run_when_made(made, checkpoint, edits, replay)
    return _start(made, checkpoint, edits, replay)


async def _run_when_made(
    made: Awaitable[Any], checkpoint: Checkpoint, edits: Sequence[Edit], replay: Replay
) -> Any:
    result = _start(await made, checkpoint, edits, replay)
    return await result if inspect.isawaitable(result) else result


def _start(made: Any, checkpoint: Checkpoint, edits: Sequence[Edit], replay: Replay) -> Any:
    graph, more = made if isinstance(made, tuple) else (made, {})
    if not isinstance(graph, Pregel):
        raise ReplayError(
            f"A LangGraph replay needs a compiled graph, or a function that makes one; "
            f"{type(graph).__qualname__} is neither"
        )
    plan = _plan(graph, more, checkpoint, edits, replay.recording.inner)
    return _arun(plan, replay) if plan.asynchronous else _run(plan, replay)


class _Plan(NamedTuple):
    """What is to be run, and how."""

    graph: Any
    input: Any
    arguments: dict[str, Any]
    saver: InMemorySaver
    before: Resumed
    asynchronous: bool


def _plan(
    graph: Any,
    more: Mapping[str, Any],
    checkpoint: Checkpoint,
    edits: Sequence[Edit],
    inner: Sequence[Checkpoint],
) -> _Plan:
    config: dict[str, Any] = msgspec.json.decode(checkpoint.config or "{}")
    try:
        text, config = edited(checkpoint.state, config, edits, list(graph.channels))
        found, writes = state.load(text), state.load_writes(text)
    except (ValueError, msgspec.DecodeError) as error:
        raise ReplayError(f"Checkpoint {checkpoint.label!r} cannot be read: {error}") from error
    _check_nodes(graph, config)
    values = found["channel_values"]
    for name, value in values.items():
        values[name] = as_messages(value)
    saver: Any = InMemorySaver()
    configurable = _restored_configurable(config, more)
    where = {"configurable": {"thread_id": configurable["thread_id"], "checkpoint_ns": ""}}
    about: dict[str, Any] = config.get("metadata") or {}
    resume = config.get("resume")
    if START in values and resume is None and not writes:
        given = values.pop(START)
        if isinstance(given, dict):
            given = {name: as_messages(value) for name, value in given.items()}
        if values:
            about = {**about, "source": "loop", "step": about.get("step", 0) - 1}
            saver.put(where, found, about, found["channel_versions"])
        limit = config.get("recursion_limit")
    else:
        given = None if resume is None else Command(resume=resume)
        _put(saver, where, found, about, writes)
        for part in inner:
            _put_inner(saver, where, part)
        limit = max(1, config.get("steps_left", 26) - 1)
    return _Plan(
        graph.copy({"checkpointer": saver}),
        given,
        _arguments(config, more, configurable, limit),
        saver,
        Resumed({name: Inbox.of(said) for name, said in (config.get("inboxes") or {}).items()}),
        config.get("run") == "async",
    )


def _put(saver: Any, where: Any, found: Any, about: Any, writes: Iterable[state.Write]) -> None:
    here = saver.put(where, found, about, found["channel_versions"])
    by_task: dict[str, list[tuple[str, Any]]] = {}
    for task, channel, value in writes:
        by_task.setdefault(task, []).append((channel, value))
    for task, written in by_task.items():
        saver.put_writes(here, written, task)


def _put_inner(saver: Any, where: Mapping[str, Any], part: Checkpoint) -> None:
    """Let a subgraph that had stopped in the middle of its work go on from there."""
    config = msgspec.json.decode(part.config or "{}")
    namespace = config["configurable"].get("checkpoint_ns", "")
    inside = {"configurable": {**where["configurable"], "checkpoint_ns": namespace}}
    _put(saver, inside, state.load(part.state), config["metadata"], state.load_writes(part.state))


def _check_nodes(graph: Any, config: Mapping[str, Any]) -> None:
    for name in config.get("next") or ():
        if name not in graph.nodes:
            known = ", ".join(sorted(n for n in graph.nodes if n != START))
            raise ReplayError(
                f"The graph has no node {name!r}, which was about to run; it has {known}. "
                f"Replay with the version of the application that was recorded"
            )


def _restored_configurable(config: Mapping[str, Any], more: Mapping[str, Any]) -> dict[str, Any]:
    recorded = config.get("context") or {}
    given = (more.get("config") or {}).get("configurable") or {}
    thread = (config.get("configurable") or {}).get("thread_id") or THREAD
    kept = {key: value for key, value in recorded.items() if not _has_lost(value)}
    return {**kept, **given, "thread_id": thread}


def _arguments(
    config: Mapping[str, Any],
    more: Mapping[str, Any],
    configurable: Mapping[str, Any],
    limit: int | None,
) -> dict[str, Any]:
    arguments = dict(more)
    own = dict(more.get("config") or {})
    if limit:
        own.setdefault("recursion_limit", limit)
    arguments["config"] = {**own, "configurable": configurable}
    for name in ("interrupt_before", "interrupt_after"):
        if config.get(name):
            arguments.setdefault(name, config[name])
    context = config.get("runtime_context")
    if "context" not in arguments and context is not None:
        if _has_lost(context):
            raise ReplayError(
                "The run's context holds what cannot be recorded "
                f"({', '.join(_lost_in(context))}). Make a function replayable that returns the "
                "graph and its arguments: lambda: (graph, {'context': Context(...)})"
            )
        arguments["context"] = context
    return arguments


def _has_lost(value: Any) -> bool:
    return bool(list(_lost_in(value)))


def _lost_in(value: Any, name: str = "context") -> Iterator[str]:
    if isinstance(value, dict):
        if LOST in value:
            yield f"{name}: {value[LOST]}"
        else:
            for key, item in value.items():
                yield from _lost_in(item, key)
    elif isinstance(value, list):
        for item in value:
            yield from _lost_in(item, name)


@contextmanager
def _replaying(plan: _Plan, replay: Replay) -> Iterator[None]:
    token = resumed.set(plan.before)
    try:
        with (
            capture.capturing() as recorder,
            replay.active(),
            seams.answering(recorder),
            Sandbox(plan.saver).around(),
        ):
            yield
    except BaseException:
        if replay.stopped is not None:
            raise replay.stopped from None
        raise
    finally:
        resumed.reset(token)
    # The application may have handled what stopped the replay, and gone on to an end of its own.
    if replay.stopped is not None:
        raise replay.stopped


def _run(plan: _Plan, replay: Replay) -> Any:
    with _replaying(plan, replay):
        return plan.graph.invoke(plan.input, **plan.arguments)


async def _arun(plan: _Plan, replay: Replay) -> Any:
    with _replaying(plan, replay):
        return await plan.graph.ainvoke(plan.input, **plan.arguments)
