"""Tell connected clients what changed, as it does."""

from typing import Annotated

from fastapi import APIRouter, Query, WebSocket

from agenttrace_server.live import Live

router = APIRouter()


@router.websocket("/live")
async def live(
    socket: WebSocket,
    trace: Annotated[str | None, Query(max_length=100)] = None,
    after: Annotated[int | None, Query(ge=0)] = None,
) -> None:
    """Send every change, or those of one trace; `after` is the last cursor a client has seen."""
    feed: Live = socket.app.state.live
    await feed.serve(socket, trace, after)
