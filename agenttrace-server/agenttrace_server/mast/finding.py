"""Say what was found: annotations with ids that stay the same from one analysis to the next."""

import hashlib

from agenttrace.models import FailureAnnotation, Message, Severity, Span, Trace

QUOTE_LENGTH = 300


def finding(
    trace: Trace,
    mode: str,
    *,
    category: str,
    subcategory: str,
    classifier: str,
    evidence: str,
    explanation: str,
    span: Span | None = None,
    message: Message | None = None,
    agent: str | None = None,
    severity: Severity = "medium",
    confidence: float = 1.0,
    decisive: bool = False,
) -> FailureAnnotation:
    """Return the annotation of `mode` at this span and message.

    The agent is the one given, else whose work the span is, else the message's sender. The span is
    the one given, else the one during which the message was sent.
    """
    if span is None and message is not None:
        span = trace.by_id.get(message.span_id)
    if agent is None and span is not None:
        agent = trace.agent_of(span)
    if agent is None and message is not None:
        agent = message.sender
    span_id = span.span_id if span else None
    message_id = message.message_id if message else None
    identity = "\0".join((trace.trace_id, mode, span_id or "", message_id or "", agent or ""))
    return FailureAnnotation(
        annotation_id=hashlib.sha256(identity.encode("utf-8", "replace")).hexdigest()[:32],
        trace_id=trace.trace_id,
        mode=mode,
        category=category,
        subcategory=subcategory,
        classifier=classifier,
        span_id=span_id,
        message_id=message_id,
        agent=agent,
        severity=severity,
        confidence=confidence,
        evidence=evidence,
        explanation=explanation,
        decisive=decisive,
    )


def quote(text: str, start: int = 0, end: int | None = None) -> str:
    """Return a literal part of `text` around [start, end), not longer than a reader takes in."""
    text_end = len(text) if end is None else end
    if len(text) <= QUOTE_LENGTH:
        return text.strip()
    before = max(0, (QUOTE_LENGTH - (text_end - start)) // 2)
    first = max(0, min(start - before, len(text) - QUOTE_LENGTH))
    return text[first : first + QUOTE_LENGTH].strip()
