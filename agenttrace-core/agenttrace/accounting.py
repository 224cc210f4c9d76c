"""Count what model calls took, each once, however many instrumentations saw it.

Two spans are one call where one lies in the other, or where two instrumentations recorded the same
response (its id; or the same model, output and time) beside each other. What agents and workflows
report is a roll-up: it is compared with the calls beneath, never added. What a replay answered from
the record cost nothing.
"""

import math
from collections.abc import Iterable, Mapping

import msgspec

from agenttrace import chat, semconv
from agenttrace.chat import as_text
from agenttrace.models import Span, Trace
from agenttrace.nesting import nearest

# A model call ends where another actor begins: what an agent or tool calls below it is its own.
_OTHER_ACTORS = frozenset(("agent", "tool", "workflow", "handoff"))

NEAR_NS = 100_000_000
"""How far apart two instrumentations may see the same call begin or end: 100 ms."""
MOST_ROLL_UPS = 200
"""At most so many roll-ups are told of one trace, the outermost first."""


class Usage(msgspec.Struct, frozen=True):
    """Tokens, and US dollars where known."""

    tokens_in: int = 0
    tokens_out: int = 0
    cost_usd: float | None = None


class RollUp(msgspec.Struct, frozen=True, kw_only=True):
    """What a span that is no model call said it took, and what the calls beneath it add up to."""

    span_id: str
    name: str
    said: Usage
    beneath: Usage


class SeenTwice(msgspec.Struct, frozen=True):
    """A span that shows a model call again that is counted at the span `counted`."""

    span_id: str
    counted: str


class Accounting(msgspec.Struct, frozen=True, kw_only=True):
    """What the model calls of a trace took, each counted once.

    `silent` of the `calls` did not say what they took. `root_said` is what the outermost roll-ups
    add up to, None where there is none.
    """

    calls: int = 0
    silent: int = 0
    leaves: Usage = Usage()
    root_said: Usage | None = None
    roll_ups: tuple[RollUp, ...] = ()
    seen_twice: tuple[SeenTwice, ...] = ()


class ModelUse(msgspec.Struct, frozen=True):
    """What one model was called for; the name is empty where none was told."""

    model: str
    calls: int
    errors: int
    tokens_in: int
    tokens_out: int
    cost_usd: float | None


def counted(trace: Trace) -> tuple[Span, ...]:
    """Return the `llm` spans whose tokens and cost count, in start order."""
    return tuple(_counted(trace, _twice(trace)))


def account(trace: Trace) -> Accounting:
    """Return what the trace took, and how that compares with what its roll-ups say."""
    twice = _twice(trace)
    counts = _counted(trace, twice)
    paid = {span.span_id for span in counts}
    roll_ups = _roll_ups(trace, counts)
    inner = nearest(trace, lambda span: span.span_id in roll_ups)
    outermost = [said for span_id, said in roll_ups.items() if inner[span_id] is None]
    return Accounting(
        calls=len(counts),
        silent=sum(not _says_usage(span) for span in counts),
        leaves=_sum(map(_usage, counts)),
        root_said=_sum(roll_up.said for roll_up in outermost) if outermost else None,
        roll_ups=tuple(roll_ups.values())[:MOST_ROLL_UPS],
        seen_twice=tuple(SeenTwice(one, other) for one, other in twice.items() if other in paid),
    )


def used(trace: Trace) -> tuple[ModelUse, ...]:
    """Return what each model took, in order of the first calls."""
    calls: dict[str, list[Span]] = {}
    for span in counted(trace):
        calls.setdefault(span.model or "", []).append(span)
    found = []
    for model, spans in calls.items():
        total = _sum(map(_usage, spans))
        errors = sum(span.error is not None for span in spans)
        numbers = (len(spans), errors, total.tokens_in, total.tokens_out, total.cost_usd)
        found.append(ModelUse(model, *numbers))
    return tuple(found)


def _counted(trace: Trace, twice: Mapping[str, str]) -> list[Span]:
    """Return each model call's one span; none where a span of it says it was not made again."""
    calls = [span for span in trace.spans if _is_llm(span)]
    free = {twice.get(span.span_id, span.span_id) for span in calls if _was_recorded(span)}
    return [span for span in calls if span.span_id not in twice and span.span_id not in free]


def _twice(trace: Trace) -> dict[str, str]:
    """Return the model calls that do not count, by span id, and the spans they count at."""
    nested = _nested(trace)
    calls = [span for span in trace.spans if _is_llm(span) and span.span_id not in nested]
    again = _side_by_side(calls)
    return {one: again.get(other, other) for one, other in nested.items()} | again


def _nested(trace: Trace) -> dict[str, str]:
    """Return the spans that show a call again which is in them, and the one that counts.

    The innermost counts that says what it took, else the outermost.
    """
    outer = nearest(trace, _is_llm, stop=lambda span: span.kind in _OTHER_ACTORS)
    calls = [span for span in trace.spans if _is_llm(span)]
    covered: dict[str, str] = {}
    for span in calls:
        above = outer[span.span_id] if _says_usage(span) else None
        while above is not None and above.span_id not in covered:
            covered[above.span_id] = span.span_id
            above = outer[above.span_id]
    for span in calls:
        above = outer[span.span_id]
        if above is not None and not _says_usage(span):
            covered.setdefault(span.span_id, above.span_id)
    return {one: _last(covered, one) for one in covered}


def _last(covered: dict[str, str], span_id: str) -> str:
    """The span that counts for this one, however often it was covered."""
    seen = {span_id}
    while (other := covered.get(span_id)) is not None and other not in seen:
        seen.add(other)
        span_id = other
    return span_id


class _Call:
    """One model call, as the instrumentations that recorded it saw it."""

    def __init__(self, span: Span, response: str | None, said: str | None) -> None:
        self.spans = [span]
        self.responses = {response} - {None}
        self.said = said

    def takes(self, span: Span, response: str | None, said: str | None) -> bool:
        """Whether the span can be this call: another saw it, and nothing speaks against it."""
        if any(one.scope.name == span.scope.name for one in self.spans):
            return False
        if response and self.responses:
            return response in self.responses
        first = self.spans[0]
        return (
            (not said or not self.said or said == self.said)
            and _same_model(first.model, span.model)
            and abs(first.start_ns - span.start_ns) <= NEAR_NS
            and abs(first.end_ns - span.end_ns) <= NEAR_NS
            and first.start_ns <= span.end_ns
            and span.start_ns <= first.end_ns
            and all(_agree(one.tokens_in, span.tokens_in) for one in self.spans)
            and all(_agree(one.tokens_out, span.tokens_out) for one in self.spans)
        )

    def add(self, span: Span, response: str | None, said: str | None) -> None:
        self.spans.append(span)
        self.responses |= {response} - {None}
        self.said = self.said or said


def _side_by_side(calls: list[Span]) -> dict[str, str]:
    """Return the calls that another instrumentation recorded as well, and the ones that count."""
    if len({span.scope.name for span in calls}) < 2:
        return {}
    known: dict[object, list[_Call]] = {}
    found: list[_Call] = []
    for span in sorted(calls, key=lambda call: (call.start_ns, call.span_id)):
        response, said = _response_id(span), _said(span)
        # Where content is not recorded, the same numbers of tokens have to do.
        used = (span.tokens_in, span.tokens_out) if span.tokens_in and span.tokens_out else None
        keys = [key for key in (response, said and ("said", said), used) if key]
        like = [
            one for key in keys for one in known.get(key, ()) if one.takes(span, response, said)
        ]
        if like:
            call = max(like, key=lambda one: one.spans[0].start_ns)
            call.add(span, response, said)
        else:
            call = _Call(span, response, said)
            found.append(call)
        for key in keys:
            if call not in known.setdefault(key, []):
                known[key].append(call)
    again: dict[str, str] = {}
    for call in found:
        best = max(call.spans, key=lambda span: (_says_usage(span), span.cost_usd is not None))
        again |= {span.span_id: best.span_id for span in call.spans if span is not best}
    return again


def _same_model(one: str | None, other: str | None) -> bool:
    """Whether two names can be the same model: `gpt-4o` is also `openai/gpt-4o-2024-08-06`."""
    if not one or not other:
        return True
    first, second = (name.rsplit("/", 1)[-1].lower() for name in (one, other))
    return first.startswith(second) or second.startswith(first)


def _agree(one: int | None, other: int | None) -> bool:
    return not one or not other or one == other


def _response_id(span: Span) -> str | None:
    """Return the id that the provider gave its answer, wherever it was written down."""
    for key in semconv.RESPONSE_IDS:
        if found := as_text(span.attributes.get(key)):
            return found
    answer = chat.parse(span.attributes.get("output.value"))
    for part in (answer, answer.get("llm_output")) if isinstance(answer, dict) else ():
        if isinstance(part, dict) and isinstance(part.get("id"), str):
            return str(part["id"]) or None
    return None


def _said(span: Span) -> str | None:
    """Return what the model answered, the same however it was written down."""
    if not span.output:
        return None
    parts = []
    for message in chat.read(span.output):
        parts.append(message.get("content") or "")
        for call in message.get("tool_calls") or ():
            parts += [str(call.get("name") or ""), str(chat.parse(call.get("arguments")))]
    return " ".join((" ".join(parts).strip() or span.output).split())


def _roll_ups(trace: Trace, counts: Iterable[Span]) -> dict[str, RollUp]:
    """Return the spans that say what was taken beneath them, by span id, in start order."""
    saying = {s.span_id: s for s in trace.spans if s.kind != "llm" and _says_usage(s)}
    if not saying:
        return {}
    above = nearest(trace, lambda span: span.span_id in saying)
    beneath: dict[str, list[Usage]] = {}
    for call in counts:
        walk = above[call.span_id]
        while walk is not None:
            beneath.setdefault(walk.span_id, []).append(_usage(call))
            walk = above[walk.span_id]
    return {
        span.span_id: RollUp(
            span_id=span.span_id,
            name=span.name,
            said=_usage(span),
            beneath=_sum(beneath.get(span.span_id, ())),
        )
        for span in saying.values()
    }


def _usage(span: Span) -> Usage:
    return Usage(span.tokens_in or 0, span.tokens_out or 0, span.cost_usd)


def _sum(usages: Iterable[Usage]) -> Usage:
    listed = list(usages)
    costs = [usage.cost_usd for usage in listed if usage.cost_usd is not None]
    return Usage(
        sum(usage.tokens_in for usage in listed),
        sum(usage.tokens_out for usage in listed),
        math.fsum(costs) if costs else None,
    )


def _is_llm(span: Span) -> bool:
    return span.kind == "llm"


def _was_recorded(span: Span) -> bool:
    return span.attributes.get(semconv.AGENTTRACE_REPLAY_TIER) == "recorded"


def _says_usage(span: Span) -> bool:
    return bool(span.tokens_in or span.tokens_out or span.cost_usd)
