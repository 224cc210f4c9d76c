"""What can be told of one step that bears on whether the run went wrong there, as numbers 0 to 1.

No feature names a framework, an agent or a tool: what a step looks like and what came of it counts.
What counts differs by the shape of the run, so each shape has its own module and its own weights.
"""

from typing import Final

from agenttrace.models import USER
from agenttrace_server.mast import dialog, led, peers
from agenttrace_server.mast.shapes import Kind, shape_of
from agenttrace_server.mast.talk import Said, Talk

Features = dict[str, float]

REASONS: Final = {**peers.REASONS, **led.REASONS, **dialog.REASONS}
"""What a developer is told of a feature that speaks against a step."""

_READERS: Final = {"peers": peers.features, "led": led.features, "dialog": dialog.features}


def features(talk: Talk, kind: Kind | None = None) -> tuple[Kind, list[Features]]:
    """Return the shape of a run and the features of each of its messages, in linear time.

    `kind` has it read as a run of another shape.
    """
    shape = shape_of(talk)
    kind = kind or shape.kind
    return kind, _READERS[kind](talk, shape)


def candidates(talk: Talk) -> list[Said]:
    """Return the messages that may have decided a run: all but what the user first asked for."""
    task = talk.task
    return [said for said in talk.said if said is not task or said.sender != USER]
