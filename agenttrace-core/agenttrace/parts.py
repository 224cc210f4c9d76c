"""What a tracer's `agent`, `tool`, `workflow` and `llm` return: a decorator and `with` in one."""

import functools
import inspect
import logging
from collections.abc import Mapping, Sequence
from contextvars import ContextVar
from types import TracebackType
from typing import Any, TypeVar, cast

from opentelemetry.context import Context
from opentelemetry.trace import INVALID_SPAN, SpanKind
from opentelemetry.util.types import AttributeValue

from agenttrace import semconv
from agenttrace.steps import CallKind, Step, attach_again, begin, owner_is_current
from agenttrace.wrapping import AnyCallable, wrap

log = logging.getLogger("agenttrace.tracer")

T = TypeVar("T")

ENTRY_POINTS = (
    "__call__",
    "run",
    "arun",
    "run_stream",
    "invoke",
    "ainvoke",
    "stream",
    "astream",
    "execute",
    "aexecute",
    "act",
    "kickoff",
    "kickoff_async",
    "akickoff",
    "generate_reply",
    "a_generate_reply",
    "on_messages",
    "on_messages_stream",
)
"""The methods of a decorated class that are recorded, those of them that it has."""

_CALLS: dict[str, CallKind] = {"chat": "llm", "execute_tool": "tool"}
"""The operations that a replay can answer from the record."""

_entered: ContextVar[tuple[Step, ...]] = ContextVar("agenttrace_entered", default=())


class Part:
    """A kind of step: decorates functions and classes, and works in a `with` statement."""

    def __init__(
        self,
        tracer: str,
        operation: str,
        name: str | None,
        name_key: str,
        attributes: Mapping[str, AttributeValue | None] | None = None,
        *,
        kind: SpanKind = SpanKind.INTERNAL,
        input_key: str = semconv.AGENTTRACE_INPUT,
        output_key: str = semconv.AGENTTRACE_OUTPUT,
        step: type[Step] = Step,
    ) -> None:
        self.name = name
        self._tracer = tracer
        self._operation = operation
        self._name_key = name_key
        self._attributes = {k: v for k, v in (attributes or {}).items() if v is not None}
        self._kind = kind
        self._keys = input_key, output_key
        self._step = step
        self._open: list[tuple[Step, Context]] = []

    def __call__(self, target: T) -> T:
        """Return the function, method or class with a step around each call."""
        try:
            return cast(T, self._decorated(target))
        except Exception:  # recording must not break the program
            log.exception("%r cannot be recorded", target)
            return target

    def _decorated(self, target: Any, name: str | None = None) -> Any:
        if isinstance(target, (staticmethod, classmethod)):
            return type(target)(self._decorated(target.__func__, name))
        if inspect.isclass(target):
            return self._decorated_class(target)
        if not callable(target):
            log.warning("%r cannot be recorded: it is neither a function nor a class", target)
            return target
        name = self.name or name or _name_of(target)
        arguments = _Arguments(target)
        attributes = self._described(target)

        def start(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Step | None:
            return self._begin(name, attributes, arguments, args, kwargs)

        return wrap(target, start)

    def _decorated_class(self, cls: type) -> type:
        found = 0
        for name in ENTRY_POINTS:
            method = inspect.getattr_static(cls, name, None)
            if isinstance(method, (staticmethod, classmethod)):
                setattr(cls, name, self._decorated(method, cls.__name__))
            elif inspect.isfunction(method):
                setattr(cls, name, self._decorated_method(cls, method))
            else:
                continue
            found += 1
        if not found:
            log.warning("%r is not recorded: it has none of %s", cls, ", ".join(ENTRY_POINTS))
        return cls

    def _decorated_method(self, cls: type, method: AnyCallable) -> AnyCallable:
        arguments = _Arguments(method, skip_first=True)
        attributes = self._described(cls)

        def start(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Step | None:
            if not args or owner_is_current(id(args[0])):
                return None
            own = None if self.name else getattr(args[0], "name", None)
            name = self.name or (own if own and isinstance(own, str) else cls.__name__)
            return self._begin(name, attributes, arguments, args, kwargs, owner=id(args[0]))

        return wrap(method, start)

    def _described(self, target: Any) -> dict[str, AttributeValue]:
        described: dict[str, AttributeValue] = dict(self._attributes)
        if self._operation == "execute_tool" and (text := inspect.getdoc(target)):
            described.setdefault("gen_ai.tool.description", text.partition("\n\n")[0][:1000])
        return described

    def _begin(
        self,
        name: str,
        attributes: Mapping[str, AttributeValue],
        arguments: "_Arguments | None" = None,
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
        owner: int | None = None,
    ) -> Step | None:
        given = None if arguments is None else self._read(name, arguments, args, kwargs or {})
        kind = _CALLS.get(self._operation)
        step = begin(
            f"{self._operation} {name}",
            {
                semconv.GEN_AI_OPERATION_NAME: self._operation,
                self._name_key: name,
                **attributes,
            },
            tracer=self._tracer,
            kind=self._kind,
            keys=self._keys,
            owner=owner,
            step=self._step,
            call=None if kind is None else (kind, name),
            caller=(name, given) if self._operation == "invoke_agent" else None,
        )
        if step is not None and given is not None:
            step.input(given)
        return step

    def _read(
        self, name: str, arguments: "_Arguments", args: tuple[Any, ...], kwargs: Mapping[str, Any]
    ) -> Any:
        try:
            return arguments.read(args, kwargs, whole=self._operation == "execute_tool")
        except Exception:  # recording must not break the program
            log.exception("The input of %r could not be recorded", name)
            return None

    def __enter__(self) -> Step:
        step = self._begin(self.name or self._tracer, self._attributes)
        if step is None:
            step = self._step(INVALID_SPAN, Context(), *self._keys)
            self._open.append((step, Context()))
        else:
            self._open.append((step, step.attach()))
        _entered.set((*_entered.get(), step))
        return step

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        # One part may be entered by several tasks or threads at once: each leaves its own step.
        mine = next((s for s in reversed(_entered.get()) if self._is_open(s)), None)
        entry = next((e for e in reversed(self._open) if mine is None or e[0] is mine), None)
        if entry is None:
            return
        self._open.remove(entry)
        step, previous = entry
        _entered.set(tuple(other for other in _entered.get() if other is not step))
        if step.span is INVALID_SPAN:
            return
        attach_again(previous)
        if error is None:
            step.end()
        else:
            step.raised(error)

    def _is_open(self, step: Step) -> bool:
        return any(entry[0] is step for entry in list(self._open))

    async def __aenter__(self) -> Step:
        return self.__enter__()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.__exit__(kind, error, traceback)


def _name_of(function: Any) -> str:
    while isinstance(function, functools.partial):
        function = function.func
    return getattr(function, "__name__", None) or type(function).__name__


class _Arguments:
    """Names a call's arguments; worked out once, because inspect.signature() takes 20 µs."""

    def __init__(self, function: AnyCallable, skip_first: bool | None = None) -> None:
        try:
            parameters = list(inspect.signature(function).parameters.values())
        except (TypeError, ValueError):  # some builtins have none
            parameters = []
        positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
        self.names = [each.name for each in parameters if each.kind in positional]
        if skip_first is None:
            skip_first = self.names[:1] in (["self"], ["cls"])
        self.skip = 1 if skip_first else 0

    def read(self, args: Sequence[Any], kwargs: Mapping[str, Any], *, whole: bool) -> Any:
        """Return the arguments by name, a single one itself unless `whole`, None for none."""
        given: dict[str, Any] = dict(zip(self.names[self.skip :], args[self.skip :], strict=False))
        if rest := args[max(self.skip, len(self.names)) :]:
            given["*"] = list(rest)
        given.update(kwargs)
        if len(given) == 1 and not whole:
            return next(iter(given.values()))
        return given if given or whole else None
