"""Answer model and tool calls from the record of the run that a replay repeats.

These wrappers lie inside those of capture, so that an answered call has its span like any other.
Outside a replay they cost one look into the context.
"""

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import suppress
from typing import Any

import msgspec
from autogen_core import FunctionCall
from autogen_core.code_executor import CodeResult
from autogen_core.models import CreateResult, FunctionExecutionResult
from autogen_core.tools import FunctionTool, TextResultContent, ToolResult
from opentelemetry.trace import get_current_span
from pydantic import PydanticUserError, TypeAdapter, ValidationError
from pydantic_core import PydanticSerializationError

from agenttrace import replay
from agenttrace.errors import ReplayError
from agenttrace.models import USER
from agenttrace.replay import Answer, Replay
from agenttrace_autogen import requests
from agenttrace_autogen.recording import Call, Run, Turn, caller, current

Original = Callable[..., Any]

_ASKED = "asked"
"""Among a call's facts: the replay has already said that it runs live."""


class RecordedError(RuntimeError):
    """What a model or a tool raised in the run that is replayed."""


def model_call(original: Original) -> Original:
    """Wrap `create`: answered from the record, or run."""

    async def create(client: Any, messages: Any, *args: Any, **options: Any) -> Any:
        answer = _ask_model(client, messages, options)
        if answer is None:
            return await original(client, messages, *args, **options)
        return _create_result(answer)

    return create


def model_stream(original: Original) -> Original:
    """Wrap `create_stream`: an answer comes as one piece, and then as the result."""

    async def create_stream(
        client: Any, messages: Any, *args: Any, **options: Any
    ) -> AsyncIterator[Any]:
        answer = _ask_model(client, messages, options)
        if answer is None:
            async for item in original(client, messages, *args, **options):
                yield item
            return
        result = _create_result(answer)
        if isinstance(result.content, str):
            yield result.content
        yield result

    return create_stream


def tool_call(original: Original) -> Original:
    """Wrap `run_json` of a tool."""

    async def run_json(tool: Any, args: Any, *rest: Any, **options: Any) -> Any:
        answer = _ask_tool(tool.name, args, tool)
        if answer is None:
            return await original(tool, args, *rest, **options)
        return _value(answer, tool)

    return run_json


def tool_stream(original: Original) -> Original:
    """Wrap `run_json_stream` of a tool: only its result is answered."""

    async def run_json_stream(
        tool: Any, args: Any, *rest: Any, **options: Any
    ) -> AsyncIterator[Any]:
        answer = _ask_tool(tool.name, args, tool)
        if answer is None:
            async for item in original(tool, args, *rest, **options):
                yield item
            return
        yield _value(answer, tool)

    return run_json_stream


def workbench_call(original: Original) -> Original:
    """Wrap `call_tool` of a workbench."""

    async def call_tool(
        workbench: Any, name: str, arguments: Any = None, *rest: Any, **options: Any
    ) -> Any:
        answer = _ask_tool(name, arguments, _tool_of(workbench, name))
        if answer is None:
            return await original(workbench, name, arguments, *rest, **options)
        return _tool_result(answer, name)

    return call_tool


def workbench_stream(original: Original) -> Original:
    """Wrap `call_tool_stream` of a workbench."""

    async def call_tool_stream(
        workbench: Any, name: str, arguments: Any = None, *rest: Any, **options: Any
    ) -> AsyncIterator[Any]:
        answer = _ask_tool(name, arguments, _tool_of(workbench, name))
        if answer is None:
            async for item in original(workbench, name, arguments, *rest, **options):
                yield item
            return
        yield _tool_result(answer, name)

    return call_tool_stream


def code_execution(original: Original) -> Original:
    """Wrap `execute_code_blocks` of a code executor."""

    async def execute_code_blocks(executor: Any, code: Any, *rest: Any, **options: Any) -> Any:
        answer = _ask_tool(requests.EXECUTE_CODE, requests.of_code(code))
        if answer is None:
            return await original(executor, code, *rest, **options)
        return _code_result(answer)

    return execute_code_blocks


def question(original: Original) -> Original:
    """Wrap `_get_input` of a user proxy: in a replay only the record answers."""

    async def get_input(agent: Any, prompt: str, *rest: Any, **options: Any) -> Any:
        found = replay.current()
        if found is None:
            return await original(agent, prompt, *rest, **options)
        answer = found.person(who(), requests.of_question(agent, prompt))
        _note(found, answer)
        _raise(answer)
        return answer.output

    return get_input


def who() -> str:
    """The agent at work, as it is written on calls; empty where nobody is."""
    name = caller()
    return "" if name == USER else name


def _ask_model(client: Any, messages: Any, options: Mapping[str, Any]) -> Answer | None:
    found = replay.current()
    if found is None or _already_asked():
        return None
    request = requests.of_model(messages, options)
    answer = found.llm(who(), requests.model_of(client) or "", request)
    _note(found, answer)
    return answer


def _ask_tool(name: str, arguments: Any, tool: Any = None) -> Answer | None:
    found = replay.current()
    if found is None or _runs_agents(tool) or _within_live_tool():
        return None
    ask = found.steering if _hands_off(tool) else found.tool
    answer = ask(who(), name, requests.of_tool(arguments))
    _note(found, answer)
    return answer


def _note(found: Replay, answer: Answer | None) -> None:
    scope = current()
    if isinstance(scope, Call):
        scope.facts[_ASKED] = True
        found.stamp(scope.span, "live" if answer is None else "recorded")
    else:
        found.stamp(get_current_span(), "live" if answer is None else "recorded")


def _already_asked() -> bool:
    """Whether a client that calls another one (a cache, an adapter) has been told to run."""
    scope = current()
    return isinstance(scope, Call) and bool(scope.facts.get(_ASKED))


def _within_live_tool() -> bool:
    """Whether a tool that runs live calls another one: then that is part of what it does."""
    scope = current()
    for each in scope.enclosing() if scope is not None else ():
        if isinstance(each, (Turn, Run)):
            return False
        if isinstance(each, Call) and each.layer and each.facts.get(_ASKED):
            return True
    return False


def _runs_agents(tool: Any) -> bool:
    """Whether a tool is an agent or a team, whose own calls are asked for one by one."""
    return hasattr(tool, "_task_runner")


def _hands_off(tool: Any) -> bool:
    """Whether a tool does nothing but say who goes on."""
    made_by = getattr(getattr(tool, "_func", None), "__module__", "")
    return isinstance(tool, FunctionTool) and made_by == "autogen_agentchat.base._handoff"


def _tool_of(workbench: Any, name: str) -> Any:
    names = getattr(workbench, "_override_name_to_original", {})
    tools = getattr(workbench, "_tools", ())
    return next((tool for tool in tools if tool.name == names.get(name, name)), None)


def _raise(answer: Answer) -> None:
    if answer.error is not None:
        raise RecordedError(answer.error)


def _create_result(answer: Answer) -> CreateResult:
    _raise(answer)
    try:
        result = CreateResult.model_validate_json(answer.output)
    except ValidationError as error:
        raise ReplayError(
            f"The recorded answer of model {answer.name!r} (span {answer.span_id}) is none that "
            "AutoGen can read; replay with --live"
        ) from error
    if isinstance(result.content, list):
        result.content = [
            call if isinstance(call, FunctionCall) else FunctionCall(**call)
            for call in result.content
        ]
    return result


def _tool_result(answer: Answer, name: str) -> ToolResult:
    _raise(answer)
    with suppress(ValidationError):
        return ToolResult.model_validate_json(answer.output)
    return ToolResult(name=name, result=[TextResultContent(content=answer.output)])


def _code_result(answer: Answer) -> CodeResult:
    _raise(answer)
    try:
        return msgspec.json.decode(answer.output, type=CodeResult)
    except msgspec.MsgspecError:
        return CodeResult(exit_code=0, output=answer.output)


def _value(answer: Answer, tool: Any) -> Any:
    """What a tool that is called directly returned, in its own type where its text tells that."""
    _raise(answer)
    text = answer.output
    with suppress(ValidationError):
        # Recorded further out than it is asked for now: an agent's handoff, say.
        text = ToolResult.model_validate_json(answer.output).to_text()
    kind = tool.return_type()
    if kind is str:
        return text
    adapter: TypeAdapter[Any] = TypeAdapter(kind)
    with suppress(ValidationError):
        return adapter.validate_json(text)
    with suppress(ValidationError):
        return adapter.validate_python(text)
    return text


def exact(result: Any, tool: Any) -> str | None:
    """Return a tool's result in the form that brings it back, None if its text does."""
    if isinstance(result, ToolResult):
        return result.model_dump_json()
    if isinstance(result, FunctionExecutionResult):
        text = TextResultContent(content=result.content)
        as_result = ToolResult(name=result.name, result=[text], is_error=bool(result.is_error))
        return as_result.model_dump_json()
    if isinstance(result, CodeResult):
        return msgspec.json.encode(CodeResult(result.exit_code, result.output)).decode()
    if tool is None or isinstance(result, str):
        return None
    try:
        return TypeAdapter(tool.return_type()).dump_json(result).decode()
    except (PydanticUserError, PydanticSerializationError):
        return None
