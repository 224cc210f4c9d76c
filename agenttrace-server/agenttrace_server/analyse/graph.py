"""Who talked to whom, and how central each one is: built from message rows, never from timing."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import networkx as nx

from agenttrace.models import USER, Agent, FailureAnnotation, Message, Span
from agenttrace_server.analyse.cycles import find_cycles

# Exact betweenness costs nodes × edges; beyond this many steps it is estimated from a sample.
_BETWEENNESS_STEPS = 1_000_000
_FEW_LINKS = 100
"""Graphs of no more links than this are remembered once they were measured."""
_REPLIES = frozenset({"result", "answer"})


def build_graph(
    agents: Sequence[Agent],
    messages: Sequence[Message],
    failures: Sequence[FailureAnnotation],
    spans: Mapping[str, Span],
) -> dict[str, Any]:
    """Return nodes, edges and metrics as `GET /api/traces/{id}/graph` shows them.

    `spans` are the trace's spans by id. Linear in the messages; what is worse than linear works on
    the edges, of which there are at most agents², and is bounded.
    """
    edges = _edges(messages, spans)
    links = tuple(
        (edge["sender"], edge["recipient"], edge["count"])
        for edge in edges
        if edge["sender"] != edge["recipient"]
    )
    # A system's traces are mostly of few shapes, and each is measured once.
    measure = _measured if len(links) <= _FEW_LINKS else _measured.__wrapped__
    measured = measure(
        tuple(_participants(agents, messages)), links, frozenset(_work_handed_on(messages))
    )
    return {
        "nodes": _nodes(agents, messages, failures, measured.central),
        "edges": edges,
        "metrics": {**measured.metrics, "messages": len(messages)},
    }


class _Measured(NamedTuple):
    central: Mapping[str, Mapping[str, Any]]
    metrics: Mapping[str, Any]


@lru_cache(maxsize=256)
def _measured(
    names: tuple[str, ...],
    links: tuple[tuple[str, str, int], ...],
    handed_on: frozenset[tuple[str, str]],
) -> _Measured:
    """Measure who is linked to whom how often; `handed_on` are the links that carry work."""
    graph: nx.DiGraph[str] = nx.DiGraph()
    graph.add_nodes_from(names)
    graph.add_weighted_edges_from(links)
    central, approximate = _centrality(graph)
    cycles, truncated = delegation, more = find_cycles(_among_agents(graph.edges, graph))
    if len(handed_on) < graph.number_of_edges():
        pairs = filter(handed_on.__contains__, graph.edges)
        delegation, more = find_cycles(_among_agents(pairs, graph))
    metrics = {
        "nodes": graph.number_of_nodes(),
        "edges": graph.number_of_edges(),
        "density": round(nx.density(graph), 6),
        "components": nx.number_weakly_connected_components(graph),
        "cycles": cycles,
        "delegation_cycles": delegation,
        "truncated": truncated or more,
        "approximate": approximate,
    }
    return _Measured(central, metrics)


def _participants(agents: Sequence[Agent], messages: Sequence[Message]) -> Iterable[str]:
    """Name everyone once, agents in order of appearance, then whoever only messages know."""
    names = dict.fromkeys(agent.name for agent in agents)
    for message in messages:
        names.setdefault(message.sender)
        names.setdefault(message.recipient)
    return names


def _edges(messages: Sequence[Message], spans: Mapping[str, Span]) -> list[dict[str, Any]]:
    between: dict[tuple[str, str], list[Message]] = {}
    for message in messages:
        between.setdefault((message.sender, message.recipient), []).append(message)
    return [
        {
            "sender": sender,
            "recipient": recipient,
            "count": len(said),
            "types": dict(Counter(message.type for message in said)),
            "provenance": _provenance(said),
            "errors": sum(_in_error(message, spans) for message in said),
            "tokens": sum(message.tokens or 0 for message in said),
        }
        for (sender, recipient), said in between.items()
    ]


def _provenance(messages: Sequence[Message]) -> str:
    kinds = {message.provenance for message in messages}
    return kinds.pop() if len(kinds) == 1 else "mixed"


def _in_error(message: Message, spans: Mapping[str, Span]) -> bool:
    span = spans.get(message.span_id)
    return span is not None and span.status == "error"


def _among_agents(pairs: Iterable[tuple[str, str]], names: Iterable[str]) -> "nx.DiGraph[str]":
    graph: nx.DiGraph[str] = nx.DiGraph()
    graph.add_nodes_from(name for name in names if name != USER)
    graph.add_edges_from(pair for pair in pairs if USER not in pair)
    return graph


def _work_handed_on(messages: Sequence[Message]) -> Iterator[tuple[str, str]]:
    for message in messages:
        if message.type not in _REPLIES and message.sender != message.recipient:
            yield message.sender, message.recipient


def _nodes(
    agents: Sequence[Agent],
    messages: Sequence[Message],
    failures: Sequence[FailureAnnotation],
    central: Mapping[str, Mapping[str, Any]],
) -> list[dict[str, Any]]:
    known = {agent.name: agent for agent in agents}
    sent = Counter(message.sender for message in messages)
    received = Counter(message.recipient for message in messages)
    failed = Counter(failure.agent for failure in failures if failure.agent)
    nodes = []
    for name, centrality in central.items():
        agent = known.get(name) or Agent(name, "", role=USER if name == USER else None)
        nodes.append(
            {
                "name": name,
                "role": agent.role,
                "framework": agent.framework,
                "spans": agent.spans,
                "tokens": agent.tokens_in + agent.tokens_out,
                "tokens_in": agent.tokens_in,
                "tokens_out": agent.tokens_out,
                "cost_usd": agent.cost_usd,
                "errors": agent.errors,
                "failures": failed[name],
                "messages_in": received[name],
                "messages_out": sent[name],
                "duration_ms": round(max(0, agent.last_ns - agent.first_ns) / 1e6, 3),
                "centrality": centrality,
            }
        )
    return nodes


def _centrality(graph: "nx.DiGraph[str]") -> tuple[dict[str, dict[str, Any]], bool]:
    """Return each node's centralities, and whether betweenness is an estimate."""
    if not graph:
        return {}, False
    steps = graph.number_of_nodes() * graph.number_of_edges()
    sample = None
    if steps > _BETWEENNESS_STEPS:
        sample = max(10, _BETWEENNESS_STEPS // graph.number_of_edges())
        sample = min(sample, graph.number_of_nodes())
    between = nx.betweenness_centrality(graph, k=sample, seed=0)
    rank = page_rank(graph)
    return {
        name: {
            "degree": graph.degree(name),
            "in_degree": graph.in_degree(name),
            "out_degree": graph.out_degree(name),
            "betweenness": round(between[name], 6),
            "pagerank": round(rank[name], 6),
        }
        for name in graph
    }, sample is not None


def page_rank(graph: "nx.DiGraph[str]", damping: float = 0.85) -> dict[str, float]:
    """Return PageRank weighted by message counts, by power iteration (Brin and Page 1998).

    The one of networkx needs SciPy, which is larger than the rest of the server.
    """
    size = graph.number_of_nodes()
    rank = dict.fromkeys(graph, 1 / size)
    out = {name: graph.out_degree(name, weight="weight") for name in graph}
    links = [(*link, float(graph.edges[link]["weight"])) for link in graph.edges]
    for _ in range(100):
        # Who sends nothing spreads its rank over everyone.
        lost = sum(rank[name] for name in graph if not out[name])
        following = dict.fromkeys(graph, (1 - damping + damping * lost) / size)
        for sender, recipient, weight in links:
            following[recipient] += damping * rank[sender] * weight / out[sender]
        change = sum(abs(following[name] - rank[name]) for name in graph)
        rank = following
        if change < 1e-9 * size:
            break
    return rank
