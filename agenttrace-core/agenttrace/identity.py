"""Tell whether two inputs are the same: one hash, made alike at recording and at replaying.

What changes from run to run without meaning anything does not count: the ids of chat messages, the
ids by which tool calls and their results find each other (their pairing counts), memory addresses
in reprs, the order of keys.
"""

import hashlib
import re
from collections.abc import Mapping
from typing import Any

import msgspec

from agenttrace.serialise import Plain, to_plain, to_text

HASHED = 64 * 1024 * 1024
"""Characters of an input that count; an input longer than that is told apart by its beginning."""

_ADDRESS = re.compile(r" at 0x[0-9a-fA-F]+")
_CALL_IDS = ("tool_call_id", "call_id")
_CALL_TYPES = frozenset(("tool_call", "tool_call_response", "function", "function_call"))


def input_hash(value: Any) -> str:
    """Return 32 hex digits for what a model or a tool is given: text, or anything that has JSON.

    Computed from all of it, before any cap or redaction. Never raises.
    """
    plain = canonical(to_plain(value, HASHED))
    return text_hash(msgspec.json.encode(plain, order="sorted").decode())


def cause_hash(value: Any) -> str:
    """Return 32 hex digits for what an agent is answering, the same for a value and its text."""
    return text_hash(to_text(value, HASHED))


def text_hash(text: str) -> str:
    """Return 32 hex digits of a text's BLAKE2b hash."""
    return hashlib.blake2b(text.encode("utf-8", "replace"), digest_size=16).hexdigest()


def canonical(plain: Plain) -> Plain:
    """Return plain JSON without what differs between two runs of the same program."""
    return _Canonical().of(plain)


class _Canonical:
    """One value's way to its canonical form; call ids become the order in which they appear."""

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}

    def of(self, plain: Plain) -> Plain:
        if isinstance(plain, str):
            return _ADDRESS.sub("", plain) if " at 0x" in plain else plain
        if isinstance(plain, dict):
            return self._mapping(plain)
        if isinstance(plain, list):
            return [self.of(item) for item in plain]
        return plain

    def _mapping(self, plain: dict[str, Plain]) -> dict[str, Plain]:
        message = _is_message(plain)
        call = not message and _is_call(plain)
        found: dict[str, Plain] = {}
        for key, value in plain.items():
            if key == "id" and message:
                continue
            if isinstance(value, str) and (key in _CALL_IDS or (key == "id" and call)):
                found[key] = self._numbers.setdefault(value, len(self._numbers))
            else:
                found[key] = self.of(value)
        return found


def _is_message(plain: Mapping[str, Plain]) -> bool:
    return "role" in plain and ("content" in plain or "parts" in plain)


def _is_call(plain: Mapping[str, Plain]) -> bool:
    kind = plain.get("type")
    if isinstance(kind, str) and kind in _CALL_TYPES:
        return True
    return "name" in plain and ("args" in plain or "arguments" in plain)
