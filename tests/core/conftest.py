"""Recording that ends with the test."""

from collections.abc import Iterator

import pytest
from opentelemetry.sdk.trace import TracerProvider

import agenttrace
from agenttrace.testing import InMemoryExporter
from support.collector import Collector, collector


@pytest.fixture
def receiver() -> Iterator[Collector]:
    with collector() as running:
        yield running


@pytest.fixture
def provider() -> TracerProvider:
    return TracerProvider(shutdown_on_exit=False)


@pytest.fixture
def recorded(provider: TracerProvider) -> Iterator[InMemoryExporter]:
    """What AgentTracer records; `agenttrace.flush()` has it all there."""
    exporter = InMemoryExporter()
    agenttrace.instrument(exporter=exporter, frameworks=[], tracer_provider=provider)
    yield exporter
    agenttrace.uninstrument()
