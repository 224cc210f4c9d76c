"""Run a team, or a single agent, again from one of its checkpoints."""

import asyncio
import inspect
import json
from collections.abc import Coroutine, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from autogen_agentchat.base import ChatAgent, TaskResult
from autogen_agentchat.messages import MessageFactory
from autogen_agentchat.teams import BaseGroupChat
from autogen_core import CancellationToken, SingleThreadedAgentRuntime

from agenttrace.edits import Edit, apply_edits, steps_of
from agenttrace.errors import EditError, ReplayError
from agenttrace.models import Checkpoint
from agenttrace.replay import Replay
from agenttrace_autogen import agent_turns, checkpoints, resuming
from agenttrace_autogen.capture import INSTRUMENTOR
from agenttrace_autogen.conversation import text
from agenttrace_autogen.edits import edited

_LOOK = 0.1
"""Seconds after which a running team is looked at: one that is stopped can wait for ever."""

_PATIENCE = 10.0
"""Seconds that a stopped team has to come to an end before it is left alone."""


async def execute(
    target: Any, checkpoint: Checkpoint, edits: Sequence[Edit], replay: Replay
) -> str:
    """Let a fresh team or agent go on from `checkpoint`; return the last thing that is said.

    `target` is a function without parameters, async or not, that makes the team or agent. An edit's
    path leads into the state; `messages/<index or id>` is a message wherever the state has it,
    `speaker` who speaks now, `task` what a single agent is told.
    """
    if not checkpoint.resumable:
        raise ReplayError(f"Nothing can go on from {checkpoint.label!r}: {checkpoint.why_not}")
    state = json.loads(checkpoint.state)
    config = json.loads(checkpoint.config or "{}")
    with _captured(), replay.active():
        made = await _make(target)
        if "participants" in config:
            running = await _team(made, state, config, edits)
        else:
            running = await _agent(made, state, config, edits)
        return _said(await _finished(made, running, replay))


@contextmanager
def _captured() -> Iterator[None]:
    """Have capture in place, whose wrappers ask the replay; take it out again if it was not."""
    if INSTRUMENTOR.active:
        yield
        return
    INSTRUMENTOR.instrument()
    try:
        yield
    finally:
        INSTRUMENTOR.uninstrument()


async def _make(target: Any) -> Any:
    if isinstance(target, (BaseGroupChat, ChatAgent)):
        raise ReplayError(
            f"Replaying team or agent {target.name!r} itself would change it; make a function "
            "replayable that returns a fresh one"
        )
    made = target()
    if inspect.isawaitable(made):
        made = await made
    if not isinstance(made, (BaseGroupChat, ChatAgent)):
        raise ReplayError(
            f"The replayable function returned a {type(made).__name__}, no AutoGen team or agent"
        )
    return made


async def _team(
    team: BaseGroupChat, state: Any, config: Mapping[str, Any], edits: Sequence[Edit]
) -> Coroutine[Any, Any, TaskResult]:
    level = {key: value for key, value in config.items() if key != "within"}
    for edit in edits:
        if steps_of(edit.path) == ["speaker"]:
            level["speakers"] = [_speaker(edit, level["participants"])]
    rest = [edit for edit in edits if steps_of(edit.path) != ["speaker"]]
    levels = [*config.get("within", ()), level]
    state = edited(state, rest, levels[0]["manager"])
    await resuming.bring_back(team, state, levels)
    return team.run(cancellation_token=CancellationToken())


def _speaker(edit: Edit, participants: Sequence[str]) -> str:
    if edit.value not in participants:
        raise EditError(
            f"Edit of 'speaker': {edit.value!r} is no member; there are {', '.join(participants)}"
        )
    return str(edit.value)


async def _agent(
    agent: Any, state: Any, config: Mapping[str, Any], edits: Sequence[Edit]
) -> Coroutine[Any, Any, TaskResult]:
    if not isinstance(agent, ChatAgent) or agent.name != config.get("name"):
        raise ReplayError(
            f"The recorded run was of agent {config.get('name')!r}, and the function made "
            f"{agent.name!r}; make the same agent"
        )
    state = apply_edits(state, [_at_task(edit, state) for edit in edits])
    await agent.load_state(state["agent_state"])
    await checkpoints.complete(agent, state["agent_state"])
    factory = MessageFactory()
    for kind in agent.produced_message_types:
        if not factory.is_registered(kind):
            factory.register(kind)
    task: list[Any] = [
        agent_turns.as_message(one) if isinstance(one, str) else factory.create(one)
        for one in state["task"]
    ]
    return agent.run(task=task or None, cancellation_token=CancellationToken())


def _at_task(edit: Edit, state: Any) -> Edit:
    """`task` alone stands for the words of the last message the agent was given."""
    if steps_of(edit.path) != ["task"] or not state["task"]:
        return edit
    given = state["task"][-1]
    return Edit("/task/-1" if isinstance(given, str) else "/task/-1/content", edit.value)


async def _finished(
    made: Any, running: Coroutine[Any, Any, TaskResult], replay: Replay
) -> TaskResult:
    """Wait for the run; one that the replay stops is ended, with the replay's reason raised.

    AutoGen turns what a tool raises into the tool's answer, or waits for ever for the others.
    """
    task = asyncio.ensure_future(running)
    try:
        while not task.done() and replay.stopped is None:
            await asyncio.wait({task}, timeout=_LOOK)
    except asyncio.CancelledError:
        await _end(made, task)
        raise
    if replay.stopped is not None:
        await _end(made, task)
        raise replay.stopped
    try:
        return task.result()
    except Exception as error:
        reason = str(error).partition("\n")[0]
        raise ReplayError(f"{made.name!r} failed in the replay: {reason}") from error


async def _end(made: Any, task: asyncio.Task[TaskResult]) -> None:
    runtimes = list(_runtimes(made))
    for _ in range(int(_PATIENCE / _LOOK)):
        task.cancel()
        for runtime in runtimes:
            for handling in list(runtime._background_tasks):
                handling.cancel()
        await asyncio.wait({task}, timeout=_LOOK)
        if task.done():
            break
    if task.done() and not task.cancelled():
        task.exception()  # looked at, so that asyncio does not report it


def _runtimes(made: Any) -> Iterator[SingleThreadedAgentRuntime]:
    """The runtimes of a team and of the teams in it, innermost first."""
    members = list(getattr(made, "_participants", ()))
    members += [getattr(made, name, None) for name in ("_team", "_wrapped_agent")]
    for workbench in getattr(made, "_workbench", None) or ():
        members += [getattr(t, "_task_runner", None) for t in getattr(workbench, "_tools", ())]
    for member in members:
        if member is not None:
            yield from _runtimes(member)
    runtime = getattr(made, "_runtime", None)
    if isinstance(runtime, SingleThreadedAgentRuntime):
        yield runtime


def _said(result: TaskResult) -> str:
    answer = agent_turns.final_message(result)
    return "" if answer is None else text(answer)
