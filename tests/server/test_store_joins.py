"""Fragments of one run are one trace in the store, and people can undo that."""

import random

import pytest

from agenttrace.errors import TraceNotFound
from agenttrace.models import Span
from agenttrace.normalize import normalize
from agenttrace.plugins import load_plugins
from agenttrace_server.store import Page, Store, TraceQuery
from agenttrace_server.store.joins import TracePart
from support.captures import load
from support.stored import SECOND, START_NS, settle, span, trace_id

PLUGINS = load_plugins()
SWARM = normalize(load("autogen-0.7.5-builtin-swarm"), PLUGINS)


def shown(store: Store, **query: object) -> Page:
    return store.traces(TraceQuery(**query))  # type: ignore[arg-type]


def step(number: int, *, trace: int, about: str = "run-4711-of-the-shop") -> Span:
    """A span of a framework that names the step it is part of."""
    start = START_NS + number * SECOND
    return span(
        number,
        trace=trace,
        kind="llm",
        tokens_in=10,
        tokens_out=5,
        cost_usd=0.5,
        attributes={"gen_ai.task.id": about},
        start_ns=start,
        end_ns=start + SECOND,
    )


def parts_of(store: Store, trace: str) -> list[TracePart]:
    return [part for part in store.joins.parts(trace) if not part.apart]


@pytest.mark.parametrize("seed", range(3))
def test_the_26_traces_of_a_swarm_are_shown_as_one_with_its_handoffs(
    store: Store, seed: int
) -> None:
    chance = random.Random(seed)
    by_trace: dict[str, list[Span]] = {}
    for one in SWARM:
        by_trace.setdefault(one.trace_id, []).append(one)
    fragments = list(by_trace.values())
    chance.shuffle(fragments)

    for number, fragment in enumerate(fragments):
        store.write(fragment)
        if number % 9 == 0:
            settle(store, PLUGINS)
    settle(store, PLUGINS)

    (summary,) = shown(store).items
    columns = store.columns(summary.trace_id)
    assert columns is not None
    assert (summary.parts, summary.analysed, summary.part_of) == (26, True, None)
    assert summary.span_count == len(SWARM) == len(columns.span_id)
    handoffs = [m for m in store.messages(summary.trace_id) if m.type == "handoff"]
    assert [(m.sender, m.recipient) for m in handoffs] == [
        ("planner", "worker"),
        ("worker", "planner"),
    ]
    assert {m.trace_id for m in handoffs} == {summary.trace_id}
    assert {a.name for a in store.agents(summary.trace_id)} == set(summary.agents)
    assert len(columns.joined) == 26
    assert sum(part.joined_to is None for part in columns.joined) == 1
    assert len(parts_of(store, summary.trace_id)) == 26


def test_totals_are_over_all_parts_and_the_parts_stay_addressable(store: Store) -> None:
    store.write([step(1, trace=1), step(2, trace=2), span(3, trace=3)])
    settle(store, PLUGINS)

    items = {item.parts: item for item in shown(store).items}
    joined = items[2]
    raw = shown(store, joined=False)
    trace = store.trace(joined.trace_id)
    part = store.summary(trace_id(1))
    assert trace is not None
    assert part is not None
    assert (joined.span_count, joined.tokens_in, joined.cost_usd) == (2, 20, 1.0)
    assert joined.end_ns - joined.start_ns == 2 * SECOND
    assert items[0].trace_id == trace_id(3)
    assert {item.trace_id for item in raw.items} == {trace_id(1), trace_id(2), trace_id(3)}
    assert (part.part_of, part.span_count, part.tokens_in) == (joined.trace_id, 1, 10)
    assert [one.trace_id for one in trace.spans] == [trace_id(1), trace_id(2)]
    stats = store.stats()
    assert (stats["traces"], stats["tokens_in"]) == (2, 20)


def test_a_join_that_was_undone_stays_undone_until_it_is_asked_for(store: Store) -> None:
    store.write([step(1, trace=1), step(2, trace=2)])
    settle(store, PLUGINS)
    (joined,) = shown(store).items

    assert sorted(store.joins.split(joined.trace_id)) == [trace_id(1), trace_id(2)]
    store.look_again(trace_id(1))
    store.write([step(4, trace=1)])
    settle(store, PLUGINS)
    assert {item.trace_id for item in shown(store).items} == {trace_id(1), trace_id(2)}
    assert [part.apart for part in store.joins.parts(trace_id(1))] == [True, True]

    assert store.joins.join(trace_id(1)) == joined.trace_id
    settle(store, PLUGINS)
    (again,) = shown(store).items
    assert (again.trace_id, again.parts, again.span_count) == (joined.trace_id, 2, 3)


def test_one_part_is_taken_out_of_a_join(store: Store) -> None:
    store.write([step(number, trace=number) for number in (1, 2, 3)])
    settle(store, PLUGINS)

    assert store.joins.split(trace_id(2)) == (trace_id(2),)
    settle(store, PLUGINS)

    found = {item.trace_id: item.parts for item in shown(store).items}
    assert found.pop(trace_id(2)) == 0
    assert list(found.values()) == [2]


def test_traces_with_nothing_in_common_are_joined_by_hand(store: Store) -> None:
    store.write([span(1, trace=1), span(2, trace=2)])
    settle(store, PLUGINS)
    assert len(shown(store).items) == 2

    joined = store.joins.join(trace_id(1), [trace_id(2)])
    settle(store, PLUGINS)
    store.write([span(3, 1, trace=1)])
    settle(store, PLUGINS)

    (item,) = shown(store).items
    assert (item.trace_id, item.parts, item.span_count) == (joined, 2, 3)
    assert [part.reason for part in parts_of(store, item.trace_id)] == [None, "by hand"]
    with pytest.raises(TraceNotFound, match="There is no trace"):
        store.joins.join(trace_id(1), [trace_id(9)])


def test_a_span_that_comes_late_reaches_the_joined_trace(store: Store) -> None:
    store.write([step(1, trace=1), step(2, trace=2)])
    settle(store, PLUGINS)
    (joined,) = shown(store).items

    store.write([step(3, trace=2)])
    (stale,) = shown(store).items
    settle(store, PLUGINS)

    (fresh,) = shown(store).items
    assert not stale.analysed
    assert (fresh.trace_id, fresh.span_count, fresh.analysed) == (joined.trace_id, 3, True)


def test_a_joined_trace_is_deleted_with_its_parts(store: Store) -> None:
    store.write([step(1, trace=1), step(2, trace=2), span(3, trace=3)])
    settle(store, PLUGINS)
    joined = next(item for item in shown(store).items if item.parts)

    assert store.delete(joined.trace_id)

    left = shown(store, joined=False).items
    assert [item.trace_id for item in left] == [trace_id(3)]
    assert store.summary(joined.trace_id) is None
    assert store.expire(START_NS + 100 * SECOND) == 1


def test_the_parents_that_never_came_are_named_with_their_children(store: Store) -> None:
    store.write([span(2, 1, trace=1), span(3, 1, trace=1), span(4, 3, trace=1)])

    columns = store.columns(trace_id(1))

    assert columns is not None
    assert columns.parent == [-2, -2, 1]
    assert columns.missing == {f"{1:016x}": [0, 1]}


def test_what_is_written_in_a_part_finds_the_joined_trace(store: Store) -> None:
    store.write([step(1, trace=1), step(2, trace=2)])
    store.write([span(5, 2, trace=2, name="pangolin")])
    settle(store, PLUGINS)

    (found,) = shown(store, q="pangolin").items

    assert found.parts == 2
