"""Answer model and tool calls from the record of the run that a replay repeats."""

import json
from collections.abc import Mapping
from dataclasses import asdict, is_dataclass
from typing import Any, cast

import msgspec
from crewai.tools.agent_tools.base_agent_tools import BaseAgentTool
from pydantic import BaseModel

from agenttrace import payload, replay
from agenttrace.errors import ReplayError
from agenttrace.replay import Answer
from agenttrace_crewai.events import role_of
from agenttrace_crewai.recording import Open

_RAW = "crewai.result"


class RecordedError(RuntimeError):
    """What a model or a tool raised in the run that is replayed."""


def asked_by(parent: Open | None, agent: Any = None) -> str:
    """Who makes a call: the agent that CrewAI names, else the one at work around it."""
    if agent is not None and getattr(agent, "role", None):
        return role_of(agent)
    return (parent.agent if parent is not None else None) or ""


def request(messages: Any, args: tuple[Any, ...], options: Mapping[str, Any]) -> Any:
    """Return all that a model's answer depends on."""
    tools = args[0] if args else options.get("tools")
    form = options.get("response_model")
    return {
        "messages": [
            {key: value for key, value in each.items() if key not in _NOT_ASKED}
            if isinstance(each, Mapping)
            else each
            for each in (messages if isinstance(messages, list) else [messages])
        ],
        "tools": tools or [],
        "form": getattr(form, "__qualname__", form),
    }


# What CrewAI notes on a message for itself; object ids and cache marks differ from run to run.
_NOT_ASKED = frozenset({"raw_tool_call_parts", "cache_breakpoint"})


def ask_model(model: str, who: str, asked: Any, scope: Open | None) -> Answer | None:
    """Return the recorded answer to a model call, None if it runs live or nothing is replayed."""
    found = replay.current()
    if found is None:
        return None
    answer = found.llm(who, model, asked)
    if scope is not None:
        found.stamp(scope.span, "live" if answer is None else "recorded")
    return answer


def reply(answer: Answer, options: Mapping[str, Any]) -> Any:
    """Return what the model returned: text, tool calls, or an object of the form asked for."""
    _raise(answer)
    found = _decoded(answer.output)
    if found is None:
        return answer.output
    kind, value = found
    form = options.get("response_model")
    if kind == "model" and isinstance(form, type) and issubclass(form, BaseModel):
        return form.model_validate(value)
    if kind == "model":
        raise ReplayError(
            f"The recorded answer of model {answer.name!r} (span {answer.span_id}) is an object of "
            "a class that is not asked for any more; replay with --live"
        )
    return value


def exact_reply(value: Any, shown: Any) -> str | None:
    """Return a model's answer in a form that brings it back, None where `shown` as text does."""
    if isinstance(value, str):
        return None if value == shown else _encoded("value", value)
    if isinstance(value, BaseModel):
        return _encoded("model", value.model_dump(mode="json"))
    if isinstance(value, list):
        return _encoded("calls", [_call(each) for each in value])
    return _encoded("value", value)


def _call(call: Any) -> Any:
    """A tool call as a dict, in the one shape of all providers' that CrewAI reads from dicts."""
    from crewai.utilities.agent_utils import extract_tool_call_info

    found = extract_tool_call_info(call)
    if found is None:
        return call
    call_id, name, arguments = found
    text = arguments if isinstance(arguments, str) else json.dumps(arguments, default=str)
    return {"id": call_id, "type": "function", "function": {"name": name, "arguments": text}}


def ask_tool(scope: Open, tool: Any) -> Answer | None:
    """Return the recorded answer to a tool call, None if it runs live or nothing is replayed."""
    found = replay.current()
    if found is None or scope.facts.get("asked") or runs_agents(tool):
        return None
    # CrewAI tries a tool that fails again within one call.
    if (answer := scope.facts.get("answer")) is not None:
        return cast(Answer, answer)
    name = str(scope.facts.get("tool") or "")
    answer = scope.facts["answer"] = found.tool(scope.facts["who"], name, scope.facts["asks"])
    scope.facts["asked"] = answer is None
    found.stamp(scope.span, "live" if answer is None else "recorded")
    return answer


def runs_agents(tool: Any) -> bool:
    """Whether a tool hands work to a coworker, whose own calls are asked for one by one."""
    return isinstance(getattr(tool, "_original_tool", None) or tool, BaseAgentTool)


def tool_result(answer: Answer) -> Any:
    """Return what the tool returned, or raise what it raised."""
    _raise(answer)
    found = _decoded(answer.output)
    return answer.output if found is None else found[1]


def tool_called(scope: Open, name: str, arguments: Any, who: str) -> None:
    """Note on a tool's span what a replay tells the same call by."""
    scope.facts.update(who=who, asks=arguments_of(arguments), tool=name)
    payload.called(scope.span, scope.facts["asks"], agent=who)


def tool_answered(scope: Open, shown: Any) -> None:
    """Note on a tool's span what it returned, before CrewAI made text of it for the model."""
    if "raw" not in scope.facts:
        payload.answered(scope.span, shown)
        return
    raw = scope.facts["raw"]
    payload.answered(scope.span, shown, lambda: None if raw == shown else _encoded("result", raw))


def exact_result(value: Any) -> str | None:
    """Return what was found or answered in a form that brings it back, None for text."""
    if isinstance(value, str):
        return None
    if is_dataclass(value) and not isinstance(value, type):
        value = asdict(value)
    return _encoded("result", value)


def arguments_of(arguments: Any) -> Any:
    """Return tool arguments as a dict; models send them as JSON text, too."""
    if isinstance(arguments, str):
        try:
            return json.loads(arguments)
        except ValueError:
            return arguments
    return dict(arguments) if isinstance(arguments, Mapping) else arguments


def _raise(answer: Answer) -> None:
    if answer.error is not None:
        raise RecordedError(answer.error)


def _encoded(kind: str, value: Any) -> str:
    return msgspec.json.encode({_RAW: kind, "value": value}, enc_hook=_plain).decode()


def _decoded(text: str) -> tuple[str, Any] | None:
    if not text.startswith('{"' + _RAW):
        return None
    found = json.loads(text)
    return found[_RAW], found["value"]


def _plain(value: Any) -> Any:
    return value.model_dump(mode="json") if isinstance(value, BaseModel) else str(value)
