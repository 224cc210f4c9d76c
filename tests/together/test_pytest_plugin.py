"""The fixture `agenttrace` in somebody's test suite, with a real LangGraph application."""

import pytest

pytest_plugins = ["pytester"]

APP = """
from typing import TypedDict

from langchain_core.language_models import FakeListChatModel
from langgraph.graph import END, START, StateGraph


class State(TypedDict, total=False):
    task: str
    plan: str
    code: str


def team(fails=False):
    model = FakeListChatModel(responses=["First read it, then write it."])

    def planner(state):
        return {"plan": model.invoke(state["task"]).content}

    def coder(state):
        if fails:
            raise ConnectionError("the model cannot be reached")
        return {"code": "print(1)"}

    graph = StateGraph(State)
    graph.add_node("planner", planner)
    graph.add_node("coder", coder)
    graph.add_edge(START, "planner")
    graph.add_edge("planner", "coder")
    graph.add_edge("coder", END)
    return graph.compile()
"""


@pytest.fixture
def suite(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> pytest.Pytester:
    monkeypatch.delenv("PYTEST_ADDOPTS", raising=False)
    monkeypatch.setenv("AGENTTRACE_DATA_DIR", str(pytester.path / "data"))
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9")
    pytester.makepyfile(app=APP)
    return pytester


def test_a_run_is_recorded_in_memory_and_asserted_on(suite: pytest.Pytester) -> None:
    suite.makepyfile(
        test_team="""
        import pytest
        from app import team


        def test_agents_and_messages(agenttrace):
            team().invoke({"task": "write it"})

            assert agenttrace.agents == ["planner", "coder"]
            [message] = agenttrace.messages("planner", "coder")
            assert "First read it" in message.content
            agenttrace.assert_agents("planner", "coder")
            agenttrace.assert_message("planner", "coder", "then write it")
            agenttrace.assert_no_failures()


        def test_each_test_begins_with_nothing(agenttrace):
            assert agenttrace.traces == []
            team().invoke({"task": "again"})
            assert len(agenttrace.traces) == 1
            team().invoke({"task": "and again"})
            assert len(agenttrace.traces) == 2


        def test_what_fails_is_named(agenttrace):
            with pytest.raises(ConnectionError):
                team(fails=True).invoke({"task": "write it"})

            assert agenttrace.failures()
            agenttrace.assert_no_failures()


        def test_nothing_recorded_is_no_success(agenttrace):
            agenttrace.assert_no_failures()


        def test_who_is_missing_is_named(agenttrace):
            team().invoke({"task": "write it"})
            agenttrace.assert_agents("planner", "reviewer")


        def test_who_talked_to_whom_is_shown(agenttrace):
            team().invoke({"task": "write it"})
            assert agenttrace.messages("coder", "reviewer")
        """
    )

    result = suite.runpytest_subprocess("-p", "no:cacheprovider")

    result.assert_outcomes(passed=2, failed=4)
    result.stdout.fnmatch_lines(
        [
            "*the model cannot be reached*",
            "*No agent was recorded*",
            "*No reviewer among the agents: planner, coder*",
            "*<recorded: user → planner, planner → coder*",
        ]
    )


def test_an_application_that_records_itself_is_listened_to(suite: pytest.Pytester) -> None:
    suite.makepyfile(
        test_recording="""
        import agenttrace as sdk
        from agenttrace.testing import InMemoryExporter
        from app import team

        elsewhere = InMemoryExporter()
        sdk.instrument(exporter=elsewhere)


        def test_both_hear_it(agenttrace):
            team().invoke({"task": "write it"})

            assert agenttrace.agents == ["planner", "coder"]
            assert len(agenttrace.traces) == len(elsewhere.traces()) == 1


        def test_only_the_application_goes_on():
            team().invoke({"task": "write it"})
            sdk.flush()
            assert len(elsewhere.traces()) == 2
        """
    )

    suite.runpytest_subprocess("-p", "no:cacheprovider").assert_outcomes(passed=2)


def test_a_teams_own_rules_count(suite: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    rules = suite.path / "rules.yaml"
    rules.write_text("- mode: too_eager\n  message: { content: { contains: then write } }\n")
    monkeypatch.setenv("AGENTTRACE_RULES", str(rules))
    suite.makepyfile(
        test_rules="""
        from app import team


        def test_it(agenttrace):
            team().invoke({"task": "write it"})

            assert {one.mode for one in agenttrace.failures()} >= {"too_eager"}
            agenttrace.assert_no_failures(ignore=["too_eager"])
        """
    )

    suite.runpytest_subprocess("-p", "no:cacheprovider").assert_outcomes(passed=1)


def test_an_applications_own_opentelemetry_is_heard_and_left_as_it_was(
    suite: pytest.Pytester,
) -> None:
    suite.makepyfile(
        test_own="""
        import random

        from app import team
        from opentelemetry import trace
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import SimpleSpanProcessor
        from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

        theirs = InMemorySpanExporter()


        def test_a_provider_can_be_set_afterwards(agenttrace):
            team().invoke({"task": "write it"})
            trace.set_tracer_provider(provider := TracerProvider())
            provider.add_span_processor(SimpleSpanProcessor(theirs))
            assert trace.get_tracer_provider() is provider


        def test_no_prompt_of_an_agent_goes_where_the_applications_spans_go(agenttrace):
            random.seed(0)
            with trace.get_tracer("billing").start_as_current_span("invoice"):
                team().invoke({"task": "write it"})

            assert [span.name for span in theirs.get_finished_spans()] == ["invoice"]
            [run] = agenttrace.traces
            assert "invoice" in [span.name for span in run.spans]
            assert agenttrace.agents == ["planner", "coder"]
        """
    )

    suite.runpytest_subprocess("-p", "no:cacheprovider").assert_outcomes(passed=2)


def test_a_switched_off_opentelemetry_is_no_empty_run(
    suite: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_SDK_DISABLED", "true")
    suite.makepyfile(
        test_off="""
        def test_it(agenttrace):
            assert not agenttrace.messages()
        """
    )

    result = suite.runpytest_subprocess("-p", "no:cacheprovider")

    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*OTEL_SDK_DISABLED=true keeps agents from being recorded*"])
