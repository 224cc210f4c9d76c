"""Record teams: a run of one, whom its manager asks to speak, what its members say."""

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from autogen_agentchat.base import TaskResult
from autogen_agentchat.messages import BaseChatMessage
from autogen_agentchat.teams import BaseGroupChat
from autogen_agentchat.teams._group_chat import _events
from autogen_agentchat.teams._group_chat._base_group_chat_manager import BaseGroupChatManager
from autogen_agentchat.teams._group_chat._chat_agent_container import ChatAgentContainer
from opentelemetry.trace import set_span_in_context

from agenttrace import payload, semconv
from agenttrace_autogen import agent_turns, checkpoints, resuming, watching
from agenttrace_autogen.conversation import Conversation
from agenttrace_autogen.patches import Patches
from agenttrace_autogen.recording import Recorder, Run, Scope, Turn, caller, current, nearest

STOP_REASON = "agenttrace.autogen.stop_reason"


@dataclass(slots=True, eq=False)
class TeamRun(Run):
    """A team at work; `conversation` knows what its members say to whom."""

    team: Any = None
    began: int = 0
    """How long the team's thread was when the run began; `tasks` messages were then given to it."""
    tasks: int = 0
    conversation: Conversation = field(init=False)
    dumps: checkpoints.Dumps = field(default_factory=checkpoints.Dumps)


def install(patches: Patches, recorder: Recorder) -> None:
    """Watch every team class there is and will be."""

    def begin(team: Any, *_: Any, task: Any = None, **__: Any) -> "TeamStep | None":
        return TeamStep.begin(recorder, team, task)

    patches.cover(BaseGroupChat, {"run_stream": watching.generator(recorder, begin)})


class TeamStep(watching.Step):
    """One run of one team."""

    scope: TeamRun

    @classmethod
    def begin(cls, recorder: Recorder, team: Any, task: Any) -> "TeamStep | None":
        """Start the root span of a run; None for a team class calling its base class."""
        outer = current()
        if isinstance(outer, TeamRun) and outer.team is team:
            return None
        span = recorder.span(
            f"invoke_workflow {team.name}",
            {
                semconv.GEN_AI_OPERATION_NAME: "invoke_workflow",
                semconv.GEN_AI_WORKFLOW_NAME: team.name,
                semconv.GEN_AI_CONVERSATION_ID: team._team_id,
            },
        )
        given = agent_turns.messages_of(task)
        if given:
            payload.defer(
                span,
                semconv.AGENTTRACE_INPUT,
                payload.Lazy(lambda: agent_turns.joined(given)),
            )
        began, tasks = resuming.beginning(team, len(given))
        run = recorder.begin(
            TeamRun(span, outer, caller=caller(), team=team, began=began, tasks=tasks)
        )
        run.conversation = Conversation(
            recorder,
            run,
            team.name,
            team._participant_names,
            team._group_chat_manager_name if _takes_part(team) else None,
            _edges(team),
        )
        return cls(recorder, run)

    def item(self, value: Any) -> None:
        """The stream ends with the result."""
        if isinstance(value, TaskResult):
            answer = agent_turns.final_message(value)
            if answer is not None:
                agent_turns.output(self.scope.span, answer)

    def ended(self, error: BaseException | None) -> None:
        """Settle what is still unaddressed, and end the root span."""
        self.scope.conversation.ended(answered=False)
        if isinstance(error, asyncio.CancelledError):
            self.scope.span.set_attribute(STOP_REASON, "cancelled")
        self.recorder.end(self.scope, error)


def _takes_part(team: Any) -> bool:
    """Whether the team's manager answers its members itself, as MagenticOne's does."""
    manager = team._base_group_chat_manager_class
    own = getattr(manager, "handle_agent_response", None)
    return own is not BaseGroupChatManager.handle_agent_response


def _edges(team: Any) -> Mapping[str, Iterable[str]] | None:
    graph = getattr(team, "_graph", None)
    nodes = getattr(graph, "nodes", None)
    if not isinstance(nodes, dict):
        return None
    return {name: [edge.target for edge in node.edges] for name, node in nodes.items()}


def _run_of(scope: Scope | None, team_id: str) -> TeamRun | None:
    if scope is None:
        return None
    runs = (s for s in scope.enclosing() if isinstance(s, TeamRun))
    return next((run for run in runs if run.team._team_id == team_id), None)


def on_send(message: Any, team_id: str) -> None:
    """A team tells its manager to start."""
    run = _run_of(current(), team_id)
    if isinstance(message, _events.GroupChatStart) and run is not None:
        run.conversation.task(message.messages or ())


def on_publish(message: Any, topic_type: str, team_id: str) -> None:
    """A member of a team, or its manager, publishes something to the group."""
    scope = current()
    run = _run_of(scope, team_id)
    if run is None:
        return
    conversation = run.conversation
    if isinstance(message, _events.GroupChatRequestPublish):
        conversation.requested(topic_type.removesuffix(f"_{team_id}"))
    elif isinstance(message, _events.GroupChatTermination):
        run.span.set_attribute(STOP_REASON, message.message.content[:2000])
        conversation.ended(answered=message.error is None)
    elif isinstance(scope, Turn):
        said: Any = None
        if isinstance(message, _events.GroupChatAgentResponse):
            said = message.response.chat_message
        elif isinstance(message, _events.GroupChatTeamResponse):
            chat = [m for m in message.result.messages if isinstance(m, BaseChatMessage)]
            said = chat[-1] if chat else None
        if said is not None:
            agent_turns.output(scope.span, said)
            conversation.said(scope, said, message.name)


def begin_message(recorder: Recorder, agent: Any, message: Any) -> watching.Step | None:
    """A member or manager is handed a message: its turn, if it is asked to act on it."""
    if isinstance(agent, ChatAgentContainer):
        if isinstance(message, _events.GroupChatRequestPublish):
            return MemberTurn.begin(recorder, agent)
    elif (
        isinstance(agent, BaseGroupChatManager)
        and isinstance(
            message,
            _events.GroupChatStart | _events.GroupChatAgentResponse | _events.GroupChatTeamResponse,
        )
        and not resuming.goes_on(agent)
    ):
        return _manager_turn(recorder, agent)
    return None


def _manager_turn(recorder: Recorder, manager: Any) -> watching.Step | None:
    run = _run_of(current(), manager.id.key)
    if run is None or not _takes_part(run.team):
        return None
    name = manager._name
    run.conversation.requested(name)
    run.conversation.take_requested()
    turn = agent_turns.open_turn(
        recorder, manager, name, agent_turns.role_of(manager), run, _under(run)
    )
    turn.received = run.conversation.begins(name)
    return watching.Step(recorder, turn)


class MemberTurn(watching.Step):
    """One turn of one member of a team."""

    scope: Turn
    prepares = True

    @classmethod
    def begin(cls, recorder: Recorder, container: Any) -> "MemberTurn | None":
        """Start the turn; None if the team's run is not being recorded."""
        run = _run_of(current(), container.id.key)
        if run is None:
            return None
        agent = container._agent
        role = agent_turns.role_of(agent)
        turn = agent_turns.open_turn(
            recorder, agent, agent.name, role, run, _under(run), str(container.id)
        )
        turn.received = run.conversation.begins(agent.name)
        heard = list(container._message_buffer)
        if heard:
            payload.defer(
                turn.span,
                semconv.AGENTTRACE_INPUT,
                payload.Lazy(lambda: agent_turns.joined(heard)),
            )
        return cls(recorder, turn)

    async def prepare(self) -> None:
        """Record where the run can go back to: by now all have heard what was said so far."""
        run, speaker = nearest(self.scope, TeamRun), self.scope.agent
        # Of several that speak at once the first one's turn is the boundary for all.
        speakers = run.conversation.take_requested() if run is not None else ()
        if run is None or not speakers:
            return
        levels, why_not = levels_of(run)
        inner = levels[-1]
        config = {**inner, "speaker": speaker, "speakers": list(speakers), "within": levels[:-1]}
        state: Any = ""
        try:
            state = await checkpoints.of_team(_outermost(run).team, run.dumps)
        except Exception as error:  # noqa: BLE001 - an agent's own save_state can fail in any way
            why_not = f"The team's state cannot be saved: {type(error).__name__}: {error}"
        payload.checkpoint(
            self.scope.span,
            checkpoint_id=payload.new_id(),
            label=f"before {', '.join(speakers)}",
            state=state,
            config=config,
            why_not=why_not,
        )


def _above(run: TeamRun) -> TeamRun | None:
    """The run whose member this team is, or is the inner team of; None if it is not in a team."""
    turn = run.outer
    if isinstance(turn, Turn) and isinstance(turn.outer, TeamRun):
        member = turn.subject
        if member is run.team or getattr(member, "_team", None) is run.team:
            return turn.outer
    return None


def _outermost(run: TeamRun) -> TeamRun:
    above = _above(run)
    return run if above is None else _outermost(above)


def levels_of(run: TeamRun) -> tuple[list[dict[str, Any]], str | None]:
    """Return the teams from the outermost to this one, and why it cannot be resumed, if so."""
    level: dict[str, Any] = {
        "team": type(run.team).__name__,
        "name": run.team.name,
        "manager": run.team._group_chat_manager_name,
        "participants": list(run.team._participant_names),
        "began": run.began,
        "tasks": run.tasks,
    }
    above = _above(run)
    if above is None:
        return [level], _why_not_alone(run)
    outer, why_not = levels_of(above)
    member = run.outer.agent if isinstance(run.outer, Turn) else ""
    manager = checkpoints.manager_of(above.team)
    speaking = list(getattr(manager, "_active_speakers", ())) or [member]
    if speaking != [member]:
        others = ", ".join(name for name in speaking if name != member)
        why_not = (
            f"{others} was at work at the same time as {member}, whose team this is; "
            f"go back to before {', '.join(speaking)}"
        )
    elif _takes_part(run.team):
        why_not = (
            f"A {type(run.team).__name__} inside another team forgets what it has said before; "
            f"go back to before {member}"
        )
    outer[-1]["speakers"] = [member]
    return [*outer, level], why_not


def _why_not_alone(run: TeamRun) -> str | None:
    if run.outer is None:
        return None
    turn = nearest(run.outer, Turn)
    if turn is None:
        return "The team runs inside another run; go back to before that"
    return (
        f"{turn.agent} runs this team in the middle of its own turn; go back to before {turn.agent}"
    )


def _under(run: Run) -> Any:
    return set_span_in_context(run.span)
