from collections.abc import Sequence
from typing import Any

import msgspec
import pytest

from agenttrace.accounting import Accounting, SeenTwice, Usage, account, counted
from agenttrace.models import RawSpan, Scope, Trace
from agenttrace.normalize import normalize
from agenttrace.plugins import Plugins
from agenttrace.testing import agent, build, derive, llm, raw_spans, span, tool, workflow

ONE, OTHER = Scope("openinference.instrumentation.openai"), Scope("opentelemetry.instrumentation")


def together(*nodes: Any) -> Trace:
    """A run in which all model calls begin and end at the same time."""
    return derive(normalize(_at_once(raw_spans(workflow("run", *nodes))), Plugins()))


def _at_once(raws: Sequence[RawSpan]) -> list[RawSpan]:
    root = raws[0]
    return [raw if raw is root else _timed(raw, root.start_ns + 1_000) for raw in raws]


def _timed(raw: RawSpan, start_ns: int) -> RawSpan:
    return msgspec.structs.replace(raw, start_ns=start_ns, end_ns=start_ns + 50_000_000)


def sums(trace: Trace) -> tuple[int, int, int]:
    told = account(trace)
    return told.calls, told.leaves.tokens_in, told.leaves.tokens_out


def with_id(response_id: str, key: str = "gen_ai.response.id") -> dict[str, str]:
    return {key: response_id}


def test_a_call_that_lies_in_itself_counts_once_and_says_where() -> None:
    trace = build(agent("planner", llm("a", llm("a", tokens=(10, 5)), tokens=(10, 5))))

    told = account(trace)
    assert (told.calls, told.leaves) == (1, Usage(10, 5))
    assert told.seen_twice == (SeenTwice("0000000000000002", "0000000000000003"),)


@pytest.mark.parametrize("key", ["gen_ai.response.id", "llm.response.id", "ai.response.id"])
def test_a_response_recorded_by_two_instrumentations_beside_each_other_counts_once(
    key: str,
) -> None:
    trace = build(
        agent(
            "planner",
            llm("a", scope=ONE, attributes=with_id("chatcmpl-1")),
            llm("a", scope=OTHER, attributes=with_id("chatcmpl-1", key)),
        )
    )

    assert sums(trace) == (1, 10, 5)


def test_two_responses_at_the_same_time_are_two_calls_though_they_say_the_same() -> None:
    trace = together(
        llm("a", scope=ONE, attributes=with_id("chatcmpl-1")),
        llm("a", scope=OTHER, attributes=with_id("chatcmpl-2")),
    )

    assert sums(trace) == (2, 20, 10)


def test_without_an_id_the_same_answer_of_the_same_model_at_the_same_time_is_one_call() -> None:
    trace = together(
        llm("The answer", scope=ONE, model="gpt-4o"),
        llm("The answer", scope=OTHER, model="openai/gpt-4o-2024-08-06"),
    )

    assert sums(trace) == (1, 10, 5)


def test_what_differs_in_model_answer_time_or_tokens_is_two_calls() -> None:
    another_model = together(llm("a", scope=ONE, model="m"), llm("a", scope=OTHER, model="n"))
    another_answer = together(llm("a", scope=ONE), llm("b", scope=OTHER))
    another_time = build(workflow("run", llm("a", scope=ONE), llm("a", scope=OTHER, lasts_ms=900)))
    another_usage = together(llm("a", scope=ONE), llm("a", scope=OTHER, tokens=(11, 5)))

    calls = [another_model, another_answer, another_time, another_usage]
    assert [account(trace).calls for trace in calls] == [2, 2, 2, 2]


def test_one_instrumentation_saying_the_same_twice_at_once_saw_two_calls() -> None:
    trace = together(llm("yes", scope=ONE), llm("yes", scope=ONE))

    assert sums(trace) == (2, 20, 10)


def test_parallel_calls_with_the_same_answer_seen_by_two_are_as_many_as_each_saw() -> None:
    trace = together(
        llm("yes", scope=ONE),
        llm("yes", scope=ONE),
        llm("yes", scope=OTHER),
        llm("yes", scope=OTHER),
    )

    assert sums(trace) == (2, 20, 10)


def test_of_two_views_the_one_that_knows_the_usage_counts() -> None:
    trace = together(
        llm("a", scope=ONE, tokens=None, attributes=with_id("r1")),
        llm("a", scope=OTHER, tokens=(10, 5), attributes=with_id("r1")),
    )

    assert [(found.scope.name, found.tokens_in) for found in counted(trace)] == [(OTHER.name, 10)]


def test_what_agents_and_runs_report_is_compared_and_never_added() -> None:
    usage = {"gen_ai.usage.input_tokens": 30, "gen_ai.usage.output_tokens": 15}
    trace = build(
        workflow(
            "run",
            agent("planner", llm("a"), tool("t", llm("b")), attributes=usage),
            llm("c"),
            attributes={"gen_ai.usage.input_tokens": 30, "gen_ai.usage.output_tokens": 15},
        )
    )

    told = account(trace)
    assert (told.leaves, told.root_said) == (Usage(30, 15), Usage(30, 15))
    planner = next(one for one in told.roll_ups if "planner" in one.name)
    assert (planner.said, planner.beneath) == (Usage(30, 15), Usage(20, 10))


def test_a_run_that_reports_nothing_has_nothing_to_compare() -> None:
    assert account(build(workflow("run", llm("a")))).root_said is None


def test_a_call_that_does_not_say_what_it_took_is_told_apart() -> None:
    told = account(build(workflow("run", llm("a"), llm("b", tokens=None))))

    assert (told.calls, told.silent, told.leaves) == (2, 1, Usage(10, 5))


def test_what_a_replay_answered_from_the_record_cost_nothing() -> None:
    recorded = {"agenttrace.replay.tier": "recorded"}
    trace = build(workflow("run", llm("a", attributes=recorded), llm("b")))

    assert sums(trace) == (1, 10, 5)
    assert account(trace).roll_ups == ()


def test_what_another_instrumentation_shows_of_a_recorded_call_cost_nothing_either() -> None:
    recorded = {"agenttrace.replay.tier": "recorded"}
    within = build(workflow("run", llm("a", llm("a", scope=OTHER), attributes=recorded)))
    beside = together(
        llm("a", scope=ONE, attributes=recorded | with_id("chatcmpl-1")),
        llm("a", scope=OTHER, attributes=with_id("chatcmpl-1")),
    )

    assert (sums(within), sums(beside)) == ((0, 0, 0), (0, 0, 0))
    assert account(beside).seen_twice == ()


def test_a_trace_without_model_calls_took_nothing() -> None:
    assert account(build(span("step"))) == Accounting()
