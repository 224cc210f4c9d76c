"""Load for a server: requests of 512 agent spans, as fast as answered or at a pace."""

import os
import re
import secrets
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from http.client import HTTPConnection
from itertools import count
from pathlib import Path
from urllib.parse import urlsplit

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

CONNECTIONS = 4
SPANS = 512
SPANS_PER_TRACE = 32
AGENTS = ("planner", "researcher", "critic", "writer")
TEXT = (
    "The reviewer found that the summary cites no source for its second claim and asks the "
    "researcher to look up the figure again before the writer continues with the draft. "
)


def request(trace_number: int) -> bytes:
    """Return a request of 512 spans of 16 traces: agents, their model calls, what they say."""
    message = ExportTraceServiceRequest()
    resource = message.resource_spans.add()
    _set(resource.resource.attributes, "service.name", "bench")
    scope = resource.scope_spans.add()
    scope.scope.name = "agenttrace.langgraph"
    scope.scope.version = "1"
    now = time.time_ns()
    for number in range(SPANS):
        place = number % SPANS_PER_TRACE
        if place == 0:
            trace_id = secrets.token_bytes(16)
            parent = b""
            trace_number += 1
        span = scope.spans.add()
        span.trace_id = trace_id
        span.span_id = secrets.token_bytes(8)
        span.parent_span_id = parent
        span.kind = Span.SPAN_KIND_INTERNAL
        span.start_time_unix_nano = now + number * 1000
        span.end_time_unix_nano = now + number * 1000 + 50_000_000
        agent = AGENTS[place % 4]
        if place == 0:
            span.name = "research team"
            _set(span.attributes, "gen_ai.operation.name", "invoke_workflow")
            parent = span.span_id
        elif place % 3 == 0:
            span.name = "chat gpt-4o-mini"
            _set(span.attributes, "gen_ai.operation.name", "chat")
            _set(span.attributes, "gen_ai.request.model", "gpt-4o-mini")
            _set(span.attributes, "gen_ai.usage.input_tokens", 420 + place)
            _set(span.attributes, "gen_ai.usage.output_tokens", 60 + place)
        else:
            span.name = f"invoke_agent {agent}"
            _set(span.attributes, "gen_ai.operation.name", "invoke_agent")
        _set(span.attributes, "gen_ai.agent.name", agent)
        _set(span.attributes, "gen_ai.conversation.id", f"session-{trace_number}")
        _set(span.attributes, "gen_ai.provider.name", "openai")
        _set(span.attributes, "agenttrace.framework", "langgraph")
        _set(span.attributes, "agenttrace.input", f"{trace_number}/{place}: {TEXT}")
        said = f"{place}/{trace_number}: {TEXT} {TEXT[:120]}"
        if place % 3 == 1:
            _say(span, agent, AGENTS[(place + 1) % 4], said)
        else:
            _set(span.attributes, "agenttrace.output", said)
    return message.SerializeToString()


def _say(span: Span, sender: str, recipient: str, content: str) -> None:
    """Have an agent hand on what it did, as the plugins record it."""
    event = span.events.add()
    event.name = "agenttrace.message"
    event.time_unix_nano = span.end_time_unix_nano
    _set(event.attributes, "agenttrace.message.id", secrets.token_hex(8))
    _set(event.attributes, "agenttrace.message.sender", sender)
    _set(event.attributes, "agenttrace.message.recipient", recipient)
    _set(event.attributes, "agenttrace.message.type", "handoff")
    _set(event.attributes, "agenttrace.message.content", content)


def _set(attributes: object, key: str, value: str | int) -> None:
    attribute = attributes.add()  # type: ignore[attr-defined]
    attribute.key = key
    if isinstance(value, str):
        attribute.value.string_value = value
    else:
        attribute.value.int_value = value


def bodies(requests: int) -> list[bytes]:
    """Return so many requests, each of traces of its own."""
    return [request(number * SPANS) for number in range(requests)]


class Load:
    """Connections that send bodies made before the clock, each once.

    With a `rate`, of spans a second over all connections, no faster than that.
    """

    def __init__(self, url: str, seconds: float, rate: float | None = None) -> None:
        self._address = urlsplit(url)
        self._seconds = seconds
        self._rate = rate
        self._lock = threading.Lock()
        self._next = count()
        self.accepted = 0
        self.latencies: list[float] = []

    def send(self, bodies: list[bytes]) -> float:
        """Send until the time is over or the bodies are used up; return how long it took."""
        self._began = time.monotonic()
        threads = [threading.Thread(target=self._work, args=(bodies,)) for _ in range(CONNECTIONS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return time.monotonic() - self._began

    def _work(self, bodies: list[bytes]) -> None:
        headers = {"Content-Type": "application/x-protobuf"}
        with closing(HTTPConnection(self._address.hostname or "", self._address.port or 0)) as http:
            while (number := next(self._next)) < len(bodies):
                due = (
                    self._began if self._rate is None else self._began + number * SPANS / self._rate
                )
                time.sleep(max(0.0, due - time.monotonic()))
                began = time.monotonic()
                if began > self._began + self._seconds:
                    return
                http.request("POST", "/v1/traces", bodies[number], headers)
                response = http.getresponse()
                body = response.read()
                if response.status != 200 or body:
                    raise SystemExit(f"refused: {response.status} {body!r}")
                with self._lock:
                    self.accepted += SPANS
                    self.latencies.append(time.monotonic() - began)


RECEIVER = """
import sys, uvicorn
from agenttrace_server.app import create_app
from agenttrace_server.garbage import collect_less
from agenttrace_server.settings import Settings
config = uvicorn.Config(create_app(Settings()), port=0, log_level="info", access_log=False)
collect_less()
uvicorn.Server(config).run()
"""


class Server:
    """A server process under load: where it is and what it takes."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process
        self.url = _url(process)

    @property
    def pid(self) -> int:
        """The id of the process."""
        return self._process.pid

    def memory(self) -> float:
        """Megabytes that it and the processes it started keep; what they share counts once."""
        kept = 0
        for pid in _family(self._process.pid):
            shares = Path(f"/proc/{pid}/smaps_rollup")
            found = re.search(r"Pss:\s+(\d+)", shares.read_text()) if shares.exists() else None
            kept += int(found[1]) if found else 0
        return kept / 1024

    def cpu_seconds(self) -> float:
        """Processor time that it took so far."""
        stat = Path(f"/proc/{self._process.pid}/stat")
        if not stat.exists():
            return 0.0
        fields = stat.read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _family(pid: int) -> Iterator[int]:
    """The process and all it started that still run."""
    yield pid
    for children in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in children.read_text().split():
            yield from _family(int(child))


@contextmanager
def running(database_url: str, *, analysis: bool) -> Iterator[Server]:
    """Run the receiver alone, or all of `agenttrace serve`, in a process of its own."""
    environment = {
        **os.environ,
        "AGENTTRACE_DATABASE_URL": database_url,
        "LOG_LEVEL": "WARNING",
        "AGENTTRACE_BUILD_UI": "0",
        "AGENTTRACE_GRPC_PORT": "0",
    }
    whole = ["-m", "agenttrace_server", "serve", "--port", "0"]
    command = [sys.executable, *(whole if analysis else ["-c", RECEIVER])]
    process = subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True)
    try:
        yield Server(process)
    finally:
        process.terminate()
        process.wait()


def _url(process: "subprocess.Popen[str]") -> str:
    assert process.stderr is not None
    for line in process.stderr:
        if found := re.search(r"http://[\d.]+:\d+", line):
            threading.Thread(target=process.stderr.read, daemon=True).start()
            return found[0]
    raise SystemExit("the server did not start")
