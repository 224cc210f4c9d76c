"""Requirements a task states in so many words, and whether an answer keeps to them."""

import json
import re
from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Final

import msgspec

_NAMES: Final = r"one|two|three|four|five|six|seven|eight|nine|ten"
_NUMBERS: Final = {name: number for number, name in enumerate(_NAMES.split("|"), 1)}
_COUNT: Final = rf"(?P<n>\d+|{_NAMES})"
_BAREST: Final = 4
"""So many words are still a bare number or name, with a unit or a title."""
_COUNT_TOO: Final = rf"(?:\d+|{_NAMES})\b"
_ENDS_SENTENCE: Final = re.compile(r"[.!?](?=\s|$)|\n")


class Broken(msgspec.Struct, frozen=True):
    """A requirement, where the task states it, and what the answer does instead."""

    start: int
    end: int
    instead: str


Check = Callable[[str, int], str | None]


def _words(answer: str, most: int) -> str | None:
    count = len(answer.split())
    return f"{count} words" if count > most * 1.1 else None


def _paragraphs(answer: str, most: int) -> str | None:
    # An empty line first: what follows an empty line and is none begins a paragraph.
    lines = [bool(line.strip()) for line in ("", *answer.splitlines())]
    count = sum(filled and not before for before, filled in pairwise(lines))
    return f"{count} paragraphs" if count > most else None


def _sentences(answer: str, most: int) -> str | None:
    count = sum(any(map(str.isalpha, part)) for part in _ENDS_SENTENCE.split(answer))
    # Abbreviations and decimals end no sentence: one more is not certain.
    return f"{count} sentences" if count > most + 1 else None


def _json(answer: str, _: int) -> str | None:
    fenced = re.search(r"```(?:json)?\s*\n(.*?)```", answer, re.DOTALL)
    try:
        json.loads(fenced[1] if fenced else answer)
    except (ValueError, RecursionError):
        return "text that is no JSON"
    return None


def _items(answer: str, wanted: int) -> str | None:
    count = len(re.findall(r"^\s*(?:[-*•]|\d+[.)])\s+\S", answer, re.MULTILINE))
    return f"{count} items" if count and count != wanted else None


def _numbered(answer: str, wanted: int) -> str | None:
    # Only a single list that counts from one: anything else may number something else.
    told = [int(number) for number in re.findall(r"^(\d{1,3})[.)]\s+\S", answer, re.MULTILINE)]
    counts = len(told) > 1 and told == list(range(1, len(told) + 1))
    return f"a list of {len(told)}" if counts and len(told) != wanted else None


def _bare(answer: str, _: int) -> str | None:
    said = answer.rpartition("FINAL ANSWER:")[2].split()
    return f"{len(said)} words" if len(said) > _BAREST else None


_CHECKS: Final[tuple[tuple[re.Pattern[str], Check], ...]] = (
    (
        re.compile(
            r"\b(?:at most|no more than|not more than|up to|under|maximum(?: of)?|max\.?|within"
            rf"|fewer than|less than) {_COUNT} words\b",
            re.IGNORECASE,
        ),
        _words,
    ),
    (
        re.compile(
            r"(?:^|[.:;]\s+|\b(?:in|as|only|write|answer with) )(?:a single|exactly )?"
            rf"{_COUNT}? ?paragraphs?(?= *(?:[.,;\n]|$| only))",
            re.IGNORECASE,
        ),
        _paragraphs,
    ),
    (
        re.compile(
            rf"\b(?:in|with|at most|no more than|use|exactly) {_COUNT} sentences?\b", re.IGNORECASE
        ),
        _sentences,
    ),
    (
        re.compile(
            r"\b(?:answer|respond|reply|return|output|result)\b[^.\n]{0,40}"
            r"\b(?:in|as|only|valid)(?: a| an| only| valid| single)* JSON\b"
            r"(?! schema| file| string)",
            re.IGNORECASE,
        ),
        _json,
    ),
    (
        re.compile(
            rf"\b(?:exactly|a list of) {_COUNT} (?:bullet points?|bullets|items|points)\b",
            re.IGNORECASE,
        ),
        _items,
    ),
    (
        re.compile(
            rf"\b(?:suggest|propose|recommend|brainstorm|come up with|list|name|give (?:me|us)) "
            rf"(?:me |us )?(?:the |exactly )?(?:top |best )?{_COUNT} "
            r"(?:(?!to |or |and )[a-z-]+ ){0,2}"
            r"(?!words|sentences|paragraphs|pages|lines|characters|tokens|seconds|minutes|hours|days"
            rf"|weeks|months|years)[a-z-]+s\b(?!,? (?:and|or) {_COUNT_TOO})",
            re.IGNORECASE,
        ),
        _numbered,
    ),
    (
        re.compile(
            r"\b(?:answer|respond|reply|return|output)\b[^.\n]{0,20}"
            r"\b(?:just|only|nothing but) (?:with )?(?:a |an |one |the )?(?:single )?"
            r"(?:number|integer|figure|word|letter|name)(?= *(?:[.;,\n]|$))",
            re.IGNORECASE,
        ),
        _bare,
    ),
)


def broken(task: str, answer: str) -> Iterator[Broken]:
    """Yield each requirement on the answer's form that the task states and the answer breaks."""
    for pattern, check in _CHECKS:
        for found in pattern.finditer(task[:8000]):
            said = (found.groupdict().get("n") or "1").lower()
            instead = check(answer, _NUMBERS.get(said) or int(said if said.isdigit() else 1))
            if instead:
                yield Broken(found.start(), found.end(), instead)
                break
