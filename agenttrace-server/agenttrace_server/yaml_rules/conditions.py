"""The conditions of a rule, as functions from a value to whether it holds.

A regular expression that takes too long costs its own rule, never the analysis: `regex` ends a
search by the clock, which `re` cannot.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final, TypeAlias

import regex

from agenttrace.errors import InvalidRules
from agenttrace_server.yaml_rules.place import Place

Condition: TypeAlias = Callable[[Any], "Match | None"]

LONGEST_PATTERN: Final = 1000
LONGEST_TEXT: Final = 100_000
"""Characters of a text that are searched."""
SEARCH_SECONDS: Final = 0.1


class Match:
    """That a condition holds, and the part of a text [start, end) that made it so, if one did."""

    __slots__ = ("end", "start")

    def __init__(self, start: int | None = None, end: int | None = None) -> None:
        self.start, self.end = start, end


HOLDS: Final = Match()


class TooSlow(Exception):
    """A regular expression took longer than it may."""


def condition(given: Any, where: Place) -> Condition:
    """Return the condition a YAML value stands for; raises `InvalidRules` naming `where`.

    A plain value means that it is equal, a list that it is one of them, a mapping names operators
    which must all hold.
    """
    if isinstance(given, Mapping):
        if not given:
            raise InvalidRules(f"{where}: no condition; allowed: {', '.join(OPERATORS)}")
        parts = [_operator(str(name), value, where) for name, value in given.items()]
        return lambda value: _all(parts, value)
    if isinstance(given, list):
        return _one_of(given, where)
    _scalar(given, where)
    return lambda value: HOLDS if _same(value, given) else None


def _operator(name: str, given: Any, where: Place) -> Condition:
    make = OPERATORS.get(name)
    if make is None:
        raise InvalidRules(f"{where}: no operator {name!r}; allowed: {', '.join(OPERATORS)}")
    return make(given, where.at(name))


def _all(parts: list[Condition], value: Any) -> Match | None:
    best = HOLDS
    for part in parts:
        held = part(value)
        if held is None:
            return None
        best = held if held.start is not None else best
    return best


def _is(given: Any, where: Place) -> Condition:
    _scalar(given, where)
    return lambda value: HOLDS if _same(value, given) else None


def _one_of(given: Any, where: Place) -> Condition:
    if not isinstance(given, list) or not given:
        raise InvalidRules(f"{where}: {given!r} is no list of values")
    for item in given:
        _scalar(item, where)
    return lambda value: HOLDS if any(_same(value, item) for item in given) else None


def _not(given: Any, where: Place) -> Condition:
    inner = condition(given, where)
    return lambda value: HOLDS if inner(value) is None else None


def _exists(given: Any, where: Place) -> Condition:
    if not isinstance(given, bool):
        raise InvalidRules(f"{where}: {given!r} is neither true nor false")
    return lambda value: HOLDS if (value is not None) is given else None


def _contains(given: Any, where: Place) -> Condition:
    if not isinstance(given, str) or not given:
        raise InvalidRules(f"{where}: {given!r} is no text")
    sought = given.lower()

    def holds(value: Any) -> Match | None:
        at = -1 if value is None else str(value)[:LONGEST_TEXT].lower().find(sought)
        return None if at < 0 else Match(at, at + len(sought))

    return holds


def _matches(given: Any, where: Place) -> Condition:
    if not isinstance(given, str) or not given:
        raise InvalidRules(f"{where}: {given!r} is no regular expression")
    if len(given) > LONGEST_PATTERN:
        raise InvalidRules(f"{where}: longer than {LONGEST_PATTERN} characters")
    try:
        pattern = regex.compile(given)
    except regex.error as error:
        raise InvalidRules(f"{where}: {given!r} is no regular expression: {error}") from None

    def holds(value: Any) -> Match | None:
        if value is None:
            return None
        try:
            found = pattern.search(str(value)[:LONGEST_TEXT], timeout=SEARCH_SECONDS)
        except TimeoutError:
            raise TooSlow(f"{where}: {given!r} took longer than {SEARCH_SECONDS} s") from None
        return None if found is None else Match(*found.span())

    return holds


def _compared(holds: Callable[[float, float], bool]) -> Callable[[Any, Place], Condition]:
    def make(given: Any, where: Place) -> Condition:
        if isinstance(given, bool) or not isinstance(given, int | float):
            raise InvalidRules(f"{where}: {given!r} is no number")
        return lambda value: (
            HOLDS if (n := _number(value)) is not None and holds(n, given) else None
        )

    return make


OPERATORS: Final[Mapping[str, Callable[[Any, Place], Condition]]] = {
    "is": _is,
    "in": _one_of,
    "not": _not,
    "exists": _exists,
    "contains": _contains,
    "matches": _matches,
    "above": _compared(lambda value, limit: value > limit),
    "at_least": _compared(lambda value, limit: value >= limit),
    "below": _compared(lambda value, limit: value < limit),
    "at_most": _compared(lambda value, limit: value <= limit),
}

NUMERIC: Final = ("is", "above", "at_least", "below", "at_most")
"""Those that make sense for a count."""


def _scalar(given: Any, where: Place) -> None:
    if given is not None and not isinstance(given, str | int | float | bool):
        raise InvalidRules(f"{where}: {given!r} is neither text nor number nor true, false or null")


def _same(value: Any, given: Any) -> bool:
    # YAML reads `1` as a number and `yes` as true where the attribute may be a text.
    if isinstance(given, bool) or isinstance(value, bool):
        return value is given or str(value).lower() == str(given).lower()
    return bool(value == given) or (value is not None and str(value) == str(given))


def _number(value: Any) -> float | None:
    if isinstance(value, bool) or value is None:
        return None
    try:
        return float(value)
    except (TypeError, ValueError):
        return None
