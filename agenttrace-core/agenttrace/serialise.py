"""Turn any Python value into text, with bounded work, without ever raising."""

import datetime
import enum
import math
import pathlib
import types
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import fields as dataclass_fields
from dataclasses import is_dataclass
from itertools import islice
from typing import Any, TypeAlias

import msgspec

LIMIT = 256 * 1024
"""Characters a value keeps unless told otherwise; what is cut off is marked."""

MAX_DEPTH = 64

Plain: TypeAlias = Any
"""What JSON has: None, bool, int, float, str, list, and dict with str keys."""


class Lazy:
    """A value made by calling `make()` when its span is exported, on the exporter's thread."""

    __slots__ = ("make",)

    def __init__(self, make: Callable[[], Any]) -> None:
        self.make = make


def to_text(value: Any, limit: int = LIMIT) -> str:
    """Return text as it is and anything else as JSON, at most about `limit` characters long.

    Chat messages become role/content/tool_calls; models, dataclasses and the like their fields;
    whatever has no better form its repr. Cycles, values deeper than 64 and what exceeds the limit
    are replaced by a marker, so the JSON stays JSON.
    """
    try:
        plain = _Walk(limit).plain(value)
        return plain if type(plain) is str else msgspec.json.encode(plain).decode()
    except Exception as error:  # noqa: BLE001 - a value's own code can fail in any way
        return not_serialised(error)


def to_plain(value: Any, limit: int = LIMIT) -> Plain:
    """Return `value` as `to_text` would, before it becomes text; never raises."""
    try:
        return _Walk(limit).plain(value)
    except Exception as error:  # noqa: BLE001 - a value's own code can fail in any way
        return not_serialised(error)


def not_serialised(error: BaseException) -> str:
    """Return the marker that stands for a value whose own code raised `error`."""
    return f"[not serialised: {describe(error)}]"


def describe(error: BaseException) -> str:
    """Return `Type: message`, or the type alone where the message cannot be had."""
    try:
        message = str(error)
    except Exception:  # noqa: BLE001 - a broken __str__ must not hide the error it describes
        message = ""
    return f"{type(error).__qualname__}: {message}" if message else type(error).__qualname__


def cut(text: str, limit: int) -> str:
    """Return `text` encodable as UTF-8, with a marker in place of what exceeds `limit`."""
    if len(text) > limit:
        limit = max(0, limit)
        text = f"{text[:limit]}… [truncated: {len(text) - limit} more characters]"
    if text.isascii():
        return text
    try:
        text.encode()
    except UnicodeEncodeError:  # lone surrogates, which neither JSON nor protobuf can carry
        return text.encode("utf-8", "replace").decode()
    return text


def snapshot(value: Any, depth: int = 3) -> Any:
    """Return `value` with its built-in containers copied, so that later changes do not show.

    Only the outer levels, and only where they are small: this runs inside the traced program.
    """
    kind = type(value)
    if kind is dict:
        if depth and len(value) <= 64:
            return {
                key: snapshot(item, depth - 1) if type(item) in _MUTABLE else item
                for key, item in list(value.items())
            }
        return value.copy()
    if kind is list or kind is tuple:
        if depth and len(value) <= 64:
            return [
                snapshot(item, depth - 1) if type(item) in _MUTABLE else item
                for item in list(value)
            ]
        return list(value)
    if kind is set or kind is deque:
        return list(value)
    if kind is bytearray:
        return bytes(value)
    return value


_MUTABLE = frozenset({dict, list, tuple, set, deque, bytearray})


class _Walk:
    """One value's way to plain JSON; `left` is how many characters it may still take."""

    def __init__(self, limit: int) -> None:
        self.left = limit
        self.path: set[int] = set()

    def plain(self, value: Any) -> Plain:
        kind = type(value)
        if kind is str:
            return self.text(value)
        if value is None or kind is bool:
            self.left -= 4
            return value
        if kind is int:
            return self.integer(value)
        if kind is float:
            self.left -= 8
            return value if math.isfinite(value) else str(value)
        if id(value) in self.path:
            return self.text(f"<cycle: {kind.__qualname__}>")
        if len(self.path) >= MAX_DEPTH:
            return self.text(f"<deeper than {MAX_DEPTH}: {kind.__qualname__}>")
        self.path.add(id(value))
        try:
            return self.inner(kind, value)
        except Exception as error:  # noqa: BLE001 - a value's own code can fail in any way
            return self.text(not_serialised(error))
        finally:
            self.path.discard(id(value))

    def inner(self, kind: type, value: Any) -> Plain:
        if kind is dict:
            return self.mapping(len(value), iter(list(value.items())))
        if kind is list or kind is tuple:
            return self.sequence(len(value), value)
        shape = _shape_of(kind)
        if shape is _MAPPING:
            return self.mapping(len(value), ((key, value[key]) for key in value))
        if shape is _SEQUENCE:
            return self.sequence(len(value), list(islice(value, max(0, self.left) + 1)))
        return self.plain(shape(value))

    def text(self, value: str) -> str:
        kept = cut(value, max(0, self.left))
        self.left -= len(kept) + 2
        return kept

    def integer(self, value: int) -> int | str:
        self.left -= 8
        if -(2**63) <= value < 2**64:
            return value
        # Decimal digits of a huge integer take quadratic time, and Python refuses beyond 4,300.
        return self.text(str(value) if value.bit_length() < 4096 else hex(value))

    def mapping(self, size: int, items: Iterator[tuple[Any, Any]]) -> dict[str, Plain]:
        plain: dict[str, Plain] = {}
        for key, value in items:
            if self.left <= 0:
                plain["…"] = f"[truncated: {size - len(plain)} more]"
                break
            name = self.key(key)
            plain[name] = self.plain(value)
        return plain

    def sequence(self, size: int, items: Iterable[Any]) -> list[Plain]:
        plain: list[Plain] = []
        for item in items:
            if self.left <= 0:
                plain.append(f"… [truncated: {size - len(plain)} more]")
                break
            self.left -= 1
            plain.append(self.plain(item))
        return plain

    def key(self, key: Any) -> str:
        if type(key) is str:
            return self.text(key)
        try:
            return self.text(key.value if isinstance(key, enum.Enum) else str(key))
        except Exception:  # noqa: BLE001 - a key's own code can fail in any way
            return self.text(f"<{type(key).__qualname__}>")


Shape: TypeAlias = Callable[[Any], Any]
"""Goes one step from a value towards plain JSON; what it returns is walked again."""


def _mapping_marker(value: Any) -> Any:
    return dict(value)


def _sequence_marker(value: Any) -> Any:
    return list(value)


_MAPPING: Shape = _mapping_marker
_SEQUENCE: Shape = _sequence_marker

_shapes: dict[type, Shape] = {}


def _shape_of(kind: type) -> Shape:
    shape = _shapes.get(kind)
    if shape is None:
        if len(_shapes) > 2000:  # a program that makes classes as it goes must not fill the memory
            _shapes.clear()
        shape = _shapes[kind] = _choose_shape(kind)
    return shape


def _choose_shape(kind: type) -> Shape:
    for known, shape in _BY_TYPE:
        if issubclass(kind, known):
            return shape
    if f"{kind.__module__}.{kind.__qualname__}" in _TEXTS:
        return str
    if any(
        c.__name__ == "BaseMessage" and c.__module__.startswith("langchain") for c in kind.mro()
    ):
        return _chat_message
    if hasattr(kind, "get_secret_value"):  # Pydantic's SecretStr shows asterisks
        return str
    fields = field_names(kind)
    if fields is not None:
        return lambda value: {name: getattr(value, name) for name in fields if hasattr(value, name)}
    if issubclass(kind, Mapping):
        return _MAPPING
    if issubclass(kind, (list, tuple, AbstractSet, deque)):
        return _SEQUENCE
    if hasattr(kind, "dtype") or hasattr(
        kind, "dtypes"
    ):  # its own repr is bounded, its dump is not
        return lambda value: value.item() if getattr(value, "shape", None) == () else repr(value)
    for method in ("model_dump", "to_dict"):
        if callable(getattr(kind, method, None)):
            return lambda value: getattr(value, method)()
    return repr


def field_names(kind: type) -> tuple[str, ...] | None:
    """Return the names of a struct's, model's, dataclass's or named tuple's fields, else None."""
    if issubclass(kind, msgspec.Struct):
        return kind.__struct_fields__
    if isinstance(fields := getattr(kind, "__pydantic_fields__", None), dict):
        # Reading fields is bounded by the walk; model_dump() of a large model is not.
        custom = getattr(kind, "__pydantic_decorators__", None)
        if custom is not None and (custom.model_serializers or custom.field_serializers):
            return None
        return tuple(name for name, field in fields.items() if not field.exclude)
    if is_dataclass(kind):
        return tuple(field.name for field in dataclass_fields(kind))
    if issubclass(kind, tuple) and hasattr(kind, "_fields"):
        return tuple(kind._fields)
    if hasattr(kind, "__attrs_attrs__"):
        return tuple(attribute.name for attribute in kind.__attrs_attrs__)
    return None


_ROLES = {"human": "user", "ai": "assistant", "AIMessageChunk": "assistant"}


def _chat_message(message: Any) -> dict[str, Any]:
    fields = vars(message)  # getattr() for a field that is not there costs 5 µs in Pydantic
    role = fields.get("role") or fields.get("type")
    plain = {"role": _ROLES.get(role, role), "content": fields.get("content")}
    for name in ("name", "tool_calls", "invalid_tool_calls", "tool_call_id", "artifact", "id"):
        if value := fields.get(name):
            plain[name] = value
    return plain


def _bytes(value: Any) -> str:
    raw = bytes(value[: LIMIT + 4])
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return f"<{len(value)} bytes: {raw[:32].hex(' ')}{' …' if len(value) > 32 else ''}>"


def _qualified_name(value: Any) -> str:
    module = getattr(value, "__module__", None) or ""
    name = getattr(value, "__qualname__", None) or getattr(value, "__name__", None) or repr(value)
    return f"{module}.{name}" if module and module != "builtins" else str(name)


_TEXTS = frozenset({"uuid.UUID", "decimal.Decimal", "fractions.Fraction"})
"""Types whose text is their form, by name: importing them all would take 20 ms."""

_BY_TYPE: tuple[tuple[type | tuple[type, ...], Shape], ...] = (
    (Lazy, lambda value: value.make()),
    (enum.Enum, lambda value: value.value),
    (str, str.__str__),
    (int, int),
    (float, float),
    ((bytes, bytearray, memoryview), _bytes),
    ((datetime.date, datetime.time), lambda value: value.isoformat()),
    ((datetime.timedelta, pathlib.PurePath, complex), str),
    (BaseException, describe),
    (types.SimpleNamespace, vars),
    (
        (type, types.FunctionType, types.BuiltinFunctionType, types.MethodType, types.ModuleType),
        _qualified_name,
    ),
)
