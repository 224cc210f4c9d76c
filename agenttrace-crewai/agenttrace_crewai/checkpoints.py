"""Record where a crew or flow could be taken up again: at every task's start and end, every method.

The state is JSON. Of a crew: its inputs and, task by task, what identifies the task and the output
it has given, in the form CrewAI's own `TaskOutput` dumps to. Of a flow: its state, and the methods
that are done.
"""

import json
from collections.abc import Callable
from typing import Any

from agenttrace import payload
from agenttrace_crewai.events import role_of, text
from agenttrace_crewai.recording import Open


def of_task(scope: Open, event_id: str, when: str) -> None:
    """Record the crew around a task, just before it or just after it."""
    crew = scope.nearest("crew_kickoff_started")
    if crew is None:
        return
    task = scope.facts.get("task")
    name = text(getattr(task, "name", None)) or text(getattr(task, "description", ""))[:60]
    payload.checkpoint(
        scope.span,
        checkpoint_id=event_id,
        label=f"{when} {name}",
        state=payload.Lazy(_crew_state(crew, task, when)),
        input=getattr(task, "description", None),
        config={"crew": crew.facts.get("name"), "task_key": getattr(task, "key", None)},
    )


def _crew_state(crew: Open, task: Any, when: str) -> Callable[[], str]:
    """Take references now, build JSON later: outputs are never changed once they are given."""
    tasks = list(getattr(crew.source, "tasks", ()))
    outputs = [getattr(one, "output", None) for one in tasks]
    inputs = dict(crew.facts.get("inputs") or {})
    process = str(getattr(getattr(crew.source, "process", None), "value", ""))
    position = next((i for i, one in enumerate(tasks) if one is task), len(tasks))

    def build() -> str:
        return json.dumps(
            {
                "kind": "crew",
                "process": process,
                "inputs": inputs,
                "next": position if when == "before" else position + 1,
                "tasks": [
                    {
                        "key": getattr(one, "key", None),
                        "name": getattr(one, "name", None),
                        "description": getattr(one, "description", None),
                        "expected_output": getattr(one, "expected_output", None),
                        "agent": role_of(one.agent) if getattr(one, "agent", None) else None,
                        "output": output.model_dump(mode="json") if output else None,
                    }
                    for one, output in zip(tasks, outputs, strict=True)
                ],
            },
            default=str,
        )

    return build


def of_method(scope: Open, event: Any) -> None:
    """Record a flow just before one of its methods."""
    flow = scope.nearest("flow_started")
    done = list(flow.facts.get("methods", ())) if flow else []
    state = event.state
    dump = getattr(state, "model_dump", None)

    def build() -> str:
        values = dump(mode="json") if dump else state
        return json.dumps(
            {"kind": "flow", "state": values, "method": event.method_name, "done": done},
            default=str,
        )

    payload.checkpoint(
        scope.span,
        checkpoint_id=event.event_id,
        label=f"before {event.method_name}",
        state=payload.Lazy(build),
        config={"flow": event.flow_name},
    )
