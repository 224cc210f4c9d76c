"""Record tool executions, wherever they are first seen: the agent, its workbench, the tool."""

import asyncio
import copy
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from autogen_core.code_executor import CodeExecutor, CodeResult
from autogen_core.tools import BaseTool, FunctionTool, ToolResult, Workbench
from opentelemetry import context as otel_context

from agenttrace import payload, semconv
from agenttrace_autogen import answers, requests, watching
from agenttrace_autogen.patches import Patches, Watch
from agenttrace_autogen.recording import Call, Recorder, current, fail, failed, is_control_flow

AGENT, WORKBENCH, TOOL = 1, 2, 3


def install(patches: Patches, recorder: Recorder) -> None:
    """Watch every tool, workbench and code executor class there is and will be."""

    def by_tool(tool: Any, args: Any = None, *_: Any, call_id: Any = None, **__: Any) -> Any:
        return ToolCall.begin(recorder, TOOL, tool.name, args, call_id, tool)

    def by_workbench(
        _: Any, name: str, arguments: Any = None, *__: Any, call_id: Any = None, **___: Any
    ) -> Any:
        return ToolCall.begin(recorder, WORKBENCH, name, arguments, call_id)

    def by_executor(_: Any, code_blocks: Any = (), *__: Any, **___: Any) -> Any:
        given = requests.of_code(code_blocks)
        return ToolCall.begin(recorder, TOOL, requests.EXECUTE_CODE, given, None)

    def watch(wrap: Any, begin: Any, answered: Any) -> Watch:
        return lambda original: wrap(recorder, begin)(answered(original))

    coroutine, generator = watching.coroutine, watching.generator
    patches.cover(
        BaseTool,
        {
            "run_json": watch(coroutine, by_tool, answers.tool_call),
            "run_json_stream": watch(generator, by_tool, answers.tool_stream),
        },
    )
    patches.cover(
        Workbench,
        {
            "call_tool": watch(coroutine, by_workbench, answers.workbench_call),
            "call_tool_stream": watch(generator, by_workbench, answers.workbench_stream),
        },
    )
    patches.cover(
        CodeExecutor,
        {"execute_code_blocks": watch(coroutine, by_executor, answers.code_execution)},
    )
    patches.replace(FunctionTool, "run", _in_the_callers_context)


def _in_the_callers_context(original: Callable[..., Any]) -> Callable[..., Any]:
    """Let what a plain function records belong to its call: AutoGen runs it in a thread.

    Only OpenTelemetry's context goes there; of others the function sees as little as without us.
    """

    async def run(tool: Any, *args: Any, **options: Any) -> Any:
        function = getattr(tool, "_func", None)
        if callable(function) and not asyncio.iscoroutinefunction(function):
            # A copy, because several calls may be under way.
            tool = copy.copy(tool)
            tool._func = partial(_inside, otel_context.get_current(), function)
        return await original(tool, *args, **options)

    return run


def _inside(context: otel_context.Context, function: Callable[..., Any], **given: Any) -> Any:
    token = otel_context.attach(context)
    try:
        return function(**given)
    finally:
        otel_context.detach(token)


def install_for_agents(patches: Patches, recorder: Recorder, assistant: type, coder: type) -> None:
    """Watch the tool calls of an `AssistantAgent`, those of tools it does not have as well.

    And those of a `CodeExecutorAgent`, with the approval it may have to ask a person for.
    """

    def by_coder(_: Any, code_blocks: Any = (), *__: Any, **___: Any) -> Any:
        given = requests.of_code(code_blocks)
        return ToolCall.begin(recorder, WORKBENCH, requests.EXECUTE_CODE, given, None)

    def executes(original: Any) -> Any:
        return watching.coroutine(recorder, by_coder)(answers.code_execution(original))

    patches.cover(coder, {"execute_code_block": executes})

    def by_agent(tool_call: Any, **_: Any) -> Any:
        return ToolCall.begin(recorder, AGENT, tool_call.name, tool_call.arguments, tool_call.id)

    patches.replace(assistant, "_execute_tool_call", watching.coroutine(recorder, by_agent))


class ToolCall(watching.Step):
    """One execution of one tool."""

    scope: Call

    def __init__(self, recorder: Recorder, call: Call, owner: bool) -> None:
        super().__init__(recorder, call)
        self.owns = owner
        self._last: Any = None

    @classmethod
    def begin(
        cls,
        recorder: Recorder,
        layer: int,
        name: str,
        arguments: Any,
        call_id: str | None,
        tool: Any = None,
    ) -> "ToolCall":
        """Start the span, or go on with the one that a layer further out has started."""
        outer = current()
        description = getattr(tool, "description", None)
        if isinstance(outer, Call) and outer.layer and outer.name == name:
            known = outer.facts.setdefault("tool", tool)
            if layer > outer.layer or (tool is not None and known is tool):
                outer.layer = layer
                _describe(outer, call_id, description)
                return cls(recorder, outer, owner=False)
        span = recorder.span(
            f"execute_tool {name}",
            {
                semconv.GEN_AI_OPERATION_NAME: "execute_tool",
                semconv.GEN_AI_TOOL_NAME: name,
                semconv.GEN_AI_TOOL_CALL_ID: call_id,
                "gen_ai.tool.description": description or None,
            },
        )
        if arguments is not None:
            given = dict(arguments) if isinstance(arguments, Mapping) else arguments
            payload.defer(span, semconv.GEN_AI_TOOL_CALL_ARGUMENTS, given)
        payload.called(span, requests.of_tool(arguments), agent=answers.who())
        facts = {} if tool is None else {"tool": tool}
        call = recorder.begin(Call(span, outer, name=name, layer=layer, facts=facts))
        return cls(recorder, call, owner=True)

    def item(self, value: Any) -> None:
        """A streaming tool's last item is its result."""
        self._last = value

    def result(self, value: Any) -> None:
        """Other tools return it."""
        self._last = value

    def ended(self, error: BaseException | None) -> None:
        """Note the result. What the tool itself raised, outer layers turn into an answer."""
        if error is None:
            if self.owns:
                self._answer(self._last)
        elif not is_control_flow(error) and not self.scope.facts.get("failed"):
            self.scope.facts["failed"] = True
            failed(self.scope.span, error)
        if self.owns:
            self.recorder.end(self.scope)

    def _answer(self, result: Any) -> None:
        if isinstance(result, tuple) and len(result) == 2:
            result = result[1]  # an agent's (call, execution result)
        if isinstance(result, ToolResult):
            answer: Any = payload.Lazy(result.to_text)
        elif hasattr(result, "call_id") and hasattr(result, "content"):
            answer = result.content
        elif isinstance(result, CodeResult):
            # The agent that asked for it goes on to write into it.
            result = CodeResult(result.exit_code, result.output)
            answer = result.output
            if result.exit_code:
                fail(self.scope.span, "code_error", f"exit code {result.exit_code}")
        else:
            answer = result
        if getattr(result, "is_error", False) and not self.scope.facts.get("failed"):
            fail(self.scope.span, "tool_error", _error_text(result))
        payload.defer(self.scope.span, semconv.GEN_AI_TOOL_CALL_RESULT, answer)
        tool = self.scope.facts.get("tool")
        payload.answered(self.scope.span, answer, lambda: answers.exact(result, tool))


def _error_text(result: Any) -> str:
    text = result.to_text() if isinstance(result, ToolResult) else str(result.content)
    return str(text)[:500]


def _describe(call: Call, call_id: str | None, description: str | None) -> None:
    if description:
        call.span.set_attribute("gen_ai.tool.description", description)
    if call_id:
        call.span.set_attribute(semconv.GEN_AI_TOOL_CALL_ID, call_id)
