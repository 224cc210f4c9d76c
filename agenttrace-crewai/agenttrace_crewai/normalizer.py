"""Read CrewAI runs that other instrumentations recorded, without importing CrewAI.

What each convention can tell (read off their dumps): all name agents by role.

- CrewAI's own tracing (scope `crewai`): model and tool calls; delegation as a tool call around an
  agent; task to task by the text of the prompt.
- OpenInference: task to task by `graph.node.parent_id`; tools; delegation as a tool in which the
  coworker has no span of its own. With its event listener, all that CrewAI's own tracing has.
- OpenLIT: model calls of their client; task to task by their order only.
- OpenLLMetry: no calls; delegation as an agent in an agent; task to task by their order only.
"""

import json
import re
from collections.abc import Iterable, Iterator
from hashlib import sha256
from typing import Any

import msgspec

from agenttrace import genai, semconv
from agenttrace.models import (
    USER,
    Kind,
    Message,
    MessageType,
    Normalizer,
    Provenance,
    RawSpan,
    Scope,
    Span,
    Trace,
)

FRAMEWORK = "crewai"
NATIVE = "crewai"
OPENINFERENCE = "openinference.instrumentation.crewai"
EVENT_LISTENER = f"{OPENINFERENCE}._event_listener"
OPENLLMETRY = "opentelemetry.instrumentation.crewai"
OPENLIT = "openlit.instrumentation.crewai"

_DELEGATES = {
    "delegate_work_to_coworker": "task",
    "delegate work to coworker": "task",
    "ask_question_to_coworker": "question",
    "ask question to coworker": "question",
}


def for_scope(scope: Scope) -> Normalizer | None:
    """Return the reader for spans of this scope, or None if it is not about CrewAI."""
    if scope.name == NATIVE or scope.name.startswith("crewai.telemetry"):
        return read_native
    if scope.name.startswith(OPENINFERENCE):
        return read_openinference
    if scope.name.startswith(OPENLLMETRY):
        return read_openllmetry
    if scope.name.startswith(OPENLIT):
        return read_openlit
    return None


def _with(span: Span, **meaning: Any) -> Span:
    return msgspec.structs.replace(span, framework=FRAMEWORK, **meaning)


def read_native(raw: RawSpan) -> Span:
    """Read a span of CrewAI's own `TraceSession`, where `gen_ai.agent.name` is but a hash."""
    span = genai.read(raw)
    operation = raw.attributes.get(semconv.GEN_AI_OPERATION_NAME)
    role = _text(raw.attributes.get("crewai.agent.role"))
    if operation == "invoke_agent":
        description = _text(raw.attributes.get(semconv.GEN_AI_AGENT_DESCRIPTION))
        return _with(span, kind="agent", agent=role or span.agent, agent_role=description)
    kind: Kind = "other" if operation == "execute_task" else span.kind
    # The conversation id is the task's: it would split a run into sessions.
    return _with(span, kind=kind, agent=role, session=None)


def read_openinference(raw: RawSpan) -> Span:
    """Read a span of OpenInference: a task run by an agent, the crew, or a flow."""
    span = genai.read(raw)
    if span.kind == "tool" and raw.scope.name == OPENINFERENCE and _asks(span):
        return _with(span, **_coworker(span))
    role = _text(raw.attributes.get("graph.node.id"))
    if raw.attributes.get("openinference.span.kind") == "AGENT" and role:
        facts = _json(raw.attributes.get("output.value"))
        given = facts.get("description") or raw.attributes.get("task_description")
        output = facts.get("raw")
        return _with(
            span,
            kind="agent",
            agent=role,
            input=given if isinstance(given, str) else span.input,
            output=output if isinstance(output, str) else span.output,
        )
    if raw.name.endswith(".kickoff"):
        output = _json(raw.attributes.get("output.value")).get("raw")
        return _with(
            span,
            kind="workflow",
            agent=None,
            output=output if isinstance(output, str) else span.output,
        )
    return _with(span)


def _coworker(span: Span) -> dict[str, Any]:
    """What a call by which an agent asks another says of the other, whose run is not recorded."""
    arguments = _json(span.input)
    asked = (_text(arguments.get("coworker")) or "").strip("'\"").casefold()
    if not asked:
        return {}
    described = str(span.attributes.get("tool.description"))
    roles = described.rpartition("coworkers: ")[2].partition("\n")[0]
    named = re.search(rf"(?<!\w){re.escape(asked)}(?!\w)", roles, re.IGNORECASE)
    role = named[0] if named else _text(arguments["coworker"])
    return {"kind": "agent", "agent": role, "input": _asked(span) or span.input}


def read_openllmetry(raw: RawSpan) -> Span:
    """Read a span of OpenLLMetry, which calls everything `invoke_agent`."""
    span = genai.read(raw)
    kind = raw.attributes.get("traceloop.span.kind")
    if raw.name == "crewai.workflow":
        output = _text(raw.attributes.get("crewai.crew.result"))
        return _with(span, kind="workflow", agent=None, output=output or span.output)
    if kind == "task" or raw.name.endswith(".task"):
        given = _text(raw.attributes.get("crewai.task.description"))
        return _with(span, kind="other", agent=None, input=given or span.input)
    if kind == "agent" or raw.name.endswith(".agent"):
        role = _text(raw.attributes.get("crewai.agent.role")) or span.agent
        goal = _text(raw.attributes.get("crewai.agent.goal"))
        return _with(span, kind="agent", agent=role, agent_role=goal)
    return _with(span)


def read_openlit(raw: RawSpan) -> Span:
    """Read a span of OpenLIT, which calls the methods of flows `invoke_agent` too."""
    span = genai.read(raw)
    method = span.kind == "agent" and semconv.GEN_AI_AGENT_NAME not in raw.attributes
    # CrewAI runs each agent as a flow of its own.
    inside = raw.attributes.get(semconv.GEN_AI_WORKFLOW_NAME) == "AgentExecutor"
    return _with(span, kind="other", agent=None) if method or inside else _with(span)


class _Turn(msgspec.Struct):
    """An agent at work on a task of its own: in order, what a crew's conversation is made of."""

    span: Span
    agent: str
    given: str
    output: str
    prompt: str
    follows: str | None
    exact: bool


def messages(trace: Trace) -> Iterable[Message]:
    """Tell the messages of CrewAI runs that others recorded; nothing for our own capture."""
    ours = {NATIVE, OPENINFERENCE, OPENLLMETRY, OPENLIT}
    spans = [s for s in trace.spans if s.framework == FRAMEWORK and _convention(s) in ours]
    crews: dict[str, list[_Turn]] = {}
    for span in spans:
        if span.kind != "agent" or not span.agent:
            continue
        asked = next((a for a in trace.ancestors(span) if a.kind in ("agent", "tool")), None)
        if asked is not None and _asks(span):
            yield from _delegation(trace, span, span, trace.agent_of(asked))
        elif asked is None:
            crew = next((a for a in trace.ancestors(span) if a.kind == "workflow"), None)
            crews.setdefault(crew.span_id if crew else "", []).append(_turn(trace, span))
        else:
            yield from _delegation(trace, asked, span, trace.agent_of(asked))
    for crew_id, turns in crews.items():
        yield from _crew(trace, trace.by_id.get(crew_id), turns)
    yield from _flows(trace, crews)


def _convention(span: Span) -> str:
    known = (OPENINFERENCE, OPENLLMETRY, OPENLIT)
    return next((one for one in known if span.scope.name.startswith(one)), span.scope.name)


def _turn(trace: Trace, span: Span) -> _Turn:
    task = trace.parent(span)
    of_task = task if task is not None and task.kind == "other" else span
    output = of_task.attributes.get("crewai.task.output") or of_task.output or span.output or ""
    given = of_task.attributes.get("crewai.task.description") or of_task.input or span.input or ""
    follows = _text(span.attributes.get("graph.node.parent_id"))
    return _Turn(
        span=span,
        agent=span.agent or "",
        given=str(given),
        output=str(output),
        prompt=str(span.attributes.get("input.value") or span.input or ""),
        follows=follows,
        exact=span.scope.name in (NATIVE, EVENT_LISTENER),
    )


def _crew(trace: Trace, crew: Span | None, turns: list[_Turn]) -> Iterator[Message]:
    """Yield the user's tasks, what flows from task to task, and the crew's result."""
    for index, turn in enumerate(turns):
        sources = list(_sources(turns[:index], turn))
        for source in sources:
            exact = turn.exact or source.agent == turn.follows
            yield _message(trace, turn.span, source.agent, turn.agent, "task", source.output, exact)
        if not sources and not (index and turn.agent == turns[index - 1].agent):
            yield _message(trace, turn.span, USER, turn.agent, "task", turn.given, True)
    if turns and crew is not None and trace.parent(crew) is None:
        last = turns[-1]
        content = crew.output or last.output
        yield _message(trace, crew, last.agent, USER, "result", content, True, crew.end_ns)


def _sources(earlier: list[_Turn], turn: _Turn) -> Iterator[_Turn]:
    """The turns whose output this turn started from."""
    for source in earlier:
        if source.agent == turn.agent:
            continue
        if turn.exact:
            if source.output and source.output in turn.prompt:
                yield source
        elif turn.follows is not None:
            if source.agent == turn.follows and source is earlier[-1]:
                yield source
        elif source is earlier[-1]:
            yield source


def _flows(trace: Trace, crews: dict[str, list[_Turn]]) -> Iterator[Message]:
    """Yield the result of each flow: what the last of its crews ended with."""
    last: dict[str, tuple[Span, _Turn]] = {}
    for crew_id, turns in crews.items():
        crew = trace.by_id.get(crew_id)
        above = [a for a in trace.ancestors(crew) if a.kind == "workflow"] if crew else []
        if not above or crew is None or above[-1].parent_id is not None:
            continue
        root = above[-1]
        if root.span_id not in last or last[root.span_id][0].end_ns < crew.end_ns:
            last[root.span_id] = (crew, turns[-1])
    for root_id, (_, turn) in last.items():
        root = trace.by_id[root_id]
        content = root.output or turn.output
        yield _message(trace, root, turn.agent, USER, "result", content, True, root.end_ns)


def _asks(span: Span) -> str | None:
    """Whether a call, or what was made of it, is one by which an agent asks another: how."""
    return _DELEGATES.get(str(span.tool or "").casefold())


def _asked(call: Span) -> str:
    arguments = _json(call.attributes.get(semconv.GEN_AI_TOOL_CALL_ARGUMENTS)) or _json(
        call.attributes.get("input.value")
    )
    parts = (arguments.get("question") or arguments.get("task"), arguments.get("context"))
    return "\n\n".join(str(part) for part in parts if part)


def _delegation(trace: Trace, asked: Span, span: Span, boss: str | None) -> Iterator[Message]:
    """Yield what an agent asked a coworker, and what came back."""
    if boss is None or boss == span.agent or span.agent is None:
        return
    kind = _asks(asked)
    exact = kind is not None
    question = kind == "question"
    content = (_asked(asked) if exact else "") or span.input or ""
    yield _message(
        trace,
        asked,
        boss,
        span.agent,
        "question" if question else "task",
        content,
        exact,
        span.start_ns,
    )
    yield _message(
        trace,
        span,
        span.agent,
        boss,
        "answer" if question else "result",
        span.output or asked.output or "",
        exact,
        span.end_ns,
    )


def _message(
    trace: Trace,
    span: Span,
    sender: str,
    recipient: str,
    type_: MessageType,
    content: str,
    observed: bool,
    sent_at: int | None = None,
) -> Message:
    digest = sha256(content.encode("utf-8", "replace")).hexdigest()[:16]
    key = f"{trace.trace_id}/{span.span_id}/{sender}/{recipient}/{type_}/{digest}"
    provenance: Provenance = "observed" if observed else "inferred"
    return Message(
        message_id=sha256(key.encode("utf-8", "replace")).hexdigest()[:32],
        trace_id=trace.trace_id,
        span_id=span.span_id,
        sender=sender,
        recipient=recipient,
        type=type_,
        content=content,
        content_hash=digest,
        sent_at=span.start_ns if sent_at is None else sent_at,
        provenance=provenance,
        confidence=1.0 if observed else 0.7,
    )


def _text(value: object) -> str | None:
    return " ".join(value.split()) or None if isinstance(value, str) else None


def _json(value: object) -> dict[str, Any]:
    """The value as a dict: parsed where it is JSON text, empty where it is neither."""
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except ValueError:
            return {}
    return value if isinstance(value, dict) else {}
