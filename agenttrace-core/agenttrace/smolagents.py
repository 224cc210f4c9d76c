"""Read what smolagents says only in its prompts: who an agent is, and who gave it what to do.

A smolagents run recorded through its model's client is nothing but model calls. But a managed
agent's task begins with its name, a manager's prompt lists its team, and whoever is done calls
`final_answer`.
"""

import ast
import re
from collections.abc import Iterator

import msgspec

from agenttrace import chat
from agenttrace.hookspecs import hookimpl
from agenttrace.models import USER, Message, Span, Trace

MANAGER = "manager"
"""What smolagents itself calls, towards the agents it manages, the agent that manages them."""

_NAMED = re.compile(r"You're a helpful agent named '([^'\n]{1,80})'")
_TEAM = "You can also give tasks to team members."
_MANAGED_TASK = re.compile(r"submitted this task by your manager\.\n---\nTask:\n(.*?)\n---", re.S)
_PLANNED_TASK = re.compile(r"Here is your task:\n+```\n(.*?)\n```", re.S)
_NEW_TASK = "New task:\n"
_CLASSES = frozenset(("MultiStepAgent", "ToolCallingAgent", "CodeAgent"))
_STREAMED = re.compile(r"FinalAnswerStep\(output=('.*'|\".*\")\)$", re.S)


def named(span: Span) -> Span:
    """Return the span with the agent its prompt tells, if it is of smolagents and tells one."""
    if "smolagents" in span.scope.name:
        # Whose its model calls are, the runs around them say.
        return _run(span) if span.kind == "agent" and span.input is not None else span
    if span.agent is not None or span.input is None:
        return span
    agent = _agent(span.input)
    if agent is None:
        return span
    return msgspec.structs.replace(span, agent=agent, framework=span.framework or "smolagents")


def _run(span: Span) -> Span:
    """The run with its own name, and with what was said in place of the call that said it."""
    agent = _agent(span.input or "") or span.agent
    if agent in _CLASSES:  # a manager that has no name of its own
        manages = any(key.startswith("smolagents.managed_agents.") for key in span.attributes)
        agent = MANAGER if manages else agent
    given = chat.parse(span.input)
    task = given.get("task") if isinstance(given, dict) else None
    said = span.input if task is None else chat.as_text(task) or ""
    found = _MANAGED_TASK.search(said or "")
    return msgspec.structs.replace(
        span,
        agent=agent,
        input=str(found[1]).strip() if found else said,
        output=_final(span.output or "") or span.output,
    )


def _final(streamed: str) -> str | None:
    """The answer at the end of what a run gave bit by bit."""
    found = _STREAMED.search(streamed)
    try:
        return str(ast.literal_eval(found[1])) if found else None
    except (ValueError, SyntaxError):
        return None


def _agent(given: str) -> str | None:
    if not _NAMED.search(given) and _TEAM not in given:
        return None
    said = _said(given)
    # Later messages may quote another agent's prompt; the task given first is the agent's own.
    task = next((m["content"] for m in said if m["role"] == "user"), "")
    if found := _NAMED.search(task):
        return found[1]
    return MANAGER if any(_TEAM in m["content"] for m in said[:1]) else None


def _said(given: str) -> list[chat.ChatMessage]:
    return chat.read(given) or [{"role": "user", "content": given}]


@hookimpl
def agenttrace_messages(trace: Trace) -> Iterator[Message]:
    """Tell what agents of smolagents said to each other, in a run of nothing but model calls."""
    calls = [span for span in trace.spans if span.kind == "llm" and span.agent is not None]
    if any(span.kind == "agent" for span in trace.spans):
        return
    tasks: dict[tuple[str, str], list[Span]] = {}
    for call in calls:
        if call.agent and call.input and (task := _task(call.input)):
            tasks.setdefault((call.agent, task), []).append(call)
    agents = {agent for agent, _ in tasks}
    for (agent, task), own in tasks.items():
        above = USER if agent == MANAGER or MANAGER not in agents else MANAGER
        first, last = own[0], max(own, key=lambda span: span.end_ns)
        yield _message(first, above, agent, task, first.start_ns)
        yield _message(last, agent, above, _answer(last.output or ""), last.end_ns)


def _task(given: str) -> str | None:
    for message in _said(given):
        text = message["content"]
        if message["role"] == "user" and (
            found := _MANAGED_TASK.search(text) or _PLANNED_TASK.search(text)
        ):
            return str(found[1]).strip()
        if message["role"] == "user" and text.startswith(_NEW_TASK):
            return str(text).removeprefix(_NEW_TASK).strip()
    return None


def _answer(output: str) -> str:
    """What was given to `final_answer`, else all that was said."""
    for message in chat.read(output):
        for call in message.get("tool_calls", ()):
            arguments = call["arguments"]
            if call["name"] == "final_answer" and isinstance(arguments, dict):
                return chat.as_text(arguments.get("answer")) or ""
    return output


def _message(span: Span, sender: str, recipient: str, content: str, at: int) -> Message:
    return Message(
        message_id="",
        trace_id=span.trace_id,
        span_id=span.span_id,
        sender=sender,
        recipient=recipient,
        type="result" if at == span.end_ns else "task",
        content=content,
        sent_at=at,
        provenance="inferred",
        confidence=0.9,
    )
