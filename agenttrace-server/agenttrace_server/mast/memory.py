"""MAST 1.4 and 2.1: what had been said is lost, or the conversation begins anew."""

import re
from collections.abc import Iterator
from typing import Final

from agenttrace.models import USER, FailureAnnotation
from agenttrace_server.mast.finding import quote
from agenttrace_server.mast.modes import mode_found
from agenttrace_server.mast.objections import objects
from agenttrace_server.mast.talk import Said, Talk, alike

_LOST: Final = re.compile(
    r"\bI (?:do not|don['’]t|no longer) (?:have|see|recall|remember)(?: \w+){0,3} (?:the |any |our "
    r"|your )?(?:previous|prior|earlier|past)(?: \w+)? ?(?:conversation|context|messages?|history"
    r"|discussion|results?|steps?|instructions?)"
    r"|\bI (?:have|['’]ve) lost (?:track|the context|context)\b"
    r"|\b(?:what|which) (?:was|were) (?:the|my) (?:original )?(?:task|question|instructions?)\b\?"
    r"|\bI (?:do not|don['’]t) (?:remember|recall) what (?:we|you|the)\b",
    re.IGNORECASE,
)
_FEWEST_BETWEEN: Final = 3
_STRETCH: Final = 4


def lost_history(talk: Talk) -> Iterator[FailureAnnotation]:
    """Find agents that say they no longer have what was said before (MAST 1.4).

    Sees it said outright by an agent that had spoken, or been spoken to, before. Cannot see an
    agent that falls back to an older state without a word.
    """
    met: set[str] = set()
    for said in talk.said:
        found = _LOST.search(said.text[:3000]) if said.sender in met else None
        if found and said.sender != USER:
            yield mode_found(
                talk.trace,
                "1.4",
                message=said.message,
                agent=said.sender,
                evidence=quote(said.text, found.start(), found.end()),
                explanation=f"{said.sender} no longer has what it was told earlier in this run.",
                confidence=0.8,
                severity="high",
            )
            return
        met.update((said.sender, *said.hearers))


def conversation_reset(talk: Talk) -> Iterator[FailureAnnotation]:
    """Find conversations that start over in their middle (MAST 2.1).

    Sees the message that opened the conversation between agents said again, by the same agent to
    the same one, after at least three others, with what followed it said again too; and a stretch
    of at least four messages by more than one agent that all say again, in the same order, what had
    been said before. Cannot see a restart in other words; a step repeated later on is MAST 1.3.
    """
    found = _from_the_start(talk) or _from_the_middle(talk)
    if found:
        said, before = found
        yield mode_found(
            talk.trace,
            "2.1",
            message=said.message,
            agent=said.sender,
            evidence=quote(said.text),
            explanation=(
                f"The conversation starts over: {said.sender} says again what it said "
                f"{said.index - before.index} messages earlier, and it takes the same course."
            ),
            confidence=0.8,
            severity="high",
        )


def _from_the_start(talk: Talk) -> tuple[Said, Said] | None:
    """Return the message with which the conversation opens again, and the one it first had."""
    between = [said for said in talk.said if USER not in (said.sender, said.message.recipient)]
    if len(between) < _FEWEST_BETWEEN + 2:
        return None
    first, second = between[0], between[1]
    for place in range(_FEWEST_BETWEEN, len(between) - 1):
        said, after = between[place], between[place + 1]
        if (
            said.sender == first.sender
            and said.message.recipient == first.message.recipient
            and len(said.words) >= 6
            and alike(said, first)
            and after.sender == second.sender
            and alike(after, second)
            and not _prompted(talk, said.index)
        ):
            return said, first
    return None


def _from_the_middle(talk: Talk) -> tuple[Said, Said] | None:
    """Return the first message of a stretch that repeats an earlier one, and that one's first."""
    stretch: list[tuple[Said, Said]] = []
    for before, said in talk.repeats:
        goes_on = (
            stretch
            and said.index == stretch[-1][1].index + 1
            and before.index > stretch[-1][0].index
        )
        stretch = [*stretch, (before, said)] if goes_on else [(before, said)]
        told = {one.sender for _, one in stretch}
        if len(stretch) >= _STRETCH and len(told) > 1 and not _prompted(talk, stretch[0][1].index):
            return stretch[0][1], stretch[0][0]
    return None


def _prompted(talk: Talk, index: int) -> bool:
    """Say whether it starts over for a reason: the user spoke, or somebody objected."""
    before = talk.said[index - 1] if index else None
    return before is not None and (before.sender == USER or objects(before.text) is not None)
