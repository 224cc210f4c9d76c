"""Bring a fresh crew or flow to where a recorded one was, so that only the rest of it runs."""

import asyncio
from collections import defaultdict, deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from crewai import Crew, Task
from crewai.flow.flow import Flow
from crewai.tasks.conditional_task import ConditionalTask
from crewai.tasks.task_output import TaskOutput
from pydantic import ValidationError

from agenttrace.errors import ReplayError
from agenttrace_crewai import values
from agenttrace_crewai.events import text

Run = Callable[[], Any]
"""Runs what is left and returns what comes out."""


def crew(made: Any, state: Any, recorded: Any) -> Run:
    """Give a fresh crew the outputs of the tasks that were done; `state` is `recorded`, edited."""
    if not isinstance(made, Crew):
        raise ReplayError(
            f"The recorded run was of a crew, and the replayable function made a "
            f"{type(made).__name__}; make the same crew"
        )
    tasks, known = list(made.tasks), state["tasks"]
    if len(tasks) != len(known):
        raise ReplayError(
            f"The crew has {len(tasks)} tasks, the recorded one had {len(known)}: "
            f"{'; '.join(_label(one) for one in known)}. Replay it with the same tasks"
        )
    said = []
    for task, one in zip(tasks[: state["next"]], known, strict=False):
        task.output = _output(task, one)
        if task.output is not None:
            said.append((task, text(task.output.agent), task.output.raw))
    _keep_from_writing(made)
    _describe(made, state, recorded)
    # A crew that has this starts with its first task without output: CrewAI's own way to go on.
    made.checkpoint_kickoff_event_id = "agenttrace-replay"
    made.before_kickoff_callbacks = []  # the inputs are what they had made of them
    object.__setattr__(made, "_agenttrace_said", said)
    object.__setattr__(made, "_agenttrace_plans", _earlier(state.get("plans", ())))
    made.stream = False
    return lambda: made.kickoff(inputs=state["inputs"] or None)


def _label(task: Mapping[str, Any]) -> str:
    return text(task.get("name")) or text(task.get("description"))[:60]


def _output(task: Task, known: Mapping[str, Any]) -> TaskOutput | None:
    output = known.get("output")
    if output is None:
        return task.get_skipped_task_output() if isinstance(task, ConditionalTask) else None
    form = task.output_pydantic
    found = output.get("pydantic")
    try:
        if form is not None and found is not None:
            found = form.model_validate(found)
        return TaskOutput.model_validate({**output, "pydantic": found})
    except ValidationError as error:
        reason = str(error).partition("\n")[0]
        raise ReplayError(
            f"Task {_label(known)!r} does not take its recorded output: {reason}. "
            "Has the application changed since, or does an edit not fit?"
        ) from error


class _Nowhere:
    """Takes the place of the file in which CrewAI keeps the outputs of the last run."""

    def load(self) -> list[Any]:
        return []

    def update(self, *_: Any, **__: Any) -> None: ...

    add = update
    reset = update


def _keep_from_writing(made: Crew) -> None:
    made._task_output_handler = _Nowhere()  # type: ignore[assignment]
    made.output_log_file = None
    for task in made.tasks:
        task.output_file = None


def _describe(made: Crew, state: Any, recorded: Any) -> None:
    """Let the rest of the tasks be worded as recorded where a plan was added, or as edited."""
    planned, made.planning = bool(made.planning), False
    wanted = []
    for task, now, was in zip(made.tasks, state["tasks"], recorded["tasks"], strict=True):
        for name in ("description", "expected_output"):
            if planned or now[name] != was[name]:
                wanted.append((task, name, now[name]))
    if not wanted:
        return
    interpolate = made._interpolate_inputs

    def worded(inputs: dict[str, Any]) -> None:
        interpolate(inputs)
        for task, name, words in wanted:
            setattr(task, name, words)

    object.__setattr__(made, "_interpolate_inputs", worded)
    if not state["inputs"]:
        worded({})


def flow(made: Any, state: Any) -> Run:
    """Give a fresh flow its recorded state, and what the methods that were done had returned.

    CrewAI itself, going on, skips methods that were done without what they returned: a router's way
    would be lost. So they are run through, and answered here.
    """
    if not isinstance(made, Flow):
        raise ReplayError(
            f"The recorded run was of a flow, and the replayable function made a "
            f"{type(made).__name__}; make the same flow"
        )
    home = type(made).__module__
    done = [(one["method"], values.decoded(one["result"], home)) for one in state["done"]]
    _check_methods(made, [name for name, _ in done] + [state["method"]])
    try:
        made._restore_state(state["state"])
    except (ValueError, TypeError) as error:
        raise ReplayError(
            f"Flow {type(made).__name__} does not take the recorded state: {error}. "
            "Has the application changed since, or does an edit not fit?"
        ) from error
    if judged := values.decoded(state.get("feedback", []), home):
        made.human_feedback_history, made.last_human_feedback = judged, judged[-1]
    made.stream = False
    left: dict[str, deque[Any]] = defaultdict(deque)
    for name, result in done:
        left[name].append(result)
    run = made._execute_method

    async def execute(name: Any, method: Any, *args: Any, **kwargs: Any) -> tuple[Any, Any]:
        if not left[str(name)]:
            return await run(name, method, *args, **kwargs)
        result = left[str(name)].popleft()
        made._method_outputs.append({"method": str(name), "output": result})
        counts = made._method_execution_counts
        counts[name] = counts.get(name, 0) + 1
        made._completed_methods.add(name)
        return result, None

    object.__setattr__(made, "_execute_method", execute)
    object.__setattr__(made, "_agenttrace_done", done)
    object.__setattr__(made, "_agenttrace_said", _earlier(state.get("said", ())))
    return lambda: asyncio.run(made.kickoff_async())


def _earlier(said: Sequence[Mapping[str, str]]) -> list[tuple[None, str, str]]:
    return [(None, one["agent"], one["content"]) for one in said]


def _check_methods(made: Any, names: Sequence[str]) -> None:
    known = {str(name) for name in made._definition.methods}
    if missing := [name for name in names if name not in known]:
        raise ReplayError(
            f"Flow {type(made).__name__} has no method {missing[0]!r} any more; it has "
            f"{', '.join(sorted(known))}"
        )
