"""ag2's own OpenTelemetry output, of the classic line and of the one since 1.0."""

from pathlib import Path

import msgspec
import pytest

from agenttrace.models import Message, RawSpan, Scope, Trace
from agenttrace.normalize import normalize
from agenttrace.plugins import load_plugins
from agenttrace.testing import check_normalizer, derive, raw_span
from agenttrace_autogen import ag2, normalizer
from agenttrace_server.decode import JSON, decode
from support.recorded import said

FOLDER = Path(__file__).parent / "captures"


def load(name: str) -> list[RawSpan]:
    decoded = decode((FOLDER / f"{name}.json").read_bytes(), JSON)
    assert not decoded.rejected
    return decoded.spans


def traces(name: str) -> list[Trace]:
    plugins = load_plugins()
    return [derive(normalize(load(name), plugins), plugins)]


def observed(name: str) -> list[tuple[str, str, str, str]]:
    [trace] = traces(name)
    return [
        (m.sender, m.recipient, m.type, m.content)
        for m in trace.messages
        if m.provenance == "observed"
    ]


def test_two_agents_talk_in_turns() -> None:
    assert observed("ag2-0.14.0-two-agents") == [
        ("critic", "writer", "task", "write a haiku"),
        ("writer", "critic", "result", "draft one"),
        ("critic", "writer", "task", "make it shorter"),
        ("writer", "critic", "result", "draft two DONE"),
    ]
    [trace] = traces("ag2-0.14.0-two-agents")
    assert {a.name: (a.tokens_in, a.tokens_out) for a in trace.agents} == {
        "critic": (10, 5),
        "writer": (20, 10),
    }
    assert trace.spans[0].kind == "workflow"


def test_a_group_passes_the_turn_on_without_its_manager_being_an_agent() -> None:
    name = "ag2-0.14.0-group-handoff"

    assert observed(name) == [
        ("user", "planner", "task", "do it"),
        ("planner", "worker", "broadcast", "here is the plan"),
        ("worker", "user", "result", "the work is done"),
    ]
    assert {a.name for a in traces(name)[0].agents} == {"planner", "worker"}


def test_chats_one_after_the_other_are_tasks_and_results_of_whoever_begins_them() -> None:
    assert observed("ag2-0.14.0-sequential-chats") == [
        ("boss", "researcher", "task", "research"),
        ("researcher", "boss", "result", "facts found"),
        ("boss", "writer", "task", "write\nContext: \nfacts found"),
        ("writer", "boss", "result", "report written"),
    ]
    [trace] = traces("ag2-0.14.0-sequential-chats")
    assert {a.name for a in trace.agents} == {"boss", "researcher", "writer"}


def test_whoever_executes_a_tool_sends_its_result_back() -> None:
    told = observed("ag2-0.14.0-tool")

    assert [m[:3] for m in told] == [
        ("user_proxy", "worker", "task"),
        ("worker", "user_proxy", "result"),
        ("user_proxy", "worker", "task"),
        ("worker", "user_proxy", "result"),
    ]
    assert '"name":"add"' in told[1][3]
    assert (told[2][3], told[3][3]) == ("3", "it is 3 DONE")
    [trace] = traces("ag2-0.14.0-tool")
    assert [(s.tool, s.input, s.output) for s in trace.spans if s.kind == "tool"] == [
        ("add", '{"a": 1, "b": 2}', "3")
    ]


def test_since_1_0_a_subagent_is_asked_through_a_tool() -> None:
    name = "ag2-1.2.1-subagent"

    assert observed(name) == [
        ("user", "boss", "task", "write a report"),
        ("boss", "researcher", "task", "find facts"),
        ("researcher", "boss", "result", "facts found"),
        ("boss", "user", "result", "all done"),
    ]
    [trace] = traces(name)
    assert {a.name: a.tools for a in trace.agents} == {
        "boss": ("task_researcher", "add"),
        "researcher": (),
    }
    assert {s.framework for s in trace.spans} == {"ag2"}


def test_spending_that_is_told_again_is_no_model_call() -> None:
    plugins = load_plugins()
    usage = raw_span(
        "record_usage subtask",
        scope=ag2.SCOPE,
        attributes={"ag2.span.type": "usage", "gen_ai.usage.input_tokens": 900},
    )

    trace = derive(normalize([usage], plugins), plugins)

    assert trace.spans[0].kind == "other"


def test_a_person_is_asked_and_answers() -> None:
    plugins = load_plugins()
    asked = raw_span(
        "await_human_input clerk",
        scope=ag2.SCOPE,
        attributes={
            "ag2.span.type": "human_input",
            "gen_ai.operation.name": "await_human_input",
            "gen_ai.agent.name": "clerk",
            "ag2.human_input.prompt": "Refund?",
            "ag2.human_input.response": "yes",
        },
    )

    trace = derive(normalize([asked], plugins), plugins)

    assert said(trace) == [
        ("clerk", "user", "question", "Refund?"),
        ("user", "clerk", "answer", "yes"),
    ]


def test_an_envelope_in_a_network_comes_from_the_agent_of_its_sender_id() -> None:
    plugins = load_plugins()
    ids = {"scope": ag2.SCOPE}
    spans = [
        raw_span(
            "agent.lifetime ann",
            span_id="1" * 16,
            attributes={
                "ag2.span.type": "agent_lifetime",
                "ag2.agent.id": "a-1",
                "gen_ai.agent.name": "ann",
            },
            **ids,
        ),
        raw_span(
            "network.envelope text",
            span_id="2" * 16,
            attributes={"ag2.span.type": "envelope", "ag2.network.sender_id": "a-1"},
            **ids,
        ),
        raw_span(
            "invoke_agent bob",
            span_id="3" * 16,
            parent_id="2" * 16,
            attributes={
                "ag2.span.type": "agent",
                "gen_ai.operation.name": "invoke_agent",
                "gen_ai.agent.name": "bob",
            },
            **ids,
        ),
        raw_span(
            "chat",
            span_id="4" * 16,
            parent_id="3" * 16,
            attributes={
                "ag2.span.type": "llm",
                "gen_ai.operation.name": "chat",
                "gen_ai.input.messages": '[{"role":"user","content":"look it up"}]',
                "gen_ai.output.messages": '[{"role":"assistant","content":"found"}]',
            },
            **ids,
        ),
    ]

    trace = derive(normalize(spans, plugins), plugins)

    assert said(trace) == [("ann", "bob", "task", "look it up"), ("bob", "ann", "result", "found")]


@pytest.mark.parametrize("name", ["ag2-0.14.0-tool", "ag2-1.2.1-subagent"])
def test_odd_spans_cost_nothing(name) -> None:
    check_normalizer(normalizer.for_scope(Scope(ag2.SCOPE)), load(name))


@pytest.mark.parametrize("odd", [None, "", "{", "[1]", '{"a":1}', 7, True, ["x"], {"k": "v"}])
@pytest.mark.parametrize("name", ["ag2-0.14.0-tool", "ag2-1.2.1-subagent"])
def test_odd_attributes_cost_no_other_message(name, odd) -> None:
    plugins, raws = load_plugins(), load(name)
    for key in sorted({key for raw in raws for key in raw.attributes}):
        bent = [
            msgspec.structs.replace(raw, attributes={**raw.attributes, key: odd})
            if key in raw.attributes
            else raw
            for raw in raws
        ]
        trace = Trace(raws[0].trace_id, tuple(normalize(bent, plugins)))
        assert all(isinstance(m, Message) for m in normalizer.messages(trace))
