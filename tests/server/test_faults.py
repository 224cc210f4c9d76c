"""Operational faults: each is found where it is, and silence where a run got over it."""

import pytest

from agenttrace.models import FailureAnnotation, Trace
from agenttrace.plugins import Plugins
from agenttrace.testing import (
    agent,
    build,
    handoff,
    llm,
    message,
    raw_span,
    span,
    tool,
    workflow,
)
from agenttrace_server.analyse.pipeline import find_failures
from agenttrace_server.mast import faults

WORDS = {"ok": "The total is 42 euros.", "owned": "I could not reach the database."}


def found(trace: Trace) -> list[FailureAnnotation]:
    return [failure for fault in faults.FAULTS for failure in fault(trace)]


def modes(trace: Trace) -> list[str]:
    return [failure.mode for failure in found(trace)]


def call(name: str, arguments: str) -> list[dict[str, object]]:
    calls = [{"id": "1", "name": name, "arguments": arguments}]
    return [{"role": "assistant", "content": "", "tool_calls": calls}]


def run(*children: object, **about: object) -> Trace:
    return build(workflow("run", *children, **about))  # type: ignore[arg-type]


def test_a_tool_error_that_the_next_answer_passes_over_is_ignored() -> None:
    trace = run(agent("coder", tool("sql", error="OperationalError: no table"), llm(WORDS["ok"])))

    [failure] = found(trace)
    assert failure.mode == "tool_error_ignored"
    assert failure.agent == "coder"
    assert trace.by_id[failure.span_id or ""].tool == "sql"
    assert "no table" in failure.evidence


def test_a_tool_that_answers_with_an_error_instead_of_raising_counts_too() -> None:
    for answer in (
        "Error: connection refused\n Please fix your mistakes.",
        '{"error": "quota exceeded"}',
        '{"content": [{"type": "text", "text": "boom"}], "isError": true}',
        '{"status": "error", "content": "ValueError()"}',
        "ValueError: bad id",
    ):
        trace = run(agent("coder", tool("sql", output=answer), llm(WORDS["ok"])))

        assert modes(trace) == ["tool_error_ignored"], answer


def test_a_tool_result_that_only_speaks_of_errors_is_no_error() -> None:
    for answer in (
        "Errors were fixed in version 2.",
        '{"rows": [], "error": null}',
        "The log has 3 lines: Error: x",
        "0 errors",
    ):
        assert modes(run(agent("coder", tool("sql", output=answer), llm(WORDS["ok"])))) == []


@pytest.mark.parametrize(
    "after",
    [
        (llm(WORDS["owned"]),),
        (tool("sql", output="42"), llm(WORDS["ok"])),
        (tool("search", output="42"), llm(WORDS["ok"])),
        (llm(call("search", "{}")), tool("search", output="42"), llm(WORDS["ok"])),
        (llm("Das hat leider nicht geklappt."),),
        (llm("総計は四十二ユーロです。"),),
        (handoff("admin"),),
        (),
    ],
)
def test_a_tool_error_that_the_agent_goes_about_is_not_ignored(after: tuple[object, ...]) -> None:
    trace = run(agent("coder", tool("sql", error="OperationalError: no table"), *after))  # type: ignore[arg-type]

    assert modes(trace) == []


def test_a_tool_error_that_ends_its_agent_is_unhandled_not_ignored() -> None:
    failing = agent("coder", tool("sql", error="KeyError: 7"), error="KeyError: 7")
    [failure] = found(run(failing, error="KeyError: 7"))

    assert failure.mode == "unhandled_error"
    assert failure.decisive
    assert failure.agent == "coder"


def test_the_same_failing_call_again_is_repeated() -> None:
    once = tool("sql", input="select 1", error="OperationalError: no table")
    trace = run(agent("coder", once, once, llm(WORDS["owned"])))

    [failure] = found(trace)
    assert failure.mode == "tool_error_repeated"
    assert "2 times" in failure.explanation


def test_two_different_failing_calls_are_no_repetition_but_three_are() -> None:
    calls = [tool("sql", input=f"select {n}", error="E: no table") for n in range(3)]

    assert modes(run(agent("coder", *calls[:2], llm(WORDS["owned"])))) == []
    assert modes(run(agent("coder", *calls, llm(WORDS["owned"])))) == ["tool_error_repeated"]


def test_failing_calls_that_worked_in_the_end_are_not_repeated_errors() -> None:
    bad = tool("sql", input="select 1", error="E: busy")
    good = tool("sql", input="select 1", output="1")

    assert modes(run(agent("coder", bad, bad, good, llm(WORDS["ok"])))) == []


def test_the_failing_calls_of_two_agents_are_not_added_up() -> None:
    once = tool("sql", input="select 1", error="E: busy")
    owned = llm(WORDS["owned"])

    assert modes(run(agent("a", once, owned), agent("b", once, owned))) == []


def test_five_failing_calls_in_a_row_are_a_storm_even_if_the_sixth_works() -> None:
    limited = llm(error="RateLimitError: 429 slow down", model="big")
    trace = run(agent("coder", *[limited] * 5, llm("done", model="big")))

    [failure] = found(trace)
    assert failure.mode == "retry_storm"
    assert "5 times" in failure.explanation


def test_failures_minutes_apart_are_no_storm() -> None:
    slow = span("wait", lasts_ms=120_000)
    limited = llm(error="RateLimitError: 429", model="big")
    calls = [node for _ in range(6) for node in (limited, slow)]

    assert modes(run(agent("coder", *calls, llm("done", model="big")))) == []


def test_a_model_call_that_fails_for_good_is_an_llm_error() -> None:
    trace = run(agent("writer", llm(error="AuthenticationError: bad key")), agent("next", llm("x")))

    [failure] = found(trace)
    assert (failure.mode, failure.category, failure.agent) == ("llm_error", "llm", "writer")
    assert failure.evidence == "AuthenticationError: bad key"


def test_a_model_call_that_fails_and_then_works_is_nothing() -> None:
    assert modes(run(agent("writer", llm(error="APIError: 500"), llm("fine")))) == []


def test_a_fallback_to_another_model_is_nothing() -> None:
    trace = run(agent("writer", llm(error="APIError: 500", model="a"), llm("fine", model="b")))

    assert modes(trace) == []


@pytest.mark.parametrize(
    "said",
    [
        "I'm sorry, but I can't assist with that.",
        "I cannot help with this request.",
        "Sorry, I am unable to provide that information.",
        "As an AI language model, I cannot have opinions.",
    ],
)
def test_a_refusal_is_found(said: str) -> None:
    [failure] = found(run(agent("writer", llm(said))))

    assert failure.mode == "llm_refusal"
    assert failure.evidence == said


def test_a_content_filter_is_a_refusal() -> None:
    filtered = {"gen_ai.response.finish_reasons": ["content_filter"]}

    assert modes(run(agent("writer", llm("…", attributes=filtered)))) == ["llm_refusal"]


def test_an_apology_that_goes_on_to_answer_is_no_refusal() -> None:
    for said in (
        "Sorry for the delay. The answer is 42.",
        "The reviewer wrote: I cannot help with this.",
        "I can't find a bug in this code; it looks right.",
    ):
        assert modes(run(agent("writer", llm(said)))) == [], said


def test_output_that_does_not_parse_is_invalid() -> None:
    broken = span("parse", error="OutputParserException: Could not parse LLM output: `hm`")
    [failure] = found(run(agent("writer", llm("hm"), broken)))

    assert failure.mode == "invalid_structured_output"
    assert "Could not parse LLM output" in failure.evidence


def test_output_that_parses_at_the_second_try_is_nothing() -> None:
    broken = span("parse", error="OutputParserException: Could not parse LLM output: `hm`")

    assert modes(run(agent("writer", llm("hm"), broken, llm("{}"), span("parse")))) == []


def test_a_tool_call_whose_arguments_are_no_json_is_invalid() -> None:
    assert modes(run(agent("coder", llm(call("sql", '{"query": "sel'))))) == [
        "invalid_structured_output"
    ]
    assert modes(run(agent("coder", llm(call("sql", '{"query": "select"}'))))) == []


def test_a_tool_that_cannot_parse_its_own_input_is_a_tool_error() -> None:
    trace = run(agent("coder", tool("load", error="JSONDecodeError: line 1"), llm(WORDS["owned"])))

    assert modes(trace) == []


@pytest.mark.parametrize(
    "error",
    [
        "TimeoutError: ",
        "httpx.ReadTimeout: The read operation timed out",
        "APITimeoutError: Request timed out.",
        "grpc.RpcError: Deadline Exceeded",
        "504: gateway time-out",
    ],
)
def test_what_took_too_long_is_a_timeout(error: str) -> None:
    trace = run(agent("writer", llm(error=error), error=error), error=error)

    [failure] = found(trace)
    assert failure.mode == "timeout"
    assert failure.decisive


def test_an_error_about_a_parameter_called_timeout_is_no_timeout() -> None:
    error = "TypeError: unexpected keyword argument 'timeout'"

    assert modes(run(agent("w", llm(error=error)))) == ["llm_error"]


@pytest.mark.parametrize(
    "error",
    [
        "BadRequestError: This model's maximum context length is 8192 tokens.",
        "BadRequestError: {'code': 'context_length_exceeded'}",
        "anthropic.BadRequestError: prompt is too long: 210000 tokens > 200000 maximum",
        "ClientError: The input token count (1) exceeds the maximum number of tokens allowed",
        "ValueError: Requested tokens (9000) exceed context window of 8192",
    ],
)
def test_input_that_does_not_fit_is_a_context_overflow(error: str) -> None:
    assert modes(run(agent("writer", llm(error=error)))) == ["context_overflow"]


def test_an_overflow_that_a_summary_mended_is_nothing() -> None:
    error = "BadRequestError: context_length_exceeded"

    assert modes(run(agent("writer", llm(error=error), llm("summary"), llm("answer")))) == []


def test_a_task_nobody_takes_up_is_unanswered() -> None:
    trace = run(agent("coder", llm("hi")), agent("planner", message("coder", "write the tests")))

    [failure] = found(trace)
    assert failure.mode == "unanswered_message"
    assert failure.agent == "coder"
    assert failure.evidence == "write the tests"
    assert failure.message_id in {message.message_id for message in trace.messages}


def test_a_question_to_an_agent_that_never_ran_is_unanswered() -> None:
    asked = message("reviewer", "is this right?", type="question")

    assert modes(run(agent("planner", asked))) == ["unanswered_message"]


def test_messages_that_were_taken_up_or_need_no_answer_are_nothing() -> None:
    for said in (
        message("user", "which one?", type="question"),
        message("coder", "I am done", type="result"),
        message("all", "hello", type="task"),
        message("coder", "news", type="broadcast"),
        message("planner_agent", "note to self"),
    ):
        assert modes(run(agent("coder", llm("hi")), agent("planner", said))) == [], said
    assert modes(run(agent("planner", message("coder", "go")), agent("coder", llm("hi")))) == []


def test_a_message_in_a_run_that_has_not_ended_or_broke_off_is_not_unanswered() -> None:
    said = agent("planner", message("reviewer", "is this right?", type="question"))
    running = raw_span("late", parent_id="ff" * 8)

    assert modes(run(said, error="KeyError: x")) == ["unhandled_error"]
    assert modes(build(said, plugins=Plugins())) != []
    whole = build(said)
    orphans = Trace(whole.trace_id, whole.spans[1:], whole.agents, whole.messages)
    assert running.parent_id
    assert modes(orphans) == []


def test_agents_that_ask_each_other_and_wait_are_in_a_deadlock() -> None:
    trace = run(
        agent("a", message("b", "what is the id?", type="question")),
        agent("b", message("c", "which table?", type="question")),
        agent("c", message("a", "who asks?", type="question")),
    )

    [failure] = found(trace)
    assert (failure.mode, failure.severity, failure.decisive) == ("deadlock", "critical", True)
    assert failure.evidence == "who asks?"
    assert failure.explanation.count(" → ") == 3


def test_a_task_answered_by_a_question_that_nobody_answers_is_a_deadlock() -> None:
    trace = run(
        agent("boss", message("worker", "do it")),
        agent("worker", message("boss", "do what?", type="question")),
    )

    assert modes(trace) == ["deadlock"]


def test_a_question_that_was_answered_is_no_deadlock() -> None:
    trace = run(
        agent("boss", message("worker", "do it")),
        agent("worker", message("boss", "do what?", type="question")),
        agent("boss", message("worker", "the tests", type="answer")),
        agent("worker", llm("done")),
    )

    assert modes(trace) == []


def test_a_round_of_tasks_is_a_conversation_unless_the_run_was_cut_off() -> None:
    turns = (
        agent("writer", message("critic", "draft")),
        agent("critic", message("writer", "try again")),
    )

    assert modes(run(*turns)) == []
    assert modes(run(*turns, error="TimeoutError: gave up")) == ["timeout", "deadlock"]


def test_a_plan_refused_as_incomplete_is_a_planning_error() -> None:
    trace = run(span("plan", error="PlanError: The plan is incomplete: step 3 has no owner"))

    [failure] = found(trace)
    assert (failure.category, failure.subcategory, failure.severity) == (
        "reasoning",
        "planning_error",
        "high",
    )


@pytest.mark.parametrize("name", ["create_plan", "Planner.run", "plan", "make plan", "createPlan"])
def test_spans_named_after_planning_are_recognised(name: str) -> None:
    assert modes(run(span(name, error="E: invalid plan"))) == ["planning_error"]


def test_other_names_and_other_errors_are_no_planning_errors() -> None:
    assert modes(run(span("explanation", error="E: invalid"))) == []
    assert modes(run(span("plan", error="E: disk full"))) == []
    assert modes(run(span("plan", error="E: invalid"), span("plan", output="better"))) == []


def test_ids_are_the_same_in_every_analysis_and_evidence_is_quoted() -> None:
    def story() -> Trace:
        broken = tool("sql", error="OperationalError: " + "no such table; " * 50)
        return run(agent("coder", broken, llm(WORDS["ok"])), agent("planner", llm(error="E: x")))

    first, second = found(story()), found(story())
    assert [failure.annotation_id for failure in first] == [f.annotation_id for f in second]
    assert len({failure.annotation_id for failure in first}) == len(first) == 2
    everything = repr(story().spans)
    assert all(failure.evidence and failure.evidence in everything for failure in first)


def test_the_plugin_offers_every_fault() -> None:
    from agenttrace_server import mast

    plugins = Plugins()
    plugins.register(mast, "mast")

    trace = run(agent("writer", llm(error="AuthenticationError: bad key")))
    assert "llm_error" in {failure.mode for failure in find_failures(trace, plugins)}
