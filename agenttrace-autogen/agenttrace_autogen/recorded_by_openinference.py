"""What OpenInference's spans tell: who spoke when, and in their texts what was said.

What an agent was given is there as Python reprs, what a run came to as JSON. A stream left early
has no result, and with it goes the last message. Members that are no `AssistantAgent` have but the
span that AutoGen itself writes for their turn.
"""

import ast
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any

import msgspec

from agenttrace.chat import as_text, parse
from agenttrace.models import USER, Message, MessageType, RawSpan, Span, Trace
from agenttrace.nesting import is_agent, nearest
from agenttrace_autogen.recorded_chats import Asked, Begun, Chat, Json, Spoken, dicts, is_chat

SCOPE = "openinference.instrumentation.autogen"

# Managers that take part in their team's talk, by the team's class.
_ORCHESTRATORS = {"MagenticOneGroupChat": "MagenticOneOrchestrator"}
_ORCHESTRATING = frozenset(_ORCHESTRATORS.values())


def chats(trace: Trace) -> dict[str, Chat]:
    """Return, by team id, what the spans of a trace tell."""
    runs = [s for s in trace.spans if _is_run(s)]
    if not runs:
        return {}
    run_of = nearest(trace, _is_run)
    turns: dict[str, list[Turn]] = {}
    for turn in _turns(trace, run_of):
        turns.setdefault(turn.run.span_id, []).append(turn)
    found: dict[str, Chat] = {}
    callers: dict[str, str] = {}
    for run in runs:
        inner = [r for r in runs if run_of[r.span_id] is run]
        chat = Chat(
            run.session or run.span_id,
            run.name.removesuffix(".run_stream"),
            _participants(run),
            caller=next((a.agent for a in trace.ancestors(run) if a.agent), None) or USER,
        )
        own = turns.get(run.span_id, [])
        team = _team_among(chat, own) if inner else None
        _fill(chat, run, own)
        if team is not None:
            callers.update({each.span_id: team for each in inner})
            _fill_team(chat, team, inner)
        found[run.span_id] = chat
    for span_id, caller in callers.items():
        if found[span_id].caller == USER:
            found[span_id].caller = caller
    return {chat.team_id: chat for chat in found.values()}


class Turn(msgspec.Struct):
    """A turn of a team's member: its span, and the chat messages it was given, if known."""

    run: Span
    span: Span
    heard: list[Json] | None = None


def _turns(trace: Trace, run_of: Mapping[str, Span | None]) -> Iterable[Turn]:
    agent_of = nearest(trace, is_agent)
    turns: dict[str, Turn] = {}
    for span in trace.spans:
        run = run_of[span.span_id]
        if run is None or not is_agent(span) or span.agent not in _participants(run):
            continue
        outer = agent_of[span.span_id]
        turn = turns.get(outer.span_id) if outer is not None else None
        if turn is not None and turn.span.agent == span.agent:
            pass  # AutoGen's own span of the turn lies around OpenInference's
        elif outer is None or run_of[outer.span_id] is not run:
            turn = turns[span.span_id] = Turn(run, span)
        else:
            continue  # called by another agent, not by the team
        if _is_openinference(span):
            turn.heard = list(_in_reprs(span))
    return turns.values()


def _team_among(chat: Chat, turns: Sequence[Turn]) -> str | None:
    """The member of a chat that is a team: the one that has no turns of an agent."""
    spoke = {turn.span.agent for turn in turns}
    silent = [name for name in chat.participants if name not in spoke]
    return silent[0] if len(silent) == 1 else None


def _fill_team(chat: Chat, team: str, inner: Sequence[Span]) -> None:
    """A member that is a team speaks when its own run ends."""
    for run in inner:
        chat.asked.append(Asked(run.start_ns, team))
        if answer := _answer(run):
            chat.spoken.append(Spoken(run.end_ns, team, answer, run.span_id))


def _is_run(span: Span) -> bool:
    return span.kind == "workflow" and span.scope.name.startswith(SCOPE)


def _holds(trace: Trace, outer: Span, run: Span) -> bool:
    return any(ancestor.span_id == outer.span_id for ancestor in trace.ancestors(run))


def _participants(run: Span) -> dict[str, None]:
    names = run.attributes.get("participant_names")
    return dict.fromkeys(str(name) for name in names) if isinstance(names, (list, tuple)) else {}


def _fill(chat: Chat, run: Span, turns: Sequence[Turn]) -> None:
    chat.manager = _ORCHESTRATORS.get(chat.name)
    result = parse(run.attributes.get("output.value"))
    has_result = isinstance(result, dict) and "messages" in result
    listed = dicts(result["messages"]) if has_result else []
    said = {str(m.get("id")): m for m in listed if is_chat(m)}
    for turn in turns:
        for message in turn.heard or ():
            said.setdefault(str(message["id"]), message)
        ids = None if turn.heard is None else frozenset(str(m["id"]) for m in turn.heard)
        chat.asked.append(Asked(turn.span.start_ns, turn.span.agent or "", ids))
    task = _task_ids(turns, said)
    for message in sorted(said.values(), key=lambda m: _created_ns(m) or 0):
        at = _created_ns(message) or run.start_ns
        source = as_text(message.get("source")) or USER
        if str(message.get("id")) in task:
            at = min(max(at, run.start_ns), _first(turns, run))
            chat.begun.append(Begun(at, message, run.span_id))
        elif source in chat.participants:
            own = [t.span for t in turns if t.span.agent == source and t.span.start_ns <= at]
            usage = _usage_before(listed, message)
            span_id = own[-1].span_id if own else run.span_id
            chat.spoken.append(Spoken(at, source, message, span_id, usage))
        elif source == chat.manager:
            chat.manager_speaks = True
            # It speaks having heard the answers: they were for it.
            chat.manager_turns.append(at - 1)
            chat.spoken.append(Spoken(at, source, message, run.span_id))
    if has_result or run.status == "error":
        chat.ended, chat.failed = run.end_ns, not has_result


def _first(turns: Sequence[Turn], run: Span) -> int:
    return min((turn.span.start_ns for turn in turns), default=run.end_ns) - 1


def _is_openinference(span: Span) -> bool:
    return span.scope.name.startswith(SCOPE)


def _task_ids(turns: Sequence[Turn], said: Mapping[str, Json]) -> set[str]:
    """The ids of what the run began with: what its first agent heard, else what the user said."""
    first = next((turn.heard for turn in turns if turn.heard), None)
    if first is not None and not {str(m["source"]) for m in first} & _ORCHESTRATING:
        return {str(m["id"]) for m in first}
    return {key for key, message in said.items() if message.get("source") == USER}


def _answer(run: RawSpan) -> Json | None:
    result = parse(run.attributes.get("output.value"))
    listed = dicts(result.get("messages")) if isinstance(result, dict) else []
    chat = [message for message in listed if is_chat(message)]
    return chat[-1] if chat else None


def _usage_before(listed: Iterable[Json], message: Json) -> tuple[Any, ...]:
    """The usage of the events that led to a message, which stand before it in the result."""
    found: list[Any] = []
    for each in listed:
        if each.get("id") == message.get("id"):
            return tuple(found)
        if is_chat(each):
            found = []
        elif each.get("source") == message.get("source"):
            found.append(each.get("models_usage"))
    return ()


# --- agents that no team runs --------------------------------------------------------------------


def direct_messages(trace: Trace) -> Iterator[Message]:
    """Yield what agents outside teams, or called by agents inside them, were given and answered."""
    run_of = nearest(trace, _is_run)
    for span in trace.spans:
        if span.kind != "agent" or not span.agent or not _is_openinference(span):
            continue
        caller = next((a for a in trace.ancestors(span) if _calls(a, span.agent)), None)
        run = run_of[span.span_id]
        if run is not None and (caller is None or _holds(trace, caller, run)):
            continue
        for given in _in_reprs(span):
            sender = caller.agent if caller else as_text(given["source"])
            yield _direct(span, sender or USER, span.agent, "task", str(given["content"]), True)
        if caller is not None and (result := _result_within(trace, span, caller)):
            yield _direct(span, span.agent, caller.agent or USER, "result", result, False)


def _calls(ancestor: Span, name: str) -> bool:
    return ancestor.kind == "agent" and ancestor.agent not in (None, name)


def _result_within(trace: Trace, span: Span, caller: Span) -> str | None:
    """What the tool came to through which an agent called another."""
    for ancestor in trace.ancestors(span):
        if ancestor is caller:
            return None
        if ancestor.kind == "tool" and ancestor.output:
            return ancestor.output
    return None


def _direct(
    span: Span, sender: str, recipient: str, type_: MessageType, content: str, begins: bool
) -> Message:
    at = span.start_ns if begins else span.end_ns
    key = f"{span.span_id}/{sender}/{recipient}/{type_}/{content}"
    return Message(
        message_id=sha256(key.encode("utf-8", "replace")).hexdigest()[:16],
        trace_id=span.trace_id,
        span_id=span.span_id,
        sender=sender,
        recipient=recipient,
        type=type_,
        content=content,
        sent_at=at,
    )


# --- texts ---------------------------------------------------------------------------------------

_REPR = re.compile(
    r"id='(?P<id>[^']+)' source=(?P<source>'[^']*'|\"[^\"]*\") .*?"
    r"created_at=datetime\.datetime\((?P<at>[\d, ]+).*?"
    r" content=(?P<content>'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\")"
    r"(?: target='(?P<target>[^']*)')?.*? type='(?P<type>\w+)'",
    re.DOTALL,
)
_USAGE = re.compile(r"models_usage=RequestUsage\(prompt_tokens=(\d+), completion_tokens=(\d+)\)")


def _in_reprs(turn: RawSpan) -> Iterator[Json]:
    """The chat messages an agent was given."""
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
    answer = _answer(raw)
    return as_text(answer.get("content")) if answer else None


def heard_by(raw: RawSpan) -> str | None:
    """What an agent was given, each message with its author."""
    heard = list(_in_reprs(raw))
    if len(heard) == 1:
        return as_text(heard[0]["content"])
    return "\n".join(f"{m['source']}: {m['content']}" for m in heard) or None
