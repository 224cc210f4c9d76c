"""Describe model, tool and retriever calls with the attributes of the GenAI conventions."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from opentelemetry.trace import Span, Status, StatusCode

from agenttrace import payload, semconv
from agenttrace.serialise import Lazy
from agenttrace_langgraph.speech import text_of, utterances

_ROLE_OF = {"human": "user", "ai": "assistant", "AIMessageChunk": "assistant"}
_COUNTS = (
    ("input_tokens", semconv.GEN_AI_USAGE_INPUT_TOKENS),
    ("output_tokens", semconv.GEN_AI_USAGE_OUTPUT_TOKENS),
)
_DETAILS = (
    ("input_token_details", "cache_read", "gen_ai.usage.cache_read.input_tokens"),
    ("input_token_details", "cache_creation", "gen_ai.usage.cache_creation.input_tokens"),
    ("output_token_details", "reasoning", "gen_ai.usage.reasoning.output_tokens"),
)
_RAW_COUNTS = (
    (("prompt_tokens", "input_tokens"), semconv.GEN_AI_USAGE_INPUT_TOKENS),
    (("completion_tokens", "output_tokens"), semconv.GEN_AI_USAGE_OUTPUT_TOKENS),
)
_PARAMETERS = (
    ("ls_temperature", "gen_ai.request.temperature"),
    ("ls_max_tokens", "gen_ai.request.max_tokens"),
)


def model_of(metadata: Mapping[str, Any], parameters: Mapping[str, Any]) -> str | None:
    """Return the model's name, from where LangChain or the provider's class put it."""
    for found in (
        metadata.get("ls_model_name"),
        *(parameters.get(key) for key in ("model", "model_name", "model_id", "deployment_name")),
    ):
        if isinstance(found, str) and found:
            return found
    return None


def request_attributes(
    operation: str, model: str | None, metadata: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the attributes a model call starts with."""
    attributes: dict[str, Any] = {semconv.GEN_AI_OPERATION_NAME: operation}
    if model:
        attributes[semconv.GEN_AI_REQUEST_MODEL] = model
    if provider := metadata.get("ls_provider"):
        attributes[semconv.GEN_AI_PROVIDER_NAME] = str(provider)
    for key, name in _PARAMETERS:
        if isinstance(value := metadata.get(key), (int, float)):
            attributes[name] = value
    return attributes


def defer_request(span: Span, messages: Sequence[Any], parameters: Mapping[str, Any]) -> None:
    """Keep the messages and tools a chat model was given."""
    kept = list(messages)
    payload.defer(span, semconv.GEN_AI_INPUT_MESSAGES, Lazy(lambda: _json(kept)))
    if tools := parameters.get("tools") or parameters.get("functions"):
        payload.defer(span, "gen_ai.tool.definitions", tools)


def finish_call(span: Span, response: Any) -> list[Any]:
    """Record what a model answered and what it took; return the messages or texts it gave."""
    generations = [item for batch in response.generations for item in batch]
    if not generations:
        return []
    messages = [getattr(item, "message", None) or item.text for item in generations]
    payload.defer(
        span, semconv.GEN_AI_OUTPUT_MESSAGES, Lazy(lambda: _json(messages, role="assistant"))
    )
    fields: Mapping[str, Any] = {} if isinstance(messages[0], str) else vars(messages[0])
    output = response.llm_output or {}
    about: Mapping[str, Any] = fields.get("response_metadata") or {}
    attributes = _usage([_usage_of(message) for message in messages], output)
    model = about.get("model_name") or about.get("model") or output.get("model_name")
    if isinstance(model, str) and model:
        attributes[semconv.GEN_AI_RESPONSE_MODEL] = model
    info = getattr(generations[0], "generation_info", None) or {}
    reason = about.get("finish_reason") or about.get("stop_reason") or info.get("finish_reason")
    if isinstance(reason, str) and reason:
        attributes[semconv.GEN_AI_RESPONSE_FINISH_REASONS] = [reason]
    if isinstance(identity := about.get("id"), str):
        attributes["gen_ai.response.id"] = identity
    if attributes:
        span.set_attributes(attributes)
    return messages


def finish_tool(span: Span, output: Any) -> None:
    """Record what a tool returned; a `ToolMessage` that says it failed makes the span an error."""
    fields = vars(output) if hasattr(output, "tool_call_id") else {}
    result = fields.get("content", output)
    payload.defer(span, semconv.GEN_AI_TOOL_CALL_RESULT, result)
    if call_id := fields.get("tool_call_id"):
        span.set_attribute(semconv.GEN_AI_TOOL_CALL_ID, call_id)
    if fields.get("status") == "error":
        span.set_attribute(semconv.ERROR_TYPE, "ToolError")
        span.set_status(Status(StatusCode.ERROR, text_of(result)[:1000]))


def words_of(message: Any) -> Any:
    """Return what a model's answer says: its text, or the arguments of the tools it calls."""
    if isinstance(message, str):
        return message
    found = utterances(message)
    if not found:
        return None
    if found[0].text:
        return found[0].text
    arguments = [call.get("args") for call in found[0].calls]
    return arguments[0] if len(arguments) == 1 else arguments or None


def _usage_of(message: Any) -> Mapping[str, Any]:
    usage = None if isinstance(message, str) else vars(message).get("usage_metadata")
    return usage if isinstance(usage, Mapping) else {}


def _usage(usages: Sequence[Mapping[str, Any]], output: Mapping[str, Any]) -> dict[str, Any]:
    """Return the tokens: LangChain's own count, else what the provider's raw answer says."""
    attributes: dict[str, Any] = {}
    for usage in usages:
        for key, name in _COUNTS:
            if count := usage.get(key):
                attributes[name] = attributes.get(name, 0) + int(count)
        for details, key, name in _DETAILS:
            if (found := usage.get(details)) and (count := found.get(key)):
                attributes[name] = attributes.get(name, 0) + int(count)
    raw = output.get("token_usage") or output.get("usage")
    if not attributes and isinstance(raw, Mapping):
        for keys, name in _RAW_COUNTS:
            for key in keys:
                if isinstance(count := raw.get(key), int):
                    attributes[name] = count
                    break
    return attributes


def plain_messages(messages: Sequence[Any]) -> list[dict[str, Any]]:
    """Return messages as a model is given them, without what an earlier answer said of itself."""
    read = [_message(message, "user") for message in messages]
    for message in read:
        message.pop("finish_reason", None)
    return read


def _json(messages: Sequence[Any], role: str = "user") -> str:
    """Return messages in the form of `gen_ai.input.messages`: roles and parts."""
    read = [_message(message, role) for message in messages]
    return msgspec.json.encode(read, enc_hook=repr).decode()


def _message(message: Any, role: str) -> dict[str, Any]:
    if isinstance(message, str):
        return {"role": role, "parts": [{"type": "text", "content": message}]}
    fields = vars(message)
    kind = fields.get("role") or fields.get("type")
    content = fields.get("content")
    parts: list[dict[str, Any]] = []
    if kind == "tool":
        parts.append(
            {
                "type": "tool_call_response",
                "id": fields.get("tool_call_id"),
                "response": content,
            }
        )
    else:
        parts += _content_parts(content)
    parts += [
        {
            "type": "tool_call",
            "id": call.get("id"),
            "name": call.get("name"),
            "arguments": call.get("args"),
        }
        for call in fields.get("tool_calls") or ()
    ]
    read: dict[str, Any] = {"role": _ROLE_OF.get(kind, kind), "parts": parts}
    if name := fields.get("name"):
        read["name"] = name
    reason = (fields.get("response_metadata") or {}).get("finish_reason")
    if isinstance(reason, str):
        read["finish_reason"] = reason
    return read


def _content_parts(content: Any) -> list[dict[str, Any]]:
    if isinstance(content, str):
        return [{"type": "text", "content": content}] if content else []
    parts: list[dict[str, Any]] = []
    for block in content if isinstance(content, list) else ():
        if isinstance(block, str):
            parts.append({"type": "text", "content": block})
        elif block.get("type") in ("text", None) and "text" in block:
            parts.append({"type": "text", "content": block["text"]})
        elif block.get("type") in ("thinking", "reasoning"):
            text = block.get("thinking") or block.get("reasoning") or block.get("text")
            parts.append({"type": "reasoning", "content": text})
        elif block.get("type") not in ("tool_use", "tool_call", "function_call"):
            parts.append(dict(block))
    return parts
