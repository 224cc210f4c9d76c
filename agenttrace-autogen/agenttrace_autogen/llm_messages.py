"""AutoGen's model messages in the form of the OpenTelemetry GenAI conventions."""

from collections.abc import Iterable
from typing import Any

import msgspec
from autogen_core import FunctionCall, Image
from autogen_core.models import (
    AssistantMessage,
    CreateResult,
    FunctionExecutionResultMessage,
    SystemMessage,
)

from agenttrace import payload

Json = dict[str, Any]


def of_input(messages: Any) -> Any:
    """Return `gen_ai.input.messages`: role and parts of each message."""
    if not isinstance(messages, Iterable) or isinstance(messages, str):
        return messages
    return _text([_message(message) for message in messages])


def of_output(result: CreateResult) -> Any:
    """Return `gen_ai.output.messages` for what a model answered."""
    parts = [] if result.thought is None else [{"type": "reasoning", "content": result.thought}]
    parts += _parts(result.content)
    return _text([{"role": "assistant", "parts": parts, "finish_reason": result.finish_reason}])


def _text(messages: list[Any]) -> Any:
    """JSON, encoded at once, or what is too long for that and has to be cut where it may be."""
    try:
        text = msgspec.json.encode(messages).decode()
    except (TypeError, ValueError, UnicodeError):
        return messages
    return text if len(text) <= payload.LIMIT else messages


def _message(message: Any) -> Any:
    if isinstance(message, SystemMessage):
        return {"role": "system", "parts": _parts(message.content)}
    if isinstance(message, AssistantMessage):
        thought = getattr(message, "thought", None)
        parts = [{"type": "reasoning", "content": thought}] if thought else []
        return _named("assistant", message, parts + _parts(message.content))
    if isinstance(message, FunctionExecutionResultMessage):
        return {
            "role": "tool",
            "parts": [
                {"type": "tool_call_response", "id": r.call_id, "response": r.content}
                for r in message.content
            ],
        }
    if not hasattr(message, "content"):
        return message
    return _named("user", message, _parts(message.content))


def _named(role: str, message: Any, parts: list[Json]) -> Json:
    source = getattr(message, "source", None)
    named = {"name": source} if source and source != role else {}
    return {"role": role, **named, "parts": parts}


def _parts(content: Any) -> list[Json]:
    pieces = content if isinstance(content, list) else [content]
    return [_part(piece) for piece in pieces]


def _part(piece: Any) -> Json:
    if isinstance(piece, FunctionCall):
        return {
            "type": "tool_call",
            "id": piece.id,
            "name": piece.name,
            "arguments": piece.arguments,
        }
    if isinstance(piece, Image):
        # The size says what was sent; the pixels would fill the store.
        width, height = piece.image.size
        return {"type": "blob", "modality": "image", "content": f"[image {width}×{height}]"}
    return {"type": "text", "content": piece if isinstance(piece, str) else str(piece)}
