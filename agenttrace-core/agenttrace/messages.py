"""Find what agents said to each other: recorded, told by plugins, or inferred from the spans.

What is recorded (`agenttrace.message` events) and what a plugin's rules can tell comes first. Only
for runs that none of these covers, messages are inferred: from handoff spans, from one agent's run
inside another's, from the graph an instrumentation noted, and between the user and the outermost
agents. Everything here is deterministic and linear in the size of the trace (but for sorting).
"""

import hashlib
import unicodedata
from collections.abc import Iterable, Iterator
from typing import Any, cast, get_args

import msgspec

from agenttrace import semconv
from agenttrace.accounting import counted
from agenttrace.chat import as_text
from agenttrace.inference import infer
from agenttrace.models import Checkpoint, Message, MessageType, Span, SpanEvent, Trace
from agenttrace.plugins import Plugins

_TYPES = get_args(MessageType)


def find_messages(trace: Trace, plugins: Plugins) -> tuple[Message, ...]:
    """Return the messages of a trace in the order they were sent.

    Each has an id (the recorded one, else one that a second call gives again), a content hash, and
    where it can be told the message that caused it and the tokens that producing it took. Of two
    messages with the same id the first found stays.
    """
    found: dict[str, Message] = {}
    for message in (*_observed(trace), *_from_plugins(trace, plugins)):
        found.setdefault(message.message_id, message)
    told = tuple(found.values())
    for message in infer(trace, told):
        found.setdefault(message.message_id, _completed(message, trace))
    # Sorting is stable: what is sent at the same moment stays as it was found.
    ordered = sorted(found.values(), key=lambda message: message.sent_at)
    return tuple(_with_tokens(trace, _with_causes(ordered)))


def find_checkpoints(trace: Trace) -> tuple[Checkpoint, ...]:
    """Return the recorded checkpoints of a trace in the order they were made.

    One that has no state, or says why it cannot be resumed, comes back as not resumable.
    """
    found: dict[str, Checkpoint] = {}
    for span, event in _events(trace, semconv.CHECKPOINT_EVENT):
        said = event.attributes
        checkpoint_id = as_text(said.get(semconv.CHECKPOINT_ID)) or _id(span, event)
        state = as_text(said.get(semconv.CHECKPOINT_STATE)) or ""
        why_not = as_text(said.get(semconv.CHECKPOINT_WHY_NOT))
        if why_not is None and not state:
            why_not = "Its state was not recorded"
        checkpoint = Checkpoint(
            checkpoint_id=checkpoint_id,
            trace_id=trace.trace_id,
            span_id=span.span_id,
            framework=as_text(said.get(semconv.CHECKPOINT_FRAMEWORK)) or span.framework or "",
            label=as_text(said.get(semconv.CHECKPOINT_LABEL)) or "",
            state=state,
            input=as_text(said.get(semconv.CHECKPOINT_INPUT)),
            config=as_text(said.get(semconv.CHECKPOINT_CONFIG)),
            created_at=event.time_ns or span.start_ns,
            resumable=why_not is None,
            why_not=why_not,
        )
        found.setdefault(checkpoint_id, checkpoint)
    return tuple(sorted(found.values(), key=lambda checkpoint: checkpoint.created_at))


def content_hash(content: str) -> str:
    """Return 16 hex digits of the SHA-256 of a content, the same for the same words.

    JSON counts by its values (key order and spacing do not matter), text without regard to how its
    whitespace is laid out.
    """
    values = _sorted_json(content) if content[:1] in ("{", "[") else content
    words = " ".join(unicodedata.normalize("NFC", values).split())
    return hashlib.sha256(words.encode("utf-8", "replace")).hexdigest()[:16]


def _sorted_json(text: str) -> str:
    """Return JSON with its keys sorted, anything else as it is."""
    try:
        return msgspec.json.encode(msgspec.json.decode(text), order="sorted").decode()
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return text


def _events(trace: Trace, name: str) -> Iterator[tuple[Span, SpanEvent]]:
    for span in trace.spans:
        for event in span.events:
            if event.name == name:
                yield span, event


def _id(span: Span, event: SpanEvent) -> str:
    said = msgspec.json.encode(dict(event.attributes), enc_hook=repr, order="sorted")
    key = f"{span.trace_id}/{span.span_id}/{event.time_ns}/".encode() + said
    return hashlib.sha256(key).hexdigest()[:16]


def _observed(trace: Trace) -> Iterator[Message]:
    for span, event in _events(trace, semconv.MESSAGE_EVENT):
        said = event.attributes
        sender = as_text(said.get(semconv.MESSAGE_SENDER)) or trace.agent_of(span)
        recipient = as_text(said.get(semconv.MESSAGE_RECIPIENT))
        if not sender or not recipient:
            continue
        kind = said.get(semconv.MESSAGE_TYPE)
        content = as_text(said.get(semconv.MESSAGE_CONTENT)) or ""
        yield Message(
            message_id=as_text(said.get(semconv.MESSAGE_ID)) or _id(span, event),
            trace_id=trace.trace_id,
            span_id=span.span_id,
            sender=sender,
            recipient=recipient,
            type=cast(MessageType, kind) if kind in _TYPES else "task",
            content=content,
            content_hash=content_hash(content),
            sent_at=event.time_ns or span.start_ns,
            caused_by=as_text(said.get(semconv.MESSAGE_CAUSED_BY)),
            audience=_names(said.get(semconv.MESSAGE_AUDIENCE)),
        )


def _names(value: Any) -> tuple[str, ...]:
    if isinstance(value, str):
        return (value,) if value else ()
    return tuple(str(name) for name in value) if isinstance(value, (list, tuple)) else ()


def _from_plugins(trace: Trace, plugins: Plugins) -> Iterator[Message]:
    for plugin, answer in plugins.each("agenttrace_messages", trace=trace):
        # An answer may be a generator: what it yielded before it raised still counts.
        try:
            for message in answer:
                yield _completed(_checked(message), trace)
        except Exception:  # noqa: BLE001 - a raising plugin costs its own answer
            plugins.complain(plugin, "agenttrace_messages")


def _checked(message: Any) -> Message:
    if not isinstance(message, Message) or not message.sender or not message.recipient:
        raise TypeError(f"Not a Message with a sender and a recipient: {message!r:.200}")
    return message


def _completed(message: Message, trace: Trace) -> Message:
    """Fill in what a message left out and can be told without knowing the others."""
    sent_at = message.sent_at
    if not sent_at and message.span_id in trace.by_id:
        sent_at = trace.by_id[message.span_id].start_ns
    return msgspec.structs.replace(
        message,
        trace_id=trace.trace_id,
        message_id=message.message_id or _message_id(message),
        content_hash=message.content_hash or content_hash(message.content),
        sent_at=sent_at,
    )


def _message_id(message: Message) -> str:
    key = (message.span_id, message.sender, message.recipient, message.type, message.content)
    return hashlib.sha256("\0".join(key).encode("utf-8", "replace")).hexdigest()[:16]


def _with_causes(messages: Iterable[Message]) -> Iterator[Message]:
    """Give each message, unless it knows better, the one its sender had received last."""
    received: dict[str, str] = {}
    for message in messages:
        cause = message.caused_by or received.get(message.sender)
        if cause != message.caused_by and cause != message.message_id:
            message = msgspec.structs.replace(message, caused_by=cause)
        yield message
        for name in (message.recipient, *message.audience):
            if name != message.sender:
                received[name] = message.message_id


def _with_tokens(trace: Trace, messages: Iterable[Message]) -> Iterator[Message]:
    """Give each message the tokens its sender's model calls took since it last said something."""
    calls: dict[str, list[Span]] = {}
    for span in counted(trace):
        calls.setdefault(trace.agent_of(span) or "", []).append(span)
    for spans in calls.values():
        spans.sort(key=lambda span: span.end_ns, reverse=True)
    for message in messages:
        waiting = calls.get(message.sender, [])
        used: list[int] = []
        while waiting and waiting[-1].end_ns <= message.sent_at:
            span = waiting.pop()
            used.append((span.tokens_in or 0) + (span.tokens_out or 0))
        if message.tokens is None and any(used):
            message = msgspec.structs.replace(message, tokens=sum(used))
        yield message
