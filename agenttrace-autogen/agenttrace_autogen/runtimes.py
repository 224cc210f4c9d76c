"""Record bare autogen-core programs: who sends what to whom over a runtime, and who handles it.

Agents are known by their type. What a program sends from outside any agent comes from the user,
and belongs to one run from the first message until the runtime stops; where the program has a span
of its own current, to that span's trace, until the runtime has nothing left to do.
"""

import inspect
from collections.abc import Iterable
from dataclasses import dataclass, fields, is_dataclass
from typing import Any
from weakref import WeakKeyDictionary

from autogen_core import AgentId, ClosureAgent, RoutedAgent, TopicId
from autogen_core._closure_agent import get_handled_types_from_closure
from opentelemetry import context as otel_context
from opentelemetry.context import Context
from opentelemetry.trace import Link, get_current_span

from agenttrace import payload, semconv
from agenttrace.models import USER, MessageType
from agenttrace_autogen import watching
from agenttrace_autogen.recording import (
    Recorder,
    Run,
    Scope,
    Turn,
    caller,
    current,
    inside,
    nearest,
)

_DELIVERY = otel_context.create_key("agenttrace-autogen-delivery")


@dataclass(slots=True, eq=False)
class RuntimeRun(Run):
    """A runtime at work on what the program asked of it; `on_the_way` messages are unhandled."""

    on_the_way: int = 0
    ends_when_idle: bool = False


@dataclass(slots=True, eq=False)
class Delivery:
    """What a message takes along: who sent it, and its id for each agent type that gets it."""

    sender: str
    turn: Turn | None
    run: RuntimeRun | None
    message_ids: dict[str, str]


class Runtimes:
    """The runs of every runtime of this process."""

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder
        self._runs: WeakKeyDictionary[Any, dict[int, RuntimeRun]] = WeakKeyDictionary()

    def sending(
        self,
        runtime: Any,
        message: Any,
        recipients: Iterable[AgentId],
        sender: AgentId | None,
        published: bool,
    ) -> Context:
        """Record a message as sent; return the context to enqueue it in."""
        scope: Scope = current() or self._run_of(runtime)
        turn = nearest(scope, Turn)
        name = caller(_inside(scope)) if sender is None else sender.type
        type_: MessageType = "broadcast" if published and name != USER else "task"
        heard = [r.type for r in recipients if r != sender and _handles(runtime, r, message)]
        audience = list(dict.fromkeys(heard))
        content = payload.Lazy(lambda: content_of(message))
        ids = {
            recipient: payload.message(
                (turn or scope).span,
                sender=name,
                recipient=recipient,
                content=content,
                type=type_,
                caused_by=turn.received if turn else None,
                audience=audience if len(audience) > 1 else (),
            )
            for recipient in audience
        }
        run = nearest(scope, RuntimeRun)
        if run is not None and scope is run:
            payload.defer(run.span, semconv.AGENTTRACE_INPUT, content)
        delivery = Delivery(name, turn, run, ids)
        return otel_context.set_value(_DELIVERY, delivery, _inside(scope))

    def sent(self, context: Context) -> None:
        """The message is handled, or on its way, or could not be sent."""
        delivery = _delivery(context)
        if delivery is not None and delivery.run is not None:
            self._end_if_idle(delivery.run)

    def begin_message(self, agent: Any, message: Any, is_rpc: bool) -> "AgentTurn | None":
        """An agent is handed a message: its turn, unless it has no handler for it."""
        if not _handled_by(agent, message):
            return None
        delivery = _delivery(otel_context.get_current())
        links: list[Link] = []
        if delivery is not None and delivery.turn is not None and not is_rpc:
            links.append(Link(delivery.turn.span.get_span_context()))
        name = agent.id.type
        role = getattr(agent, "_description", None)
        span = self._recorder.span(
            f"invoke_agent {name}",
            {
                semconv.GEN_AI_OPERATION_NAME: "invoke_agent",
                semconv.GEN_AI_AGENT_NAME: name,
                semconv.GEN_AI_AGENT_ID: str(agent.id),
                semconv.AGENTTRACE_AGENT_ROLE: str(role)[:2000] if role else None,
            },
            links=links,
        )
        payload.defer(span, semconv.AGENTTRACE_INPUT, payload.Lazy(lambda: content_of(message)))
        turn = self._recorder.begin(Turn(span, current(), agent=name, subject=agent))
        turn.received = delivery.message_ids.get(name) if delivery else None
        return AgentTurn(self._recorder, turn, delivery if is_rpc else None)

    def stopped(self, runtime: Any) -> None:
        """The runtime processes no more messages: its runs are over."""
        for run in list(self._runs.get(runtime, {}).values()):
            self._end(run)

    def _run_of(self, runtime: Any) -> RuntimeRun:
        ambient = get_current_span().get_span_context()
        runs = self._runs.setdefault(runtime, {})
        run = runs.get(ambient.trace_id)
        if run is None:
            name = type(runtime).__name__
            attributes = {
                semconv.GEN_AI_OPERATION_NAME: "invoke_workflow",
                semconv.GEN_AI_WORKFLOW_NAME: name,
            }
            span = self._recorder.span(f"invoke_workflow {name}", attributes)
            run = self._recorder.begin(RuntimeRun(span, caller=caller()))
            started = getattr(runtime, "_run_context", None) is not None
            run.ends_when_idle = ambient.is_valid or not started
            runs[ambient.trace_id] = run
        return run

    def _end_if_idle(self, run: RuntimeRun) -> None:
        if run.ends_when_idle and run.on_the_way <= 0:
            self._end(run)

    def _end(self, run: RuntimeRun) -> None:
        for runs in self._runs.values():
            for key in [key for key, value in runs.items() if value is run]:
                del runs[key]
        self._recorder.end(run)


class AgentTurn(watching.Step):
    """One message being handled by one agent; with a `delivery`, its sender waits for an answer."""

    scope: Turn

    def __init__(self, recorder: Recorder, turn: Turn, delivery: Delivery | None) -> None:
        super().__init__(recorder, turn)
        self._delivery = delivery

    def result(self, value: Any) -> None:
        """Record the answer, if there is one and the sender waits for it."""
        turn, delivery = self.scope, self._delivery
        if value is None or delivery is None:
            return
        content = payload.Lazy(lambda: content_of(value))
        payload.defer(turn.span, semconv.AGENTTRACE_OUTPUT, content)
        message_id = payload.message(
            turn.span,
            sender=turn.agent,
            recipient=delivery.sender,
            content=content,
            type="result",
            caused_by=turn.received,
        )
        if delivery.turn is not None:
            delivery.turn.received = message_id
        elif delivery.run is not None:
            payload.defer(delivery.run.span, semconv.AGENTTRACE_OUTPUT, content)


def enqueued(context: Context) -> None:
    """A message sent in this context waits in a runtime's queue."""
    delivery = _delivery(context)
    if delivery is not None and delivery.run is not None:
        delivery.run.on_the_way += 1


def processed(context: Context) -> None:
    """A message sent in this context has been handled by all who got it."""
    delivery = _delivery(context)
    if delivery is not None and delivery.run is not None:
        delivery.run.on_the_way -= 1


async def subscribers(runtime: Any, topic_id: TopicId) -> list[AgentId]:
    """The agents that a message published on a topic goes to."""
    manager = getattr(runtime, "_subscription_manager", None)
    return [] if manager is None else list(await manager.get_subscribed_recipients(topic_id))


def content_of(message: Any) -> Any:
    """What a message says: its only field where that is text, else all of it."""
    if is_dataclass(message) and not isinstance(message, type):
        names = [f.name for f in fields(message)]
    else:
        names = list(getattr(type(message), "model_fields", ()))
    only = getattr(message, names[0], None) if len(names) == 1 else None
    return only if isinstance(only, str) else message


def _inside(scope: Scope) -> Context:
    return otel_context.get_current() if scope is current() else inside(scope)


def _delivery(context: Context) -> Delivery | None:
    value = otel_context.get_value(_DELIVERY, context)
    return value if isinstance(value, Delivery) else None


def _handles(runtime: Any, recipient: AgentId, message: Any) -> bool:
    """Whether an agent has a handler for a message, as far as can be told without creating it."""
    agent = getattr(runtime, "_instantiated_agents", {}).get(recipient)
    if agent is not None:
        return _handled_by(agent, message)
    factory = getattr(runtime, "_agent_factories", {}).get(recipient.type)
    if factory is None:
        return True
    seen = inspect.getclosurevars(factory).nonlocals
    kind = seen.get("expected_class")
    if kind is ClosureAgent:
        made_from = inspect.getclosurevars(seen["agent_factory"]).nonlocals
        closure, policy = made_from.get("closure"), made_from.get("unknown_type_policy")
        if closure is None or policy == "ignore":
            return True
        return type(message) in get_handled_types_from_closure(closure)
    return not isinstance(kind, type) or _class_handles(kind, type(message))


def _handled_by(agent: Any, message: Any) -> bool:
    if isinstance(agent, ClosureAgent):
        # Told to ignore types it does not know, the closure is called with them all the same.
        ignores = agent._unknown_type_policy == "ignore"
        return ignores or type(message) in agent._expected_types
    return _class_handles(type(agent), type(message))


def _class_handles(kind: type, message: type) -> bool:
    if not issubclass(kind, RoutedAgent) or (
        kind.on_message_impl is not RoutedAgent.on_message_impl
        or kind.on_unhandled_message is not RoutedAgent.on_unhandled_message
    ):
        return True
    known = _handled_types.get(kind)
    if known is None:
        handlers = kind._discover_handlers()
        known = _handled_types[kind] = frozenset(t for h in handlers for t in h.target_types)
    return message in known


_handled_types: WeakKeyDictionary[type, frozenset[type]] = WeakKeyDictionary()
