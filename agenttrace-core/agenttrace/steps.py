"""One recorded step of a program: its span, its place in the context, how it ended."""

import logging
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Literal, TypeAlias

from opentelemetry.context import Context, attach, get_current, get_value, set_value
from opentelemetry.trace import Span, SpanKind, Status, StatusCode, set_span_in_context
from opentelemetry.util.types import AttributeValue

from agenttrace import payload, sdk, semconv
from agenttrace.serialise import describe
from agenttrace.values import exact, recorded_error, restore

log = logging.getLogger("agenttrace.tracer")

KEPT_ITEMS = 1000
"""How many items of a generator are kept as its output."""

CallKind: TypeAlias = Literal["llm", "tool"]

_OWNER = "agenttrace.owner"


class Step:
    """A step being recorded; what `with tracer.agent(…) as step:` gives.

    None of its methods raises or blocks. Values are kept by reference and serialised later.
    """

    __slots__ = (
        "_asked",
        "_call",
        "_given",
        "_input_key",
        "_items",
        "_output_key",
        "_skipped",
        "context",
        "span",
    )

    def __init__(
        self,
        span: Span,
        context: Context,
        input_key: str,
        output_key: str,
        call: tuple[CallKind, str] | None = None,
    ) -> None:
        self._call = call
        self._given: Any = None
        self._asked = False
        self.span = span
        self.context = context
        self._input_key = input_key
        self._output_key = output_key
        self._items: list[Any] = []
        self._skipped = 0

    def input(self, value: Any) -> None:
        """Record what the step was given: text, or anything that has a form in JSON."""
        _quietly(payload.defer, self.span, self._input_key, value)
        if self._call is not None:
            self._given = value
            agent, cause = _caller(self.context)
            _quietly(
                partial(payload.called, name=self._call[1], agent=agent, cause=cause),
                self.span,
                value,
            )

    def output(self, value: Any) -> None:
        """Record what the step came up with."""
        _quietly(payload.defer, self.span, self._output_key, value)
        self._keep(value)

    def _keep(self, value: Any) -> None:
        """Keep what a model or tool gave, for replays."""
        if self._call is not None:
            _quietly(payload.answered, self.span, value, lambda: exact(value))

    def recorded(self, default: Any = None) -> Any:
        """In a replay: what a model or tool gave for this input in the record, else `default`.

        Ask after `input` and before calling it:

            with tracer.llm("gpt-4o") as call:
                call.input(messages)
                reply = call.recorded() or client.chat.completions.create(...)
                call.output(reply)

        Raises what the recorded call raised, and ReplayStopped for a tool that is not in the record
        and may not run.
        """
        from agenttrace.replay import current

        replay = None if self._call is None or self._asked else current(self.context)
        if replay is None or self._call is None:
            return default
        self._asked = True
        kind, name = self._call
        agent, cause = _caller(self.context)
        ask = replay.llm if kind == "llm" else replay.tool
        answer = ask(agent or "", name, self._given, cause)
        replay.stamp(self.span, "live" if answer is None else "recorded")
        if answer is None:
            return default
        if answer.error is not None:
            raise recorded_error(answer)
        return restore(answer.output)

    def tokens(self, input: int | None = None, output: int | None = None) -> None:
        """Record how many tokens a language model read and wrote."""
        self.attribute(semconv.GEN_AI_USAGE_INPUT_TOKENS, input)
        self.attribute(semconv.GEN_AI_USAGE_OUTPUT_TOKENS, output)

    def attribute(self, name: str, value: AttributeValue | None) -> None:
        """Set a span attribute; None sets nothing."""
        if value is not None and self.span.is_recording():
            _quietly(self.span.set_attribute, name, value)

    def attach(self) -> Context:
        """Make the step current; return what was, for `attach_again`."""
        previous = get_current()
        attach(self.context)
        return previous

    def yielded(self, item: Any) -> None:
        """Keep an item of a generator as a part of the output."""
        if len(self._items) < KEPT_ITEMS:
            self._items.append(item)
        else:
            self._skipped += 1

    def returned(self, result: Any) -> None:
        """End the step with what it returned (and, for a generator, yielded)."""
        if self._items:
            _quietly(
                payload.defer,
                self.span,
                self._output_key,
                _joined(self._items, self._skipped, result),
            )
            if not self._skipped:
                self._keep({"yielded": self._items, "returned": result})
        elif result is not None:
            self.output(result)
        else:
            self._keep(None)
        self.end()

    def raised(self, error: BaseException) -> None:
        """End the step with the exception that left it; control flow is no error."""
        if self._items:
            self.output(_joined(self._items, self._skipped, None))
        if not is_control_flow(error):
            _quietly(record_error, self.span, error)
        self.end()

    def end(self) -> None:
        """End the span."""
        _quietly(self.span.end)


def _quietly(record: Callable[..., object], *args: Any) -> None:
    """Record something; whatever goes wrong is logged and costs only itself."""
    try:
        record(*args)
    except Exception:  # recording must not break the program
        log.exception("A part of a step could not be recorded")


class ModelStep(Step):
    """A call of a language model."""

    __slots__ = ()

    def output(self, value: Any) -> None:
        """Record the response; a client's response object also tells the tokens and the model."""
        _quietly(self._read, value)
        choices = _field(value, "choices")
        shown = value
        if choices and isinstance(choices, list):
            shown = _field(choices[0], "message") or value
        _quietly(payload.defer, self.span, self._output_key, shown)
        self._keep(value)

    def _read(self, response: Any) -> None:
        usage = _field(response, "usage") or _field(response, "usage_metadata")
        self.tokens(
            _count(usage, "input_tokens", "prompt_tokens"),
            _count(usage, "output_tokens", "completion_tokens"),
        )
        if isinstance(model := _field(response, "model"), str):
            self.attribute(semconv.GEN_AI_RESPONSE_MODEL, model)


def _field(value: Any, name: str) -> Any:
    try:
        return value.get(name) if isinstance(value, Mapping) else getattr(value, name, None)
    except Exception:  # noqa: BLE001 - a property of someone else's can fail in any way
        return None


def _count(usage: Any, *names: str) -> int | None:
    found = (_field(usage, name) for name in names)
    return next((n for n in found if isinstance(n, int) and not isinstance(n, bool)), None)


def begin(
    name: str,
    attributes: Mapping[str, AttributeValue],
    *,
    tracer: str,
    kind: SpanKind = SpanKind.INTERNAL,
    keys: tuple[str, str] = (semconv.AGENTTRACE_INPUT, semconv.AGENTTRACE_OUTPUT),
    owner: int | None = None,
    step: type[Step] = Step,
    call: tuple[CallKind, str] | None = None,
    caller: tuple[str, Any] | None = None,
) -> Step | None:
    """Start a step under the current span, or return None where nothing is recorded.

    `keys` are the attributes of its input and output; `owner` is the id of the object whose method
    this is: see `owner_is_current`; `call` says which model or tool is called, `caller` which agent
    is at work and what it was given.
    """
    try:
        found = sdk.tracer("agenttrace", attributes={semconv.AGENTTRACE_TRACER: tracer})
        span = found.start_span(name, kind=kind, attributes=attributes)
        if not span.get_span_context().is_valid:
            return None
        context = set_value(_OWNER, owner, set_span_in_context(span))
        if caller is not None:
            context = set_value(semconv.CONTEXT_CALLER, caller, context)
        return step(span, context, *keys, call)
    except Exception:  # recording must not break the program
        log.exception("A step named %r could not be recorded", name)
        return None


def _caller(context: Context) -> tuple[str | None, Any]:
    found = get_value(semconv.CONTEXT_CALLER, context)
    return found if isinstance(found, tuple) else (None, None)


def attach_again(previous: Context) -> None:
    """Make current what was before `Step.attach`.

    Not OpenTelemetry's detach: that logs an error where a generator is closed by another task.
    """
    attach(previous)


def owner_is_current(owner: int) -> bool:
    """Whether the innermost step is of this object, that is, one of its methods calls another."""
    return get_value(_OWNER) == owner


def is_control_flow(error: BaseException) -> bool:
    """Whether an exception only steers: cancellation, end of iteration, interrupts, clean exits."""
    if isinstance(error, SystemExit):
        return error.code in (None, 0)
    names = {kind.__name__ for kind in type(error).__mro__}
    return not names.isdisjoint(semconv.CONTROL_FLOW) or _is_trio_cancellation(error)


def _is_trio_cancellation(error: BaseException) -> bool:
    return type(error).__name__ == "Cancelled" and type(error).__module__.startswith("trio")


def record_error(span: Span, error: BaseException) -> None:
    """Give the span an ERROR status, `error.type` and an exception event with the traceback."""
    span.set_attribute(semconv.ERROR_TYPE, type(error).__qualname__)
    span.set_status(Status(StatusCode.ERROR, describe(error)))
    try:
        span.record_exception(error, escaped=True)
    except Exception:  # noqa: BLE001 - a broken __str__ breaks the traceback's text as well
        kind = f"{type(error).__module__}.{type(error).__qualname__}"
        span.add_event("exception", {"exception.type": kind, "exception.message": ""})


def _joined(items: list[Any], skipped: int, result: Any) -> Any:
    """Return a generator's output: one text if it yielded texts, else what it yielded."""
    if all(type(item) is str for item in items) and result is None and not skipped:
        return payload.Lazy(lambda: "".join(items))
    tail = [f"… [{skipped} more items]"] if skipped else []
    return items + tail if result is None else {"yielded": items + tail, "returned": result}


Begin = Callable[[tuple[Any, ...], dict[str, Any]], Step | None]
"""Starts the step of a call with these arguments, or returns None."""
