"""A research team's runs, told with builders: one that fails as people know, one that works."""

from typing import Any

from agenttrace.models import Trace
from agenttrace.plugins import Plugins
from agenttrace.testing import Node, agent, build, message, workflow

QUESTION = "Did Acme grow in 2024? Have the critic confirm the figure before you publish."
FIND = "Find the revenue growth of Acme in 2024."
FOUND = "Acme's revenue grew 18.0 % in 2024 according to a press release."
CHECK = "Check the growth figure against the audited accounts."
OBJECTION = (
    "I object: the audited accounts show EUR 402 million after 371, that is 8.2 %, not 18.0 %."
)


def says(sender: str, recipient: str, content: str, type: Any = "task", **more: Any) -> Node:
    """Return one agent's run, in which it says one thing to another."""
    return agent(sender, sends=message(recipient, content, type=type, **more))


def talk(*turns: tuple[str, str, str], **about: Any) -> Trace:
    """Return a run in which each turn is (sender, recipient, content)."""
    return build(told(*turns, **about), plugins=Plugins())


def told(*turns: tuple[str, str, str], **about: Any) -> Node:
    """Return the spans of a run in which each turn is (sender, recipient, content)."""
    nodes: list[Any] = []
    working: set[str] = set()
    for sender, recipient, content in turns:
        if sender == "user":
            nodes.append(message(recipient, content, sender="user"))
            continue
        kind = "result" if sender in working or recipient == "user" else "task"
        if kind == "task":
            working.add(recipient)
        nodes.append(says(sender, recipient, content, kind))
    return workflow("run", *nodes, **about)


START = (
    ("user", "supervisor", QUESTION),
    ("supervisor", "researcher", FIND),
    ("researcher", "supervisor", FOUND),
    ("supervisor", "critic", CHECK),
    ("critic", "supervisor", OBJECTION),
)


def failing_team() -> Trace:
    """Return a run whose supervisor goes past the critic's objection and publishes."""
    return talk(
        *START,
        ("supervisor", "researcher", FIND),
        ("researcher", "supervisor", FOUND),
        ("supervisor", "writer", "Write the final answer with its source."),
        ("writer", "user", f"Yes. {FOUND}"),
    )


def working_team() -> Trace:
    """Return a run whose supervisor listens, has the figure corrected and checked again."""
    corrected = "Acme's revenue grew 8.2 % in 2024, from 371 to 402 million (audited accounts)."
    return talk(
        *START,
        ("supervisor", "researcher", "The critic rejected the figure. Take the audited one."),
        ("researcher", "supervisor", corrected),
        ("supervisor", "critic", CHECK),
        ("critic", "supervisor", "CONFIRMED: the audited accounts show 8.2 % as well."),
        ("supervisor", "writer", "Write the final answer with its source."),
        ("writer", "user", f"Yes, but little. {corrected}"),
    )
