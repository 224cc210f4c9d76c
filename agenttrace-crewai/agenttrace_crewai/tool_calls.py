"""Let a replay answer tools, and record those that a program calls itself, outside any agent.

The tools that agents use send events, from which capture makes their spans. What runs the tool's
own code is wrapped here, inside those.
"""

from collections.abc import Callable
from functools import wraps
from typing import Any
from uuid import uuid4

from crewai.events.event_context import get_current_parent_id
from crewai.tools.base_tool import BaseTool, Tool
from crewai.tools.structured_tool import CrewStructuredTool

from agenttrace import payload, semconv
from agenttrace_crewai import answers
from agenttrace_crewai.recording import Open, Recording

TOOL_SCOPES = ("tool_usage_started", "mcp_tool_execution_started")

_METHODS: tuple[tuple[type, str], ...] = (
    (CrewStructuredTool, "invoke"),
    (BaseTool, "run"),
    (Tool, "run"),
)
_COROUTINES: tuple[tuple[type, str], ...] = (
    (CrewStructuredTool, "ainvoke"),
    (BaseTool, "arun"),
    (Tool, "arun"),
)


class ToolCalls:
    """The wrapped methods by which tools run."""

    def __init__(self, recording: Recording, log: Callable[[str], None]) -> None:
        self._recording = recording
        self._log = log

    def wrap_all(self, replace: Callable[[type, str, Callable[[Any], Any]], None]) -> None:
        """Have `replace` wrap every method that is there."""
        for methods, watch in ((_METHODS, self._watch), (_COROUTINES, self._watch_async)):
            for cls, name in methods:
                if name in vars(cls):
                    replace(cls, name, watch)

    def _watch(self, original: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(original)
        def run(tool: Any, *args: Any, **kwargs: Any) -> Any:
            scope, own = self._scope(tool, args, kwargs)
            if scope is None:
                return original(tool, *args, **kwargs)
            try:
                answer = answers.ask_tool(scope, tool)
                if answer is not None:
                    result = answers.tool_result(answer)
                else:
                    result = original(tool, *args, **kwargs)
            except Exception as error:
                self._ended(scope, own, error)
                raise
            self._returned(scope, own, result)
            return result

        return run

    def _watch_async(self, original: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(original)
        async def run(tool: Any, *args: Any, **kwargs: Any) -> Any:
            scope, own = self._scope(tool, args, kwargs)
            if scope is None:
                return await original(tool, *args, **kwargs)
            try:
                answer = answers.ask_tool(scope, tool)
                if answer is not None:
                    result = answers.tool_result(answer)
                else:
                    result = await original(tool, *args, **kwargs)
            except Exception as error:
                self._ended(scope, own, error)
                raise
            self._returned(scope, own, result)
            return result

        return run

    def _scope(self, tool: Any, args: Any, kwargs: Any) -> tuple[Open | None, bool]:
        """The scope of a tool's call, and whether it is opened here: no agent called the tool."""
        around = self._recording.get(get_current_parent_id())
        if around is None or around.type in TOOL_SCOPES:
            return around, False
        try:
            return self._open(around, tool, kwargs or (list(args) if args else {})), True
        except Exception:  # noqa: BLE001 - recording never breaks the call
            self._log("recording a tool call")
            return None, False

    def _open(self, around: Open, tool: Any, given: Any) -> Open:
        attributes = {
            semconv.GEN_AI_OPERATION_NAME: "execute_tool",
            semconv.GEN_AI_TOOL_NAME: tool.name,
            semconv.AGENTTRACE_FRAMEWORK: "crewai",
        }
        name = f"execute_tool {tool.name}"
        event_id = f"tool-{uuid4()}"
        scope = self._recording.start(
            event_id, "tool_usage_started", tool, around, name, attributes
        )
        scope.held = True
        payload.defer(scope.span, semconv.GEN_AI_TOOL_CALL_ARGUMENTS, given)
        answers.tool_called(scope, tool.name, given, answers.asked_by(around))
        return scope

    def _returned(self, scope: Open, own: bool, result: Any) -> None:
        scope.facts["raw"] = result
        if own:
            payload.defer(scope.span, semconv.GEN_AI_TOOL_CALL_RESULT, result)
            answers.tool_answered(scope, result)
            self._recording.end(scope)

    def _ended(self, scope: Open, own: bool, error: Exception) -> None:
        if own:
            self._recording.end(scope, f"{type(error).__name__}: {error}")
