"""Tell who said what to whom in group chats that others recorded.

A recording is first turned into the same few events that capture sees (someone says something, the
manager asks someone to speak, the run ends), in order of time; the rules of `addressing` do the
rest. A fragment of a run tells what it can.
"""

from collections.abc import Callable, Iterable, Iterator
from hashlib import sha256
from typing import Any

import msgspec

from agenttrace.chat import as_text
from agenttrace.models import USER, Message
from agenttrace_autogen.addressing import GroupChat, Said, Telling

Json = dict[str, Any]


class Begun(msgspec.Struct, frozen=True):
    """A chat message that a run began with."""

    at: int
    message: Json
    span_id: str


class Spoken(msgspec.Struct, frozen=True):
    """A chat message of a participant or the manager; `usage` is what led to it."""

    at: int
    sender: str
    message: Json
    span_id: str
    usage: tuple[Any, ...] = ()


class Asked(msgspec.Struct, frozen=True):
    """A participant being asked to speak; `heard` are the ids it was given, where that is known."""

    at: int
    name: str
    heard: frozenset[str] | None = None


class Chat(msgspec.Struct):
    """What a recording tells about one run of one team; times are Unix nanoseconds.

    `manager_turns` are the times a manager that takes part had the word; `ended` is None where the
    recording does not show the end.
    """

    team_id: str
    name: str = "team"
    participants: dict[str, None] = {}
    manager: str | None = None
    manager_speaks: bool = False
    caller: str = USER
    begun: list[Begun] = []
    spoken: list[Spoken] = []
    asked: list[Asked] = []
    manager_turns: list[int] = []
    ended: int | None = None
    failed: bool = False


def tell(trace_id: str, chat: Chat) -> Iterator[Message]:
    """Yield the messages of a chat."""
    replay = _Replay(chat)
    for telling in replay.tellings():
        yield _message(trace_id, chat.team_id, telling)


class _Replay:
    """Lets the events of a chat happen again, in order of time."""

    def __init__(self, chat: Chat) -> None:
        self._chat = chat
        self._manager = chat.manager if chat.manager_speaks else None
        self._group = GroupChat(
            chat.manager or chat.name,
            tuple(chat.participants),
            self._manager,
            caller=chat.caller,
        )
        self._last: dict[str, Said] = {}

    def tellings(self) -> Iterator[Telling]:
        chat, group = self._chat, self._group
        events: list[tuple[int, int, Callable[[], list[Telling]]]] = []
        events += [(b.at, 0, _later(self._begins, b)) for b in chat.begun]
        events += [(s.at, 1, _later(self._speaks, s)) for s in chat.spoken]
        if self._manager:
            events += [(at, 2, _later(group.asks, self._manager)) for at in chat.manager_turns]
        events += [(a.at, 3, _later(self._asks, a)) for a in chat.asked]
        if chat.ended is not None:
            events.append((chat.ended, 4, _later(group.ends, not chat.failed)))
        for _, _, happens in sorted(events, key=lambda event: event[:2]):
            yield from happens()

    def _begins(self, begun: Begun) -> list[Telling]:
        sender = self._chat.caller
        if sender == USER:
            sender = as_text(begun.message.get("source")) or USER
        return self._says(sender, begun, begun.message, is_task=True)

    def _speaks(self, spoken: Spoken) -> list[Telling]:
        self._group.settle()
        return self._says(spoken.sender, spoken, spoken.message, is_task=False)

    def _says(
        self, sender: str, about: Begun | Spoken, message: Json, *, is_task: bool
    ) -> list[Telling]:
        said = Said(sender, about, as_text(message.get("target")), is_task)
        self._last[str(message.get("id"))] = said
        return self._group.says(said)

    def _asks(self, asked: Asked) -> list[Telling]:
        if asked.heard is None:
            return self._group.asks(asked.name)
        heard = [said for key, said in self._last.items() if key in asked.heard]
        return self._group.asks_about(asked.name, heard)


def _later(act: Callable[..., list[Telling]], *args: Any) -> Callable[[], list[Telling]]:
    return lambda: act(*args)


def _message(trace_id: str, team_id: str, telling: Telling) -> Message:
    about: Begun | Spoken = telling.said.about
    message, sender, recipient = about.message, telling.said.sender, telling.recipient
    # The same for a fragment and for the whole run, so that joining fragments changes no id.
    key = f"{team_id}/{message.get('id')}/{sender}/{recipient}/{telling.type}"
    usage = about.usage if isinstance(about, Spoken) else ()
    return Message(
        message_id=sha256(key.encode("utf-8", "replace")).hexdigest()[:16],
        trace_id=trace_id,
        span_id=about.span_id,
        sender=sender,
        recipient=recipient,
        type=telling.type,
        content=as_text(message.get("content")) or "",
        sent_at=about.at,
        audience=telling.audience,
        tokens=_tokens((message.get("models_usage"), *usage)),
    )


def _tokens(spent: Iterable[Any]) -> int | None:
    counts = [
        count
        for usage in spent
        if isinstance(usage, dict)
        for count in (usage.get("prompt_tokens"), usage.get("completion_tokens"))
        if isinstance(count, int)
    ]
    return sum(counts) if counts else None


def is_chat(message: Any) -> bool:
    """Whether this is something said, not an event on the way to it."""
    return isinstance(message, dict) and not str(message.get("type")).endswith("Event")


def dicts(value: object) -> list[Json]:
    """The objects in a list; none where the value is no list."""
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []
