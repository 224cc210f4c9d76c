"""Tell who sent what to whom in bare autogen-core programs, from the runtime's own spans."""

from collections.abc import Iterator
from hashlib import sha256

from agenttrace.chat import as_text, parse
from agenttrace.models import USER, Attributes, Message, MessageType, Span, Trace
from agenttrace_autogen.names import team_of


def messages(trace: Trace) -> Iterator[Message]:
    """Yield what agents that are in no team sent each other, and what was answered."""
    for span in trace.spans:
        attributes = span.attributes
        if not span.scope.name.startswith("autogen ") or "message" not in attributes:
            continue
        sender = as_text(attributes.get("sender_agent_type"))
        recipient = as_text(attributes.get("recipient_agent_type"))
        if team_of(sender) or team_of(recipient):
            continue
        if span.name.startswith("autogen process ") and recipient:
            yield _sent(span, sender, recipient)
        elif span.name.startswith("autogen ack") and sender and _answers(span):
            yield _message(span, sender, recipient or USER, "result")


def _sent(span: Span, sender: str | None, recipient: str) -> Message:
    context = parse(span.attributes.get("message_context"))
    called = isinstance(context, dict) and context.get("is_rpc") is True
    type_: MessageType = "task" if called or sender is None else "broadcast"
    return _message(span, sender or USER, recipient, type_)


def _answers(span: Span) -> bool:
    return span.attributes.get("message") not in (None, "", "No Message", "null", "None")


def _message(span: Span, sender: str, recipient: str, type_: MessageType) -> Message:
    key = f"{span.trace_id}/{span.span_id}/{sender}/{recipient}/{type_}"
    return Message(
        message_id=sha256(key.encode("utf-8", "replace")).hexdigest()[:16],
        trace_id=span.trace_id,
        span_id=span.span_id,
        sender=sender,
        recipient=recipient,
        type=type_,
        content=said_in(span.attributes) or "",
        sent_at=span.start_ns,
    )


def said_in(attributes: Attributes) -> str | None:
    """What a message says: its only field where that is text, else all of it."""
    message = as_text(attributes.get("message"))
    fields = parse(message)
    if isinstance(fields, dict) and len(fields) == 1:
        only = next(iter(fields.values()))
        if isinstance(only, str):
            return only
    return message
