"""What a rule may ask of a span or a message, by name."""

from collections.abc import Callable, Mapping
from typing import Any, Final, Literal, TypeAlias

from agenttrace.models import Message, Span, Trace

Subject = Literal["span", "message"]
Read: TypeAlias = Callable[[Trace, Any], Any]

ATTRIBUTES: Final = ("attributes.", "resource.")
"""After these comes the name of an attribute of the span, or of the process that recorded it."""


def _tokens(_: Trace, span: Span) -> int | None:
    known = [n for n in (span.tokens_in, span.tokens_out) if n is not None]
    return sum(known) if known else None


_SPAN: Final[Mapping[str, Read]] = {
    "name": lambda _, s: s.name,
    "kind": lambda _, s: s.kind,
    "agent": lambda t, s: t.agent_of(s),
    "framework": lambda _, s: s.framework,
    "model": lambda _, s: s.model,
    "provider": lambda _, s: s.provider,
    "tool": lambda _, s: s.tool,
    "status": lambda _, s: s.status,
    "error": lambda _, s: s.error,
    "input": lambda _, s: s.input,
    "output": lambda _, s: s.output,
    "tokens_in": lambda _, s: s.tokens_in,
    "tokens_out": lambda _, s: s.tokens_out,
    "tokens": _tokens,
    "cost_usd": lambda _, s: s.cost_usd,
    "duration_ms": lambda _, s: s.duration_ns / 1e6,
    "session": lambda _, s: s.session,
    "service": lambda _, s: s.scope.service_name,
    "scope": lambda _, s: s.scope.name,
}

_MESSAGE: Final[Mapping[str, Read]] = {
    "sender": lambda _, m: m.sender,
    "agent": lambda _, m: m.sender,
    "recipient": lambda _, m: m.recipient,
    "type": lambda _, m: m.type,
    "content": lambda _, m: m.content,
    "length": lambda _, m: len(m.content),
    "tokens": lambda _, m: m.tokens,
    "provenance": lambda _, m: m.provenance,
    "confidence": lambda _, m: m.confidence,
}

FIELDS: Final[Mapping[Subject, Mapping[str, Read]]] = {"span": _SPAN, "message": _MESSAGE}

TEXTS: Final[Mapping[Subject, tuple[str, ...]]] = {
    "span": ("error", "output", "input"),
    "message": ("content",),
}
"""The fields a finding quotes from where its rule looks at no text, the first that has any."""


def known(subject: Subject, field: str) -> bool:
    """Say whether a span or a message has a field of this name."""
    return field in FIELDS[subject] or (
        subject == "span" and any(len(field) > len(p) and field.startswith(p) for p in ATTRIBUTES)
    )


def names(subject: Subject) -> str:
    """Return the fields' names, to be read."""
    more = ", attributes.KEY, resource.KEY" if subject == "span" else ""
    return ", ".join(FIELDS[subject]) + more


def read(subject: Subject, field: str, trace: Trace, thing: Span | Message) -> Any:
    """Return a field's value; None where there is none."""
    reader = FIELDS[subject].get(field)
    if reader is not None:
        return reader(trace, thing)
    assert isinstance(thing, Span)
    where, _, key = field.partition(".")
    return (thing.attributes if where == "attributes" else thing.scope.resource).get(key)
