"""Read from a compiled graph, once, which of its nodes are agents and how they are connected."""

import inspect
from collections.abc import Mapping
from typing import Any
from weakref import WeakKeyDictionary

import msgspec

from agenttrace_langgraph.roles import (
    DEFAULT_GRAPH_NAME,
    Path,
    display_names,
    is_hook,
    is_one_agent,
    is_tools,
)
from agenttrace_langgraph.speech import first_line

HIDDEN = "langsmith:hidden"
_NOBODY: frozenset[str] = frozenset()


class Shape(msgspec.Struct, frozen=True):
    """What a graph is made of.

    `tools` and `silent` (hooks, `__start__`) are the nodes that are no participants; `graphs` the
    nodes that are compiled graphs themselves; `before` maps a node to those with an edge to it,
    `after` to those it may go to, as far as it declares them.
    """

    name: str | None
    nodes: tuple[str, ...]
    tools: frozenset[str]
    silent: frozenset[str]
    graphs: frozenset[str]
    one_agent: bool
    one_agent_nested: bool
    roles: Mapping[str, str]
    before: Mapping[str, frozenset[str]]
    after: Mapping[str, frozenset[str]]

    @property
    def participants(self) -> tuple[str, ...]:
        """The nodes that are agents, if this graph is a team."""
        return tuple(n for n in self.nodes if n not in self.tools and n not in self.silent)

    def leads(self, node: str, other: str) -> bool:
        """Whether `node` may go to several agents, and `other`, one of them, only back to it."""
        agents = self.after.get(node, _NOBODY) - self.tools
        return other in agents and len(agents) > 1 and self.after.get(other, _NOBODY) == {node}


_shapes: WeakKeyDictionary[Any, Shape] = WeakKeyDictionary()
_names: WeakKeyDictionary[Any, Mapping[Path, str]] = WeakKeyDictionary()


def shape_of(graph: Any) -> Shape:
    """Return the shape of a compiled graph (a `Pregel`)."""
    shape = _shapes.get(graph)
    if shape is None:
        shape = _shapes[graph] = _read(graph)
    return shape


def names_in(graph: Any) -> Mapping[Path, str]:
    """Return the name of every participant in a graph and in the graphs inside it."""
    names = _names.get(graph)
    if names is None:
        names = _names[graph] = display_names(_paths(graph, (), ()))
    return names


def _read(graph: Any) -> Shape:
    nodes: Mapping[str, Any] = graph.nodes
    silent = frozenset(n for n in nodes if n.startswith("__") or is_hook(n))
    tools = frozenset(n for n, node in nodes.items() if is_tools(n) or _is_tool_node(node.bound))
    visible = [n for n in nodes if not n.startswith("__")]
    name = getattr(graph, "name", None)
    before, after = _edges(graph)
    return Shape(
        name=None if name == DEFAULT_GRAPH_NAME else name,
        nodes=tuple(nodes),
        tools=tools - silent,
        silent=silent,
        graphs=frozenset(n for n, node in nodes.items() if _is_graph(node.bound)),
        one_agent=is_one_agent(visible, tools),
        one_agent_nested=is_one_agent(visible, tools, nested=True),
        roles={n: role for n, node in nodes.items() if (role := _role(node.bound))},
        before=before,
        after=after,
    )


def _paths(graph: Any, outer: Path, above: tuple[int, ...]) -> list[Path]:
    shape = shape_of(graph)
    if id(graph) in above or (shape.one_agent_nested and outer):
        return []
    paths: list[Path] = []
    for name in shape.participants:
        path = (*outer, name)
        paths.append(path)
        for inner in getattr(graph.nodes[name], "subgraphs", ()):
            if _is_graph(inner):
                paths += _paths(inner, path, (*above, id(graph)))
    return paths


def _edges(
    graph: Any,
) -> tuple[dict[str, frozenset[str]], dict[str, frozenset[str]]]:
    builder = getattr(graph, "builder", None)
    before: dict[str, set[str]] = {}
    after: dict[str, set[str]] = {}
    if builder is None:
        return {}, {}
    pairs = set(getattr(builder, "edges", ()))
    for sources, target in getattr(builder, "waiting_edges", ()):
        pairs |= {(source, target) for source in sources}
    for source, target in pairs:
        before.setdefault(target, set()).add(source)
        after.setdefault(source, set()).add(target)
    for source, branches in getattr(builder, "branches", {}).items():
        for branch in branches.values():
            after.setdefault(source, set()).update((getattr(branch, "ends", None) or {}).values())
    for name, node in builder.nodes.items():
        after.setdefault(name, set()).update(getattr(node, "ends", None) or ())
    return (
        {name: frozenset(sources) for name, sources in before.items()},
        {name: frozenset(targets - {"__end__"}) for name, targets in after.items()},
    )


def _is_tool_node(bound: Any) -> bool:
    return any(kind.__name__ == "ToolNode" for kind in type(bound).__mro__)


def _is_graph(bound: Any) -> bool:
    return any(
        kind.__name__ == "Pregel" and kind.__module__.startswith("langgraph.")
        for kind in type(bound).__mro__
    )


def _role(bound: Any) -> str | None:
    """Return the first line of the docstring of a function that is a node."""
    if _is_graph(bound):
        inner = shape_of(bound)
        team = ", ".join(inner.participants)
        return None if inner.one_agent_nested or not team else f"team of {team}"
    function = getattr(bound, "func", None) or getattr(bound, "afunc", None)
    if inspect.isfunction(function) or inspect.ismethod(function):
        return first_line(function.__doc__)
    return None
