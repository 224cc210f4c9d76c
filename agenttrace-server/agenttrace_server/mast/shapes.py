"""Tell what kind of run it is: agents among peers, under a lead, or one agent and its user."""

import re
from collections import Counter
from itertools import pairwise
from typing import Final, Literal

import msgspec

from agenttrace.models import USER
from agenttrace_server.mast.talk import Talk

Kind = Literal["peers", "led", "dialog"]

MACHINE: Final = re.compile(
    r"\s*(?:exit ?code|code output|[{\[<]|Traceback|Output:|There is no code)", re.IGNORECASE
)
"""How the messages of something that runs code begin. The last is AG2's when there is nothing."""

_LEADS: Final = 0.5
_PASSED_ON: Final = 0.2


class Shape(msgspec.Struct, frozen=True):
    """The kind of a run, who leads it, and which of its speakers only run what they are given."""

    kind: Kind
    lead: str | None = None
    machines: frozenset[str] = frozenset()


def shape_of(talk: Talk) -> Shape:
    """Return the shape of a run, told from who speaks after whom and not from any name.

    One leads where half of all messages are theirs, others do what comes after them, and hardly
    ever follow each other.
    """
    shares = Counter(said.sender for said in talk.said)
    output = Counter(said.sender for said in talk.said if MACHINE.match(said.text))
    machines = frozenset(
        name for name, share in shares.items() if name != USER and output[name] >= 0.6 * share
    )
    agents = [name for name in shares if name != USER]
    if len(agents) == 1 and shares[USER] > 1:
        return Shape("dialog", machines=machines)
    people = [name for name in agents if name not in machines]
    if len(people) > 1:
        lead = max(people, key=lambda name: shares[name])
        others = sum(share for name, share in shares.items() if name not in (lead, USER))
        passed_on = sum(
            not {one.sender, after.sender} & {lead, USER} for one, after in pairwise(talk.said)
        )
        works_for_it = any(
            one.sender == lead and after.sender in people and after.sender != lead
            for one, after in pairwise(talk.said)
        )
        if (
            works_for_it
            and shares[lead] >= _LEADS * len(talk.said)
            and passed_on <= _PASSED_ON * others
        ):
            return Shape("led", lead, machines)
    return Shape("peers", machines=machines)
