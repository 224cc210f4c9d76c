"""Read what LangChain's run metadata says of a span, wherever an instrumentation put it."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from agenttrace.chat import parse, unquoted
from agenttrace.models import RawSpan
from agenttrace_langgraph.roles import Path, is_inside_agent, is_tools, path_of

# Where instrumentations put the run metadata that is no JSON text in `metadata`, best first.
_PREFIXES = (
    "traceloop.association.properties.",
    "langsmith.metadata.",
    "langfuse.observation.metadata.",
    "langfuse.trace.metadata.",
)
_INTEGRATIONS = frozenset({"langgraph", "langchain_create_agent"})
_EXCEPTION = re.compile(
    r"(?:^|\.)(GraphInterrupt|NodeInterrupt|ParentCommand|GraphBubbleUp|GraphDrained"
    r"|GeneratorExit|CancelledError)$"
)


class Place(msgspec.Struct, frozen=True):
    """Where in a LangGraph run a span belongs.

    `namespace` is the checkpoint namespace of its node, `outer` that of the graph around the node;
    both are empty for the run of an outermost graph.
    """

    node: str = ""
    namespace: str = ""
    outer: str = ""
    step: int = 0
    triggers: tuple[str, ...] = ()
    pushed: bool = False
    agent_name: str | None = None
    create_agent: bool = False

    @property
    def path(self) -> Path:
        """The node names from the outermost graph down."""
        return path_of(self.namespace)


def place_of(raw: RawSpan) -> Place | None:
    """Return where a recorded span belongs, None if it is no part of a LangGraph run."""
    facts = _metadata(raw.attributes)
    integration = facts.get("ls_integration")
    node = facts.get("langgraph_node")
    if node is None and integration not in _INTEGRATIONS:
        return None
    triggers = facts.get("langgraph_triggers")
    path = facts.get("langgraph_path")
    name = facts.get("lc_agent_name")
    return Place(
        node=str(node or ""),
        namespace=str(facts.get("langgraph_checkpoint_ns") or ""),
        outer=str(facts.get("checkpoint_ns") or ""),
        step=_integer(facts.get("langgraph_step")),
        triggers=tuple(map(str, triggers)) if isinstance(triggers, (list, tuple)) else (),
        pushed=isinstance(path, (list, tuple)) and path[:1] == ["__pregel_push"],
        agent_name=str(name) if name else None,
        create_agent=integration == "langchain_create_agent",
    )


def is_node_run(name: str, place: Place) -> bool:
    """Whether a span called `name` is the run of its place's node.

    A graph that runs as a node gives a second span of the same name, inside the node's own.
    """
    return bool(place.node) and name == place.node and place.outer != place.namespace


def is_agent(place: Place) -> bool:
    """Whether a node's run is an agent's turn: the rules of `roles`, as far as names tell."""
    if place.create_agent or place.node.startswith("__") or is_tools(place.node):
        return False
    if len(place.path) > 1:
        return not is_inside_agent(place.node)
    return not _is_hook_alone(place.node)


def stopped_by(raw: RawSpan) -> str | None:
    """Return the name of the control-flow exception a span ended with, if it did."""
    kinds = [event.attributes.get("exception.type") for event in raw.events]
    for kind in (*kinds, raw.attributes.get("error.type")):
        if isinstance(kind, str) and (found := _EXCEPTION.search(kind)):
            return found[1]
    return None


def exception_text(raw: RawSpan) -> str:
    """Return the message of the exception a span ended with."""
    for event in raw.events:
        if isinstance(text := event.attributes.get("exception.message"), str):
            return text
    return raw.status_message


def _is_hook_alone(node: str) -> bool:
    return (is_inside_agent(node) and "." in node) or node.endswith("_model_hook")


def _metadata(attributes: Mapping[str, Any]) -> Mapping[str, Any]:
    facts = parse(attributes.get("metadata"))
    if isinstance(facts, Mapping):
        return facts
    keys = [key for key in attributes if key.startswith(_PREFIXES)]
    found: dict[str, Any] = {}
    for prefix in _PREFIXES if keys else ():
        for key in keys:
            if key.startswith(prefix):
                found.setdefault(key.removeprefix(prefix), parse(unquoted(attributes[key])))
    return found


def _integer(value: Any) -> int:
    try:
        return int(value)
    except (TypeError, ValueError):
        return 0


def texts(value: Any) -> Sequence[str]:
    """Return the texts in a list, none where it is no list."""
    return [item for item in value if isinstance(item, str)] if isinstance(value, list) else []
