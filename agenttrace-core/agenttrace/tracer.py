"""Record agents, tools, model calls, messages and checkpoints by hand."""

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar, overload

from opentelemetry.trace import Span, SpanKind, get_current_span
from opentelemetry.util.types import AttributeValue

from agenttrace import payload, semconv
from agenttrace.models import MessageType
from agenttrace.parts import Part
from agenttrace.replayables import CUSTOM, has_custom
from agenttrace.steps import ModelStep, begin

log = logging.getLogger("agenttrace.tracer")

NOT_REPLAYABLE = (
    "Nothing knows how to resume it: register a function that takes the state, "
    "agenttrace.replayable(name, function)"
)

F = TypeVar("F", bound=Callable[..., Any])
Attributes = Mapping[str, AttributeValue]


class AgentTracer:
    """Records what a program's own agents do.

        tracer = agenttrace.AgentTracer("support")

        @tracer.agent(role="writes the answer")
        async def writer(question): ...

    `agent`, `tool`, `workflow` and `llm` decorate functions of every kind (sync, async, generators,
    methods, static and class methods) and classes, and can be used in a `with` statement, which
    gives a `Step`. Nothing is recorded before `agenttrace.instrument()`. Nothing here ever raises
    into the program, and the program's results and exceptions are its own, unchanged.

    A decorated class is changed in place: each of its methods named like an entry point (`run`,
    `invoke`, `__call__` and their like: `agenttrace.parts.ENTRY_POINTS`) is recorded under the
    instance's `name` attribute, else the class's name; one calling another is one step.
    """

    def __init__(self, name: str) -> None:
        self.name = name

    @overload
    def agent(self, target: F, /) -> F: ...
    @overload
    def agent(
        self,
        target: str | None = None,
        /,
        *,
        name: str | None = None,
        role: str | None = None,
        attributes: Attributes | None = None,
    ) -> Part: ...

    def agent(
        self,
        target: Any = None,
        /,
        *,
        name: str | None = None,
        role: str | None = None,
        attributes: Attributes | None = None,
    ) -> Any:
        """Record an agent's turn: `@tracer.agent`, `@tracer.agent(name=…)`, `with tracer.agent(…)`.

        `name` is by default the function's; `role` is what the agent is for.
        """
        given = {semconv.AGENTTRACE_AGENT_ROLE: role, **(attributes or {})}
        part = Part(self.name, "invoke_agent", name, semconv.GEN_AI_AGENT_NAME, given)
        return _applied(part, target)

    @overload
    def workflow(self, target: F, /) -> F: ...
    @overload
    def workflow(
        self,
        target: str | None = None,
        /,
        *,
        name: str | None = None,
        attributes: Attributes | None = None,
    ) -> Part: ...

    def workflow(
        self,
        target: Any = None,
        /,
        *,
        name: str | None = None,
        attributes: Attributes | None = None,
    ) -> Any:
        """Record a whole run of several agents, so that they are in one trace."""
        part = Part(self.name, "invoke_workflow", name, semconv.GEN_AI_WORKFLOW_NAME, attributes)
        return _applied(part, target)

    @overload
    def tool(self, target: F, /) -> F: ...
    @overload
    def tool(
        self,
        target: str | None = None,
        /,
        *,
        name: str | None = None,
        attributes: Attributes | None = None,
    ) -> Part: ...

    def tool(
        self,
        target: Any = None,
        /,
        *,
        name: str | None = None,
        attributes: Attributes | None = None,
    ) -> Any:
        """Record a tool's call with its arguments and result."""
        part = Part(
            self.name,
            "execute_tool",
            name,
            semconv.GEN_AI_TOOL_NAME,
            {"gen_ai.tool.type": "function", **(attributes or {})},
            input_key=semconv.GEN_AI_TOOL_CALL_ARGUMENTS,
            output_key=semconv.GEN_AI_TOOL_CALL_RESULT,
        )
        return _applied(part, target)

    def llm(
        self, model: str, *, provider: str | None = None, attributes: Attributes | None = None
    ) -> Part:
        """Record a call of a language model that no instrumentation sees.

            with tracer.llm("gpt-4o", provider="openai") as call:
                call.input(messages)
                call.output(client.chat.completions.create(model="gpt-4o", messages=messages))

        Tokens are read from responses that carry their usage; else call `call.tokens(812, 64)`.
        """
        return Part(
            self.name,
            "chat",
            model,
            semconv.GEN_AI_REQUEST_MODEL,
            {semconv.GEN_AI_PROVIDER_NAME: provider, **(attributes or {})},
            kind=SpanKind.CLIENT,
            step=ModelStep,
        )

    def message(
        self,
        sender: str,
        recipient: str,
        content: Any,
        type: MessageType = "task",
        *,
        caused_by: str | None = None,
        audience: Sequence[str] = (),
    ) -> str:
        """Record that one agent said something to another; return the message's id.

        `caused_by` is the id of the message that led to this one, `audience` everyone who received
        it where that is more than `recipient`. Outside every span it becomes a span of its own.
        """
        message_id = payload.new_id()
        self._on_current_span(
            f"message {sender} → {recipient}",
            lambda span: payload.message(
                span,
                sender=str(sender),
                recipient=str(recipient),
                content=content,
                type=type,
                caused_by=caused_by,
                audience=audience,
                message_id=message_id,
            ),
        )
        return message_id

    def checkpoint(
        self,
        label: str,
        state: Any = None,
        *,
        input: Any = None,
        config: Any = None,
        why_not: str | None = NOT_REPLAYABLE,
    ) -> str:
        """Record the program's state at this moment; return the checkpoint's id.

        It can be resumed where `agenttrace.replayable(name, function)` has said by what function,
        which takes the state. `why_not` says why not, or with None that it can in any case.
        """
        checkpoint_id = payload.new_id()
        if why_not == NOT_REPLAYABLE and has_custom():
            why_not = None
        self._on_current_span(
            f"checkpoint {label}",
            lambda span: payload.checkpoint(
                span,
                checkpoint_id=checkpoint_id,
                label=str(label),
                state=state,
                input=input,
                config=config,
                why_not=why_not,
                framework=CUSTOM,
            ),
        )
        return checkpoint_id

    def _on_current_span(self, name: str, record: Callable[[Span], object]) -> None:
        try:
            current = get_current_span()
            if current.is_recording():
                record(current)
            elif (step := begin(name, {}, tracer=self.name)) is not None:
                record(step.span)
                step.end()
        except Exception:  # recording must not break the program
            log.exception("%r could not be recorded", name)


def _applied(part: Part, target: Any) -> Any:
    if isinstance(target, str):
        part.name = target
        return part
    return part if target is None else part(target)
