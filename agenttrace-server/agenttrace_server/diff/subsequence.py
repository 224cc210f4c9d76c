"""The longest common subsequence of two lists, in bits: 5,000 × 5,000 takes hundredths of a second.

H. Hyyrö, "Bit-parallel LCS-length computation revisited" (2004): one integer of as many bits as the
second list is long holds a whole row of the table, and Python adds such integers quickly.
"""

from collections.abc import Hashable, Sequence


def common_subsequence(
    left: Sequence[Hashable], right: Sequence[Hashable]
) -> list[tuple[int, int]]:
    """Return the places (in `left`, in `right`) of a longest common subsequence, in order."""
    begin = 0
    end = min(len(left), len(right))
    while begin < end and left[begin] == right[begin]:
        begin += 1
    tail = 0
    while tail < end - begin and left[-1 - tail] == right[-1 - tail]:
        tail += 1
    middle = _middle(left[begin : len(left) - tail], right[begin : len(right) - tail])
    return [
        *((place, place) for place in range(begin)),
        *((begin + i, begin + j) for i, j in middle),
        *((len(left) - n, len(right) - n) for n in range(tail, 0, -1)),
    ]


def _middle(left: Sequence[Hashable], right: Sequence[Hashable]) -> list[tuple[int, int]]:
    if not left or not right:
        return []
    places: dict[Hashable, int] = {}
    for place, item in enumerate(right):
        places[item] = places.get(item, 0) | 1 << place
    ones = (1 << len(right)) - 1
    row = ones
    rows: list[int] = []
    for item in left:
        matches = row & places.get(item, 0)
        row = ((row + matches) | (row - matches)) & ones
        rows.append(row)
    return _walked_back(rows, len(right))


def _walked_back(rows: list[int], width: int) -> list[tuple[int, int]]:
    """A zero bit says that the subsequence grows there: go back along those."""
    found: list[tuple[int, int]] = []
    i, j = len(rows), width
    while i and j:
        if rows[i - 1] >> (j - 1) & 1:
            j -= 1
            continue
        i -= 1
        if i and not rows[i - 1] >> (j - 1) & 1:
            continue
        j -= 1
        found.append((i, j))
    found.reverse()
    return found
