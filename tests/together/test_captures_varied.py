"""A real recording tells the same agents and messages however it is delivered."""

import random
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from agenttrace.models import RawSpan
from agenttrace.plugins import load_plugins
from support import captures

SESSIONS = ("session.id", "gen_ai.conversation.id", "traceloop.association.properties.thread_id")

Vary = Callable[[list[RawSpan]], list[RawSpan]]


def _resource(raws: list[RawSpan], resource: dict[str, Any]) -> list[RawSpan]:
    change = msgspec.structs.replace
    return [change(raw, scope=change(raw.scope, resource=resource)) for raw in raws]


def _attributes(raws: list[RawSpan], change: Callable[[dict], dict]) -> list[RawSpan]:
    return [msgspec.structs.replace(raw, attributes=change(dict(raw.attributes))) for raw in raws]


def _numbers_as_text(given: dict[str, Any]) -> dict[str, Any]:
    return {key: str(value) if type(value) is int else value for key, value in given.items()}


VARIED: dict[str, Vary] = {
    "in another order": lambda raws: random.Random(1).sample(raws, len(raws)),
    "last span first": lambda raws: raws[::-1],
    "by another service": lambda raws: _resource(raws, {"service.name": "another"}),
    "by nobody known": lambda raws: _resource(raws, {}),
    "without sessions": lambda raws: _attributes(
        raws, lambda given: {key: given[key] for key in given if key not in SESSIONS}
    ),
    "numbers as text": lambda raws: _attributes(raws, _numbers_as_text),
}


def told(raws: list[RawSpan]) -> list[tuple[list[str], list[tuple[str, str, str, str]]]]:
    """For each run that the spans make up: its agents, and who said what to whom."""
    found = []
    for trace in captures.joined(raws, load_plugins()):
        messages = [(m.sender, m.recipient, m.type, m.content) for m in trace.messages]
        found.append((sorted(a.name for a in trace.agents), messages))
    return sorted(found)


@pytest.mark.parametrize("name", captures.TRACES)
def test_what_a_recording_tells_does_not_depend_on_its_delivery(name: str) -> None:
    raws = captures.load(name)
    plain = told(raws)

    assert [how for how, vary in VARIED.items() if told(vary(raws)) != plain] == []
