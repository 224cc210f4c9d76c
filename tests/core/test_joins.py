"""Which traces are fragments of one run."""

import random

import pytest

from agenttrace.joins import CLOSE_NS, SpanFacts, facts_of, join_traces
from agenttrace.models import Scope, SpanLink
from agenttrace.normalize import normalize
from agenttrace.plugins import load_plugins
from agenttrace.testing import raw_span
from support.captures import TRACES, load

SECOND = 1_000_000_000


def fact(trace_id: str, start: float = 0.0, end: float | None = None, **about) -> SpanFacts:
    ends = start + 0.1 if end is None else end
    return SpanFacts(
        trace_id=trace_id,
        span_id=trace_id * 2,
        start_ns=int(start * SECOND),
        end_ns=int(ends * SECOND),
        process="app/1",
        **about,
    )


def test_traces_with_nothing_in_common_stay_apart() -> None:
    assert join_traces([fact("b", 1), fact("a", 0)]) == (("a",), ("b",))


def test_no_spans_are_no_runs() -> None:
    assert join_traces([]) == ()


def test_a_link_joins_also_through_others() -> None:
    facts = [fact("c", 2, links=("b",)), fact("b", 1, links=("a",)), fact("a", 0)]

    assert join_traces(facts) == (("a", "b", "c"),)


def test_a_link_to_a_trace_that_is_not_there_joins_nothing() -> None:
    assert join_traces([fact("a", links=("gone",))]) == (("a",),)


def test_steps_that_name_each_other_join() -> None:
    step = "01a206a3-4210-7627-9340-9c6f2de3a6ec"

    assert join_traces([fact("a", 0, steps=(step,)), fact("b", 99, steps=(step,))]) == (("a", "b"),)


def test_a_message_sent_in_one_and_answered_in_the_other_joins() -> None:
    assert join_traces([fact("a", 0, messages=("m1",)), fact("b", 60, messages=("m1", "m2"))]) == (
        ("a", "b"),
    )


def test_the_same_message_object_in_two_whole_runs_joins_nothing() -> None:
    facts = [
        fact("a", 0, messages=("m1",), begins_run=True),
        fact("b", 5, messages=("m1",), begins_run=True),
    ]

    assert len(join_traces(facts)) == 2


def test_fragments_of_a_session_that_are_close_join() -> None:
    facts = [
        fact("a", 0, 1, session="s", begins_run=True),
        fact("b", 0.5, 2, session="s"),
        fact("c", 2.5, 3, session="s"),
        fact("d", 3.1, session="other"),
    ]

    assert join_traces(facts) == (("a", "b", "c"), ("d",))


def test_runs_of_a_conversation_stay_runs() -> None:
    facts = [fact(name, n * 0.2, session="s", begins_run=True) for n, name in enumerate("abc")]

    assert join_traces(facts) == (("a",), ("b",), ("c",))


def test_fragments_of_a_session_far_apart_stay_apart() -> None:
    later = 1 + 2 * CLOSE_NS / SECOND

    assert len(join_traces([fact("a", 0, 1, session="s"), fact("b", later, session="s")])) == 2


def test_an_announced_agent_goes_with_the_next_run_it_takes_part_in() -> None:
    facts = [
        fact("n1", 0, agent="ann", announces=True),
        fact("n2", 1, agent="ann", announces=True),
        fact("other", 1.5, agent="bob"),
        fact("run1", 0.5, agent="ann"),
        fact("run2", 2, agent="ann"),
    ]

    assert join_traces(facts) == (("n1", "run1"), ("n2", "run2"), ("other",))


def test_an_announced_agent_of_another_process_is_another() -> None:
    announced = SpanFacts(
        trace_id="n", span_id="n", process="app/2", agent="ann", announces=True, end_ns=1
    )

    assert len(join_traces([announced, fact("run", 1, agent="ann")])) == 2


def test_the_order_of_the_facts_makes_no_difference() -> None:
    spans = normalize(load("autogen-0.7.5-builtin-swarm"), load_plugins())
    facts = [facts_of(span) for span in spans]
    expected = join_traces(facts)

    for seed in range(5):
        random.Random(seed).shuffle(facts)
        assert join_traces(facts) == expected


def test_the_26_traces_of_a_swarm_are_one_run() -> None:
    spans = normalize(load("autogen-0.7.5-builtin-swarm"), load_plugins())

    [run] = join_traces(map(facts_of, spans))

    assert len(run) == 26


def test_two_runs_of_the_same_app_stay_two() -> None:
    """The same 26 traces again, a minute later, with other trace ids: a second run."""
    plugins = load_plugins()
    once = [facts_of(span) for span in normalize(load("autogen-0.7.5-builtin-swarm"), plugins)]
    minute = 60 * SECOND
    again = [
        SpanFacts(
            trace_id="2" + f.trace_id,
            span_id=f.span_id,
            start_ns=f.start_ns + minute,
            end_ns=f.end_ns + minute,
            process=f.process,
            session=f.session and "2" + f.session,
            links=tuple("2" + link for link in f.links),
            agent=f.agent,
            announces=f.announces,
        )
        for f in once
    ]

    groups = join_traces(once + again)

    assert [len(group) for group in groups] == [26, 26]
    assert not {i for i in groups[0] if len(i) > 32}


@pytest.mark.parametrize("name", [n for n in TRACES if not n.startswith("autogen")])
def test_recordings_that_are_whole_stay_as_they_are(name) -> None:
    spans = normalize(load(name), load_plugins())

    assert len(join_traces(map(facts_of, spans))) == len({span.trace_id for span in spans})


def test_links_outside_agent_frameworks_mean_nothing() -> None:
    link = SpanLink("b" * 32, "1" * 16)
    plugins = load_plugins()
    plain, ours = normalize(
        [
            raw_span("poll", scope="kafka", links=(link,)),
            raw_span("autogen publish t", scope=Scope("autogen X"), links=(link,)),
        ],
        plugins,
    )

    assert facts_of(plain).links == ()
    assert facts_of(ours).links == ("b" * 32,)
