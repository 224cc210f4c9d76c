"""Keep attribute values as JSON text and read them back with nothing lost.

JSON has neither bytes nor NaN nor infinities, so each is written as an object with one key:

    b"\\x00\\xff"             {"$bytes": "AP8="}
    nan, inf, -inf          {"$double": "NaN"}, {"$double": "Infinity"}, {"$double": "-Infinity"}
    {"$bytes": "a map"}     {"$map": {"$bytes": "a map"}}

The last line is how a map that looks like one of these is told from it. Floats keep their point
(`1.0` stays a float), so the kinds of an OTLP AnyValue all come back as they were.
"""

import base64
import math
from typing import Any

import msgspec

_MARKS = frozenset(("$bytes", "$double", "$map"))


def dumps(value: Any) -> str:
    """Return an attribute value, or a whole map of attributes, as JSON text."""
    return msgspec.json.encode(mark(value)).decode()


def loads(text: str | bytes) -> Any:
    """Return what `dumps` was given."""
    value = msgspec.json.decode(text)
    marked = b'{"$' in text if isinstance(text, bytes) else '{"$' in text
    return unmark(value) if marked else value


def mark(value: Any) -> Any:
    """Return the value as JSON can hold it."""
    kind = type(value)
    if kind is str or kind is int or kind is bool or value is None:
        return value
    if kind is float:
        return value if math.isfinite(value) else {"$double": _name(value)}
    if isinstance(value, bytes):
        return {"$bytes": base64.b64encode(value).decode()}
    if isinstance(value, dict):
        marked = {str(key): mark(item) for key, item in value.items()}
        return {"$map": marked} if len(marked) == 1 and not _MARKS.isdisjoint(marked) else marked
    return [mark(item) for item in value]


def unmark(value: Any) -> Any:
    """Return what `mark` was given."""
    if isinstance(value, list):
        return [unmark(item) for item in value]
    if not isinstance(value, dict):
        return value
    if len(value) == 1:
        [(key, item)] = value.items()
        if key == "$bytes":
            return base64.b64decode(item)
        if key == "$double":
            return float(item)
        if key == "$map":
            value = item
    return {key: unmark(item) for key, item in value.items()}


def _name(value: float) -> str:
    if math.isnan(value):
        return "NaN"
    return "Infinity" if value > 0 else "-Infinity"
