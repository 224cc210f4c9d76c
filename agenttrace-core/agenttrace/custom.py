"""Run agents written by hand again: the function made replayable takes the checkpoint's state."""

import inspect
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from agenttrace import semconv
from agenttrace.chat import parse
from agenttrace.edits import Edit, apply_edits
from agenttrace.errors import ReplayError
from agenttrace.hookspecs import hookimpl
from agenttrace.models import Checkpoint, Executor
from agenttrace.replay import Replay
from agenttrace.replayables import CUSTOM


@hookimpl
def agenttrace_executor(framework: str) -> Executor | None:
    """Replay what `AgentTracer` recorded, by the function made replayable for it."""
    return run_again if framework == CUSTOM else None


def run_again(
    target: Callable[..., Any], checkpoint: Checkpoint, edits: Sequence[Edit], replay: Replay
) -> Any | Awaitable[Any]:
    """Call `target(state)` or `target(state, replay)`; return what it returns.

    The state is what `tracer.checkpoint` was given, as JSON has it, with the edits made. What the
    function's decorated tools and models are asked is answered from the record; steps in a `with`
    statement ask for it themselves, by `step.recorded()`.
    """
    if not checkpoint.resumable:
        raise ReplayError(
            f"Checkpoint {checkpoint.label!r} cannot be resumed: {checkpoint.why_not}"
        )
    if not callable(target):
        raise ReplayError(
            f"What is replayable for your own agents must be a function that takes the state, "
            f"not a {type(target).__qualname__}"
        )
    state = apply_edits(parse(checkpoint.state), edits)
    arguments = (state, replay) if _takes_replay(target) else (state,)
    if inspect.iscoroutinefunction(target):
        return _arun(target, arguments, checkpoint, replay)
    with replay.active(), _Whole(checkpoint, replay) as whole:
        result = target(*arguments)
        if not inspect.isawaitable(result):
            whole.done(result)
            return result
    return _arun(lambda *_: result, arguments, checkpoint, replay)


async def _arun(
    target: Callable[..., Any], arguments: tuple[Any, ...], checkpoint: Checkpoint, replay: Replay
) -> Any:
    with replay.active(), _Whole(checkpoint, replay) as whole:
        result = await target(*arguments)
        whole.done(result)
        return result


def _takes_replay(target: Callable[..., Any]) -> bool:
    try:
        parameters = list(inspect.signature(target).parameters.values())
    except (TypeError, ValueError):
        return False
    positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return sum(p.kind in positional for p in parameters) > 1 or any(
        p.kind is inspect.Parameter.VAR_POSITIONAL for p in parameters
    )


class _Whole:
    """The span around the whole replay, so that what it does is one trace."""

    def __init__(self, checkpoint: Checkpoint, replay: Replay) -> None:
        from agenttrace.steps import begin

        name = checkpoint.label or "replay"
        attributes = {
            semconv.GEN_AI_OPERATION_NAME: "invoke_workflow",
            semconv.GEN_AI_WORKFLOW_NAME: name,
        }
        self._replay = replay
        self._step = begin(f"invoke_workflow {name}", attributes, tracer="replay")

    def __enter__(self) -> "_Whole":
        if self._step is not None:
            self._replay.stamp(self._step.span, "restored")
            self._before = self._step.attach()
        return self

    def done(self, result: Any) -> None:
        """Note what came out; a stop that the program has swallowed is still one."""
        if self._replay.stopped is not None:
            raise self._replay.stopped
        if self._step is not None:
            self._step.output(result)

    def __exit__(self, kind: Any, error: BaseException | None, traceback: Any) -> None:
        if self._step is not None:
            from agenttrace.steps import attach_again

            attach_again(self._before)
            if error is None:
                self._step.end()
            else:
                self._step.raised(error)
        if error is not None and self._replay.stopped is not None:
            raise self._replay.stopped from None
