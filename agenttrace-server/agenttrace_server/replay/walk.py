"""Walk a recorded trace and tell, without running anything, what a replay of it would run again.

A step before the checkpoint is restored. A later one is answered from the record, unless what an
edit changed is in its input: that one would run live. Where an agent's answer may so change, what
it says may change too, and with it every later step of those who hear it.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec

from agenttrace.edits import Edit, apply_edits, steps_of
from agenttrace.errors import EditError
from agenttrace.jobs import Counts
from agenttrace.models import Checkpoint, Message, Span, Trace

RUN = ("llm", "tool")


class Walk(msgspec.Struct, frozen=True):
    """What a replay would do: its steps in order, how many of each sort, and the known output."""

    steps: tuple[dict[str, Any], ...]
    counts: Counts
    output: str | None


def walk(trace: Trace, checkpoint: Checkpoint, edits: Sequence[Mapping[str, Any]]) -> Walk:
    """Return what would happen to each model and tool call of the trace.

    Each step is `{trace_id, span_id, kind, agent, name, tier, why}`; a tier is restored, recorded
    or live.
    """
    changed = _changed_texts(checkpoint, edits)
    told = sorted(trace.messages, key=lambda message: message.sent_at)
    affected: set[str] = set()
    steps: list[dict[str, Any]] = []
    heard = _Heard(told)
    for span in sorted((s for s in trace.spans if s.kind in RUN), key=lambda s: s.start_ns):
        agent = trace.agent_of(span) or ""
        if span.start_ns < checkpoint.created_at:
            steps.append(step(trace, span, "restored", "It happened before the checkpoint"))
            continue
        affected |= heard.since(span.start_ns, affected)
        if why := _why_live(span, agent, changed, affected):
            affected.add(agent)
            steps.append(step(trace, span, "live", why))
        else:
            steps.append(step(trace, span, "recorded", "Its input is unchanged"))
    tiers = [step["tier"] for step in steps]
    counts = Counts(*(tiers.count(tier) for tier in ("restored", "recorded", "live")))
    return Walk(tuple(steps), counts, None if counts.live else _output(trace))


class _Heard:
    """Who has heard something from an agent whose answers may change."""

    def __init__(self, messages: Iterable[Message]) -> None:
        self._waiting = list(messages)
        self._at = 0

    def since(self, time_ns: int, affected: set[str]) -> set[str]:
        """Return the agents that heard from an affected one up to a time, and not before."""
        found: set[str] = set()
        while self._at < len(self._waiting) and self._waiting[self._at].sent_at <= time_ns:
            message = self._waiting[self._at]
            if message.sender in affected | found:
                found |= {message.recipient, *message.audience}
            self._at += 1
        return found


def _why_live(
    span: Span, agent: str, changed: Sequence[str] | None, affected: set[str]
) -> str | None:
    if changed is None:
        return "What the edit changes cannot be told from the recorded state"
    if any(text in (span.input or "") for text in changed):
        what = "model" if span.kind == "llm" else "tool"
        return f"What you changed is in the {what}'s input"
    if agent in affected:
        return "It follows from an answer that may change"
    return None


def _changed_texts(
    checkpoint: Checkpoint, edits: Sequence[Mapping[str, Any]]
) -> Sequence[str] | None:
    """The texts that the edits replace, as they would be found in inputs; None where unknown."""
    if not edits:
        return ()
    try:
        state = msgspec.json.decode(checkpoint.state)
        before = [_at(state, str(edit["path"])) for edit in edits]
        apply_edits(state, [Edit(str(edit["path"]), edit.get("value")) for edit in edits])
    except (msgspec.DecodeError, EditError, LookupError, ValueError):
        return None
    texts = [text for value in before for text in _texts(value)]
    return texts or None


def _at(state: Any, path: str) -> Any:
    for step in steps_of(path):
        state = state[int(step)] if isinstance(state, list) else state[step]
    return state


def _texts(value: Any) -> Iterable[str]:
    if isinstance(value, str):
        if value.strip():
            yield value
            escaped = msgspec.json.encode(value).decode()[1:-1]
            if escaped != value:
                yield escaped
    elif isinstance(value, Mapping):
        for each in value.values():
            yield from _texts(each)
    elif isinstance(value, list):
        for each in value:
            yield from _texts(each)


def step(trace: Trace, span: Span, tier: str, why: str) -> dict[str, Any]:
    """Return one step of a replay, a model's or a tool's call, as the API gives it."""
    return {
        "trace_id": trace.trace_id,
        "span_id": span.span_id,
        "kind": span.kind,
        "agent": trace.agent_of(span),
        "name": (span.model if span.kind == "llm" else span.tool) or span.name,
        "tier": tier,
        "why": why,
    }


def _output(trace: Trace) -> str | None:
    return next((span.output for span in trace.roots if span.parent_id is None), None)
