"""Keep what a span carries by reference now, and turn it into text when the span is exported.

Serialising is most of what tracing costs, so it does not happen inside the traced program:
`defer`, `message` and `checkpoint` take a shallow copy, `materialise` does the work on the
exporter's thread. What was kept lives and dies with its span; there is no table to leak.
"""

import os
from collections.abc import Callable, Mapping, Sequence
from time import time_ns
from typing import TYPE_CHECKING, Any, TypeAlias

from opentelemetry.trace import Span

from agenttrace import semconv
from agenttrace.errors import AgentTraceError
from agenttrace.identity import HASHED, cause_hash, input_hash, text_hash
from agenttrace.models import MessageType
from agenttrace.serialise import LIMIT, Lazy, cut, describe, snapshot, to_text

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import ReadableSpan

__all__ = [
    "LIMIT",
    "Lazy",
    "Pending",
    "Redact",
    "answered",
    "called",
    "checkpoint",
    "defer",
    "materialise",
    "message",
    "new_id",
    "texts",
]

Redact: TypeAlias = Callable[[str, str], str]
"""Takes (attribute name, text) and returns the text that may leave the process."""

STATE_LIMIT_FACTOR = 16
"""A state, and a call's exact output, may be this many times as long as another value: cut, they
resume and answer nothing."""

_SLOT = "_agenttrace_pending"


class Pending:
    """What one span still has to turn into text: attributes, and events with their time."""

    __slots__ = ("attributes", "events")

    def __init__(self) -> None:
        self.attributes: list[tuple[str, Any]] = []
        self.events: list[tuple[int, str, dict[str, Any]]] = []


def new_id() -> str:
    """Return 16 random hex digits, also where the program seeds `random`."""
    return os.urandom(8).hex()


def defer(span: Span, key: str, value: Any) -> None:
    """Make `value` the span's attribute `key`, as text, when the span is exported.

    Built-in containers are copied (shallowly) now; other objects are kept by reference.
    """
    if not span.is_recording():
        return
    pending = _pending(span)
    if pending is None:
        span.set_attribute(key, to_text(value))
    else:
        pending.attributes.append((key, _kept(value)))


def called(
    span: Span, input: Any, *, name: str | None = None, agent: str | None = None, cause: Any = None
) -> None:
    """Record on a model's or tool's span what a replay needs to tell the same call again.

    `input` is all that the answer depends on, `name` the model or tool that is asked (by default
    the one the span is read as), `agent` who asks, `cause` the words that agent is answering. The
    hashes are made on the exporter's thread, of the whole values. A replay passes the same four to
    `Replay.llm` or `Replay.tool`.
    """
    if not span.is_recording():
        return
    span.set_attribute(semconv.AGENTTRACE_CALL_AGENT, agent or "")
    if name is not None:
        span.set_attribute(semconv.AGENTTRACE_CALL_NAME, name)
    _defer_hash(span, semconv.AGENTTRACE_INPUT_HASH, input, input_hash)
    if cause is not None:
        _defer_hash(span, semconv.AGENTTRACE_CALL_CAUSE, cause, cause_hash)


def answered(span: Span, output: Any, exact: Callable[[], str | None] | None = None) -> None:
    """Record on a call's span what a replay answers it with: `output`, which the span has as text.

    `exact` makes the output's text in the framework's own form, or None where the text itself will
    do; it is called on the exporter's thread.
    """
    pending = _pending(span) if span.is_recording() else None
    if pending is not None:
        pending.attributes.append((semconv.AGENTTRACE_OUTPUT_HASH, Answered(_kept(output), exact)))


class Answered:
    """What a replay is to answer a call with, until it is text."""

    __slots__ = ("exact", "output")

    def __init__(self, output: Any, exact: Callable[[], str | None] | None) -> None:
        self.output = output
        self.exact = exact

    def attributes(self, limit: int) -> dict[str, str]:
        """Return the exact output where the span's own text will not do, and the hash of all."""
        try:
            exact = self.exact() if self.exact is not None else None
        except Exception:  # noqa: BLE001 - a framework's serialiser can fail in any way
            return {}  # without a hash it answers nothing
        whole = to_text(self.output, HASHED) if exact is None else exact
        found = {semconv.AGENTTRACE_OUTPUT_HASH: text_hash(whole)}
        if exact is not None or len(whole) > limit:
            found[semconv.AGENTTRACE_OUTPUT_EXACT] = cut(whole, limit * STATE_LIMIT_FACTOR)
        return found


def _defer_hash(span: Span, key: str, value: Any, make: Callable[[Any], str]) -> None:
    kept = _kept(value)
    pending = _pending(span)
    if pending is None:
        span.set_attribute(key, make(kept))
    else:
        pending.attributes.append((key, Lazy(lambda: make(kept))))


def message(
    span: Span,
    *,
    sender: str,
    recipient: str,
    content: Any,
    type: MessageType = "task",
    caused_by: str | None = None,
    audience: Sequence[str] = (),
    message_id: str | None = None,
    at_ns: int | None = None,
) -> str:
    """Record on `span` that `sender` said `content` to `recipient`; return the message's id.

    `at_ns` is when, in Unix nanoseconds: now, unless the recipient became known only later.
    """
    message_id = message_id or new_id()
    attributes: dict[str, Any] = {
        semconv.MESSAGE_ID: message_id,
        semconv.MESSAGE_SENDER: sender,
        semconv.MESSAGE_RECIPIENT: recipient,
        semconv.MESSAGE_TYPE: type,
        semconv.MESSAGE_CONTENT: _kept(content),
    }
    if caused_by:
        attributes[semconv.MESSAGE_CAUSED_BY] = caused_by
    if audience:
        attributes[semconv.MESSAGE_AUDIENCE] = tuple(audience)
    _add_event(span, semconv.MESSAGE_EVENT, attributes, at_ns)
    return message_id


def checkpoint(
    span: Span,
    *,
    checkpoint_id: str,
    label: str,
    state: Any,
    config: Any = None,
    input: Any = None,
    why_not: str | None = None,
    framework: str | None = None,
) -> None:
    """Record on `span` that the run can go back to `state`, unless `why_not` says it cannot.

    `state` is the framework's own serialised form as text, a callable without arguments that makes
    it on the exporter's thread, or any value. `framework` is who can resume it, by default the
    span's.
    """
    attributes: dict[str, Any] = {
        semconv.CHECKPOINT_ID: checkpoint_id,
        semconv.CHECKPOINT_LABEL: label,
        semconv.CHECKPOINT_STATE: Lazy(state) if callable(state) else _kept(state),
    }
    for key, value in (
        (semconv.CHECKPOINT_CONFIG, config),
        (semconv.CHECKPOINT_INPUT, input),
        (semconv.CHECKPOINT_WHY_NOT, why_not),
        (semconv.CHECKPOINT_FRAMEWORK, framework),
    ):
        if value is not None:
            attributes[key] = _kept(value)
    _add_event(span, semconv.CHECKPOINT_EVENT, attributes)


def _kept(value: Any) -> Any:
    try:
        return snapshot(value)
    except Exception:  # noqa: BLE001 - another thread may be changing it: then by reference
        return value


def _add_event(span: Span, name: str, attributes: dict[str, Any], at_ns: int | None = None) -> None:
    if not span.is_recording():
        return
    pending = _pending(span)
    if pending is None:
        span.add_event(name, texts(attributes, LIMIT), at_ns)
    else:
        pending.events.append((at_ns or time_ns(), name, attributes))


def _pending(span: Span) -> Pending | None:
    """Return where the span keeps what is deferred, None for a span that is not the SDK's.

    The SDK hands processors a copy of the span that shares the attributes object, so what hangs on
    that reaches every exporter, and is gone when the span is.
    """
    carrier = getattr(span, "_attributes", None)
    try:
        slots: dict[str, Any] = carrier.__dict__
    except AttributeError:
        return None
    pending: Pending | None = slots.get(_SLOT)
    if pending is None:
        pending = slots.setdefault(_SLOT, Pending())
    return pending


def materialise(
    span: "ReadableSpan", redact: Redact | None = None, limit: int = LIMIT
) -> "ReadableSpan":
    """Return an ended span with everything deferred in it as attributes and events.

    Every text of it is at most about `limit` characters long (a checkpoint's state sixteen times
    that) and has gone through `redact`, or is as recorded where that is None.
    """
    from agenttrace.readable import rebuild

    carrier = getattr(span, "_attributes", None)
    return rebuild(span, getattr(carrier, _SLOT, None), redact, limit)


def texts(attributes: Mapping[str, Any], limit: int) -> dict[str, Any]:
    """Return a deferred event's attributes as OpenTelemetry takes them."""
    return {
        key: list(value) if key == semconv.MESSAGE_AUDIENCE else to_text(value, limit)
        for key, value in attributes.items()
        if key != semconv.CHECKPOINT_STATE
    } | _state(attributes, limit * STATE_LIMIT_FACTOR)


def _state(attributes: Mapping[str, Any], limit: int) -> dict[str, str]:
    if semconv.CHECKPOINT_STATE not in attributes:
        return {}
    state = attributes[semconv.CHECKPOINT_STATE]
    try:
        if isinstance(state, Lazy):
            state = state.make()
    except Exception as error:  # noqa: BLE001 - a framework's serialiser can fail in any way
        own = isinstance(error, AgentTraceError)
        reason = str(error) if own else f"Its state could not be serialised: {describe(error)}"
        return {semconv.CHECKPOINT_STATE: "", semconv.CHECKPOINT_WHY_NOT: reason}
    text = to_text(state, limit)
    found = {semconv.CHECKPOINT_STATE: text}
    if len(text) > limit:
        found[semconv.CHECKPOINT_WHY_NOT] = f"Its state is longer than {limit} characters"
    return found
