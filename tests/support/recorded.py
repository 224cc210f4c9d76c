"""Run an app with one capture on, and read back what an AgentTrace server would make of it."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import msgspec
from opentelemetry import trace as otel_trace
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from agenttrace import payload
from agenttrace.agents import find_agents
from agenttrace.messages import find_messages
from agenttrace.models import Instrumentor, Trace
from agenttrace.normalize import normalize
from agenttrace.plugins import load_plugins
from agenttrace_server.decode import PROTOBUF, decode

_exporter = InMemorySpanExporter()


def _provider() -> TracerProvider:
    """The process's provider, with our exporter in it: OpenTelemetry allows one per process."""
    provider = otel_trace.get_tracer_provider()
    if not isinstance(provider, TracerProvider):
        provider = TracerProvider()
        otel_trace.set_tracer_provider(provider)
    if not getattr(provider, "_records_for_tests", False):
        provider.add_span_processor(SimpleSpanProcessor(_exporter))
        provider._records_for_tests = True  # type: ignore[attr-defined]
    return provider


@dataclass
class Recorded:
    """What was recorded so far; every property reads it anew."""

    @property
    def traces(self) -> list[Trace]:
        """The traces in order of their first span, with agents and messages found."""
        ended = [payload.materialise(span) for span in _exporter.get_finished_spans()]
        raws = decode(encode_spans(ended).SerializeToString(), PROTOBUF).spans
        plugins = load_plugins()
        spans = sorted(normalize(raws, plugins), key=lambda s: (s.start_ns, s.span_id))
        by_trace: dict[str, list] = {}
        for span in spans:
            by_trace.setdefault(span.trace_id, []).append(span)
        found = []
        for trace_id, own in by_trace.items():
            trace = Trace(trace_id, tuple(own))
            trace = msgspec.structs.replace(trace, agents=find_agents(trace))
            found.append(msgspec.structs.replace(trace, messages=find_messages(trace, plugins)))
        return found

    @property
    def trace(self) -> Trace:
        """The only trace."""
        (one,) = self.traces
        return one

    def clear(self) -> None:
        """Forget what was recorded."""
        _exporter.clear()


@contextmanager
def recorded(instrumentor: Instrumentor) -> Iterator[Recorded]:
    """Capture what happens inside; leave nothing instrumented and nothing recorded behind."""
    _provider()
    _exporter.clear()
    instrumentor.instrument()
    try:
        yield Recorded()
    finally:
        instrumentor.uninstrument()
        _exporter.clear()


def said(trace: Trace) -> list[tuple[str, str, str, str]]:
    """Who said what to whom: (sender, recipient, type, content), in the order it was sent."""
    return [(m.sender, m.recipient, m.type, m.content) for m in trace.messages]


def tree(trace: Trace) -> list[str]:
    """The span names in start order, indented by two spaces a level."""

    def depth(span_id: str) -> int:
        return sum(1 for _ in trace.ancestors(trace.by_id[span_id]))

    return ["  " * depth(s.span_id) + s.name for s in _in_tree_order(trace)]


def _in_tree_order(trace: Trace) -> Iterator:
    def walk(spans) -> Iterator:
        for span in spans:
            yield span
            yield from walk(trace.children(span.span_id))

    yield from walk(trace.roots)


def causes(trace: Trace) -> list[tuple[int, int | None]]:
    """For each message its position and that of the message that caused it (None: no cause)."""
    position = {m.message_id: i for i, m in enumerate(trace.messages)}
    return [(i, position.get(m.caused_by or "")) for i, m in enumerate(trace.messages)]


def orphans(trace: Trace) -> list[str]:
    """Names of spans whose parent is not in the trace."""
    return [s.name for s in trace.spans if s.parent_id and s.parent_id not in trace.by_id]
