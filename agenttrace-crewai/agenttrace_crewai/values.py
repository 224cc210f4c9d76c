"""Write what a flow's method returned as JSON that brings it back, objects of classes included."""

import enum
import importlib
from dataclasses import fields, is_dataclass
from datetime import datetime
from typing import Any

from pydantic import BaseModel

from agenttrace.errors import ReplayError

_MODEL, _ENUM, _TUPLE = "$model", "$enum", "$tuple"
_DATACLASS, _TIME = "$dataclass", "$datetime"

_WHY = "A method returned a {}, which cannot be made again from text; go back to before that method"


def encoded(value: Any) -> Any:
    """Return `value` as plain JSON; raise ReplayError for what cannot be brought back from that."""
    if value is None or type(value) in (bool, int, float, str):
        return value
    known = isinstance(value, (enum.Enum, BaseModel)) or is_dataclass(value)
    if known and "<locals>" in type(value).__qualname__:
        raise ReplayError(_WHY.format(type(value).__qualname__))
    if isinstance(value, enum.Enum):
        return {_ENUM: _path(type(value)), "value": encoded(value.value)}
    if isinstance(value, BaseModel):
        return {_MODEL: _path(type(value)), "value": value.model_dump(mode="json")}
    if isinstance(value, dict) and all(isinstance(key, str) for key in value):
        return {key: encoded(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        several = [encoded(item) for item in value]
        return several if isinstance(value, list) else {_TUPLE: several}
    if is_dataclass(value) and not isinstance(value, type) and all(f.init for f in fields(value)):
        items = {field.name: encoded(getattr(value, field.name)) for field in fields(value)}
        return {_DATACLASS: _path(type(value)), "value": items}
    if type(value) is datetime:
        return {_TIME: value.isoformat()}
    raise ReplayError(_WHY.format(type(value).__qualname__))


def decoded(value: Any, home: str) -> Any:
    """Return what `encoded` was given; classes of the main program are looked for in `home`.

    In the recorded run a script was the module `__main__`; what runs it again imports it by name.
    """
    if isinstance(value, list):
        return [decoded(item, home) for item in value]
    if not isinstance(value, dict):
        return value
    if _MODEL in value:
        return _found(value[_MODEL], home).model_validate(value["value"])
    if _ENUM in value:
        return _found(value[_ENUM], home)(decoded(value["value"], home))
    if _DATACLASS in value:
        cls = _found(value[_DATACLASS], home)
        if not isinstance(cls, type) or not is_dataclass(cls):
            raise ReplayError(f"The recorded {value[_DATACLASS]} is no dataclass any more")
        return cls(**decoded(value["value"], home))
    if _TIME in value:
        return datetime.fromisoformat(value[_TIME])
    if _TUPLE in value:
        return tuple(decoded(item, home) for item in value[_TUPLE])
    return {key: decoded(item, home) for key, item in value.items()}


def _path(cls: type) -> str:
    return f"{cls.__module__}:{cls.__qualname__}"


def _found(path: str, home: str) -> Any:
    module, _, name = path.partition(":")
    try:
        found: Any = importlib.import_module(home if module == "__main__" else module)
        for part in name.split("."):
            found = getattr(found, part)
    except (ImportError, AttributeError) as error:
        raise ReplayError(
            f"A method returned a {name} of {module}, which is not there any more: {error}"
        ) from error
    return found
