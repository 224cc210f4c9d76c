"""What changed between two texts, word by word."""

import re
from collections import Counter
from typing import Literal

import msgspec

from agenttrace_server.diff.subsequence import common_subsequence

MOST_WORDS = 4000
"""Of each text: what comes behind counts as one word."""

_WORD = re.compile(r"\S+\s*|\s+")


class Piece(msgspec.Struct, frozen=True):
    """A part of a text: in both, only in the left one, or only in the right one."""

    op: Literal["same", "removed", "added"]
    text: str


def word_diff(left: str, right: str) -> tuple[Piece, ...]:
    """Return the pieces of both texts in order; all but the added make `left`, all but the removed
    `right`."""
    ours, theirs = _words(left), _words(right)
    pieces: list[tuple[Literal["same", "removed", "added"], list[str]]] = []

    def put(op: Literal["same", "removed", "added"], words: list[str]) -> None:
        if words and pieces and pieces[-1][0] == op:
            pieces[-1][1].extend(words)
        elif words:
            pieces.append((op, words))

    i = j = 0
    for at, there in [*common_subsequence(ours, theirs), (len(ours), len(theirs))]:
        put("removed", ours[i:at])
        put("added", theirs[j:there])
        put("same", ours[at : at + 1])
        i, j = at + 1, there + 1
    return tuple(Piece(op, "".join(words)) for op, words in pieces)


def similarity(left: str, right: str) -> float:
    """Return how alike two texts are, 0 to 1, by the words they have in common (Dice)."""
    if left == right:
        return 1.0
    ours, theirs = Counter(left.split()), Counter(right.split())
    total = ours.total() + theirs.total()
    return 2 * (ours & theirs).total() / total if total else 1.0


def _words(text: str) -> list[str]:
    found = _WORD.findall(text)
    if len(found) <= MOST_WORDS:
        return found
    return [*found[:MOST_WORDS], "".join(found[MOST_WORDS:])]
