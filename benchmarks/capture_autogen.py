"""What capturing an AutoGen team costs the app, against none and against OpenInference's.

A team of three takes twenty turns, each with a model call and a tool, on a scripted model without
delay; spans go over HTTP to a sink in another process. The three take turns in rounds, the order
shifting; of all rounds the median counts. "Inline" is processor time of the app's own thread, which
a busy machine does not stretch; "in all" is that of the whole process until the last span is
delivered. Both are per span recorded: OpenInference's record no model calls of clients like this
one, AutoGen's own spans are recorded for none of the three. Prints JSON lines.

    python benchmarks/capture_autogen.py [--rounds 12] [--runs 3]
"""

import argparse
import asyncio
import json
import logging
import statistics
import subprocess
import sys
import time
from typing import Any

from autogen_agentchat.agents import AssistantAgent
from autogen_agentchat.base import ChatAgent, Team
from autogen_agentchat.teams import RoundRobinGroupChat
from autogen_core import FunctionCall
from autogen_core.models import CreateResult, ModelInfo, RequestUsage
from autogen_ext.models.replay import ReplayChatCompletionClient
from openinference.instrumentation.autogen_agentchat import AutogenAgentChatInstrumentor
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

import agenttrace

TURNS = 20
SHARE_TARGET = 0.5
INFO = ModelInfo(
    vision=False,
    function_calling=True,
    json_output=False,
    family="unknown",
    structured_output=False,
)

SINK = """
import http.server
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


def look_up(what: str) -> str:
    """Look something up."""
    return f"{what}: " + "The figures were checked against the ledger and agree. " * 4


def team() -> RoundRobinGroupChat:
    """Return a fresh team of three."""
    call = CreateResult(
        finish_reason="function_calls",
        content=[FunctionCall(id="1", name="look_up", arguments='{"what": "x"}')],
        usage=RequestUsage(prompt_tokens=10, completion_tokens=5),
        cached=False,
    )
    agents: list[ChatAgent | Team] = [
        AssistantAgent(
            name, ReplayChatCompletionClient([call] * TURNS, model_info=INFO), tools=[look_up]
        )
        for name in ("ann", "bob", "cid")
    ]
    return RoundRobinGroupChat(agents, max_turns=TURNS)


class _Count(SpanProcessor):
    """Counts the spans that end."""

    def __init__(self) -> None:
        self.spans = 0

    def on_end(self, span: ReadableSpan) -> None:
        self.spans += 1


class Captured:
    """One way to capture: how to switch it on and off, and to wait until all is delivered."""

    def __init__(self) -> None:
        self.provider = TracerProvider()
        self.count = _Count()
        self.provider.add_span_processor(self.count)

    def on(self) -> None:
        """Start capturing."""

    def off(self) -> None:
        """Deliver what was captured and stop."""


class AgentTrace(Captured):
    """Ours, with the exporter `agenttrace.instrument()` uses."""

    def __init__(self, url: str) -> None:
        super().__init__()
        self.url = url

    def on(self) -> None:
        """Start capturing."""
        agenttrace.instrument(self.url, frameworks=["autogen"], tracer_provider=self.provider)

    def off(self) -> None:
        """Deliver what was captured and stop."""
        agenttrace.uninstrument()


class OpenInference(Captured):
    """OpenInference's AutoGen instrumentor with OpenTelemetry's batch processor and exporter."""

    def __init__(self, url: str) -> None:
        super().__init__()
        exporter = OTLPSpanExporter(f"{url}/v1/traces")
        self.processor = BatchSpanProcessor(exporter, max_queue_size=16384)
        self.provider.add_span_processor(self.processor)
        self.instrumentor = AutogenAgentChatInstrumentor()

    def on(self) -> None:
        """Start capturing."""
        self.instrumentor.instrument(tracer_provider=self.provider)

    def off(self) -> None:
        """Deliver what was captured and stop."""
        self.processor.force_flush()
        self.instrumentor.uninstrument()


def measure(captured: Captured, runs: int) -> tuple[float, float, float]:
    """Return a run's milliseconds of the app's thread, of the process, and its spans."""
    captured.on()
    asyncio.run(team().run(task="go"))
    captured.count.spans = 0
    teams = [team() for _ in range(runs)]
    in_all, inline = time.process_time(), time.thread_time()
    for one in teams:
        asyncio.run(one.run(task="go"))
    inline = time.thread_time() - inline
    captured.off()
    in_all = time.process_time() - in_all
    return inline * 1000 / runs, in_all * 1000 / runs, captured.count.spans / runs


def main() -> int:
    """Measure and print; return 1 if a target is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=12)
    parser.add_argument("--runs", type=int, default=3)
    options = parser.parse_args()
    logging.disable(logging.WARNING)  # the scripted model warns that it does not count tokens
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
    ways = {"none": Captured(), "agenttrace": AgentTrace(url), "openinference": OpenInference(url)}
    for way in ways.values():
        measure(way, 1)
    found: dict[str, list[tuple[float, float, float]]] = {name: [] for name in ways}
    for turn in range(rounds):
        names = list(ways)
        for name in names[turn % 3 :] + names[: turn % 3]:
            found[name].append(measure(ways[name], runs))

    def added(name: str, column: int) -> float:
        """Milliseconds per span that a way adds."""
        spans = found[name][0][2]
        return (median(name, column) - median("none", column)) / spans

    def median(name: str, column: int) -> float:
        return statistics.median(one[column] for one in found[name])

    for name in ways:
        report(f"autogen capture: a run of {TURNS} turns, {name}", median(name, 0), "ms")
    shares = [added("agenttrace", column) / added("openinference", column) for column in (0, 1)]
    report("autogen capture: inline, a span", added("agenttrace", 0), "ms")
    report("autogen capture: OpenInference inline, a span", added("openinference", 0), "ms")
    good = report("autogen capture: inline, share of OpenInference's", shares[0], "×", SHARE_TARGET)
    report("autogen capture: processor time in all, a span", added("agenttrace", 1), "ms")
    report("autogen capture: the same, share of OpenInference's", shares[1], "×")
    return 0 if good else 1


def report(name: str, value: float, unit: str, target: float | None = None) -> bool:
    """Print one figure; return whether it meets its target."""
    ok = target is None or value <= target
    figure: dict[str, Any] = {"name": name, "value": round(value, 3), "unit": unit}
    if target is not None:
        figure |= {"target": f"<= {target}", "ok": ok}
    print(json.dumps(figure), flush=True)
    return ok


if __name__ == "__main__":
    sys.exit(main())
