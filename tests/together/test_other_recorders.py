"""Two agents, recorded by tracers and frameworks that nobody here wrote, tell one conversation.

A triage agent asks a refund agent, as a tool, to refund order 4711; that one looks the order up. Or
it hands over to the refund agent. Or two take turns. Read off the dumps, what each can tell:

| | agents | who asks whom | handing over | what was said | tokens |
|---|---|---|---|---|---|
| LangSmith, Langfuse, MLflow (LangGraph) | in metadata | yes | in metadata | yes | yes |
| OpenLIT (LangGraph, CrewAI) | and every node or method | yes | by their order | yes | yes |
| OpenAI Agents (OTel GenAI 0.1) | "OpenAI Agent" on calls | yes | yes | not with it | yes |
| Google ADK 2.13 | yes | its run beside the first | `transfer_to_agent` | if captured | yes |
| Strands 1.62, both forms of its events | yes | yes | `handoff_to_agent` | yes | yes |
| Microsoft Agent Framework 1.23 | yes | yes | what goes from turn to turn | yes | yes |
| Agno, OpenInference | yes | its run beside the tool's | | yes | yes |
"""

import pytest

from agenttrace.models import Trace
from agenttrace.plugins import load_plugins
from support import captures
from support.recorded import said

PLUGINS = load_plugins()

Said = list[tuple[str, str, str, str]]

TASK = "Refund order 4711"
DONE = "Order 4711 was refunded with 30 euros."
REFUNDED = "Refunded 30 euros for order 4711."


def asks(triage: str = "triage_agent", refund: str = "refund_agent") -> Said:
    return [
        ("user", triage, "task", TASK),
        (triage, refund, "task", TASK),
        (refund, triage, "result", REFUNDED),
        (triage, "user", "result", DONE),
    ]


def hands_over(triage: str, refund: str, note: str) -> Said:
    return [
        ("user", triage, "task", TASK),
        (triage, refund, "handoff", note),
        (refund, "user", "result", REFUNDED),
    ]


IN_TURN = [
    ("user", "writer", "task", "Write about order 4711"),
    ("writer", "critic", "task", REFUNDED),
    ("critic", "user", "result", REFUNDED),
]
NOTE = '{"agent_name": "refund_agent", "message": "Please refund 4711", "context": {}}'

RUNS: dict[str, list[Said]] = {
    "langsmith-0.15.1-langgraph": [asks(), IN_TURN],
    "langfuse-5.0.4-langgraph": [asks(), IN_TURN],
    "mlflow-3.17.2-langgraph": [asks(), IN_TURN],
    "openlit-1.45.0-langgraph": [asks(), IN_TURN],
    "openlit-1.45.0-crewai": [
        [
            ("user", "Researcher", "task", "Research order 4711"),
            ("Researcher", "Writer", "task", REFUNDED),
            ("Writer", "user", "result", REFUNDED),
        ]
    ],
    "openai-agents-genai-0.1.0": [
        hands_over("Triage Agent", "Refund Agent", ""),
        asks("Triage Agent", "Refund Agent"),
    ],
    "google-adk-2.13.0": [
        hands_over("triage_agent", "refund_agent", '{"agent_name": "refund_agent"}')
    ],
    "strands-1.62.0": [asks(), hands_over("triage_agent", "refund_agent", NOTE)],
    "strands-1.62.0-latest": [asks(), hands_over("triage_agent", "refund_agent", NOTE)],
    "agent-framework-1.23.0": [
        asks(),
        [
            *asks()[:3],
            ("triage_agent", "refund_agent", "task", DONE),
            ("refund_agent", "user", "result", REFUNDED),
        ],
    ],
    "agno-openinference-1.0.15": [asks("Triage Team", "Refund Agent")],
}


def runs(name: str) -> list[Trace]:
    """The runs in a dump in which agents took part, in the order they began."""
    found = captures.joined(captures.load(name), PLUGINS)
    return sorted(
        (trace for trace in found if trace.agents), key=lambda trace: trace.spans[0].start_ns
    )


@pytest.mark.parametrize("name", RUNS)
def test_a_dump_tells_the_conversation(name: str) -> None:
    # Strands ends what it prints with a line break.
    told = [[(*m[:3], m[3].strip()) for m in said(trace)] for trace in runs(name)]

    assert told == RUNS[name]


@pytest.mark.parametrize("name", RUNS)
def test_who_talks_is_who_took_part(name: str) -> None:
    for trace, conversation in zip(runs(name), RUNS[name], strict=True):
        talk = {one for message in conversation for one in message[:2]} - {"user"}
        assert {agent.name for agent in trace.agents} == talk


@pytest.mark.parametrize("name", RUNS)
def test_each_call_of_a_model_took_its_110_tokens(name: str) -> None:
    for trace in runs(name):
        calls = sum(span.kind == "llm" for span in trace.spans)
        spent = sum(agent.tokens_in + agent.tokens_out for agent in trace.agents)
        assert spent == 110 * calls
