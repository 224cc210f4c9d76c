"""Record CrewAI runs from the one place every event passes through, on the thread that emits it.

`CrewAIEventsBus._prepare_event` is wrapped because handlers registered on the bus run on other
threads, unordered, and cannot make a span the current one. Event ids pair starts with ends exactly.
"""

import logging
from collections.abc import Callable
from functools import wraps
from typing import Any

from agenttrace import payload, sdk, semconv
from agenttrace_crewai import checkpoints, conversation
from agenttrace_crewai.events import called_over_mcp, describe, failure, outcome, usage
from agenttrace_crewai.recording import Open, Recording

log = logging.getLogger("agenttrace.crewai")

_RESULT_KEYS = {
    "execute_tool": semconv.GEN_AI_TOOL_CALL_RESULT,
    "chat": semconv.GEN_AI_OUTPUT_MESSAGES,
}
TOOLS = ("tool_usage_started", "mcp_tool_execution_started")

# A memory is written in a thread that outlasts the turn that gave it something to remember.
_BACKGROUND = ("memory_save_started",)

_INPUT_KEYS = {
    "execute_tool": semconv.GEN_AI_TOOL_CALL_ARGUMENTS,
    "chat": semconv.GEN_AI_INPUT_MESSAGES,
}


class CrewAIInstrumentor:
    """Captures crews, flows and single agents of this process."""

    framework = "crewai"
    module = "crewai"

    def __init__(self) -> None:
        self._undo: list[Callable[[], None]] = []
        self._complained: set[str] = set()
        self.recording: Recording | None = None

    def instrument(self) -> None:
        """Start capturing. A second call does nothing."""
        if self._undo:
            return
        from crewai.crew import Crew
        from crewai.events.event_bus import CrewAIEventsBus
        from crewai.events.event_context import SCOPE_STARTING_EVENTS, VALID_EVENT_PAIRS
        from crewai.flow.runtime import Flow

        from agenttrace_crewai.consulting import Consulting
        from agenttrace_crewai.llm_calls import ModelCalls
        from agenttrace_crewai.tool_calls import ToolCalls

        self.recording = Recording(sdk.tracer("agenttrace.crewai"))
        self._starts, self._pairs = SCOPE_STARTING_EVENTS, VALID_EVENT_PAIRS
        self._models = ModelCalls(self.recording, self._complain)
        self._models.wrap_all()
        self._undo.append(self._models.unwrap_all)
        self._replace(CrewAIEventsBus, "_prepare_event", self._watch_events)
        for cls, name in (
            (Crew, "kickoff"),
            (Crew, "akickoff"),
            (Flow, "kickoff_async"),
        ):
            watch = self._watch_cancel if name == "kickoff" else self._watch_cancel_async
            self._replace(cls, name, watch)
        ToolCalls(self.recording, self._complain).wrap_all(self._replace)
        Consulting(self.recording, self._complain).wrap_all(self._replace)

    def uninstrument(self) -> None:
        """Leave CrewAI exactly as it was. Does nothing if not capturing."""
        while self._undo:
            self._undo.pop()()
        if self.recording is not None:
            self.recording.clear()
            self.recording = None

    def _replace(self, cls: type, name: str, watch: Callable[[Any], Any]) -> None:
        original = cls.__dict__[name]
        static = isinstance(original, staticmethod)
        wrapped = watch(original.__func__ if static else original)
        setattr(cls, name, staticmethod(wrapped) if static else wrapped)
        self._undo.append(lambda: setattr(cls, name, original))

    def _complain(self, doing: str) -> None:
        if doing not in self._complained:
            self._complained.add(doing)
            log.exception("AgentTrace failed while %s; the run goes on", doing)

    def _watch_events(self, original: Callable[..., None]) -> Callable[..., None]:
        @wraps(original)
        def prepare_event(bus: Any, source: Any, event: Any) -> None:
            original(bus, source, event)
            try:
                self._on_event(source, event)
            except Exception:  # noqa: BLE001 - recording never breaks the run
                self._complain(f"recording {getattr(event, 'type', event)}")

        return prepare_event

    def _watch_cancel(self, original: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(original)
        def kickoff(runner: Any, *args: Any, **kwargs: Any) -> Any:
            try:
                return original(runner, *args, **kwargs)
            except BaseException:
                self._abandon(runner)
                raise

        return kickoff

    def _watch_cancel_async(self, original: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(original)
        async def kickoff(runner: Any, *args: Any, **kwargs: Any) -> Any:
            try:
                return await original(runner, *args, **kwargs)
            except BaseException:
                self._abandon(runner)
                raise

        return kickoff

    def _abandon(self, runner: Any) -> None:
        if self.recording is not None:
            self.recording.abandon(runner)

    def _on_event(self, source: Any, event: Any) -> None:
        if self.recording is None:
            return
        if event.type in self._starts:
            self._on_start(self.recording, source, event)
        elif event.type in self._pairs:
            self._on_end(self.recording, source, event)
        else:
            self._on_note(self.recording, event)

    def _on_start(self, recording: Recording, source: Any, event: Any) -> None:
        parent = recording.get(event.parent_event_id)
        if parent is not None and _is_crewais_own(source, event, parent):
            recording.fold(event.event_id, event.type, source, parent)
            return
        if event.type == "mcp_tool_execution_started" and parent and parent.type in TOOLS:
            parent.span.set_attributes(called_over_mcp(event))
            recording.fold(event.event_id, event.type, source, parent)
            return
        if event.type == "llm_call_started":
            from agenttrace_crewai.llm_calls import current_call

            if (call := current_call()) is not None:
                call.facts["claimed"] = True
                recording.alias(event.event_id, call)
                return
        if event.type == "memory_query_started":
            from agenttrace_crewai.consultations import current_recall

            if (look := current_recall()) is not None:
                look.facts["claimed"] = True
                recording.alias(event.event_id, look)
                return
        if event.type in ("crew_kickoff_started", "flow_started", "lite_agent_execution_started"):
            self._models.wrap_all()
        name, attributes, given = describe(event, source)
        agent = attributes.get(semconv.GEN_AI_AGENT_NAME)
        scope = recording.start(
            event.event_id,
            event.type,
            source,
            parent,
            name,
            attributes,
            agent=agent,
            background=event.type in _BACKGROUND,
        )
        if given is not None:
            operation = attributes.get(semconv.GEN_AI_OPERATION_NAME, "")
            payload.defer(scope.span, _INPUT_KEYS.get(operation, semconv.AGENTTRACE_INPUT), given)
        self._converse_start(scope, event)

    def _converse_start(self, scope: Open, event: Any) -> None:
        if event.type == "crew_kickoff_started":
            scope.facts.update(name=event.crew_name, inputs=event.inputs)
            conversation.restore(scope)
        elif event.type == "flow_started":
            scope.facts["name"] = event.flow_name
            checkpoints.restore(scope)
            conversation.restore(scope)
        elif event.type == "task_started":
            scope.facts.update(task=event.task, context=event.context)
            checkpoints.of_task(scope, event.event_id, "before")
            checkpoints.begins(scope)
        elif event.type in TOOLS:
            delegates = conversation.is_delegation(event.tool_name, event.tool_args)
            scope.facts.update(arguments=event.tool_args, delegates=delegates)
            from agenttrace_crewai import answers

            who = answers.asked_by(scope.parent, getattr(event, "from_agent", None))
            answers.tool_called(scope, event.tool_name, event.tool_args, who)
        elif event.type == "agent_execution_started":
            conversation.agent_starts(scope, event.task_prompt)
        elif event.type == "lite_agent_execution_started":
            conversation.agent_starts(scope, _last_content(event.messages))
        elif event.type == "method_execution_started":
            checkpoints.of_method(scope, event)
            checkpoints.begins(scope)

    def _on_end(self, recording: Recording, source: Any, event: Any) -> None:
        started = self._pairs[event.type]
        scope = recording.get(event.started_event_id)
        if scope is None or (scope.type != started and event.type not in scope.facts):
            scope = recording.find(started, source)
        if scope is None:
            return
        given = outcome(event)
        self._converse_end(scope, event, given)
        if event.type == "llm_call_completed":
            scope.facts.update(answered=True, shown=given)
            scope.span.set_attributes(usage(event.usage))
            if event.finish_reason:
                reasons = [event.finish_reason]
                scope.span.set_attribute(semconv.GEN_AI_RESPONSE_FINISH_REASONS, reasons)
        if given is not None and not scope.folded:
            operation = getattr(scope.span, "attributes", {}).get(semconv.GEN_AI_OPERATION_NAME, "")
            payload.defer(scope.span, _RESULT_KEYS.get(operation, semconv.AGENTTRACE_OUTPUT), given)
            if scope.type in TOOLS:
                from agenttrace_crewai import answers

                answers.tool_answered(scope, given)
        if not scope.held:
            recording.end(scope, failure(event))

    def _converse_end(self, scope: Open, event: Any, given: Any) -> None:
        if scope.folded:
            return
        checkpoints.ends(scope)
        if event.type in ("agent_execution_completed", "lite_agent_execution_completed"):
            conversation.agent_ends(scope, given)
        elif event.type == "task_completed":
            conversation.task_ends(scope, event.output)
            checkpoints.of_task(scope, event.event_id, "after")
        elif event.type == "crew_kickoff_completed":
            conversation.crew_ends(scope, event.output)
        elif event.type == "flow_finished":
            conversation.flow_ends(scope, event.result)
        elif event.type == "method_execution_finished":
            flow = scope.nearest("flow_started")
            if flow is not None:
                done = event.method_name, getattr(event, "result", None)
                flow.facts.setdefault("methods", []).append(done)

    def _on_note(self, recording: Recording, event: Any) -> None:
        scope = recording.get(event.parent_event_id)
        if scope is None:
            return
        if event.type.startswith("human_feedback_") and scope.facts.get("asking"):
            return  # whoever asks has said so
        if event.type in ("human_feedback_requested", "flow_input_requested"):
            shown = getattr(event, "output", None)
            asked = event.message if shown is None else f"{event.message}\n\n{shown}"
            conversation.person_asked(scope, asked)
        elif event.type == "human_feedback_received":
            conversation.person_answered(scope, event.feedback)
        elif event.type == "flow_input_received":
            conversation.person_answered(scope, event.response or "")
        elif event.type in ("a2a_message_sent", "a2a_response_received"):
            conversation.remote(scope, event)
        elif event.type in ("tool_validate_input_error", "tool_selection_error"):
            scope.span.add_event(event.type, {"error": str(event.error)[:2000]})
        elif event.type == "tool_failure_detected":
            scope.span.add_event(event.type, {"failure": str(event.failure)[:2000]})


def _is_crewais_own(source: Any, event: Any, parent: Open) -> bool:
    """Whether this is a flow that CrewAI runs an agent's loop or a memory as: no step of the app's.

    CrewAI's own classes of flows are in these modules; an app's are not.
    """
    if event.type == "flow_started":
        own = type(source).__module__.startswith(("crewai.agents.", "crewai.memory."))
        return own or getattr(event, "flow_name", "") == "AgentExecutor"
    return event.type == "method_execution_started" and parent.folded


def _last_content(messages: Any) -> Any:
    if isinstance(messages, list) and messages and isinstance(messages[-1], dict):
        return messages[-1].get("content")
    return messages


INSTRUMENTOR = CrewAIInstrumentor()
