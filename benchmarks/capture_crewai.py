"""What recording a crew costs: AgentTrace beside OpenInference's instrumentor, in one run.

One crew of ten agents, each with two model calls and a tool, on a scripted model without delay. The
three ways (nothing, ours, theirs) take turns; each exports to a sink on loopback. Counted is the
processor time of the process while the crew runs, which a busy machine does not stretch: CrewAI
tells of its events in threads of its own. Prints JSON lines: milliseconds added per span recorded.

    python benchmarks/capture_crewai.py [--rounds 12]
"""

import argparse
import json
import os
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

os.environ.update(
    CREWAI_DISABLE_TELEMETRY="true",
    CREWAI_TRACING_ENABLED="false",
    CREWAI_DISABLE_VERSION_CHECK="true",
    CREWAI_TESTING="true",
    CREWAI_STORAGE_DIR=tempfile.mkdtemp(prefix="agenttrace-bench-"),
)

from crewai import Agent, BaseLLM, Crew, Task
from crewai.tools import tool
from openinference.instrumentation.crewai import CrewAIInstrumentor
from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

from agenttrace import OTLPExporter
from agenttrace_crewai.capture import INSTRUMENTOR

AGENTS = 10


class Scripted(BaseLLM):
    """Uses the tool, then ends, again and again."""

    def __init__(self) -> None:
        super().__init__(model="scripted")
        self._calls = 0

    def call(self, messages: Any, *args: Any, **kwargs: Any) -> str:
        """Answer in turn with a tool call and an end."""
        self._calls += 1
        if self._calls % 2:
            return 'Thought: look\nAction: look_up\nAction Input: {"what": "x"}'
        return "Thought: I now know the final answer\nFinal Answer: " + "found it. " * 40

    def supports_function_calling(self) -> bool:
        """Say no: the tool is used through text."""
        return False


@tool
def look_up(what: str) -> str:
    """Look something up."""
    return f"{what}: " + "a fact. " * 60


def crew() -> Crew:
    """Return a fresh crew of ten agents in a row."""
    agents = [
        Agent(role=f"A{n}", goal="g", backstory="b", llm=Scripted(), tools=[look_up], cache=False)
        for n in range(AGENTS)
    ]
    tasks = [Task(description=f"do {a.role}", expected_output="text", agent=a) for a in agents]
    return Crew(agents=agents, tasks=tasks, cache=False)


class _Sink(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *args: Any) -> None:
        """Say nothing."""


class _Count(SpanProcessor):
    """Counts the spans that end."""

    def __init__(self) -> None:
        self.spans = 0

    def on_end(self, span: ReadableSpan) -> None:
        self.spans += 1


def main() -> int:
    """Measure, print, and return 1 if a target is missed."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--rounds", type=int, default=12)
    rounds = options.parse_args().rounds
    sink = ThreadingHTTPServer(("127.0.0.1", 0), _Sink)
    threading.Thread(target=sink.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{sink.server_address[1]}/v1/traces"

    ours, theirs, count = TracerProvider(), TracerProvider(), _Count()
    ours.add_span_processor(BatchSpanProcessor(OTLPExporter(endpoint=url)))
    theirs.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(endpoint=url)))
    for provider in (ours, theirs):
        provider.add_span_processor(count)
    trace.set_tracer_provider(ours)
    openinference = CrewAIInstrumentor()

    def their_start() -> None:
        openinference.instrument(
            tracer_provider=theirs, use_event_listener=True, create_llm_spans=True
        )

    nothing: Callable[[], Any] = lambda: None  # noqa: E731
    ways: dict[str, tuple[Callable[[], Any], Callable[[], Any]]] = {
        "nothing": (nothing, nothing),
        "agenttrace": (INSTRUMENTOR.instrument, INSTRUMENTOR.uninstrument),
        "openinference": (their_start, openinference.uninstrument),
    }
    took: dict[str, list[float]] = {way: [] for way in ways}
    spans: dict[str, int] = {}
    for round_ in range(rounds + 1):
        for way, (begin, end) in ways.items():
            begin()
            team, count.spans = crew(), 0
            started = time.process_time()
            team.kickoff()
            seconds = time.process_time() - started
            end()
            if round_:  # the first round warms up
                took[way].append(seconds)
                spans[way] = count.spans
    plain = statistics.median(took["nothing"])
    added = {
        way: (statistics.median(took[way]) - plain) * 1000 / max(1, spans[way])
        for way in ("agenttrace", "openinference")
    }
    ratio = added["agenttrace"] / added["openinference"]
    ok = ratio <= 0.5
    print(
        json.dumps(
            {
                "name": "capture_crewai",
                "value": round(added["agenttrace"], 4),
                "unit": f"ms added per span ({spans['agenttrace']} spans; plain run "
                f"{plain * 1000:.0f} ms)",
                "baseline": round(added["openinference"], 4),
                "baseline_name": f"openinference ({spans['openinference']} spans)",
                "ratio": round(ratio, 3),
                "target": "ratio <= 0.5",
                "ok": ok,
            }
        )
    )
    return 0 if ok else 1


if __name__ == "__main__":
    sys.exit(main())
