"""MAST 2.3: runs that lose sight of what was asked."""

from collections.abc import Iterable, Iterator
from typing import Final

from agenttrace.models import USER, FailureAnnotation
from agenttrace_server.mast.finding import quote
from agenttrace_server.mast.memory import conversation_reset
from agenttrace_server.mast.modes import mode_found
from agenttrace_server.mast.specification import repeats_itself
from agenttrace_server.mast.talk import Said, Talk, telling

_FEWEST: Final = 3
_ENOUGH: Final = 4
_SUBSTANCE: Final = 8


def drifted_off(talk: Talk) -> Iterator[FailureAnnotation]:
    """Find runs that end on something else than the task (MAST 2.3).

    Sees a run whose last messages, at least three and a third of all, and its answer too, use not
    one telling word of the task nor of what was said while they still did. Cannot see a drift that
    keeps the task's words, nor one in a language other than the task's.
    """
    task, final = talk.task, talk.final
    if task is None or final is None or not talk.ended or final.sender == USER:
        return
    asked = _stems(telling(task.bag))
    said = [s for s in talk.after(task) if s.sender != USER and len(s.words) >= _SUBSTANCE]
    if len(asked) < _ENOUGH or len(said) <= _FEWEST or len(final.words) < _SUBSTANCE:
        return
    away = len(said)
    while away and not asked & _stems(telling(said[away - 1].bag)):
        away -= 1
    off = said[away:]
    if not away or len(off) < max(_FEWEST, len(said) / 3) or final.index < off[0].index:
        return
    known = _stems(word for one in said[:away] for word in telling(one.bag))
    turn, its_own = off[0], _stems(telling(off[0].bag))
    if len(its_own & known) > len(its_own) / 3 or not _ascii(task) or not _ascii(turn):
        return
    yield mode_found(
        talk.trace,
        "2.3",
        message=turn.message,
        agent=turn.sender,
        evidence=quote(turn.text),
        explanation=(
            f"From here on nothing has to do with the task: {turn.sender} turns to something else, "
            f"and {len(off)} messages and the answer stay with that."
        ),
        confidence=0.7,
        severity="high",
    )


def lost_in_circles(talk: Talk) -> Iterator[FailureAnnotation]:
    """Find runs that start over and repeat themselves until the goal is out of sight (MAST 2.3).

    Sees a conversation that starts over in its middle (2.1) and of which a quarter is repetition
    (1.3): work goes on, and not towards the objective. Cannot see a single detour.
    """
    if not repeats_itself(talk):
        return
    for reset in conversation_reset(talk):
        _, later = talk.repeats[-1]
        yield mode_found(
            talk.trace,
            "2.3",
            message=later.message,
            agent=later.sender,
            evidence=quote(later.text),
            explanation=(
                f"The run goes in circles instead of towards its goal: {reset.agent} starts over, "
                f"and {len(talk.repeats)} of {len(talk.said)} messages repeat earlier ones; the "
                f"last one is {later.sender}'s."
            ),
            confidence=0.7,
            severity="high",
        )


def _stems(words: Iterable[str]) -> frozenset[str]:
    """Return the beginnings of words: `hotels` is `hotel`, `booked` is `booking`."""
    return frozenset(word[:5] for word in words)


def _ascii(said: Said) -> bool:
    text = said.text[:1000]
    return sum(map(str.isascii, text)) >= 0.9 * len(text)
