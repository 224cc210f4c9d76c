"""Who a team's messages are addressed to.

A group chat is broadcast: every message reaches every participant. Whom it is *for* shows only
later, by whom the team's manager asks to speak next, so a message waits (and keeps its sender's
span open) until then. A handoff names its addressee itself; what nobody is asked to answer is for
the caller of the team.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from time import time_ns
from typing import Any

from agenttrace import payload
from agenttrace.models import USER, MessageType
from agenttrace_autogen.recording import Recorder, Run, Scope, Turn, nearest


@dataclass(slots=True, eq=False)
class Said:
    """A message whose addressee may not be known yet."""

    sender: str
    content: Any
    scope: Scope
    cause: str | None
    target: str | None = None
    is_task: bool = False
    at_ns: int = field(default_factory=time_ns)
    message_id: str | None = None
    heard_by: list[str] = field(default_factory=list)


class Conversation:
    """The messages of one run of the team `name`.

    `participants` hear everything; `manager` is the name of a manager that takes part itself, or
    None for one that only passes turns; `edges` says, where the team is a graph, to whom each
    participant's message may lead.
    """

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
        self._name = name
        self._caller = nearest(run.outer, Turn)
        self._manager = manager
        self._members = (*participants, manager) if manager else tuple(participants)
        self._edges = {name: frozenset(targets) for name, targets in (edges or {}).items()}
        self._waiting: list[Said] = []
        self._received: dict[str, str] = {}
        self._requested: list[str] = []
        self._over = False

    def task(self, messages: Iterable[Any]) -> None:
        """The run began with these chat messages."""
        cause = self._caller.received if self._caller else None
        for message in messages:
            # Within an agent's turn it is that agent who asks, whoever wrote what it passes on.
            sender = self._run.caller
            if sender == USER:
                sender = getattr(message, "source", "") or USER
            self._add(message, sender, self._caller or self._run, cause, is_task=True)

    def said(self, turn: Turn, message: Any, sender: str) -> None:
        """A participant, or the manager, has said this to everybody."""
        self._forget_answered()
        self._add(message, sender, turn, turn.received)

    def requested(self, speaker: str) -> None:
        """The manager wants this participant (or itself) to speak next."""
        self._requested.append(speaker)
        for said in [s for s in self._waiting if self._leads_to(s, speaker)]:
            if said.target is None:
                said.message_id = self._tell(said, speaker, self._type_of(said, speaker))
            if said.message_id:
                self._received[speaker] = said.message_id

    def begins(self, speaker: str) -> str | None:
        """A participant's turn begins; return the id of the message it answers."""
        if speaker != self._manager:
            self._forget_answered()
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
        for said in self._waiting:
            if said.target is None and not set(said.heard_by) - {self._manager}:
                self._tell_caller(said, answered)
        waiting, self._waiting = self._waiting, []
        for said in waiting:
            self._recorder.release(said.scope)

    def _tell_caller(self, said: Said, answered: bool) -> None:
        if said.is_task:
            if not said.heard_by:
                self._tell(said, self._name, "task")
            return
        message_id = self._tell(said, self._run.caller, "result" if answered else "broadcast")
        if self._caller is not None:
            self._caller.received = message_id

    def _add(
        self, message: Any, sender: str, scope: Scope, cause: str | None, is_task: bool = False
    ) -> None:
        target = getattr(message, "target", None) or None
        said = Said(sender, payload.Lazy(lambda: text(message)), scope, cause, target, is_task)
        if target is not None:
            said.message_id = self._tell(said, target, "handoff")
        self._recorder.hold(scope)
        self._waiting.append(said)

    def _leads_to(self, said: Said, speaker: str) -> bool:
        if speaker in said.heard_by and said.target is None:
            return False
        if speaker == self._manager == said.sender:
            return False
        targets = self._edges.get(said.sender)
        return targets is None or speaker in targets

    def _type_of(self, said: Said, speaker: str) -> MessageType:
        if said.is_task:
            return "task"
        if self._manager is None:
            return "broadcast"
        if speaker == self._manager:
            return "result"
        # A manager that speaks first tells its plan to all, then gives one participant its task.
        last = [s for s in self._waiting if s.sender == self._manager][-1:]
        return "task" if [said] == last else "broadcast"

    def _tell(self, said: Said, recipient: str, type_: MessageType) -> str:
        said.heard_by.append(recipient)
        audience = [name for name in self._members if name != said.sender]
        if recipient not in audience:
            audience.append(recipient)
        return payload.message(
            said.scope.span,
            sender=said.sender,
            recipient=recipient,
            content=said.content,
            type=type_,
            caused_by=said.cause,
            audience=() if audience == [recipient] else audience,
            at_ns=said.at_ns,
        )

    def _forget_answered(self) -> None:
        answered = [said for said in self._waiting if said.heard_by]
        if answered:
            self._waiting = [said for said in self._waiting if not said.heard_by]
            for said in answered:
                self._recorder.release(said.scope)


def text(message: Any) -> str:
    """Return what a chat message says; pictures as a placeholder."""
    try:
        return str(message.to_text())
    except AttributeError:
        return str(getattr(message, "content", message))
