"""Make edits in a recorded state: of a message wherever the state has it, or of any one value.

A team keeps each chat message in up to three places: the manager's thread, the buffers of those who
have not yet answered it, and, in the model's form and without its id, the contexts of those who
have. An edit of a message in the thread or in a buffer is made in all of them.
"""

import copy
from collections.abc import Iterator, Sequence
from typing import Any

from agenttrace.edits import Edit, apply_edits, steps_of
from agenttrace.errors import EditError

_THREADS = ("message_thread", "message_buffer")


def edited(state: Any, edits: Sequence[Edit], manager: str | None) -> Any:
    """Return the state with each edit made, in order.

    `messages/<index or id>` stands for that message of the thread of `manager` (its content, if
    nothing follows); any other path leads into the state itself.
    """
    state = copy.deepcopy(state)
    for edit in edits:
        state = _edited(state, edit, manager)
    return state


def _edited(state: Any, edit: Edit, manager: str | None) -> Any:
    steps = steps_of(edit.path)
    if steps[:1] == ["messages"] and "messages" not in state:
        message = _named(state, edit, steps, manager)
        field = steps[2:] or ["content"]
    else:
        message, field = _at(state, steps)
    if message is None or not field:
        return apply_edits(state, [edit])
    within = Edit("/" + "/".join(_escaped(field)), edit.value)
    return _everywhere(state, message, apply_edits(message, [within]))


def _named(state: Any, edit: Edit, steps: list[str], manager: str | None) -> Any:
    thread = _thread(state, manager)
    wanted = steps[1] if len(steps) > 1 else ""
    for message in thread:
        if message.get("id") == wanted:
            return message
    try:
        return thread[int(wanted)]
    except (ValueError, IndexError):
        known = "; ".join(
            f"{number}: {message.get('source')}" for number, message in enumerate(thread)
        )
        raise EditError(
            f"Edit of {edit.path!r}: the thread has no message {wanted!r}; it has {known or 'none'}"
        ) from None


def _thread(state: Any, manager: str | None) -> list[Any]:
    members = state.get("agent_states", {})
    thread: list[Any] = members.get(manager, {}).get("message_thread", [])
    return thread


def _at(state: Any, steps: list[str]) -> tuple[Any, list[str]]:
    """The chat message that a path leads into, and how it goes on there; None if it does not."""
    place = state
    for number, step in enumerate(steps):
        if isinstance(place, dict) and step in place:
            place = place[step]
        elif isinstance(place, list) and step.lstrip("-").isdigit():
            try:
                place = place[int(step)]
            except IndexError:
                return None, []
            if number and steps[number - 1] in _THREADS and "id" in place:
                return place, steps[number + 1 :]
        else:
            return None, []
    return None, []


def _everywhere(state: Any, old: Any, new: Any) -> Any:
    """Replace a chat message, and what model contexts have of it."""
    occurrence = _occurrence(state, old)
    before, after = _words(old), _words(new)
    if before is not None and after is not None and before != after:
        for context in _contexts(state):
            _reword(context, old["source"], before, after, occurrence)
    return _replaced(state, old["id"], new)


def _replaced(state: Any, message_id: str, new: Any) -> Any:
    if isinstance(state, dict):
        if state.get("id") == message_id and "source" in state:
            return {**state, **new}
        return {key: _replaced(value, message_id, new) for key, value in state.items()}
    if isinstance(state, list):
        return [_replaced(value, message_id, new) for value in state]
    return state


def _words(message: Any) -> str | None:
    content = message.get("content")
    return content if isinstance(content, str) else None


def _occurrence(state: Any, message: Any) -> int:
    """How many messages with the same words its author had said before, by the threads."""
    for thread in _lists(state, "message_thread"):
        same = [
            each.get("id")
            for each in thread
            if (each.get("source"), each.get("content")) == (message["source"], message["content"])
        ]
        if message["id"] in same:
            return same.index(message["id"])
    return 0


def _contexts(state: Any) -> Iterator[list[Any]]:
    for name in ("messages", "context"):
        for messages in _lists(state, name):
            if all(isinstance(each, dict) and "type" in each for each in messages):
                yield messages


def _lists(state: Any, name: str) -> Iterator[list[Any]]:
    if isinstance(state, dict):
        for key, value in state.items():
            if key == name and isinstance(value, list):
                yield value
            yield from _lists(value, name)
    elif isinstance(state, list):
        for value in state:
            yield from _lists(value, name)


def _reword(context: list[Any], source: str, before: str, after: str, occurrence: int) -> None:
    same = [
        each for each in context if each.get("source") == source and each.get("content") == before
    ]
    # A context that was cut (a buffer of the last n) may have fewer of them: then the last.
    for each in same[occurrence : occurrence + 1] or same[-1:]:
        each["content"] = after


def _escaped(steps: list[str]) -> list[str]:
    return [step.replace("~", "~0").replace("/", "~1") for step in steps]
