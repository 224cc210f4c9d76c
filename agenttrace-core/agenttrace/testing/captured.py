"""Collect the spans of an app under test, as AgentTrace would receive them."""

import threading
from collections.abc import Mapping, Sequence
from typing import Any

from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
from opentelemetry.trace import StatusCode

from agenttrace.models import RawSpan, Scope, SpanEvent, SpanLink, SpanStatus, Trace
from agenttrace.normalize import normalize
from agenttrace.payload import materialise
from agenttrace.plugins import Plugins
from agenttrace.testing.builders import derive

_STATUSES: Mapping[StatusCode, SpanStatus] = {
    StatusCode.UNSET: "unset",
    StatusCode.OK: "ok",
    StatusCode.ERROR: "error",
}


class InMemoryExporter(SpanExporter):
    """Keeps every span that ends, with what capture had deferred.

    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter := InMemoryExporter()))
    ... run the app ...
    [trace] = exporter.traces(plugins)
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._spans: list[RawSpan] = []

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Keep the spans; what had been deferred becomes text now."""
        raws = [raw_of(materialise(span)) for span in spans]
        with self._lock:
            self._spans += raws
        return SpanExportResult.SUCCESS

    def raw_spans(self) -> list[RawSpan]:
        """Return what was kept, in start order."""
        with self._lock:
            return sorted(self._spans, key=lambda raw: raw.start_ns)

    def traces(self, plugins: Plugins | None = None) -> list[Trace]:
        """Return the traces the spans make up, each with its agents, messages and checkpoints."""
        plugins = plugins or Plugins()
        by_trace: dict[str, list[RawSpan]] = {}
        for raw in self.raw_spans():
            by_trace.setdefault(raw.trace_id, []).append(raw)
        return [derive(normalize(raws, plugins), plugins) for raws in by_trace.values()]

    def clear(self) -> None:
        """Forget every span."""
        with self._lock:
            self._spans.clear()


def raw_of(span: ReadableSpan) -> RawSpan:
    """Return an ended span of the OpenTelemetry SDK as the server would decode it."""
    context, scope, resource = span.get_span_context(), span.instrumentation_scope, span.resource
    if context is None:
        raise ValueError(f"The span {span.name!r} has no context; was it ever started?")
    return RawSpan(
        trace_id=f"{context.trace_id:032x}",
        span_id=f"{context.span_id:016x}",
        name=span.name,
        start_ns=span.start_time or 0,
        end_ns=span.end_time or span.start_time or 0,
        parent_id=f"{span.parent.span_id:016x}" if span.parent else None,
        span_kind=span.kind.name.lower(),
        status=_STATUSES[span.status.status_code],
        status_message=span.status.description or "",
        attributes=_plain(span.attributes),
        events=tuple(SpanEvent(e.name, e.timestamp, _plain(e.attributes)) for e in span.events),
        links=tuple(
            SpanLink(
                f"{link.context.trace_id:032x}",
                f"{link.context.span_id:016x}",
                _plain(link.attributes),
            )
            for link in span.links
        ),
        scope=Scope(
            scope.name if scope else "",
            (scope.version or "") if scope else "",
            _plain(scope.attributes if scope else None),
            (scope.schema_url or "") if scope else "",
            _plain(resource.attributes),
        ),
    )


def _plain(attributes: Mapping[str, Any] | None) -> dict[str, Any]:
    """Attributes as they come off the wire: sequences are lists there."""
    return {
        key: list(value) if isinstance(value, tuple) else value
        for key, value in (attributes or {}).items()
    }
