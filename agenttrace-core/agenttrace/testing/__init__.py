"""What plugin authors test with: traces from builders, a check of normalizers, captured spans.

    from agenttrace.testing import agent, build, llm, workflow

    trace = build(
        workflow("team", agent("planner", llm("a plan"), sends="coder"), agent("coder"), input="go")
    )

    assert [m.recipient for m in trace.messages] == ["planner", "coder", "user"]

Needs no test framework: what fails raises `AssertionError`.
"""

from agenttrace.testing.builders import (
    Node,
    agent,
    build,
    checkpoint,
    derive,
    handoff,
    llm,
    message,
    raw_span,
    raw_spans,
    retriever,
    span,
    tool,
    workflow,
)
from agenttrace.testing.captured import InMemoryExporter, raw_of
from agenttrace.testing.contract import check_normalizer, odd_spans

__all__ = [
    "InMemoryExporter",
    "Node",
    "agent",
    "build",
    "check_normalizer",
    "checkpoint",
    "derive",
    "handoff",
    "llm",
    "message",
    "odd_spans",
    "raw_of",
    "raw_span",
    "raw_spans",
    "retriever",
    "span",
    "tool",
    "workflow",
]
