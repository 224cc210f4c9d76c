"""Record what the members of a team say to each other, as it becomes clear whom it is for.

A message belongs on the span of whoever said it, so that span is held open until then.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from time import time_ns
from typing import Any

from agenttrace import payload
from agenttrace.models import USER
from agenttrace_autogen.addressing import GroupChat, Said, Telling
from agenttrace_autogen.recording import Recorder, Run, Scope, Turn, nearest


@dataclass(slots=True, eq=False)
class _Spoken:
    """A message as it was said: in which scope, when, and in answer to what."""

    content: Any
    scope: Scope
    cause: str | None
    at_ns: int = field(default_factory=time_ns)
    message_id: str | None = None


class Conversation:
    """The messages of one run of one team; see `GroupChat` for the arguments."""

    def __init__(
        self,
        recorder: Recorder,
        run: Run,
        name: str,
        participants: Sequence[str],
        manager: str | None = None,
        edges: Mapping[str, Iterable[str]] | None = None,
    ) -> None:
        self._recorder = recorder
        self._run = run
        self._asked_by = nearest(run.outer, Turn)
        self._chat = GroupChat(name, participants, manager, edges, run.caller)
        self._received: dict[str, str] = {}
        self._requested: list[str] = []
        self._over = False

    def task(self, messages: Iterable[Any]) -> None:
        """The run began with these chat messages."""
        asked_by = self._asked_by
        for message in messages:
            # Within an agent's turn it is that agent who asks, whoever wrote what it passes on.
            sender = self._run.caller
            if sender == USER:
                sender = getattr(message, "source", "") or USER
            cause = asked_by.received if asked_by else None
            self._says(message, sender, asked_by or self._run, cause, is_task=True)

    def said(self, turn: Turn, message: Any, sender: str) -> None:
        """A participant, or the manager, has said this to everybody."""
        self._release(self._chat.settle())
        self._says(message, sender, turn, turn.received)

    def requested(self, speaker: str) -> None:
        """The manager wants this participant (or itself) to speak next."""
        self._requested.append(speaker)
        self._record(self._chat.asks(speaker))
        said = self._chat.leads_to(speaker)
        if said is not None and said.about.message_id:
            self._received[speaker] = said.about.message_id

    def begins(self, speaker: str) -> str | None:
        """A participant's turn begins; return the id of the message it answers."""
        self._release(self._chat.settle(speaker))
        return self._received.pop(speaker, None)

    def take_requested(self) -> tuple[str, ...]:
        """Those asked to speak together since this was last called."""
        speakers = tuple(self._requested)
        self._requested.clear()
        return speakers

    def ended(self, answered: bool) -> None:
        """The run is over; `answered` if the caller got its result."""
        if self._over:
            return
        self._over = answered
        for telling in self._chat.ends(answered):
            message_id = self._tell(telling)
            if self._asked_by is not None and telling.type != "task":
                self._asked_by.received = message_id
        self._release(self._chat.forget())

    def _says(
        self, message: Any, sender: str, scope: Scope, cause: str | None, is_task: bool = False
    ) -> None:
        spoken = _Spoken(payload.Lazy(lambda: text(message)), scope, cause)
        target = getattr(message, "target", None) or None
        self._recorder.hold(scope)
        self._record(self._chat.says(Said(sender, spoken, target, is_task)))

    def _record(self, tellings: Iterable[Telling]) -> None:
        for telling in tellings:
            telling.said.about.message_id = self._tell(telling)

    def _tell(self, telling: Telling) -> str:
        spoken: _Spoken = telling.said.about
        return payload.message(
            spoken.scope.span,
            sender=telling.said.sender,
            recipient=telling.recipient,
            content=spoken.content,
            type=telling.type,
            caused_by=spoken.cause,
            audience=telling.audience,
            at_ns=spoken.at_ns,
        )

    def _release(self, answered: Iterable[Said]) -> None:
        for said in answered:
            self._recorder.release(said.about.scope)


def text(message: Any) -> str:
    """Return what a chat message says; pictures as a placeholder."""
    try:
        return str(message.to_text())
    except AttributeError:
        return str(getattr(message, "content", message))
