"""What the built-in reading makes of every real capture, read off the dumps by hand.

The plugins know more about their frameworks; their own tests say what they add.
"""

from collections import Counter
from typing import NamedTuple

import pytest

from agenttrace import genai, smolagents
from agenttrace.models import Trace
from agenttrace.plugins import Plugins
from support import captures


class Expected(NamedTuple):
    traces: int
    kinds: dict[str, int]
    agents: set[str]
    messages: int = 0


# An AutoGen run: each turn is an `invoke_agent`; OpenInference adds a span inside it, and the run.
WRITER_CRITIC = {"writer", "critic"}
PLANNER_WORKER = {"planner", "worker"}
TRIAGE_REFUND = {"Triage Agent", "Refund Agent"}
TRIAGE_REFUND_IDS = {"triage_agent", "refund_agent"}
STRANDS = {"workflow": 1, "agent": 4, "llm": 8, "tool": 4, "other": 8}
METHODS = {
    "call_llm_and_parse",
    "check_max_iterations",
    "check_todos_available",
    "continue_iteration",
    "finalize",
    "generate_plan",
    "initialize_reasoning",
    "route_by_answer_type",
}
# A LangGraph team: two supervisor turns, plan and writer call a model; two look-ups call a tool.
LANGGRAPH_OPENINFERENCE = {"workflow": 1, "other": 9, "llm": 4, "tool": 2}
LANGGRAPH_OPENLLMETRY = {"workflow": 1, "agent": 2, "handoff": 2, "other": 9, "llm": 4, "tool": 2}

EXPECTED = {
    "agentprism_rag_earnings.otlp": Expected(1, {"llm": 1, "retriever": 1, "other": 16}, set()),
    "agentprism_smol_deep_research.otlp": Expected(
        1, {"llm": 6, "other": 2}, {"manager", "search_agent"}, 4
    ),
    "autogen-0.7.5-builtin-early-exit": Expected(23, {"agent": 5, "other": 64}, WRITER_CRITIC),
    "autogen-0.7.5-builtin-roundrobin-stream": Expected(
        23, {"agent": 5, "other": 64}, WRITER_CRITIC
    ),
    "autogen-0.7.5-builtin-swarm": Expected(
        26, {"agent": 4, "tool": 3, "other": 72}, PLANNER_WORKER
    ),
    "autogen-openinference-agentchat-0.1.22+builtin-roundrobin-stream": Expected(
        3, {"workflow": 1, "agent": 10, "other": 64}, WRITER_CRITIC, 2
    ),
    "autogen-openinference-agentchat-0.1.22+builtin-selector": Expected(
        3, {"workflow": 1, "agent": 4, "other": 34}, WRITER_CRITIC, 2
    ),
    "autogen-openinference-agentchat-0.1.22+builtin-swarm": Expected(
        3, {"workflow": 1, "agent": 8, "tool": 6, "other": 72}, PLANNER_WORKER, 4
    ),
    # Left early, the run has no output to give to the user.
    "autogen-openinference-agentchat-0.1.22-early-exit": Expected(
        3, {"workflow": 1, "agent": 10, "other": 2}, WRITER_CRITIC, 1
    ),
    "autogen-openinference-agentchat-0.1.22-roundrobin-stream": Expected(
        3, {"workflow": 1, "agent": 10, "other": 2}, WRITER_CRITIC, 2
    ),
    "autogen-openinference-agentchat-0.1.22-swarm": Expected(
        3, {"workflow": 1, "agent": 8, "tool": 6, "other": 2}, PLANNER_WORKER, 4
    ),
    # CrewAI's own spans name agents by a hash; that its role is the name, only its plugin knows.
    "crewai-1.15.30-native-tracesession": Expected(
        1,
        {"workflow": 1, "agent": 3, "llm": 5, "tool": 2, "other": 2},
        {"9fe4585c5f862e18a0f3db8a8c8574e2", "93535103aff7fd159ee1ad33c9013b4d"},
        4,
    ),
    "crewai-openinference-1.1.21": Expected(
        1, {"workflow": 1, "agent": 2}, {"Researcher", "Writer"}, 3
    ),
    # That to ask a coworker is to let it run, only its plugin knows.
    "crewai-openinference-1.1.21-hierarchical": Expected(
        1, {"workflow": 1, "agent": 1, "tool": 2}, {"Crew Manager"}, 2
    ),
    "crewai-openinference-1.1.21-flow": Expected(
        1, {"workflow": 1, "other": 5, "agent": 4, "tool": 6}, {"Researcher", "Writer"}, 4
    ),
    "crewai-openinference-1.1.21-event-listener-flow": Expected(
        1,
        {"workflow": 1, "other": 5, "agent": 6, "llm": 12, "tool": 6},
        {"Researcher", "Writer"},
        8,
    ),
    "crewai-traceloop-0.62.4": Expected(1, {"agent": 4, "other": 2}, {"Researcher", "Writer"}, 2),
    "jaeger_otlp2jaeger-in": Expected(1, {"other": 2}, set()),
    "jaeger_otlp2jaeger-out": Expected(1, {"other": 2}, set()),
    "langchain-openinference-0.1.80-create-agent": Expected(
        1, {"workflow": 1, "other": 3, "llm": 2, "tool": 1}, set()
    ),
    # Each agent is announced in a trace of its own.
    "langchain-traceloop-0.62.4-swarm": Expected(
        3,
        {"workflow": 1, "agent": 3, "handoff": 2, "llm": 3, "tool": 2, "other": 13},
        {"desk", "triage", "refund"},
        8,
    ),
    # OpenInference's LangChain spans name no agents; LangGraph's plugin reads them from metadata.
    "langgraph-openinference-langchain-0.1.80-astream-events": Expected(
        1, LANGGRAPH_OPENINFERENCE, set()
    ),
    "langgraph-openinference-langchain-0.1.80-async-stream": Expected(
        1, LANGGRAPH_OPENINFERENCE, set()
    ),
    "langgraph-openinference-langchain-0.1.80-parent-command": Expected(
        1, {"workflow": 1, "other": 4}, set()
    ),
    "langgraph-openinference-langchain-0.1.80-supervisor": Expected(
        1, LANGGRAPH_OPENINFERENCE, set()
    ),
    "langgraph-openinference-langchain-0.1.80-user-span": Expected(
        2, {"workflow": 1, "other": 2}, set()
    ),
    "langgraph-traceloop-langchain-0.62.4-astream-events": Expected(
        1, LANGGRAPH_OPENLLMETRY, {"team", "researcher"}, 5
    ),
    "langgraph-traceloop-langchain-0.62.4-async-stream": Expected(
        1, LANGGRAPH_OPENLLMETRY, {"team", "researcher"}, 5
    ),
    "langgraph-traceloop-langchain-0.62.4-early-exit": Expected(
        1, {"workflow": 1, "agent": 1, "handoff": 1, "llm": 1, "other": 1}, {"team"}, 3
    ),
    "langgraph-traceloop-langchain-0.62.4-interrupt": Expected(
        2,
        {"workflow": 2, "agent": 3, "handoff": 2, "llm": 4, "tool": 2, "other": 10},
        {"team", "researcher"},
        7,
    ),
    "langgraph-traceloop-langchain-0.62.4-supervisor": Expected(
        1, LANGGRAPH_OPENLLMETRY, {"team", "researcher"}, 5
    ),
    "openai-agents-openinference-2.6.0-agent-as-tool": Expected(
        1, {"workflow": 1, "agent": 2, "llm": 4, "tool": 2, "other": 6}, TRIAGE_REFUND, 4
    ),
    "openai-agents-openinference-2.6.0-handoffs": Expected(
        1,
        {"workflow": 1, "agent": 3, "llm": 4, "tool": 1, "handoff": 2, "other": 5},
        TRIAGE_REFUND,
        4,
    ),
    "openai-agents-traceloop-0.62.4-agent-as-tool": Expected(
        1, {"workflow": 1, "agent": 2, "llm": 4, "tool": 2}, TRIAGE_REFUND, 4
    ),
    "openai-agents-traceloop-0.62.4-handoffs": Expected(
        1, {"workflow": 1, "agent": 3, "llm": 4, "tool": 1, "handoff": 2}, TRIAGE_REFUND, 4
    ),
    "pydantic-ai-2.68.0-agent-as-tool": Expected(
        1, {"agent": 2, "llm": 4, "tool": 2}, {"triage", "refund"}, 4
    ),
    "smolagents-openinference-0.1.43+openai-agent-as-tool": Expected(
        1, {"agent": 2, "llm": 8, "tool": 3, "other": 4}, {"triage", "refund_agent"}, 4
    ),
    "otel-proto_trace": Expected(1, {"other": 1}, set()),
    # Building the workflow is a trace of its own; then the team runs alone, and in a workflow.
    "agent-framework-1.23.0": Expected(
        3, {"agent": 5, "llm": 9, "tool": 4, "other": 11}, TRIAGE_REFUND_IDS, 9
    ),
    "agno-openinference-1.0.15": Expected(
        1, {"agent": 2, "llm": 4, "tool": 2}, {"Triage Team", "Refund Agent"}, 4
    ),
    "google-adk-2.13.0": Expected(
        1, {"workflow": 1, "agent": 2, "llm": 3, "tool": 2}, TRIAGE_REFUND_IDS, 3
    ),
    # LangGraph's plugin finds the agents in the metadata.
    "langfuse-5.0.4-langgraph": Expected(2, {"agent": 2, "other": 9, "llm": 6, "tool": 2}, set()),
    "langsmith-0.15.1-langgraph": Expected(2, {"other": 11, "llm": 6, "tool": 2}, set()),
    "mlflow-3.17.2-langgraph": Expected(2, {"other": 11, "llm": 6, "tool": 2}, set()),
    "openai-agents-genai-0.1.0": Expected(
        2,
        {"workflow": 2, "agent": 4, "llm": 7, "tool": 3, "handoff": 1, "other": 10},
        TRIAGE_REFUND,
        7,
    ),
    # OpenLIT calls every method of a flow an agent, and CrewAI runs each agent as a flow; the
    # plugin knows them.
    "openlit-1.45.0-crewai": Expected(
        3,
        {"workflow": 3, "agent": 26, "llm": 2, "other": 4},
        {"Researcher", "Writer", *METHODS},
        50,
    ),
    "openlit-1.45.0-langgraph": Expected(
        5,
        {"workflow": 2, "agent": 8, "llm": 6, "tool": 2, "other": 9},
        {*TRIAGE_REFUND_IDS, "model", "writer", "critic"},
        7,
    ),
    "strands-1.62.0": Expected(2, STRANDS, TRIAGE_REFUND_IDS, 7),
    "strands-1.62.0-latest": Expected(2, STRANDS, TRIAGE_REFUND_IDS, 7),
}


def built_in() -> Plugins:
    plugins = Plugins()
    plugins.register(genai, "genai")
    plugins.register(smolagents, "smolagents")
    return plugins


def spans_of(traces: list[Trace]) -> list:
    return [span for trace in traces for span in trace.spans]


def test_every_capture_is_expected_to_be_something() -> None:
    assert EXPECTED.keys() == set(captures.TRACES)


@pytest.mark.parametrize("name", captures.TRACES)
def test_a_capture_is_what_its_dump_says(name: str) -> None:
    traces = captures.traces(name, built_in())

    found = Expected(
        len(traces),
        dict(Counter(span.kind for span in spans_of(traces))),
        {agent.name for trace in traces for agent in trace.agents},
        sum(len(trace.messages) for trace in traces),
    )
    assert found == EXPECTED[name]


@pytest.mark.parametrize("name", captures.TRACES)
def test_no_capture_holds_a_real_error(name: str) -> None:
    # Interrupts, early breaks and parent commands were recorded as errors; they steer.
    assert [span.error for span in spans_of(captures.traces(name, built_in())) if span.error] == []


@pytest.mark.parametrize("name", captures.TRACES)
def test_what_a_model_was_asked_and_answered_is_always_found(name: str) -> None:
    for span in spans_of(captures.traces(name, built_in())):
        if span.kind == "llm":
            assert span.input
            assert span.output


@pytest.mark.parametrize("name", captures.TRACES)
def test_every_message_is_between_two_and_caused_by_an_earlier_one(name: str) -> None:
    for trace in captures.traces(name, built_in()):
        earlier: set[str] = set()
        for message in trace.messages:
            assert message.sender != message.recipient
            assert message.caused_by is None or message.caused_by in earlier
            assert message.span_id in trace.by_id
            earlier.add(message.message_id)


def test_crewais_tokens_are_those_of_its_five_model_calls() -> None:
    [trace] = captures.traces("crewai-1.15.30-native-tracesession", built_in())

    assert sum(agent.tokens_in for agent in trace.agents) == 5 * 10
    assert sum(agent.tokens_out for agent in trace.agents) == 5 * 5
