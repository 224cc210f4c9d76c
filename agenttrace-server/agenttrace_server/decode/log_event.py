"""A log record that belongs to a span, as GenAI instrumentations send prompts and completions."""

import msgspec

from agenttrace.models import Attributes, AttributeValue, Scope, SpanEvent


class LogEvent(msgspec.Struct, frozen=True):
    """One OTLP log record with the span it was emitted in.

    `name` is the record's event name (or its `event.name` attribute), `time_ns` Unix nanoseconds.
    """

    trace_id: str
    span_id: str
    name: str
    time_ns: int
    body: AttributeValue = None
    attributes: Attributes = {}
    severity: str = ""
    scope: Scope = Scope()

    @property
    def span_event(self) -> SpanEvent:
        """The record as an event of its span.

        A body that is a map becomes attributes (those the record already has win), any other body
        the attribute `body`.
        """
        if isinstance(self.body, dict):
            attributes = {**self.body, **self.attributes}
        elif self.body is None:
            attributes = dict(self.attributes)
        else:
            attributes = {"body": self.body, **self.attributes}
        return SpanEvent(self.name, self.time_ns, attributes)
