"""Patterns that are tried only where one of their words is: words are found fast, patterns slow."""

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Final

_MOST_PLACES: Final = 3


class Hinted:
    """A pattern, told as its alternatives, each with words in lower case of which a match has one.

    That a match has one is tested with texts made from each alternative.
    """

    __slots__ = ("_by_hint", "alternatives", "pattern")

    def __init__(self, alternatives: Mapping[str, tuple[str, ...]], flags: re.RegexFlag) -> None:
        self.alternatives = alternatives
        self.pattern = re.compile("|".join(alternatives), flags)
        compiled = {one: re.compile(one, flags) for one in alternatives}
        self._by_hint: dict[str, list[re.Pattern[str]]] = {}
        for one, words in alternatives.items():
            for word in words:
                self._by_hint.setdefault(word, []).append(compiled[one])

    def search(self, text: str, lowered: str | None = None) -> re.Match[str] | None:
        """Return the first match in a text; `lowered` is the text in lower case, if it is known."""
        lowered = text.lower() if lowered is None else lowered
        found = (pattern.search(text) for pattern in self._hinted(lowered))
        return min((one for one in found if one), key=lambda one: one.start(), default=None)

    def each(self, text: str) -> Iterator[re.Match[str]]:
        """Yield every match in a text, those of one alternative after those of another."""
        for pattern in self._hinted(text.lower()):
            yield from pattern.finditer(text)

    def _hinted(self, lowered: str) -> Iterable[re.Pattern[str]]:
        """Return the alternatives one of whose words is there."""
        hinted = [own for hint, own in self._by_hint.items() if hint in lowered]
        return dict.fromkeys(pattern for own in hinted for pattern in own)

    def around(self, text: str, reach: int, furthest: int) -> list[re.Match[str]]:
        """Return matches around the first few places of each word, in order of where they start.

        A match begins and ends within `reach` characters of the word; of what comes after
        `furthest` characters no word is looked for.
        """
        lowered = text[:furthest].lower()
        found: dict[int, re.Match[str]] = {}
        for hint in [word for word in self._by_hint if word in lowered]:
            patterns, place = self._by_hint[hint], lowered.find(hint)
            for _ in range(_MOST_PLACES):
                if place < 0:
                    break
                for pattern in patterns:
                    one = pattern.search(text, max(0, place - reach), place + reach)
                    if one is not None:
                        found.setdefault(one.start(), one)
                place = lowered.find(hint, place + reach)
        return [found[start] for start in sorted(found)]
