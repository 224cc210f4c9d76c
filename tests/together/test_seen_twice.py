"""One run under two instrumentations at once: each model call counts once."""

from pathlib import Path

from openinference.instrumentation.langchain import LangChainInstrumentor
from opentelemetry import trace as otel_trace

from agenttrace.plugins import load_plugins
from agenttrace_langgraph.capture import LangGraphInstrumentor
from agenttrace_server.analyse.pipeline import analyse
from support.langgraph_apps import team
from support.recorded import recorded
from support.stored import database, opened


def test_a_run_recorded_by_us_and_by_openinference_costs_what_it_cost(tmp_path: Path) -> None:
    plugins = load_plugins()
    other = LangChainInstrumentor()
    with recorded(LangGraphInstrumentor()) as alone:
        team().invoke({"topic": "tides"})
        [once] = alone.traces
    with recorded(LangGraphInstrumentor()) as both:
        other.instrument()
        try:
            # As in a web server: the request's span makes one trace of what both record.
            with otel_trace.get_tracer("web").start_as_current_span("POST /ask"):
                team().invoke({"topic": "tides"})
        finally:
            other.uninstrument()
        twice = both.trace
    calls = [span for span in once.spans if span.kind == "llm"]
    seen = [span for span in twice.spans if span.kind == "llm"]
    assert len(seen) == 2 * len(calls) > 0

    with database("sqlite", tmp_path) as url, opened(url) as store:
        store.write(twice.spans)
        [claimed] = store.claim(10, 0.0)
        store.save(claimed, analyse(twice, plugins))
        summary = store.summary(twice.trace_id)
        accounting = store.accounting(twice.trace_id)
        stats = store.stats()

    assert summary is not None
    assert accounting is not None
    assert summary.tokens_in == sum(span.tokens_in or 0 for span in calls) > 0
    assert summary.tokens_out == sum(span.tokens_out or 0 for span in calls)
    assert sum(model["calls"] for model in stats["models"]) == len(calls)
    assert len(accounting.seen_twice) == len(calls)
