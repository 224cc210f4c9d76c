"""MAST 1.4 and 2.1: what had been said is lost, or the conversation begins anew."""

import re
from collections.abc import Iterator
from typing import Final

from agenttrace.models import USER, FailureAnnotation
from agenttrace_server.mast.finding import quote
from agenttrace_server.mast.hinted import Hinted
from agenttrace_server.mast.modes import mode_found
from agenttrace_server.mast.objections import prompted
from agenttrace_server.mast.talk import LONGEST, Said, Talk, alike, telling

_LOST: Final = Hinted(
    {
        r"\bI (?:do not|don['’]t|no longer|cannot|can['’]t) (?:have|see|recall|remember|access)"
        r"(?: \w+){0,3} (?:the |any |our |your )?(?:previous|prior|earlier|past)(?: \w+)? ?"
        r"(?:conversation|context|messages?|history|discussion|results?|steps?|instructions?)": (
            *("previous", "prior", "earlier", "past"),
        ),
        r"\bI (?:\w+ ){0,3}(?:have|['’]ve|had) (?:\w+ )?(?:no|lost (?:all |any )?)(?:my |the )? ?"
        r"(?:memory|recollection|context|thread|track)\b(?! windows?)": (
            *("memory", "recollection", "context", "thread", "track"),
        ),
        r"\bI (?:do not|don['’]t|no longer) have (?:a |any )?(?:memory|recollection|record) of\b": (
            *("memory", "recollection", "record"),
        ),
        r"\b(?:what|which) (?:was|were) (?:the|my) (?:original )?(?:task|question|instructions?)"
        r"\b\?": ("what was", "what were", "which was", "which were"),
        r"\bI (?:do not|don['’]t|no longer|cannot|can['’]t) (?:remember|recall) (?:what|where|how"
        r"|which) (?:we|you|the)\b": ("remember", "recall"),
    },
    re.IGNORECASE,
)
_FEWEST_BETWEEN: Final = 3
_STRETCH: Final = 4
_OPENING: Final = 60
"""So many words of a message tell how it opens."""
_TELLING: Final = 6
_SAME: Final = 0.9
_LIKE: Final = 0.33


def lost_history(talk: Talk) -> Iterator[FailureAnnotation]:
    """Find agents that say they no longer have what was said before (MAST 1.4).

    Sees it said outright by an agent that had spoken, or been spoken to, before. Cannot see an
    agent that falls back to an older state without a word.
    """
    met: set[str] = set()
    for said in talk.said:
        found = _LOST.search(said.text[:LONGEST], said.lowered) if said.sender in met else None
        if found and said.sender != USER:
            yield mode_found(
                talk.trace,
                "1.4",
                message=said.message,
                agent=said.sender,
                evidence=quote(said.text, found.start(), found.end()),
                explanation=f"{said.sender} has lost what it was told earlier in this run.",
                confidence=0.8,
                severity="high",
            )
            return
        met.update((said.sender, *said.hearers))


def conversation_reset(talk: Talk) -> Iterator[FailureAnnotation]:
    """Find conversations that start over in their middle (MAST 2.1).

    Sees the message that opened the conversation between agents said again, by the same agent to
    the same one, after at least three others, with what followed it said again too; a stretch of at
    least four messages by more than one agent that all say again, in the same order, what had been
    said before; and, less sure, the agent that opened the conversation opening it again after
    others have worked, unprompted and right after a turn of its own. Cannot see a restart at some
    other point in other words; a step repeated later on is MAST 1.3.
    """
    found = _from_the_start(talk) or _from_the_middle(talk)
    again = None if found else _opened_again(talk)
    if again:
        said, opening, sure = again
        yield mode_found(
            talk.trace,
            "2.1",
            message=said.message,
            agent=said.sender,
            evidence=quote(said.text),
            explanation=(
                f"The conversation starts over: {said.sender} opens it as it did "
                f"{said.index - opening.index} messages earlier, although nobody asked for that."
            ),
            confidence=sure,
            severity="high",
        )
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
                f"{said.index - before.index} messages earlier, and the talk takes the same course."
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
            and not prompted(talk, said.index)
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
        if len(stretch) >= _STRETCH and len(told) > 1 and not prompted(talk, stretch[0][1].index):
            return stretch[0][1], stretch[0][0]
    return None


def _opened_again(talk: Talk) -> tuple[Said, Said, float] | None:
    """Return a message that opens the conversation again, its first opening, and how sure it is."""
    told = [said for said in talk.said if said.sender != USER and said.words]
    if not told or len(head := telling(told[0].words[:_OPENING])) < _TELLING:
        return None
    opening, before, others = told[0], told[0], 0
    for said in told[1:]:
        if said.sender != opening.sender:
            others += 1
        elif before.sender == opening.sender and others >= _FEWEST_BETWEEN:
            bag = telling(said.words[:_OPENING])
            like = _overlap(head, bag)
            goes_on = _overlap(telling(before.words[:_OPENING]), bag)
            sure = 0.8 if like >= _SAME else 0.45 if like >= _LIKE else 0.0
            if sure and goes_on < like / 2 and not _asked(talk, said):
                return said, opening, sure
        before = said
    return None


def _overlap(one: frozenset[str], other: frozenset[str]) -> float:
    return len(one & other) / len(one | other) if one or other else 0.0


def _asked(talk: Talk, said: Said) -> bool:
    """Say whether the user has spoken since the agent's last word."""
    return talk.said[said.index - 1].sender == USER
