"""Have spans in new threads know their parent: Python threads start without a context."""

import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import wraps
from typing import Any

from opentelemetry.context import Context, attach, get_current
from opentelemetry.trace import get_current_span

_originals: dict[str, Any] = {}


def carry_context_into_threads() -> None:
    """Start threads, and tasks of thread pools, in the context they were started from.

    Only where a span is current there. Without this an agent that runs its colleagues in threads
    falls apart into one trace for each of them.
    """
    if _originals:
        return
    start = _originals["start"] = threading.Thread.start
    submit: Any = ThreadPoolExecutor.submit
    _originals["submit"] = submit

    @wraps(start)
    def start_in_context(self: threading.Thread) -> None:
        context = _worth_carrying()
        if context is not None and "run" not in self.__dict__:
            # On the instance: subclasses override `run`, and need not call ours.
            self.run = _Run(self, context)  # type: ignore[method-assign]
        start(self)

    @wraps(submit)
    def submit_in_context(
        self: ThreadPoolExecutor, fn: Callable[..., Any], /, *args: Any, **kwargs: Any
    ) -> Future[Any]:
        context = _worth_carrying()
        if context is None:
            future: Future[Any] = submit(self, fn, *args, **kwargs)
            return future
        # The pool's own threads outlive the span: only the task belongs to it.
        attach(Context())
        try:
            future = submit(self, _carried, context, fn, args, kwargs)
        finally:
            attach(context)
        return future

    threading.Thread.start = start_in_context  # type: ignore[method-assign]
    ThreadPoolExecutor.submit = submit_in_context  # type: ignore[assignment]
    _originals["ours"] = start_in_context, submit_in_context


def leave_threads_alone() -> None:
    """Undo `carry_context_into_threads`, unless someone has patched on top of it."""
    if not _originals:
        return
    started, submitted = _originals.pop("ours")
    if threading.Thread.start is started:
        threading.Thread.start = _originals["start"]  # type: ignore[method-assign]
    if ThreadPoolExecutor.submit is submitted:
        ThreadPoolExecutor.submit = _originals["submit"]  # type: ignore[method-assign]
    _originals.clear()


def _worth_carrying() -> Context | None:
    context = get_current()
    return context if get_current_span(context).get_span_context().is_valid else None


class _Run:
    """A thread's `run` in a context."""

    def __init__(self, thread: threading.Thread, context: Context) -> None:
        self._thread = thread
        self._context = context

    def __call__(self) -> None:
        attach(self._context)
        thread = self._thread
        del thread.run  # a cycle, and the thread may be asked for its own `run` again
        thread.run()


def _carried(
    context: Context, fn: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Any:
    previous = get_current()
    attach(context)
    try:
        return fn(*args, **kwargs)
    finally:
        attach(previous)
