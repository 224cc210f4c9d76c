"""Read spans of the GenAI conventions: OpenTelemetry GenAI, OpenInference and OpenLLMetry.

`read` never raises and depends on nothing but the span. Every name it looks for is data, in
`agenttrace.semconv`; where a span says the same thing twice, the order there decides.
"""

import math
import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, cast

from agenttrace import chat, semconv, smolagents
from agenttrace.chat import ChatMessage, as_text
from agenttrace.hookspecs import hookimpl
from agenttrace.models import (
    Attributes,
    Kind,
    Normalizer,
    RawSpan,
    Scope,
    Span,
    SpanEvent,
    SpanStatus,
)

_MESSAGE_EVENT = re.compile(r"gen_ai\.(system|user|assistant|tool)\.message$")
_EVENT_WITH_ATTRIBUTES = "gen_ai.client.inference.operation.details"


@hookimpl(trylast=True)
def agenttrace_normalizer(scope: Scope) -> Normalizer:  # noqa: ARG001 - reads every scope
    """Read whatever no other plugin reads."""
    return read


def read(raw: RawSpan) -> Span:
    """Return the span with everything that its attributes and events say about it."""
    attributes = _attributes(raw)
    kind = _kind(raw, attributes)
    error, status, message = _outcome(raw)
    span = Span(
        raw.trace_id,
        raw.span_id,
        raw.name,
        raw.start_ns,
        raw.end_ns,
        raw.parent_id,
        raw.span_kind,
        status,
        message,
        raw.attributes,
        raw.events,
        raw.links,
        raw.scope,
        raw.trace_state,
        raw.flags,
        kind,
        _framework(raw, attributes),
        _agent(raw, attributes, kind),
        _role(attributes),
        _model(attributes),
        _provider(attributes),
        _tool(raw, attributes, kind),
        _input(raw, attributes, kind),
        _output(raw, attributes, kind),
        _count(attributes, "tokens_in"),
        _count(attributes, "tokens_out"),
        _amount(attributes, semconv.ALIASES["cost_usd"]),
        _name(attributes, "session"),
        error,
    )
    return smolagents.named(span) if kind in ("agent", "llm") else span


def _attributes(raw: RawSpan) -> Attributes:
    """The span's attributes as plain values, below them those that came as events of the same."""
    if raw.scope.name.startswith(semconv.QUOTED):
        return {key: chat.unquoted(value) for key, value in raw.attributes.items()}
    details = [event.attributes for event in raw.events if event.name == _EVENT_WITH_ATTRIBUTES]
    if not details:
        return raw.attributes
    merged: dict[str, Any] = {}
    for attributes in (*details, raw.attributes):
        merged.update(attributes)
    return merged


def _kind(raw: RawSpan, attributes: Attributes) -> Kind:
    for name, kinds in semconv.KINDS:
        value = attributes.get(name)
        if value is None:
            continue
        kind = kinds.get(value.lower()) if isinstance(value, str) else None
        if kind is not None:
            return _refined(raw, attributes, name, kind)
    for name, kind in semconv.KIND_HINTS:
        if name in attributes:
            return cast(Kind, kind)
    return "other"


def _refined(raw: RawSpan, attributes: Attributes, said_by: str, kind: str) -> Kind:
    """Some have no kinds for workflows and handoffs: their spans only look different."""
    if kind == "agent" and raw.parent_id is None and _is_openai_agents_run(raw, attributes):
        return "workflow"
    if said_by == "openinference.span.kind":
        if kind == "tool" and raw.name.startswith("handoff to "):
            return "handoff"
        if raw.parent_id is None and str(attributes[said_by]).lower() == "chain":
            return "workflow"
    return cast(Kind, kind)


def _is_openai_agents_run(raw: RawSpan, attributes: Attributes) -> bool:
    """OpenAI Agents' whole run is marked as an agent too, but only real agents have these."""
    named = ("llm.system", semconv.GEN_AI_AGENT_NAME)
    return raw.scope.name.endswith("openai_agents") and not any(n in attributes for n in named)


def _framework(raw: RawSpan, attributes: Attributes) -> str | None:
    own = as_text(attributes.get(semconv.AGENTTRACE_FRAMEWORK))
    if own:
        return own
    for name in ("gen_ai.provider.name", "gen_ai.system"):
        value = attributes.get(name)
        if isinstance(value, str) and value in _FRAMEWORKS:
            return value
    return _framework_of_scope(raw.scope.name)


_FRAMEWORKS = frozenset(framework for _, framework in semconv.SCOPE_FRAMEWORKS)


@lru_cache(maxsize=1024)
def _framework_of_scope(name: str) -> str | None:
    name = name.lower()
    return next((framework for part, framework in semconv.SCOPE_FRAMEWORKS if part in name), None)


def _agent(raw: RawSpan, attributes: Attributes, kind: Kind) -> str | None:
    # Whoever is created has not run yet, and a workflow is not a participant in itself.
    if kind == "workflow" or attributes.get(semconv.GEN_AI_OPERATION_NAME) == "create_agent":
        return None
    name = _name(attributes, "agent")
    if kind != "agent":
        return None if name in semconv.NO_NAMES else name
    if name is not None:
        return name
    return (
        _name(attributes, "agent_of_kind")
        or _after(raw.name, "invoke_agent ")
        or as_text(attributes.get(semconv.GEN_AI_AGENT_ID))
        or _named_by_span(raw, attributes)
    )


def _named_by_span(raw: RawSpan, attributes: Attributes) -> str | None:
    """OpenInference and OpenLLMetry call an agent's span by the agent, or its class, and method."""
    if "openinference.span.kind" in attributes or "traceloop.span.kind" in attributes:
        name, dot, method = raw.name.rpartition(".")
        return (name if dot and method.replace("_", "").isalpha() else raw.name) or None
    return None


def _after(text: str, prefix: str) -> str | None:
    return text.removeprefix(prefix).strip() or None if text.startswith(prefix) else None


def _role(attributes: Attributes) -> str | None:
    role = _name(attributes, "agent_role")
    return None if role in semconv.NO_NAMES else role


def _model(attributes: Attributes) -> str | None:
    name = _name(attributes, "model")
    if name is None:
        for key in semconv.ALIASES["invocation"]:
            parameters = chat.parse(attributes.get(key))
            if isinstance(parameters, dict):
                name = as_text(parameters.get("model") or parameters.get("model_name"))
    return None if name == "unknown" else name


def _provider(attributes: Attributes) -> str | None:
    for key in semconv.ALIASES["provider"]:
        value = as_text(attributes.get(key))
        if value and value.lower() not in semconv.NOT_PROVIDERS:
            return value
    return None


def _tool(raw: RawSpan, attributes: Attributes, kind: Kind) -> str | None:
    if kind not in ("tool", "handoff"):
        return None
    name = _name(attributes, "tool")
    if name is not None or kind == "handoff":
        return name
    if attributes.get("traceloop.span.kind") == "tool":
        name = as_text(attributes.get("traceloop.entity.name"))
    return name or _after(raw.name, "execute_tool ") or raw.name or None


def _input(raw: RawSpan, attributes: Attributes, kind: Kind) -> str | None:
    own = as_text(attributes.get(semconv.AGENTTRACE_INPUT))
    if own is not None:
        return own
    if kind == "tool":
        return _plain(attributes, "tool_input") or _texts(_said(raw, attributes, incoming=True))
    given = attributes.get(semconv.GEN_AI_INPUT_MESSAGES)
    if given:
        messages = chat.read(given)
        return chat.render(_system(attributes, kind) + messages) if messages else as_text(given)
    asked, _ = _conversation(attributes)
    if asked:
        return chat.render(asked)
    if kind == "llm":
        return (
            chat.render(_said(raw, attributes, incoming=True))
            or chat.render(_in_body(attributes, "request"))
            or _plain(attributes, "input")
        )
    return _plain(attributes, "input") or chat.render(_said(raw, attributes, incoming=True))


def _output(raw: RawSpan, attributes: Attributes, kind: Kind) -> str | None:
    own = as_text(attributes.get(semconv.AGENTTRACE_OUTPUT))
    if own is not None:
        return own
    if kind == "tool":
        return _plain(attributes, "tool_output") or _texts(_said(raw, attributes, incoming=False))
    given = attributes.get(semconv.GEN_AI_OUTPUT_MESSAGES)
    if given:
        return chat.render(chat.read(given)) or as_text(given)
    if kind == "llm":
        return (
            chat.render(_said(raw, attributes, incoming=False))
            or chat.render(_in_body(attributes, "response"))
            or _plain(attributes, "output")
        )
    _, answered = _conversation(attributes)
    return (
        _plain(attributes, "output")
        or chat.render(answered)
        or chat.render(_said(raw, attributes, incoming=False))
        or _documents(attributes)
    )


def _texts(messages: list[ChatMessage]) -> str | None:
    return "\n".join(message["content"] for message in messages) or None


def _plain(attributes: Attributes, field: str) -> str | None:
    for key in semconv.ALIASES[field]:
        text = as_text(attributes.get(key))
        if text is not None:
            return _unwrapped(text)
    return None


_WRAPPED = ('{"inputs":', '{"input_str":', '{"outputs":', '{"output":')


def _unwrapped(text: str) -> str:
    """Take off what OpenLLMetry's LangChain handler puts around every input and output."""
    if not text.startswith(_WRAPPED):
        return text
    value = chat.parse(text)
    if not isinstance(value, dict) or not {"tags", "metadata", "kwargs"} & value.keys():
        return text
    [key] = [key for key in ("inputs", "input_str", "outputs", "output") if key in value][:1]
    return as_text(value[key]) or ""


def _system(attributes: Attributes, kind: Kind) -> list[ChatMessage]:
    instructions = attributes.get(semconv.GEN_AI_SYSTEM_INSTRUCTIONS)
    if not instructions or kind != "llm":
        return []
    parts = chat.parse(instructions)
    return chat.read([{"role": "system", "content": parts}])


def _said(raw: RawSpan, attributes: Attributes, *, incoming: bool) -> list[ChatMessage]:
    """The messages in flattened attributes, else in span events, that went in or came out."""
    for family in semconv.INPUT_FAMILIES if incoming else semconv.OUTPUT_FAMILIES:
        if messages := chat.from_flattened(attributes, family):
            return messages
    events: list[Any] = [_as_item(event) for event in raw.events]
    for key in semconv.ALIASES["message_events"]:
        listed = chat.parse(attributes.get(key))
        events += listed if isinstance(listed, list) else []
    return chat.read([item for item in events if _direction(item) is incoming])


def _as_item(event: SpanEvent) -> dict[str, Any]:
    content = chat.parse(event.attributes.get("gen_ai.event.content"))
    inner = content if isinstance(content, dict) else {}
    old = event.attributes.get("gen_ai.prompt") or event.attributes.get("gen_ai.completion")
    role = {"gen_ai.content.prompt": "user", "gen_ai.content.completion": "assistant"}
    item = {"event.name": event.name, **event.attributes, **inner}
    if event.name in role:
        parsed = chat.parse(old)
        item |= {"messages": parsed} if isinstance(parsed, (list, dict)) else {"content": parsed}
        item.setdefault("role", role[event.name])
    if event.name == "gen_ai.choice":
        message = chat.parse(item.get("message"))
        # Strands puts the content alone where others have the message.
        item |= {"message": message} if isinstance(message, dict) else {"content": message}
        item.setdefault("role", "assistant")
    if isinstance(parts := chat.parse(item.get("content")), list):
        item["content"] = parts
    item["tool_calls"] = chat.parse(item.get("tool_calls"))
    return item


def _direction(item: Any) -> bool | None:
    """True for what went into a model, False for what came out, None for anything else."""
    name = str(item.get("event.name")) if isinstance(item, dict) else ""
    if name in ("gen_ai.choice", "gen_ai.content.completion"):
        return False
    return True if _MESSAGE_EVENT.match(name) or name == "gen_ai.content.prompt" else None


def _in_body(attributes: Attributes, field: str) -> list[ChatMessage]:
    for key in semconv.ALIASES[field]:
        if messages := chat.read(attributes.get(key)):
            return messages
    return []


def _conversation(attributes: Attributes) -> tuple[list[ChatMessage], list[ChatMessage]]:
    """What was asked in a conversation kept as one list, and the last answer."""
    for key in semconv.ALIASES["conversation"]:
        if messages := chat.read(attributes.get(key)):
            asked = [m for m in messages if m["role"] == "user"]
            answered = [m for m in messages if m["role"] == "assistant"]
            return asked[-1:], answered[-1:]
    return [], []


def _documents(attributes: Attributes) -> str | None:
    prefix, suffix = "retrieval.documents.", ".document.content"
    found = [v for k, v in attributes.items() if k.startswith(prefix) and k.endswith(suffix)]
    return as_text(found) if found else None


def _outcome(raw: RawSpan) -> tuple[str | None, SpanStatus, str]:
    """What went wrong if anything did, and the status without the errors that are control flow."""
    exceptions = [event.attributes for event in raw.events if event.name == "exception"]
    failures = [text for text in map(_exception, exceptions) if text]
    kind = as_text(raw.attributes.get(semconv.ERROR_TYPE))
    if raw.status == "ok":
        return None, "ok", raw.status_message
    if raw.status == "error":
        steering = exceptions and not failures
        if steering or (not failures and (_steers(kind) or _steers(raw.status_message))):
            return None, "unset", ""
        return (failures or [raw.status_message or kind or "error"])[0], "error", raw.status_message
    if failures:
        return failures[0], raw.status, raw.status_message
    return (None if _steers(kind) else kind), raw.status, raw.status_message


def _exception(attributes: Attributes) -> str | None:
    kind = as_text(attributes.get("exception.type")) or ""
    message = as_text(attributes.get("exception.message"))
    if _steers(kind):
        return None
    return (f"{kind}: {message}" if kind and message else kind or message) or "exception"


_ERROR_NAME = re.compile(r"[\w.]*?(\w+)(?=$|[^\w.])")


def _steers(text: str | None) -> bool:
    """Whether an exception's name, or a text that begins with it, is a framework's control flow."""
    found = _ERROR_NAME.match(text or "")
    return found is not None and found[1] in semconv.CONTROL_FLOW


def _name(attributes: Attributes, field: str) -> str | None:
    for key in semconv.ALIASES[field]:
        value = attributes.get(key)
        if value is not None and (text := as_text(value)):
            return text
    return None


def _count(attributes: Attributes, field: str) -> int | None:
    number = _amount(attributes, semconv.ALIASES[field])
    for key in semconv.USAGES if number is None else ():
        usage = chat.parse(attributes.get(key))
        if isinstance(usage, dict):
            number = _amount(usage, semconv.IN_USAGE[field])
    return None if number is None else int(number)


def _amount(attributes: Attributes, keys: Sequence[str]) -> float | None:
    for key in keys:
        value = attributes.get(key)
        if value is None or isinstance(value, bool):
            continue
        try:
            number = float(value)
        except (TypeError, ValueError, OverflowError):
            continue
        if math.isfinite(number) and 0 <= number < 1e15:
            return number
    return None
