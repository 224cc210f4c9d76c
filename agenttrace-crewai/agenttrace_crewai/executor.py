"""Run a crew or a flow again from one of its checkpoints."""

import asyncio
import contextvars
import inspect
import json
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from crewai import Crew
from crewai.flow.flow import Flow

from agenttrace.edits import Edit, apply_edits, steps_of
from agenttrace.errors import EditError, ReplayError
from agenttrace.models import Checkpoint
from agenttrace.replay import Replay
from agenttrace_crewai import restoring
from agenttrace_crewai.capture import INSTRUMENTOR
from agenttrace_crewai.events import text
from agenttrace_crewai.isolation import isolated

_LOOK = 0.05
"""Seconds after which a running crew is looked at, so that a stopped one is not waited for."""

_PATIENCE = 10.0
"""Seconds that a stopped crew has to come to an end before it is left alone."""


def execute(target: Any, checkpoint: Checkpoint, edits: Sequence[Edit], replay: Replay) -> str:
    """Let a fresh crew or flow go on from `checkpoint`; return what comes out of it, as text.

    `target` is a function without parameters, or a class, that makes the crew or flow. An edit's
    path leads into the state; `outputs/<task>` is the output of an earlier task, by its position or
    name, and `description` that of the task which runs next.
    """
    if not checkpoint.resumable:
        raise ReplayError(f"Nothing can go on from {checkpoint.label!r}: {checkpoint.why_not}")
    recorded = json.loads(checkpoint.state)
    state = apply_edits(recorded, [_into_state(edit, recorded) for edit in edits])
    _speak_of_edits(state, recorded)
    with _captured(), isolated(), replay.active():
        made = _make(target)
        if recorded["kind"] == "crew":
            run = restoring.crew(made, state, recorded)
        else:
            run = restoring.flow(made, state)
        return _as_text(_finished(run, replay, made))


@contextmanager
def _captured() -> Iterator[None]:
    """Have capture in place, whose wrappers ask the replay; take it out again if it was not."""
    if INSTRUMENTOR.recording is not None:
        yield
        return
    INSTRUMENTOR.instrument()
    try:
        yield
    finally:
        INSTRUMENTOR.uninstrument()


def _make(target: Any) -> Any:
    if isinstance(target, (Crew, Flow)):
        raise ReplayError(
            f"Replaying this {type(target).__name__} itself would change it; make a function "
            "replayable that returns a fresh one"
        )
    made = target()
    if inspect.isawaitable(made):

        async def wait() -> Any:
            return await made

        made = asyncio.run(wait())
    if not isinstance(made, (Crew, Flow)) and callable(getattr(made, "crew", None)):
        made = made.crew()  # a class of CrewAI's project template
    return made


def _into_state(edit: Edit, state: Any) -> Edit:
    steps = steps_of(edit.path)
    tasks = state.get("tasks", ())
    if steps == ["description"] and tasks:
        return Edit(f"/tasks/{state['next']}/description", edit.value)
    if steps[:1] != ["outputs"] or not tasks:
        return edit
    names = [str(task.get("name")) for task in tasks]
    wanted = steps[1] if len(steps) > 1 else ""
    position = names.index(wanted) if wanted in names else _number(wanted)
    if position is None or not 0 <= position < len(tasks) or tasks[position]["output"] is None:
        done = [f"{n}: {names[n]}" for n, task in enumerate(tasks) if task["output"] is not None]
        raise EditError(
            f"Edit of {edit.path!r}: no task {wanted!r} has an output yet; there are "
            f"{'; '.join(done) or 'none'}"
        )
    return Edit(
        "/".join(["", "tasks", str(position), "output", *(steps[2:] or ["raw"])]), edit.value
    )


def _number(step: str) -> int | None:
    return int(step) if step.isdigit() else None


def _speak_of_edits(state: Any, recorded: Any) -> None:
    """Let an output whose text was edited be that text in its other forms as well."""
    for now, was in zip(state.get("tasks", ()), recorded.get("tasks", ()), strict=True):
        new, old = now["output"], was["output"]
        if not new or not old or new["raw"] == old["raw"]:
            continue
        try:
            parsed = json.loads(new["raw"])
        except ValueError:
            parsed = None
        for form in ("pydantic", "json_dict"):
            if old.get(form) is not None and new[form] == old[form] and isinstance(parsed, dict):
                new[form] = parsed


def _finished(run: restoring.Run, replay: Replay, made: Any) -> Any:
    """Wait for the run, on a thread of its own: CrewAI makes loops, and has no way to stop."""
    outcome: list[Any] = []
    failures: list[BaseException] = []

    def work() -> None:
        try:
            outcome.append(run())
        except BaseException as error:  # noqa: BLE001 - raised again where it is waited for
            failures.append(error)

    thread = threading.Thread(
        target=contextvars.copy_context().run, args=(work,), name="agenttrace-replay", daemon=True
    )
    thread.start()
    while thread.is_alive() and replay.stopped is None:
        thread.join(_LOOK)
    if replay.stopped is not None:
        thread.join(_PATIENCE)
        raise replay.stopped
    if failures:
        name = getattr(made, "name", None) or type(made).__name__
        raise ReplayError(f"{name} failed in the replay: {failures[0]}") from failures[0]
    return outcome[0]


def _as_text(output: Any) -> str:
    raw = getattr(output, "raw", output)
    if raw is None or isinstance(raw, str):
        return raw or ""
    dump = getattr(raw, "model_dump", None)
    return (
        text(raw)
        if dump is None and not isinstance(raw, (dict, list))
        else json.dumps(dump(mode="json") if dump else raw, default=str)
    )
