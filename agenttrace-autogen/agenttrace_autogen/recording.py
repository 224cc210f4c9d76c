"""What is at work right now: the run, turn or call that new spans and messages belong to.

A scope travels in the OpenTelemetry context, so tasks inherit it as they inherit the current span;
there is no table of runs by id.
"""

import asyncio
import logging
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from time import time_ns
from typing import Any, TypeVar, cast

from opentelemetry import context as otel_context
from opentelemetry.context import Context
from opentelemetry.trace import (
    Link,
    Span,
    SpanKind,
    Status,
    StatusCode,
    set_span_in_context,
)

from agenttrace import sdk, semconv
from agenttrace.models import USER
from agenttrace.serialise import describe

log = logging.getLogger("agenttrace.autogen")

FRAMEWORK = "autogen"
SCOPE = "agenttrace.autogen"

_SCOPE = otel_context.create_key("agenttrace-autogen-scope")

_GROUP_CHAT_EVENTS = "autogen_agentchat.teams._group_chat._events"

T = TypeVar("T")


@dataclass(slots=True, eq=False)
class Scope:
    """Something that has begun: its span, and the scope it happens in.

    `holds` counts the reasons to keep the span open after its work is done (a message that is
    waiting for its addressee); the span still ends at `done_ns`.
    """

    span: Span
    outer: "Scope | None" = None
    holds: int = 0
    done_ns: int | None = None

    def enclosing(self) -> "Iterator[Scope]":
        """This scope, the one it happens in, and so on."""
        scope: Scope | None = self
        while scope is not None:
            yield scope
            scope = scope.outer


@dataclass(slots=True, eq=False)
class Run(Scope):
    """A team at work, or a bare runtime; `caller` is the agent that called it, or the user."""

    caller: str = USER


@dataclass(slots=True, eq=False)
class Turn(Scope):
    """An agent at work. `received` is the id of the last message it got."""

    agent: str = ""
    subject: Any = None
    received: str | None = None


@dataclass(slots=True, eq=False)
class Call(Scope):
    """A model or tool call. `layer` is how near to the tool's own code the call was seen."""

    name: str = ""
    layer: int = 0
    facts: dict[str, Any] = field(default_factory=dict)


def current() -> Scope | None:
    """The innermost scope at work in this task, if any."""
    return cast("Scope | None", otel_context.get_value(_SCOPE))


def scope_in(context: Context) -> Scope | None:
    """The innermost scope that was at work where `context` was taken."""
    return cast("Scope | None", otel_context.get_value(_SCOPE, context))


def caller(context: Context | None = None) -> str:
    """The agent at work, of whichever framework; the user if none is."""
    return str(otel_context.get_value(semconv.CONTEXT_AGENT, context) or USER)


def nearest(scope: Scope | None, kind: type[T]) -> T | None:
    """The innermost scope of a kind among `scope` and what it happens in."""
    if scope is None:
        return None
    return next((s for s in scope.enclosing() if isinstance(s, kind)), None)


def inside(scope: Scope, base: Context | None = None) -> Context:
    """Return `base` (the current context) with this scope at work in it."""
    context = otel_context.set_value(_SCOPE, scope, set_span_in_context(scope.span, base))
    if isinstance(scope, Turn):
        return otel_context.set_value(semconv.CONTEXT_AGENT, scope.agent, context)
    if isinstance(scope, Run):
        agent = None if scope.caller == USER else scope.caller
        return otel_context.set_value(semconv.CONTEXT_AGENT, agent, context)
    return context


def runs_group_chat(message: Any) -> bool:
    """Whether this is one of the messages by which AgentChat runs a team, nobody's own words."""
    return type(message).__module__ == _GROUP_CHAT_EVENTS


class Recorder:
    """Starts and ends spans, and knows which are open."""

    def __init__(self) -> None:
        self._open: dict[int, Scope] = {}
        self._starting = threading.local()
        self._complained: set[str] = set()

    def sizes(self) -> dict[str, int]:
        """How many scopes of each kind are open now; empty when nothing is at work."""
        return dict(Counter(type(scope).__name__ for scope in list(self._open.values())))

    def span(
        self,
        name: str,
        attributes: Mapping[str, Any],
        context: Context | None = None,
        kind: SpanKind = SpanKind.INTERNAL,
        links: Sequence[Link] = (),
    ) -> Span:
        """Start a span under the current one, or the one in `context`."""
        found = {key: value for key, value in attributes.items() if value is not None}
        found[semconv.AGENTTRACE_FRAMEWORK] = FRAMEWORK
        return sdk.tracer(SCOPE).start_span(
            name, context=context, kind=kind, attributes=found, links=links
        )

    def begin(self, scope: T) -> T:
        """Remember a scope as open; return it."""
        self._open[id(scope)] = cast(Scope, scope)
        opened: list[Scope] | None = getattr(self._starting, "scopes", None)
        if opened is not None:
            opened.append(cast(Scope, scope))
        return scope

    def end(self, scope: Scope, error: BaseException | None = None) -> None:
        """Close a scope; its span ends now, or with this time once nothing holds it."""
        if error is not None and not is_control_flow(error):
            failed(scope.span, error)
        if scope.holds > 0:
            scope.done_ns = time_ns()
            return
        self.close(scope)

    def hold(self, scope: Scope) -> None:
        """Keep a scope's span open although its work may be done."""
        scope.holds += 1

    def release(self, scope: Scope) -> None:
        """Undo one `hold`."""
        scope.holds -= 1
        if scope.holds <= 0 and scope.done_ns is not None:
            self.close(scope)

    def clear(self) -> None:
        """Close everything that is open."""
        for scope in reversed(list(self._open.values())):
            self.close(scope)

    def quietly(self, act: Callable[..., T], *args: Any, **kwargs: Any) -> T | None:
        """Call `act`; if it raises, log that once and return None: recording breaks no run."""
        try:
            return act(*args, **kwargs)
        except Exception:  # noqa: BLE001 - recording never breaks the run
            self.complain(getattr(act, "__qualname__", str(act)))
            return None

    def started(self, begin: Callable[..., T], *args: Any, **kwargs: Any) -> T | None:
        """Call `begin`; if it raises, close what it had opened, and return None."""
        opened: list[Scope] = []
        self._starting.scopes = opened
        try:
            return begin(*args, **kwargs)
        except Exception:  # noqa: BLE001 - recording never breaks the run
            self.complain(getattr(begin, "__qualname__", str(begin)))
            for scope in opened:
                self.close(scope)
            return None
        finally:
            self._starting.scopes = None

    def complain(self, doing: str) -> None:
        """Log the current exception, once for each thing that can fail."""
        if doing not in self._complained:
            self._complained.add(doing)
            log.exception("AgentTrace failed in %s; the run goes on", doing)

    def close(self, scope: Scope) -> None:
        """End a scope's span, held or not. Does nothing the second time."""
        if self._open.pop(id(scope), None) is not None:
            try:
                scope.span.end(scope.done_ns)
            except Exception:  # noqa: BLE001 - a span processor of the app can raise
                self.complain("ending a span")


def is_control_flow(error: BaseException) -> bool:
    """Whether this ends work early without anything having gone wrong: cancellation, a break."""
    return isinstance(error, (asyncio.CancelledError, GeneratorExit, KeyboardInterrupt))


def failed(span: Span, error: BaseException) -> None:
    """Mark a span as failed with what was raised in it."""
    fail(span, type(error).__name__, describe(error).removeprefix(f"{type(error).__qualname__}: "))
    try:
        span.record_exception(cast(Exception, error))
    except Exception:  # noqa: BLE001 - an exception's own code can raise as well
        log.debug("An exception of type %s cannot be recorded", type(error).__qualname__)


def fail(span: Span, kind: str, description: str) -> None:
    """Mark a span as failed where nothing was raised."""
    span.set_attribute(semconv.ERROR_TYPE, kind)
    span.set_status(Status(StatusCode.ERROR, description or kind))
