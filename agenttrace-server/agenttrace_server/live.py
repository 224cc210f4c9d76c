"""Tell connected browsers which traces changed: one look at the store for all of them."""

import asyncio
import logging

import anyio
import anyio.to_thread
from fastapi import WebSocket, WebSocketDisconnect

from agenttrace.errors import StoreUnavailable
from agenttrace_server.access import is_authorised
from agenttrace_server.metrics import Metrics
from agenttrace_server.store import Change, Store

log = logging.getLogger("agenttrace.server")

WAIT_SECONDS = 1.0
"""How long the store may wait for a change before it is asked whether there is one."""
AWAY_SECONDS = 3.0
LEAST_SECONDS = 0.05
"""Changes that come at once are told together."""
PING_SECONDS = 20.0
SEND_SECONDS = 30.0
CATCH_UP = 1000

_POLICY_VIOLATION = 1008
_TRY_AGAIN_LATER = 1013
_UNAUTHORISED = 4401


class _Client:
    """What one connection has still to be told: the newest change of each trace, no queue.

    A slow client so costs memory for the traces that changed, never for how often they did.
    """

    def __init__(self, trace: str | None, after: int) -> None:
        self.trace = trace
        self.seen = after
        self.pending: dict[str, Change] = {}
        self.woken = asyncio.Event()

    def tell(self, change: Change) -> None:
        """Remember a change, unless the client knows it or a later one of the same trace."""
        if self.trace not in (None, change.trace_id):
            return
        known = self.pending.get(change.trace_id)
        if change.cursor > (known.cursor if known else self.seen):
            self.pending[change.trace_id] = change
            self.woken.set()

    def take(self) -> list[dict[str, object]]:
        """Return what is pending as messages, oldest first, and forget it."""
        self.woken.clear()
        changes = sorted(self.pending.values(), key=lambda change: change.cursor)
        self.pending = {}
        self.seen = max([self.seen, *(change.cursor for change in changes)])
        return [
            {
                "type": "trace",
                "cursor": change.cursor,
                "trace_id": change.trace_id,
                "version": change.version,
                "analysed": change.analysed,
            }
            for change in changes
        ]


class Live:
    """Sends changes to every connected client; asks the store only while there is one."""

    def __init__(self, store: Store, metrics: Metrics) -> None:
        self._store = store
        self._metrics = metrics
        self._clients: set[_Client] = set()
        self._poller: asyncio.Task[None] | None = None

    async def serve(self, socket: WebSocket, trace: str | None, after: int | None) -> None:
        """Send `{"type": "trace", cursor, trace_id, version, analysed}` for each change.

        First comes `{"type": "hello", cursor}`: what happened up to there is the client's to fetch,
        unless it gave `after`, from where it is caught up. A change that a later one of the same
        trace overtook MAY be left out. `{"type": "ping"}` keeps idle connections open.
        """
        await socket.accept()
        if not is_authorised(socket):
            await socket.close(_UNAUTHORISED, "This server asks for its API key")
            return
        try:
            newest = await anyio.to_thread.run_sync(self._store.cursor)
        except StoreUnavailable as error:
            await socket.close(_TRY_AGAIN_LATER, str(error)[:120])
            return
        # A cursor from the future is one of another database: begin with what there is.
        start = newest if after is None or after > newest else after
        client = _Client(trace.lower() if trace else None, start)
        self._clients.add(client)
        self._metrics.live_clients.set(len(self._clients))
        try:
            await socket.send_json({"type": "hello", "cursor": start})
            await self._catch_up(client, newest)
            self._poll_from(newest)
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(_send, socket, client, tasks.cancel_scope)
                await _drain(socket)
                tasks.cancel_scope.cancel()
        except (WebSocketDisconnect, StoreUnavailable) as error:
            log.debug("A live connection ended: %r", error)
        finally:
            self._clients.discard(client)
            self._metrics.live_clients.set(len(self._clients))

    async def close(self) -> None:
        """Stop asking the store."""
        if self._poller is not None:
            self._poller.cancel()
            await asyncio.gather(self._poller, return_exceptions=True)

    async def _catch_up(self, client: _Client, newest: int) -> None:
        cursor = client.seen
        while cursor < newest:
            changes = await anyio.to_thread.run_sync(self._store.changes, cursor, CATCH_UP)
            if not changes:
                return
            for change in changes:
                client.tell(change)
            cursor = changes[-1].cursor

    def _poll_from(self, cursor: int) -> None:
        if self._poller is None or self._poller.done():
            self._poller = asyncio.create_task(self._poll(cursor))

    async def _poll(self, cursor: int) -> None:
        while self._clients:
            try:
                changes = await anyio.to_thread.run_sync(self._store.changes, cursor)
                for change in changes:
                    for client in self._clients:
                        client.tell(change)
                if changes:
                    cursor = changes[-1].cursor
                await asyncio.sleep(LEAST_SECONDS)
                # It cannot be interrupted: whoever ends this does not wait for it.
                await anyio.to_thread.run_sync(
                    self._store.await_change, WAIT_SECONDS, abandon_on_cancel=True
                )
            except StoreUnavailable as error:
                log.warning("Live updates wait for the store: %s", error)
                await asyncio.sleep(AWAY_SECONDS)


async def _send(socket: WebSocket, client: _Client, scope: anyio.CancelScope) -> None:
    """Send what is pending for as long as the client takes it; then end the connection."""
    try:
        while True:
            messages: list[dict[str, object]] = [{"type": "ping"}]
            with anyio.move_on_after(PING_SECONDS):
                await client.woken.wait()
                messages = client.take()
            for message in messages:
                with anyio.fail_after(SEND_SECONDS):
                    await socket.send_json(message)
    except (WebSocketDisconnect, RuntimeError, TimeoutError) as error:
        log.debug("A live client takes no more: %r", error)
        scope.cancel()


async def _drain(socket: WebSocket) -> None:
    """Read and forget, which is how a closed connection is noticed."""
    while (await socket.receive())["type"] != "websocket.disconnect":
        pass
