"""LangGraph runs recorded by others tell the same as our own capture, where they can.

All dumps come from one small application (`support.langgraph_apps.team`) and two smaller ones. Read
off them, this is what each convention can and cannot tell:

| | OpenInference 0.1.80 | OpenLLMetry 0.62.4 |
|---|---|---|
| agents and their teams | yes | yes |
| handoffs by `Command` | yes | yes |
| tasks by `Send`, results | yes; of an argument with one field, only its value | yes |
| what the user asked | yes; of an input with one field, only its value | yes |
| `Command` to the parent | yes, in an exception's text | no dump |
| interrupt and resume | no dump | yes, in an exception's text; marked as an error |
| early exit | as an error | as an error |
| spans of the app itself | in a trace of their own | no dump |
| checkpoints, roles, tokens of a fake model | no | no |
"""

import json
from collections.abc import Callable
from typing import Any, TypedDict

import pytest
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import START, StateGraph
from langgraph.types import Command

import agenttrace_langgraph
from agenttrace.models import RawSpan, Scope, Trace
from agenttrace.plugins import Plugins
from agenttrace.testing import check_normalizer
from agenttrace_langgraph.normalizer import normalizer_of
from support.captures import NAMES, load, traces
from support.langgraph_apps import team
from support.recorded import Recorded, causes, said

DUMPS = [name for name in NAMES if name.startswith("langgraph-")]
TEAM = [
    "langgraph-openinference-langchain-0.1.80-astream-events",
    "langgraph-openinference-langchain-0.1.80-async-stream",
    "langgraph-openinference-langchain-0.1.80-supervisor",
    "langgraph-traceloop-langchain-0.62.4-astream-events",
    "langgraph-traceloop-langchain-0.62.4-async-stream",
    "langgraph-traceloop-langchain-0.62.4-supervisor",
]


def agents(trace: Trace) -> set[str]:
    return {agent.name for agent in trace.agents}


def in_order(messages: list[tuple[str, str, str, str]]) -> list[tuple[str, str, str, str]]:
    """The two look-ups run at the same time: which ends first differs from run to run."""
    return [*messages[:5], *sorted(messages[5:7]), *messages[7:]]


def only_values(content: str) -> str:
    """Return what OpenInference keeps of a mapping with one field."""
    return content.removeprefix('{"topic":"').removesuffix('"}')


@pytest.mark.parametrize("name", TEAM)
def test_a_dump_has_the_agents_and_messages_our_capture_records(run: Recorded, name: str) -> None:
    topic = "ai" if name.endswith("supervisor") else "a"
    team().invoke({"topic": topic})
    ours = run.trace
    (theirs,) = traces(name)

    expected = in_order(said(ours))
    if "openinference" in name:
        expected = [(s, r, t, only_values(c)) for s, r, t, c in expected]
    assert in_order(said(theirs)) == expected
    assert agents(theirs) == agents(ours)
    assert {a.framework for a in theirs.agents} == {"langgraph"}
    assert all(m.provenance == "observed" for m in theirs.messages)
    # Whose message caused which is the same too, but for the order of the two look-ups.
    assert causes(theirs)[:5] == causes(ours)[:5]
    assert causes(theirs)[7:] == causes(ours)[7:]


def test_an_interrupted_and_resumed_dump_tells_the_question_and_the_answer(run: Recorded) -> None:
    app = team(approve=True, checkpointer=InMemorySaver())
    thread = {"configurable": {"thread_id": "T2"}}
    app.invoke({"topic": "ai"}, thread)
    app.invoke(Command(resume="ok"), thread)

    ours = run.traces
    theirs = traces("langgraph-traceloop-langchain-0.62.4-interrupt")
    assert [in_order(said(trace)) for trace in theirs] == [in_order(said(trace)) for trace in ours]
    assert [agents(trace) for trace in theirs] == [agents(trace) for trace in ours]
    assert all(s.error is None and s.status != "error" for t in theirs for s in t.spans)


class Case(TypedDict):
    topic: str
    final: str


def test_a_command_to_the_parent_is_told_from_the_exception(run: Recorded) -> None:
    def decide(state: Case) -> Command[Any]:
        return Command(graph=Command.PARENT, goto="z", update={"topic": "from sub"})

    inner = StateGraph(Case).add_node("a", decide).add_edge(START, "a").compile()
    graph = StateGraph(Case).add_node("sub", inner)
    graph.add_node("z", lambda s: {"final": s["topic"]})
    graph.add_edge(START, "sub").compile().invoke({"topic": "q"})

    (theirs,) = traces("langgraph-openinference-langchain-0.1.80-parent-command")
    ours = said(run.trace)
    assert said(theirs)[2:3] == ours[2:3] == [("a", "z", "handoff", '{"topic":"from sub"}')]
    assert [m[:3] for m in said(theirs)] == [m[:3] for m in ours]
    assert agents(theirs) == agents(run.trace) == {"sub", "a", "z"}
    assert causes(theirs) == causes(run.trace)
    assert all(s.error is None for s in theirs.spans)


def test_an_early_exit_is_no_error_and_no_answer(run: Recorded) -> None:
    stream = team().stream({"topic": "a"})
    next(stream)
    stream.close()

    (theirs,) = traces("langgraph-traceloop-langchain-0.62.4-early-exit")
    assert said(theirs) == said(run.trace)
    assert agents(theirs) == agents(run.trace) == {"supervisor"}
    assert all(s.error is None and s.status != "error" for s in theirs.spans)


def test_spans_of_the_app_stay_their_own() -> None:
    found = traces("langgraph-openinference-langchain-0.1.80-user-span")

    graph, app = sorted(found, key=lambda trace: len(trace.agents), reverse=True)
    assert said(graph) == [("user", "n", "task", "q"), ("n", "user", "result", "x")]
    assert agents(graph) == {"n"}
    assert [s.name for s in app.spans] == ["user-span-in-node"]
    assert (agents(app), said(app)) == (set(), [])


@pytest.mark.parametrize("name", DUMPS)
def test_every_span_is_read_without_loss(name: str) -> None:
    for raw in load(name):
        normalizer = normalizer_of(raw.scope)
        if normalizer is None:
            continue
        span = normalizer(raw)
        assert span.attributes == raw.attributes
        assert (span.span_id, span.parent_id, span.start_ns) == (
            raw.span_id,
            raw.parent_id,
            raw.start_ns,
        )


def test_only_langgraphs_spans_are_claimed() -> None:
    assert normalizer_of(Scope("agenttrace.langgraph")) is not None
    assert normalizer_of(Scope("openinference.instrumentation.langchain")) is not None
    assert normalizer_of(Scope("opentelemetry.instrumentation.langchain")) is not None
    assert normalizer_of(Scope("openinference.instrumentation.openai")) is None
    assert normalizer_of(Scope("")) is None


@pytest.mark.parametrize(
    "scope", ["agenttrace.langgraph", "openinference.instrumentation.langchain"]
)
def test_the_reader_takes_anything(scope: str) -> None:
    normalizer = normalizer_of(Scope(scope))
    assert normalizer is not None

    check_normalizer(normalizer)


def plain(name: str, **attributes: Any) -> RawSpan:
    scope = Scope("openinference.instrumentation.langchain")
    return RawSpan("1" * 32, "2" * 16, name, 1, 2, attributes=attributes, scope=scope)


@pytest.mark.parametrize(
    ("metadata", "name", "expected"),
    [
        ({"langgraph_node": "agent", "langgraph_checkpoint_ns": "agent:1"}, "agent", "agent"),
        ({"langgraph_node": "agent", "langgraph_checkpoint_ns": "bob:1|agent:2"}, "agent", None),
        ({"langgraph_node": "tools", "langgraph_checkpoint_ns": "tools:1"}, "tools", None),
        ({"langgraph_node": "bob", "langgraph_checkpoint_ns": "bob:1"}, "RunnableSequence", None),
        ({"ls_integration": "langchain_create_agent", "lc_agent_name": "ada"}, "ada", "ada"),
        ({"ls_integration": "langchain_create_agent"}, "LangGraph", "agent"),
        ({"ls_integration": "langgraph"}, "LangGraph", None),
        ({"foo": "bar"}, "chain", None),
    ],
)
def test_who_an_agent_is_follows_from_names(
    metadata: dict[str, Any], name: str, expected: str | None
) -> None:
    raw = plain(name, metadata=json.dumps(metadata), **{"openinference.span.kind": "CHAIN"})
    read: Callable[[RawSpan], Any] | None = normalizer_of(raw.scope)

    assert read is not None
    assert read(raw).agent == expected


def test_a_plugin_answers_for_traces_that_are_not_its_own() -> None:
    plugins = Plugins()
    plugins.register(agenttrace_langgraph, "langgraph")
    trace = Trace("1" * 32, ())

    assert [list(answer) for _, answer in plugins.each("agenttrace_messages", trace=trace)] == [[]]


def test_what_one_prebuilt_agent_is_asked_and_answers_are_words() -> None:
    (trace,) = traces("langchain-openinference-0.1.80-create-agent")

    assert said(trace) == [
        ("user", "refund", "task", "I want my money back for order 17."),
        ("refund", "user", "result", "Order 17 is refunded."),
    ]
    assert [(a.tools, a.tokens_in, a.tokens_out) for a in trace.agents] == [(("look_up",), 23, 6)]


def test_the_tools_node_of_a_prebuilt_agent_hands_nothing_over() -> None:
    # OpenLLMetry says once in the tool, and once in the node, that `tools` goes to `refund`.
    *announced, trace = traces("langchain-traceloop-0.62.4-swarm")

    assert [(m.sender, m.recipient, m.type) for m in trace.messages] == [
        ("user", "triage", "task"),
        ("triage", "refund", "handoff"),
        ("refund", "user", "result"),
    ]
    assert [part.agents for part in announced] == [(), ()]
