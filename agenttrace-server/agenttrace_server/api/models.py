"""What goes over HTTP. Times are RFC 3339 in UTC, durations milliseconds, costs US dollars."""

from typing import Any, Generic, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field

from agenttrace.models import Kind, MessageType, Provenance, SpanStatus
from agenttrace_server.store import SortKey, TraceStatus

__all__ = ["SortKey", "TraceStatus"]

T = TypeVar("T")


class Model(BaseModel):
    """A response: every field is always there, so that clients need no guessing."""

    model_config = ConfigDict(
        frozen=True, from_attributes=True, json_schema_serialization_defaults_required=True
    )


class Listing(Model, Generic[T]):
    """A part of a longer list; `total` counts all of it."""

    items: list[T]
    total: int
    offset: int
    limit: int


class Problem(Model):
    """What went wrong, as RFC 9457 says."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str
    errors: list["FieldError"] = []


class FieldError(Model):
    """One part of a request that is not valid; `at` is where, such as `query.limit`."""

    at: str
    message: str


class TraceSummary(Model):
    """One trace. `analysed` says whether what was derived covers every span that is stored.

    `parts` says how many traces were joined to this one (0: it is as it was recorded), `part_of` of
    which one it is a part.
    """

    trace_id: str
    name: str
    service_name: str
    frameworks: list[str]
    status: TraceStatus
    start_time: str
    end_time: str
    duration_ms: float
    span_count: int
    error_count: int
    agents: list[str]
    message_count: int
    failure_count: int
    tokens_in: int
    tokens_out: int
    cost_usd: float | None
    session: str | None
    replay_of: str | None
    replay_id: str | None
    analysed: bool
    version: int
    parts: int
    part_of: str | None


class JoinedRows(Model):
    """The rows where a joined trace's part begins, and why it was joined to another."""

    trace_id: str
    joined_to: str | None
    reason: str | None
    rows: list[int]


class SpanSkeleton(Model):
    """Every span of a trace without its bodies, one list per field, in start order.

    `parent` is the parent's row, -1 for a root, -2 where the parent never arrived. `start_us`
    counts microseconds from `start_time`. `name`, `kind`, `agent` and `model` index into the tables
    of the plural name (-1: none). `status` is 0 unset, 1 ok, 2 error. `missing` maps the span ids
    of parents that never arrived to their children's rows; `joined` says where the parts of a
    joined trace begin.
    """

    trace_id: str
    start_time: str
    span_id: list[str]
    parent: list[int]
    start_us: list[int]
    duration_us: list[int]
    name: list[int]
    kind: list[int]
    agent: list[int]
    model: list[int]
    status: list[int]
    tokens: list[int]
    names: list[str]
    kinds: list[str]
    agents: list[str]
    models: list[str]
    missing: dict[str, list[int]]
    joined: list[JoinedRows]


class SpanEvent(Model):
    """Something that happened during a span."""

    name: str
    time: str
    attributes: dict[str, Any]


class SpanLink(Model):
    """A pointer to another span, in this trace or not."""

    trace_id: str
    span_id: str
    attributes: dict[str, Any]


class Scope(Model):
    """Who recorded the span."""

    name: str
    version: str
    attributes: dict[str, Any]
    schema_url: str


class Span(Model):
    """One span, whole.

    In attributes, bytes are base64 and integers that JavaScript cannot hold are strings.
    """

    trace_id: str
    span_id: str
    parent_id: str | None
    name: str
    kind: Kind
    span_kind: str
    status: SpanStatus
    status_message: str
    start_time: str
    end_time: str
    duration_ms: float
    framework: str | None
    agent: str | None
    agent_role: str | None
    model: str | None
    provider: str | None
    tool: str | None
    input: str | None
    output: str | None
    tokens_in: int | None
    tokens_out: int | None
    cost_usd: float | None
    session: str | None
    error: str | None
    attributes: dict[str, Any]
    events: list[SpanEvent]
    links: list[SpanLink]
    scope: Scope
    resource: dict[str, Any]


class Agent(Model):
    """A named participant of a trace, with what its own spans add up to.

    `busy_ms` is how long its innermost spans took, those that ran at once counted once.
    """

    name: str
    trace_id: str
    framework: str | None
    role: str | None
    models: list[str]
    tools: list[str]
    spans: int
    errors: int
    tokens_in: int
    tokens_out: int
    cost_usd: float | None
    first_time: str
    last_time: str
    busy_ms: float


class Message(Model):
    """One thing one agent said to another; `caused_by` is the message that led to it.

    `checkpoint_id` is where to begin to replay from just before it; null if nowhere.
    """

    message_id: str
    trace_id: str
    span_id: str
    sender: str
    recipient: str
    type: MessageType
    content: str
    content_hash: str
    sent_at: str
    caused_by: str | None
    audience: list[str]
    tokens: int | None
    provenance: Provenance
    confidence: float
    checkpoint_id: str | None


class Centrality(Model):
    """How central an agent is: `degree` counts neighbours, the others lie between 0 and 1."""

    degree: int
    in_degree: int
    out_degree: int
    betweenness: float
    pagerank: float


class GraphNode(Model):
    """A participant. `user` is whoever started the run: it has role `user` and no spans."""

    name: str
    role: str | None
    framework: str | None
    spans: int
    tokens: int
    tokens_in: int
    tokens_out: int
    cost_usd: float | None
    errors: int
    failures: int
    messages_in: int
    messages_out: int
    duration_ms: float
    centrality: Centrality


class GraphEdge(Model):
    """What one participant said to another.

    `errors` counts the messages sent or answered in a failed span; `tokens` those known.
    """

    sender: str
    recipient: str
    count: int
    types: dict[str, int]
    provenance: Literal["observed", "inferred", "mixed"]
    errors: int
    tokens: int


class GraphMetrics(Model):
    """The graph as a whole, messages to oneself left out.

    `density` is edges over possible edges, user included. `cycles` are the simple cycles among
    agents, shortest first; `delegation_cycles` those that remain without results and answers: work
    handed round in a circle. `truncated` says that there are more cycles than are listed,
    `approximate` that betweenness was estimated from a sample.
    """

    nodes: int
    edges: int
    messages: int
    density: float
    components: int
    cycles: list[list[str]]
    delegation_cycles: list[list[str]]
    truncated: bool
    approximate: bool


class Graph(Model):
    """Who talked to whom; every edge stands on message rows."""

    trace_id: str
    nodes: list[GraphNode]
    edges: list[GraphEdge]
    metrics: GraphMetrics


class Checkpoint(Model):
    """A moment a run can go back to; `state` is the framework's own serialised form.

    `state` is null where it was not asked for; `state_bytes` is its size in UTF-8.
    """

    checkpoint_id: str
    trace_id: str
    span_id: str
    framework: str
    label: str
    state: str | None
    state_bytes: int
    input: str | None
    config: str | None
    created_at: str
    resumable: bool
    why_not: str | None


class CheckpointState(Checkpoint):
    """A checkpoint whose `parsed` is its state as JSON, null where the state is no JSON."""

    parsed: Any


class Plugin(Model):
    """One installed plugin, the hooks it answers, and why it does not work if so."""

    name: str
    package: str
    version: str
    hooks: list[str]
    error: str | None


class RejectedSpan(Model):
    """A span that was not stored, and why."""

    time: str
    reason: str
    service_name: str
    trace_id: str
    span_id: str
    name: str


class Login(BaseModel):
    """The server's API key, typed by a person."""

    model_config = ConfigDict(extra="forbid")

    api_key: str = Field(min_length=1, max_length=1000)


class Session(Model):
    """Whether an API key is asked for, and whether this caller has given it."""

    required: bool
    authenticated: bool


class Health(Model):
    """How the server is.

    `analysis` is `up`, `down`, or `off` where this process runs without one. `connections` are
    those to the database in use now, of at most `connections_most`. Counts are null where the store
    is away, that of the traces also for callers without the API key. `keep_days` is how long traces
    are kept after they ended, null: until they are deleted.
    """

    status: Literal["ok", "degraded", "unavailable"]
    service: Literal["agenttrace"]
    version: str
    store: Literal["up", "down"]
    analysis: Literal["up", "down", "off"]
    traces: int | None
    keep_days: float | None
    connections: int | None
    connections_most: int | None
    uptime_seconds: float
