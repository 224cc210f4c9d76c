"""Find the simple cycles of a graph, shortest first, in bounded time."""

from collections.abc import Mapping

import networkx as nx

MAX_CYCLES = 100
MAX_LENGTH = 12
MAX_STEPS = 200_000


def find_cycles(graph: "nx.DiGraph[str]") -> tuple[list[list[str]], bool]:
    """Return the simple cycles, and whether some are missing.

    There can be more cycles than atoms in the universe, so at most `MAX_CYCLES` are returned, none
    longer than `MAX_LENGTH`, and the search ends after `MAX_STEPS`. Each begins with the agent
    that comes first in the graph.
    """
    search = _Search()
    parts = [part for part in nx.strongly_connected_components(graph) if len(part) > 1]
    order = {name: position for position, name in enumerate(graph)}
    longest = max((len(part) for part in parts), default=0)
    for length in range(2, min(longest, MAX_LENGTH) + 1):
        for part in sorted(parts, key=lambda part: min(order[name] for name in part)):
            if len(part) >= length:
                # Plain lists: a view of the graph takes five times as long to walk.
                inside = {name: [to for to in graph[name] if to in part] for name in part}
                search.walk(inside, order, length)
        if search.full:
            break
    return search.cycles, search.full or longest > MAX_LENGTH


class _Search:
    """Depth-first search that counts its steps, over one length at a time."""

    def __init__(self) -> None:
        self.cycles: list[list[str]] = []
        self.steps = 0

    @property
    def full(self) -> bool:
        """Whether a bound is reached."""
        return self.steps >= MAX_STEPS or len(self.cycles) >= MAX_CYCLES

    def walk(self, graph: Mapping[str, list[str]], order: dict[str, int], length: int) -> None:
        """Add every cycle of exactly `length` agents, until a bound is reached."""
        for first in sorted(graph, key=order.__getitem__):
            # A cycle is found from its first agent only, so only later ones may follow.
            stack = [([first], iter(graph[first]))]
            while stack and not self.full:
                path, following = stack[-1]
                name = next(following, None)
                self.steps += 1
                if name is None:
                    stack.pop()
                elif len(path) == length:
                    if name == first:
                        self.cycles.append(path)
                elif order[name] > order[first] and name not in path:
                    stack.append(([*path, name], iter(graph[name])))
