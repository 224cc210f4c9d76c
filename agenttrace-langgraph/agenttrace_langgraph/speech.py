"""Find what an agent really said in what a node was given and what it returned.

Works on live LangChain messages and on every JSON form of them, and imports none of it: the same
rules read a running graph and a recorded one.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

UNNAMED = frozenset({"__root__", "__end__"})
"""Channels whose value is the whole state or the whole return value."""

_ENDS = frozenset({"__end__", "END", "FINISH", "FINISHED", "end", "finish"})
_ROLES = {"human": "user", "ai": "assistant", "AIMessageChunk": "assistant"}
_CLASSES = {
    "HumanMessage": "user",
    "AIMessage": "assistant",
    "AIMessageChunk": "assistant",
    "SystemMessage": "system",
    "ToolMessage": "tool",
    "FunctionMessage": "tool",
    "ChatMessage": "assistant",
    "RemoveMessage": "remove",
}
_KNOWN_ROLES = frozenset(
    {"user", "assistant", "system", "developer", "tool", "function", "human", "ai", "remove"}
)


class Utterance(NamedTuple):
    """One chat message: `role` is user, assistant, system, tool or remove."""

    role: str
    text: str
    calls: tuple[Mapping[str, Any], ...] = ()
    identity: Any = None
    name: str | None = None


def said(update: Any, before: Any = None, *, last: bool = False, routes: Iterable[str] = ()) -> Any:
    """Return what a node said by returning `update` after it was given `before`; None if nothing.

    The text of its new messages (of the last one only, where `last`), else what it changed in the
    state, else the tools it asked for. Where a tool did it, the tool's arguments, else its answer.
    Fields that only name where to go next (`routes`) are no speech.
    """
    if not isinstance(update, Mapping):
        update = {"__root__": update} if update is not None else {}
    spoken: list[Utterance] = []
    rest: dict[str, Any] = {}
    for key, value in update.items():
        value = _unwrap(value)
        found = utterances(value)
        if found is not None:
            known = _identities(_field(before, key))
            spoken += [u for u in found if u.identity not in known and not _is_formality(u)]
        elif speaks(value) and not _same(value, _field(before, key)):
            rest[key] = value
    words = _words(spoken, last)
    if words:
        return words
    places = _ENDS.union(routes)
    rest = {key: value for key, value in rest.items() if not _names_places(value, places)}
    if any(u.role == "tool" for u in spoken):  # a handoff by a tool: its arguments are the message
        return _arguments(spoken) or spoken[-1].text or rest or None
    if rest:
        return next(iter(rest.values())) if rest.keys() <= UNNAMED else rest
    return _calls(spoken)


def asked(given: Any) -> Any:
    """Return what a graph or node was asked by being given `given`: its last message, else all."""
    if isinstance(given, str) or given is None:
        return given
    fields = _fields(given)
    for value in fields.values() if fields is not None else (given,):
        found = utterances(value)
        if found:
            texts = [u.text for u in found if u.text and u.role not in ("system", "remove")]
            return texts[-1] if texts else _calls(found) or given
    return given


def speaks(update: Any) -> bool:
    """Whether `update` holds anything at all; cheap, to be refined by `said`."""
    if isinstance(update, Mapping):
        return any(speaks(value) for value in update.values())
    return update is not None and not (isinstance(update, (str, list, tuple)) and not update)


def utterances(value: Any) -> list[Utterance] | None:
    """Return the chat messages in `value`, None where it is something else."""
    one = _utterance(value, alone=True)
    if one is not None:
        return [one]
    if not isinstance(value, (list, tuple)) or not value:
        return None
    found = [_utterance(item, alone=False) for item in value]
    return [u for u in found if u is not None] if all(found) else None


def system_prompt(messages: Sequence[Any]) -> str | None:
    """Return the text of the first system message, None where there is none."""
    for message in messages:
        if _is_langchain(type(message)) and vars(message).get("type") != "system":
            continue
        one = _utterance(message, alone=False)
        if one is not None and one.role in ("system", "developer"):
            return one.text or None
    return None


def first_line(text: str | None) -> str | None:
    """Return the first line that says something, at most 200 characters of it."""
    while text:
        line, _, text = text.partition("\n")
        if stripped := line.strip(" \t\r#*"):
            return stripped[:200]
    return None


def text_of(content: Any) -> str:
    """Return the text of a message's content: a text, or blocks some of which are text."""
    if isinstance(content, str):
        return content
    if isinstance(content, list):
        parts = (
            block if isinstance(block, str) else block.get("text")
            for block in content
            if isinstance(block, str) or (isinstance(block, Mapping) and block.get("text"))
        )
        return "\n".join(str(part) for part in parts)
    return "" if content is None else str(content)


def _utterance(value: Any, *, alone: bool) -> Utterance | None:
    if isinstance(value, Mapping):
        return _from_mapping(value)
    if _is_langchain(type(value)):
        fields = vars(value)
        role = fields.get("role") or fields.get("type") or "assistant"
        return _build(role, fields, value)
    if alone:
        return None
    if isinstance(value, str):
        return None
    if (
        isinstance(value, (tuple, list))
        and len(value) == 2
        and isinstance(value[0], str)
        and value[0] in _KNOWN_ROLES
        and isinstance(value[1], (str, list))
    ):
        return Utterance(_ROLES.get(value[0], value[0]), text_of(value[1]), (), object())
    return None


def _from_mapping(value: Mapping[str, Any]) -> Utterance | None:
    if "lc" in value and isinstance(value.get("kwargs"), Mapping):
        kind = (value.get("id") or [""])[-1]
        return _build(_CLASSES[kind], value["kwargs"], value) if kind in _CLASSES else None
    if isinstance(value.get("data"), Mapping) and value.get("type") in _KNOWN_ROLES | set(_ROLES):
        return _build(str(value["type"]), value["data"], value)
    role = value.get("role") or value.get("type")
    if role in _KNOWN_ROLES | set(_ROLES) and ("content" in value or "tool_calls" in value):
        return _build(str(role), value, value)
    return None


def _build(role: str, fields: Mapping[str, Any], message: Any) -> Utterance:
    calls = fields.get("tool_calls") or ()
    # A message without an id is new wherever it is met: an id is given when it enters the state.
    identity = fields.get("id") or id(message)
    text, name = text_of(fields.get("content")), fields.get("name")
    return Utterance(_ROLES.get(role, role), text, tuple(calls), identity, name)


_langchain: dict[type, bool] = {}


def _is_langchain(kind: type) -> bool:
    known = _langchain.get(kind)
    if known is None:
        known = _langchain[kind] = any(
            c.__name__ == "BaseMessage" and c.__module__.startswith("langchain")
            for c in kind.__mro__
        )
    return known


def _is_formality(utterance: Utterance) -> bool:
    """Whether nobody said this: a deletion, or the "Transferring back" of a prebuilt supervisor."""
    if utterance.role == "remove":
        return True
    names = [call.get("name") for call in utterance.calls if isinstance(call, Mapping)]
    if utterance.role == "tool":
        names.append(utterance.name)
    return any(str(name).startswith("transfer_back_to_") for name in names)


def _words(spoken: Sequence[Utterance], last: bool) -> str | None:
    """Return the text after the last tool result: what led there was work, not speech."""
    words: list[str] = []
    for utterance in reversed(spoken):
        if utterance.role in ("tool", "function"):
            if words or not last:
                break
            continue
        if utterance.text:
            words.append(utterance.text)
            if last:
                break
    if not words:
        words = [u.text for u in reversed(spoken) if u.text and u.role == "assistant"][:1]
    return "\n\n".join(reversed(words)) or None


def _calls(spoken: Sequence[Utterance]) -> Any:
    """Return the arguments of the last tool calls that have any, with the tool's name."""
    for utterance in reversed(spoken):
        asked_for = [call for call in utterance.calls if isinstance(call, Mapping)]
        if any(call.get("args") or call.get("arguments") for call in asked_for):
            return [
                {"tool": call.get("name"), "args": call.get("args") or call.get("arguments")}
                for call in asked_for
            ]
    return None


def _arguments(spoken: Sequence[Utterance]) -> Any:
    """Return what the last tool calls were told: one text as it is, anything else as a mapping."""
    calls = _calls(spoken)
    if not calls:
        return None
    if len(calls) > 1:
        return calls
    args = calls[0]["args"]
    values = list(args.values()) if isinstance(args, Mapping) else [args]
    return values[0] if len(values) == 1 and isinstance(values[0], str) else args


def _identities(value: Any) -> set[Any]:
    items = value if isinstance(value, (list, tuple)) else (value,)
    return {_identity(item) for item in items}


def _identity(message: Any) -> Any:
    if isinstance(message, Mapping):
        found = _from_mapping(message)
        return found.identity if found is not None else id(message)
    return (vars(message).get("id") if _is_langchain(type(message)) else None) or id(message)


def _fields(state: Any) -> Mapping[str, Any] | None:
    if isinstance(state, Mapping):
        return state
    fields = getattr(state, "__dict__", None)
    return fields if isinstance(fields, dict) and not _is_langchain(type(state)) else None


def _field(state: Any, key: str) -> Any:
    if key in UNNAMED and not (isinstance(state, Mapping) and key in state):
        return state if key == "__root__" else None
    fields = _fields(state)
    return None if fields is None else fields.get(key)


def _unwrap(value: Any) -> Any:
    """Return what LangGraph's `Overwrite` holds, any other value as it is."""
    return value.value if type(value).__name__ == "Overwrite" else value


def _same(one: Any, other: Any) -> bool:
    if one is other:
        return True
    try:
        return bool(one == other)
    except Exception:  # noqa: BLE001 - arrays and the like refuse to be compared
        return False


def _names_places(value: Any, places: frozenset[str]) -> bool:
    if isinstance(value, str):
        return value in places
    return (
        isinstance(value, (list, tuple))
        and bool(value)
        and all(isinstance(item, str) and item in places for item in value)
    )
