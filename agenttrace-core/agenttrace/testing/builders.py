"""Build traces that read like the story they tell; ids and times are the same every time.

A node is a span with its children inside it, one after the other; `message` and `checkpoint` among
the children happen at that point of it. Anything a builder does not know goes in `attributes`.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec

from agenttrace import semconv
from agenttrace.agents import find_agents
from agenttrace.messages import find_checkpoints, find_messages
from agenttrace.models import (
    Kind,
    MessageType,
    RawSpan,
    Scope,
    Span,
    SpanEvent,
    Trace,
)
from agenttrace.normalize import normalize
from agenttrace.plugins import Plugins

TRACE_ID = "ab" * 16
START_NS = 1_700_000_000_000_000_000
_MS = 1_000_000
# Stories are told like those of hand-written agents: what they leave out is inferred.
_SCOPE = Scope("agenttrace", "1")


class Said(msgspec.Struct, frozen=True):
    """An event of the span it is a child of: a message or a checkpoint."""

    name: str
    attributes: dict[str, Any]


class Node(msgspec.Struct, frozen=True):
    """A span to build, with what happens inside it."""

    name: str
    attributes: dict[str, Any]
    children: tuple["Node | Said", ...] = ()
    sends: tuple[Said, ...] = ()
    receives: bool = False
    error: str | None = None
    lasts_ms: int = 1
    scope: Scope = _SCOPE


def span(
    name: str = "step",
    *children: Node | Said,
    kind: Kind = "other",
    input: Any = None,
    output: Any = None,
    error: str | None = None,
    lasts_ms: int = 1,
    framework: str | None = None,
    attributes: Mapping[str, Any] | None = None,
    scope: Scope = _SCOPE,
) -> Node:
    """Return a span of any kind; it lasts `lasts_ms` longer than its children together.

    `error` is an exception as `Type: message`, recorded as an event.
    """
    said = {
        semconv.AGENTTRACE_KIND: kind,
        semconv.AGENTTRACE_FRAMEWORK: framework,
        semconv.AGENTTRACE_INPUT: _text(input),
        semconv.AGENTTRACE_OUTPUT: _text(output),
        **(attributes or {}),
    }
    known = {key: value for key, value in said.items() if value is not None}
    return Node(name, known, children, error=error, lasts_ms=lasts_ms, scope=scope)


def workflow(name: str = "run", *children: Node | Said, **about: Any) -> Node:
    """Return the span of a whole run; takes what `span` takes."""
    return span(name, *children, kind="workflow", **about)


def agent(
    name: str,
    *children: Node | Said,
    role: str | None = None,
    sends: str | Said | Iterable[str | Said] = (),
    receives: bool = True,
    **about: Any,
) -> Node:
    """Return one run of an agent; takes what `span` takes too.

    `sends` names who it sends a message to at the end of its run (or gives the messages). Its input
    is, unless given, what was sent to it before; with `receives=False` it never got to see that.
    """
    node = span(f"invoke_agent {name}", *children, kind="agent", **about)
    said = {semconv.GEN_AI_AGENT_NAME: name, semconv.AGENTTRACE_AGENT_ROLE: role}
    known = {key: value for key, value in said.items() if value is not None}
    each = (sends,) if isinstance(sends, (str, Said)) else tuple(sends)
    return msgspec.structs.replace(
        node,
        attributes={**node.attributes, **known},
        sends=tuple(message(one) if isinstance(one, str) else one for one in each),
        receives=receives and semconv.AGENTTRACE_INPUT not in node.attributes,
    )


def llm(
    output: Any = None,
    *children: Node | Said,
    model: str = "test-model",
    provider: str = "test",
    tokens: tuple[int, int] | None = (10, 5),
    cost_usd: float | None = None,
    **about: Any,
) -> Node:
    """Return a model call that answers `output`; `tokens` are (in, out). Takes what `span` does."""
    node = span(f"chat {model}", *children, kind="llm", output=output, **about)
    said = {semconv.GEN_AI_REQUEST_MODEL: model, semconv.GEN_AI_PROVIDER_NAME: provider}
    if tokens is not None:
        said |= {
            semconv.GEN_AI_USAGE_INPUT_TOKENS: tokens[0],  # type: ignore[dict-item]
            semconv.GEN_AI_USAGE_OUTPUT_TOKENS: tokens[1],  # type: ignore[dict-item]
        }
    if cost_usd is not None:
        said["gen_ai.usage.cost"] = cost_usd  # type: ignore[assignment]
    return msgspec.structs.replace(node, attributes={**said, **node.attributes})


def tool(name: str, *children: Node | Said, **about: Any) -> Node:
    """Return a tool call; takes what `span` takes."""
    node = span(f"execute_tool {name}", *children, kind="tool", **about)
    return msgspec.structs.replace(
        node, attributes={semconv.GEN_AI_TOOL_NAME: name, **node.attributes}
    )


def retriever(name: str = "retriever", *children: Node | Said, **about: Any) -> Node:
    """Return a retrieval; takes what `span` takes."""
    return span(name, *children, kind="retriever", **about)


def handoff(recipient: str, *children: Node | Said, **about: Any) -> Node:
    """Return a span that states a handoff to `recipient`; takes what `span` takes."""
    return span(f"handoff to {recipient}", *children, kind="handoff", **about)


def message(
    recipient: str,
    content: Any = None,
    *,
    type: MessageType = "task",
    sender: str | None = None,
    message_id: str | None = None,
    caused_by: str | None = None,
    audience: Sequence[str] = (),
) -> Said:
    """Return a recorded message; its sender is, unless given, the agent in whose run it happens."""
    said = {
        semconv.MESSAGE_ID: message_id,
        semconv.MESSAGE_SENDER: sender,
        semconv.MESSAGE_RECIPIENT: recipient,
        semconv.MESSAGE_TYPE: type,
        semconv.MESSAGE_CONTENT: f"a {type} for {recipient}" if content is None else _text(content),
        semconv.MESSAGE_CAUSED_BY: caused_by,
        semconv.MESSAGE_AUDIENCE: list(audience) or None,
    }
    known = {key: value for key, value in said.items() if value is not None}
    return Said(semconv.MESSAGE_EVENT, known)


def checkpoint(
    label: str, state: Any = None, *, checkpoint_id: str | None = None, why_not: str | None = None
) -> Said:
    """Return a recorded checkpoint."""
    said = {
        semconv.CHECKPOINT_ID: checkpoint_id,
        semconv.CHECKPOINT_LABEL: label,
        semconv.CHECKPOINT_STATE: "{}" if state is None else _text(state),
        semconv.CHECKPOINT_WHY_NOT: why_not,
    }
    known = {key: value for key, value in said.items() if value is not None}
    return Said(semconv.CHECKPOINT_EVENT, known)


def raw_span(
    name: str = "span",
    *,
    attributes: Mapping[str, Any] | None = None,
    scope: Scope | str = _SCOPE,
    trace_id: str = TRACE_ID,
    span_id: str | None = None,
    **fields: Any,
) -> RawSpan:
    """Return one span as a normalizer gets it; `fields` are those of `RawSpan`."""
    return RawSpan(
        trace_id=trace_id,
        span_id=span_id or hashlib.sha256(name.encode()).hexdigest()[:16],
        name=name,
        start_ns=fields.pop("start_ns", START_NS),
        end_ns=fields.pop("end_ns", START_NS + _MS),
        attributes=dict(attributes or {}),
        scope=Scope(scope) if isinstance(scope, str) else scope,
        **fields,
    )


def raw_spans(*nodes: Node, trace_id: str = TRACE_ID) -> list[RawSpan]:
    """Return the nodes as spans in start order, before anything is read into them."""
    builder = _Builder(trace_id)
    for node in nodes:
        builder.add(node, None, None)
    return sorted(builder.spans, key=lambda raw: raw.start_ns)


def build(*nodes: Node, plugins: Plugins | None = None, trace_id: str = TRACE_ID) -> Trace:
    """Return the nodes as a trace with its agents, messages and checkpoints."""
    plugins = plugins or Plugins()
    return derive(normalize(raw_spans(*nodes, trace_id=trace_id), plugins), plugins)


def derive(spans: Iterable[Span], plugins: Plugins | None = None) -> Trace:
    """Return the trace of some spans, with the agents, messages and checkpoints found in them."""
    ordered = tuple(sorted(spans, key=lambda each: each.start_ns))
    trace = Trace(ordered[0].trace_id if ordered else TRACE_ID, ordered)
    return msgspec.structs.replace(
        trace,
        agents=find_agents(trace),
        messages=find_messages(trace, plugins or Plugins()),
        checkpoints=find_checkpoints(trace),
    )


class _Builder:
    """Walks the nodes with a clock."""

    def __init__(self, trace_id: str) -> None:
        self.spans: list[RawSpan] = []
        self._trace_id = trace_id
        self._now = START_NS
        self._sent: dict[str, list[str]] = {}

    def add(self, node: Node, parent_id: str | None, owner: str | None) -> None:
        span_id = f"{len(self.spans) + 1:016x}"
        start = self._tick()
        # Children are numbered after their parent, as they would be in a real run.
        self.spans.append(raw_span(node.name, span_id=span_id))
        place = len(self.spans) - 1
        owner = node.attributes.get(semconv.GEN_AI_AGENT_NAME, owner)
        attributes = dict(node.attributes)
        if node.receives and (received := self._sent.get(str(owner))):
            attributes[semconv.AGENTTRACE_INPUT] = "\n".join(received)
        events: list[SpanEvent] = []
        for child in (*node.children, *node.sends):
            if isinstance(child, Said):
                events.append(self._say(child, owner))
            else:
                self.add(child, span_id, owner)
        self._now += node.lasts_ms * _MS
        if node.error is not None:
            kind, _, text = node.error.rpartition(": ")
            said = {"exception.type": kind or "Error", "exception.message": text}
            events.append(SpanEvent("exception", self._tick(), said))
        self.spans[place] = RawSpan(
            trace_id=self._trace_id,
            span_id=span_id,
            name=node.name,
            start_ns=start,
            end_ns=self._tick(),
            parent_id=parent_id,
            status="unset" if node.error is None else "error",
            attributes=attributes,
            events=tuple(events),
            scope=node.scope,
        )

    def _say(self, said: Said, owner: str | None) -> SpanEvent:
        attributes = dict(said.attributes)
        if said.name == semconv.MESSAGE_EVENT:
            attributes.setdefault(semconv.MESSAGE_SENDER, owner or "user")
            recipient = attributes[semconv.MESSAGE_RECIPIENT]
            self._sent.setdefault(recipient, []).append(attributes[semconv.MESSAGE_CONTENT])
        return SpanEvent(said.name, self._tick(), attributes)

    def _tick(self) -> int:
        self._now += _MS
        return self._now


def _text(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    return msgspec.json.encode(value).decode()
