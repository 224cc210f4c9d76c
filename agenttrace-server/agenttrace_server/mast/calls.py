"""The calls of a trace, by who made them: what failed in a row, and what came after."""

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property

from agenttrace.models import Span, Trace
from agenttrace_server.mast import signs

STORM_GAP_NS = 30 * 10**9
"""Longest pause between two calls that still belong to one storm."""

Errors = list[tuple[Span, str]]
"""Failed calls with their errors, in start order."""


def by_caller(trace: Trace, spans: Iterable[Span]) -> Iterable[list[Span]]:
    """Group calls of one tool or model by one agent, in start order."""
    calls: dict[tuple[str | None, str, str | None], list[Span]] = {}
    for span in spans:
        calls.setdefault((trace.agent_of(span), span.kind, _thing(span)), []).append(span)
    return calls.values()


def error_runs(calls: Sequence[Span]) -> Iterator[Errors]:
    """Yield each unbroken row of failed calls."""
    row: Errors = []
    for span in calls:
        error = signs.tool_error(span) if span.kind == "tool" else None
        if error is None and signs.failed(span):
            error = signs.error_text(span)
        if error is not None:
            row.append((span, error))
        elif row:
            yield row
            row = []
    if row:
        yield row


def last_errors(calls: Sequence[Span]) -> Errors:
    """Return the row of failed calls that no success follows, if there is one."""
    runs = list(error_runs(calls))
    return runs[-1] if runs and runs[-1][-1][0] is calls[-1] else []


def storm(errors: Errors) -> Errors:
    """Return the longest part of a row in which each call came soon after the one before."""
    longest: Errors = []
    current: Errors = []
    for span, error in errors:
        if current and span.start_ns - current[-1][0].end_ns > STORM_GAP_NS:
            current = []
        current.append((span, error))
        if len(current) >= len(longest):
            longest = current
    return longest


def last_of_each_agent(trace: Trace, spans: Iterable[Span]) -> Iterable[Span]:
    """Return the last of these spans for each agent: whatever came before, it got over."""
    return {trace.agent_of(span): span for span in spans}.values()


class Later:
    """Answers what an agent did after a span; looks through the trace once, when first asked."""

    def __init__(self, trace: Trace) -> None:
        self._trace = trace

    @cached_property
    def _spans(self) -> dict[str | None, list[Span]]:
        """The spans of each agent, in start order."""
        found: dict[str | None, list[Span]] = {}
        for span in self._trace.spans:
            found.setdefault(self._trace.agent_of(span), []).append(span)
        return found

    @cached_property
    def _starts(self) -> dict[str | None, list[int]]:
        return {owner: [span.start_ns for span in spans] for owner, spans in self._spans.items()}

    @cached_property
    def _worked(self) -> dict[tuple[str | None, str, str | None], int]:
        """When each agent last did a thing that did not fail."""
        return {
            (owner, span.kind, _doing(span)): span.start_ns
            for owner, spans in self._spans.items()
            for span in spans
            if not signs.failed(span)
        }

    def worked(self, span: Span) -> bool:
        """Say whether the same agent did the same thing again, and it did not fail."""
        key = (self._trace.agent_of(span), span.kind, _doing(span))
        return self._worked.get(key, -1) >= span.start_ns

    def next_words(self, span: Span) -> str | None:
        """Return what the agent said next, or None if it went about the error in some way."""
        owner = self._trace.agent_of(span)
        above = (a for a in self._trace.ancestors(span) if a.kind in ("agent", "workflow"))
        agent = next(above, None)
        if owner is None or (agent is not None and signs.failed(agent)):
            return None
        spans = self._spans[owner]
        for index in range(bisect_left(self._starts[owner], span.end_ns), len(spans)):
            later = spans[index]
            if later.kind in ("tool", "handoff", "retriever") or signs.failed(later):
                return None
            if later.kind == "llm":
                # A tool call instead of words: it tries something else.
                return None if signs.tool_calls(later) else signs.answer(later) or None
        return None


def _thing(span: Span) -> str | None:
    return span.tool or span.name if span.kind == "tool" else span.model


def _doing(span: Span) -> str | None:
    """Name what is done, to know it again; for a model call, any other one will do."""
    return None if span.kind == "llm" else _thing(span) if span.kind == "tool" else span.name
