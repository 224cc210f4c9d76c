"""Take a team's state at a turn boundary, cheaply: references now, text when it is exported.

What comes out is what `team.load_state()` takes, as JSON. The framework's own `save_state()` is run
on a copy whose containers no longer change, on the exporter's thread; the messages, which are most
of it and the same at every boundary, are serialised once each.
"""

from collections.abc import Callable, Coroutine, Mapping
from typing import Any

import msgspec
from autogen_agentchat import agents, state, teams
from autogen_agentchat.teams._group_chat import (
    _base_group_chat,
    _chat_agent_container,
    _round_robin_group_chat,
    _selector_group_chat,
    _swarm_group_chat,
)
from autogen_agentchat.teams._group_chat._graph import _digraph_group_chat
from autogen_agentchat.teams._group_chat._magentic_one import _magentic_one_orchestrator
from autogen_core import AgentId
from autogen_core.model_context import ChatCompletionContext

State = Callable[[], Any]
"""Makes the state; may be called on any thread, once the moment it describes has passed."""

# Small containers that managers change in place, besides the messages.
_CHANGING = ("_remaining", "_enqueued_any", "_ready")

# Only these are known to read nothing but messages and the attributes above, without waiting.
_THREADS = frozenset(
    {
        _round_robin_group_chat.RoundRobinGroupChatManager.save_state,
        _selector_group_chat.SelectorGroupChatManager.save_state,
        _swarm_group_chat.SwarmGroupChatManager.save_state,
        _digraph_group_chat.GraphFlowManager.save_state,
        _magentic_one_orchestrator.MagenticOneOrchestrator.save_state,
    }
)


class Dumps:
    """The messages of one run as JSON, each serialised once."""

    def __init__(self) -> None:
        self._known: dict[int, tuple[Any, msgspec.Raw]] = {}

    def of(self, messages: list[Any]) -> list[msgspec.Raw]:
        """Return each message as JSON."""
        return [self._one(message) for message in messages]

    def _one(self, message: Any) -> msgspec.Raw:
        known = self._known.get(id(message))
        if known is None:
            dumped = message.dump() if hasattr(message, "dump") else message.model_dump(mode="json")
            # Keeping the message keeps its id from being given to another.
            known = self._known[id(message)] = message, msgspec.Raw(_json(dumped))
        return known[1]


async def of_team(team: Any, dumps: Dumps) -> Callable[[], str]:
    """Return what makes the team's state as it is now, as JSON."""
    make = await _of_team(team, dumps)
    return lambda: _json(make()).decode()


async def _of_team(team: Any, dumps: Dumps) -> State:
    if type(team).save_state is not teams.BaseGroupChat.save_state or not team._initialized:
        return _made(await team.save_state())
    members: dict[str, State] = {}
    for participant, kind in zip(team._participants, team._participant_topic_types, strict=True):
        members[participant.name] = await _of_container(team, participant, kind, dumps)
    manager = _instance(team, team._group_chat_manager_topic_type)
    if manager is not None:
        members[team._group_chat_manager_name] = await _of_manager(manager, dumps)
    return lambda: {
        **state.TeamState().model_dump(),
        "agent_states": {name: make() for name, make in members.items()},
    }


async def _of_container(team: Any, participant: Any, kind: str, dumps: Dumps) -> State:
    container = _instance(team, kind)
    if container is not None and type(container) is not _chat_agent_container.ChatAgentContainer:
        return _made(await container.save_state())
    inner = await _of_agent(participant, dumps)
    buffered = list(container._message_buffer) if container is not None else []
    return lambda: {
        **state.ChatAgentContainerState().model_dump(),
        "agent_state": inner(),
        "message_buffer": dumps.of(buffered),
    }


async def _of_agent(agent: Any, dumps: Dumps) -> State:
    saves = type(agent).save_state
    if isinstance(agent, _base_group_chat.BaseGroupChat):
        return await _of_team(agent, dumps)
    if saves is agents.SocietyOfMindAgent.save_state:
        inner = await _of_team(agent._team, dumps)
        return lambda: {
            **state.SocietyOfMindAgentState().model_dump(),
            "inner_team_state": inner(),
        }
    context: Any = getattr(agent, "_model_context", None)
    if saves is agents.AssistantAgent.save_state and _is_plain(context):
        messages = list(context._messages)
        return lambda: {
            **state.AssistantAgentState().model_dump(),
            "llm_context": {"messages": dumps.of(messages)},
        }
    return _made(await agent.save_state())


def _is_plain(context: Any) -> bool:
    return getattr(type(context), "save_state", None) is ChatCompletionContext.save_state


async def _of_manager(manager: Any, dumps: Dumps) -> State:
    if type(manager).save_state not in _THREADS:
        return _made(await manager.save_state())
    thread = list(manager._message_thread)
    twin = object.__new__(type(manager))
    twin.__dict__.update(manager.__dict__, _message_thread=[])
    for name in _CHANGING:
        if name in twin.__dict__:
            twin.__dict__[name] = _copied(twin.__dict__[name])
    return lambda: {**_finished(twin.save_state()), "message_thread": dumps.of(thread)}


def _instance(team: Any, kind: str) -> Any:
    """The runtime's object for a participant or the manager; None before its first message."""
    started: Mapping[AgentId, Any] = getattr(team._runtime, "_instantiated_agents", {})
    return started.get(AgentId(type=kind, key=team._team_id))


def _copied(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _copied(item) for key, item in value.items()}
    return list(value) if isinstance(value, (list, set)) or hasattr(value, "popleft") else value


def _finished(saving: Coroutine[Any, Any, Any]) -> Any:
    """Run a coroutine that never waits."""
    try:
        saving.send(None)
    except StopIteration as stop:
        return stop.value
    saving.close()
    raise RuntimeError("save_state() waited for something")


def _made(value: Any) -> State:
    return lambda: value


def _json(value: Any) -> bytes:
    return msgspec.json.encode(value, enc_hook=_plain)


def _plain(value: Any) -> Any:
    dump = getattr(value, "model_dump", None)
    return dump(mode="json") if callable(dump) else str(value)
