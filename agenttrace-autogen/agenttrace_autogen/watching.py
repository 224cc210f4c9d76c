"""Wrap coroutines and async generators so that a scope is at work while they run.

The caller's context is back in force whenever control is with the caller: between the items of a
generator, too, whichever task asks for the next one or closes it.
"""

from collections.abc import AsyncIterator, Callable
from typing import Any, TypeAlias

from opentelemetry import context as otel_context

from agenttrace_autogen.patches import Watch
from agenttrace_autogen.recording import Recorder, Scope, inside


class Step:
    """One call being recorded; `scope` is what is at work during it."""

    prepares = False
    """Whether `prepare` has something to do."""

    owns = True
    """Whether the scope ends with this call."""

    def __init__(self, recorder: Recorder, scope: Scope) -> None:
        self.recorder = recorder
        self.scope = scope

    async def prepare(self) -> None:
        """What there is to wait for before the call."""

    def item(self, value: Any) -> None:
        """The call, a generator, is about to yield `value`."""

    def result(self, value: Any) -> None:
        """The call, a coroutine, is about to return `value`."""

    def ended(self, error: BaseException | None) -> None:
        """The call is over, with `error` if it raised that."""
        self.recorder.end(self.scope, error)


Begin: TypeAlias = Callable[..., Step | None]
"""Takes the call's arguments; returns None if the call is not to be recorded."""


def coroutine(recorder: Recorder, begin: Begin) -> Watch:
    """Return what wraps a coroutine function."""

    def watch(original: Callable[..., Any]) -> Callable[..., Any]:
        async def watched(*args: Any, **kwargs: Any) -> Any:
            step = recorder.started(begin, *args, **kwargs)
            if step is None:
                return await original(*args, **kwargs)
            before = otel_context.get_current()
            otel_context.attach(inside(step.scope, before))
            try:
                if step.prepares:
                    await _prepare(recorder, step)
                result = await original(*args, **kwargs)
            except BaseException as error:
                _finish(step, error)
                raise
            else:
                recorder.quietly(step.result, result)
                _finish(step, None)
                return result
            finally:
                # Not detach(token): that raises if the task's context changed under us.
                otel_context.attach(before)

        return watched

    return watch


def generator(recorder: Recorder, begin: Begin) -> Watch:
    """Return what wraps a function that returns an async generator."""

    def watch(original: Callable[..., Any]) -> Callable[..., Any]:
        async def watched(*args: Any, **kwargs: Any) -> AsyncIterator[Any]:
            step = recorder.started(begin, *args, **kwargs)
            stream = aiter(original(*args, **kwargs))
            if step is None:
                async for item in stream:
                    yield item
                return
            failure: BaseException | None = None
            prepared = not step.prepares
            try:
                while True:
                    before = otel_context.get_current()
                    otel_context.attach(inside(step.scope, before))
                    try:
                        if not prepared:
                            prepared = True
                            await _prepare(recorder, step)
                        item = await anext(stream)
                    except StopAsyncIteration:
                        break
                    finally:
                        otel_context.attach(before)
                    recorder.quietly(step.item, item)
                    yield item
            except BaseException as error:
                failure = error
                raise
            finally:
                try:
                    await _close(stream, step.scope)
                finally:
                    _finish(step, failure)

        return watched

    return watch


async def _prepare(recorder: Recorder, step: Step) -> None:
    try:
        await step.prepare()
    except Exception:  # noqa: BLE001 - recording never breaks the run
        recorder.complain(f"{type(step).__qualname__}.prepare")


def _finish(step: Step, error: BaseException | None) -> None:
    """Let a step end; whatever goes wrong with that, its span does not stay open."""
    try:
        step.ended(error)
    except Exception:  # noqa: BLE001 - recording never breaks the run
        step.recorder.complain(f"{type(step).__qualname__}.ended")
        if step.owns:
            step.recorder.close(step.scope)


async def _close(stream: Any, scope: Scope) -> None:
    """Let an abandoned generator clean up now, as it would when its last reference is dropped."""
    if not hasattr(stream, "aclose"):
        return
    before = otel_context.get_current()
    otel_context.attach(inside(scope, before))
    try:
        await stream.aclose()
    except RuntimeError:
        # A closing event loop closes every generator it knows, this one perhaps already.
        if not getattr(stream, "ag_running", False):
            raise
    finally:
        otel_context.attach(before)
