"""Tell who said what to whom in group chats that AutoGen itself or OpenInference recorded.

A recording is first turned into the same few events that capture sees (someone says something, the
manager asks someone to speak, the run ends), in order of time; the rules of `addressing` do the
rest. A fragment of a run tells what it can.
"""

import ast
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any

import msgspec

from agenttrace.chat import as_text, parse
from agenttrace.models import USER, Message, RawSpan, Span, Trace
from agenttrace_autogen.addressing import GroupChat, Said, Telling
from agenttrace_autogen.names import bare

Json = dict[str, Any]


class Chat(msgspec.Struct):
    """What a recording tells about one run of one team; times are Unix nanoseconds.

    `started` and `said` are (time, chat message, span id), `asked` (time, name); `ended` is None
    where the recording does not show the end.
    """

    team_id: str
    participants: dict[str, None] = {}
    manager: str | None = None
    manager_speaks: bool = False
    caller: str = USER
    started: list[tuple[int, Json, str]] = []
    said: list[tuple[int, str, Json, str]] = []
    asked: list[tuple[int, str]] = []
    manager_turns: list[int] = []
    ended: int | None = None
    failed: bool = False


def messages(trace: Trace) -> Iterator[Message]:
    """Yield the messages of every group chat in the trace."""
    chats = from_runtime(trace)
    for team_id, chat in from_openinference(trace).items():
        known = chats.get(team_id)
        if known is None or not (known.said or known.started):
            chats[team_id] = chat
    for chat in chats.values():
        yield from _tellings(trace.trace_id, chat)


def _tellings(trace_id: str, chat: Chat) -> Iterator[Message]:
    manager = chat.manager if chat.manager_speaks else None
    group = GroupChat(chat.manager or "team", tuple(chat.participants), manager, caller=chat.caller)

    def tell(tellings: Iterable[Telling]) -> Iterator[Message]:
        for telling in tellings:
            yield _message(trace_id, chat.team_id, telling)

    def says(at: int, sender: str, message: Json, span_id: str, is_task: bool) -> list[Telling]:
        target = as_text(message.get("target"))
        return group.says(Said(sender, (at, message, span_id), target, is_task))

    def speaks(at: int, sender: str, message: Json, span_id: str) -> list[Telling]:
        group.settle()
        return says(at, sender, message, span_id, False)

    def asks(name: str) -> list[Telling]:
        tellings = group.asks(name)
        asked.append(name)
        return tellings

    asked: list[str] = []
    events: list[tuple[int, int, Callable[[], list[Telling]]]] = []
    for at, message, span_id in chat.started:
        sender = chat.caller if chat.caller != USER else as_text(message.get("source")) or USER
        events.append((at, 0, _later(says, at, sender, message, span_id, True)))
    for at, name, message, span_id in chat.said:
        events.append((at, 1, _later(speaks, at, name, message, span_id)))
    if manager:
        events += [(at, 2, _later(asks, manager)) for at in chat.manager_turns]
    events += [(at, 3, _later(asks, name)) for at, name in chat.asked]
    if chat.ended is not None:
        events.append((chat.ended, 4, _later(group.ends, not chat.failed)))
    for _, _, happens in sorted(events, key=lambda event: event[:2]):
        yield from tell(happens())


def _later(act: Callable[..., list[Telling]], *args: Any) -> Callable[[], list[Telling]]:
    return lambda: act(*args)


def _message(trace_id: str, team_id: str, telling: Telling) -> Message:
    at, said, span_id = telling.said.about
    sender, recipient = telling.said.sender, telling.recipient
    # The same for a fragment and for the whole run, so that joining fragments changes no id.
    key = f"{team_id}/{said.get('id')}/{sender}/{recipient}/{telling.type}"
    return Message(
        message_id=sha256(key.encode("utf-8", "replace")).hexdigest()[:16],
        trace_id=trace_id,
        span_id=span_id,
        sender=sender,
        recipient=recipient,
        type=telling.type,
        content=as_text(said.get("content")) or "",
        sent_at=at,
        audience=telling.audience,
        tokens=_tokens(said),
    )


def _tokens(said: Json) -> int | None:
    spent = [said.get("models_usage"), *said.get("_inner_usage", ())]
    counts = [
        count
        for usage in spent
        if isinstance(usage, dict)
        for count in (usage.get("prompt_tokens"), usage.get("completion_tokens"))
        if isinstance(count, int)
    ]
    return sum(counts) if counts else None


# --- AutoGen's own runtime spans -----------------------------------------------------------------


def from_runtime(trace: Trace) -> dict[str, Chat]:
    """Return, by team id, what the runtime's spans of a trace tell."""
    chats: dict[str, Chat] = {}
    heard: set[str] = set()
    for span in trace.spans:
        if not span.scope.name.startswith("autogen ") or span.session is None:
            continue
        chat = chats.setdefault(span.session, Chat(span.session))
        kind = span.attributes.get("messaging.message.type")
        if kind == "GroupChatRequestPublish":
            name = str(span.attributes.get("messaging.destination")).partition(".(")[0]
            chat.asked.append((span.start_ns, bare(name)))
        elif kind == "GroupChatTermination":
            chat.ended = span.start_ns
        elif span.name.startswith("autogen process "):
            _handled(trace, span, chat, heard)
    return chats


def _handled(trace: Trace, span: Span, chat: Chat, heard: set[str]) -> None:
    attributes = span.attributes
    recipient = bare(attributes.get("recipient_agent_type"))
    is_member = attributes.get("recipient_agent_class") == "ChatAgentContainer"
    content = parse(attributes.get("message"))
    if not isinstance(content, dict):
        return
    if is_member:
        chat.participants.setdefault(recipient)
    else:
        chat.manager = recipient
    if not content.keys() & {"messages", "response", "result", "error"}:
        return
    if not is_member and "error" not in content:
        chat.manager_turns.append(span.start_ns)
    first = not is_member or "messages" not in content or chat.manager is None
    envelope = f"{'start' if 'messages' in content else _envelope(span)}/{chat.team_id}"
    if envelope in heard or not first:
        return
    heard.add(envelope)
    span_id = _sent_during(trace, span)
    if "error" in content:
        chat.failed = True
    elif "messages" in content:
        chat.caller = _caller(trace, span)
        for message in _dicts(content["messages"]):
            chat.started.append((span.start_ns, message, span_id))
    else:
        name, said = str(content.get("name")), _chat_message(content)
        if said is not None:
            chat.manager_speaks |= name == chat.manager or _is_manager(span, name)
            chat.said.append((span.start_ns, name, said, span_id))


def _is_manager(span: Span, name: str) -> bool:
    sender = as_text(span.attributes.get("sender_agent_type"))
    cls = span.attributes.get("sender_agent_class")
    return sender is not None and bare(sender) == name and cls != "ChatAgentContainer"


def _envelope(span: Span) -> str:
    context = parse(span.attributes.get("message_context"))
    return str(context.get("message_id")) if isinstance(context, dict) else span.span_id


def _chat_message(content: Json) -> Json | None:
    """The chat message of an agent's response, or the last one of a team's."""
    response, result = content.get("response"), content.get("result")
    if isinstance(response, dict) and isinstance(response.get("chat_message"), dict):
        usage = [m.get("models_usage") for m in _dicts(response.get("inner_messages"))]
        return {**response["chat_message"], "_inner_usage": usage}
    if isinstance(result, dict):
        chat = [m for m in _dicts(result.get("messages")) if is_chat(m)]
        return chat[-1] if chat else None
    return None


def _sent_during(trace: Trace, span: Span) -> str:
    """The span in which a handled message was sent, if it is in this trace: links lead there."""
    for link in span.links:
        created = trace.by_id.get(link.span_id)
        sender = trace.parent(created) if created else None
        if sender is not None:
            return sender.span_id
    return span.span_id


def _caller(trace: Trace, span: Span) -> str:
    """Who started a team: the member of another one in whose turn this happens, else the user."""
    for ancestor in trace.ancestors(span):
        if ancestor.session == span.session:
            continue
        if ancestor.agent:
            return ancestor.agent
        if ancestor.attributes.get("recipient_agent_class") == "ChatAgentContainer":
            return bare(ancestor.attributes.get("recipient_agent_type"))
    return USER


# --- OpenInference -------------------------------------------------------------------------------


def from_openinference(trace: Trace) -> dict[str, Chat]:
    """Return, by team id, what OpenInference's spans of a trace tell."""
    chats: dict[str, Chat] = {}
    turns: dict[str, list[Span]] = {}
    runs: dict[str, Span] = {}
    for span in trace.spans:
        if not span.scope.name.startswith("openinference.instrumentation.autogen"):
            continue
        if span.kind == "workflow" and span.session:
            runs[span.session] = span
            chats[span.session] = Chat(span.session, participants=_participants(span))
        elif span.kind == "agent" and span.agent:
            run = next((a for a in trace.ancestors(span) if a.kind == "workflow"), None)
            if run is not None and run.session:
                turns.setdefault(run.session, []).append(span)
    for team_id, chat in chats.items():
        _fill(trace, chat, runs[team_id], turns.get(team_id, []))
    return chats


def _participants(run: Span) -> dict[str, None]:
    names = run.attributes.get("participant_names")
    return dict.fromkeys(str(name) for name in names) if isinstance(names, (list, tuple)) else {}


def _fill(trace: Trace, chat: Chat, run: Span, turns: Sequence[Span]) -> None:
    chat.caller = next((a.agent for a in trace.ancestors(run) if a.agent), None) or USER
    chat.manager = run.name.removesuffix(".run_stream")
    result = parse(run.attributes.get("output.value"))
    has_result = isinstance(result, dict) and "messages" in result
    listed = _dicts(result["messages"]) if has_result else []
    said = {str(m.get("id")): m for m in listed if is_chat(m)}
    for turn in turns:
        for message in _in_reprs(turn):
            said.setdefault(str(message["id"]), message)
    first_at = turns[0].start_ns if turns else run.end_ns
    for message in sorted(said.values(), key=lambda m: _created_ns(m) or 0):
        at = _created_ns(message) or run.start_ns
        source = as_text(message.get("source")) or USER
        if source not in chat.participants and at <= first_at:
            chat.started.append((at, message, run.span_id))
            continue
        own = [t for t in turns if t.agent == source and t.start_ns <= at]
        message = {**message, "_inner_usage": _usage_between(listed, message)}
        chat.manager_speaks |= source not in chat.participants
        chat.said.append((at, source, message, own[-1].span_id if own else run.span_id))
        if chat.manager_speaks and source not in chat.participants:
            chat.manager = source
    chat.asked = [(turn.start_ns, turn.agent or "") for turn in turns]
    if has_result or run.status == "error":
        chat.ended, chat.failed = run.end_ns, not has_result


def _usage_between(listed: Iterable[Json], message: Json) -> list[Any]:
    """The usage of the events that led to a message, which stand before it in the result."""
    found: list[Any] = []
    for each in listed:
        if each.get("id") == message.get("id"):
            return found
        if is_chat(each):
            found = []
        elif each.get("source") == message.get("source"):
            found.append(each.get("models_usage"))
    return []


def is_chat(message: Any) -> bool:
    """Whether this is something said, not an event on the way to it."""
    return isinstance(message, dict) and not str(message.get("type")).endswith("Event")


def _dicts(value: object) -> list[Json]:
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []


_REPR = re.compile(
    r"id='(?P<id>[^']+)' source=(?P<source>'[^']*'|\"[^\"]*\") .*?"
    r"created_at=datetime\.datetime\((?P<at>[\d, ]+).*?"
    r" content=(?P<content>'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\")"
    r"(?: target='(?P<target>[^']*)')?.*? type='(?P<type>\w+)'",
    re.DOTALL,
)


def _in_reprs(turn: RawSpan) -> Iterator[Json]:
    """The chat messages an agent was given: OpenInference writes their Python reprs."""
    given = parse(turn.attributes.get("input.value"))
    listed = given.get("messages") if isinstance(given, dict) else None
    for text in listed if isinstance(listed, list) else ():
        found = _REPR.match(text) if isinstance(text, str) else None
        if found is None:
            continue
        try:
            yield {
                "id": found["id"],
                "source": ast.literal_eval(found["source"]),
                "content": ast.literal_eval(found["content"]),
                "target": found["target"],
                "type": found["type"],
                "models_usage": _usage(text),
                "created_at": _clock(found["at"]),
            }
        except (ValueError, SyntaxError, TypeError):
            continue


_USAGE = re.compile(r"models_usage=RequestUsage\(prompt_tokens=(\d+), completion_tokens=(\d+)\)")


def _usage(text: str) -> Json | None:
    found = _USAGE.search(text)
    return {"prompt_tokens": int(found[1]), "completion_tokens": int(found[2])} if found else None


def _clock(arguments: str) -> str:
    """The time in the arguments of a datetime's repr, which leaves out what is zero at the end."""
    numbers = [int(number) for number in arguments.split(",") if number.strip()]
    year, month, day, hour, minute, second, micro = (numbers + [0] * 7)[:7]
    return datetime(year, month, day, hour, minute, second, micro, UTC).isoformat()


def _created_ns(message: Json) -> int | None:
    try:
        created = datetime.fromisoformat(str(message.get("created_at")))
    except ValueError:
        return None
    if created.tzinfo is None:
        created = created.replace(tzinfo=UTC)
    seconds, micros = divmod(round(created.timestamp() * 1_000_000), 1_000_000)
    return seconds * 1_000_000_000 + micros * 1000


def task_of(raw: RawSpan) -> str | None:
    """The task in the arguments of a team's run."""
    given = parse(raw.attributes.get("input.value"))
    return as_text(given.get("task")) if isinstance(given, dict) else None


def answer_of(raw: RawSpan) -> str | None:
    """The last thing said in the result of a team's run."""
    result = parse(raw.attributes.get("output.value"))
    listed = _dicts(result.get("messages")) if isinstance(result, dict) else []
    chat = [message for message in listed if is_chat(message)]
    return as_text(chat[-1].get("content")) if chat else None


def heard_by(raw: RawSpan) -> str | None:
    """What an agent was given, each message with its author."""
    heard = list(_in_reprs(raw))
    if len(heard) == 1:
        return as_text(heard[0]["content"])
    return "\n".join(f"{m['source']}: {m['content']}" for m in heard) or None
