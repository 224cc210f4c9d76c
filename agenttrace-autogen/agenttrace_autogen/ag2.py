"""Read what ag2 records of itself: the classic `ConversableAgent` line and the one since 1.0.

Both write GenAI spans to the same scope, with what a span is in `ag2.span.type`. Who says something
to whom is in no attribute: it shows in who replies within which conversation, in what order.

- Classic (up to 0.14): `conversation` (one chat; the agent named is the one who began it),
  `multi_conversation`, `agent` (one reply, with what was heard and said), `speaker_selection`.
- Since 1.0: `agent` (a turn, without content; its model calls have that), `human_input`, `usage`
  (spending, again), and between agents in a network `envelope` spans with ids of agents.
"""

from collections.abc import Iterable, Iterator, Mapping
from hashlib import sha256

import msgspec

from agenttrace import chat, genai, semconv
from agenttrace.chat import as_text
from agenttrace.models import USER, Kind, Message, MessageType, RawSpan, Span, Trace
from agenttrace_autogen.addressing import GroupChat, Said, Telling

SCOPE = "opentelemetry.instrumentation.ag2"
FRAMEWORK = "ag2"

_TYPE = "ag2.span.type"
_KINDS: dict[str, Kind] = {
    "conversation": "workflow",
    "multi_conversation": "workflow",
    "agent": "agent",
    "llm": "llm",
    "tool": "tool",
    "code_execution": "tool",
    "handoff": "handoff",
    "channel": "workflow",
}
# Agents that ag2 makes up to run a chat: they say nothing of their own.
_PLUMBING = frozenset(
    ("chat_manager", "checking_agent", "speaker_selection_agent", "_Group_Tool_Executor")
)
_USERS = frozenset(("_User",))


def read(raw: RawSpan) -> Span:
    """Return the span as ag2 means it; usage on anything but a model call is a roll-up."""
    span = genai.read(raw)
    type_ = as_text(raw.attributes.get(_TYPE)) or ""
    kind = _KINDS.get(type_, "other") if type_ else span.kind
    name = as_text(raw.attributes.get(semconv.GEN_AI_AGENT_NAME))
    if name in _PLUMBING:
        return msgspec.structs.replace(
            span, framework=FRAMEWORK, kind="other" if kind == "agent" else kind, agent=None
        )
    tool, given, result = span.tool, span.input, span.output
    if type_ == "code_execution":
        tool, result = "code", as_text(raw.attributes.get("ag2.code_execution.output"))
    elif type_ == "conversation":
        given, result = _first(raw) or given, _last(raw) or result
    elif type_ == "human_input":
        given = as_text(raw.attributes.get("ag2.human_input.prompt"))
        result = as_text(raw.attributes.get("ag2.human_input.response"))
    return msgspec.structs.replace(
        span,
        framework=FRAMEWORK,
        kind=kind,
        agent=None if name in _USERS else name,
        tool=tool,
        input=given,
        output=result,
        # One chat of several in a run: its id would split the run into sessions.
        session=None,
    )


def messages(trace: Trace) -> Iterator[Message]:
    """Yield what ag2's agents said to each other and to people."""
    spans = [span for span in trace.spans if span.scope.name == SCOPE]
    names = _names(spans)
    for span in spans:
        type_ = span.attributes.get(_TYPE)
        if type_ == "conversation" and not _selects(trace, span):
            yield from _conversation(trace, span)
        elif type_ == "human_input":
            yield from _asked(span)
        elif type_ == "agent" and span.kind == "agent" and not _in_conversation(trace, span):
            yield from _turn(trace, span, names)


# --- the classic line ----------------------------------------------------------------------------


def _conversation(trace: Trace, span: Span) -> Iterator[Message]:
    starter = as_text(span.attributes.get(semconv.GEN_AI_AGENT_NAME)) or USER
    starter = USER if starter in _USERS else starter
    turns = list(_turns(trace, span))
    members = tuple(dict.fromkeys([starter, *(turn.agent or "" for turn in turns)]))
    in_group = any(_is_manager(child) for child in trace.children(span.span_id))
    hears = tuple(name for name in members if name != USER) if in_group else members
    group = GroupChat(starter, hears, caller=starter)
    task = Said(starter, (span.start_ns, span.span_id, span.input or ""), is_task=True)
    tellings = group.says(task)
    for turn in turns:
        name, reply = turn.agent or "", _said(turn)
        tellings += group.asks(name)
        if reply is not None:
            group.settle()
            tellings += group.says(Said(name, (turn.end_ns, turn.span_id, reply)))
    tellings += group.ends(answered=span.error is None)
    for telling in tellings:
        at, span_id, content = telling.said.about
        sender = telling.said.sender
        type_ = telling.type if in_group else _type(telling, starter)
        audience = telling.audience if in_group else ()
        yield _message(span_id, sender, telling.recipient, type_, content, at, audience)


def _type(telling: Telling, starter: str) -> MessageType:
    """In a chat of two, replies are results for who began it, and its replies further tasks."""
    if telling.type == "broadcast":
        return "task" if telling.said.sender == starter else "result"
    return telling.type


def _turns(trace: Trace, span: Span) -> Iterator[Span]:
    """The agents' turns in a conversation, through managers, not into inner conversations."""
    for child in trace.children(span.span_id):
        if child.kind == "agent" and child.agent:
            yield child
        elif child.attributes.get(_TYPE) not in ("conversation", "speaker_selection"):
            yield from _turns(trace, child)


def _is_manager(span: Span) -> bool:
    return span.attributes.get(_TYPE) == "agent" and span.kind != "agent"


def _selects(trace: Trace, span: Span) -> bool:
    """Whether this conversation is only a manager's finding out who speaks next."""
    return any(a.attributes.get(_TYPE) == "speaker_selection" for a in trace.ancestors(span))


def _in_conversation(trace: Trace, span: Span) -> bool:
    return any(a.attributes.get(_TYPE) == "conversation" for a in trace.ancestors(span))


def _first(raw: RawSpan) -> str | None:
    listed = chat.read(raw.attributes.get(semconv.GEN_AI_OUTPUT_MESSAGES))
    return listed[0]["content"] or None if listed else None


def _last(raw: RawSpan) -> str | None:
    listed = chat.read(raw.attributes.get(semconv.GEN_AI_OUTPUT_MESSAGES))
    return listed[-1]["content"] or None if len(listed) > 1 else None


# --- the line since 1.0 --------------------------------------------------------------------------


def _turn(trace: Trace, span: Span, names: Mapping[str, str]) -> Iterator[Message]:
    """Yield a turn's task and its result; the turn is another agent's doing or the user's."""
    name = span.agent or ""
    sender = _sender(trace, span, names)
    if sender == name:
        return
    tool = next((a for a in trace.ancestors(span) if a.kind in ("tool", "agent")), None)
    calls = [c for c in trace.children(span.span_id) if c.kind == "llm"]
    asked = [m for c in calls[:1] for m in chat.read(c.input) if m["role"] == "user"]
    given = asked[-1]["content"] if asked else (calls[0].input if calls else None)
    answer = _said(calls[-1]) if calls else None
    at_tool = tool is not None and tool.kind == "tool"
    if given is None and at_tool and tool is not None:
        given = tool.input
    if answer is None and at_tool and tool is not None:
        answer = tool.output
    during = span.parent_id if span.parent_id in trace.by_id else span.span_id
    if given:
        yield _message(during or "", sender, name, "task", given, span.start_ns)
    if answer and span.error is None:
        yield _message(span.span_id, name, sender, "result", answer, span.end_ns)


def _sender(trace: Trace, span: Span, names: Mapping[str, str]) -> str:
    for ancestor in trace.ancestors(span):
        if ancestor.attributes.get(_TYPE) == "envelope":
            sender_id = as_text(ancestor.attributes.get("ag2.network.sender_id")) or USER
            return names.get(sender_id, sender_id)
        if ancestor.kind == "agent" and ancestor.agent:
            return ancestor.agent
    return USER


def _names(spans: Iterable[Span]) -> dict[str, str]:
    """The names of the agents in a network by their ids."""
    lives = [s.attributes for s in spans if s.attributes.get(_TYPE) == "agent_lifetime"]
    pairs = [(as_text(a.get("ag2.agent.id")), as_text(a.get("gen_ai.agent.name"))) for a in lives]
    return {agent_id: name for agent_id, name in pairs if agent_id and name}


def _asked(span: Span) -> Iterator[Message]:
    name = span.agent
    if name and span.input:
        yield _message(span.span_id, name, USER, "question", span.input, span.start_ns)
    if name and span.output:
        yield _message(span.span_id, USER, name, "answer", span.output, span.end_ns)


def _said(span: Span) -> str | None:
    """What an agent or model answered: its text, else the calls it wants made."""
    listed = chat.read(span.attributes.get(semconv.GEN_AI_OUTPUT_MESSAGES))
    if not listed:
        return span.output
    texts = [message["content"] for message in listed if message["content"]]
    return "\n".join(texts) or chat.render(listed)


def _message(
    span_id: str,
    sender: str,
    recipient: str,
    type_: MessageType,
    content: str,
    at: int,
    audience: tuple[str, ...] = (),
) -> Message:
    key = f"{span_id}/{sender}/{recipient}/{type_}/{at}"
    return Message(
        message_id=sha256(key.encode("utf-8", "replace")).hexdigest()[:16],
        trace_id="",
        span_id=span_id,
        sender=sender,
        recipient=recipient,
        type=type_,
        content=content,
        sent_at=at,
        audience=audience,
    )
