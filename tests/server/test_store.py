"""What every store promises about spans and traces."""

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agenttrace.models import Scope, Span, SpanEvent, SpanLink
from agenttrace_server.store import Rejected, Store, TraceQuery
from support.stored import (
    SECOND,
    START_NS,
    llm,
    opened,
    random_trace,
    shuffled,
    span,
    span_id,
    trace_id,
)

T = trace_id()


def test_a_trace_comes_back_as_it_was_written(store: Store) -> None:
    spans = [
        span(1, kind="workflow", framework="langgraph", session="s", span_kind="server"),
        span(
            2,
            1,
            kind="agent",
            agent="planner",
            agent_role="plans",
            input="do it",
            output="done",
            attributes={"agenttrace.input": "do it", "n": 1, "f": 1.5, "yes": True, "no": None},
            events=(SpanEvent("thought", START_NS, {"text": "hm"}),),
            links=(SpanLink("ab" * 16, "cd" * 8, {"why": "cause"}, "a=b", 1),),
            trace_state="x=y",
            flags=257,
            status="error",
            status_message="no",
            error="ValueError: no",
        ),
        llm(3, 2, provider="openai", scope=Scope("other", "2", {"a": 1}, "http://s", {"b": [1]})),
        span(4, 2, kind="tool", tool="search", input='{"q":1}', output="[]"),
    ]

    store.write(spans)

    trace = store.trace(T)
    assert trace is not None
    assert trace.spans == tuple(spans)
    assert [store.span(T, span_id(n)) for n in (1, 2, 3, 4)] == spans


def test_what_is_not_there_is_none(store: Store) -> None:
    store.write([span(1)])

    missing = trace_id(99)
    assert store.trace(missing) is None
    assert store.summary(missing) is None
    assert store.columns(missing) is None
    assert store.graph(missing) is None
    assert store.span(missing, span_id(1)) is None
    assert store.span(T, span_id(99)) is None
    assert store.agents(missing) == store.messages(missing) == store.failures(missing) == ()
    assert store.delete(missing) is False


def test_writing_nothing_changes_nothing(store: Store) -> None:
    store.write([])

    assert store.traces(TraceQuery()).total == 0
    assert store.cursor() == 0


def test_a_summary_says_what_its_spans_add_up_to(store: Store) -> None:
    store.write(
        [
            span(1, name="run", kind="workflow", framework="crewai", session="s1"),
            llm(2, 1, 10, 5),
            llm(3, 1, 20, 7, status="error"),
            span(4, 1, kind="agent", tokens_in=30, tokens_out=12, end_ns=START_NS + 9 * SECOND),
        ]
    )

    summary = store.summary(T)
    assert summary is not None
    assert (summary.name, summary.service_name, summary.frameworks) == ("run", "shop", ("crewai",))
    assert (summary.status, summary.span_count, summary.error_count) == ("ok", 4, 1)
    assert (summary.tokens_in, summary.tokens_out, summary.cost_usd) == (30, 12, 0.5)
    assert summary.start_ns == START_NS + 1_000_000
    assert summary.end_ns == START_NS + 9 * SECOND
    assert (summary.session, summary.analysed, summary.version) == ("s1", False, 1)


def test_a_trace_runs_until_its_root_arrives(store: Store) -> None:
    store.write([span(2, 1, name="child")])
    before = store.summary(T)
    store.write([span(1, name="root", start_ns=START_NS)])
    after = store.summary(T)

    assert before is not None
    assert after is not None
    assert (before.status, before.name) == ("running", "child")
    assert (after.status, after.name, after.version) == ("ok", "root", 2)


def test_a_trace_whose_root_failed_is_an_error(store: Store) -> None:
    store.write([span(1, status="error"), span(2, 1)])
    store.write([span(1, trace=2), span(2, 1, trace=2, status="error")])

    assert [store.summary(trace_id(n)).status for n in (1, 2)] == ["error", "ok"]  # type: ignore[union-attr]


def test_the_earliest_of_several_roots_names_the_trace(store: Store) -> None:
    store.write([span(2, name="second")])
    store.write([span(1, name="first")])
    store.write([span(3, name="third")])

    summary = store.summary(T)
    assert summary is not None
    assert summary.name == "first"


def test_a_span_above_a_model_call_that_reports_the_same_tokens_is_not_added(store: Store) -> None:
    outer, inner = llm(2, 1, 10, 5), llm(3, 2, 10, 5)

    for number, order in enumerate(([outer, inner], [inner, outer]), start=1):
        for each in order:
            store.write([_of(each, number)])
        store.write([span(1, trace=number)])

    for number in (1, 2):
        summary = store.summary(trace_id(number))
        assert summary is not None
        assert (summary.tokens_in, summary.tokens_out, summary.cost_usd) == (10, 5, 0.25)


def test_a_model_call_without_usage_does_not_hide_the_usage_above_it(store: Store) -> None:
    store.write([llm(1, None, 10, 5), llm(2, 1, None, None, cost_usd=None)])

    summary = store.summary(T)
    assert summary is not None
    assert (summary.tokens_in, summary.tokens_out) == (10, 5)


def test_clocks_that_disagree_give_no_negative_duration(store: Store) -> None:
    store.write([span(1, start_ns=START_NS, end_ns=START_NS - SECOND)])

    summary, columns = store.summary(T), store.columns(T)
    assert summary is not None
    assert columns is not None
    assert summary.end_ns >= summary.start_ns
    assert columns.duration_us == [0]


def test_a_trace_may_last_for_days(store: Store) -> None:
    week = 7 * 24 * 3600 * SECOND
    store.write([span(2, 1, start_ns=START_NS + week)])
    store.write([span(1, start_ns=START_NS, end_ns=START_NS + 2 * week)])

    summary = store.summary(T)
    assert summary is not None
    assert summary.end_ns - summary.start_ns == 2 * week


@pytest.mark.parametrize("batch", [1, 3, 1000])
def test_writing_a_span_twice_leaves_one_copy(store: Store, batch: int) -> None:
    spans = random_trace(1, 40)
    for _ in range(3):
        for start in range(0, len(spans), batch):
            store.write(spans[start : start + batch])
    once = store.summary(T)
    store.write(spans)

    trace = store.trace(T)
    assert trace is not None
    assert sorted(trace.spans, key=lambda s: s.span_id) == spans
    assert once is not None
    assert once.span_count == 40
    assert store.summary(T) == once


def test_a_duplicate_is_no_change(store: Store) -> None:
    store.write([span(1)])
    cursor = store.cursor()

    store.write([span(1)])

    assert store.cursor() == cursor
    assert [change.version for change in store.changes(0)] == [1]


def test_the_version_of_a_span_that_ended_last_is_kept_in_any_order(store: Store) -> None:
    begun = span(2, 1, end_ns=START_NS, name="begun", kind="llm", tokens_in=1, model="a")
    ended = span(2, 1, end_ns=START_NS + SECOND, name="ended", kind="llm", tokens_in=9, model="b")

    for number, order in enumerate(([begun, ended], [ended, begun]), start=1):
        store.write([span(1, trace=number)])
        for each in order:
            store.write([_of(each, number)])
    store.write([span(1, trace=3), _of(begun, 3), _of(ended, 3)])

    for number in (1, 2, 3):
        kept = store.span(trace_id(number), span_id(2))
        summary = store.summary(trace_id(number))
        assert kept is not None
        assert summary is not None
        assert (kept.name, kept.model) == ("ended", "b")
        assert (summary.span_count, summary.tokens_in) == (2, 9)


def test_of_equally_long_versions_of_a_span_the_one_with_more_events_is_kept(store: Store) -> None:
    more = span(1, events=(SpanEvent("said", START_NS, {"text": "hello"}),), output="hello")
    for spans in ([span(1), more, span(1)], [_of(more, 2), span(1, trace=2)]):
        for each in spans:
            store.write([each])

    assert store.span(T, span_id(1)) == more
    assert store.span(trace_id(2), span_id(1)) == _of(more, 2)


def test_a_span_that_came_again_with_another_start_is_still_one(store: Store) -> None:
    store.write([span(1, start_ns=START_NS, end_ns=START_NS + 1)])
    store.write([span(1, start_ns=START_NS + 5, end_ns=START_NS + SECOND)])

    trace, summary = store.trace(T), store.summary(T)
    assert trace is not None
    assert summary is not None
    assert len(trace.spans) == summary.span_count == 1
    assert summary.start_ns == START_NS + 5


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_order_duplicates_and_batches_make_no_difference(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    size = data.draw(st.integers(1, 25))
    spans = random_trace(1, size, data.draw(st.integers(0, 1000))) + random_trace(2, 3)
    again = spans + data.draw(st.lists(st.sampled_from(spans), max_size=10))
    mixed = shuffled(again, data.draw(st.integers(0, 1000)))
    batch = data.draw(st.integers(1, len(mixed)))

    def stored(order: list, batch: int) -> list:
        with opened(f"sqlite:///{tmp_path_factory.mktemp('order') / 'db'}") as store:
            for start in range(0, len(order), batch):
                store.write(order[start : start + batch])
            answers: list = []
            for number in (1, 2):
                summary = store.summary(trace_id(number))
                assert summary is not None
                shown = {f: getattr(summary, f) for f in summary.__struct_fields__}
                del shown["version"]
                answers += [shown, store.trace(trace_id(number)), store.columns(trace_id(number))]
            return answers

    assert stored(mixed, batch) == stored(spans, len(spans))


def test_the_skeleton_points_to_parents_and_string_tables(store: Store) -> None:
    store.write(
        [
            span(1, name="run", kind="workflow"),
            span(2, 1, name="plan", kind="agent", agent="planner"),
            llm(3, 2, name="plan", status="error"),
            span(4, 77, name="lost"),
        ]
    )

    columns = store.columns(T)
    assert columns is not None
    assert columns.span_id == [span_id(n) for n in (1, 2, 3, 4)]
    assert columns.parent == [-1, 0, 1, -2]
    assert columns.start_ns == START_NS + 1_000_000
    assert columns.start_us == [0, 1000, 2000, 3000]
    assert columns.duration_us == [1_000_000] * 4
    assert [columns.names[i] for i in columns.name] == ["run", "plan", "plan", "lost"]
    assert [columns.kinds[i] for i in columns.kind] == ["workflow", "agent", "llm", "other"]
    assert columns.agent == [-1, 0, -1, -1]
    assert columns.agents == ["planner"]
    assert [columns.models[i] if i >= 0 else None for i in columns.model] == [
        None,
        None,
        "gpt-4o",
        None,
    ]
    assert columns.status == [0, 0, 2, 0]
    assert columns.tokens == [0, 0, 15, 0]


def test_a_parent_that_starts_with_its_child_comes_first(store: Store) -> None:
    store.write(
        [
            span(1, 2, start_ns=START_NS, end_ns=START_NS + 5),
            span(2, start_ns=START_NS, end_ns=START_NS + 9),
        ]
    )

    trace, columns = store.trace(T), store.columns(T)
    assert trace is not None
    assert columns is not None
    assert [s.span_id for s in trace.spans] == [span_id(2), span_id(1)] == columns.span_id


def test_everything_of_a_deleted_trace_is_gone_and_it_can_be_written_again(store: Store) -> None:
    spans = random_trace(1, 10)
    store.write(spans)
    store.write(random_trace(2, 10))

    assert store.delete(T) is True

    assert store.trace(T) is None
    assert store.summary(T) is None
    assert store.traces(TraceQuery()).total == 1
    assert store.delete(T) is False
    store.write(spans)
    trace = store.trace(T)
    assert trace is not None
    assert len(trace.spans) == 10
    assert len(store.trace(trace_id(2)).spans) == 10  # type: ignore[union-attr]


def test_changes_are_told_once_each_in_order(store: Store) -> None:
    store.write([span(1)])
    store.write([span(1, trace=2)])
    seen = store.changes(0)
    store.write([span(2, 1)])

    assert [c.trace_id for c in seen] == [trace_id(1), trace_id(2)]
    assert seen[-1].cursor == seen[0].cursor + 1
    later = store.changes(seen[-1].cursor)
    assert [(c.trace_id, c.version, c.analysed) for c in later] == [(T, 2, False)]
    assert later[0].cursor == store.cursor()
    assert store.changes(store.cursor()) == []
    assert len(store.changes(0, limit=1)) == 1


def test_a_deleted_trace_does_not_make_later_changes_unseen(store: Store) -> None:
    store.write([span(1)])
    cursor = store.cursor()
    store.delete(T)
    store.write([span(1, trace=2)])

    assert [c.trace_id for c in store.changes(cursor)] == [trace_id(2)]


def test_the_newest_refused_spans_are_remembered(store: Store) -> None:
    store.reject([Rejected(1, "bad id", "shop", "x", "y", "z")])
    store.reject([Rejected(n, f"reason {n}") for n in range(2, 700)])

    newest = store.rejected(3)
    assert [one.reason for one in newest] == ["reason 699", "reason 698", "reason 697"]
    assert len(store.rejected(10_000)) == 500


def test_events_are_kept_for_spans_that_come_later(store: Store) -> None:
    first, second = SpanEvent("a", 1, {"x": b"1"}), SpanEvent("b", 2, {"x": {"y": [1.5]}})
    key, other = (T, span_id(1)), (T, span_id(2))

    store.keep_events({key: [second, first], other: [first]})
    store.keep_events({key: [first]})

    assert store.kept_events([key]) == {key: [first, second]}
    store.drop_events([key])
    assert store.kept_events([key, other]) == {other: [first]}


def test_what_was_written_is_there_after_opening_again(database_url: str) -> None:
    spans = random_trace(1, 30)
    with opened(database_url) as store:
        store.write(spans)
        before = store.summary(T)

    with opened(database_url) as store:
        assert store.summary(T) == before
        assert len(store.trace(T).spans) == 30  # type: ignore[union-attr]
        store.ping()


def _of(given: Span, number: int) -> Span:
    return msgspec.structs.replace(given, trace_id=trace_id(number))
