"""Tell connected browsers what changed: one look at the store for all of them."""

import asyncio
import logging
from typing import NamedTuple

import anyio
import anyio.to_thread
import msgspec
from fastapi import WebSocket, WebSocketDisconnect

from agenttrace.errors import StoreUnavailable
from agenttrace_server.access import is_authorised
from agenttrace_server.metrics import Metrics
from agenttrace_server.store import Change, Store
from agenttrace_server.store.replays import Replay

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


class _News(NamedTuple):
    """A trace or a replay that changed: what is sent about it, and whom it concerns."""

    key: str
    cursor: int
    traces: tuple[str | None, ...]
    message: dict[str, object]


class _Client:
    """What one connection has still to be told: the newest change of each thing, no queue.

    A slow client so costs memory for what changed, never for how often it did.
    """

    def __init__(self, trace: str | None, after: int) -> None:
        self.trace = trace
        self.seen = after
        self.pending: dict[str, _News] = {}
        self.woken = asyncio.Event()

    def tell(self, news: _News) -> None:
        """Remember a change, unless the client knows it or a later one of the same thing."""
        if self.trace is not None and self.trace not in news.traces:
            return
        known = self.pending.get(news.key)
        if news.cursor > (known.cursor if known else self.seen):
            self.pending[news.key] = news
            self.woken.set()

    def take(self) -> list[dict[str, object]]:
        """Return what is pending as messages, oldest first, and forget it."""
        self.woken.clear()
        news = sorted(self.pending.values(), key=lambda one: one.cursor)
        self.pending = {}
        self.seen = max([self.seen, *(one.cursor for one in news)])
        return [one.message for one in news]


class Live:
    """Sends changes to every connected client; asks the store only while there is one."""

    def __init__(self, store: Store, metrics: Metrics) -> None:
        self._store = store
        self._metrics = metrics
        self._clients: set[_Client] = set()
        self._poller: asyncio.Task[None] | None = None

    async def serve(self, socket: WebSocket, trace: str | None, after: int | None) -> None:
        """Send a message for each change of a trace, and for each of a replay.

        These are `{"type": "trace", cursor, trace_id, version, analysed}` and `{"type": "replay",
        cursor, replay_id, status, …}`. First comes `{"type": "hello", cursor}`: what happened up to
        there is the client's to fetch, unless it gave `after`, from where it is caught up. A change
        that a later one of the same thing overtook MAY be left out. `{"type": "ping"}` keeps idle
        connections open.
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
            news, cursor = await anyio.to_thread.run_sync(_since, self._store, cursor)
            for one in news:
                client.tell(one)

    def _poll_from(self, cursor: int) -> None:
        if self._poller is None or self._poller.done():
            self._poller = asyncio.create_task(self._poll(cursor))

    async def _poll(self, cursor: int) -> None:
        while self._clients:
            try:
                news, cursor = await anyio.to_thread.run_sync(_since, self._store, cursor)
                for one in news:
                    for client in self._clients:
                        client.tell(one)
                await asyncio.sleep(LEAST_SECONDS)
                # It cannot be interrupted: whoever ends this does not wait for it.
                await anyio.to_thread.run_sync(
                    self._store.await_change, WAIT_SECONDS, abandon_on_cancel=True
                )
            except StoreUnavailable as error:
                log.warning("Live updates wait for the store: %s", error)
                await asyncio.sleep(AWAY_SECONDS)


def _since(store: Store, after: int) -> tuple[list[_News], int]:
    """Return what changed since a cursor, oldest first, and the cursor to go on from.

    The newest cursor is read first: whatever is not beyond it can be read afterwards.
    """
    upto = store.cursor()
    if upto <= after:
        return [], upto
    traces = store.changes(after, CATCH_UP)
    replays = store.replays.changes(after, CATCH_UP)
    for page in (traces, replays):
        if len(page) == CATCH_UP:
            upto = min(upto, page[-1].cursor)
    news = [*map(_of_trace, traces), *map(_of_replay, replays)]
    return sorted((n for n in news if n.cursor <= upto), key=lambda one: one.cursor), upto


def _of_trace(change: Change) -> _News:
    message: dict[str, object] = {"type": "trace", **msgspec.structs.asdict(change)}
    return _News(change.trace_id, change.cursor, (change.trace_id,), message)


def _of_replay(replay: Replay) -> _News:
    message: dict[str, object] = {
        "type": "replay",
        "cursor": replay.cursor,
        "replay_id": replay.replay_id,
        "status": replay.status,
        "source_trace_id": replay.source_trace_id,
        "trace_id": replay.trace_id,
        "experiment_id": replay.experiment_id,
        "counts": msgspec.to_builtins(replay.counts),
        "error": replay.error,
    }
    traces = (replay.source_trace_id, replay.trace_id)
    return _News(replay.replay_id, replay.cursor, traces, message)


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
