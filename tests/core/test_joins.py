"""Which traces are fragments of one run."""

import random

import pytest

from agenttrace.fragments import SpanFacts, facts_of, fragments
from agenttrace.joins import CLOSE_NS, Part, join_fragments, join_traces
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
        fact("b", 0.5, 2, session="s", agent="ann"),
        fact("c", 2.5, 3, session="s", agent="bob"),
        fact("d", 3.1, session="other"),
    ]

    assert join_traces(facts) == (("a", "b", "c"), ("d",))


def test_runs_of_a_conversation_stay_runs() -> None:
    facts = [fact(name, n * 0.2, session="s", begins_run=True) for n, name in enumerate("abc")]

    assert join_traces(facts) == (("a",), ("b",), ("c",))


def test_fragments_of_a_session_far_apart_stay_apart() -> None:
    later = 1 + 2 * CLOSE_NS / SECOND
    facts = [
        fact("a", 0, 1, session="s", agent="ann"),
        fact("b", later, session="s", agent="bob"),
    ]

    assert len(join_traces(facts)) == 2


def test_model_calls_of_a_session_stay_apart_where_no_run_holds_them() -> None:
    facts = [fact(f"{n:04}", n * 0.2, session="s") for n in range(1000)]

    assert len(join_traces(facts)) == 1000


def test_a_call_that_lost_its_context_goes_with_the_run_of_its_session() -> None:
    facts = [
        fact("run", 0, 5, session="s", begins_run=True),
        fact("lost", 1, session="s"),
        fact("elsewhere", 1, session="t"),
    ]

    assert join_traces(facts) == (("run", "lost"), ("elsewhere",))


def test_what_lies_between_two_runs_of_a_session_goes_with_one_of_them() -> None:
    facts = [
        fact("a", 0, 1, session="s", begins_run=True),
        fact("lost", 0.9, 1.2, session="s", agent="ann"),
        fact("b", 1.5, 2, session="s", begins_run=True),
    ]

    assert join_traces(facts) == (("a", "lost"), ("b",))


def test_a_chat_of_a_thousand_turns_stays_a_thousand_traces() -> None:
    turns = [fact(f"t{n:04}", n * 0.5, session="s", opens="bot", agent="bot") for n in range(1000)]
    calls = [fact(f"c{n:04}", n * 0.5 + 0.05, session="s") for n in range(1000)]

    groups = join_traces(turns + calls)

    assert max(len(group) for group in groups) == 2
    assert len(groups) == 1000


def test_agents_that_follow_each_other_in_a_session_are_one_run() -> None:
    facts = [
        fact("a", 0, 1, session="s", opens="triage", agent="triage"),
        fact("b", 1.1, 2, session="s", opens="refunds", agent="refunds"),
        fact("next turn", 2.1, 3, session="s", opens="triage", agent="triage"),
    ]

    assert join_traces(facts) == (("a", "b"), ("next turn",))


def test_a_handoff_that_starts_a_new_trace_joins_also_back_to_the_first_agent() -> None:
    facts = [
        fact("a", 0, 1, session="s", opens="Triage Bot", agent="Triage Bot", hands_to=("refunds",)),
        fact("b", 1.1, 2, session="s", opens="Refunds", agent="Refunds", hands_to=("triage_bot",)),
        fact("c", 2.1, 3, session="s", opens="Triage Bot", agent="Triage Bot"),
    ]

    assert join_traces(facts) == (("a", "b", "c"),)


def test_a_message_answered_in_another_trace_joins_runs_that_go_on_together() -> None:
    asks = fact("a", 0, 5, messages=("m1",), begins_run=True)

    soon = fact("b", 1, 2, messages=("m2",), causes=("m1",), begins_run=True)
    next_turn = fact("c", 60, 61, messages=("m3",), causes=("m1",), begins_run=True)

    assert join_traces([asks, soon]) == (("a", "b"),)
    assert len(join_traces([asks, next_turn])) == 2


def test_a_replay_is_not_joined_to_what_it_repeats() -> None:
    facts = [
        fact("a", 0, messages=("m1",), session="s", steps=("x",), agent="ann"),
        fact("b", 0.1, messages=("m1",), session="s", steps=("x",), agent="ann", replay="r1"),
        fact("c", 0.2, messages=("m1",), session="s", steps=("x",), agent="ann", replay="r1"),
    ]

    assert join_traces(facts) == (("a",), ("b", "c"))


def test_each_part_says_to_what_it_was_joined_and_why() -> None:
    facts = [fact("c", 2, links=("b",)), fact("b", 1, links=("a",)), fact("a", 0)]

    assert join_fragments(fragments(facts)) == (
        (Part("a"), Part("b", "a", "link"), Part("c", "b", "link")),
    )


def test_what_people_joined_belongs_together() -> None:
    apart = fragments([fact("a", 0, begins_run=True), fact("b", 99, begins_run=True)])

    assert join_fragments(apart, by_hand=[("a", "b"), ("b", "gone")]) == (
        (Part("a"), Part("b", "a", "by hand")),
    )


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


def test_agents_that_openllmetry_announces_go_with_the_run_they_take_part_in() -> None:
    spans = normalize(load("langchain-traceloop-0.62.4-swarm"), load_plugins())

    [run] = join_traces(map(facts_of, spans))

    assert len(run) == 3


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


IN_PARTS = ("autogen", "langchain-traceloop", "openlit")


@pytest.mark.parametrize("name", [n for n in TRACES if not n.startswith(IN_PARTS)])
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
