"""Open and close the spans of runs, so that none is left open and no map keeps what has ended."""

from asyncio import CancelledError
from collections.abc import Iterator, Mapping
from concurrent.futures import CancelledError as FutureCancelled
from contextlib import contextmanager
from typing import Any, TypeVar, cast
from uuid import UUID

from langgraph.errors import GraphBubbleUp, GraphInterrupt, ParentCommand
from opentelemetry import context as otel
from opentelemetry.trace import SpanKind, Status, StatusCode, set_span_in_context

from agenttrace import payload, sdk, semconv
from agenttrace.errors import ReplayError
from agenttrace.models import USER
from agenttrace.serialise import describe
from agenttrace_langgraph import turns
from agenttrace_langgraph.roles import Path
from agenttrace_langgraph.runs import Decision, Graph, Root, Run

SCOPE = "agenttrace.langgraph"
FRAMEWORK = "langgraph"
STOPPED = "agenttrace.langgraph.stopped"
"""Why a run ended before its end, where that is no error: interrupt, command, break, cancelled."""

_INSIDE = otel.create_key("agenttrace-langgraph-span")
_DECISION = otel.create_key("agenttrace-langgraph-decision")
_R = TypeVar("_R", bound=Run)


def caller() -> str:
    """The agent at work in the current context, of whichever framework; the user if none is."""
    return str(otel.get_value(semconv.CONTEXT_AGENT) or USER)


def decided() -> Decision | None:
    """Where the answer of the call in the current context comes from; None outside of replays."""
    found = otel.get_value(_DECISION)
    return found if isinstance(found, Decision) else None


@contextmanager
def deciding(decision: Decision) -> Iterator[None]:
    """Let a decision hold for what runs inside: calls of a batch share one context."""
    previous = otel.get_current()
    otel.attach(otel.set_value(_DECISION, decision))
    try:
        yield
    finally:
        otel.attach(previous)


def graph_around(run: Run) -> Graph | None:
    """Return the graph a part of this run belongs to."""
    return run if isinstance(run, Graph) else run.within


class Spans:
    """The open runs and their spans."""

    def __init__(self) -> None:
        self.runs: dict[UUID, Run] = {}
        """Open runs by run id; a run folded into another is there under its own id too."""

    def parent(self, run_id: UUID | None) -> Run | None:
        """Return the open run with this id."""
        return self.runs.get(run_id) if run_id else None

    def open(
        self,
        run_id: UUID,
        parent: Run | None,
        title: str,
        attributes: Mapping[str, Any],
        *,
        kind: type[_R] = Run,  # type: ignore[assignment]
        span_kind: SpanKind = SpanKind.INTERNAL,
        names: Mapping[Path, str] | None = None,
        **fields: Any,
    ) -> _R:
        """Start a span under its parent run's, and keep the run.

        Without a parent run the span continues whatever trace is current. With one, the current
        context is trusted only if it was made inside that run: then a span of the app's own may lie
        between the two.
        """
        current = otel.get_current()
        inside = otel.get_value(_INSIDE, current)
        base = current if parent is None or inside == parent.key else parent.context
        tracer = sdk.tracer(SCOPE) if parent is None else parent.root.tracer
        span = tracer.start_span(
            title,
            base,
            kind=span_kind,
            attributes={semconv.AGENTTRACE_FRAMEWORK: FRAMEWORK, **attributes},
        )
        key = span.get_span_context().span_id
        values: dict[str, Any] = {**set_span_in_context(span, base), _INSIDE: key}
        if agent := fields.get("agent"):
            values[semconv.CONTEXT_AGENT] = agent
        context = otel.Context(values)
        if parent is not None:
            for field in ("agent", "received", "namespace", "path", "speaker"):
                fields.setdefault(field, getattr(parent, field))
            fields["within"] = graph_around(parent)
        run = kind(
            run_id=run_id,
            root=parent.root if parent is not None else Root(names or {}, run_id, tracer),
            span=span,
            context=context,
            key=key,
            **fields,
        )
        self.keep(run)
        return run

    def decide(self, run: Run, decision: Decision) -> None:
        """Keep where a call's answer comes from, and let the call's own context tell."""
        run.decision = decision
        run.context = otel.Context({**run.context, _DECISION: decision})

    def keep(self, run: Run) -> None:
        """Make a run findable, until it or the whole it belongs to ends."""
        self.runs[run.run_id] = run
        run.root.open.add(run.run_id)

    def fold(self, run_id: UUID, parent: Run) -> None:
        """Let what a run starts be its parent's: the run itself is not worth showing."""
        self.runs[run_id] = parent
        parent.root.open.add(run_id)

    def attach(self, run: Run) -> None:
        """Make the run's span the current one, for spans that are not ours."""
        run.previous = otel.get_current()
        otel.attach(run.context)
        run.attached = True

    def detach(self, run: Run) -> None:
        """Make current again what was before; unlike a token this works in any context."""
        if run.attached and run.previous is not None:
            run.attached = False
            otel.attach(run.previous)
            run.previous = None

    def end(self, run_id: UUID, outputs: Any, error: BaseException | None) -> None:
        """End a run: its span, and if it is a whole, everything still open in it."""
        run = self.runs.get(run_id)
        if run is None:
            return
        if run.run_id != run_id:  # folded
            if isinstance(error, GraphInterrupt):
                _ask(run, error)
            self._forget(run_id, run)
            return
        try:
            if isinstance(error, GraphInterrupt):
                _ask(run, error)
            if run.conclude is not None:
                run.conclude(outputs, error)
        finally:
            self.close(run, error)

    def close(self, run: Run, error: BaseException | None) -> None:
        """End the run's own span, put the context back and forget the run."""
        self._forget(run.run_id, run)
        if run.owns:
            _finish(run, error)
        self.detach(run)
        run.conclude = None
        if run.run_id == run.root.run_id:
            self._sweep(run.root)

    def _forget(self, run_id: UUID, run: Run) -> None:
        self.runs.pop(run_id, None)
        run.root.open.discard(run_id)

    def _sweep(self, root: Root) -> None:
        """End what a cancelled or abandoned run left behind: its callbacks may never come."""
        for run_id in list(root.open):
            run = self.runs.pop(run_id, None)
            root.open.discard(run_id)
            if run is not None and run.run_id == run_id and run.owns:
                run.span.set_attribute(STOPPED, "left open")
                run.span.end()


def stopped_by(error: BaseException) -> str | None:
    """Return what an exception that is control flow means, None for a real error."""
    if isinstance(error, GraphInterrupt):
        return "interrupt"
    if isinstance(error, ParentCommand):
        return "command"
    # One that stops a replay only goes LangGraph's way out.
    if isinstance(error, GraphBubbleUp) and not isinstance(error, ReplayError):
        return type(error).__name__
    if isinstance(error, GeneratorExit):
        return "break"
    if isinstance(error, (CancelledError, FutureCancelled)):
        return "cancelled"
    return None


def _finish(run: Run, error: BaseException | None) -> None:
    span = run.span
    if error is not None:
        if stopped := stopped_by(error):
            span.set_attribute(STOPPED, stopped)
        else:
            kind = type(error)
            span.set_attribute(semconv.ERROR_TYPE, f"{kind.__module__}.{kind.__qualname__}")
            span.record_exception(error)
            span.set_status(Status(StatusCode.ERROR, describe(error)[:1000]))
    span.end()


def _ask(run: Run, error: GraphInterrupt) -> None:
    interrupts = error.args[0] if error.args else ()
    turns.ask_user(run.span, run.agent, cast(Any, interrupts), run.root.asked, run.received)


def remember_input(run: Run, value: Any) -> None:
    """Keep what a run was given."""
    payload.defer(run.span, semconv.AGENTTRACE_INPUT, value)


def remember_output(run: Run, value: Any) -> None:
    """Keep what a run gave back."""
    payload.defer(run.span, semconv.AGENTTRACE_OUTPUT, value)
