"""Real AutoGen teams on scripted models: the exact agents, messages, spans and tokens of each."""

import pytest
from autogen_agentchat.agents import SocietyOfMindAgent
from autogen_agentchat.conditions import (
    ExternalTermination,
    HandoffTermination,
    MaxMessageTermination,
)
from autogen_agentchat.messages import HandoffMessage, TextMessage
from autogen_agentchat.teams import (
    DiGraphBuilder,
    GraphFlow,
    MagenticOneGroupChat,
    RoundRobinGroupChat,
    SelectorGroupChat,
    Swarm,
)

from agenttrace_autogen.capture import INSTRUMENTOR
from support.autogen_apps import (
    add,
    agent,
    calls,
    ledger,
    model,
    planner_and_worker,
    says,
    selected_writer_and_critic,
    writer_and_critic,
)
from support.recorded import causes, orphans, recorded, said, tree


@pytest.fixture
def run():
    with recorded(INSTRUMENTOR) as record:
        yield record
        assert INSTRUMENTOR.sizes() == {}


def audiences(trace) -> list[tuple[str, ...]]:
    return [m.audience for m in trace.messages]


async def test_round_robin_addresses_each_message_to_whoever_speaks_next(run) -> None:
    await writer_and_critic().run(task="hi")

    trace = run.trace
    assert said(trace) == [
        ("user", "writer", "task", "hi"),
        ("writer", "critic", "broadcast", "w-msg0"),
        ("critic", "writer", "broadcast", "c0"),
        ("writer", "critic", "broadcast", "w-msg1"),
        ("critic", "writer", "broadcast", "c1"),
        ("writer", "user", "result", "w-msg2"),
    ]
    assert causes(trace) == [(0, None), (1, 0), (2, 1), (3, 2), (4, 3), (5, 4)]
    assert audiences(trace) == [("writer", "critic"), (), (), (), (), ("critic", "user")]
    assert {m.provenance for m in trace.messages} == {"observed"}
    assert tree(trace) == [
        "invoke_workflow RoundRobinGroupChat",
        *["  invoke_agent writer", "    chat", "  invoke_agent critic", "    chat"] * 2,
        "  invoke_agent writer",
        "    chat",
    ]
    tokens = {a.name: (a.tokens_in, a.tokens_out) for a in trace.agents}
    assert tokens == {"writer": (21 + 23 + 25, 3), "critic": (22 + 24, 2)}
    assert orphans(trace) == []


async def test_a_message_lies_on_the_turn_that_said_it(run) -> None:
    await writer_and_critic().run(task="hi")

    trace = run.trace
    assert [trace.by_id[m.span_id].name for m in trace.messages[:3]] == [
        "invoke_workflow RoundRobinGroupChat",
        "invoke_agent writer",
        "invoke_agent critic",
    ]
    for message in trace.messages:
        span = trace.by_id[message.span_id]
        assert span.start_ns <= message.sent_at <= span.end_ns


async def test_a_selector_asks_its_model_between_the_turns(run) -> None:
    await selected_writer_and_critic().run(task="hi")

    trace = run.trace
    assert said(trace) == [
        ("user", "writer", "task", "hi"),
        ("writer", "critic", "broadcast", "w0"),
        ("critic", "user", "result", "c0 TERMINATE"),
    ]
    assert tree(trace) == [
        "invoke_workflow SelectorGroupChat",
        "  chat",
        "  invoke_agent writer",
        "    chat",
        "  invoke_agent critic",
        "    chat",
    ]
    selection = trace.spans[1]
    assert (selection.tokens_in, selection.tokens_out, selection.output) == (54, 1, "writer")
    assert {a.name: a.role for a in trace.agents} == {"writer": "writes", "critic": "critic"}


async def test_a_selector_that_must_ask_twice_asks_twice(run) -> None:
    team = SelectorGroupChat(
        [agent("a", "A"), agent("b", "B"), agent("c", "C")],
        model("nobody", "b", "c"),
        termination_condition=MaxMessageTermination(3),
    )

    await team.run(task="go")

    assert said(run.trace) == [
        ("user", "b", "task", "go"),
        ("b", "c", "broadcast", "B"),
        ("c", "user", "result", "C"),
    ]
    assert tree(run.trace)[:4] == [
        "invoke_workflow SelectorGroupChat",
        "  chat",
        "  chat",
        "  invoke_agent b",
    ]


async def test_a_selector_function_selects_without_a_model(run) -> None:
    team = SelectorGroupChat(
        [agent("a", "A"), agent("b", "B")],
        model(),
        selector_func=lambda thread: "b" if thread[-1].source == "a" else "a",
        max_turns=2,
    )

    await team.run(task="go")

    assert said(run.trace) == [
        ("user", "a", "task", "go"),
        ("a", "b", "broadcast", "A"),
        ("b", "user", "result", "B"),
    ]
    assert tree(run.trace)[1] == "  invoke_agent a"


async def test_a_swarm_hands_over_by_tools(run) -> None:
    await planner_and_worker().run(task="do it")

    trace = run.trace
    to = "Transferred to {0}, adopting the role of {0} immediately."
    assert said(trace) == [
        ("user", "planner", "task", "do it"),
        ("planner", "worker", "handoff", to.format("worker")),
        ("worker", "worker", "broadcast", "3"),
        ("worker", "planner", "handoff", to.format("planner")),
        ("planner", "user", "result", "TERMINATE plan done"),
    ]
    assert causes(trace) == [(0, None), (1, 0), (2, 1), (3, 2), (4, 3)]
    assert tree(trace) == [
        "invoke_workflow Swarm",
        "  invoke_agent planner",
        "    chat",
        "    execute_tool transfer_to_worker",
        "  invoke_agent worker",
        "    chat",
        "    execute_tool add",
        "  invoke_agent worker",
        "    chat",
        "    execute_tool transfer_to_planner",
        "  invoke_agent planner",
        "    chat",
    ]
    assert [(s.tool, s.input, s.output) for s in trace.spans if s.tool == "add"] == [
        ("add", '{"a": 1, "b": 2}', "3")
    ]
    assert [m.tokens for m in trace.messages] == [None, 15, 15, 15, 35]


async def test_a_handoff_to_the_user_ends_a_swarm_and_the_answer_resumes_it(run) -> None:
    clerk = agent("clerk", calls("transfer_to_user"), "booked DONE", handoffs=["user"])
    team = Swarm([clerk], termination_condition=HandoffTermination("user") | says("DONE"))

    await team.run(task="book a flight")
    await team.run(task=HandoffMessage(source="user", target="clerk", content="to Rome"))

    first, second = run.traces
    assert [m[:3] for m in said(first)] == [
        ("user", "clerk", "task"),
        ("clerk", "user", "handoff"),
    ]
    assert said(second) == [
        ("user", "clerk", "handoff", "to Rome"),
        ("clerk", "user", "result", "booked DONE"),
    ]
    assert first.spans[0].session == second.spans[0].session


async def test_magentic_one_is_a_hub_with_an_orchestrator_of_its_own(run) -> None:
    coder = agent("coder", "v1", "v2", description="codes")
    tester = agent("tester", "it fails", description="tests")
    thinks = model(
        "the facts",
        "the plan",
        ledger(False, "coder", "write it"),
        ledger(False, "tester", "test it"),
        ledger(False, "coder", "mend it"),
        ledger(True, "coder"),
        "the answer",
    )

    await MagenticOneGroupChat([coder, tester], thinks).run(task="build")

    trace, boss = run.trace, "MagenticOneOrchestrator"
    told = said(trace)
    assert told[1][:3] == (boss, "coder", "broadcast")
    assert "the facts" in told[1][3]
    assert told[:1] + told[2:] == [
        ("user", boss, "task", "build"),
        (boss, "coder", "task", "write it"),
        ("coder", boss, "result", "v1"),
        (boss, "tester", "task", "test it"),
        ("tester", boss, "result", "it fails"),
        (boss, "coder", "task", "mend it"),
        ("coder", boss, "result", "v2"),
        (boss, "user", "result", "the answer"),
    ]
    assert causes(trace) == [(0, None), (1, 0), (2, 0), *((n, n - 1) for n in range(3, 9))]
    assert tree(trace) == [
        "invoke_workflow MagenticOneGroupChat",
        f"  invoke_agent {boss}",
        *["    chat"] * 3,
        "  invoke_agent coder",
        "    chat",
        f"  invoke_agent {boss}",
        "    chat",
        "  invoke_agent tester",
        "    chat",
        f"  invoke_agent {boss}",
        "    chat",
        "  invoke_agent coder",
        "    chat",
        f"  invoke_agent {boss}",
        *["    chat"] * 2,
    ]


async def test_magentic_one_stopped_by_a_condition_still_answers_the_user(run) -> None:
    thinks = model("the facts", "the plan", ledger(False, "coder", "write it"))
    coder = agent("coder", "v1 ENOUGH")

    await MagenticOneGroupChat([coder], thinks, termination_condition=says("ENOUGH")).run(
        task="build"
    )

    assert said(run.trace)[-2:] == [
        ("coder", "MagenticOneOrchestrator", "result", "v1 ENOUGH"),
        ("coder", "user", "result", "v1 ENOUGH"),
    ]


async def test_a_graph_fans_out_and_in(run) -> None:
    nodes = [agent(name, f"{name} says") for name in "ABCD"]
    a, b, c, d = nodes
    graph = DiGraphBuilder()
    for node in nodes:
        graph.add_node(node)
    graph.add_edge(a, b).add_edge(a, c).add_edge(b, d).add_edge(c, d)

    await GraphFlow(nodes, graph=graph.build()).run(task="go")

    told = said(run.trace)
    assert told[:3] == [
        ("user", "A", "task", "go"),
        ("A", "B", "broadcast", "A says"),
        ("A", "C", "broadcast", "A says"),
    ]
    assert set(told[3:5]) == {
        ("B", "D", "broadcast", "B says"),
        ("C", "D", "broadcast", "C says"),
    }
    assert told[5] == ("D", "user", "result", "D says")
    assert causes(run.trace)[3:5] in ([(3, 1), (4, 2)], [(3, 2), (4, 1)])


async def test_in_a_graph_only_edges_lead_on_and_a_leaf_answers_the_user(run) -> None:
    a, leaf, c, d = (agent(name, f"{name} says") for name in ("A", "leaf", "C", "D"))
    graph = DiGraphBuilder()
    for node in (a, leaf, c, d):
        graph.add_node(node)
    graph.add_edge(a, leaf).add_edge(a, c).add_edge(c, d)

    await GraphFlow([a, leaf, c, d], graph=graph.build()).run(task="go")

    assert sorted(said(run.trace)[3:]) == [
        ("C", "D", "broadcast", "C says"),
        ("D", "user", "result", "D says"),
        ("leaf", "user", "result", "leaf says"),
    ]


async def test_a_team_inside_a_team_is_asked_and_answers_as_one(run) -> None:
    inner = RoundRobinGroupChat(
        [agent("inner1", "i1"), agent("inner2", "i2 DONE")],
        termination_condition=says("DONE"),
        name="squad",
    )
    outer = RoundRobinGroupChat(
        [agent("lead", "go on", "fine END"), inner], termination_condition=says("END")
    )

    await outer.run(task="go")

    trace = run.trace
    assert said(trace) == [
        ("user", "lead", "task", "go"),
        ("lead", "squad", "broadcast", "go on"),
        ("squad", "inner1", "task", "go"),
        ("squad", "inner1", "task", "go on"),
        ("inner1", "inner2", "broadcast", "i1"),
        ("inner2", "squad", "result", "i2 DONE"),
        ("squad", "lead", "broadcast", "i2 DONE"),
        ("lead", "user", "result", "fine END"),
    ]
    assert causes(trace) == [
        (0, None), (1, 0), (2, 1), (3, 1), (4, 3), (5, 4), (6, 5), (7, 6)
    ]  # fmt: skip
    assert tree(trace)[3:9] == [
        "  invoke_agent squad",
        "    invoke_workflow squad",
        "      invoke_agent inner1",
        "        chat",
        "      invoke_agent inner2",
        "        chat",
    ]
    assert orphans(trace) == []


async def test_a_society_of_mind_sums_up_what_its_team_said(run) -> None:
    inner = RoundRobinGroupChat(
        [agent("inner1", "i1"), agent("inner2", "i2 DONE")], termination_condition=says("DONE")
    )
    society = SocietyOfMindAgent("society", inner, model("in short END"))
    team = RoundRobinGroupChat([agent("lead", "think"), society], termination_condition=says("END"))

    await team.run(task="go")

    assert said(run.trace)[2:] == [
        ("society", "inner1", "task", "go"),
        ("society", "inner1", "task", "think"),
        ("inner1", "inner2", "broadcast", "i1"),
        ("inner2", "society", "result", "i2 DONE"),
        ("society", "user", "result", "in short END"),
    ]
    assert tree(run.trace)[3:] == [
        "  invoke_agent society",
        "    invoke_workflow RoundRobinGroupChat",
        "      invoke_agent inner1",
        "        chat",
        "      invoke_agent inner2",
        "        chat",
        "    chat",
    ]


async def test_several_task_messages_are_several_messages(run) -> None:
    team = RoundRobinGroupChat([agent("a", "A")], max_turns=1)
    task = [TextMessage(content="one", source="user"), TextMessage(content="two", source="boss")]

    await team.run(task=task)

    assert said(run.trace) == [
        ("user", "a", "task", "one"),
        ("boss", "a", "task", "two"),
        ("a", "user", "result", "A"),
    ]
    assert run.trace.spans[0].input == "user: one\nboss: two"


async def test_a_team_that_goes_on_without_a_task_says_nothing_for_the_user(run) -> None:
    team = RoundRobinGroupChat([agent("a", "A1", "A2"), agent("b", "B1")], max_turns=1)

    await team.run(task="go")
    await team.run()

    assert said(run.traces[1]) == [("b", "user", "result", "B1")]


async def test_external_termination_stops_after_the_turn(run) -> None:
    stop = ExternalTermination()
    team = RoundRobinGroupChat(
        [agent("a", "A1", "A2"), agent("b", "B1", "B2")], termination_condition=stop
    )

    async for message in team.run_stream(task="go"):
        if getattr(message, "source", "") == "a":
            stop.set()

    last = said(run.trace)[-1]
    root = run.trace.spans[0]
    assert last in [("a", "user", "result", "A1"), ("b", "user", "result", "B1")]
    assert root.output == last[3]
    assert root.attributes["agenttrace.autogen.stop_reason"] == "External termination requested"


async def test_a_task_that_ends_the_run_at_once_was_for_the_team(run) -> None:
    team = RoundRobinGroupChat([agent("a")], termination_condition=MaxMessageTermination(1))

    await team.run(task="go")

    assert said(run.trace) == [("user", "RoundRobinGroupChat", "task", "go")]


async def test_parallel_tool_calls_are_children_of_their_turn(run) -> None:
    both = calls("add", "1", a=1, b=2)
    both.content.append(calls("add", "2", a=3, b=4).content[0])
    team = RoundRobinGroupChat([agent("a", both, tools=[add])], max_turns=1)

    await team.run(task="go")

    assert tree(run.trace)[1:] == [
        "  invoke_agent a",
        "    chat",
        "    execute_tool add",
        "    execute_tool add",
    ]
    assert sorted(s.output for s in run.trace.spans if s.kind == "tool") == ["3", "7"]
