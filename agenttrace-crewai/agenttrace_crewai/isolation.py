"""Keep a replay away from what the user's crews have stored: outputs, memories, knowledge, flows.

CrewAI finds its storage by an environment variable, which is the process's; so all replays of a
process share one folder of their own. What writes elsewhere does nothing while a replay runs it.
"""

import inspect
import os
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from importlib import import_module
from typing import Any

from agenttrace import replay

_SETTINGS = {
    "CREWAI_DISABLE_TELEMETRY": "true",
    "CREWAI_TRACING_ENABLED": "false",
    "CREWAI_DISABLE_VERSION_CHECK": "true",
    "CREWAI_TESTING": "true",
}
"""A replay is not the user's run: it tells nobody of itself, and asks nobody to look at traces."""

# What writes to memories, knowledge and flow storage: module, class, method, what it gives back.
_WRITES: tuple[tuple[str, str, str, Any], ...] = (
    ("crewai.memory.unified_memory", "Memory", "remember", None),
    ("crewai.memory.unified_memory", "Memory", "remember_many", []),
    ("crewai.memory.unified_memory", "Memory", "forget", 0),
    ("crewai.memory.unified_memory", "Memory", "update", None),
    ("crewai.memory.unified_memory", "Memory", "reset", None),
    ("crewai.memory.unified_memory", "Memory", "reset_all", None),
    ("crewai.knowledge.knowledge", "Knowledge", "add_sources", None),
    ("crewai.knowledge.knowledge", "Knowledge", "aadd_sources", None),
    ("crewai.knowledge.knowledge", "Knowledge", "reset", None),
    ("crewai.knowledge.knowledge", "Knowledge", "areset", None),
    ("crewai.flow.runtime", "Flow", "_checkpoint_state_for_ask", None),
    ("crewai.flow.persistence.decorators", "PersistenceDecorator", "persist_state", None),
)

_lock = threading.Lock()
_undo: list[Callable[[], None]] = []
_running = 0


@contextmanager
def isolated() -> Iterator[None]:
    """Within this, crews and flows that are made store in a folder that is thrown away."""
    global _running
    with _lock:
        _running += 1
        if _running == 1:
            _enter()
    try:
        yield
    finally:
        with _lock:
            _running -= 1
            if not _running:
                while _undo:
                    _undo.pop()()


def _enter() -> None:
    folder = tempfile.TemporaryDirectory(prefix="agenttrace-replay-", ignore_cleanup_errors=True)
    _undo.append(folder.cleanup)
    for name, value in {**_SETTINGS, "CREWAI_STORAGE_DIR": folder.name}.items():
        _undo.append(_restorer(name, os.environ.get(name)))
        os.environ[name] = value
    for module, cls, method, gives in _WRITES:
        try:
            owner: Any = getattr(import_module(module), cls)
        except (ImportError, AttributeError):
            continue  # a CrewAI that has no such storage has nothing to keep away from
        if method in vars(owner):
            _replace(owner, method, gives)


def _restorer(name: str, value: str | None) -> Callable[[], None]:
    def restore() -> None:
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value

    return restore


def _replace(owner: Any, method: str, gives: Any) -> None:
    original = vars(owner).get(method)
    if original is None:
        return  # nor does a CrewAI that has no such way to write
    function = original.__func__ if isinstance(original, classmethod) else original

    @wraps(function)
    def instead(*args: Any, **kwargs: Any) -> Any:
        if replay.current() is None:
            return function(*args, **kwargs)
        return gives

    @wraps(function)
    async def instead_later(*args: Any, **kwargs: Any) -> Any:
        return await function(*args, **kwargs) if replay.current() is None else gives

    if inspect.iscoroutinefunction(function):
        setattr(owner, method, instead_later)
        _undo.append(lambda: setattr(owner, method, original))
        return
    setattr(owner, method, classmethod(instead) if isinstance(original, classmethod) else instead)
    _undo.append(lambda: setattr(owner, method, original))
