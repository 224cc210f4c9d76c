"""What the judge may still cost today."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from agenttrace_server.prices import Price
from agenttrace_server.store import Store

DAY_NS = 24 * 3600 * 1_000_000_000


class Budget:
    """Keeps what was spent within a cap for any 24 hours; safe to use from any thread.

    What is being spent counts as it was estimated. Several processes on one database share the
    cap, but do not know of each other's calls until those are answered.
    """

    def __init__(self, store: Store, model: str, price: Price, cap_usd: float) -> None:
        self._store = store
        self._model = model
        self._price = price
        self._cap = cap_usd
        self._lock = threading.Lock()
        self._reserved = 0.0

    @contextmanager
    def reserve(self, tokens_in: int, tokens_out: int) -> Iterator[bool]:
        """Say whether so much may be spent, and count it as spent meanwhile."""
        cost = self._price(tokens_in, 0, tokens_out)
        with self._lock:
            spent = self._store.judge_use(time.time_ns() - DAY_NS).cost_usd
            free = spent + self._reserved + cost <= self._cap
            self._reserved += cost if free else 0.0
        try:
            yield free
        finally:
            with self._lock:
                self._reserved -= cost if free else 0.0

    def spend(self, tokens_in: int, tokens_out: int) -> None:
        """Keep what a call has cost."""
        cost = self._price(tokens_in, 0, tokens_out)
        self._store.judge_called(self._model, tokens_in, tokens_out, cost)
