"""Record what is asked of memories, knowledge and people, and let a replay answer it.

A replay reads nothing that the user has stored, and nobody waits for its questions: memories and
knowledge give what they gave in the record, else nothing; a question to a person that is not in the
record stops the replay.
"""

from collections.abc import Callable, Mapping
from functools import wraps
from importlib import import_module
from inspect import iscoroutinefunction
from typing import Any

from crewai.events.event_context import get_current_parent_id

from agenttrace.replay import PERSON
from agenttrace_crewai.consultations import Consultation, Question
from agenttrace_crewai.recording import Open, Recording

Begin = Callable[..., Consultation]
"""Takes a method's arguments and says what is asked by it."""

_SYNC, _ASK = "SyncHumanInputProvider", "request_human_input"


class Consulting:
    """The wrapped methods by which memories and knowledge are read, and people asked."""

    def __init__(self, recording: Recording, log: Callable[[str], None]) -> None:
        self._recording = recording
        self._log = log

    def wrap_all(self, replace: Callable[[type, str, Callable[[Any], Any]], None]) -> None:
        """Have `replace` wrap every method that this CrewAI has."""
        for module, cls, name, watch in (
            ("crewai.memory.unified_memory", "Memory", "recall", _asking(self._recall)),
            ("crewai.knowledge.knowledge", "Knowledge", "query", _asking(self._query)),
            ("crewai.knowledge.knowledge", "Knowledge", "aquery", _asking(self._query)),
            ("crewai.core.providers.human_input", _SYNC, "_prompt_input", _asking(self._prompt)),
            (
                "crewai.core.providers.human_input",
                _SYNC,
                "_prompt_input_async",
                _asking(self._prompt),
            ),
            ("crewai.hooks.llm_hooks", "LLMCallHookContext", _ASK, _asking(self._hook)),
            ("crewai.hooks.tool_hooks", "ToolCallHookContext", _ASK, _asking(self._hook)),
            ("crewai.flow.runtime", "Flow", "_request_human_feedback", _asking(self._feedback)),
            ("crewai.flow.runtime", "Flow", "_resolve_feedback_provider", self._feedback_from),
            ("crewai.flow.runtime", "Flow", "_resolve_input_provider", self._input_from),
        ):
            try:
                owner = getattr(import_module(module), cls)
            except (ImportError, AttributeError):
                continue  # a CrewAI without it asks nothing in this way
            if name in vars(owner):
                replace(owner, name, watch)

    def _recall(self, memory: Any, query: str, *args: Any, **options: Any) -> Consultation:
        root = getattr(memory, "root_scope", None)
        asks = {"query": query, "root": root, "args": args, "options": options}
        return Consultation(self._recording, self._log, "memory", asks, query, _matches)

    def _query(self, knowledge: Any, query: Any, *args: Any, **options: Any) -> Consultation:
        name = getattr(knowledge, "collection_name", None)
        asks = {"query": query, "collection": name, "args": args, "options": options}
        return Consultation(self._recording, self._log, "knowledge", asks, query, list)

    def _prompt(self, *_: Any, **__: Any) -> Consultation:
        around: Open | None = self._recording.get(get_current_parent_id())
        turn = around.nearest_agent() if around is not None else None
        return self._question((turn and turn.facts.get("last_output")) or "Feedback on the result?")

    def _hook(self, _: Any, prompt: str, *__: Any, **___: Any) -> Consultation:
        return self._question(prompt)

    def _feedback(self, _: Any, message: str, output: Any, *__: Any, **___: Any) -> Consultation:
        return self._question(f"{message}\n\n{output}")

    def _question(self, shown: Any, says_itself: bool = False) -> Consultation:
        return Question(self._recording, self._log, PERSON, {"shown": shown}, shown, says_itself)

    def _feedback_from(self, original: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(original)
        def resolve(*args: Any, **kwargs: Any) -> Any:
            provider = original(*args, **kwargs)
            if provider is None:
                return None  # then CrewAI asks by `_request_human_feedback`
            return _Provider(provider, "request_feedback", self._asked_for_feedback)

        return resolve

    def _asked_for_feedback(self, context: Any, *_: Any, **__: Any) -> Consultation:
        return self._question(f"{context.message}\n\n{context.method_output}")

    def _input_from(self, original: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(original)
        def resolve(*args: Any, **kwargs: Any) -> Any:
            provider = original(*args, **kwargs)
            return _Provider(provider, "request_input", self._asked_for_input)

        return resolve

    def _asked_for_input(self, message: str, *_: Any, **__: Any) -> Consultation:
        return Question(
            self._recording, self._log, PERSON, {"shown": message}, message, True, _response
        )


class _Provider:
    """A provider of the application's, one method of which is watched."""

    def __init__(self, provider: Any, method: str, begin: Begin) -> None:
        self._provider = provider
        setattr(self, method, _asking(begin)(getattr(provider, method)))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._provider, name)


def _asking(begin: Begin) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Return what wraps a function or coroutine function by which something is asked."""

    def watch(original: Callable[..., Any]) -> Callable[..., Any]:
        if iscoroutinefunction(original):

            @wraps(original)
            async def ask_and_wait(*args: Any, **kwargs: Any) -> Any:
                with begin(*args, **kwargs) as asked:
                    if asked.is_answered():
                        return asked.answer
                    return asked.found(await original(*args, **kwargs))

            return ask_and_wait

        @wraps(original)
        def ask(*args: Any, **kwargs: Any) -> Any:
            with begin(*args, **kwargs) as asked:
                if asked.is_answered():
                    return asked.answer
                return asked.found(original(*args, **kwargs))

        return ask

    return watch


def _matches(found: list[Any]) -> list[Any]:
    from crewai.memory.types import MemoryMatch

    return [MemoryMatch.model_validate(each) for each in found]


def _response(given: Any) -> Any:
    """What an input provider gave: text, or text with what the provider says about it."""
    if not isinstance(given, Mapping):
        return given
    from crewai.flow.input_provider import InputResponse

    return InputResponse(**given)
