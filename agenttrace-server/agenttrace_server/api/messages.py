"""What the agents of a trace said to each other."""

from typing import Annotated

import msgspec
from fastapi import APIRouter, Query

from agenttrace_server.api.asked import Limit, Offset, StoreOf, TraceId, found, problems
from agenttrace_server.api.checkpoints import Before
from agenttrace_server.api.models import Listing, Message
from agenttrace_server.api.times import rfc3339

router = APIRouter(tags=["messages"])

Name = Annotated[str | None, Query(max_length=500)]


@router.get("/traces/{trace_id}/messages", operation_id="listMessages", responses=problems(404))
def list_messages(
    store: StoreOf,
    trace_id: TraceId,
    sender: Name = None,
    recipient: Name = None,
    offset: Offset = 0,
    limit: Limit = 1000,
) -> Listing[Message]:
    """List the messages of a trace in the order they were sent."""
    of_trace = found(store, trace_id).trace_id
    messages = [
        message
        for message in store.messages(of_trace)
        if (not sender or message.sender == sender)
        and (not recipient or message.recipient == recipient or recipient in message.audience)
    ]
    before = Before(store, of_trace)
    items = []
    for message in messages[offset : offset + limit]:
        values = msgspec.structs.asdict(message)
        values |= {"sent_at": rfc3339(message.sent_at), "checkpoint_id": before.at(message.sent_at)}
        items.append(Message(**values))
    return Listing(items=items, total=len(messages), offset=offset, limit=limit)
