"""Record where a crew or flow could be taken up again: at every task's start and end, every method.

The state is JSON. Of a crew: its inputs, what its planner said and, task by task, what identifies
the task and the output it has given, in the form CrewAI's own `TaskOutput` dumps to. Of a flow: its
state, the methods that are done with what each returned, and what its agents have said so far.
"""

import json
from collections.abc import Callable
from typing import Any

from agenttrace import payload
from agenttrace_crewai import values
from agenttrace_crewai.events import role_of, text
from agenttrace_crewai.recording import Open

_STEPS = ("task_started", "method_execution_started")


def of_task(scope: Open, event_id: str, when: str) -> None:
    """Record the crew around a task, just before it or just after it."""
    crew = scope.nearest("crew_kickoff_started")
    if crew is None:
        return
    task = scope.facts.get("task")
    tasks = list(getattr(crew.source, "tasks", ()))
    position = next((i for i, one in enumerate(tasks) if one is task), None)
    name = _name(task)
    after = position if position is None or when == "before" else position + 1
    done = crew.facts.setdefault("done", [])
    if when == "after":
        done.append(task)
    while after is not None and after < len(tasks) and any(tasks[after] is one for one in done):
        after += 1  # it ran beside this one, and is done as well
    payload.checkpoint(
        scope.span,
        checkpoint_id=event_id,
        label=f"{when} {name}",
        state=payload.Lazy(_crew_state(crew, tasks, len(tasks) if after is None else after)),
        input=getattr(task, "description", None),
        config={"crew": crew.facts.get("name"), "task_key": getattr(task, "key", None)},
        why_not=_why_not_crew(crew, tasks, after),
    )


def _name(task: Any) -> str:
    return text(getattr(task, "name", None)) or text(getattr(task, "description", ""))[:60]


def _why_not_crew(crew: Open, tasks: list[Any], after: int | None) -> str | None:
    if (inside := _inside(crew)) is not None:
        return f"The crew runs inside {inside}; go back to before that"
    if after is None:
        return "The task is none of the crew's own; go back to before the task it is part of"
    if after >= len(tasks):
        return "It was the crew's last task; nothing is left to run after it"
    running = [_name(one.facts.get("task")) for one in crew.facts.get("running", ())]
    if running:
        return f"{', '.join(running)} was at work at the same time; go back to before that"
    return None


def _inside(room: Open) -> str | None:
    """What a crew or flow is part of, where that is more than a program."""
    if room.parent is None:
        return None
    method = room.parent.nearest("method_execution_started")
    flow = room.parent.nearest("flow_started")
    turn = room.parent.nearest_agent()
    if turn is not None:
        return f"the turn of {turn.agent}"
    if method is not None:
        return f"the flow's method {method.facts.get('method', '')}".rstrip()
    return f"flow {flow.facts.get('name')}" if flow is not None else "another run"


def begins(scope: Open) -> None:
    """A task or a method is at work from now on."""
    room = _room(scope)
    if room is not None:
        room.facts.setdefault("running", []).append(scope)


def ends(scope: Open) -> None:
    """It is not any more."""
    room = _room(scope) if scope.type in _STEPS else None
    if room is not None and scope in room.facts.get("running", ()):
        room.facts["running"].remove(scope)


def _room(scope: Open) -> Open | None:
    kind = "crew_kickoff_started" if scope.type == "task_started" else "flow_started"
    return scope.nearest(kind)


def _crew_state(crew: Open, tasks: list[Any], after: int) -> Callable[[], str]:
    """Take references now, build JSON later: outputs are never changed once they are given."""
    outputs = [getattr(one, "output", None) for one in tasks]
    described = [(one.description, one.expected_output) for one in tasks]
    inputs = dict(crew.facts.get("inputs") or {})
    plans = _said(crew, "plans")
    process = str(getattr(getattr(crew.source, "process", None), "value", ""))

    def build() -> str:
        return json.dumps(
            {
                "kind": "crew",
                "process": process,
                "inputs": inputs,
                "next": after,
                "plans": plans,
                "tasks": [
                    {
                        "key": getattr(one, "key", None),
                        "name": getattr(one, "name", None),
                        "description": description,
                        "expected_output": expected,
                        "agent": role_of(one.agent) if getattr(one, "agent", None) else None,
                        "output": _dumped(output) if output else None,
                    }
                    for one, output, (description, expected) in zip(
                        tasks, outputs, described, strict=True
                    )
                ],
            },
            default=str,
        )

    return build


def _said(room: Open, fact: str) -> list[dict[str, str]]:
    return [{"agent": one.agent, "content": one.content} for one in room.facts.get(fact, ())]


def _dumped(output: Any) -> Any:
    """An output as JSON, with the object it may hold by that object's own class."""
    return output.model_dump(mode="json", serialize_as_any=True)


def of_method(scope: Open, event: Any) -> None:
    """Record a flow just before one of its methods."""
    flow = scope.nearest("flow_started")
    if flow is None:
        return
    scope.facts["method"] = event.method_name
    done = list(flow.facts.get("methods", ()))
    said = _said(flow, "said")
    state = event.state
    dump = getattr(state, "model_dump", None)
    judged = list(getattr(flow.source, "human_feedback_history", None) or ())

    def build() -> str:
        kept = dump(mode="json") if dump else state
        finished = [{"method": name, "result": values.encoded(result)} for name, result in done]
        return json.dumps(
            {
                "kind": "flow",
                "state": kept,
                "method": event.method_name,
                "done": finished,
                "said": said,
                "feedback": values.encoded(judged),
            },
            default=str,
        )

    payload.checkpoint(
        scope.span,
        checkpoint_id=event.event_id,
        label=f"before {event.method_name}",
        state=payload.Lazy(build),
        config={"flow": event.flow_name},
        why_not=_why_not_flow(flow),
    )


def _why_not_flow(flow: Open) -> str | None:
    if (inside := _inside(flow)) is not None:
        return f"The flow runs inside {inside}; go back to before that"
    running = [str(one.facts.get("method")) for one in flow.facts.get("running", ())]
    if running:
        return f"{', '.join(running)} was at work at the same time; go back to before that"
    return None


def restore(flow: Open) -> None:
    """A flow that goes on from a checkpoint has done before what that says."""
    done = getattr(flow.source, "_agenttrace_done", None)
    if done:
        flow.facts["methods"] = list(done)
