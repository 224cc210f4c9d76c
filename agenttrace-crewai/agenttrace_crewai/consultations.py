"""One question to a memory, to knowledge or to a person: its span, and a replay's answer to it."""

from collections.abc import Callable
from contextvars import ContextVar, Token
from typing import Any, Self
from uuid import uuid4

from crewai.events.event_context import get_current_parent_id

from agenttrace import payload, replay, semconv
from agenttrace.replay import Answer, Replay
from agenttrace_crewai import answers, conversation
from agenttrace_crewai.events import FRAMEWORK
from agenttrace_crewai.recording import Open, Recording

_going: ContextVar[Open | None] = ContextVar("agenttrace_crewai_consultation", default=None)


def current_recall() -> Open | None:
    """The look into a memory that is going on in this context, and that no event has claimed."""
    scope = _going.get()
    claimed = scope is None or scope.type != "memory_query_started" or scope.facts.get("claimed")
    return None if claimed else scope


class Consultation:
    """A look into a memory or into knowledge; a replay that has no answer finds nothing."""

    opens = "memory_query_started"
    kind = "retriever"

    def __init__(
        self,
        recording: Recording,
        log: Callable[[str], None],
        name: str,
        asks: Any,
        shown: Any,
        decode: Callable[[Any], Any] = lambda value: value,
    ) -> None:
        self.answer: Any = None
        """What the record answers, once `is_answered` says so."""
        self._recording = recording
        self._log = log
        self._name = name
        self._asks = asks
        self._shown = shown
        self._decode = decode
        self._around = recording.get(get_current_parent_id())
        self._who = answers.asked_by(self._around)
        self._scope: Open | None = None
        self._token: Token[Open | None] | None = None

    def __enter__(self) -> Self:
        """Open the span, in what CrewAI is doing; elsewhere nothing is recorded."""
        if self._around is None:
            return self
        try:
            self._scope = self._open(self._around)
            self._token = _going.set(self._scope)
        except Exception:  # noqa: BLE001 - recording never breaks the run
            self._log(f"recording a question to {self._name}")
        return self

    def __exit__(self, *raised: Any) -> None:
        """End the span."""
        error = raised[1]
        if self._token is not None:
            _going.reset(self._token)
        if self._scope is not None:
            # A flow that waits for a person goes on another time: nothing has failed.
            failed = isinstance(error, Exception) and not _waits(error)
            words = f"{type(error).__name__}: {error}" if failed else None
            self._recording.end(self._scope, words)

    def is_answered(self) -> bool:
        """Whether a replay answers, from the record or with nothing."""
        found = replay.current()
        if found is None:
            return False
        answer = self._ask(found)
        if self._scope is not None:
            found.stamp(self._scope.span, "live" if answer is None else "recorded")
        self.answer = self._decode([] if answer is None else answers.tool_result(answer))
        self._note(self.answer)
        return True

    def found(self, value: Any) -> Any:
        """Record what came back; return it."""
        self._note(value)
        return value

    def _ask(self, found: Replay) -> Answer | None:
        return found.recalled(self._who, self._name, self._asks)

    def _open(self, around: Open) -> Open:
        attributes = {
            semconv.AGENTTRACE_KIND: self.kind,
            semconv.AGENTTRACE_FRAMEWORK: FRAMEWORK,
        }
        scope = self._recording.start(
            f"{self._name}-{uuid4()}", self.opens, self, around, self._name, attributes
        )
        scope.held = True
        payload.defer(scope.span, semconv.AGENTTRACE_INPUT, self._shown)
        payload.called(scope.span, self._asks, name=self._name, agent=self._who)
        return scope

    def _note(self, value: Any) -> None:
        if self._scope is None:
            return
        try:
            span = self._scope.span
            payload.defer(span, semconv.AGENTTRACE_OUTPUT, value)
            payload.answered(span, value, lambda: answers.exact_result(value))
        except Exception:  # noqa: BLE001 - recording never breaks the run
            self._log(f"recording an answer of {self._name}")


class Question(Consultation):
    """A question to a person; a replay that has no answer stops."""

    opens = "person_asked"
    kind = "other"

    def __init__(
        self,
        recording: Recording,
        log: Callable[[str], None],
        name: str,
        asks: Any,
        shown: Any,
        says_itself: bool,
        decode: Callable[[Any], Any] = lambda value: value,
    ) -> None:
        super().__init__(recording, log, name, asks, shown, decode)
        self._says_itself = says_itself

    def _ask(self, found: Replay) -> Answer:
        return found.person(self._who, self._asks)

    def _open(self, around: Open) -> Open:
        scope = super()._open(around)
        if not self._says_itself:
            conversation.person_asked(around, self._shown)
            around.facts["asking"] = True
        return scope

    def _note(self, value: Any) -> None:
        super()._note(value)
        if self._scope is not None and self._around is not None and not self._says_itself:
            conversation.person_answered(self._around, value)

    def __exit__(self, *raised: Any) -> None:
        """End the span; events speak for themselves again."""
        if self._around is not None:
            self._around.facts.pop("asking", None)
        super().__exit__(*raised)


def _waits(error: Exception) -> bool:
    return type(error).__name__ == "HumanFeedbackPending"
