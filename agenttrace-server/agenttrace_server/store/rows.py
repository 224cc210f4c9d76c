"""Turn spans into rows and back, losing nothing."""

import hashlib
from collections.abc import Sequence
from typing import Any, Literal, TypeVar

import msgspec
from msgspec.structs import replace

from agenttrace import semconv
from agenttrace.models import Attributes, Scope, Span, SpanEvent, SpanLink
from agenttrace_server.values import mark, unmark

STATUSES = ("unset", "ok", "error")
_STATUS_NUMBERS = {name: number for number, name in enumerate(STATUSES)}
_INT64 = 2**63
_MOST_TOKENS = 2**40
_MOST_COST = 1e12
_PLAIN = frozenset({str, bool, int, type(None)})

_INPUT_KEYS = tuple(
    dict.fromkeys(
        (semconv.AGENTTRACE_INPUT, *semconv.ALIASES["input"], *semconv.ALIASES["tool_input"])
    )
)
_OUTPUT_KEYS = tuple(
    dict.fromkeys(
        (semconv.AGENTTRACE_OUTPUT, *semconv.ALIASES["output"], *semconv.ALIASES["tool_output"])
    )
)

T = TypeVar("T")


class Body(msgspec.Struct, omit_defaults=True):
    """What `span_bodies.body` holds.

    `input_key` and `output_key` name the attribute that holds the same text: it is kept once.
    """

    attributes: Any = {}
    events: tuple[SpanEvent, ...] = ()
    links: tuple[SpanLink, ...] = ()
    input: str | None = None
    output: str | None = None
    input_key: str | None = None
    output_key: str | None = None
    tool: str | None = None
    error: str | None = None
    session: str | None = None
    agent_role: str | None = None
    provider: str | None = None
    span_kind: str = "internal"
    status_message: str = ""
    trace_state: str = ""
    flags: int = 0

    def text(self, kind: Literal["input", "output"]) -> str | None:
        """The span's `input` or `output`."""
        if kind == "input":
            key, own = self.input_key, self.input
        else:
            key, own = self.output_key, self.output
        return str(self.attributes[key]) if key else own


_encoder = msgspec.json.Encoder(enc_hook=str)
_body_decoder = msgspec.json.Decoder(Body)
_scope_decoder = msgspec.json.Decoder(Scope)


def encode_body(span: Span) -> str:
    """Return the JSON text of everything that has no column in `spans`."""
    attributes, events, links = span.attributes, span.events, span.links
    came_in, went_out = span.input, span.output
    input_key = output_key = None
    if came_in is not None:
        input_key = _key_of(came_in, attributes, _INPUT_KEYS)
    if went_out is not None:
        output_key = _key_of(went_out, attributes, _OUTPUT_KEYS)
    body = Body(
        attributes,
        events,
        links,
        None if input_key else came_in,
        None if output_key else went_out,
        input_key,
        output_key,
        span.tool,
        span.error,
        span.session,
        span.agent_role,
        span.provider,
        span.span_kind,
        span.status_message,
        span.trace_state,
        span.flags,
    )
    if (
        _PLAIN.issuperset(map(type, attributes.values()))
        and (not events or all(_is_plain(event.attributes) for event in events))
        and (not links or all(_is_plain(link.attributes) for link in links))
    ):
        text = encode(body)
        if '{"$' not in text:
            return text
    body.attributes = mark(attributes)
    body.events = tuple(replace(e, attributes=mark(e.attributes)) for e in events)
    body.links = tuple(replace(k, attributes=mark(k.attributes)) for k in links)
    return encode(body)


def _key_of(text: str, attributes: Attributes, keys: Sequence[str]) -> str | None:
    """Return the first of the keys whose attribute is the text."""
    for key in keys:
        if attributes.get(key) == text:
            return key
    return None


def decode_body(text: str) -> Body:
    """Return what `encode_body` was given."""
    body = _body_decoder.decode(text)
    if '{"$' in text:
        body.attributes = unmark(body.attributes)
        body.events = tuple(replace(e, attributes=unmark(e.attributes)) for e in body.events)
        body.links = tuple(replace(k, attributes=unmark(k.attributes)) for k in body.links)
    return body


def encode_scope(scope: Scope) -> tuple[int, str]:
    """Return the scope's id, a hash of its content, and its JSON text."""
    text = encode(replace(scope, attributes=mark(scope.attributes), resource=mark(scope.resource)))
    return content_id(text), text


def content_id(text: str) -> int:
    """Return a signed 64-bit hash that stands for the text."""
    digest = hashlib.blake2b(text.encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big", signed=True)


def decode_scope(text: str) -> Scope:
    """Return what `encode_scope` was given."""
    scope = _scope_decoder.decode(text)
    if '{"$' not in text:
        return scope
    return replace(scope, attributes=unmark(scope.attributes), resource=unmark(scope.resource))


def span_row(project_id: int, span: Span, scope_id: int) -> tuple[Any, ...]:
    """Return the row of `spans`, all but its last column, `body_id`.

    Raises ValueError where the span has a time that no database column can hold.
    """
    if not (-_INT64 <= span.start_ns < _INT64 and -_INT64 <= span.end_ns < _INT64):
        raise ValueError("its start or end time is outside the years 1677 to 2262")
    tokens_in, tokens_out, cost = span.tokens_in, span.tokens_out, span.cost_usd
    if tokens_in is not None and not 0 <= tokens_in < _MOST_TOKENS:
        tokens_in = None
    if tokens_out is not None and not 0 <= tokens_out < _MOST_TOKENS:
        tokens_out = None
    if cost is not None and not abs(cost) < _MOST_COST:
        cost = None
    return (
        project_id,
        span.trace_id,
        span.span_id,
        span.start_ns,
        span.end_ns,
        span.parent_id,
        span.name,
        span.kind,
        _STATUS_NUMBERS.get(span.status, 0),
        1 if span.status == "error" or span.error else 0,
        span.framework,
        span.agent,
        span.model,
        tokens_in,
        tokens_out,
        cost,
        scope_id,
    )


def row_span(row: Sequence[Any], body_text: str, scope: Scope) -> Span:
    """Return the span of a whole row of `spans` and its body."""
    body = decode_body(body_text)
    return Span(
        row[1],
        row[2],
        row[6],
        row[3],
        row[4],
        row[5],
        body.span_kind,
        STATUSES[row[8]],  # type: ignore[arg-type]
        body.status_message,
        body.attributes,
        body.events,
        body.links,
        scope,
        body.trace_state,
        body.flags,
        row[7],
        row[10],
        row[11],
        body.agent_role,
        row[12],
        body.provider,
        body.tool,
        body.text("input"),
        body.text("output"),
        row[13],
        row[14],
        row[15],
        body.session,
        body.error,
    )


def encode(value: Any) -> str:
    """Return JSON text; what is no Unicode (lone surrogates) becomes U+FFFD."""
    try:
        return _encoder.encode(value).decode()
    except UnicodeEncodeError:
        return _encoder.encode(scrubbed(msgspec.to_builtins(value, enc_hook=str))).decode()


def _is_plain(value: Attributes) -> bool:
    return _PLAIN.issuperset(map(type, value.values()))


def scrubbed(value: T) -> T:
    """Return the value with lone surrogates replaced by U+FFFD, however deep they are."""
    if isinstance(value, str):
        return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")  # type: ignore[return-value]
    if isinstance(value, dict):
        return {scrubbed(k): scrubbed(v) for k, v in value.items()}  # type: ignore[return-value]
    if isinstance(value, list | tuple):
        return type(value)(scrubbed(item) for item in value)
    if isinstance(value, msgspec.Struct):
        changes = {name: scrubbed(getattr(value, name)) for name in value.__struct_fields__}
        return replace(value, **changes)
    return value
