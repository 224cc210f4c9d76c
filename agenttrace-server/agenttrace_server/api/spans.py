"""Spans: all of a trace without bodies, or one, whole."""

import math
from typing import Any

import msgspec
from fastapi import APIRouter, Response

from agenttrace.errors import SpanNotFound
from agenttrace.models import Span as Stored
from agenttrace_server.api import models
from agenttrace_server.api.asked import SpanId, StoreOf, TraceId, clean_id, found, problems
from agenttrace_server.api.times import milliseconds, rfc3339

router = APIRouter(tags=["spans"])

# The largest integer that a JavaScript number holds exactly.
_MAX_SAFE = 2**53 - 1


@router.get(
    "/traces/{trace_id}/spans",
    operation_id="getSpans",
    response_model=models.SpanSkeleton,
    responses=problems(404),
)
def get_spans(store: StoreOf, trace_id: TraceId) -> Response:
    """Return the skeleton of every span, in columns: a 50,000-span trace stays under 2 MB."""
    columns = store.columns(clean_id(trace_id))
    if columns is None:
        summary = found(store, trace_id)
        raise SpanNotFound(f"Trace {summary.trace_id} has no spans")
    body = msgspec.structs.asdict(columns)
    body["start_time"] = rfc3339(body.pop("start_ns"))
    # Not through Pydantic: checking half a million numbers that we made ourselves takes a second.
    return Response(msgspec.json.encode(body), media_type="application/json")


@router.get("/traces/{trace_id}/spans/{span_id}", operation_id="getSpan", responses=problems(404))
def get_span(store: StoreOf, trace_id: TraceId, span_id: SpanId) -> models.Span:
    """Return one span with its input, output, attributes, events and links."""
    span = store.span(clean_id(trace_id), clean_id(span_id))
    if span is None:
        found(store, trace_id)
        raise SpanNotFound(f"There is no span {span_id!r} in trace {trace_id!r}")
    return show(span)


def show(span: Stored) -> models.Span:
    """Return a span as it goes over HTTP."""
    return models.Span(
        trace_id=span.trace_id,
        span_id=span.span_id,
        parent_id=span.parent_id,
        name=span.name,
        kind=span.kind,
        span_kind=span.span_kind,
        status=span.status,
        status_message=span.status_message,
        start_time=rfc3339(span.start_ns),
        end_time=rfc3339(span.end_ns),
        duration_ms=milliseconds(span.duration_ns),
        framework=span.framework,
        agent=span.agent,
        agent_role=span.agent_role,
        model=span.model,
        provider=span.provider,
        tool=span.tool,
        input=span.input,
        output=span.output,
        tokens_in=span.tokens_in,
        tokens_out=span.tokens_out,
        cost_usd=span.cost_usd,
        session=span.session,
        error=span.error,
        attributes=_plain(span.attributes),
        events=[
            models.SpanEvent(
                name=event.name, time=rfc3339(event.time_ns), attributes=_plain(event.attributes)
            )
            for event in span.events
        ],
        links=[
            models.SpanLink(
                trace_id=link.trace_id, span_id=link.span_id, attributes=_plain(link.attributes)
            )
            for link in span.links
        ],
        scope=models.Scope(
            name=span.scope.name,
            version=span.scope.version,
            attributes=_plain(span.scope.attributes),
            schema_url=span.scope.schema_url,
        ),
        resource=_plain(span.scope.resource),
    )


def _plain(value: Any) -> Any:
    """Return an attribute value that JSON and JavaScript can hold without changing it."""
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, bytes):
        return msgspec.to_builtins(value)
    if isinstance(value, bool) or value is None:
        return value
    if isinstance(value, int):
        return value if abs(value) <= _MAX_SAFE else str(value)
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    return str(value)
