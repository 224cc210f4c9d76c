"""Crews give the same results whatever becomes of what is recorded of them."""

from opentelemetry import trace as otel
from opentelemetry.sdk.trace import SpanProcessor

import agenttrace
from agenttrace_crewai.capture import INSTRUMENTOR
from support.crewai_apps import relay
from support.recorded import recorded


class Hostile(SpanProcessor):
    """Raises whenever a span starts or ends."""

    def on_start(self, span, parent_context=None) -> None:
        raise RuntimeError("on_start")

    def on_end(self, span) -> None:
        raise RuntimeError("on_end")


def test_results_are_the_same_while_processors_raise() -> None:
    plain = relay("A", "B").kickoff().raw
    with recorded(INSTRUMENTOR):
        provider = otel.get_tracer_provider()
        provider.add_span_processor(Hostile())
        try:
            captured = relay("A", "B").kickoff().raw
        finally:
            several = provider._active_span_processor
            several._span_processors = several._span_processors[:-1]
        left = len(INSTRUMENTOR.recording)

    assert (captured, left) == (plain, 0)


def test_results_are_the_same_while_the_server_is_down() -> None:
    plain = relay("A", "B").kickoff().raw
    agenttrace.instrument(endpoint="http://127.0.0.1:9", frameworks="crewai")
    try:
        captured = relay("A", "B").kickoff().raw
        left = len(INSTRUMENTOR.recording)
    finally:
        agenttrace.uninstrument()

    assert (captured, left) == (plain, 0)
