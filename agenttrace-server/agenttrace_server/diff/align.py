"""Pair the messages of two runs: the same ones, and what an agent said instead."""

from collections.abc import Iterator, Sequence

from agenttrace.models import Message
from agenttrace_server.diff.subsequence import common_subsequence
from agenttrace_server.diff.words import similarity

MOST_CELLS = 4096
"""Gaps up to so many pairs are aligned by how alike the contents are; larger ones by order."""

Pair = tuple[int | None, int | None]
"""Places in the left and in the right list; None where one has no counterpart."""


def align(left: Sequence[Message], right: Sequence[Message]) -> list[Pair]:
    """Return every message of both, paired where they correspond, in the order of both.

    The same words between the same two agents are found first (longest common subsequence); what
    lies between is paired by sender and recipient, so that a pair says what was said instead.
    """
    ours, theirs = [_exact(m) for m in left], [_exact(m) for m in right]
    pairs: list[Pair] = []
    i = j = 0
    for at, there in [*common_subsequence(ours, theirs), (len(left), len(right))]:
        pairs.extend(_gap(left, right, range(i, at), range(j, there)))
        if at < len(left):
            pairs.append((at, there))
        i, j = at + 1, there + 1
    return pairs


def _exact(message: Message) -> tuple[str, ...]:
    return (message.sender, message.recipient, message.content_hash or message.content)


def _gap(
    left: Sequence[Message], right: Sequence[Message], ours: range, theirs: range
) -> Iterator[Pair]:
    i, j = ours.start, theirs.start
    for at, there in [*_counterparts(left, right, ours, theirs), (ours.stop, theirs.stop)]:
        yield from ((place, None) for place in range(i, at))
        yield from ((None, place) for place in range(j, there))
        if at < ours.stop:
            yield at, there
        i, j = at + 1, there + 1


def _counterparts(
    left: Sequence[Message], right: Sequence[Message], ours: range, theirs: range
) -> list[tuple[int, int]]:
    if not ours or not theirs:
        return []
    if len(ours) * len(theirs) > MOST_CELLS:
        between = common_subsequence(
            [(left[i].sender, left[i].recipient) for i in ours],
            [(right[j].sender, right[j].recipient) for j in theirs],
        )
        return [(ours[i], theirs[j]) for i, j in between]
    return _most_alike(left, right, ours, theirs)


def _most_alike(
    left: Sequence[Message], right: Sequence[Message], ours: range, theirs: range
) -> list[tuple[int, int]]:
    """Pair as many as possible, and of those ways the one with the most alike contents."""
    width = len(theirs) + 1
    best = [[0.0] * width for _ in range(len(ours) + 1)]
    gains: dict[tuple[int, int], float] = {}
    for a in range(len(ours) - 1, -1, -1):
        for b in range(len(theirs) - 1, -1, -1):
            best[a][b] = max(best[a + 1][b], best[a][b + 1])
            one, other = left[ours[a]], right[theirs[b]]
            if (one.sender, one.recipient) == (other.sender, other.recipient):
                # A pair more outweighs everything that likeness can add up to.
                gain = MOST_CELLS + similarity(one.content, other.content)
                gains[a, b] = gain
                best[a][b] = max(best[a][b], gain + best[a + 1][b + 1])
    found: list[tuple[int, int]] = []
    a = b = 0
    while a < len(ours) and b < len(theirs):
        if (a, b) in gains and best[a][b] == gains[a, b] + best[a + 1][b + 1]:
            found.append((ours[a], theirs[b]))
            a, b = a + 1, b + 1
        elif best[a][b] == best[a + 1][b]:
            a += 1
        else:
            b += 1
    return found
