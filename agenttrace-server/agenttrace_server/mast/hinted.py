"""Patterns that are tried only where one of their words is: words are found fast, patterns slow."""

import re
from collections.abc import Iterator, Mapping
from typing import Final

_MOST_PLACES: Final = 3


class Hinted:
    """A pattern, told as its alternatives, each with words in lower case of which a match has one.

    That a match has one is tested with texts made from each alternative.
    """

    __slots__ = ("alternatives", "hints", "pattern")

    def __init__(self, alternatives: Mapping[str, tuple[str, ...]], flags: re.RegexFlag) -> None:
        self.alternatives = alternatives
        self.pattern = re.compile("|".join(alternatives), flags)
        words = dict.fromkeys(word for own in alternatives.values() for word in own)
        self.hints = tuple(w for w in words if not any(o != w and o in w for o in words))

    def search(self, text: str, lowered: str | None = None) -> re.Match[str] | None:
        """Return the first match in a text; `lowered` is the text in lower case, if it is known."""
        lowered = text.lower() if lowered is None else lowered
        hinted = any(hint in lowered for hint in self.hints)
        return self.pattern.search(text) if hinted else None

    def places(self, lowered: str) -> Iterator[int]:
        """Yield where in a text a match may be: the first few places of each of the words."""
        for hint in self.hints:
            place = lowered.find(hint)
            for _ in range(_MOST_PLACES):
                if place < 0:
                    break
                yield place
                place = lowered.find(hint, place + len(hint))
