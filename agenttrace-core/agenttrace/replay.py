"""Answer a replay's model and tool calls from the record of the run it repeats.

A replay runs an application again from a checkpoint. What its models and tools are asked is looked
up in the `Recording` of the original trace; what is there is answered from it, the rest runs live
where that is allowed. Each framework's executor asks the `Replay` it is given before every call.
"""

import threading
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, Literal, TypeAlias

import msgspec
from opentelemetry import context as otel
from opentelemetry.trace import Span as OtelSpan

from agenttrace import semconv
from agenttrace.edits import JSON, Edit, apply_edits, json_type, type_problem
from agenttrace.errors import EditError, ReplayCancelled, ReplayError, ReplayStopped
from agenttrace.identity import cause_hash, input_hash, text_hash
from agenttrace.jobs import Mode
from agenttrace.models import Checkpoint, Span, Trace

__all__ = [
    "JSON",
    "Answer",
    "Edit",
    "EditError",
    "Mode",
    "Recording",
    "Replay",
    "ReplayCancelled",
    "ReplayError",
    "ReplayStopped",
    "Tier",
    "apply_edits",
    "current",
    "input_hash",
    "json_type",
    "type_problem",
]

CallKind = Literal["llm", "tool"]
Tier = Literal["restored", "recorded", "live"]

PERSON = "human_input"
"""What a person is called in the record, whom an agent or a program asks something."""

_INPUT_HASH = semconv.AGENTTRACE_INPUT_HASH

Key: TypeAlias = tuple[str, str, str, str]
"""(kind, agent, name, input hash): what makes two calls the same."""


class Answer(msgspec.Struct, frozen=True):
    """What a model or a tool answered in the original run.

    `output` is as capture wrote it; `error` is what it raised, as `Type: message`, `error_type` the
    type's full name; `complete` is false where the output was capped or redacted on its way, so
    that it cannot be used; `cause` tells calls with the same input apart by what led to them.
    """

    kind: CallKind
    agent: str
    name: str
    input_hash: str
    output: str
    span_id: str
    cause: str = ""
    error: str | None = None
    error_type: str | None = None
    tool_call_id: str | None = None
    tokens_in: int | None = None
    tokens_out: int | None = None
    complete: bool = True

    @property
    def key(self) -> Key:
        """What a call must have in common with this one to be answered by it."""
        return self.kind, self.agent, self.name, self.input_hash


class Recording(msgspec.Struct, frozen=True, dict=True):
    """The answers of a run, in the order in which they were asked for.

    `restored` counts the calls that lie before the checkpoint: their results are in its state.
    `inner` are checkpoints that cannot be gone back to alone, but have to be restored together with
    the one around them: their `config` is JSON and says so, as `restored_with`. Thread-safe. As a
    struct it goes through msgspec's JSON; what has been taken does not.
    """

    answers: tuple[Answer, ...] = ()
    restored: int = 0
    inner: tuple[Checkpoint, ...] = ()

    @classmethod
    def of(cls, trace: Trace, after_ns: int = 0) -> "Recording":
        """Return what can be answered of a trace's calls that began at or after `after_ns`.

        Only calls whose capture left an input hash count: of others nobody knows the whole input.
        What is asked of people and of memories counts as a tool's call.
        """
        calls = [s for s in trace.spans if s.kind in ("llm", "tool") or _INPUT_HASH in s.attributes]
        calls.sort(key=lambda span: (span.start_ns, span.span_id))
        later = [span for span in calls if span.start_ns >= after_ns]
        answers = [_answer(trace, span) for span in later if _INPUT_HASH in span.attributes]
        return cls(tuple(answers), len(calls) - len(later), tuple(_inner(trace, after_ns)))

    def take(
        self, kind: CallKind, agent: str, name: str, input_hash: str, cause: str = ""
    ) -> Answer | None:
        """Return the answer to a call, the next one for each further call that is the same.

        Calls with the same cause get that cause's answers in their order. A cause the record does
        not know gets all answers to the same input in their order, and takes none from the others.
        So neither the schedule nor another agent's divergence changes what a call is answered.
        """
        return self._index.take((kind, agent, name, input_hash), cause)

    def knows(self, kind: CallKind, agent: str, name: str) -> bool:
        """Whether this agent called this model or tool after the checkpoint."""
        return any((a.kind, a.agent, a.name) == (kind, agent, name) for a in self.answers)

    def __post_init__(self) -> None:
        # Not a cached property: the first two threads to ask must share the same positions.
        self.__dict__["index"] = _Index(self.answers)

    @property
    def _index(self) -> "_Index":
        index: _Index = self.__dict__["index"]
        return index


class _Index:
    """Which answers there are to what, and how many have been asked for."""

    def __init__(self, answers: Iterable[Answer]) -> None:
        self._lock = threading.Lock()
        self._asked: Counter[tuple[Key, str]] = Counter()
        self._by_key: dict[Key, list[Answer]] = {}
        self._by_cause: dict[tuple[Key, str], list[Answer]] = {}
        for answer in answers:
            self._by_key.setdefault(answer.key, []).append(answer)
            self._by_cause.setdefault((answer.key, answer.cause), []).append(answer)

    def take(self, key: Key, cause: str) -> Answer | None:
        with self._lock:
            position = self._asked[key, cause]
            self._asked[key, cause] += 1
        found = self._by_cause.get((key, cause)) or self._by_key.get(key) or []
        return found[position] if position < len(found) else None


def _inner(trace: Trace, after_ns: int) -> Iterator[Checkpoint]:
    from agenttrace.messages import find_checkpoints

    for checkpoint in trace.checkpoints or find_checkpoints(trace):
        if checkpoint.created_at >= after_ns and '"restored_with":' in (checkpoint.config or ""):
            yield checkpoint


def _answer(trace: Trace, span: Span) -> Answer:
    said = span.attributes
    output = next((str(said[key]) for key in semconv.RECORDED_OUTPUTS if key in said), "")
    expected = said.get(semconv.AGENTTRACE_OUTPUT_HASH)
    failed = span.error is not None and semconv.AGENTTRACE_OUTPUT_EXACT not in said
    return Answer(
        kind="llm" if span.kind == "llm" else "tool",
        agent=str(said.get(semconv.AGENTTRACE_CALL_AGENT, trace.agent_of(span) or "")),
        name=str(said.get(semconv.AGENTTRACE_CALL_NAME, span.model or span.tool or "")),
        input_hash=str(said[_INPUT_HASH]),
        output=output,
        span_id=span.span_id,
        cause=str(said.get(semconv.AGENTTRACE_CALL_CAUSE, "")),
        error=span.error if failed else None,
        error_type=str(said[semconv.ERROR_TYPE]) if semconv.ERROR_TYPE in said else None,
        tool_call_id=_text(said.get(semconv.GEN_AI_TOOL_CALL_ID)),
        tokens_in=span.tokens_in,
        tokens_out=span.tokens_out,
        complete=failed or (expected is not None and text_hash(output) == expected),
    )


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None


class Replay:
    """One replay: where it asks for recorded answers, and what it has asked for so far.

    `mode` "recorded" answers model calls from the record and runs those live that are not in it;
    "live" runs every model call live. Tools are answered from the record in both; one that is not
    in it runs live only if `live_tools` names it or is "all", else the replay stops there.
    """

    def __init__(
        self,
        replay_id: str,
        source_trace_id: str,
        recording: Recording,
        mode: Mode = "recorded",
        live_tools: Collection[str] | Literal["all"] = frozenset(),
        progress: Callable[[dict[Tier, int]], None] | None = None,
    ) -> None:
        self.replay_id = replay_id
        self.source_trace_id = source_trace_id
        self.recording = recording
        self.mode = mode
        self.live_tools: frozenset[str] | Literal["all"] = (
            "all" if live_tools == "all" or "all" in live_tools else frozenset(live_tools)
        )
        self.stopped: ReplayError | None = None
        """Why the replay goes no further; every later call raises it again."""
        self._progress = progress
        self._lock = threading.Lock()
        self._counts: dict[Tier, int] = {
            "restored": recording.restored,
            "recorded": 0,
            "live": 0,
        }

    @property
    def counts(self) -> dict[Tier, int]:
        """How many model and tool calls were restored, answered from the record, and run live."""
        with self._lock:
            return dict(self._counts)

    def llm(self, agent: str, name: str, input: Any, cause: Any = None) -> Answer | None:
        """Return the recorded answer to a model call, None if it is to run live.

        `agent` asks the model `name` with `input`, while answering `cause`: as they were given to
        `payload.called`. Raises once the replay is stopped or cancelled.
        """
        self._go_on()
        answer = self._recorded("llm", agent, name, input, cause)
        if self.mode == "live" or (answer is not None and not answer.complete):
            answer = None
        self._count("live" if answer is None else "recorded")
        return answer

    def tool(self, agent: str, name: str, input: Any, cause: Any = None) -> Answer | None:
        """Return the recorded answer to a tool's call, None if it is to run live.

        Raises ReplayStopped for one that is not in the record and may not run.
        """
        self._go_on()
        if self._may_run(name):
            self._count("live")
            return None
        answer = self._recorded("tool", agent, name, input, cause)
        if answer is None or not answer.complete:
            raise self.stop(ReplayStopped(self._why_stopped(agent, name, answer)))
        self._count("recorded")
        return answer

    def person(self, agent: str, input: Any, cause: Any = None) -> Answer:
        """Return what a person answered when `agent` asked them `input`.

        Raises ReplayStopped where that is not in the record: nobody waits for a replay's questions.
        """
        self._go_on()
        answer = self._recorded("tool", agent, PERSON, input, cause)
        if answer is None or not answer.complete:
            raise self.stop(ReplayStopped(self._why_unanswered(agent, answer)))
        self._count("recorded")
        return answer

    def recalled(self, agent: str, name: str, input: Any, cause: Any = None) -> Answer | None:
        """Return what the memory or knowledge `name` gave when `agent` asked it for `input`.

        None where that is not in the record: then it gives nothing, as a replay reads no storage.
        """
        self._go_on()
        answer = self._recorded("tool", agent, name, input, cause)
        if answer is not None and not answer.complete:
            answer = None
        self._count("live" if answer is None else "recorded")
        return answer

    def steering(self, agent: str, name: str, input: Any, cause: Any = None) -> Answer | None:
        """Like `tool`, for one that only says who goes on (a handoff): it may always run."""
        self._go_on()
        answer = self._recorded("tool", agent, name, input, cause)
        if answer is not None and not answer.complete:
            answer = None
        self._count("live" if answer is None else "recorded")
        return answer

    def stop(self, reason: ReplayError) -> ReplayError:
        """Let nothing more run; return the first reason for that, to be raised."""
        with self._lock:
            self.stopped = self.stopped or reason
            return self.stopped

    def cancel(self) -> None:
        """Stop at the next call of a model or a tool."""
        self.stop(ReplayCancelled(f"Replay {self.replay_id} was cancelled"))

    @contextmanager
    def active(self) -> Iterator[None]:
        """Make this the current replay, for what runs inside and in the threads that starts."""
        from agenttrace.stamps import stamping

        previous = otel.get_current()
        otel.attach(otel.set_value(_CURRENT, self))
        try:
            with stamping():
                yield
        finally:
            otel.attach(previous)

    def stamp(self, span: OtelSpan, tier: Tier) -> None:
        """Say on a model's or tool's span, and on the agents' around it, where it comes from."""
        from agenttrace.stamps import stamp

        stamp(span, tier)

    def _recorded(
        self, kind: CallKind, agent: str, name: str, input: Any, cause: Any
    ) -> Answer | None:
        led = "" if cause is None else cause_hash(cause)
        return self.recording.take(kind, agent, name, input_hash(input), led)

    def _may_run(self, tool: str) -> bool:
        return self.live_tools == "all" or tool in self.live_tools

    def _go_on(self) -> None:
        if self.stopped is not None:
            raise self.stopped

    def _count(self, tier: Tier) -> None:
        with self._lock:
            self._counts[tier] += 1
            counts = dict(self._counts)
        if self._progress is not None:
            self._progress(counts)

    def _why_unanswered(self, agent: str, answer: Answer | None) -> str:
        who = agent or "The application"
        if answer is not None:
            reason = "the answer was shortened, redacted or never given"
        elif self.recording.knows("tool", agent, PERSON):
            reason = "in the record they were shown something else"
        else:
            reason = "in the record nobody was asked here"
        return (
            f"{who} asks a person, and a replay can ask nobody: {reason}. "
            "Replay from a later checkpoint, or with an edit that leaves the question as it was"
        )

    def _why_stopped(self, agent: str, name: str, answer: Answer | None) -> str:
        who = f" of {agent}" if agent else ""
        if answer is not None:
            reason = "its recorded result was shortened or redacted"
        elif self.recording.knows("tool", agent, name):
            reason = "it is called with another input than in the record"
        else:
            reason = "it was not called in the record"
        return (
            f"The tool {name!r}{who} has no recorded answer: {reason}. "
            f"Replay with the tool live (--live-tools {name}) if it may run again"
        )


def current(context: otel.Context | None = None) -> Replay | None:
    """Return the replay that is going on in a context (the current one by default), or None."""
    found = otel.get_value(_CURRENT, context)
    return found if isinstance(found, Replay) else None


_CURRENT = otel.create_key("agenttrace-replay")
