"""Edit a recorded LangGraph checkpoint by the names its application knows.

A path may begin with a state key (`messages/3/content`), with `input` (what the graph was given,
before its first step), `sends` (the arguments of pending `Send`s: `sends/0/arg/topic`), `resume`
(the user's answer to an interrupt), or lead through the recorded JSON itself
(`checkpoint/channel_values/…`). Messages, models and dataclasses are entered by their fields.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

import msgspec
from langchain_core.messages import BaseMessage, convert_to_messages

from agenttrace.edits import Edit, apply_edits, steps_of
from agenttrace.errors import EditError

START = "__start__"
_SENDS = "__pregel_tasks"
_VALUES = ("checkpoint", "channel_values")
_OF_A_SEND = {"node": "0", "arg": "1"}


def edited(
    text: str, config: Mapping[str, Any], edits: Sequence[Edit], channels: Collection[str]
) -> tuple[str, dict[str, Any]]:
    """Return a checkpoint's state and config with the edits made.

    `channels` are the state keys that the graph has. Raises EditError for an edit that does not
    fit.
    """
    tree, changed = msgspec.json.decode(text), dict(config)
    for edit in edits:
        steps = steps_of(edit.path)
        if steps[:1] == ["resume"]:
            changed = apply_edits(changed, [Edit(_pointer(steps), edit.value)], inside)
            continue
        place = _place(tree, steps, channels, edit)
        before = _at(tree, place)
        tree = apply_edits(tree, [Edit(_pointer(place), edit.value)], inside)
        changed["inboxes"] = _retold(changed.get("inboxes") or {}, before, edit.value)
    _complete(tree["checkpoint"])
    return msgspec.json.encode(tree).decode(), changed


def inside(value: Any) -> Any:
    """Return the fields of a message, a model or a dataclass as they are written in a state."""
    if isinstance(value, dict) and value.keys() == {"$ext", "value"}:
        written = value["value"]
        if isinstance(written, list) and len(written) >= 3 and isinstance(written[2], (dict, list)):
            return written[2]
    return value


def as_messages(value: Any) -> Any:
    """Return a conversation whose new messages were given as plain `role` and `content`."""
    if not isinstance(value, list) or not any(_is_plain_message(item) for item in value):
        return value
    if not all(isinstance(item, BaseMessage) or _is_plain_message(item) for item in value):
        return value
    return convert_to_messages(value)


def _is_plain_message(item: Any) -> bool:
    return isinstance(item, dict) and ("role" in item or "type" in item) and "content" in item


def _place(
    tree: Any, steps: Sequence[str], channels: Collection[str], edit: Edit
) -> tuple[str, ...]:
    if not steps:
        raise EditError(f"An edit of the whole state is not possible: name a part of {_has(tree)}")
    values = tree["checkpoint"]["channel_values"]
    first, rest = steps[0], steps[1:]
    if first == "channel_values":
        return ("checkpoint", *steps)
    if first in values:
        return (*_VALUES, *steps)
    if first == "input" and START in values:
        return (*_VALUES, START, *rest)
    if first == "sends" and _SENDS in values:
        part = [_OF_A_SEND.get(rest[1], rest[1])] if len(rest) > 1 else []
        return (*_VALUES, _SENDS, *rest[:1], *part, *rest[2:])
    if first in ("checkpoint", "writes"):
        return tuple(steps)
    given = inside(values.get(START))
    if isinstance(given, dict) and (first in given or first in channels):
        return (*_VALUES, START, *steps)
    if first in channels:
        return (*_VALUES, *steps)
    raise EditError(f"Edit of {edit.path!r}: the state has no {first!r}; it has {_has(tree)}")


def _has(tree: Any) -> str:
    values = tree["checkpoint"]["channel_values"]
    names = [name for name in values if not name.startswith(("__", "branch:", "join:"))]
    given = inside(values.get(START))
    names += [f"input/{name}" for name in given] if isinstance(given, dict) else []
    names += ["sends"] if values.get(_SENDS) else []
    return ", ".join(sorted(names)) or "nothing"


def _pointer(steps: Iterable[str]) -> str:
    return "".join("/" + step.replace("~", "~0").replace("/", "~1") for step in steps)


def _at(tree: Any, steps: Iterable[str]) -> Any:
    for step in steps:
        tree = inside(tree)
        try:
            tree = tree[int(step)] if isinstance(tree, list) else tree[step]
        except (KeyError, IndexError, TypeError, ValueError):
            return None
    return tree


def _retold(inboxes: Mapping[str, Any], before: Any, after: Any) -> dict[str, Any]:
    """Return what was said to the next nodes, where the edit changes the very words."""
    if not isinstance(before, str) or not isinstance(after, str):
        return dict(inboxes)
    return {
        name: {**said, "content": after} if said.get("content") == before else said
        for name, said in inboxes.items()
    }


def _complete(checkpoint: dict[str, Any]) -> None:
    """Give a state key that had no value a version: without one it is not loaded."""
    versions = checkpoint["channel_versions"]
    newest = max(versions.values(), default=None)
    for name in checkpoint["channel_values"]:
        if newest is not None:
            versions.setdefault(name, newest)
