"""Tell whom each message of a group chat is for.

A group chat is broadcast: every message reaches every participant. Whom it is *for* shows only
later, by whom the team's manager asks to speak next. A handoff names its addressee itself; what
nobody is asked to answer is for the caller of the team. Nothing here knows AutoGen or spans, so
that what capture sees live and what a recording tells afterwards are addressed alike.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from agenttrace.models import USER, MessageType


@dataclass(slots=True, eq=False)
class Said:
    """A message whose addressee may not be known yet; `about` is whatever its owner needs."""

    sender: str
    about: Any = None
    target: str | None = None
    is_task: bool = False
    told: list[str] = field(default_factory=list)


@dataclass(slots=True, frozen=True)
class Telling:
    """Someone is told what was said, as a message of a type; `audience` heard it as well."""

    said: Said
    recipient: str
    type: MessageType
    audience: tuple[str, ...]


class GroupChat:
    """The messages of one run of the team `name`.

    `participants` hear everything; `manager` is the name of a manager that takes part itself, or
    None for one that only passes turns; `edges` says, where the team is a graph, to whom each
    participant's message may lead; `caller` is who asked the team and gets its answer.
    """

    def __init__(
        self,
        name: str,
        participants: Sequence[str],
        manager: str | None = None,
        edges: Mapping[str, Iterable[str]] | None = None,
        caller: str = USER,
    ) -> None:
        self.name = name
        self.caller = caller
        self._manager = manager
        self._members = (*participants, manager) if manager else tuple(participants)
        self._edges = {node: frozenset(targets) for node, targets in (edges or {}).items()}
        self._waiting: list[Said] = []

    def says(self, said: Said) -> list[Telling]:
        """Someone says something to everybody; a handoff is told at once."""
        self._waiting.append(said)
        return [self._tell(said, said.target, "handoff")] if said.target else []

    def asks(self, speaker: str) -> list[Telling]:
        """The manager wants this participant (or itself) to speak next."""
        return [
            self._tell(said, speaker, self._type_of(said, speaker))
            for said in self._waiting
            if said.target is None and self._leads_to(said, speaker)
        ]

    def asks_about(self, speaker: str, heard: Sequence[Said]) -> list[Telling]:
        """The same, where it is known what the participant has heard since it last spoke.

        What it is for is what waits among that and what it said itself, else what it heard last.
        """
        waiting = [
            said
            for said in self._waiting
            if said.target is None
            and (said in heard or said.sender == speaker)
            and self._leads_to(said, speaker)
        ]
        if not waiting and heard and not any(speaker in said.told for said in heard):
            waiting = [said for said in heard[-1:] if said.target is None]
        return [self._tell(said, speaker, self._type_of(said, speaker)) for said in waiting]

    def leads_to(self, speaker: str) -> Said | None:
        """What was said last that a participant who is asked to speak now answers."""
        answered = [
            said
            for said in self._waiting
            if speaker in said.told or (said.target and self._may_lead(said, speaker))
        ]
        return answered[-1] if answered else None

    def settle(self, next_to_speak: str | None = None) -> list[Said]:
        """Somebody begins to speak: return, and forget, what has found its addressee."""
        if next_to_speak is not None and next_to_speak == self._manager:
            return []  # should its turn end the run, what it was told is also the caller's answer
        settled = [said for said in self._waiting if said.told]
        self._waiting = [said for said in self._waiting if not said.told]
        return settled

    def ends(self, answered: bool) -> list[Telling]:
        """The run is over; what is left is for the caller, as its result if it was `answered`."""
        tellings = []
        for said in self._waiting:
            if said.target is not None or set(said.told) - {self._manager}:
                continue
            if not said.is_task:
                tellings.append(
                    self._tell(said, self.caller, "result" if answered else "broadcast")
                )
            elif not said.told:
                tellings.append(self._tell(said, self.name, "task"))
        return tellings

    def forget(self) -> list[Said]:
        """Return, and forget, everything."""
        waiting, self._waiting = self._waiting, []
        return waiting

    def _leads_to(self, said: Said, speaker: str) -> bool:
        if speaker in said.told or speaker == self._manager == said.sender:
            return False
        return self._may_lead(said, speaker)

    def _may_lead(self, said: Said, speaker: str) -> bool:
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
        last = [each for each in self._waiting if each.sender == self._manager][-1:]
        return "task" if [said] == last else "broadcast"

    def _tell(self, said: Said, recipient: str, type_: MessageType) -> Telling:
        said.told.append(recipient)
        audience = [member for member in self._members if member != said.sender]
        if recipient not in audience:
            audience.append(recipient)
        return Telling(said, recipient, type_, () if audience == [recipient] else tuple(audience))
