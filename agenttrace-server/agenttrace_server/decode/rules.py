"""What both wire formats of OTLP agree on: which ids and times are valid, and what enums mean."""

from agenttrace.models import SpanStatus

NO_TRACE = "0" * 32
NO_SPAN = "0" * 16

# A signed 64-bit column holds nanoseconds up to the year 2262; OTLP's field is unsigned.
LATEST_NS = 2**63 - 1

# Deeper values could not be written as protobuf again: its parsers stop at 100 nested messages.
DEEPEST = 30

SPAN_KINDS = ("unspecified", "internal", "server", "client", "producer", "consumer")
STATUSES: tuple[SpanStatus, ...] = ("unset", "ok", "error")

SENT_LOGS = "These are logs, not traces; send them to /v1/logs"
SENT_METRICS = "These are metrics, not traces; AgentTrace takes traces and GenAI log events"
SENT_TRACES = "These are traces, not logs; send them to /v1/traces"
NO_SPAN_TO_JOIN = "The log record names no span (trace id and span id) to show it with"


class BadSpan(ValueError):
    """Why one span cannot be stored."""


def check_ids(trace_id: str, span_id: str, parent_id: str) -> str | None:
    """Return the parent id, None for a root.

    Ids are hex digits; raises `BadSpan` if one is missing, all zero, or of the wrong length.
    """
    if len(trace_id) != 32 or trace_id == NO_TRACE:
        raise BadSpan(_bad_id("traceId", trace_id, 16))
    if len(span_id) != 16 or span_id == NO_SPAN:
        raise BadSpan(_bad_id("spanId", span_id, 8))
    if not parent_id or parent_id in (NO_SPAN, span_id):
        return None
    if len(parent_id) != 16:
        raise BadSpan(_bad_id("parentSpanId", parent_id, 8))
    return parent_id


def _bad_id(field: str, value: str, size: int) -> str:
    if not value:
        return f"{field} is missing"
    if not value.strip("0"):
        return f"{field} is all zeros"
    return f"{field} has {len(value) / 2:g} bytes instead of {size}: {value[:64]}"


def check_times(start_ns: int, end_ns: int) -> tuple[int, int]:
    """Return start and end; where one is missing it is the other, so a span never spans decades."""
    start_ns = start_ns or end_ns
    end_ns = end_ns or start_ns
    if not 0 <= start_ns <= LATEST_NS or not 0 <= end_ns <= LATEST_NS:
        raise BadSpan(f"Times {start_ns} to {end_ns} are no Unix nanoseconds before the year 2262")
    return start_ns, end_ns
