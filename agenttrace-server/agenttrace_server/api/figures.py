"""What `GET /api/stats` answers."""

from agenttrace_server.api.models import Model


class Latency(Model):
    """Durations of traces that have ended, in milliseconds; null where there is none."""

    p50: float | None
    p90: float | None
    p95: float | None
    p99: float | None
    max: float | None


class StatsPoint(Model):
    """The traces that started from `time` on, for as long as `bucket_seconds` says."""

    time: str
    traces: int
    errors: int
    failures: int
    tokens: int
    cost_usd: float | None
    latency_ms: float


class AgentStats(Model):
    """What one agent did in all traces; `busy_ms` is how long its innermost spans took."""

    agent: str
    traces: int
    spans: int
    errors: int
    failures: int
    tokens_in: int
    tokens_out: int
    cost_usd: float | None
    busy_ms: float


class ModelStats(Model):
    """What one model was called for in all traces; `failures` are those of its traces."""

    model: str
    traces: int
    calls: int
    errors: int
    failures: int
    tokens_in: int
    tokens_out: int
    cost_usd: float | None


class FrameworkStats(Model):
    """The traces in which one framework had a part."""

    framework: str
    traces: int
    errors: int
    failures: int
    tokens_in: int
    tokens_out: int
    cost_usd: float | None


class ServiceStats(Model):
    """The traces of one service."""

    service: str
    traces: int
    errors: int
    failures: int
    tokens_in: int
    tokens_out: int
    cost_usd: float | None


class FailureStats(Model):
    """How often one kind of failure was found and is shown; so many of those were confirmed."""

    mode: str
    category: str
    subcategory: str
    count: int
    traces: int
    confirmed: int


class FailurePoint(Model):
    """How often one kind of failure was found in traces that started from `time` on."""

    time: str
    mode: str
    subcategory: str
    count: int


class FailureShare(Model):
    """How often one kind of failure was found with one agent, framework or model."""

    name: str
    mode: str
    subcategory: str
    count: int


class Stats(Model):
    """Figures over traces; tokens and cost are those of leaf LLM spans, counted once.

    Failures are those that are shown: sure enough, or confirmed. With a framework or a model they
    are those of the traces it had a part in.
    """

    traces: int
    running: int
    errors: int
    spans: int
    messages: int
    failures: int
    tokens_in: int
    tokens_out: int
    cost_usd: float | None
    latency_ms: Latency
    bucket_seconds: float
    over_time: list[StatsPoint]
    agents: list[AgentStats]
    models: list[ModelStats]
    frameworks: list[FrameworkStats]
    services: list[ServiceStats]
    failure_modes: list[FailureStats]
    failures_over_time: list[FailurePoint]
    failures_by_agent: list[FailureShare]
    failures_by_framework: list[FailureShare]
    failures_by_model: list[FailureShare]
