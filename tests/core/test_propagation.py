import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from opentelemetry.trace import get_current_span

import agenttrace
from agenttrace import AgentTracer
from agenttrace.testing import InMemoryExporter
from support.collector import Collector

PARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


def test_headers_carry_the_current_span(recorded: InMemoryExporter) -> None:
    assert agenttrace.trace_headers() == {}

    with AgentTracer("x").workflow("run") as run:
        headers = agenttrace.trace_headers()

    context = run.span.get_span_context()
    expected = f"00-{context.trace_id:032x}-{context.span_id:016x}-{context.trace_flags:02x}"
    assert headers["traceparent"] == expected


@pytest.mark.parametrize(
    "headers", [{"TraceParent": PARENT}, {b"traceparent": PARENT.encode(), b"accept": b"*/*"}]
)
def test_a_trace_is_continued_from_headers_in_any_case_and_as_bytes(
    recorded: InMemoryExporter, headers: dict[str, str]
) -> None:
    with agenttrace.continue_trace(headers):
        AgentTracer("x").agent(len)("abc")
    agenttrace.flush()

    [span] = recorded.raw_spans()
    assert (span.trace_id, span.parent_id) == (PARENT[3:35], PARENT[36:52])
    assert not get_current_span().get_span_context().is_valid


def test_without_usable_headers_a_trace_begins(recorded: InMemoryExporter) -> None:
    for headers in ({}, {"traceparent": "nonsense"}, {"traceparent": PARENT.replace("00-4", "ff")}):
        with agenttrace.continue_trace(headers):
            AgentTracer("x").agent(len)("abc")
    agenttrace.flush()

    assert len({span.trace_id for span in recorded.raw_spans()}) == 3
    assert {span.parent_id for span in recorded.raw_spans()} == {None}


def test_the_environment_for_a_child_has_the_current_span_and_no_other(
    recorded: InMemoryExporter,
) -> None:
    stale = {"TRACEPARENT": PARENT, "PATH": "/bin"}
    assert agenttrace.child_environment(stale) == {"PATH": "/bin"}

    with AgentTracer("x").workflow("run"):
        environment = agenttrace.child_environment(stale)

    assert environment["PATH"] == "/bin"
    assert environment["TRACEPARENT"] != PARENT


def test_agents_in_several_processes_make_one_trace(receiver: Collector, tmp_path: Path) -> None:
    """A server process that gets headers, and a child process that gets variables."""
    (tmp_path / "remote.py").write_text(
        textwrap.dedent("""
        import sys, agenttrace
        agenttrace.instrument(frameworks=[])
        tracer = agenttrace.AgentTracer("remote")
        headers = {"traceparent": sys.argv[1]} if len(sys.argv) > 1 else None
        if headers:
            with agenttrace.continue_trace(headers), tracer.agent("by headers"):
                pass
        else:
            with tracer.agent("by environment"):
                pass
        """)
    )
    (tmp_path / "main.py").write_text(
        textwrap.dedent("""
        import os, subprocess, sys, agenttrace
        agenttrace.instrument(frameworks=[])
        remote = [sys.executable, "remote.py"]
        with agenttrace.AgentTracer("main").workflow("run"):
            subprocess.run(remote, env=agenttrace.child_environment(), check=True)
            subprocess.run([*remote, agenttrace.trace_headers()["traceparent"]], check=True)
        """)
    )
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("OTEL_", "TRACE"))}

    subprocess.run(
        [sys.executable, "main.py"],
        cwd=tmp_path,
        env={**environment, "OTEL_EXPORTER_OTLP_ENDPOINT": receiver.url},
        check=True,
        timeout=60,
    )

    spans = receiver.named
    root = spans["invoke_workflow run"]
    assert len(spans) == 3
    for name in ("invoke_agent by environment", "invoke_agent by headers"):
        assert spans[name].trace_id == root.trace_id
        assert spans[name].parent_span_id == root.span_id
