"""The analysis: from spans to what they mean, and a loop that one bad trace does not stop."""

import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import networkx as nx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agenttrace.errors import StoreUnavailable
from agenttrace.hookspecs import hookimpl
from agenttrace.models import Agent, Classifier, FailureAnnotation, Message, Span, Trace
from agenttrace.plugins import Plugins, load_plugins
from agenttrace.testing import agent, build, llm, message, raw_span, tool, workflow
from agenttrace_server.analyse import cycles, process
from agenttrace_server.analyse.cycles import MAX_CYCLES, find_cycles
from agenttrace_server.analyse.graph import build_graph, page_rank
from agenttrace_server.analyse.pipeline import analyse, find_failures
from agenttrace_server.analyse.process import Loop
from agenttrace_server.api.models import Graph
from agenttrace_server.store import Analysis, Claimed, Size, derive
from agenttrace_server.store.sql import SqlStore, open_store
from support import captures, stored
from support.stored import random_trace

TEAM = workflow(
    "team",
    agent("boss", llm("plan"), sends=message("worker", "do it")),
    agent("worker", tool("sql", error="E: x"), llm("It is done."), sends=message("boss", "done")),
    input="go",
)


def said(sender: str, recipient: str, number: int = 0, **about: object) -> Message:
    return Message(
        message_id=f"{sender}>{recipient}#{number}",
        trace_id="ab" * 16,
        span_id="01" * 8,
        sender=sender,
        recipient=recipient,
        **about,  # type: ignore[arg-type]
    )


def graph_of(*edges: str, **about: object) -> Graph:
    messages = [said(edge[0], edge[1], number, **about) for number, edge in enumerate(edges)]
    return Graph(trace_id="ab" * 16, **build_graph((), messages, (), {}))


class Classifying:
    """A plugin with these classifiers."""

    def __init__(self, *classifiers: Classifier) -> None:
        self.classifiers = classifiers

    @hookimpl
    def agenttrace_classifiers(self) -> Iterable[Classifier]:
        return self.classifiers


def annotation(annotation_id: str, trace_id: str = "ab" * 16) -> FailureAnnotation:
    return FailureAnnotation(
        annotation_id=annotation_id,
        trace_id=trace_id,
        mode="m",
        category="c",
        subcategory="s",
        classifier="test",
    )


def test_everything_is_derived_from_the_spans_alone() -> None:
    trace = build(TEAM)

    found = analyse(Trace(trace.trace_id, trace.spans), load_plugins())

    assert found.agents == trace.agents
    assert found.messages == trace.messages
    assert [failure.mode for failure in found.failures] == ["tool_error_ignored"]
    assert set(found.owners.values()) == {"boss", "worker"}
    assert found == analyse(trace, load_plugins())


def test_a_trace_without_meaning_has_an_empty_analysis() -> None:
    found = analyse(Trace("ab" * 16), load_plugins())

    assert (found.agents, found.messages, found.failures, found.owners) == ((), (), (), {})
    assert Graph(trace_id="x", **found.graph).nodes == []


def test_a_classifier_that_raises_costs_only_what_it_would_have_found() -> None:
    def good(trace: Trace) -> Iterator[FailureAnnotation]:
        yield annotation("good")

    def halfway(trace: Trace) -> Iterator[FailureAnnotation]:
        yield annotation("before")
        raise ValueError("boom")

    def nonsense(trace: Trace) -> Iterable[FailureAnnotation]:
        return [{"annotation_id": 7}, None]  # type: ignore[list-item]

    plugins = Plugins()
    plugins.register(Classifying(halfway, nonsense, good), "one")
    plugins.register(Classifying(good, None), "two")  # type: ignore[arg-type]

    found = find_failures(build(TEAM), plugins)

    assert sorted(failure.annotation_id for failure in found) == ["before", "good"]


def test_findings_with_one_id_are_one_and_those_of_another_trace_are_none() -> None:
    plugins = Plugins()
    twice = Classifying(lambda _: [annotation("a"), annotation("a"), annotation("b", "cd" * 16)])
    plugins.register(twice, "twice")

    assert [f.annotation_id for f in find_failures(build(TEAM), plugins)] == ["a"]


def test_an_edge_says_how_often_how_and_how_well() -> None:
    spans = {
        "01" * 8: Span.of(raw_span("ok", span_id="01" * 8)),
        "02" * 8: Span.of(raw_span("bad", span_id="02" * 8, status="error")),
    }
    messages = [
        said("a", "b", 1, tokens=5),
        said("a", "b", 2, type="question", provenance="inferred", tokens=7),
        Message(message_id="3", trace_id="ab" * 16, span_id="02" * 8, sender="b", recipient="a"),
    ]

    first, second = build_graph((), messages, (), spans)["edges"]

    assert first == {
        "sender": "a",
        "recipient": "b",
        "count": 2,
        "types": {"task": 1, "question": 1},
        "provenance": "mixed",
        "errors": 0,
        "tokens": 12,
    }
    assert (second["provenance"], second["errors"]) == ("observed", 1)


def test_a_node_sums_up_its_agent_and_the_user_is_one_too() -> None:
    agents = [Agent("a", "t", "langgraph", "plans", tokens_in=3, tokens_out=4, spans=2, errors=1)]
    messages = [said("user", "a"), said("a", "user", 2, type="result")]
    failures = [annotation("f")]

    graph = build_graph(agents, messages, failures, {})

    nodes = {node["name"]: node for node in graph["nodes"]}
    assert (nodes["a"]["tokens"], nodes["a"]["role"], nodes["a"]["messages_in"]) == (7, "plans", 1)
    assert (nodes["user"]["role"], nodes["user"]["spans"]) == ("user", 0)
    assert graph["metrics"]["cycles"] == []


def test_results_and_answers_close_no_delegation_cycle() -> None:
    task, result = said("a", "b"), said("b", "a", 1, type="result")

    metrics = build_graph((), [task, result], (), {})["metrics"]

    assert metrics["cycles"] == [["a", "b"]]
    assert metrics["delegation_cycles"] == []


def test_talking_to_oneself_is_an_edge_but_no_cycle_and_no_density() -> None:
    graph = graph_of("aa", "ab")

    assert len(graph.edges) == 2
    assert graph.metrics.cycles == []
    assert graph.metrics.density == 0.5


def test_metrics_are_those_of_networkx() -> None:
    edges = ["ab", "ab", "bc", "ca", "cd", "de", "ec"]
    graph = graph_of(*edges)
    reference = nx.DiGraph([(edge[0], edge[1]) for edge in edges])

    between = nx.betweenness_centrality(reference)
    for node in graph.nodes:
        assert node.centrality.degree == reference.degree(node.name)
        assert node.centrality.betweenness == pytest.approx(between[node.name], abs=1e-6)
    assert graph.metrics.density == pytest.approx(nx.density(reference), abs=1e-6)
    assert graph.metrics.cycles == [["a", "b", "c"], ["c", "d", "e"]]
    assert not graph.metrics.approximate


def test_page_rank_is_that_of_the_textbook() -> None:
    # Two pages that link to each other, and a third that links to the first: solved by hand.
    graph = nx.DiGraph()
    graph.add_weighted_edges_from([("a", "b", 1), ("b", "a", 1), ("c", "a", 1)])

    rank = page_rank(graph)

    base = 0.15 / 3
    b = (base + 0.85 * (base + 0.85 * base)) / (1 - 0.85**2)
    a = base + 0.85 * b + 0.85 * base
    assert rank == {
        "a": pytest.approx(a, abs=1e-6),
        "b": pytest.approx(b, abs=1e-6),
        "c": pytest.approx(base, abs=1e-6),
    }


@given(st.lists(st.tuples(st.sampled_from("abcdef"), st.sampled_from("abcdef")), max_size=20))
def test_every_simple_cycle_is_found_once_shortest_first(edges: list[tuple[str, str]]) -> None:
    graph = nx.DiGraph([edge for edge in edges if edge[0] != edge[1]])

    found, missing = find_cycles(graph)

    def turned(cycle: list[str]) -> tuple[str, ...]:
        first = cycle.index(min(cycle))
        return tuple(cycle[first:] + cycle[:first])

    expected = {turned(cycle) for cycle in nx.simple_cycles(graph)}
    if missing:
        assert len(found) <= MAX_CYCLES
        assert {turned(cycle) for cycle in found} <= expected
    else:
        assert {turned(cycle) for cycle in found} == expected
    assert [len(cycle) for cycle in found] == sorted(len(cycle) for cycle in found)
    assert len({turned(cycle) for cycle in found}) == len(found)


def test_a_full_mesh_of_agents_has_bounded_cycles_and_says_so() -> None:
    names = [f"agent {number}" for number in range(60)]
    messages = [said(a, b) for a in names for b in names if a != b]

    metrics = build_graph((), messages, (), {})["metrics"]

    assert len(metrics["cycles"]) == MAX_CYCLES
    assert metrics["truncated"]
    assert metrics["density"] == 1.0


def test_a_long_search_for_cycles_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cycles, "MAX_STEPS", 50)
    ladder = [
        (f"{side}{n}", f"{other}{n + 1}") for n in range(30) for side in "ab" for other in "ab"
    ]
    graph = nx.DiGraph([*ladder, ("a30", "a0")])

    found, missing = find_cycles(graph)

    assert missing
    assert found == []


def test_betweenness_of_a_very_dense_graph_is_estimated_and_says_so() -> None:
    names = [f"{number}" for number in range(110)]
    messages = [said(a, b) for a in names for b in names if a != b]

    assert build_graph((), messages, (), {})["metrics"]["approximate"]


@pytest.mark.parametrize("name", captures.TRACES)
def test_no_fault_is_found_in_runs_that_went_well(name: str) -> None:
    plugins = load_plugins()

    for trace in captures.traces(name, plugins):
        found = analyse(trace, plugins)
        faults = [f for f in found.failures if f.classifier == "agenttrace.faults"]
        assert faults == []
        Graph(trace_id=trace.trace_id, **found.graph)


class Hurt(SqlStore):
    """A store with one trace that cannot be read, or whose database is away."""

    def __init__(self, store: SqlStore, unreadable: str = "", *, away: bool = False) -> None:
        vars(self).update(vars(store))
        self.unreadable = unreadable
        self.away = away
        self.asked = threading.Event()

    def claim(self, limit: int, quiet_seconds: float, size: Size = "any") -> list[Claimed]:
        self.asked.set()
        if self.away:
            raise StoreUnavailable("away")
        return super().claim(limit, quiet_seconds, size)

    def spans(self, trace_ids: Sequence[str]) -> dict[str, tuple[Span, ...]]:
        if self.unreadable in trace_ids:
            raise ValueError("a row nobody can read")
        return super().spans(trace_ids)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqlStore]:
    store = open_store(f"sqlite:///{tmp_path / 'a.db'}")
    yield store
    store.close()


def write(store: SqlStore, *trace_ids: str) -> None:
    for trace_id in trace_ids:
        store.write(build(TEAM, trace_id=trace_id).spans)


def test_one_look_analyses_what_is_due(store: SqlStore) -> None:
    write(store, "01" * 16, "02" * 16)
    loop = Loop(store, load_plugins(), 0)

    assert loop.once()
    assert not loop.once()
    for trace_id in ("01" * 16, "02" * 16):
        summary = store.summary(trace_id)
        assert summary is not None
        assert (summary.analysed, summary.agents) == (True, ("boss", "worker"))


def test_a_trace_that_cannot_be_analysed_does_not_stop_the_others(store: SqlStore) -> None:
    write(store, "01" * 16, "02" * 16)

    assert Loop(Hurt(store, "01" * 16), load_plugins(), 0).once()
    summaries = [store.summary("01" * 16), store.summary("02" * 16)]
    assert [one.analysed for one in summaries if one] == [False, True]


def test_a_giant_does_not_hold_up_the_others(
    store: SqlStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(derive, "_OF_SIZE", sizes(100))
    giant, small = stored.trace_id(1), {stored.trace_id(number) for number in range(2, 12)}
    store.write(random_trace(1, 2000))
    store.write([span for number in range(2, 12) for span in random_trace(number, 5)])
    saved: set[str] = set()
    others_done = threading.Event()

    class Watched(Hurt):
        def spans(self, trace_ids: Sequence[str]) -> dict[str, tuple[Span, ...]]:
            if giant in trace_ids:
                assert others_done.wait(120)
            return super().spans(trace_ids)

        def save_all(self, found: Sequence[tuple[Claimed, Analysis]]) -> None:
            super().save_all(found)
            saved.update(claimed.trace_id for claimed, _ in found)
            if saved >= small:
                others_done.set()

    loops = [Loop(Watched(store), load_plugins(), 0, size) for size in ("large", "small")]
    threads = [threading.Thread(target=loop.run) for loop in loops]
    for thread in threads:
        thread.start()
    until = time.monotonic() + 120
    while not saved >= small | {giant} and time.monotonic() < until:
        time.sleep(0.02)
    for loop, thread in zip(loops, threads, strict=True):
        loop.stop()
        thread.join(60)

    assert saved == small | {giant}


def sizes(large: int) -> dict[str, tuple[Any, ...]]:
    count = derive.TRACES.c.span_count
    return {"any": (), "small": (count <= large,), "large": (count > large,)}


def test_a_trace_that_is_worked_on_for_long_is_nobody_elses(
    store: SqlStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(store, "01" * 16)
    monkeypatch.setattr(process, "HOLD_SECONDS", 0.01)
    begun, finish = threading.Event(), threading.Event()

    class Slow(Hurt):
        def spans(self, trace_ids: Sequence[str]) -> dict[str, tuple[Span, ...]]:
            begun.set()
            assert finish.wait(60)
            return super().spans(trace_ids)

    loop = Loop(Slow(store), load_plugins(), 0)
    monkeypatch.setattr(derive, "LEASE_NS", 1)  # not held, the claim would have run out at once
    thread = threading.Thread(target=loop.run)
    thread.start()
    assert begun.wait(60)
    until = time.monotonic() + 60
    while store.claim(1, 0) and time.monotonic() < until:
        time.sleep(0.01)
    taken = store.claim(1, 0)
    loop.stop()
    finish.set()
    thread.join(60)

    assert taken == []


def test_what_was_not_begun_when_the_analysis_ends_is_due_at_once(store: SqlStore) -> None:
    write(store, "01" * 16, "02" * 16)

    class Ending(Hurt):
        def spans(self, trace_ids: Sequence[str]) -> dict[str, tuple[Span, ...]]:
            loop.stop()
            return super().spans(trace_ids)

    loop = Loop(Ending(store), load_plugins(), 0)
    loop.once()

    assert {one.trace_id for one in store.claim(10, 0)} == {"01" * 16, "02" * 16}


def test_the_loop_waits_for_a_store_that_is_away_and_stops_when_told(store: SqlStore) -> None:
    hurt = Hurt(store, away=True)
    loop = Loop(hurt, load_plugins(), 0)
    thread = threading.Thread(target=loop.run)
    thread.start()
    assert hurt.asked.wait(10)
    loop.stop()
    thread.join(10)

    assert not thread.is_alive()


def test_the_loop_takes_up_what_is_written_while_it_sleeps(store: SqlStore) -> None:
    loop = Loop(store, load_plugins(), 0)
    thread = threading.Thread(target=loop.run)
    thread.start()
    write(store, "03" * 16)
    loop.wake()

    def analysed() -> bool:
        summary = store.summary("03" * 16)
        return summary is not None and summary.analysed

    until = time.monotonic() + 20
    while not analysed() and time.monotonic() < until:
        time.sleep(0.02)
    loop.stop()
    thread.join(10)
    assert analysed()
