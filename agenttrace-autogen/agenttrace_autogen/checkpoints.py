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


async def of_agent(agent: Any, given: list[Any]) -> Callable[[], str]:
    """Return what makes the state of an agent that is called on its own, and what it is given."""
    dumps = Dumps()
    make = await _of_agent(agent, dumps)
    return lambda: _json(
        {
            "agent_state": make(),
            "task": [one if isinstance(one, str) else dumps.of([one])[0] for one in given],
        }
    ).decode()


async def _of_team(team: Any, dumps: Dumps) -> State:
    if type(team).save_state is not teams.BaseGroupChat.save_state or not team._initialized:
        return _made(await team.save_state())
    members: dict[str, State] = {}
    for participant, kind in zip(team._participants, team._participant_topic_types, strict=True):
        members[participant.name] = await _of_container(team, participant, kind, dumps)
    manager = manager_of(team)
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
        more = _of_context(agent, dumps)
        return lambda: {
            **state.SocietyOfMindAgentState().model_dump(),
            "inner_team_state": inner(),
            **more(),
        }
    if saves is agents.AssistantAgent.save_state and _is_plain(agent._model_context):
        kept = _of_context(agent, dumps)
        return lambda: {**state.AssistantAgentState().model_dump(), **kept()}
    if saves is agents.BaseChatAgent.save_state:
        wrapped = getattr(agent, "_wrapped_agent", None)
        within = None if wrapped is None else await _of_agent(wrapped, dumps)
        own = _of_context(agent, dumps)
        return lambda: {
            **state.BaseState().model_dump(),
            **own(),
            **({} if within is None else {"wrapped_agent": within()}),
        }
    return _made(await agent.save_state())


def _of_context(agent: Any, dumps: Dumps) -> Callable[[], dict[str, Any]]:
    """What an agent remembers for its model: some agents do not save it."""
    context: Any = getattr(agent, "_model_context", None)
    if not _is_plain(context):
        return dict
    messages = list(context._messages)
    return lambda: {"llm_context": {"messages": dumps.of(messages)}}


async def complete(agent: Any, saved: Any) -> None:
    """Give the members of a team that has loaded `saved` what they themselves do not load."""
    if isinstance(agent, _base_group_chat.BaseGroupChat):
        members = saved.get("agent_states", {})
        for participant in agent._participants:
            await complete(participant, members.get(participant.name, {}).get("agent_state", {}))
        return
    loads = type(agent).load_state
    if loads is agents.SocietyOfMindAgent.load_state:
        await complete(agent._team, saved.get("inner_team_state", {}))
    elif loads is not agents.BaseChatAgent.load_state:
        return
    if "llm_context" in saved:
        await agent._model_context.load_state(saved["llm_context"])
    if "wrapped_agent" in saved:
        await agent._wrapped_agent.load_state(saved["wrapped_agent"])
        await complete(agent._wrapped_agent, saved["wrapped_agent"])


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


def manager_of(team: Any) -> Any:
    """The object that manages the team; None before its first message."""
    return _instance(team, team._group_chat_manager_topic_type)


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
