"""All that a model's or a tool's answer depends on, in the form it is told the same again by."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from typing import Any

from autogen_core import Image

EXECUTE_CODE = "execute_code"
"""The name under which the execution of code blocks counts as a tool."""


def of_model(messages: Any, options: Mapping[str, Any]) -> Any:
    """Return what a model is asked: the messages, the tools it may call, the form of its answer."""
    form = options.get("json_output")
    return {
        "messages": [_message(message) for message in _listed(messages)],
        "tools": [_schema(tool) for tool in _listed(options.get("tools"))],
        "tool_choice": _name_of(options.get("tool_choice")),
        "form": form.__qualname__ if isinstance(form, type) else form,
        "more": dict(options.get("extra_create_args") or {}),
    }


def of_tool(arguments: Any) -> Any:
    """Return what a tool is given; models send it as JSON text."""
    if isinstance(arguments, str):
        try:
            return json.loads(arguments)
        except ValueError:
            return arguments
    return dict(arguments) if isinstance(arguments, Mapping) else arguments or {}


def of_code(blocks: Any) -> Any:
    """Return what a code executor is given."""
    return [
        {"language": getattr(block, "language", ""), "code": getattr(block, "code", str(block))}
        for block in _listed(blocks)
    ]


def hears(proxy: Any, messages: Any) -> None:
    """Keep what a user proxy is given: what its user reads before answering."""
    proxy._agenttrace_heard = _listed(messages)


def of_question(proxy: Any, prompt: str) -> Any:
    """Return what a user proxy's user is asked, and has been told before that."""
    heard = getattr(proxy, "_agenttrace_heard", ())
    return {
        "prompt": prompt,
        "heard": [[one.source, one.to_text()] for one in heard if hasattr(one, "to_text")],
    }


def model_of(client: Any) -> str | None:
    """The name of the model a client asks for, where it or the client it wraps says it."""
    for holder in ("_create_args", "_raw_config"):
        arguments = getattr(client, holder, None)
        if isinstance(arguments, dict) and isinstance(arguments.get("model"), str):
            return str(arguments["model"])
    for name in ("_model_name", "model_name", "_model", "model"):
        value = getattr(client, name, None)
        if isinstance(value, str) and value:
            return value
    wrapped = getattr(client, "client", None)
    return model_of(wrapped) if hasattr(wrapped, "create_stream") else None


def _listed(values: Any) -> list[Any]:
    several = isinstance(values, Iterable) and not isinstance(values, (str, Mapping))
    return list(values) if several else []


def _message(message: Any) -> Any:
    kind = getattr(message, "type", type(message).__name__)
    content = getattr(message, "content", message)
    pieces = content if isinstance(content, list) else [content]
    return {
        "type": kind,
        "source": getattr(message, "source", None),
        "thought": getattr(message, "thought", None),
        "content": [_piece(piece) for piece in pieces],
    }


def _piece(piece: Any) -> Any:
    if isinstance(piece, Image):
        # The hash of the pixels stands for them: encoding them as text would take far longer.
        return {"image": hashlib.sha256(piece.image.tobytes()).hexdigest()}
    if isinstance(piece, str):
        return piece
    if hasattr(piece, "arguments"):
        return {"type": "tool_call", **_fields(piece, "id", "name", "arguments")}
    if hasattr(piece, "call_id"):
        return {"type": "tool_call_response", **_fields(piece, "call_id", "content", "is_error")}
    return piece


def _fields(piece: Any, *names: str) -> dict[str, Any]:
    return {name: getattr(piece, name, None) for name in names}


def _schema(tool: Any) -> Any:
    return tool if isinstance(tool, Mapping) else getattr(tool, "schema", None) or str(tool)


def _name_of(choice: Any) -> Any:
    return choice if choice is None or isinstance(choice, str) else getattr(choice, "name", None)
