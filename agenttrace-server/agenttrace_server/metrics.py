"""What the server counts about itself, for Prometheus."""

from typing import Literal

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    PlatformCollector,
    ProcessCollector,
    generate_latest,
)

IngestionError = Literal["invalid", "too_large", "rejected_span", "unavailable", "internal"]

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_REASONS: tuple[IngestionError, ...] = (
    "invalid",
    "too_large",
    "rejected_span",
    "unavailable",
    "internal",
)


class Metrics:
    """One server's counters, in a registry of their own so that two servers never share any.

    `traces_received` counts the distinct trace ids of each request; `ingestion_errors` is labelled
    with `reason`: a whole request that was refused, or one span of it (`rejected_span`).
    """

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.traces_received = Counter(
            "agenttrace_traces_received",
            "Distinct traces per received request, added up",
            registry=self.registry,
        )
        self.spans_received = Counter(
            "agenttrace_spans_received", "Spans received and stored", registry=self.registry
        )
        self.ingestion_errors = Counter(
            "agenttrace_ingestion_errors",
            "Requests and spans that were not stored",
            ["reason"],
            registry=self.registry,
        )
        self.ingestion_duration = Histogram(
            "agenttrace_ingestion_duration_seconds",
            "From the first byte of a request to the commit of its spans",
            buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30),
            registry=self.registry,
        )
        self.analysis_up = Gauge(
            "agenttrace_analysis_up",
            "1 while the analysis process is alive",
            registry=self.registry,
        )
        self.live_clients = Gauge(
            "agenttrace_live_clients", "Open live connections", registry=self.registry
        )
        # A labelled counter is invisible until its first use; alerts need the zero.
        for reason in _REASONS:
            self.ingestion_errors.labels(reason)
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)

    def ingestion_error(self, reason: IngestionError, count: int = 1) -> None:
        """Count `count` requests (or spans, for `rejected_span`) that were not stored."""
        self.ingestion_errors.labels(reason).inc(count)

    def text(self) -> bytes:
        """Return every value in Prometheus's text format."""
        return generate_latest(self.registry)
