"""Tell who says what to whom while a crew runs.

- A task that starts from other tasks' outputs: each of their agents says its output (`task`).
- A task, or a single agent, that starts from nothing: whoever called the crew says what to do
  (`task`): the user, the agent whose tool it runs in, an agent of another framework, or the agent
  of an earlier crew of the same flow whose output it was given.
- A crew that plans first: its planner says to each task's agent what the plan for it is (`task`).
- Delegation: `delegate_work_to_coworker` (`task`) and `ask_question_to_coworker` (`question`), and
  what comes back (`result`, `answer`).
- What a crew, a flow or a single agent gives back, said by its last agent to the caller.
- An agent that judges a task's output (a guardrail that asks a model): it is shown the output
  (`question`) and says what it thinks of it (`answer`).
- Questions to people (human input and feedback), and messages to and from A2A agents.

Agents do not talk to themselves: the output of an agent's own earlier task is no message.
"""

import json
from typing import Any, NamedTuple

from opentelemetry import context as otel_context

from agenttrace import payload, semconv
from agenttrace.models import USER, MessageType
from agenttrace_crewai.events import remote_agent, text
from agenttrace_crewai.recording import Open

_QUESTION_TOOLS = ("ask_question_to_coworker", "ask question to coworker")
_ROOMS = ("crew_kickoff_started", "flow_started")
_WORK = ("task_started", "agent_execution_started", "lite_agent_execution_started", *_ROOMS)


class Said(NamedTuple):
    """What an agent gave out, and the message that made it do so."""

    task: Any
    agent: str
    content: str
    cause: str | None


def say(
    scope: Open,
    sender: str,
    recipient: str,
    content: object,
    type_: MessageType,
    cause: str | None = None,
) -> str:
    """Record a message on this scope's span and return its id."""
    return payload.message(
        scope.span, sender=sender, recipient=recipient, content=content, type=type_, caused_by=cause
    )


def restore(room: Open) -> None:
    """What a crew or flow that goes on from a checkpoint had said before that."""
    for fact in ("said", "plans"):
        earlier = getattr(room.source, f"_agenttrace_{fact}", None)
        if earlier:
            room.facts[fact] = [
                Said(task, agent, content, None) for task, agent, content in earlier
            ]


def agent_starts(turn: Open, content: Any) -> None:
    """An agent's turn starts: whoever made it start has said something to it."""
    assert turn.agent is not None
    above = turn.parent
    tool = above.nearest("tool_usage_started", "task_started") if above else None
    if tool is not None and tool.type == "tool_usage_started" and _is_delegation(tool):
        _delegated(tool, turn)
        return
    judged = _judged_by(turn)
    if judged is not None:
        turn.facts["judges"] = judged
        gave: Said = judged.facts["gave"]
        turn.received = say(turn, gave.agent, turn.agent, gave.content, "question", gave.cause)
        return
    task = above.nearest("task_started") if above else None
    if task is None or (tool is not None and tool is not task):
        _called(turn, turn, content)
    elif "received" in task.facts:  # a retry: the task was said before
        turn.received = task.facts["received"]
    else:
        _task_given(task, turn)
        task.facts["received"] = turn.received


def _judged_by(turn: Open) -> Open | None:
    """The task whose output this turn judges, if that is what it is for."""
    guard = turn.parent.nearest("llm_guardrail_started", *_WORK) if turn.parent else None
    if guard is None or guard.type != "llm_guardrail_started":
        return None
    task = guard.nearest("task_started")
    return task if task is not None and "gave" in task.facts else None


def _is_delegation(tool: Open) -> bool:
    return bool(tool.facts.get("delegates"))


def is_delegation(tool_name: str, arguments: Any) -> bool:
    """Whether this tool call hands work or a question to a coworker."""
    name = text(tool_name).casefold().replace(" ", "_")
    known = name in ("delegate_work_to_coworker", "ask_question_to_coworker")
    return known and arguments is not None


def _delegated(tool: Open, turn: Open) -> None:
    boss = tool.nearest_agent()
    sender = boss.agent if boss and boss.agent else USER
    arguments = _parsed(tool.facts.get("arguments"))
    asks = text(tool.facts.get("tool")).casefold().replace("_", " ") in _QUESTION_TOOLS
    content: object = arguments
    if isinstance(arguments, dict):
        said = arguments.get("question" if asks else "task") or arguments.get("task")
        background = arguments.get("context")
        content = "\n\n".join(str(part) for part in (said, background) if part)
    cause = boss.received if boss else None
    turn.facts["asked_by"] = boss
    turn.facts["asked"] = asks
    turn.received = say(
        tool, sender, turn.agent or "", content, "question" if asks else "task", cause
    )


def _parsed(arguments: Any) -> Any:
    """Tool arguments as a dict; models send them as JSON text, too."""
    if isinstance(arguments, str):
        try:
            return json.loads(arguments)
        except ValueError:
            return arguments
    return arguments


def _task_given(task: Open, turn: Open) -> None:
    """Say to the agent of a task what the task starts from."""
    recipient = turn.agent or ""
    crew = task.nearest("crew_kickoff_started")
    given = str(task.facts.get("context") or "")
    description = getattr(task.facts.get("task"), "description", "")
    earlier: list[Said] = crew.facts.get("said", []) if crew else []
    for plan in crew.facts.get("plans", []) if crew else []:
        if plan.content in description:
            turn.received = say(task, plan.agent, recipient, plan.content, "task", plan.cause)
    wanted = getattr(task.facts.get("task"), "context", None)
    for said in earlier:
        chosen = not isinstance(wanted, list) or any(said.task is one for one in wanted)
        if chosen and said.agent != recipient and said.content and said.content in given:
            turn.received = say(task, said.agent, recipient, said.content, "task", said.cause)
    if turn.received is None:
        _called(task, turn, description)


def _called(scope: Open, turn: Open, content: Any) -> None:
    """Say what the caller of a crew or of a single agent wants, to its first agent."""
    recipient = turn.agent or ""
    flow = scope.nearest("flow_started")
    heard = str(content)
    for said in flow.facts.get("said", []) if flow else []:
        if said.agent != recipient and said.content and said.content in heard:
            turn.received = say(scope, said.agent, recipient, said.content, "task", said.cause)
    if turn.received is None:
        sender, cause = caller(scope)
        if sender != recipient:
            turn.received = say(scope, sender, recipient, content, "task", cause)


def caller(scope: Open) -> tuple[str, str | None]:
    """Who called the crew, flow or agent that this scope is part of, and on which message.

    That may be an agent of another framework, which an agent of ours has called.
    """
    room = scope.nearest(*_ROOMS) or scope
    inside = room.parent.nearest_agent() if room.parent else None
    name = otel_context.get_value(semconv.CONTEXT_AGENT, room.previous)
    ours = {around.agent for around in room.enclosing() if around is not room}
    if isinstance(name, str) and name not in ours:
        return name, None
    if inside is not None and inside.agent:
        return inside.agent, inside.received
    return (name, None) if isinstance(name, str) else (USER, None)


def agent_ends(turn: Open, output: Any) -> None:
    """An agent's turn ends: answer who delegated to it, or remember what it gave out."""
    said = Said(None, turn.agent or "", str(output), turn.received)
    boss = turn.facts.get("asked_by")
    if isinstance(boss, Open) and turn.parent is not None:
        type_: MessageType = "answer" if turn.facts.get("asked") else "result"
        boss.received = say(
            turn.parent, said.agent, boss.agent or USER, said.content, type_, turn.received
        )
        return
    judged = turn.facts.get("judges")
    if isinstance(judged, Open):
        gave: Said = judged.facts["gave"]
        judged.facts["received"] = say(
            turn, said.agent, gave.agent, said.content, "answer", said.cause
        )
        judged.facts["gave"] = gave._replace(cause=judged.facts["received"])
        return
    task = turn.parent.nearest("task_started") if turn.parent else None
    if task is not None:
        task.facts["gave"] = said
    else:
        _gives_back(turn, said)


def task_ends(task: Open, output: Any) -> None:
    """A task ends: later tasks of the crew may start from its output."""
    gave: Said | None = task.facts.get("gave")
    crew = task.nearest("crew_kickoff_started")
    if gave is None:
        return
    raw = str(getattr(output, "raw", output) or gave.content)
    said = Said(task.facts.get("task"), gave.agent, raw, gave.cause)
    plans = getattr(getattr(output, "pydantic", None), "list_of_plans_per_task", None)
    if crew is not None and plans:  # the crew's planner, whose plans become part of the tasks
        crew.facts["plans"] = [said._replace(content=plan.plan) for plan in plans if plan.plan]
    elif crew is not None:
        crew.facts.setdefault("said", []).append(said)
    else:
        _gives_back(task, said)


def crew_ends(crew: Open, output: Any) -> None:
    """A crew ends: its last agent gives its result to the caller."""
    said: list[Said] = crew.facts.get("said", [])
    if said:
        raw = str(getattr(output, "raw", None) or said[-1].content)
        _gives_back(crew, Said(None, said[-1].agent, raw, said[-1].cause))


def flow_ends(flow: Open, output: Any) -> None:
    """A flow ends: an agent that ran in it gives its result to the caller.

    It is whose words stand last in the result, or who ran last: of crews that run at once, which
    one ends last is chance.
    """
    said: list[Said] = flow.facts.get("said", [])
    if said:
        content = str(said[-1].content if output is None else getattr(output, "raw", output))
        ended = max(reversed(said), key=lambda one: _stands_at(one.content, content))
        _gives_back(flow, Said(None, ended.agent, content, ended.cause))


def _stands_at(words: str, text: str) -> int:
    """Where some words end in a text at last, -1 where they are not in it."""
    found = text.rfind(words) if words else -1
    return found + len(words) if found >= 0 else -1


def _gives_back(scope: Open, said: Said) -> None:
    """Give a result to the caller, or leave it to the flow around, which gives its own."""
    around = scope.parent.nearest(*_ROOMS, "tool_usage_started") if scope.parent else None
    recipient, _ = caller(scope)
    if around is not None and around.type == "flow_started" and recipient == caller(around)[0]:
        around.facts.setdefault("said", []).append(said)
        return
    if recipient == said.agent:
        return
    message_id = say(scope, said.agent, recipient, said.content, "result", said.cause)
    inside = scope.parent.nearest_agent() if scope.parent else None
    if inside is not None and inside.agent == recipient:
        inside.received = message_id


def person_asked(scope: Open, question: object) -> None:
    """An agent, or a flow, asks a person."""
    turn = scope.nearest_agent()
    who = turn.agent if turn and turn.agent else scope.facts.get("name", "flow")
    asked = say(scope, str(who), USER, question, "question", turn.received if turn else None)
    scope.facts["asked_person"] = (str(who), asked)


def person_answered(scope: Open, answer: object) -> None:
    """A person answers what was asked last in this scope."""
    who, asked = scope.facts.pop("asked_person", (scope.facts.get("name", "flow"), None))
    answered = say(scope, USER, who, answer, "answer", asked)
    turn = scope.nearest_agent()
    if turn is not None:
        turn.received = answered


def remote(scope: Open, event: Any) -> None:
    """A message goes to, or comes from, an agent reached over A2A."""
    turn = scope.nearest_agent()
    role = text(event.agent_role) or (turn.agent if turn else None) or USER
    if event.type == "a2a_message_sent":
        cause = turn.received if turn else None
        scope.facts["sent"] = say(scope, role, remote_agent(event), event.message, "task", cause)
    else:
        sender = remote_agent(event)
        got = say(scope, sender, role, event.response, "result", scope.facts.get("sent"))
        if turn is not None:
            turn.received = got
