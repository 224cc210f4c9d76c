"""Record calls to language models, also to those that send no events of their own.

CrewAI's providers send `llm_call_*` events from inside `call`; a user's own `BaseLLM` subclass
need not. So every subclass's `call` and `acall` is wrapped: the wrapper opens the span, and an
event that comes from inside adds to it instead of opening another.
"""

from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import wraps
from typing import Any
from uuid import uuid4

from crewai.events.event_context import get_current_parent_id
from crewai.llms.base_llm import BaseLLM

from agenttrace import payload, semconv
from agenttrace.replay import Answer
from agenttrace_crewai import answers
from agenttrace_crewai.events import llm_call, role_of, usage
from agenttrace_crewai.recording import Open, Recording

_calling: ContextVar[Open | None] = ContextVar("agenttrace_crewai_llm_call", default=None)


def current_call() -> Open | None:
    """The model call going on in this context that no event has claimed yet."""
    call = _calling.get()
    return call if call is not None and not call.facts.get("claimed") else None


class ModelCalls:
    """The wrapped `call` and `acall` methods of every model class."""

    def __init__(self, recording: Recording, log: Callable[[str], None]) -> None:
        self._recording = recording
        self._log = log
        self._originals: dict[tuple[type, str], Any] = {}

    def wrap_all(self) -> None:
        """Wrap the model classes that exist by now and are not yet wrapped."""
        pending = list(BaseLLM.__subclasses__())
        while pending:
            cls = pending.pop()
            pending.extend(cls.__subclasses__())
            for name in ("call", "acall"):
                own = cls.__dict__.get(name)
                if own is not None and (cls, name) not in self._originals and callable(own):
                    self._originals[cls, name] = own
                    wrapper = self._wrap_async(own) if name == "acall" else self._wrap(own)
                    setattr(cls, name, wrapper)

    def unwrap_all(self) -> None:
        """Put every original method back."""
        for (cls, name), original in self._originals.items():
            setattr(cls, name, original)
        self._originals.clear()

    def _wrap(self, original: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(original)
        def call(llm: Any, messages: Any, *args: Any, **kwargs: Any) -> Any:
            with self._recorded(llm, messages, args, kwargs) as going:
                answer = going.ask()
                if answer is not None:
                    given = answers.reply(answer, kwargs)
                else:
                    given = original(llm, messages, *args, **kwargs)
                going.answered(given)
            return given

        return call

    def _wrap_async(self, original: Callable[..., Awaitable[Any]]) -> Callable[..., Any]:
        @wraps(original)
        async def acall(llm: Any, messages: Any, *args: Any, **kwargs: Any) -> Any:
            with self._recorded(llm, messages, args, kwargs) as going:
                answer = going.ask()
                if answer is not None:
                    given = answers.reply(answer, kwargs)
                else:
                    given = await original(llm, messages, *args, **kwargs)
                going.answered(given)
            return given

        return acall

    @contextmanager
    def _recorded(
        self, llm: Any, messages: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Iterator["_Going"]:
        outer = _calling.get()
        if outer is not None and outer.source is llm:  # super().call(): the same call again
            yield _Going(nested=True)
            return
        parent = self._recording.get(get_current_parent_id())
        going = _Going(
            llm=llm,
            who=answers.asked_by(parent, kwargs.get("from_agent")),
            asks=answers.request(messages, args, kwargs),
            log=self._log,
        )
        scope = going.scope = self._open(going, messages, kwargs, parent)
        if scope is None:
            yield going
            return
        token = _calling.set(scope)
        going.before = _counters(llm)
        error: str | None = None
        try:
            yield going
        except Exception as raised:
            error = f"{type(raised).__name__}: {raised}"
            raise
        finally:
            _calling.reset(token)
            self._recording.end(scope, error)

    def _open(
        self, going: "_Going", messages: Any, kwargs: dict[str, Any], parent: Open | None
    ) -> Open | None:
        try:
            name, attributes = llm_call(going.llm)
            agent = kwargs.get("from_agent")
            if agent is not None and getattr(agent, "role", None):
                attributes[semconv.GEN_AI_AGENT_NAME] = role_of(agent)
            scope = self._recording.start(
                f"call-{uuid4()}", "llm_call_started", going.llm, parent, name, attributes
            )
            scope.held = True
            payload.defer(scope.span, semconv.GEN_AI_INPUT_MESSAGES, messages)
            payload.called(scope.span, going.asks, agent=going.who)
        except Exception:  # noqa: BLE001 - recording never breaks the call
            self._log("recording a model call")
            return None
        return scope


def _ignore(_doing: str) -> None:
    """A nested call records nothing that could fail."""


@dataclass(slots=True, eq=False)
class _Going:
    """A model call that is going on; a `nested` one is part of another that has been asked for."""

    llm: Any = None
    who: str = ""
    asks: Any = None
    nested: bool = False
    scope: Open | None = None
    before: dict[str, int] = field(default_factory=dict)
    log: Callable[[str], None] = _ignore

    def ask(self) -> Answer | None:
        """Return the recorded answer in a replay, None if the call is to run."""
        if self.nested:
            return None
        return answers.ask_model(
            str(getattr(self.llm, "model", "") or ""), self.who, self.asks, self.scope
        )

    def answered(self, answer: Any) -> None:
        """Record what the model answered, and what it took."""
        scope = self.scope
        if scope is None:
            return
        try:
            turn = scope.nearest_agent()
            if turn is not None:
                turn.facts["last_output"] = answer
            if not scope.facts.get("answered"):
                payload.defer(scope.span, semconv.GEN_AI_OUTPUT_MESSAGES, answer)
                after = _counters(self.llm)
                spent = {key: after[key] - self.before.get(key, 0) for key in after}
                if any(spent.values()):
                    scope.span.set_attributes(usage(spent))
            shown = scope.facts.get("shown", answer)
            payload.answered(scope.span, shown, lambda: answers.exact_reply(answer, shown))
        except Exception:  # noqa: BLE001 - recording never breaks the call
            self.log("recording a model's answer")


def _counters(llm: Any) -> dict[str, int]:
    counters = getattr(llm, "_token_usage", None)
    return {k: v for k, v in dict(counters or {}).items() if isinstance(v, int)}
