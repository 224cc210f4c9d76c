"""Write a LangGraph checkpoint as JSON that people can read, redact and edit, and read it back.

It is what LangGraph's own serialiser writes, spelled out: MessagePack's extension types, by which
that names classes and their arguments, become `{"$ext": code, "value": …}`; bytes, NaN, and
mappings with keys that are no text or hold a `$` get a form of their own. So nothing is lost, a
message's text stands there as text, and what LangGraph cannot write raises here as it does there.
"""

import base64
import math
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import msgspec
import ormsgpack
from langchain_core.messages import BaseMessage
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer

FORMAT = "langgraph/1"

Known: TypeAlias = dict[int, tuple[BaseMessage, msgspec.Raw]]
"""Chat messages and their JSON by the message's `id()`."""

Write: TypeAlias = tuple[str, str, Any]
"""What a task wrote: (task id, channel, value)."""

_serializer = JsonPlusSerializer()
_OPTIONS = ormsgpack.OPT_NON_STR_KEYS


def dump(
    checkpoint: Mapping[str, Any], known: Known | None = None, writes: Sequence[Write] = ()
) -> str:
    """Return a checkpoint as JSON text: `{"format": "langgraph/1", "checkpoint": {…}}`.

    `writes` are what tasks of the step that is about to run had written before, in an earlier run
    that was interrupted or failed; they are there as `writes`, if there are any. `known` keeps each
    chat message's JSON from one checkpoint of a run to the next: a conversation is repeated in all
    of them, and spelling it out anew is what would take the time.
    """
    known = {} if known is None else known
    values: Mapping[str, Any] = checkpoint.get("channel_values", {})
    talks = {name: value for name, value in values.items() if _is_conversation(value)}
    rest = {name: value for name, value in values.items() if name not in talks}
    tree = _spelled({**checkpoint, "channel_values": rest})
    for name, messages in talks.items():
        tree["channel_values"][name] = [_message(message, known) for message in messages]
    whole = {"format": FORMAT, "checkpoint": tree}
    if writes:
        whole["writes"] = [[task, channel, _spelled(value)] for task, channel, value in writes]
    return msgspec.json.encode(whole).decode()


def dump_value(value: Any, known: Known | None = None) -> str:
    """Return one value, such as a tool's result, as JSON text: `{"format": …, "value": …}`."""
    known = {} if known is None else known
    if _is_conversation(value):
        tree: Any = [_message(message, known) for message in value]
    else:
        tree = _spelled(value)
    return msgspec.json.encode({"format": FORMAT, "value": tree}).decode()


def load_value(text: str) -> Any:
    """Return what `dump_value` wrote; raise ValueError for text that it did not write."""
    return _restored(_tree(text, "value"))


def _is_conversation(value: Any) -> bool:
    return (
        type(value) is list and bool(value) and all(isinstance(item, BaseMessage) for item in value)
    )


def _message(message: BaseMessage, known: Known) -> msgspec.Raw:
    found = known.get(id(message))
    if found is None:
        text = msgspec.Raw(msgspec.json.encode(_spelled(message)))
        # The message is kept with its text, so that no other can have its id.
        found = known[id(message)] = message, text
    return found[1]


def _spelled(value: Any) -> Any:
    kind, data = _serializer.dumps_typed(value)
    if kind != "msgpack":
        raise ValueError(f"LangGraph's serialiser wrote {kind}, which cannot be spelled out")
    return _plain(ormsgpack.unpackb(data, ext_hook=_Extension, option=_OPTIONS))


def load(text: str) -> dict[str, Any]:
    """Return the checkpoint that `dump` wrote, as LangGraph's savers take it.

    Raises ValueError for any other text. Classes are looked up by LangGraph's serialiser, with the
    restrictions that has: read only what you trust as you trust the program that recorded it.
    """
    checkpoint: dict[str, Any] = _restored(_tree(text, "checkpoint"))
    return checkpoint


def load_writes(text: str) -> list[Write]:
    """Return the pending writes that `dump` put beside the checkpoint."""
    writes = _whole(text).get("writes") or ()
    return [(task, channel, _restored(value)) for task, channel, value in writes]


def _tree(text: str, key: str) -> Any:
    whole = _whole(text)
    if key not in whole:
        raise ValueError(f"Not a recorded LangGraph checkpoint: it has no {key!r}")
    return whole[key]


def _whole(text: str) -> dict[str, Any]:
    try:
        found = msgspec.json.decode(text)
    except msgspec.DecodeError as error:
        raise ValueError(f"Not a recorded LangGraph checkpoint: {error}") from None
    if not isinstance(found, dict) or found.get("format") != FORMAT:
        raise ValueError(f"Not a recorded LangGraph checkpoint: its format is not {FORMAT!r}")
    return found


def _restored(tree: Any) -> Any:
    return _serializer.loads_typed(("msgpack", ormsgpack.packb(_packed(tree), option=_OPTIONS)))


class _Extension:
    """A MessagePack extension value, on its way to JSON; may be a key of a mapping."""

    __slots__ = ("code", "value")

    def __init__(self, code: int, data: bytes) -> None:
        self.code = code
        self.value = ormsgpack.unpackb(data, ext_hook=_Extension, option=_OPTIONS)


_LEAVES = frozenset({str, int, bool, type(None)})


def _plain(value: Any) -> Any:
    kind = type(value)
    if kind in _LEAVES:
        return value
    if kind is dict:
        if _has_odd_keys(value):
            return {"$map": [[_plain(key), _plain(item)] for key, item in value.items()]}
        return {key: item if type(item) in _LEAVES else _plain(item) for key, item in value.items()}
    if kind is _Extension:
        return {"$ext": value.code, "value": _plain(value.value)}
    if kind is list or kind is tuple:
        return [item if type(item) in _LEAVES else _plain(item) for item in value]
    if kind is float:
        return value if math.isfinite(value) else {"$float": repr(value)}
    if kind is bytes:
        return {"$bytes": base64.b64encode(value).decode()}
    raise TypeError(f"MessagePack gave a {kind.__qualname__}")


def _has_odd_keys(value: dict[Any, Any]) -> bool:
    try:
        return "$" in "".join(value)  # asking each key takes five times as long
    except TypeError:
        return True


def _packed(value: Any) -> Any:
    if isinstance(value, list):
        return [_packed(item) for item in value]
    if not isinstance(value, dict):
        return value
    if len(value) == 2 and "$ext" in value and "value" in value:
        inner = ormsgpack.packb(_packed(value["value"]), option=_OPTIONS)
        return ormsgpack.Ext(value["$ext"], inner)
    if len(value) == 1:
        if "$map" in value:
            return {_packed(key): _packed(item) for key, item in value["$map"]}
        if "$float" in value:
            return float(value["$float"])
        if "$bytes" in value:
            return base64.b64decode(value["$bytes"])
    return {key: _packed(item) for key, item in value.items()}
