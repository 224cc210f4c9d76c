"""Read chat messages, however an instrumentation wrote them, into one shape.

The shape is the one people know: `role` (system, user, assistant, tool), `content` as text, and
where there are any `name`, `reasoning`, `tool_calls` (`id`, `name`, `arguments`), `tool_call_id`.
Understood are OpenTelemetry's parts, OpenAI's chat and responses, Anthropic's and Bedrock's blocks,
Gemini's parts, LangChain's and AutoGen's serialised messages, and flattened `prefix.0.role` keys.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeAlias

import msgspec

from agenttrace.models import Attributes

ChatMessage: TypeAlias = dict[str, Any]

_ROLES = {
    "human": "user",
    "humanmessage": "user",
    "humanmessagechunk": "user",
    "usermessage": "user",
    "ai": "assistant",
    "aimessage": "assistant",
    "aimessagechunk": "assistant",
    "assistantmessage": "assistant",
    "model": "assistant",
    "systemmessage": "system",
    "developer": "system",
    "toolmessage": "tool",
    "function": "tool",
    "functionmessage": "tool",
    "functionexecutionresultmessage": "tool",
    "tool-call": "assistant",
    "tool-response": "tool",
    "system": "system",
    "user": "user",
    "assistant": "assistant",
    "tool": "tool",
}

_TEXT_PARTS = {"text", "input_text", "output_text", "refusal"}
_REASONING_PARTS = {"reasoning", "thinking", "redacted_thinking"}
_CALL_PARTS = {
    "tool_call",
    "tool_use",
    "tool-call",
    "function_call",
    "functioncall",
    "tooluse",
    "server_tool_call",
    "server_tool_use",
}
_RESULT_PARTS = {
    "tool_call_response",
    "tool_result",
    "tool-result",
    "function_call_output",
    "function_response",
    "functionresponse",
    "toolresult",
    "server_tool_call_response",
}
_DEEPEST = 8


def as_text(value: Any) -> str | None:
    """Return text as it is, anything else as JSON; None and the empty text are None."""
    if value is None or value == "":
        return None
    if isinstance(value, str):
        return value
    if isinstance(value, bytes):
        return value.decode(errors="replace")
    try:
        return msgspec.json.encode(value, enc_hook=repr).decode()
    except (TypeError, ValueError, OverflowError, RecursionError):
        return repr(value)


def parse(value: Any) -> Any:
    """Return what JSON text says, and any other value as it is."""
    if isinstance(value, str) and value[:1] in ("{", "["):
        try:
            return msgspec.json.decode(value)
        except (msgspec.DecodeError, UnicodeError, RecursionError):
            return value
    return value


def unquoted(value: Any) -> Any:
    """Return the text in a JSON string, and any other value as it is."""
    if isinstance(value, str) and value[:1] == '"' and value[-1:] == '"':
        try:
            return msgspec.json.decode(value)
        except (msgspec.DecodeError, UnicodeError):
            return value
    return value


def render(messages: Sequence[ChatMessage]) -> str | None:
    """Return one plain message as its text, several (or one with more to it) as JSON."""
    if not messages:
        return None
    if len(messages) == 1 and messages[0].keys() <= {"role", "content"}:
        return messages[0]["content"] or None
    return as_text(list(messages))


def read(value: Any) -> list[ChatMessage]:
    """Return the messages in a value or JSON text; none where it holds anything else.

    Requests and responses of model providers are looked into: `messages`, `choices`,
    `generations`, `candidates`, `output`.
    """
    return _read(parse(value), 0)


def from_flattened(attributes: Attributes, family: str) -> list[ChatMessage]:
    """Return the messages of keys such as `llm.input_messages.0.message.role`, in index order."""
    prefix = family + "."
    tree: dict[str, Any] = {}
    for key, value in attributes.items():
        if key.startswith(prefix):
            *path, last = key[len(prefix) :].split(".")
            branch = tree
            for step in path:
                deeper = branch.setdefault(step, {})
                if not isinstance(deeper, dict):
                    break
                branch = deeper
            else:
                branch[last] = value
    return _read(_listed(tree), 0) if tree else []


def _listed(tree: Any) -> Any:
    """Turn maps whose keys are all numbers into lists, in numeric order."""
    if not isinstance(tree, dict):
        return tree
    if tree and all(key.isascii() and key.isdigit() for key in tree):
        return [_listed(tree[key]) for key in sorted(tree, key=int)]
    return {key: _listed(value) for key, value in tree.items()}


def _read(value: Any, depth: int) -> list[ChatMessage]:
    if depth > _DEEPEST:
        return []
    if isinstance(value, list):
        found: list[ChatMessage] = []
        for item in value:
            found += _read(item, depth + 1) if isinstance(item, list) else _item(item, depth + 1)
        return found
    return _item(value, depth) if isinstance(value, dict) else []


def _item(item: Any, depth: int) -> list[ChatMessage]:
    if not isinstance(item, dict):
        return []
    role = item.get("role")
    known = _ROLES.get(role.lower()) if isinstance(role, str) else None
    if known is None or not ("content" in item or "parts" in item):
        inner = _wrapped(item, depth)
        if inner is not None:
            return inner
        if known is None:
            known = _role(item)
    if known is None:
        return []
    for key in _CONTENT_KEYS:
        content = item.get(key)
        if content is not None and content != "":
            return _message(known, content, item)
    return _message(known, None, item)


def _wrapped(item: dict[str, Any], depth: int) -> list[ChatMessage] | None:
    """The messages inside what is no message itself, None where it may still be one."""
    if item.get("event.name") == "gen_ai.choice" and isinstance(item.get("message"), dict):
        return _item({"role": "assistant", **item["message"]}, depth + 1)
    for key in ("messages", "choices", "generations", "candidates", "message", "output"):
        inner = item.get(key)
        if isinstance(inner, (list, dict)) and (found := _read(inner, depth + 1)):
            return found
    # Gemini's request and response: turns in the one, a turn in the other.
    for key in ("contents", "content") if "role" not in item else ():
        inner = item.get(key)
        if isinstance(inner, (list, dict)) and (found := _read(inner, depth + 1)):
            return found
    kind = _kind(item)
    if kind == "constructor" and isinstance(item.get("kwargs"), dict):
        name = (item.get("id") or ["?"])[-1] if isinstance(item.get("id"), list) else "?"
        return _item({"type": str(name), **_without(item["kwargs"], "type")}, depth + 1)
    if isinstance(item.get("data"), dict) and kind in _ROLES:
        return _item({"type": kind, **_without(item["data"], "type")}, depth + 1)
    if kind in _CALL_PARTS or kind in _RESULT_PARTS:
        return _message("assistant" if kind in _CALL_PARTS else "tool", [item], item)
    return None


def _kind(item: dict[str, Any]) -> str:
    return str(item.get("type") or item.get("kind") or "").lower()


def _role(item: dict[str, Any]) -> str | None:
    event = str(item.get("event.name") or "")
    said = item.get("role") or event.removeprefix("gen_ai.").removesuffix(".message")
    known = _ROLES.get(str(said or _kind(item)).lower())
    if known is None and item.get("role") and ("content" in item or "parts" in item):
        return str(item["role"])
    return known


_CONTENT_KEYS = ("content", "parts", "contents", "text")


def _without(mapping: Mapping[str, Any], key: str) -> dict[str, Any]:
    return {k: v for k, v in mapping.items() if k != key}


def _message(role: str, content: Any, item: Mapping[str, Any]) -> list[ChatMessage]:
    """Return the message, and one more for each tool result it carries."""
    texts: list[str] = []
    reasoning: list[str] = []
    calls = [_call(_inner(call, "tool_call")) for call in _list(item.get("tool_calls"))]
    results: list[ChatMessage] = []
    for part in _list(content):
        _read_part(_inner(part, "message_content"), texts, reasoning, calls, results)
    for key in ("reasoning_content", "reasoning"):
        reasoning += [as_text(part) or "" for part in _list(item.get(key))]
    message: ChatMessage = {"role": role, "content": "\n".join(texts)}
    if isinstance(name := item.get("name") or item.get("source"), str) and role != "tool":
        message["name"] = name
    if any(reasoning):
        message["reasoning"] = "\n".join(reasoning)
    if calls:
        message["tool_calls"] = calls
    if role == "tool" and isinstance(item.get("tool_call_id"), str):
        message["tool_call_id"] = item["tool_call_id"]
    if results and not texts and not calls:
        return results
    return [message, *results]


def _inner(part: Any, wrapper: str) -> Any:
    inner = part.get(wrapper) if isinstance(part, dict) else None
    return inner if isinstance(inner, dict) else part


def _list(value: Any) -> Iterable[Any]:
    if value is None:
        return ()
    return value if isinstance(value, list) else (value,)


def _read_part(
    part: Any,
    texts: list[str],
    reasoning: list[str],
    calls: list[dict[str, Any]],
    results: list[ChatMessage],
) -> None:
    if not isinstance(part, dict):
        texts.append(as_text(part) or "")
        return
    kind = str(part.get("type") or "").lower()
    for key in ("functionCall", "function_call", "toolUse"):
        if isinstance(part.get(key), dict):
            kind, part = "tool_call", part[key]
            break
    for key in ("functionResponse", "function_response", "toolResult"):
        if isinstance(part.get(key), dict):
            kind, part = "tool_result", part[key]
            break
    if kind in _CALL_PARTS:
        calls.append(_call(part))
    elif kind in _RESULT_PARTS:
        results.append(_result(part))
    elif kind in _REASONING_PARTS:
        reasoning.append(_first_text(part, ("content", "thinking", "text", "summary")))
    elif kind in _TEXT_PARTS or "text" in part:
        texts.append(_first_text(part, ("text", "content", "refusal")))
    elif "call_id" in part and "content" in part:
        results.append(_result(part))
    elif {"name", "arguments"} <= part.keys():
        calls.append(_call(part))
    else:
        texts.append(_placeholder(kind, part))


def _first_text(part: Mapping[str, Any], keys: Sequence[str]) -> str:
    return next((text for key in keys if (text := as_text(part.get(key)))), "")


def _placeholder(kind: str, part: Mapping[str, Any]) -> str:
    """Name what is no text; its bytes stay in the raw attributes."""
    if not kind:
        return as_text(dict(part)) or ""
    image = part.get("image_url") or part.get("image") or part.get("uri") or part.get("url")
    if isinstance(image, dict):
        image = image.get("url")
    what = str(part.get("modality") or part.get("mime_type") or kind)
    if isinstance(image, str) and not image.startswith("data:"):
        return f"[{what}: {image}]"
    return f"[{what}]"


def _call(call: Any) -> dict[str, Any]:
    if not isinstance(call, dict):
        return {"id": None, "name": "", "arguments": call}
    function = call.get("function")
    inner = function if isinstance(function, dict) else call
    arguments: Any = next(
        (inner[key] for key in ("arguments", "args", "input") if inner.get(key) is not None), {}
    )
    return {
        "id": call.get("id") or call.get("call_id") or call.get("toolUseId"),
        "name": str(inner.get("name") or ""),
        "arguments": parse(arguments),
    }


def _result(part: Mapping[str, Any]) -> ChatMessage:
    result = next(
        (part[key] for key in ("response", "result", "output", "content") if key in part), None
    )
    if isinstance(result, list):
        texts = [as_text(p.get("text")) if isinstance(p, dict) else as_text(p) for p in result]
        content = "\n".join(text for text in texts if text)
    else:
        content = as_text(result) or ""
    message: ChatMessage = {"role": "tool", "content": content}
    for key in ("tool_use_id", "tool_call_id", "call_id", "toolUseId", "id"):
        if isinstance(part.get(key), str):
            message["tool_call_id"] = part[key]
            break
    return message
