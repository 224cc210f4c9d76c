"""Take a team's state at a turn boundary, cheaply: references now, text when it is exported.

What comes out is what `team.load_state()` takes. The framework's own `save_state()` does the
serialising, on a copy whose containers no longer change, on the exporter's thread.
"""

from collections.abc import Callable, Coroutine, Mapping
from typing import Any

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

_CHANGING = (
    "_message_thread",
    "_message_buffer",
    "_messages",
    "_remaining",
    "_enqueued_any",
    "_ready",
)

# Only these are known to read nothing but the attributes above, and to do it without waiting.
_READS_ONLY = frozenset(
    {
        agents.BaseChatAgent.save_state,
        agents.AssistantAgent.save_state,
        ChatCompletionContext.save_state,
        _round_robin_group_chat.RoundRobinGroupChatManager.save_state,
        _selector_group_chat.SelectorGroupChatManager.save_state,
        _swarm_group_chat.SwarmGroupChatManager.save_state,
        _digraph_group_chat.GraphFlowManager.save_state,
        _magentic_one_orchestrator.MagenticOneOrchestrator.save_state,
    }
)


async def of_team(team: Any) -> State:
    """Return what makes the team's state as it is now."""
    if type(team).save_state is not teams.BaseGroupChat.save_state or not team._initialized:
        return _made(await team.save_state())
    members: dict[str, State] = {}
    for participant, kind in zip(team._participants, team._participant_topic_types, strict=True):
        members[participant.name] = await _of_container(team, participant, kind)
    manager = _instance(team, team._group_chat_manager_topic_type)
    if manager is not None:
        members[team._group_chat_manager_name] = await _of(manager)
    return lambda: state.TeamState(
        agent_states={name: make() for name, make in members.items()}
    ).model_dump()


async def of_agent(agent: Any) -> State:
    """Return what makes a single agent's state as it is now."""
    if type(agent).save_state is agents.SocietyOfMindAgent.save_state:
        inner = await of_team(agent._team)
        return lambda: state.SocietyOfMindAgentState(inner_team_state=inner()).model_dump()
    if isinstance(agent, _base_group_chat.BaseGroupChat):
        return await of_team(agent)
    return await _of(agent)


async def _of_container(team: Any, participant: Any, kind: str) -> State:
    container = _instance(team, kind)
    inner = await of_agent(participant)
    if container is not None and type(container) is not _chat_agent_container.ChatAgentContainer:
        return _made(await container.save_state())
    buffered = list(container._message_buffer) if container is not None else []
    return lambda: state.ChatAgentContainerState(
        agent_state=inner(), message_buffer=[message.dump() for message in buffered]
    ).model_dump()


def _instance(team: Any, kind: str) -> Any:
    """The runtime's object for a participant or the manager; None before its first message."""
    started: Mapping[AgentId, Any] = getattr(team._runtime, "_instantiated_agents", {})
    return started.get(AgentId(type=kind, key=team._team_id))


async def _of(subject: Any) -> State:
    if not _reads_only(subject):
        return _made(await subject.save_state())
    frozen = _frozen(subject)
    return lambda: _finished(frozen.save_state())


def _reads_only(subject: Any) -> bool:
    context = getattr(subject, "_model_context", None)
    return type(subject).save_state in _READS_ONLY and (
        context is None or type(context).save_state in _READS_ONLY
    )


def _frozen(subject: Any) -> Any:
    """Return a twin of `subject` whose containers are its own; nothing of the original is run."""
    twin = object.__new__(type(subject))
    twin.__dict__.update(subject.__dict__)
    for name in _CHANGING:
        if name in twin.__dict__:
            twin.__dict__[name] = _copied(twin.__dict__[name])
    if "_model_context" in twin.__dict__:
        twin.__dict__["_model_context"] = _frozen(twin.__dict__["_model_context"])
    return twin


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
