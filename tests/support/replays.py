"""Replay what was just recorded, as a worker would, and compare."""

from collections import Counter
from collections.abc import Iterable
from typing import Any

import msgspec

from agenttrace.accounting import Usage, account
from agenttrace.messages import find_checkpoints
from agenttrace.models import Checkpoint, Message, Trace
from agenttrace.replay import Edit, Recording, Replay


def checkpoint(trace: Trace, label: str) -> Checkpoint:
    """The first checkpoint of a trace with this label."""
    return next(found for found in find_checkpoints(trace) if found.label == label)


def replay_of(trace: Trace, start: Checkpoint, **options: Any) -> Replay:
    """What a worker gives an executor: the recording has gone through JSON on its way."""
    recording = Recording.of(trace, after_ns=start.created_at)
    sent = msgspec.json.decode(msgspec.json.encode(recording), type=Recording)
    return Replay("r1", trace.trace_id, sent, **options)


def edits(**changes: Any) -> list[Edit]:
    """Edits by path; two underscores stand for a slash."""
    return [Edit(path.replace("__", "/"), value) for path, value in changes.items()]


def after(trace: Trace, start: Checkpoint) -> list[Message]:
    """The messages that were sent once the checkpoint had been made."""
    return [message for message in trace.messages if message.sent_at >= start.created_at]


def hashes(messages: Iterable[Message]) -> Counter[tuple[str, ...]]:
    """Who said what to whom, however often; the order of what runs at once is open."""
    return Counter((m.sender, m.recipient, m.type, m.content_hash) for m in messages)


def cost_nothing(trace: Trace) -> bool:
    """Whether a trace says that nothing was spent, neither by its model calls nor its messages."""
    found = account(trace)
    spent = found.leaves, found.root_said or Usage()
    return spent == (Usage(), Usage()) and not any(m.tokens for m in trace.messages)
