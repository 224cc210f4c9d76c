"""Check that a normalizer keeps its contract, whatever the spans hold."""

from collections.abc import Iterable, Iterator
from copy import deepcopy
from typing import Any, get_args

import msgspec

from agenttrace import semconv
from agenttrace.models import Kind, Normalizer, RawSpan, Scope, Span, SpanEvent, SpanLink
from agenttrace.testing.builders import raw_span

_ODD_VALUES: tuple[Any, ...] = (
    None,
    "",
    " ",
    "text",
    "no\x00t\ud83d all\u202e nice",
    "{",
    "[1, 2",
    '{"messages": null}',
    '[{"role": 5, "content": {"a": []}}]',
    '[{"role": "user", "parts": [null, 1, {"type": "tool_call"}]}]',
    "[" * 5000,
    "null",
    True,
    0,
    -1,
    2**63 - 1,
    1.5,
    float("nan"),
    float("inf"),
    b"\xff\x00",
    [],
    [None, "a", 1, ["b"]],
    {},
    {"": None, "role": {"deep": [{}]}},
)

_TEXT_FIELDS = (
    "framework",
    "agent",
    "agent_role",
    "model",
    "provider",
    "tool",
    "input",
    "output",
    "session",
    "error",
)

# What a normalizer may change of what it was given: an "error" that is a framework's control flow.
_MAY_CHANGE = frozenset(("status", "status_message"))


def odd_spans(known: Iterable[RawSpan] = ()) -> Iterator[RawSpan]:
    """Yield spans such as careless or hostile senders make.

    Every attribute that AgentTrace knows, and each of those in the spans of `known`, takes every
    odd value once; then come odd events, links, times and names.
    """
    plain = raw_span("odd")
    for key in sorted(_known_attributes()):
        for value in _ODD_VALUES:
            yield raw_span("odd", attributes={key: value})
    for raw in known:
        yield raw
        for key in raw.attributes:
            for value in _ODD_VALUES:
                attributes = {**raw.attributes, key: value}
                yield msgspec.structs.replace(raw, attributes=attributes)
        yield msgspec.structs.replace(raw, attributes={})
    for value in _ODD_VALUES:
        for name in ("exception", "gen_ai.choice", "gen_ai.user.message", semconv.MESSAGE_EVENT):
            said = dict.fromkeys(_EVENT_ATTRIBUTES, value)
            yield msgspec.structs.replace(plain, events=(SpanEvent(name, 0, said),))
    yield msgspec.structs.replace(plain, name="", start_ns=0, end_ns=0)
    yield msgspec.structs.replace(plain, start_ns=2**63 - 1, end_ns=0)
    yield msgspec.structs.replace(plain, parent_id=plain.span_id)
    yield msgspec.structs.replace(plain, links=(SpanLink("", ""),), status="error")
    yield msgspec.structs.replace(plain, scope=Scope(resource={"service.name": 5}))


_EVENT_ATTRIBUTES = (
    "exception.type",
    "exception.message",
    "content",
    "message",
    "role",
    "tool_calls",
    "gen_ai.event.content",
    semconv.MESSAGE_SENDER,
    semconv.MESSAGE_RECIPIENT,
)


def check_normalizer(normalizer: Normalizer, raws: Iterable[RawSpan] = ()) -> None:
    """Raise `AssertionError` if a normalizer breaks its contract on `raws` or on odd spans.

    The contract: it never raises; it returns a `Span` of the same ids, times, attributes and
    events; it changes nothing it was given; the same span gives the same answer; and what it fills
    in is of the type `Span` says. Give it real spans of your framework: their attributes are then
    bent too.
    """
    for raw in odd_spans(raws):
        before = deepcopy(raw)
        try:
            span, again = normalizer(raw), normalizer(raw)
        except Exception as error:
            raise AssertionError(f"It raised {error!r} on {_shown(raw)}") from error
        if not isinstance(span, Span):
            raise AssertionError(f"It returned {type(span).__name__}, no Span, on {_shown(raw)}")
        if repr(raw) != repr(before):
            raise AssertionError(f"It changed the span it was given: {_shown(before)}")
        if repr(span) != repr(again):
            raise AssertionError(f"It gave two answers to the same span: {_shown(raw)}")
        for problem in _problems(span, raw):
            raise AssertionError(f"{problem}, on {_shown(raw)}")


def _problems(span: Span, raw: RawSpan) -> Iterator[str]:
    for field in RawSpan.__struct_fields__:
        kept = getattr(span, field) is getattr(raw, field) or (
            repr(getattr(span, field)) == repr(getattr(raw, field))
        )
        if not kept and field not in _MAY_CHANGE:
            yield f"It changed {field} to {getattr(span, field)!r:.100}"
    if span.kind not in get_args(Kind):
        yield f"{span.kind!r} is no kind"
    for field in _TEXT_FIELDS:
        value = getattr(span, field)
        if value is not None and not isinstance(value, str):
            yield f"{field} is {type(value).__name__}, neither text nor None"
    for field in ("tokens_in", "tokens_out"):
        value = getattr(span, field)
        if value is not None and (type(value) is not int or value < 0):
            yield f"{field} is {value!r}, neither a count nor None"
    cost = span.cost_usd
    if cost is not None and not (isinstance(cost, (int, float)) and cost >= 0):
        yield f"cost_usd is {cost!r}, neither dollars nor None"


def _known_attributes() -> set[str]:
    names = {name for names in semconv.ALIASES.values() for name in names}
    names |= {name for name, _ in (*semconv.KINDS, *semconv.KIND_HINTS)}
    names |= {name for pair in semconv.HANDOFFS for name in pair}
    for family in (*semconv.INPUT_FAMILIES, *semconv.OUTPUT_FAMILIES):
        names |= {f"{family}.0.message.content", f"{family}.0", f"{family}.x.0", f"{family}.0.role"}
    constants = vars(semconv).items()
    return names | {v for k, v in constants if k.isupper() and isinstance(v, str) and "." in v}


def _shown(raw: RawSpan) -> str:
    return f"{raw!r:.500}"
