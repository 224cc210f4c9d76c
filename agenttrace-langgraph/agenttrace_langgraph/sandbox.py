"""Keep what a replay writes away from the user's savers, stores and caches."""

import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial, wraps
from typing import Any

from langgraph.cache.base import BaseCache
from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.pregel import Pregel
from langgraph.store.base import (
    BaseStore,
    GetOp,
    Item,
    ListNamespacesOp,
    PutOp,
    SearchOp,
)
from langgraph.store.memory import InMemoryStore
from opentelemetry import context as otel

_SANDBOX = otel.create_key("agenttrace-langgraph-sandbox")


class ReadThrough(BaseStore):
    """A store that shows another one's items, and keeps to itself what is written."""

    supports_ttl = True

    def __init__(self, base: BaseStore) -> None:
        self._base = base
        self._own = InMemoryStore()
        self._written: set[tuple[tuple[str, ...], str]] = set()
        """What was put or deleted here: of that the base has nothing to say any more."""
        self._lock = threading.Lock()

    def batch(self, ops: Iterable[Any]) -> list[Any]:
        """Answer reads from both stores, then keep the writes here."""
        ops = list(ops)
        asked = [self._asked(op) for op in ops]
        found = iter(self._base.batch([op for op in asked if op is not None]))
        return self._answered(ops, [None if op is None else next(found) for op in asked])

    async def abatch(self, ops: Iterable[Any]) -> list[Any]:
        """Answer reads from both stores, then keep the writes here."""
        ops = list(ops)
        asked = [self._asked(op) for op in ops]
        found = iter(await self._base.abatch([op for op in asked if op is not None]))
        return self._answered(ops, [None if op is None else next(found) for op in asked])

    def _asked(self, op: Any) -> Any:
        """Return what the base is asked for an operation: enough to leave out what is hidden."""
        if isinstance(op, GetOp):
            return op._replace(refresh_ttl=False)  # refreshing would be a write
        if isinstance(op, SearchOp):
            more = op.offset + op.limit + len(self._written)
            return op._replace(offset=0, limit=more, refresh_ttl=False)
        if isinstance(op, ListNamespacesOp):
            return op._replace(offset=0, limit=1_000_000)
        return None

    def _answered(self, ops: list[Any], found: list[Any]) -> list[Any]:
        with self._lock:
            answers = [self._answer(op, base) for op, base in zip(ops, found, strict=True)]
            for op in ops:
                if isinstance(op, PutOp):
                    self._own.batch([op._replace(ttl=None)])
                    self._written.add((op.namespace, op.key))
        return answers

    def _answer(self, op: Any, base: Any) -> Any:
        if isinstance(op, GetOp):
            if (op.namespace, op.key) in self._written:
                return self._own.batch([op])[0]
            return base
        if isinstance(op, SearchOp):
            own: Any = self._own.batch([op._replace(offset=0, limit=1_000_000)])[0]
            kept = [item for item in base if not self._hides(item)]
            return [*kept, *own][op.offset : op.offset + op.limit]
        if isinstance(op, ListNamespacesOp):
            own = self._own.batch([op._replace(offset=0, limit=1_000_000)])[0]
            return sorted({*base, *own})[op.offset : op.offset + op.limit]
        return None

    def _hides(self, item: Item) -> bool:
        return (tuple(item.namespace), item.key) in self._written


class Sandbox:
    """One replay's stand-ins for whatever its graphs would write to."""

    def __init__(self, saver: BaseCheckpointSaver[Any]) -> None:
        self._stands_in: dict[int, tuple[Any, Any]] = {id(saver): (saver, saver)}
        self._lock = threading.Lock()

    @contextmanager
    def around(self) -> Iterator[None]:
        """Keep what runs inside to the stand-ins."""
        previous = otel.get_current()
        otel.attach(otel.set_value(_SANDBOX, self))
        try:
            yield
        finally:
            otel.attach(previous)

    def of(self, part: Any) -> Any:
        """Return what stands in for a saver, store or cache; anything else as it is."""
        if isinstance(part, BaseCache):
            return None
        if not isinstance(part, (BaseStore, BaseCheckpointSaver)) or isinstance(part, ReadThrough):
            return part
        with self._lock:
            known = self._stands_in.get(id(part))
            if known is None:
                made = ReadThrough(part) if isinstance(part, BaseStore) else InMemorySaver()
                known = self._stands_in[id(part)] = part, made
                self._stands_in[id(made)] = made, made
            return known[1]


def keep_apart() -> Callable[[], None]:
    """Give every graph that runs inside a sandbox its stand-ins; return what undoes that."""
    original = Pregel._defaults

    @wraps(original)
    def defaults(self: Any, *args: Any, **kwargs: Any) -> Any:
        found = original(self, *args, **kwargs)
        sandbox = otel.get_value(_SANDBOX)
        return tuple(map(sandbox.of, found)) if isinstance(sandbox, Sandbox) else found

    Pregel._defaults = defaults  # type: ignore[method-assign]
    return partial(setattr, Pregel, "_defaults", original)
