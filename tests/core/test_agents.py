import msgspec
import pytest

from agenttrace.accounting import counted
from agenttrace.agents import find_agents
from agenttrace.models import Span, Trace
from agenttrace.normalize import normalize
from agenttrace.plugins import Plugins
from agenttrace.testing import agent, build, derive, llm, message, raw_spans, span, tool, workflow


def names(trace: Trace) -> list[str]:
    return [found.name for found in trace.agents]


def test_agents_are_the_named_participants_in_order_of_appearance() -> None:
    trace = build(workflow("team", agent("planner"), agent("coder"), agent("planner")))

    assert names(trace) == ["planner", "coder"]


def test_an_agent_adds_up_its_own_spans_and_not_those_of_agents_inside() -> None:
    trace = build(
        agent(
            "planner",
            llm("a", tokens=(10, 5)),
            tool("ask", agent("coder", llm("b", tokens=(100, 50), model="big"), tool("run"))),
            llm("c", tokens=(1, 1), error="ValueError: no"),
            role="plans",
            framework="mine",
        )
    )

    planner, coder = trace.agents
    assert (planner.spans, planner.tokens_in, planner.tokens_out) == (4, 11, 6)
    assert (planner.tools, planner.models, planner.errors) == (("ask",), ("test-model",), 1)
    assert (planner.role, planner.framework) == ("plans", "mine")
    assert (coder.spans, coder.tokens_in, coder.tokens_out) == (3, 100, 50)
    assert (coder.tools, coder.models, coder.role) == (("run",), ("big",), None)
    assert planner.first_ns < coder.first_ns <= coder.last_ns < planner.last_ns


def test_an_agent_is_at_work_in_its_innermost_spans_and_not_while_others_are() -> None:
    def leaf(name: str, start: int, end: int) -> Span:
        return Span("t", name, name, start, end, "plan", kind="tool")

    spans = (
        Span("t", "plan", "plan", 0, 100, None, kind="agent", agent="planner"),
        leaf("a", 10, 30),
        leaf("b", 20, 40),
        leaf("c", 25, 35),
        Span("t", "code", "code", 50, 80, "plan", kind="agent", agent="coder"),
        leaf("d", 90, 95),
        leaf("ended before it began", 97, 3),
    )
    planner, coder = find_agents(Trace("t", spans))

    assert (planner.busy_ns, coder.busy_ns) == (40 - 10 + 95 - 90, 30)


def test_what_was_only_created_never_ran() -> None:
    created = span(
        "create_agent planner",
        attributes={
            "agenttrace.kind": None,
            "gen_ai.operation.name": "create_agent",
            "gen_ai.agent.name": "planner",
        },
    )

    assert names(build(created)) == []


def test_the_user_is_no_agent() -> None:
    trace = build(workflow("run", message("planner", sender="user"), agent("planner")))

    assert names(trace) == ["planner"]


def test_a_model_call_seen_twice_counts_once() -> None:
    trace = build(agent("planner", llm("a", llm("a", tokens=(10, 5)), tokens=(10, 5))))

    [planner] = trace.agents
    assert (planner.tokens_in, planner.tokens_out) == (10, 5)
    assert [found.span_id for found in counted(trace)] == ["0000000000000003"]


def test_of_two_views_of_a_call_the_one_that_knows_its_usage_counts() -> None:
    trace = build(agent("planner", llm("a", llm("a", tokens=None), tokens=(10, 5))))

    assert (trace.agents[0].tokens_in, trace.agents[0].tokens_out) == (10, 5)


def test_a_view_with_something_in_between_is_still_the_same_call() -> None:
    trace = build(agent("planner", llm("a", span("POST", llm("a", tokens=(10, 5))), tokens=(9, 9))))

    assert (trace.agents[0].tokens_in, trace.agents[0].tokens_out) == (10, 5)


def test_a_call_made_by_a_tool_inside_a_call_is_another_one() -> None:
    trace = build(agent("planner", llm("a", tool("ask", llm("b", tokens=(3, 4))), tokens=(10, 5))))

    assert (trace.agents[0].tokens_in, trace.agents[0].tokens_out) == (13, 9)


def test_roll_ups_are_never_added() -> None:
    usage = {"gen_ai.usage.input_tokens": 1000, "gen_ai.usage.cost": 9.0}
    trace = build(
        workflow(
            "team", agent("planner", llm("a", cost_usd=0.5), attributes=usage), attributes=usage
        )
    )

    assert trace.agents[0].tokens_in == 10
    assert trace.agents[0].cost_usd == 0.5


def test_a_cost_nobody_told_is_unknown_and_not_zero() -> None:
    assert build(agent("planner", llm("a"))).agents[0].cost_usd is None


def test_model_calls_may_name_the_agent_that_makes_them() -> None:
    trace = build(workflow("run", llm("a", attributes={"gen_ai.agent.name": "planner"})))

    assert names(trace) == ["planner"]


def cycle() -> Trace:
    raws = raw_spans(agent("planner", llm("a")), agent("coder"))
    raws[0] = msgspec.structs.replace(raws[0], parent_id=raws[1].span_id)
    return derive(normalize(raws, Plugins()))


def test_spans_that_are_their_own_ancestors_hang_nothing() -> None:
    trace = cycle()

    assert {found.name for found in find_agents(trace)} == {"planner", "coder"}


@pytest.mark.parametrize("depth", [5000])
def test_a_very_deep_trace_is_no_problem(depth: int) -> None:
    raws = raw_spans(*(agent(f"a{n % 7}", lasts_ms=0) for n in range(depth)))
    chained = [
        msgspec.structs.replace(raw, parent_id=raws[n - 1].span_id if n else None)
        for n, raw in enumerate(raws)
    ]

    trace = derive(normalize(chained, Plugins()))

    assert len(trace.agents) == 7
    assert sum(found.spans for found in trace.agents) == depth
