"""Record agents at work: as a member of a team, on their own, or called by other code."""

from collections.abc import Iterable
from typing import Any

from autogen_agentchat.agents import BaseChatAgent, UserProxyAgent
from autogen_agentchat.base import Response, TaskResult
from autogen_agentchat.messages import BaseChatMessage, TextMessage
from opentelemetry.context import Context
from opentelemetry.trace import Span

from agenttrace import payload, semconv
from agenttrace.models import USER, MessageType
from agenttrace.replay import PERSON
from agenttrace_autogen import answers, checkpoints, requests, watching
from agenttrace_autogen.conversation import text
from agenttrace_autogen.patches import Patches
from agenttrace_autogen.recording import Call, Recorder, Scope, Turn, caller, current, nearest

_DEFAULT_ROLES = frozenset(
    {
        "An agent that provides assistance with ability to use tools.",
        "You are a helpful AI assistant. Solve tasks using your tools. Reply with TERMINATE when "
        "the task has been completed.",
    }
)


def install(patches: Patches, recorder: Recorder) -> None:
    """Watch every way in which code calls an agent of its own."""

    def begin_run(agent: Any, *_: Any, task: Any = None, **__: Any) -> DirectTurn | None:
        return DirectTurn.begin(recorder, agent, messages_of(task))

    def begin_on_messages(agent: Any, messages: Any = (), *_: Any, **__: Any) -> DirectTurn | None:
        if isinstance(agent, UserProxyAgent):
            requests.hears(agent, messages)
        return DirectTurn.begin(recorder, agent, list(messages))

    coroutine, generator = watching.coroutine, watching.generator
    patches.cover(
        BaseChatAgent,
        {
            "run": coroutine(recorder, begin_run),
            "run_stream": generator(recorder, begin_run),
            "on_messages": coroutine(recorder, begin_on_messages),
            "on_messages_stream": generator(recorder, begin_on_messages),
        },
    )

    def begin_question(agent: Any, prompt: str, *_: Any) -> Question | None:
        return Question.begin(recorder, agent, prompt)

    def asked(original: Any) -> Any:
        return coroutine(recorder, begin_question)(answers.question(original))

    patches.cover(UserProxyAgent, {"_get_input": asked})


def open_turn(
    recorder: Recorder,
    agent: Any,
    name: str,
    role: str | None,
    outer: Scope | None,
    context: Context | None = None,
    agent_id: str | None = None,
) -> Turn:
    """Start an agent's span under `context`, the current one if None."""
    span = recorder.span(
        f"invoke_agent {name}",
        {
            semconv.GEN_AI_OPERATION_NAME: "invoke_agent",
            semconv.GEN_AI_AGENT_NAME: name,
            semconv.GEN_AI_AGENT_ID: agent_id,
            semconv.AGENTTRACE_AGENT_ROLE: role,
        },
        context,
    )
    return recorder.begin(Turn(span, outer, agent=name, subject=agent))


def role_of(agent: Any) -> str | None:
    """What an agent is for: its description or its instructions, unless those are the defaults."""
    description = getattr(agent, "description", None) or getattr(agent, "_description", None)
    instructions = [
        message.content
        for message in getattr(agent, "_system_messages", None) or ()
        if isinstance(getattr(message, "content", None), str)
    ]
    own = [role for role in (description, *instructions) if role and role not in _DEFAULT_ROLES]
    return str(own[0])[:2000] if own else None


class DirectTurn(watching.Step):
    """An agent called by code, not by a team: a run of its own, or a step of its caller."""

    scope: Turn

    def __init__(self, recorder: Recorder, turn: Turn, reply_to: str) -> None:
        super().__init__(recorder, turn)
        self._reply_to = reply_to
        self._answer: Any = None
        self.given: list[Any] = []
        self.asked_by = USER

    @classmethod
    def begin(cls, recorder: Recorder, agent: Any, given: list[Any]) -> "DirectTurn | None":
        """Start the turn; None if this agent's turn is already being recorded."""
        outer = current()
        name = agent.name
        if isinstance(outer, Turn) and (outer.subject is agent or outer.agent == name):
            return None
        turn = open_turn(recorder, agent, name, role_of(agent), outer)
        if given:
            payload.defer(turn.span, semconv.AGENTTRACE_INPUT, payload.Lazy(lambda: joined(given)))
        sender = caller()
        reply_to = sender
        if sender == USER and given:
            reply_to = getattr(given[-1], "source", None) or USER
        step = cls(recorder, turn, reply_to if reply_to != name else USER)
        step.given, step.asked_by = given, sender
        step.prepares = outer is None
        if not step.prepares:
            step.hear()
        return step

    async def prepare(self) -> None:
        """Record where an agent that is called on its own starts from, then what it is told."""
        agent = self.scope.subject
        why_not = None
        state: Any = ""
        try:
            state = await checkpoints.of_agent(agent, self.given)
        except Exception as error:  # noqa: BLE001 - an agent's own save_state can fail in any way
            why_not = f"The agent's state cannot be saved: {type(error).__name__}: {error}"
        payload.checkpoint(
            self.scope.span,
            checkpoint_id=payload.new_id(),
            label=f"before {agent.name}",
            state=state,
            config={"agent": type(agent).__name__, "name": agent.name},
            why_not=why_not,
        )
        self.hear()

    def hear(self) -> None:
        """Record what the agent is told."""
        turn = self.scope
        caller_turn = nearest(turn.outer, Turn)
        for message in self.given:
            said_by = getattr(message, "source", None) or USER
            known = self.asked_by != USER or said_by == turn.agent
            turn.received = payload.message(
                (caller_turn or turn).span,
                sender=self.asked_by if known else said_by,
                recipient=turn.agent,
                content=_content(message),
                type="handoff" if getattr(message, "target", None) == turn.agent else "task",
                caused_by=caller_turn.received if caller_turn else None,
            )

    def item(self, value: Any) -> None:
        """Streams end with the response, or the task's result."""
        if isinstance(value, (Response, TaskResult)):
            self._answer = value

    def result(self, value: Any) -> None:
        """Coroutines return the same."""
        self._answer = value

    def ended(self, error: BaseException | None) -> None:
        """Record the answer and end the turn."""
        answer = final_message(self._answer)
        if answer is not None:
            self._reply(answer)
        self.recorder.end(self.scope, error)

    def _reply(self, answer: Any) -> None:
        turn = self.scope
        output(turn.span, answer)
        target = getattr(answer, "target", None) or None
        type_: MessageType = "handoff" if target else "result"
        message_id = payload.message(
            turn.span,
            sender=turn.agent,
            recipient=target or self._reply_to,
            content=_content(answer),
            type=type_,
            caused_by=turn.received,
        )
        caller_turn = nearest(turn.outer, Turn)
        if caller_turn is not None:
            caller_turn.received = message_id


class Question(watching.Step):
    """A user proxy waiting for what the user answers, in its turn."""

    scope: Call

    def __init__(self, recorder: Recorder, call: Call, turn: Turn) -> None:
        super().__init__(recorder, call)
        self._turn = turn

    @classmethod
    def begin(cls, recorder: Recorder, agent: Any, prompt: str) -> "Question | None":
        """Record what the user is asked; None outside a recorded turn."""
        turn = nearest(current(), Turn)
        if turn is None:
            return None
        turn.received = payload.message(
            turn.span,
            sender=agent.name,
            recipient=USER,
            content=prompt,
            type="question",
            caused_by=turn.received,
        )
        span = recorder.span(PERSON, {semconv.AGENTTRACE_KIND: "other"})
        payload.defer(span, semconv.AGENTTRACE_INPUT, prompt)
        asks = requests.of_question(agent, prompt)
        payload.called(span, asks, name=PERSON, agent=answers.who())
        return cls(recorder, recorder.begin(Call(span, current(), name=PERSON)), turn)

    def result(self, value: Any) -> None:
        """Record the user's answer."""
        payload.defer(self.scope.span, semconv.AGENTTRACE_OUTPUT, value)
        payload.answered(self.scope.span, value)
        if isinstance(value, str):
            self._turn.received = payload.message(
                self._turn.span,
                sender=USER,
                recipient=self._turn.agent,
                content=value,
                type="answer",
                caused_by=self._turn.received,
            )


def output(span: Span, answer: Any) -> None:
    """Note the chat message a span came to as its output."""
    payload.defer(span, semconv.AGENTTRACE_OUTPUT, _content(answer))


def final_message(result: Any) -> Any:
    """The chat message that a response or a task's result comes down to, if there is one."""
    if isinstance(result, Response):
        return result.chat_message
    if isinstance(result, TaskResult):
        chat = [m for m in result.messages if isinstance(m, BaseChatMessage)]
        return chat[-1] if chat else None
    return None


def joined(messages: Iterable[Any]) -> str:
    """Return several chat messages as one text, each with its author."""
    several = list(messages)
    if len(several) == 1:
        return _text(several[0])
    return "\n".join(f"{getattr(m, 'source', USER)}: {_text(m)}" for m in several)


def _content(message: Any) -> Any:
    return message if isinstance(message, str) else payload.Lazy(lambda: text(message))


def _text(message: Any) -> str:
    return message if isinstance(message, str) else text(message)


def as_message(task: str) -> BaseChatMessage:
    """Return the message that a task given as text becomes."""
    return TextMessage(content=task, source=USER)


def messages_of(task: Any) -> list[Any]:
    """Return the messages (or the text) that `run` was called with."""
    if task is None:
        return []
    return [task] if isinstance(task, (str, BaseChatMessage)) else list(task)
