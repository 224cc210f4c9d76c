"""Write what a call returned such that it comes back as it was, or not at all."""

import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import is_dataclass
from typing import TYPE_CHECKING, Any

import msgspec

from agenttrace.serialise import field_names

if TYPE_CHECKING:
    from agenttrace.replay import Answer

_MARK = "$type"
_TUPLE = "$tuple"
_FORMAT = "agenttrace/1"
_PREFIX = f'{{"format":"{_FORMAT}","value":'


class RecordedError(RuntimeError):
    """Stands for an exception of the original run whose class is not to be had."""


def recorded_error(answer: "Answer") -> Exception:
    """Return the exception a call raised, of its own class if the program has that loaded."""
    words, kind = answer.error or "", answer.error_type or ""
    module, _, name = kind.rpartition(".")
    text = words.partition(": ")[2] if words.startswith(name) else words
    found = getattr(sys.modules.get(module or "builtins"), name, None)
    if isinstance(found, type) and issubclass(found, Exception):
        with suppress(Exception):  # its constructor may want something else
            made = found(text)
            if str(made) == text:
                return made
    return RecordedError(words)


def exact(value: Any) -> str | None:
    """Return `value` as JSON text that `restore` reads; None for text, which is its own form.

    Understood are JSON's types, tuples, dataclasses, Pydantic models and msgspec structs. Raises
    TypeError for anything else: what comes back must be what was there.
    """
    if type(value) is str and not value.startswith(_PREFIX):
        return None
    return msgspec.json.encode({"format": _FORMAT, "value": _plain(value)}).decode()


def restore(text: str) -> Any:
    """Return what `exact` was given, or the text itself where that is what it is.

    Raises ValueError for a class that this program has not loaded.
    """
    if not text.startswith(_PREFIX):
        return text
    return _value(msgspec.json.decode(text)["value"])


def _plain(value: Any) -> Any:
    kind = type(value)
    if value is None or kind in (str, bool, int, float):
        return value
    if kind is list:
        return [_plain(item) for item in value]
    if kind is tuple:
        return {_TUPLE: [_plain(item) for item in value]}
    if kind is dict and all(type(key) is str and key[:1] != "$" for key in value):
        return {key: _plain(item) for key, item in value.items()}
    if callable(getattr(kind, "model_validate", None)):
        return {_MARK: _name(kind), "value": value.model_dump(mode="json")}
    if (is_dataclass(kind) or issubclass(kind, msgspec.Struct)) and (fields := field_names(kind)):
        found = {name: _plain(getattr(value, name)) for name in fields}
        return {_MARK: _name(kind), "value": found}
    raise TypeError(f"{kind.__qualname__} has no form in which it would come back")


def _name(kind: type) -> str:
    return f"{kind.__module__}:{kind.__qualname__}"


def _value(plain: Any) -> Any:
    if isinstance(plain, list):
        return [_value(item) for item in plain]
    if not isinstance(plain, dict):
        return plain
    if _TUPLE in plain:
        return tuple(_value(item) for item in plain[_TUPLE])
    if _MARK not in plain:
        return {key: _value(item) for key, item in plain.items()}
    kind = _loaded(plain[_MARK])
    validate: Callable[[Any], Any] | None = getattr(kind, "model_validate", None)
    if validate is not None:
        return validate(plain["value"])
    return kind(**{key: _value(item) for key, item in plain["value"].items()})


def _loaded(name: str) -> type:
    """Return a class by its name, from what the program has imported: a record loads nothing."""
    module, _, path = name.partition(":")
    found: Any = sys.modules.get(module)
    for step in path.split("."):
        found = getattr(found, step, None)
    if not isinstance(found, type) or not (
        hasattr(found, "model_validate") or is_dataclass(found) or issubclass(found, msgspec.Struct)
    ):
        raise ValueError(f"The record holds a {path}, which this program has not imported")
    return found
