"""What capturing a LangGraph run costs the app, against none and against OpenInference's.

A graph of 20 nodes, each with a model call of its own (41 spans), payloads on; spans go over HTTP
to a sink in another process, by each one's own exporter. The three take turns in rounds, the order
shifting; of all runs the median counts. "Inline" is the processor time the app's own thread takes
longer, so that other programs on the machine do not count; "by the clock" is what a run takes
longer; "in all" is the processor time of the process until the last span is delivered. Prints JSON
lines.

    python benchmarks/capture_langgraph.py [--rounds 15] [--runs 20]
"""

import argparse
import json
import operator
import statistics
import subprocess
import sys
import time
from typing import Annotated, Any, TypedDict

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, AnyMessage, HumanMessage, SystemMessage
from langchain_core.messages.ai import UsageMetadata
from langchain_core.outputs import ChatGeneration, ChatResult
from langgraph.graph import START, StateGraph
from langgraph.graph.message import add_messages
from openinference.instrumentation.langchain import LangChainInstrumentor
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

import agenttrace

NODES = 20
SPANS = 2 * NODES + 1
TITLES = {"inline": "inline", "clock": "by the clock", "in_all": "in all"}
INLINE_TARGET = 0.2
SHARE_TARGET = 0.5
WORDS = "The figures of the third quarter were checked against the ledger and agree. " * 4

SINK = """
import http.server, threading
class Sink(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_POST(self):
        self.rfile.read(int(self.headers["content-length"]))
        self.send_response(200)
        self.send_header("content-type", self.headers["content-type"])
        self.send_header("content-length", "0")
        self.end_headers()
    def log_message(self, *args): pass
server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Sink)
print(server.server_port, flush=True)
server.serve_forever()
"""


class State(TypedDict):
    """What the nodes share: a conversation that grows, and a list of findings."""

    messages: Annotated[list[AnyMessage], add_messages]
    findings: Annotated[list[str], operator.add]


class Model(BaseChatModel):
    """A model that answers at once, so that only the framework and the capture take time."""

    @property
    def _llm_type(self) -> str:
        return "instant"

    def _generate(self, messages: Any, *args: Any, **kwargs: Any) -> ChatResult:
        usage = UsageMetadata(input_tokens=100, output_tokens=20, total_tokens=120)
        answer = AIMessage(WORDS, usage_metadata=usage)
        return ChatResult(generations=[ChatGeneration(message=answer)])


def build() -> Any:
    """Return a chain of agents, each with a model call."""
    model = Model()

    def agent(name: str) -> Any:
        prompt = SystemMessage(f"You are {name}.")

        def node(state: State) -> dict[str, Any]:
            answer = model.invoke([prompt, *state["messages"][-3:]])
            answer.name = name
            return {"messages": [answer], "findings": [f"{name}: {WORDS[:80]}"]}

        return node

    graph = StateGraph(State)
    before = START
    for number in range(NODES):
        name = f"agent_{number}"
        graph.add_node(name, agent(name))
        graph.add_edge(before, name)
        before = name
    return graph.compile(name="bench")


class Captured:
    """One way to capture: how to switch it on and off, and to wait until all is delivered."""

    def on(self) -> None:
        """Start capturing."""

    def off(self) -> None:
        """Deliver what was captured and stop."""


class AgentTrace(Captured):
    """Ours, with the exporter `agenttrace.instrument()` uses."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.provider = TracerProvider()

    def on(self) -> None:
        """Start capturing."""
        agenttrace.instrument(self.url, frameworks=["langgraph"], tracer_provider=self.provider)

    def off(self) -> None:
        """Deliver what was captured and stop."""
        agenttrace.uninstrument()


class OpenInference(Captured):
    """OpenInference's LangChain instrumentor with OpenTelemetry's batch processor and exporter."""

    def __init__(self, url: str) -> None:
        self.provider = TracerProvider()
        exporter = OTLPSpanExporter(f"{url}/v1/traces")
        self.processor = BatchSpanProcessor(exporter, max_queue_size=16384)
        self.provider.add_span_processor(self.processor)
        self.instrumentor = LangChainInstrumentor()

    def on(self) -> None:
        """Start capturing."""
        self.instrumentor.instrument(tracer_provider=self.provider)

    def off(self) -> None:
        """Deliver what was captured and stop."""
        self.processor.force_flush()
        self.instrumentor.uninstrument()


class Found:
    """Milliseconds a run: of the app's thread, by the clock, and of the process until delivered."""

    def __init__(self) -> None:
        self.inline: list[float] = []
        self.clock: list[float] = []
        self.in_all: list[float] = []

    def measure(self, app: Any, captured: Captured, runs: int) -> None:
        """Add some runs."""
        captured.on()
        app.invoke({"messages": [HumanMessage("Begin.")], "findings": []})
        begun = time.process_time()
        for _ in range(runs):
            used, started = time.thread_time(), time.perf_counter()
            app.invoke({"messages": [HumanMessage("Begin.")], "findings": []})
            self.inline.append((time.thread_time() - used) * 1000)
            self.clock.append((time.perf_counter() - started) * 1000)
        captured.off()
        self.in_all.append((time.process_time() - begun) * 1000 / runs)


def main() -> int:
    """Measure and print; return 1 if a target is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--runs", type=int, default=20)
    options = parser.parse_args()
    sink = subprocess.Popen([sys.executable, "-c", SINK], stdout=subprocess.PIPE, text=True)
    assert sink.stdout is not None
    url = f"http://127.0.0.1:{sink.stdout.readline().strip()}"
    try:
        return compare(url, options.rounds, options.runs)
    finally:
        sink.terminate()
        sink.wait()


def compare(url: str, rounds: int, runs: int) -> int:
    """Let the three take turns and report the medians."""
    app = build()
    ways = {"none": Captured(), "agenttrace": AgentTrace(url), "openinference": OpenInference(url)}
    for way in ways.values():
        Found().measure(app, way, 3)
    found = {name: Found() for name in ways}
    for turn in range(rounds):
        names = list(ways)
        for name in names[turn % 3 :] + names[: turn % 3]:
            found[name].measure(app, ways[name], runs)
    good = True
    for what in ("inline", "clock", "in_all"):
        took = {name: statistics.median(getattr(found[name], what)) for name in ways}
        ours, theirs = took["agenttrace"] - took["none"], took["openinference"] - took["none"]
        title = f"langgraph capture, {TITLES[what]}"
        for name in ways:
            report(f"{title}: a run, {name}", took[name], "ms")
        is_target = what == "inline"
        good &= report(f"{title}: a span", ours / SPANS, "ms", INLINE_TARGET if is_target else None)
        good &= report(
            f"{title}: share of OpenInference's",
            ours / theirs,
            "×",
            SHARE_TARGET if is_target else None,
        )
    return 0 if good else 1


def report(name: str, value: float, unit: str, target: float | None = None) -> bool:
    """Print one figure as a JSON line; return whether it reaches its target."""
    figure: dict[str, Any] = {"name": name, "value": round(value, 4), "unit": unit}
    if target is not None:
        figure |= {"target": f"≤ {target}", "ok": value <= target}
    print(json.dumps(figure, ensure_ascii=False), flush=True)
    return target is None or value <= target


if __name__ == "__main__":
    raise SystemExit(main())
