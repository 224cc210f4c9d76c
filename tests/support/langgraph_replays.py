"""Replay a recorded LangGraph run from its checkpoints, as a worker does, and look at what came."""

import asyncio
import inspect
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
from langchain_core.tools import StructuredTool

from agenttrace.edits import Edit
from agenttrace.messages import find_checkpoints
from agenttrace.models import Checkpoint, Trace
from agenttrace.replay import Recording, Replay
from agenttrace_langgraph.executor import run_again
from support.langgraph_apps import Model
from support.recorded import Recorded
from support.replays import cost_nothing


class Calls(Counter[str]):
    """How often each model and tool of an application really ran."""

    def model(self, name: str, *replies: Any) -> Model:
        """Return a scripted model that is counted."""

        def reply(index: int) -> Any:
            def answer(messages: Any) -> Any:
                self[name] += 1
                given = replies[min(index, len(replies) - 1)]
                return given(messages) if callable(given) else _message(given)

            return answer

        return Model(replies=[reply(index) for index in range(max(1, len(replies)))])

    def thinking(self, name: str, think: Any) -> Model:
        """Return a model whose answer depends on what it reads, and on nothing else."""
        return self.model(name, lambda messages: _message(think(messages)))

    def tool(self, name: str, function: Any, **more: Any) -> StructuredTool:
        """Return a tool that is counted."""
        import functools

        @functools.wraps(function)
        def counted(*args: Any, **kwargs: Any) -> Any:
            self[name] += 1
            return function(*args, **kwargs)

        counted.__doc__ = function.__doc__ or name
        return StructuredTool.from_function(counted, name=name, **more)


def _message(reply: Any) -> Any:
    from langchain_core.messages import AIMessage

    return AIMessage(reply) if isinstance(reply, str) else reply.model_copy()


@dataclass
class Original:
    """A recorded run."""

    trace: Trace

    @property
    def checkpoints(self) -> list[Checkpoint]:
        return list(find_checkpoints(self.trace))

    def before(self, label: str) -> Checkpoint:
        """The first checkpoint with this label (`before writer`, `start`)."""
        found = [c for c in self.checkpoints if label in (c.label, c.label.removeprefix("before "))]
        assert found, [c.label for c in self.checkpoints]
        return found[0]

    def said_after(self, checkpoint: Checkpoint) -> list[tuple[str, ...]]:
        return said(self.trace, checkpoint.created_at)


def said(trace: Trace, after_ns: int = 0) -> list[tuple[str, ...]]:
    """Who said what to whom, by content hash, in no particular order."""
    return sorted(
        (m.sender, m.recipient, m.type, m.content_hash, m.content)
        for m in trace.messages
        if m.sent_at >= after_ns
    )


def rerun(
    original: Original,
    target: Any,
    checkpoint: Checkpoint,
    edits: dict[str, Any] | None = None,
    **options: Any,
) -> tuple[Any, Replay]:
    """Replay from a checkpoint; return the output and what was asked for."""
    recording = Recording.of(original.trace, checkpoint.created_at)
    sent = msgspec.json.decode(msgspec.json.encode(recording), type=Recording)
    replay = Replay("replay-1", original.trace.trace_id, sent, **options)
    made = run_again(target, checkpoint, _edits(edits), replay)
    if inspect.isawaitable(made):

        async def wait() -> Any:
            return await made

        made = asyncio.run(wait())
    return made, replay


def _edits(edits: dict[str, Any] | None) -> Sequence[Edit]:
    return [Edit(path, value) for path, value in (edits or {}).items()]


def repeats_itself(run: Recorded, original: Original, target: Any, calls: Calls) -> int:
    """Check that from every checkpoint an unedited replay says the same and calls nothing.

    Where the run waited to be continued, nothing is recorded of what comes after.
    """
    tried = 0
    for checkpoint in original.checkpoints:
        if not checkpoint.resumable or '"waits":true' in (checkpoint.config or ""):
            continue
        calls.clear()
        run.clear()
        _, replay = rerun(original, target, checkpoint)
        assert not calls, (checkpoint.label, calls)
        assert replay.counts["live"] == 0, checkpoint.label
        assert cost_nothing(run.trace), checkpoint.label
        assert said(run.trace) == original.said_after(checkpoint), checkpoint.label
        tried += 1
    return tried
