"""Wrap functions of every kind so that a step is recorded around them, and nothing else changes."""

import functools
import inspect
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Generator
from typing import Any

from agenttrace.steps import Begin, Step, attach_again

AnyCallable = Callable[..., Any]

_NOTHING = object()


def wrap(function: AnyCallable, begin: Begin) -> AnyCallable:
    """Return `function` with a step around each call.

    Name, signature and kind stay: a coroutine function, generator function or async generator
    function is still one. Exceptions pass unchanged. A generator's step begins with its first item
    and is current only while the generator itself runs, never in the consumer.
    """
    if inspect.isasyncgenfunction(function):
        return _async_generator_function(function, begin)
    if inspect.iscoroutinefunction(function):
        return _coroutine_function(function, begin)
    if inspect.isgeneratorfunction(function):
        return _generator_function(function, begin)
    return _function(function, begin)


def _function(function: AnyCallable, begin: Begin) -> AnyCallable:
    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        step = begin(args, kwargs)
        if step is None:
            return function(*args, **kwargs)
        previous = step.attach()
        try:
            result = step.recorded(_NOTHING)
            if result is _NOTHING:
                result = function(*args, **kwargs)
        except BaseException as error:
            step.raised(error)
            raise
        finally:
            attach_again(previous)
        return _settled(step, result)

    return call


def _settled(step: Step, result: Any) -> Any:
    """End the step, or go on with it in what the function returned and has yet to run."""
    for is_pending, kind in (
        (inspect.iscoroutine, _coroutine_function),
        (inspect.isgenerator, _generator_function),
        (inspect.isasyncgen, _async_generator_function),
    ):
        if is_pending(result):
            return kind(lambda: result, lambda _args, _kwargs: step)()
    step.returned(result)
    return result


def _coroutine_function(function: AnyCallable, begin: Begin) -> AnyCallable:
    @functools.wraps(function)
    async def call(*args: Any, **kwargs: Any) -> Any:
        step = begin(args, kwargs)
        if step is None:
            return await function(*args, **kwargs)
        previous = step.attach()
        try:
            result = step.recorded(_NOTHING)
            if result is _NOTHING:
                result = await function(*args, **kwargs)
        except BaseException as error:
            step.raised(error)
            raise
        finally:
            attach_again(previous)
        step.returned(result)
        return result

    return call


def _generator_function(function: AnyCallable, begin: Begin) -> AnyCallable:
    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Generator[Any, Any, Any]:
        generator = function(*args, **kwargs)
        step = begin(args, kwargs)
        if step is None:
            return (yield from generator)
        if (recorded := _recorded(step)) is not None:
            generator = recorded
        # What `yield from` does, with the step current only while the generator runs.
        sent: Any = None
        thrown: BaseException | None = None
        while True:
            previous = step.attach()
            try:
                item = generator.send(sent) if thrown is None else generator.throw(thrown)
            except StopIteration as stop:
                step.returned(stop.value)
                return stop.value
            except BaseException as error:
                step.raised(error)
                raise
            finally:
                attach_again(previous)
            step.yielded(item)
            try:
                sent, thrown = (yield item), None
            except BaseException as error:  # noqa: BLE001 - GeneratorExit too: it decides
                sent, thrown = None, error

    return call


def _async_generator_function(function: AnyCallable, begin: Begin) -> AnyCallable:
    @functools.wraps(function)
    async def call(*args: Any, **kwargs: Any) -> AsyncIterator[Any]:
        generator = function(*args, **kwargs)
        step = begin(args, kwargs)
        if step is not None and (recorded := _recorded(step)) is not None:
            generator = _asynchronous(recorded)
        sent: Any = None
        thrown: BaseException | None = None
        while True:
            previous = None if step is None else step.attach()
            try:
                item = await (generator.asend(sent) if thrown is None else generator.athrow(thrown))
            except StopAsyncIteration:
                if step is not None:
                    step.returned(None)
                return
            except BaseException as error:
                if step is not None:
                    step.raised(error)
                raise
            finally:
                if previous is not None:
                    attach_again(previous)
            if step is not None:
                step.yielded(item)
            try:
                sent, thrown = (yield item), None
            except BaseException as error:  # noqa: BLE001 - GeneratorExit too: it decides
                sent, thrown = None, error

    return call


def _recorded(step: Step) -> Generator[Any, Any, Any] | None:
    """Return what a generator gave in the record of a replay, None where it is to run."""
    try:
        found = step.recorded(_NOTHING)
    except BaseException as error:
        step.raised(error)
        raise
    if found is _NOTHING:
        return None
    pair = isinstance(found, dict) and found.keys() == {"yielded", "returned"}
    items, result = (found["yielded"], found["returned"]) if pair else ([], found)

    def again() -> Generator[Any, Any, Any]:
        yield from items
        return result

    return again()


async def _asynchronous(items: Generator[Any, Any, Any]) -> AsyncGenerator[Any]:
    for item in items:
        yield item
