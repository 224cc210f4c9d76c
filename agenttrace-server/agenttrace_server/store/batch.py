"""Make spans ready to be written, outside the transaction, in whichever process there is time."""

import time
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from agenttrace import semconv
from agenttrace.models import Scope, Span
from agenttrace_server.rejected import Rejected, rejected
from agenttrace_server.store import SpanKey
from agenttrace_server.store.rows import (
    decode_scope,
    encode_body,
    encode_scope,
    row_span,
    scrubbed,
    span_row,
)

_END, _NAME, _SCOPE = 4, 6, 16
"""Positions in a row of `spans`."""

ScopeText = tuple[int, int, str, str]
"""A row of `scopes`: project, id, service name, JSON text."""


class Incoming(msgspec.Struct, array_like=True):
    """A span ready to be written: its row without `body_id`, its body, and what its trace keeps."""

    row: tuple[Any, ...]
    body: str
    service_name: str
    events: int
    session: str | None
    replay_of: str | None
    replay_id: str | None

    @property
    def key(self) -> SpanKey:
        """The ids of its trace and of itself."""
        return self.row[1], self.row[2]

    @property
    def name(self) -> str:
        """The span's name."""
        return str(self.row[_NAME])

    @property
    def age(self) -> tuple[int, int]:
        """What grows from one version of a span to the next: it ended later, or has more events.

        Some clients send a span when it starts and again when it ends; log events join it later.
        """
        return self.row[_END], self.events


class Batch:
    """Spans of a project to be written together, the newest version of each, and their scopes."""

    def __init__(
        self, project_id: int, spans: Iterable[Incoming] = (), scopes: Iterable[ScopeText] = ()
    ) -> None:
        self.project_id = project_id
        self.incoming: dict[SpanKey, Incoming] = {}
        self.scopes = {scope[1]: scope for scope in scopes}
        for incoming in spans:
            self.add(incoming)

    def __len__(self) -> int:
        return len(self.incoming)

    def add(self, incoming: Incoming) -> None:
        """Add a span, unless a newer version of it is there."""
        earlier = self.incoming.get(incoming.key)
        if earlier is None or incoming.age > earlier.age:
            self.incoming[incoming.key] = incoming

    def merge(self, other: "Batch") -> None:
        """Add what another batch holds."""
        self.scopes.update(other.scopes)
        for incoming in other.incoming.values():
            self.add(incoming)

    def halves(self) -> tuple["Batch", "Batch"]:
        """Return two batches of half the spans."""
        listed = list(self.incoming.values())
        middle = len(listed) // 2
        scopes = self.scopes.values()
        return (
            Batch(self.project_id, listed[:middle], scopes),
            Batch(self.project_id, listed[middle:], scopes),
        )

    def span(self, key: SpanKey) -> Span:
        """Return one of the spans as it was."""
        incoming = self.incoming[key]
        scope = self.scopes[incoming.row[_SCOPE]]
        return row_span(incoming.row, incoming.body, decode_scope(scope[3]))

    def trace_scopes(self) -> set[tuple[int, str, int]]:
        """Return which scopes each trace has, as rows."""
        return {(i.row[0], i.row[1], i.row[_SCOPE]) for i in self.incoming.values()}

    def scrubbed(self) -> "Batch":
        """Return the same without lone surrogates, which no database can hold."""
        spans = [scrubbed(incoming) for incoming in self.incoming.values()]
        return Batch(self.project_id, spans, scrubbed(list(self.scopes.values())))


def ready(project_id: int, spans: Sequence[Span]) -> tuple[Batch, list[Rejected]]:
    """Return the spans ready to be written, and those that no database can hold, with why."""
    batch = Batch(project_id)
    refused: list[Rejected] = []
    known: dict[int, int] = {}
    for span in spans:
        scope = span.scope
        # Spans of one request share their scope objects: each is encoded once.
        scope_id = known.get(id(scope))
        if scope_id is None:
            scope_id = known[id(scope)] = _add_scope(batch, scope)
        try:
            incoming = Incoming(
                span_row(project_id, span, scope_id),
                encode_body(span),
                scope.service_name,
                len(span.events),
                span.session,
                _text(span, semconv.AGENTTRACE_REPLAY_SOURCE_TRACE_ID),
                _text(span, semconv.AGENTTRACE_REPLAY_ID),
            )
        except (ValueError, OverflowError) as error:
            refused.append(
                rejected(
                    time.time_ns(),
                    f"It cannot be stored: {error}",
                    scope.service_name,
                    span.trace_id,
                    span.span_id,
                    span.name,
                )
            )
        else:
            batch.add(incoming)
    return batch, refused


def _add_scope(batch: Batch, scope: Scope) -> int:
    scope_id, text = encode_scope(scope)
    batch.scopes[scope_id] = (batch.project_id, scope_id, scope.service_name, text)
    return scope_id


def _text(span: Span, key: str) -> str | None:
    value = span.attributes.get(key)
    return value if isinstance(value, str) else None
