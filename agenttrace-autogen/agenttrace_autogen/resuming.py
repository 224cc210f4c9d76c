"""Bring a fresh team to where a recorded one was: its state, and who was about to speak.

What a team saves is what it knows once the next speaker has been chosen, and not that one has been.
So the manager of a team that goes on is not asked to choose: it is told who speaks now. The same
for a team inside another one, which the outer team would give its task anew.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

from autogen_agentchat.agents import SocietyOfMindAgent
from autogen_agentchat.base import TaskResult
from autogen_agentchat.messages import BaseChatMessage
from autogen_agentchat.teams import BaseGroupChat
from autogen_agentchat.teams._group_chat._events import GroupChatRequestPublish, GroupChatStart
from autogen_agentchat.teams._group_chat._magentic_one import _magentic_one_orchestrator
from autogen_agentchat.teams._group_chat._swarm_group_chat import SwarmGroupChatManager
from autogen_core import DefaultTopicId

from agenttrace.errors import ReplayError
from agenttrace_autogen import checkpoints

Level = Mapping[str, Any]
"""A team on the way to who speaks: its `members`, `speakers`, and where its run `began`."""


async def bring_back(team: Any, state: Any, levels: Sequence[Level]) -> None:
    """Load `state` into `team`; let it, and each team on the way inwards, go on with its speakers.

    `levels` are those teams, this one first. Raises ReplayError where a team is not as recorded.
    """
    _compare(team, levels[0])
    try:
        await team.load_state(state)
    except (ValueError, KeyError, TypeError) as error:
        raise ReplayError(
            f"Team {team.name!r} does not take the recorded state: {error}. "
            "Has the application changed since, or does an edit not fit?"
        ) from error
    await checkpoints.complete(team, state)
    for number, level in enumerate(levels):
        manager = checkpoints.manager_of(team)
        if manager is None:
            raise ReplayError(
                f"Team {team.name!r} runs on a runtime that cannot be looked into; "
                "make it without runtime= in the factory you replay"
            )
        await _count_on(manager, level["began"])
        manager._agenttrace_level = level
        await _goes_on(manager, level["speakers"])
        if number:
            _continue_inside(team, manager, level)
        if number + 1 < len(levels):
            team = _member_team(team, level["speakers"][0])
            _compare(team, levels[number + 1])


def _compare(team: Any, level: Level) -> None:
    if not isinstance(team, BaseGroupChat):
        raise ReplayError(
            f"The recorded run was of team {level['name']!r}, and the factory made a "
            f"{type(team).__name__}; make the same team"
        )
    recorded, found = list(level["participants"]), list(team._participant_names)
    if recorded != found:
        raise ReplayError(
            f"Team {team.name!r} has the members {', '.join(found)}; the recorded one had "
            f"{', '.join(recorded)}. Replay it with the same members in the same order"
        )


def _member_team(team: Any, name: str) -> Any:
    member = team._participants[team._participant_names.index(name)]
    return member._team if isinstance(member, SocietyOfMindAgent) else member


async def _count_on(manager: Any, began: int) -> None:
    """Show the termination condition what the run has said so far: its state is in no checkpoint.

    A condition that says stop now is reset: the run did go on, or an edit makes it say so, and then
    it speaks up again the next time.
    """
    condition = manager._termination_condition
    if condition is None:
        return
    messages = manager._message_thread[began:]
    if isinstance(manager, _magentic_one_orchestrator.MagenticOneOrchestrator):
        messages = [message for message in messages if message.source != manager._name]
    for delta in _deltas(messages):
        if condition.terminated or await condition(delta) is not None:
            await condition.reset()


def _deltas(messages: Sequence[Any]) -> list[list[Any]]:
    """Split a thread after each chat message: what an agent did inside comes with what it said."""
    found: list[list[Any]] = [[]]
    for message in messages:
        found[-1].append(message)
        if isinstance(message, BaseChatMessage):
            found.append([])
    return [delta for delta in found if delta]


async def _goes_on(manager: Any, speakers: Sequence[str]) -> None:
    """Let the manager's next start ask these to speak, instead of whom it would choose."""
    if isinstance(manager, SwarmGroupChatManager) and manager._message_thread:
        # What a handoff says decides, also if it has been edited.
        chosen = await manager.select_speaker(manager._message_thread)
        speakers = [chosen] if isinstance(chosen, str) else chosen
    handle = manager.on_message_impl

    async def start(message: Any, ctx: Any) -> Any:
        if not isinstance(message, GroupChatStart):
            return await handle(message, ctx)
        del manager.on_message_impl, manager._agenttrace_level
        for name in speakers:
            manager._active_speakers.append(name)
            await manager.publish_message(
                GroupChatRequestPublish(),
                topic_id=DefaultTopicId(type=manager._participant_name_to_topic_type[name]),
                cancellation_token=ctx.cancellation_token,
            )
        return None

    manager.on_message_impl = start


def goes_on(manager: Any) -> bool:
    """Whether the manager's next start is the continuation of a recorded run."""
    return "on_message_impl" in vars(manager)


def beginning(team: Any, tasks: int) -> tuple[int, int]:
    """How long a team's thread was when the run that starts now began, and its number of tasks."""
    manager = checkpoints.manager_of(team)
    if manager is not None and goes_on(manager):
        level: Level = manager._agenttrace_level
        return level["began"], level["tasks"]
    return len(getattr(manager, "_message_thread", ())), tasks


def _continue_inside(team: Any, manager: Any, level: Level) -> None:
    """Let an inner team's next run be the rest of the recorded one, with what that said before."""
    said = list(manager._message_thread[level["began"] + level["tasks"] :])
    run_stream = team.run_stream

    async def continued(**options: Any) -> AsyncIterator[Any]:
        del team.run_stream
        options.pop("task", None)  # the team was given it in the recorded run
        for message in said:
            yield message
        async for item in run_stream(**options):
            if isinstance(item, TaskResult):
                item.messages = [*said, *item.messages]
            yield item

    team.run_stream = continued
