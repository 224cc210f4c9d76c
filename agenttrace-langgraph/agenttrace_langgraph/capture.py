"""Record LangGraph runs as they happen: one call switches it on, another leaves no trace of it.

Put in place are a callback handler that LangChain adds to every run of the process (through its
configure hook), and wrappers around `Pregel.stream`, `Pregel.astream`, `PregelLoop.tick`,
`PregelLoop.after_tick`, `BaseTool.run` and `BaseTool.arun`. LangGraph is imported when capturing
starts, not before.
"""

import threading
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Generator, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import partial, wraps
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from agenttrace_langgraph.recorder import Recorder

_lock = threading.RLock()
_restore: list[Callable[[], None]] = []
_recorder: "Recorder | None" = None
_borrowed: int | None = None
"""How many replays capture, where only they do."""


class LangGraphInstrumentor:
    """Captures every LangGraph run in this process."""

    framework = "langgraph"
    module = "langgraph"

    def instrument(self) -> None:
        """Start capturing. A second call does nothing."""
        global _recorder
        with _lock:
            if _restore:
                return
            from agenttrace_langgraph.recorder import Recorder

            _recorder = Recorder()
            try:
                _restore.append(_add_handler(_recorder))
                _wrap_calls()
                _wrap_loop(_recorder)
                _wrap_tools()
            except BaseException:
                _undo()
                raise

    def uninstrument(self) -> None:
        """Leave LangGraph exactly as it was; runs already under way are still recorded."""
        with _lock:
            _undo()

    @staticmethod
    def sizes() -> dict[str, int]:
        """Return how many entries each per-run map has: all 0 when nothing is running."""
        return _recorder.sizes() if _recorder is not None else {"runs": 0}


def _undo() -> None:
    while _restore:
        _restore.pop()()


def _add_handler(recorder: "Recorder") -> Callable[[], None]:
    from langchain_core.tracers import context

    # A default, not a value: a value set here would be unknown in threads started from elsewhere.
    variable: ContextVar[Any] = ContextVar("agenttrace_langgraph", default=recorder)
    context.register_configure_hook(variable, inheritable=True)
    entry = context._configure_hooks[-1]
    return partial(context._configure_hooks.remove, entry)


def _replace(owner: type, name: str, wrapper: Callable[..., Any]) -> None:
    original = owner.__dict__[name]
    setattr(owner, name, wrapper)
    _restore.append(partial(setattr, owner, name, original))


def _wrap_loop(recorder: "Recorder") -> None:
    from langgraph.pregel._loop import PregelLoop

    tick, after_tick = PregelLoop.tick, PregelLoop.after_tick

    @wraps(tick)
    def ticked(self: Any, *args: Any, **kwargs: Any) -> Any:
        try:
            return tick(self, *args, **kwargs)
        finally:
            recorder.ticked(self)

    @wraps(after_tick)
    def stepped(self: Any, *args: Any, **kwargs: Any) -> Any:
        recorder.stepped(self)
        return after_tick(self, *args, **kwargs)

    _replace(PregelLoop, "tick", ticked)
    _replace(PregelLoop, "after_tick", stepped)


def _wrap_tools() -> None:
    """Let the recorder know all a tool is given: its callbacks are not told what is injected."""
    from langchain_core.tools import BaseTool

    from agenttrace_langgraph.answers import tool_input

    run, arun = BaseTool.run, BaseTool.arun

    @wraps(run)
    def ran(self: Any, given: Any, *args: Any, **kwargs: Any) -> Any:
        tool_input.set((self, given))
        return run(self, given, *args, **kwargs)

    @wraps(arun)
    async def aran(self: Any, given: Any, *args: Any, **kwargs: Any) -> Any:
        tool_input.set((self, given))
        return await arun(self, given, *args, **kwargs)

    _replace(BaseTool, "run", ran)
    _replace(BaseTool, "arun", aran)


@contextmanager
def capturing() -> Iterator["Recorder"]:
    """Have runs captured inside, also where nobody has switched that on; give what records them."""
    global _borrowed
    with _lock:
        if not _restore:
            LangGraphInstrumentor().instrument()
            _borrowed = 0
        if _borrowed is not None:
            _borrowed += 1
        assert _recorder is not None
        found = _recorder
    try:
        yield found
    finally:
        with _lock:
            if _borrowed is not None:
                _borrowed -= 1
                if not _borrowed:
                    _borrowed = None
                    _undo()


def _wrap_calls() -> None:
    from langgraph.pregel import Pregel

    from agenttrace_langgraph.recorder import Call

    stream, astream = Pregel.stream, Pregel.astream

    @wraps(stream)
    def streamed(self: Any, *args: Any, **kwargs: Any) -> Iterator[Any]:
        call = Call(self)
        run = cast("Generator[Any]", stream(self, *args, **kwargs))
        step: Callable[[], Any] = run.__next__
        while True:
            outside = call.enter()
            try:
                item = step()
            except StopIteration:
                return
            finally:
                call.leave(outside)
            try:
                yield item
            except GeneratorExit:
                outside = call.enter()
                try:
                    run.close()
                finally:
                    call.leave(outside)
                raise
            except BaseException as error:  # noqa: BLE001 - passed on to where it was meant for
                step = partial(run.throw, error)
            else:
                step = run.__next__

    @wraps(astream)
    async def astreamed(self: Any, *args: Any, **kwargs: Any) -> AsyncIterator[Any]:
        call = Call(self)
        run = cast("AsyncGenerator[Any]", astream(self, *args, **kwargs))
        step: Callable[[], Any] = run.__anext__
        while True:
            outside = call.enter()
            try:
                item = await step()
            except StopAsyncIteration:
                return
            finally:
                call.leave(outside)
            try:
                yield item
            except GeneratorExit:
                outside = call.enter()
                try:
                    await run.aclose()
                finally:
                    call.leave(outside)
                raise
            except BaseException as error:  # noqa: BLE001 - passed on to where it was meant for
                step = partial(run.athrow, error)
            else:
                step = run.__anext__

    _replace(Pregel, "stream", streamed)
    _replace(Pregel, "astream", astreamed)
