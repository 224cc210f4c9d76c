"""Answer models and tools in LangChain itself, where a replay has decided to.

While a replay goes on, `BaseChatModel._generate_with_cache` (and its async twin), the text models'
`_generate_helper`, and the `_stream` and `_run` methods of each class that is used look at what was
decided for their call when its callbacks started. Outside of a replay's context they do what they
always do, and after the last replay they are gone.
"""

import inspect
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from functools import partial, wraps
from typing import TYPE_CHECKING, Any
from uuid import UUID

from langchain_core.language_models import BaseChatModel
from langchain_core.language_models.llms import BaseLLM
from langchain_core.outputs import (
    ChatGeneration,
    ChatGenerationChunk,
    ChatResult,
    Generation,
    GenerationChunk,
    LLMResult,
)
from langchain_core.tools import BaseTool

from agenttrace.errors import ReplayStopped
from agenttrace.replay import current
from agenttrace_langgraph import answers
from agenttrace_langgraph.runs import Decision
from agenttrace_langgraph.sandbox import keep_apart
from agenttrace_langgraph.spans import decided, deciding

if TYPE_CHECKING:
    from agenttrace_langgraph.recorder import Recorder

_lock = threading.RLock()
_replays = 0
_restore: list[Callable[[], None]] = []
_wrapped: set[tuple[type, str]] = set()


@contextmanager
def answering(recorder: "Recorder") -> Iterator[None]:
    """Have models and tools answered as decided, until the last replay that does so ends."""
    global _replays
    with _lock:
        if not _replays:
            _Seams(recorder).put_in_place()
            _restore.append(keep_apart())
        _replays += 1
    try:
        yield
    finally:
        with _lock:
            _replays -= 1
            if not _replays:
                while _restore:
                    _restore.pop()()
                _wrapped.clear()


def _replace(owner: type, name: str, wrapper: Callable[..., Any]) -> None:
    original = owner.__dict__[name]
    setattr(owner, name, wrapper)
    _restore.append(partial(setattr, owner, name, original))


def _wrap_each(kind: type, name: str, stop: type, wrap: Callable[[Any], Any]) -> None:
    """Wrap a method of a class wherever in its ancestry it is defined, below `stop`."""
    for owner in kind.__mro__:
        if owner is stop:
            return
        if name in owner.__dict__ and (owner, name) not in _wrapped:
            with _lock:
                if _replays and (owner, name) not in _wrapped:
                    _wrapped.add((owner, name))
                    _replace(owner, name, wrap(owner.__dict__[name]))


class _Seams:
    """The wrappers, and the recorder that knows what was decided for which run."""

    def __init__(self, recorder: "Recorder") -> None:
        self._runs = recorder.spans.runs

    def put_in_place(self) -> None:
        for name in ("_generate_with_cache", "_agenerate_with_cache"):
            _replace(BaseChatModel, name, self._generation(BaseChatModel.__dict__[name]))
        for name in ("_generate_helper", "_agenerate_helper"):
            _replace(BaseLLM, name, self._helper(BaseLLM.__dict__[name]))
        for owner in (BaseChatModel, BaseLLM):
            for name in ("stream", "astream"):
                _replace(owner, name, _stream_entry(owner, owner.__dict__[name]))
        for name in ("run", "arun"):
            _replace(BaseTool, name, _tool_entry(BaseTool.__dict__[name]))

    def _of(self, run_manager: Any) -> Decision | None:
        if current() is None:
            return None
        run_id: UUID | None = getattr(run_manager, "run_id", None)
        run = self._runs.get(run_id) if run_id is not None else None
        return (run.decision if run is not None else None) or _unknown("A model")

    def _generation(self, original: Any) -> Any:
        if inspect.iscoroutinefunction(original):

            @wraps(original)
            async def agenerate(
                model: Any, messages: Any, stop: Any = None, run_manager: Any = None, **kwargs: Any
            ) -> Any:
                decision = self._of(run_manager)
                if decision is None:
                    return await original(model, messages, stop, run_manager, **kwargs)
                if (found := _found(decision)) is not None:
                    if _streams(model, run_manager, kwargs, asynchronous=True):
                        chunk = _chat_chunk(found)
                        await run_manager.on_llm_new_token(chunk.text, chunk=chunk)
                    return _chat_result(found)
                with deciding(decision):
                    return await original(model, messages, stop, run_manager, **kwargs)

            return agenerate

        @wraps(original)
        def generate(
            model: Any, messages: Any, stop: Any = None, run_manager: Any = None, **kwargs: Any
        ) -> Any:
            decision = self._of(run_manager)
            if decision is None:
                return original(model, messages, stop, run_manager, **kwargs)
            if (found := _found(decision)) is not None:
                if _streams(model, run_manager, kwargs, asynchronous=False):
                    chunk = _chat_chunk(found)
                    run_manager.on_llm_new_token(chunk.text, chunk=chunk)
                return _chat_result(found)
            with deciding(decision):
                return original(model, messages, stop, run_manager, **kwargs)

        return generate

    def _helper(self, original: Any) -> Any:
        if inspect.iscoroutinefunction(original):

            @wraps(original)
            async def ahelper(
                model: Any, prompts: Any, stop: Any, run_managers: Any, **kwargs: Any
            ) -> Any:
                if current() is None:
                    return await original(model, prompts, stop, run_managers, **kwargs)
                results = []
                for prompt, manager in zip(prompts, run_managers, strict=True):
                    decision = self._of(manager) or Decision()
                    if (result := _texts(decision)) is None:
                        with deciding(decision):
                            result = await original(model, [prompt], stop, [manager], **kwargs)
                    else:
                        await manager.on_llm_end(result)
                    results.append(result)
                return _joined(results)

            return ahelper

        @wraps(original)
        def helper(model: Any, prompts: Any, stop: Any, run_managers: Any, **kwargs: Any) -> Any:
            if current() is None:
                return original(model, prompts, stop, run_managers, **kwargs)
            results = []
            for prompt, manager in zip(prompts, run_managers, strict=True):
                decision = self._of(manager) or Decision()
                if (result := _texts(decision)) is None:
                    with deciding(decision):
                        result = original(model, [prompt], stop, [manager], **kwargs)
                else:
                    manager.on_llm_end(result)
                results.append(result)
            return _joined(results)

        return helper


def _unknown(what: str) -> Decision:
    """Nothing runs in a replay that was not looked up: recording must have failed to see it."""
    return Decision(None, ReplayStopped(f"{what} was called past the callbacks of LangChain"))


def _found(decision: Decision) -> list[Any] | None:
    if decision.refused is not None:
        raise answers.refused(decision.refused)
    if decision.answer is None:
        return None
    return answers.recorded_messages(decision)


def _streams(model: Any, run_manager: Any, kwargs: Any, *, asynchronous: bool) -> bool:
    """Whether someone wants to see the tokens of a call as they come: then it is one chunk."""
    wanted: bool = model._should_stream(
        async_api=asynchronous, **{**kwargs, "run_manager": run_manager}
    )
    return wanted and run_manager is not None


def _chat_result(messages: list[Any]) -> ChatResult:
    whole = [answers.whole_message(message) for message in messages]
    return ChatResult(generations=[ChatGeneration(message=message) for message in whole])


def _chat_chunk(messages: list[Any]) -> ChatGenerationChunk:
    return ChatGenerationChunk(message=answers.chunk_of(messages[0]))


def _texts(decision: Decision) -> LLMResult | None:
    found = _found(decision)
    return None if found is None else LLMResult(generations=[[Generation(text=t) for t in found]])


def _joined(results: list[Any]) -> LLMResult:
    run = [info for result in results for info in result.run or ()]
    joined = LLMResult(
        generations=[batch for result in results for batch in result.generations],
        llm_output=results[0].llm_output if len(results) == 1 else None,
    )
    joined.run = run or None
    return joined


# Streams


def _stream_entry(owner: type, original: Any) -> Any:
    """Wrap `stream` or `astream`: the class of the model that is asked gets its seam."""

    def prepare(model: Any) -> None:
        if current() is not None:
            chunk = _chat_chunk if owner is BaseChatModel else _text_chunk
            _wrap_each(type(model), "_stream", owner, lambda method: _stream(method, chunk))
            _wrap_each(type(model), "_astream", owner, lambda method: _astream(method, chunk))

    if inspect.isasyncgenfunction(original):

        @wraps(original)
        async def astream(model: Any, *args: Any, **kwargs: Any) -> AsyncIterator[Any]:
            prepare(model)
            async for chunk in original(model, *args, **kwargs):
                yield chunk

        return astream

    @wraps(original)
    def stream(model: Any, *args: Any, **kwargs: Any) -> Iterator[Any]:
        prepare(model)
        yield from original(model, *args, **kwargs)

    return stream


def _text_chunk(texts: list[Any]) -> GenerationChunk:
    return GenerationChunk(text="".join(str(text) for text in texts))


def _stream(original: Any, chunk: Callable[[list[Any]], Any]) -> Any:
    @wraps(original)
    def stream(model: Any, *args: Any, **kwargs: Any) -> Iterator[Any]:
        found = _found(decided() or _unknown("A model")) if current() is not None else None
        if found is None:
            yield from original(model, *args, **kwargs)
        else:
            yield chunk(found)

    return stream


def _astream(original: Any, chunk: Callable[[list[Any]], Any]) -> Any:
    @wraps(original)
    async def astream(model: Any, *args: Any, **kwargs: Any) -> AsyncIterator[Any]:
        found = _found(decided() or _unknown("A model")) if current() is not None else None
        if found is None:
            async for item in original(model, *args, **kwargs):
                yield item
        else:
            yield chunk(found)

    return astream


# Tools


def _tool_entry(original: Any) -> Any:
    """Wrap `run` or `arun`: the class of the tool that is called gets its seam."""

    @wraps(original)
    def run(tool: Any, *args: Any, **kwargs: Any) -> Any:
        if current() is not None:
            _wrap_each(type(tool), "_run", BaseTool, _tool)
            _wrap_each(type(tool), "_arun", BaseTool, _atool)
        return original(tool, *args, **kwargs)

    return run


def _decision_on(tool: Any) -> Decision | None:
    if current() is None:
        return None
    decision = decided() or _unknown(f"The tool {tool.name!r}")
    if decision.refused is not None:
        raise answers.refused(decision.refused)
    return decision


def _tool(original: Any) -> Any:
    @wraps(original)
    def run(tool: Any, *args: Any, **kwargs: Any) -> Any:
        decision = _decision_on(tool)
        if decision is not None and decision.answer is not None:
            return answers.recorded_result(tool, decision, (args, kwargs))
        return original(tool, *args, **kwargs)

    return run


def _atool(original: Any) -> Any:
    @wraps(original)
    async def arun(tool: Any, *args: Any, **kwargs: Any) -> Any:
        decision = _decision_on(tool)
        if decision is not None and decision.answer is not None:
            return answers.recorded_result(tool, decision, (args, kwargs))
        return await original(tool, *args, **kwargs)

    return arun
