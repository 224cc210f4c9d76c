"""Keep the spans of CrewAI events that have started and not yet ended."""

import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from opentelemetry import context as otel_context
from opentelemetry import trace as otel_trace
from opentelemetry.context import Context
from opentelemetry.trace import Span, Status, StatusCode, Tracer

from agenttrace import semconv


@dataclass(slots=True, eq=False)
class Open:
    """A CrewAI scope that has started: its span, and what the conversation needs to know of it.

    `agent` is the role whose work this is, `received` the last message that agent got during it.
    `folded` scopes share their parent's span; `held` ones are ended by whoever opened them;
    `background` ones go on when what started them has ended.
    """

    event_id: str
    type: str
    span: Span
    source: Any
    parent: "Open | None"
    previous: Context
    agent: str | None = None
    folded: bool = False
    held: bool = False
    background: bool = False
    received: str | None = None
    facts: dict[str, Any] = field(default_factory=dict)
    children: "dict[str, Open]" = field(default_factory=dict)
    aliases: list[str] = field(default_factory=list)

    def enclosing(self) -> "Iterator[Open]":
        """This scope, its parent, and so on."""
        scope: Open | None = self
        while scope is not None:
            yield scope
            scope = scope.parent

    def nearest(self, *types: str) -> "Open | None":
        """The innermost scope of one of these types, this one included."""
        return next((scope for scope in self.enclosing() if scope.type in types), None)

    def nearest_agent(self) -> "Open | None":
        """The innermost scope that is an agent's turn, this one included."""
        return self.nearest("agent_execution_started", "lite_agent_execution_started")


class Recording:
    """Every scope that is open in this process, by the id of the event that started it."""

    def __init__(self, tracer: Tracer) -> None:
        self._tracer = tracer
        self._open: dict[str, Open] = {}
        self._lock = threading.RLock()

    def __len__(self) -> int:
        return len(self._open)

    def get(self, event_id: str | None) -> Open | None:
        """The open scope that this event started, if any."""
        return self._open.get(event_id) if event_id else None

    def find(self, type_: str, source: Any) -> Open | None:
        """The newest open scope of this type and source: for ends whose start CrewAI mixed up."""
        with self._lock:
            scopes = list(self._open.values())
        return next((s for s in reversed(scopes) if s.type == type_ and s.source is source), None)

    def start(
        self,
        event_id: str,
        type_: str,
        source: Any,
        parent: Open | None,
        name: str,
        attributes: Mapping[str, Any],
        agent: str | None = None,
        background: bool = False,
    ) -> Open:
        """Open a scope with a span of its own, and make that span the current one."""
        previous = otel_context.get_current()
        base = _parent_context(parent, previous)
        clean = {key: value for key, value in attributes.items() if value is not None}
        span = self._tracer.start_span(name, context=base, attributes=clean)
        scope = Open(event_id, type_, span, source, parent, previous, agent)
        scope.background = background
        if agent is None and parent is not None:
            scope.agent = parent.agent
        context = otel_trace.set_span_in_context(span, previous)
        if agent is not None:
            context = otel_context.set_value(semconv.CONTEXT_AGENT, agent, context)
        otel_context.attach(context)
        return self._add(scope)

    def fold(self, event_id: str, type_: str, source: Any, parent: Open) -> Open:
        """Open a scope that is no step of its own: what happens in it belongs to its parent."""
        scope = Open(event_id, type_, parent.span, source, parent, otel_context.get_current())
        scope.agent, scope.folded = parent.agent, True
        return self._add(scope)

    def alias(self, event_id: str, scope: Open) -> None:
        """Let this event, too, stand for an open scope."""
        with self._lock:
            self._open[event_id] = scope
            scope.aliases.append(event_id)

    def end(self, scope: Open, error: str | None = None) -> None:
        """Close a scope and whatever was left open in it; the caller's span is current again."""
        with self._lock:
            for event_id in (scope.event_id, *scope.aliases):
                self._open.pop(event_id, None)
            if scope.parent is not None:
                scope.parent.children.pop(scope.event_id, None)
            left = list(scope.children.values())
        for child in left:
            self.end(child)
        if scope.folded:
            return
        if error is not None:
            scope.span.set_status(Status(StatusCode.ERROR, error))
        scope.span.end()
        # Attaching what was current before, instead of detaching a token, never raises, whichever
        # thread or task the end comes from.
        if otel_trace.get_current_span() is scope.span:
            otel_context.attach(scope.previous)

    def abandon(self, source: Any) -> None:
        """Close what this crew or flow left open: it was cancelled, so CrewAI sends no end."""
        with self._lock:
            left = [s for s in self._open.values() if s.source is source and not s.held]
        for scope in left:
            self.end(scope)

    def clear(self) -> None:
        """Close everything."""
        with self._lock:
            left = list(self._open.values())
        for scope in left:
            if scope.event_id in self._open:
                self.end(scope)

    def _add(self, scope: Open) -> Open:
        with self._lock:
            self._open[scope.event_id] = scope
            if scope.parent is not None and not scope.background:
                scope.parent.children[scope.event_id] = scope
        return scope


def _parent_context(parent: Open | None, current: Context) -> Context:
    """Where a new span hangs: under its CrewAI parent, or under a span the user opened in that."""
    if parent is None:
        return current
    ambient = otel_trace.get_current_span(current)
    inside = (
        ambient is not parent.span
        and ambient.is_recording()
        and ambient.get_span_context().trace_id == parent.span.get_span_context().trace_id
        and getattr(ambient, "start_time", 0) >= getattr(parent.span, "start_time", 0)
        and not str(
            getattr(getattr(ambient, "instrumentation_scope", None), "name", "")
        ).startswith("agenttrace.crewai")
    )
    return current if inside else otel_trace.set_span_in_context(parent.span, current)
