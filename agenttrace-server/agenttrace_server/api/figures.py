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
    """What one agent did in all traces."""

    agent: str
    traces: int
    spans: int
    errors: int
    failures: int
    tokens_in: int
    tokens_out: int
    cost_usd: float | None


class ModelStats(Model):
    """What one model was called for in all traces."""

    model: str
    traces: int
    calls: int
    errors: int
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
    """How often one kind of failure was found, those that people rejected left out."""

    mode: str
    category: str
    subcategory: str
    count: int
    traces: int


class Stats(Model):
    """Figures over traces; tokens and cost are those of leaf LLM spans, counted once."""

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
