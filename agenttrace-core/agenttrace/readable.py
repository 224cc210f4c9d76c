"""Build the span that leaves the process: what was deferred as text, capped and redacted."""

import logging
from collections.abc import Mapping
from typing import Any, cast

from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import Event, ReadableSpan
from opentelemetry.trace import Link
from opentelemetry.trace.status import Status

from agenttrace import semconv
from agenttrace.payload import Answered, Pending, Redact, texts
from agenttrace.serialise import cut, describe, to_text

KEY_LIMIT = 1024

log = logging.getLogger("agenttrace.exporter")


class FinishedSpan(ReadableSpan):
    """An ended span rebuilt from another; remembers what the SDK's limits had dropped from that."""

    def __init__(self, original: ReadableSpan, **changed: Any) -> None:
        super().__init__(
            context=original.context,
            parent=original.parent,
            kind=original.kind,
            start_time=original.start_time,
            end_time=original.end_time,
            instrumentation_scope=original.instrumentation_scope,
            **changed,
        )
        self._dropped = (
            original.dropped_attributes,
            original.dropped_events,
            original.dropped_links,
        )

    @property
    def dropped_attributes(self) -> int:
        """How many attributes the SDK's limit dropped."""
        return self._dropped[0]

    @property
    def dropped_events(self) -> int:
        """How many events the SDK's limit dropped."""
        return self._dropped[1]

    @property
    def dropped_links(self) -> int:
        """How many links the SDK's limit dropped."""
        return self._dropped[2]


def rebuild(
    span: ReadableSpan, pending: Pending | None, redact: Redact | None, limit: int
) -> ReadableSpan:
    """Return `span` with `pending` in it; see `agenttrace.payload.materialise`."""
    attributes: dict[str, Any] = dict(span.attributes or {})
    events = [(e.timestamp, e.name, dict(e.attributes or {})) for e in span.events]
    if pending is not None:
        for key, value in list(pending.attributes):
            found = value.attributes(limit) if isinstance(value, Answered) else None
            attributes |= {key: to_text(value, limit)} if found is None else found
        events += [(time, name, texts(kept, limit)) for time, name, kept in list(pending.events)]
        events.sort(key=lambda event: event[0])
    clean = _Clean(redact, limit)
    status = span.status
    return FinishedSpan(
        span,
        name=clean.text("name", span.name),
        attributes=clean.attributes(attributes),
        events=[Event(clean.text("name", n), clean.event(a), t) for t, n, a in events],
        links=[Link(e.context, clean.attributes(e.attributes or {})) for e in span.links],
        status=Status(
            status.status_code,
            clean.text("status.message", status.description) if status.description else None,
        ),
        resource=clean.resource(span.resource),
    )


class _CleanResource(Resource):
    """A redacted resource; equal to itself only: comparing attributes costs 10 µs a span."""

    __hash__ = object.__hash__

    def __eq__(self, other: object) -> bool:
        return self is other


_resources: dict[int, tuple[Resource, Redact, _CleanResource]] = {}


class _Clean:
    """Caps and redacts every text that leaves the process."""

    def __init__(self, redact: Redact | None, limit: int) -> None:
        self._redact = redact
        self._limit = limit

    def text(self, key: str, text: str, limit: int | None = None) -> str:
        kept = cut(text, limit or self._limit)
        if self._redact is None:
            return kept
        try:
            redacted = self._redact(key, kept)
            # A hook that answers with something else meant to hide the text.
            return redacted if isinstance(redacted, str) else "[redacted]"
        except Exception as error:  # noqa: BLE001 - a failing hook must not let the text through
            log.warning("The redact hook raised for %r: %s", key, describe(error))
            return f"[redacted: the hook raised {type(error).__name__}]"

    def value(self, key: str, value: Any, limit: int | None = None) -> Any:
        if isinstance(value, str):
            return self.text(key, value, limit)
        if isinstance(value, bytes):
            return self._bytes(key, value)
        if isinstance(value, (list, tuple)):
            return [self.value(key, item, limit) for item in value]
        if isinstance(value, Mapping):
            return {str(name): self.value(f"{key}.{name}", v, limit) for name, v in value.items()}
        return value

    def attributes(self, attributes: Mapping[str, Any]) -> dict[str, Any]:
        return {
            cut(key, KEY_LIMIT): self.value(key, value, _LIMITS.get(key))
            if key not in _HASHES
            else value
            for key, value in attributes.items()
        }

    def event(self, attributes: Mapping[str, Any]) -> dict[str, Any]:
        # `texts` has capped these already, a checkpoint's state more generously than the rest.
        return {key: self.value(key, v, _UNCAPPED) for key, v in attributes.items()}

    def resource(self, resource: Resource) -> Resource:
        if self._redact is None:
            return resource
        known = _resources.get(id(resource))
        if known is not None and known[0] is resource and known[1] is self._redact:
            return known[2]
        clean = _CleanResource(self.attributes(resource.attributes), resource.schema_url)
        if len(_resources) > 64:
            _resources.clear()
        _resources[id(resource)] = resource, self._redact, clean
        return clean

    def _bytes(self, key: str, value: bytes) -> bytes:
        try:
            return self.text(key, value.decode()).encode()
        except UnicodeDecodeError:
            return value


_UNCAPPED = cast(int, float("inf"))
_LIMITS = {semconv.AGENTTRACE_OUTPUT_EXACT: _UNCAPPED}
"""`Answered` has capped it already."""
_HASHES = frozenset(
    (
        semconv.AGENTTRACE_INPUT_HASH,
        semconv.AGENTTRACE_CALL_CAUSE,
        semconv.AGENTTRACE_OUTPUT_HASH,
    )
)
"""They tell nothing, and a rule that takes long digits for secrets must not spoil them."""
