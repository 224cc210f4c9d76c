"""Let workers wait for jobs without holding a thread, and ring when there is one."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

import anyio


class Bell:
    """Wakes everyone who listens. `ring` may be called from any thread."""

    def __init__(self) -> None:
        self._listening: set[asyncio.Event] = set()
        self._loop: asyncio.AbstractEventLoop | None = None
        self.closed = False

    @contextmanager
    def listening(self) -> Iterator[asyncio.Event]:
        """Give an event that every ring sets from now on; clear it before looking again."""
        self._loop = asyncio.get_running_loop()
        event = asyncio.Event()
        self._listening.add(event)
        try:
            yield event
        finally:
            self._listening.discard(event)

    def ring(self) -> None:
        """Wake everyone who listens."""
        loop = self._loop
        if loop is not None and not loop.is_closed():
            loop.call_soon_threadsafe(self._set_all)

    def close(self) -> None:
        """Have everyone leave: the server ends."""
        self.closed = True
        self.ring()

    def _set_all(self) -> None:
        for event in self._listening:
            event.set()


async def heard(event: asyncio.Event, seconds: float) -> None:
    """Wait for a ring, but no longer than so many seconds."""
    with anyio.move_on_after(max(0.0, seconds)):
        await event.wait()
