"""What flows through AgentTrace: frozen structs, cheap to build, safe to share."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeAlias

import msgspec

if TYPE_CHECKING:
    from agenttrace.edits import Edit
    from agenttrace.replay import Replay

AttributeValue: TypeAlias = Any
"""None, str, bool, int, float, bytes, or a list or dict (str keys) of these: OTLP's AnyValue."""

Attributes: TypeAlias = Mapping[str, AttributeValue]

Kind = Literal["workflow", "agent", "llm", "tool", "retriever", "handoff", "other"]
SpanStatus = Literal["unset", "ok", "error"]
MessageType = Literal["task", "result", "handoff", "question", "answer", "broadcast"]
Provenance = Literal["observed", "inferred"]
Severity = Literal["low", "medium", "high", "critical"]
Review = Literal["proposed", "confirmed", "rejected"]

USER = "user"
"""The participant that stands for whoever started the run: sends and receives, but is no agent."""


class Scope(msgspec.Struct, frozen=True):
    """Who recorded a span: the instrumentation scope, and the resource (process) it ran in."""

    name: str = ""
    version: str = ""
    attributes: Attributes = {}
    schema_url: str = ""
    resource: Attributes = {}

    @property
    def service_name(self) -> str:
        """The resource's `service.name`, or `unknown_service` as the OTel specification says."""
        return str(self.resource.get("service.name") or "unknown_service")


class SpanEvent(msgspec.Struct, frozen=True):
    """Something that happened during a span, at `time_ns` (Unix nanoseconds)."""

    name: str
    time_ns: int
    attributes: Attributes = {}


class SpanLink(msgspec.Struct, frozen=True):
    """A pointer from a span to another span, in this trace or not."""

    trace_id: str
    span_id: str
    attributes: Attributes = {}
    trace_state: str = ""
    flags: int = 0


class RawSpan(msgspec.Struct, frozen=True):
    """One OTLP span as it was received, nothing interpreted.

    `trace_id` is 32 and `span_id` 16 lower-case hex digits; times are Unix nanoseconds;
    `parent_id` is None for a root; `span_kind` is OTel's, in lower case (`internal`, `client`, …).
    """

    trace_id: str
    span_id: str
    name: str
    start_ns: int
    end_ns: int
    parent_id: str | None = None
    span_kind: str = "internal"
    status: SpanStatus = "unset"
    status_message: str = ""
    attributes: Attributes = {}
    events: tuple[SpanEvent, ...] = ()
    links: tuple[SpanLink, ...] = ()
    scope: Scope = Scope()
    trace_state: str = ""
    flags: int = 0

    @property
    def duration_ns(self) -> int:
        """Nanoseconds between start and end; never negative, whatever the clocks said."""
        return max(0, self.end_ns - self.start_ns)


class Span(RawSpan, frozen=True):
    """A raw span and what it means: one step of an agent system.

    `agent` is the agent the span itself names (see `Trace.agent_of` for inheritance from
    ancestors). `input` and `output` are text; structured values are JSON. `tokens_*` and
    `cost_usd` (US dollars) are what this span reported; only those of `llm` leaves are added up.
    `error` says what went wrong, None if nothing did.
    """

    kind: Kind = "other"
    framework: str | None = None
    agent: str | None = None
    agent_role: str | None = None
    model: str | None = None
    provider: str | None = None
    tool: str | None = None
    input: str | None = None
    output: str | None = None
    tokens_in: int | None = None
    tokens_out: int | None = None
    cost_usd: float | None = None
    session: str | None = None
    error: str | None = None

    @classmethod
    def of(cls, raw: RawSpan, **meaning: Any) -> "Span":
        """Return `raw` with its meaning added: `Span.of(raw, kind="agent", agent="planner")`."""
        return cls(*(getattr(raw, name) for name in _RAW_FIELDS), **meaning)


_RAW_FIELDS = RawSpan.__struct_fields__


class Agent(msgspec.Struct, frozen=True):
    """A named participant that ran in a trace, with what its own spans add up to.

    `busy_ns`: how long its innermost spans took, those that ran at once counted once. What it
    waited for while other agents were at work is not in it.
    """

    name: str
    trace_id: str
    framework: str | None = None
    role: str | None = None
    models: tuple[str, ...] = ()
    tools: tuple[str, ...] = ()
    spans: int = 0
    errors: int = 0
    tokens_in: int = 0
    tokens_out: int = 0
    cost_usd: float | None = None
    first_ns: int = 0
    last_ns: int = 0
    busy_ns: int = 0


class Message(msgspec.Struct, frozen=True, kw_only=True):
    """One thing one agent said to another.

    `span_id` is the span during which it was sent; `sent_at` Unix nanoseconds; `caused_by` the id
    of the message that led to this one; `audience` everyone who received it, where that is more
    than `recipient` (a group chat); `tokens` what producing it took, where known; `confidence`
    0 to 1 (observed messages are 1).
    """

    message_id: str
    trace_id: str
    span_id: str
    sender: str
    recipient: str
    type: MessageType = "task"
    content: str = ""
    content_hash: str = ""
    sent_at: int = 0
    caused_by: str | None = None
    audience: tuple[str, ...] = ()
    tokens: int | None = None
    provenance: Provenance = "observed"
    confidence: float = 1.0


class Checkpoint(msgspec.Struct, frozen=True, kw_only=True):
    """A moment a run can go back to; `state` is the framework's own serialised form."""

    checkpoint_id: str
    trace_id: str
    span_id: str
    framework: str
    label: str = ""
    state: str = ""
    input: str | None = None
    config: str | None = None
    created_at: int = 0
    resumable: bool = True
    why_not: str | None = None


class FailureAnnotation(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that went wrong, pinned to where it did.

    `mode` is a MAST code such as `1.3`, or a name of the classifier's own taxonomy; `evidence` is
    a literal quote from the trace; `explanation` one sentence for a developer; `confidence` 0 to 1;
    `decisive` marks the step that decided the failure. `also_by` names other classifiers that found
    the same in the same place. The rest is what people made of it: `review`, by whom and when (Unix
    nanoseconds), their `comment`, and `found_mode`, the classifier's mode where they changed it.
    """

    annotation_id: str
    trace_id: str
    mode: str
    category: str
    subcategory: str
    classifier: str
    span_id: str | None = None
    message_id: str | None = None
    agent: str | None = None
    severity: Severity = "medium"
    confidence: float = 1.0
    evidence: str = ""
    explanation: str = ""
    decisive: bool = False
    review: Review = "proposed"
    reviewer: str | None = None
    reviewed_at: int | None = None
    comment: str = ""
    found_mode: str | None = None
    also_by: tuple[str, ...] = ()


class Trace(msgspec.Struct, frozen=True, dict=True):
    """Every span of one run in start order, and what was derived from them.

    Spans of a trace still running MAY be missing, parents included; no order of arrival is assumed.
    """

    trace_id: str
    spans: tuple[Span, ...] = ()
    agents: tuple[Agent, ...] = ()
    messages: tuple[Message, ...] = ()
    checkpoints: tuple[Checkpoint, ...] = ()

    @cached_property
    def by_id(self) -> dict[str, Span]:
        """Spans by span id."""
        return {span.span_id: span for span in self.spans}

    @cached_property
    def _children(self) -> dict[str | None, list[Span]]:
        children: dict[str | None, list[Span]] = {}
        for span in self.spans:
            parent = span.parent_id if span.parent_id in self.by_id else None
            children.setdefault(parent, []).append(span)
        return children

    @property
    def roots(self) -> tuple[Span, ...]:
        """Spans without a parent in this trace: the real root, and orphans."""
        return tuple(self._children.get(None, ()))

    def children(self, span_id: str) -> tuple[Span, ...]:
        """The direct children of a span, in start order."""
        return tuple(self._children.get(span_id, ()))

    def parent(self, span: Span) -> Span | None:
        """The span's parent, or None for a root or where the parent never arrived."""
        return self.by_id.get(span.parent_id) if span.parent_id else None

    def ancestors(self, span: Span) -> Iterable[Span]:
        """The span's parent, its parent, and so on; ends at a cycle instead of looping."""
        seen = {span.span_id}
        current = self.parent(span)
        while current is not None and current.span_id not in seen:
            yield current
            seen.add(current.span_id)
            current = self.parent(current)

    @cached_property
    def _agent_by_span(self) -> dict[str, str | None]:
        names: dict[str, str | None] = {}
        for span in self.spans:
            chain: dict[str, None] = {}
            walk: Span | None = span
            name: str | None = None
            while walk is not None and walk.span_id not in chain:
                if walk.span_id in names:
                    name = names[walk.span_id]
                    break
                chain[walk.span_id] = None
                above = self.parent(walk)
                # A model call in a model call is the same call seen twice: the outer one knows.
                twice = walk.kind == "llm" and above is not None and above.kind == "llm"
                if walk.agent and not twice:
                    name = walk.agent
                    break
                walk = above
            for span_id in chain:
                names[span_id] = name
        return names

    def agent_of(self, span: Span) -> str | None:
        """The agent whose work this span is: its own, else its nearest ancestor's."""
        return self._agent_by_span.get(span.span_id)


Normalizer: TypeAlias = Callable[[RawSpan], Span]
Classifier: TypeAlias = Callable[[Trace], Iterable[FailureAnnotation]]


class Instrumentor(Protocol):
    """Captures one framework's runs in this process.

    `framework` is the name used in `agenttrace.framework`, `module` the top-level module whose
    presence says that the framework is installed.
    """

    framework: str
    module: str

    def instrument(self) -> None:
        """Start capturing. A second call does nothing."""

    def uninstrument(self) -> None:
        """Leave the framework exactly as it was. Does nothing if not capturing."""


class Executor(Protocol):
    """Runs a framework again from one of its checkpoints, in the user's own process."""

    def __call__(
        self, target: Any, checkpoint: Checkpoint, edits: "Sequence[Edit]", replay: "Replay"
    ) -> Any:
        """Resume `target` (what was made replayable) from `checkpoint`; return the final output.

        Asks `replay` before every call of a model or a tool, with `replay.active()` around the
        run. May return an awaitable. Raises a ReplayError that says what the user can do; never
        touches the user's own threads, memory or storage.
        """
