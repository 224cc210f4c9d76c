"""Change a checkpoint's state before it runs again, and refuse what would not fit."""

import copy
from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeAlias

import msgspec

from agenttrace.errors import EditError

JSON: TypeAlias = Any
"""None, bool, int, float, str, list, and dict with str keys."""

Inside: TypeAlias = Callable[[JSON], JSON]
"""Takes a value on an edit's way; returns the part of it the way goes on in, or the value."""


class Edit(msgspec.Struct, frozen=True):
    """A change: `path` leads into the state, `value` (plain JSON) takes the place of what is there.

    A path is a JSON Pointer (`/messages/3/content`) or the same with dots or slashes and no slash
    in front (`messages.3.content`); `-1` is a list's last item.
    """

    path: str
    value: Any = None


def steps_of(path: str) -> list[str]:
    """Return a path's steps: of a JSON Pointer with its escapes, else between dots or slashes."""
    if path.startswith("/"):
        return [part.replace("~1", "/").replace("~0", "~") for part in path[1:].split("/")]
    return [part for part in path.replace("/", ".").split(".") if part]


def apply_edits(state: JSON, edits: Iterable[Edit], inside: Inside = lambda value: value) -> JSON:
    """Return a copy of `state` with each edit made, in order; raise EditError for one that is not.

    An edit may replace a value by one of the same JSON type, replace null by anything, add a key to
    an object, and add an item at the end of a list (step `-`). `inside` lets a framework say what a
    value of its own stands for: where a chat message is written with its class around it, say.
    """
    changed = copy.deepcopy(state)
    for edit in edits:
        changed = _apply(changed, edit, inside)
    return changed


def _apply(state: JSON, edit: Edit, inside: Inside) -> JSON:
    steps = steps_of(edit.path)
    if not steps:
        _check_type(edit, state)
        return copy.deepcopy(edit.value)
    place = inside(state)
    for depth, step in enumerate(steps[:-1]):
        place = inside(_child(place, step, edit, steps[:depth]))
    _put(place, steps[-1], edit, steps[:-1])
    return state


def _child(place: JSON, step: str, edit: Edit, before: Sequence[str]) -> JSON:
    if isinstance(place, dict) and step in place:
        return place[step]
    if isinstance(place, list) and (index := _index(place, step)) is not None:
        return place[index]
    raise EditError(_nothing_there(edit, step, before, place))


def _put(place: JSON, step: str, edit: Edit, before: Sequence[str]) -> None:
    value = copy.deepcopy(edit.value)
    if isinstance(place, dict):
        if step in place:
            _check_type(edit, place[step])
        place[step] = value
    elif isinstance(place, list) and step == "-":
        place.append(value)
    elif isinstance(place, list) and (index := _index(place, step)) is not None:
        _check_type(edit, place[index])
        place[index] = value
    else:
        raise EditError(_nothing_there(edit, step, before, place))


def _index(items: list[JSON], step: str) -> int | None:
    try:
        index = int(step)
    except ValueError:
        return None
    return index if -len(items) <= index < len(items) else None


def _check_type(edit: Edit, old: JSON) -> None:
    if (problem := type_problem(old, edit.value)) is not None:
        raise EditError(f"Edit of {edit.path!r}: {problem}")


def type_problem(old: JSON, new: JSON) -> str | None:
    """Return why `new` cannot take the place of `old` in a state, None if it can."""
    was, now = json_type(old), json_type(new)
    if old is None or was == now:
        return None
    return f"there is {_a(was)} ({_shown(old)}), and the new value is {_a(now)}"


def json_type(value: JSON) -> str:
    """Return the JSON type of a value: null, boolean, number, text, list or object."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, (int, float)):
        return "number"
    if isinstance(value, str):
        return "text"
    return "list" if isinstance(value, (list, tuple)) else "object"


def _nothing_there(edit: Edit, step: str, before: Sequence[str], place: JSON) -> str:
    where = "/".join(before) or "the state"
    if isinstance(place, dict):
        names = ", ".join(sorted(place)[:20]) or "nothing"
        return f"Edit of {edit.path!r}: {where} has no {step!r}; it has {names}"
    if isinstance(place, list):
        return (
            f"Edit of {edit.path!r}: {where} has {len(place)} items, and {step!r} is none of them"
        )
    return f"Edit of {edit.path!r}: {where} is {_a(json_type(place))} ({_shown(place)})"


def _a(name: str) -> str:
    return "null" if name == "null" else f"an {name}" if name == "object" else f"a {name}"


def _shown(value: JSON) -> str:
    text = msgspec.json.encode(value, enc_hook=repr).decode()
    return text if len(text) <= 60 else f"{text[:60]}…"
