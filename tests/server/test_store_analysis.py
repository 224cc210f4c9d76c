"""Claims on traces to analyse, and what is kept of the answers."""

from concurrent.futures import ThreadPoolExecutor
from itertools import permutations

import msgspec
import pytest

from agenttrace.accounting import used
from agenttrace.errors import FailureNotFound
from agenttrace.models import Agent, Checkpoint, FailureAnnotation, Message
from agenttrace_server.store import Analysis, Claimed, Store, TraceQuery, derive
from support.stored import llm, opened, span, span_id, trace_id

T = trace_id()
HOUR = 3600.0

AGENTS = (
    Agent("planner", T, "langgraph", "plans", ("gpt-4o",), ("search",), 3, 1, 10, 5, 0.5, 1, 9),
    Agent("coder", T),
)
MESSAGES = (
    Message(
        message_id="m1",
        trace_id=T,
        span_id=span_id(1),
        sender="planner",
        recipient="coder",
        type="handoff",
        content="write it",
        content_hash="h",
        sent_at=1,
        audience=("coder", "critic"),
        tokens=3,
        provenance="inferred",
        confidence=0.5,
    ),
    Message(
        message_id="m2",
        trace_id=T,
        span_id=span_id(2),
        sender="coder",
        recipient="planner",
        sent_at=2,
        caused_by="m1",
    ),
)
CHECKPOINTS = (
    Checkpoint(
        checkpoint_id="c1",
        trace_id=T,
        span_id=span_id(1),
        framework="langgraph",
        label="before",
        state="{}",
        input="in",
        config="{}",
        created_at=5,
        resumable=False,
        why_not="no state",
    ),
)


def failure(name: str, **fields: object) -> FailureAnnotation:
    given = {"mode": "1.3", "category": "design", "subcategory": "repeat", "classifier": "rules"}
    return FailureAnnotation(annotation_id=name, trace_id=T, **(given | fields))  # type: ignore[arg-type]


FAILURES = (
    failure("f1", confidence=0.5),
    failure(
        "f2", decisive=True, confidence=0.4, span_id=span_id(1), message_id="m1", agent="coder"
    ),
    failure("f3", confidence=0.9, severity="high", evidence="quote", explanation="why"),
)
ANALYSIS = Analysis(
    agents=AGENTS,
    messages=MESSAGES,
    checkpoints=CHECKPOINTS,
    failures=FAILURES,
    graph={"nodes": [{"name": "planner"}], "edges": [], "metrics": {"density": 0.5}},
    owners={span_id(2): "planner"},
)


def claimed(store: Store) -> Claimed:
    (one,) = store.claim(10, 0)
    return one


def test_what_was_derived_comes_back(store: Store) -> None:
    store.write([span(1), span(2, 1)])

    store.save(claimed(store), ANALYSIS)

    trace, summary, columns = store.trace(T), store.summary(T), store.columns(T)
    assert trace is not None
    assert summary is not None
    assert columns is not None
    assert store.agents(T) == trace.agents == AGENTS
    assert store.messages(T) == trace.messages == MESSAGES
    assert store.checkpoints(T) == trace.checkpoints == CHECKPOINTS
    assert [f.annotation_id for f in store.failures(T)] == ["f2", "f3", "f1"]
    assert set(store.failures(T)) == set(FAILURES)
    assert store.graph(T) == ANALYSIS.graph
    assert (summary.agents, summary.message_count, summary.failure_count, summary.analysed) == (
        ("planner", "coder"),
        2,
        3,
        True,
    )
    assert [columns.agents[i] if i >= 0 else None for i in columns.agent] == [None, "planner"]


def test_what_was_derived_from_several_traces_is_saved_together(store: Store) -> None:
    store.write([span(1), span(1, trace=2), span(1, trace=3)])
    store.delete(trace_id(3))
    claims = {T: Claimed(T, 1), **{trace_id(n): Claimed(trace_id(n), 1) for n in (2, 3)}}
    other = Analysis(
        agents=(msgspec.structs.replace(AGENTS[0], trace_id=trace_id(2)),), graph={"of": 2}
    )

    store.save_all(
        [(claims[trace_id(3)], other), (claims[T], ANALYSIS), (claims[trace_id(2)], other)]
    )

    assert store.agents(T) == AGENTS
    assert [agent.name for agent in store.agents(trace_id(2))] == ["planner"]
    assert (store.graph(T), store.graph(trace_id(2))) == (ANALYSIS.graph, {"of": 2})
    assert store.summary(trace_id(3)) is None
    assert [one.analysed for one in store.traces(TraceQuery()).items] == [True, True]
    assert len({change.cursor for change in store.changes(0)}) == 2


def test_the_spans_of_several_traces_are_read_at_once(store: Store) -> None:
    store.write([span(2, 1), span(1), span(1, trace=2)])

    found = store.spans([trace_id(2), T, trace_id(3)])

    assert {key: [one.span_id for one in spans] for key, spans in found.items()} == {
        T: [span_id(1), span_id(2)],
        trace_id(2): [span_id(1)],
    }
    assert found[T] == store.trace(T).spans  # type: ignore[union-attr]


def test_a_later_analysis_replaces_an_earlier_one(store: Store) -> None:
    store.write([span(1)])
    store.save(claimed(store), ANALYSIS)
    store.write([span(2, 1)])
    changed = msgspec.structs.replace(MESSAGES[0], content="rewrite it")

    store.save(
        claimed(store),
        Analysis(agents=AGENTS[1:], messages=(changed,), failures=FAILURES[2:], graph={"x": 1}),
    )

    assert store.agents(T) == AGENTS[1:]
    assert store.messages(T) == (changed,)
    assert store.checkpoints(T) == ()
    assert store.failures(T) == FAILURES[2:]
    assert store.graph(T) == {"x": 1}
    assert store.traces(TraceQuery(agent="planner")).total == 0
    assert [s.message_count for s in store.traces(TraceQuery()).items] == [1]


@pytest.mark.parametrize("earlier", [*permutations("abc")], ids="".join)
@pytest.mark.parametrize("seen", [1, 2, 3])
def test_messages_of_one_moment_stay_in_the_order_last_found(
    store: Store, earlier: tuple[str, ...], seen: int
) -> None:
    sent = {
        name: Message(
            message_id=name,
            trace_id=T,
            span_id=span_id(1),
            sender="planner",
            recipient="coder",
            sent_at=5,
        )
        for name in "abc"
    }
    store.write([span(1)])
    store.save(claimed(store), Analysis(messages=tuple(sent[name] for name in earlier[:seen])))
    store.write([span(2, 1)])

    store.save(claimed(store), Analysis(messages=tuple(sent.values())))

    assert [message.message_id for message in store.messages(T)] == ["a", "b", "c"]


def test_an_analysis_of_an_older_version_does_not_undo_a_newer_one(store: Store) -> None:
    store.write([span(1)])
    old = claimed(store)
    store.write([span(2, 1)])
    new = Claimed(T, 2)
    store.save(new, ANALYSIS)

    store.save(old, Analysis())

    assert store.agents(T) == AGENTS
    assert store.summary(T).analysed  # type: ignore[union-attr]


def test_an_analysis_of_a_trace_that_grew_meanwhile_leaves_it_due(store: Store) -> None:
    store.write([span(1)])
    first = claimed(store)
    store.write([llm(2, 1, 7, 3)])

    store.save(first, ANALYSIS)

    summary = store.summary(T)
    assert summary is not None
    assert (summary.analysed, summary.tokens_in) == (False, 7)
    assert claimed(store) == Claimed(T, 2)


def test_an_analysis_of_a_deleted_trace_is_dropped(store: Store) -> None:
    store.write([span(1)])
    one = claimed(store)
    store.delete(T)

    store.save(one, ANALYSIS)

    assert store.summary(T) is None
    assert store.agents(T) == store.messages(T) == store.failures(T) == ()
    assert store.graph(T) is None


def test_everything_derived_is_deleted_with_the_trace(store: Store) -> None:
    store.write([span(1)])
    store.save(claimed(store), ANALYSIS)

    store.delete(T)

    assert store.agents(T) == store.messages(T) == store.checkpoints(T) == store.failures(T) == ()
    assert store.stats()["agents"] == []
    with pytest.raises(FailureNotFound):
        store.review("f1", "confirmed", None)


def test_a_quiet_trace_is_due_once(store: Store) -> None:
    store.write([span(1)])

    assert store.claim(10, 0) == [Claimed(T, 1)]
    assert store.claim(10, 0) == []


def test_a_trace_is_not_due_before_it_was_quiet(store: Store) -> None:
    store.write([span(2, 1)])

    assert store.claim(10, HOUR) == []


def test_a_trace_with_its_root_is_due_sooner(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    store.write([span(2, 1)])
    store.write([span(1, trace=2)])
    monkeypatch.setattr(derive, "ROOT_GRACE", 0)

    assert [c.trace_id for c in store.claim(10, HOUR)] == [trace_id(2)]


def test_a_trace_that_is_never_quiet_is_due_all_the_same(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.write([span(2, 1)])
    store.write([span(3, 1)])
    monkeypatch.setattr(derive, "RESTLESS", 0)

    assert store.claim(10, HOUR) == [Claimed(T, 2)]


def test_no_more_than_asked_for_is_claimed_the_longest_silent_first(store: Store) -> None:
    for number in (3, 1, 2):
        store.write([span(1, trace=number)])

    assert [c.trace_id for c in store.claim(2, 0)] == [trace_id(3), trace_id(1)]
    assert [c.trace_id for c in store.claim(2, 0)] == [trace_id(2)]


def test_several_processes_never_claim_the_same(store: Store, database_url: str) -> None:
    store.write([span(1, trace=number) for number in range(1, 61)])

    def work() -> list[str]:
        with opened(database_url) as own:
            mine: list[str] = []
            while some := own.claim(3, 0):
                mine += [c.trace_id for c in some]
            return mine

    with ThreadPoolExecutor(4) as pool:
        claims = [one for mine in pool.map(lambda _: work(), range(4)) for one in mine]

    assert sorted(claims) == [trace_id(number) for number in range(1, 61)]


def test_a_claim_that_was_not_followed_up_is_given_out_again(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.write([span(1)])
    monkeypatch.setattr(derive, "LEASE_NS", 1)

    assert store.claim(10, 0) == store.claim(10, 0) == [Claimed(T, 1)]


def test_a_trace_without_a_root_stops_running_when_it_was_silent_for_long(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.write([span(2, 1, status="error"), span(2, 1, trace=2)])
    monkeypatch.setattr(derive, "ABANDONED_NS", 1)
    store.claim(10, HOUR)

    assert [store.summary(trace_id(n)).status for n in (1, 2)] == ["error", "ok"]  # type: ignore[union-attr]
    store.write([span(3, 1)])
    assert store.summary(T).status == "running"  # type: ignore[union-attr]


def test_what_a_person_decided_outlives_later_analyses(store: Store) -> None:
    store.write([span(1)])
    store.save(claimed(store), ANALYSIS)

    confirmed = store.review("f1", "confirmed", "ann")
    store.review("f2", "rejected", None)
    store.write([span(2, 1)])
    store.save(claimed(store), Analysis(failures=(FAILURES[1], failure("f4"))))

    assert (confirmed.review, confirmed.reviewer) == ("confirmed", "ann")
    kept = {f.annotation_id: (f.review, f.reviewer) for f in store.failures(T)}
    assert kept == {
        "f1": ("confirmed", "ann"),
        "f2": ("rejected", None),
        "f4": ("proposed", None),
    }


def test_a_rejected_failure_does_not_count(store: Store) -> None:
    store.write([span(1)])
    store.save(claimed(store), Analysis(failures=FAILURES[:1]))
    before = store.cursor()

    store.review("f1", "rejected", None)

    assert store.summary(T).failure_count == 0  # type: ignore[union-attr]
    assert store.traces(TraceQuery(failure="1.3")).total == 0
    assert store.stats()["failure_modes"] == []
    assert store.cursor() > before
    store.review("f1", "proposed", None)
    assert store.summary(T).failure_count == 1  # type: ignore[union-attr]


def test_a_review_of_nothing_says_so(store: Store) -> None:
    with pytest.raises(FailureNotFound, match="nothing-like-it"):
        store.review("nothing-like-it", "confirmed", None)


def test_tokens_are_those_of_leaves_however_deep_the_calls_above_them_are(store: Store) -> None:
    store.write([llm(1, None, 10, 5), span(2, 1, kind="other"), llm(3, 2, 10, 5, model="b")])
    trace = store.trace(T)
    assert trace is not None

    store.save(claimed(store), Analysis(used=used(trace)))

    summary = store.summary(T)
    assert summary is not None
    assert (summary.tokens_in, summary.tokens_out, summary.cost_usd) == (10, 5, 0.25)
    models = {m["model"]: m["tokens_in"] for m in store.stats()["models"]}
    assert models == {"b": 10}


def test_spans_that_are_each_others_parents_do_not_hang_anything(store: Store) -> None:
    store.write([llm(1, 2), llm(2, 1), llm(3, 3)])

    store.save(claimed(store), Analysis())

    columns = store.columns(T)
    assert columns is not None
    assert columns.parent == [1, 0, 2]


def test_odd_answers_of_an_analysis_are_kept_too(store: Store) -> None:
    store.write([span(1)])
    odd = msgspec.structs.replace(MESSAGES[0], content="a\0b \ud800 c", audience=("x\ud800",))
    twice = Analysis(agents=(AGENTS[0], AGENTS[0]), messages=(odd, odd), failures=FAILURES[:1] * 2)

    store.save(claimed(store), twice)

    # PostgreSQL's text cannot hold a NUL.
    assert store.messages(T)[0].content.replace("\0", "�") == "a�b � c"
    assert (len(store.agents(T)), len(store.messages(T)), len(store.failures(T))) == (1, 1, 1)
