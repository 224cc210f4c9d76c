"""Slow down whoever guesses: only so many failed attempts from one address in a while."""

import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable

MOST_ADDRESSES = 10_000


class Attempts:
    """Remembers when each address last failed. Safe to use from any thread.

    It belongs to one process: several servers allow several times as many.
    """

    def __init__(
        self, most: int = 10, seconds: float = 60.0, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._most = most
        self._seconds = seconds
        self._clock = clock
        self._failed: OrderedDict[str, deque[float]] = OrderedDict()
        self._lock = threading.Lock()

    def wait(self, address: str) -> float:
        """Return for how many seconds the address must not try again, 0 if it may now."""
        with self._lock:
            failed = self._failed.get(address)
            if failed is None or len(failed) < self._most:
                return 0.0
            return max(0.0, failed[0] + self._seconds - self._clock())

    def failed(self, address: str) -> None:
        """Count a failed attempt."""
        with self._lock:
            self._failed.setdefault(address, deque(maxlen=self._most)).append(self._clock())
            self._failed.move_to_end(address)
            if len(self._failed) > MOST_ADDRESSES:
                self._failed.popitem(last=False)
