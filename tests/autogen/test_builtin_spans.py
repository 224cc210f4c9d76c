"""What AutoGen's own spans tell of many kinds of team is what capture tells of them."""

import asyncio
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from autogen_agentchat.agents import SocietyOfMindAgent, UserProxyAgent
from autogen_agentchat.conditions import HandoffTermination
from autogen_agentchat.messages import TextMessage
from autogen_agentchat.teams import (
    DiGraphBuilder,
    GraphFlow,
    MagenticOneGroupChat,
    RoundRobinGroupChat,
    Swarm,
)
from autogen_agentchat.teams._group_chat._events import GroupChatStart

from agenttrace.fragments import facts_of
from agenttrace.joins import join_traces
from agenttrace.models import Trace
from agenttrace.plugins import load_plugins
from agenttrace.testing import derive
from agenttrace_autogen.capture import INSTRUMENTOR
from support.autogen_apps import (
    agent,
    calls,
    ledger,
    model,
    planner_and_worker,
    says,
    selected_writer_and_critic,
    writer_and_critic,
)
from support.recorded import recorded, said


class Nothing:
    """Captures nothing, so that AutoGen's own spans are all there is."""

    framework = module = "nothing"

    def instrument(self) -> None:
        """Do nothing."""

    def uninstrument(self) -> None:
        """Do nothing."""


def orchestrated() -> MagenticOneGroupChat:
    thinks = model(
        "the facts",
        "the plan",
        ledger(False, "coder", "write it"),
        ledger(False, "tester", "test it"),
        ledger(False, "coder", "mend it"),
        ledger(True, "coder"),
        "the answer",
    )
    team = [agent("coder", "v1", "v2"), agent("tester", "it fails")]
    return MagenticOneGroupChat(team, thinks)


def diamond() -> GraphFlow:
    nodes = [agent(name, f"{name} says") for name in "ABCD"]
    a, b, c, d = nodes
    graph = DiGraphBuilder()
    for node in nodes:
        graph.add_node(node)
    graph.add_edge(a, b).add_edge(a, c).add_edge(b, d).add_edge(c, d)
    return GraphFlow(nodes, graph=graph.build())


def inner_team(**options: Any) -> RoundRobinGroupChat:
    members = [agent("inner1", "i1"), agent("inner2", "i2 DONE")]
    return RoundRobinGroupChat(members, termination_condition=says("DONE"), **options)


def team_in_team() -> RoundRobinGroupChat:
    members = [agent("lead", "go on", "fine END"), inner_team(name="squad")]
    return RoundRobinGroupChat(members, termination_condition=says("END"))


def society() -> RoundRobinGroupChat:
    mind = SocietyOfMindAgent("society", inner_team(), model("in short END"))
    return RoundRobinGroupChat([agent("lead", "think"), mind], termination_condition=says("END"))


def ends_at_the_user() -> Swarm:
    clerk = agent("clerk", calls("transfer_to_user"), handoffs=["user"])
    return Swarm([clerk], termination_condition=HandoffTermination("user"))


def fails() -> RoundRobinGroupChat:
    return RoundRobinGroupChat([agent("a", "A"), agent("b")], max_turns=4)


def asks_the_user() -> RoundRobinGroupChat:
    human = UserProxyAgent("human", input_func=lambda prompt: "APPROVE")
    members = [agent("writer", "draft"), human]
    return RoundRobinGroupChat(members, termination_condition=says("APPROVE"))


def holds_contents() -> bool:
    """Whether this AutoGen writes more of a chat message than its source (0.7.1 does not)."""
    start = GroupChatStart(messages=[TextMessage(content="x", source="user")])
    return '"content":"x"' in start.model_dump_json()


def told(trace: Trace) -> list[tuple[str, ...]]:
    return [m if holds_contents() else m[:2] for m in said(trace)]


def go(build: Callable[[], Any]) -> None:
    try:
        asyncio.run(build().run(task="go"))
    except RuntimeError:
        assert build is fails


def captured(build: Callable[[], Any]) -> Trace:
    with recorded(INSTRUMENTOR) as run:
        go(build)
        return run.trace


def as_autogen_tells_it(build: Callable[[], Any]) -> tuple[Trace, list[int]]:
    with recorded(Nothing()) as run:
        go(build)
        parts = run.traces
    spans = [span for part in parts for span in part.spans]
    groups = [len(group) for group in join_traces(map(facts_of, spans))]
    whole = [msgspec.structs.replace(span, trace_id="f" * 32) for span in spans]
    return derive(whole, load_plugins()), groups


@pytest.mark.parametrize(
    "build",
    [
        writer_and_critic,
        planner_and_worker,
        selected_writer_and_critic,
        orchestrated,
        diamond,
        team_in_team,
        society,
        ends_at_the_user,
        fails,
    ],
)
def test_agents_and_messages_are_the_same(build) -> None:
    ours = captured(build)
    theirs, groups = as_autogen_tells_it(build)

    assert told(theirs) == told(ours)
    assert {a.name for a in theirs.agents} == {a.name for a in ours.agents}
    assert [m.audience for m in theirs.messages] == [m.audience for m in ours.messages]
    assert len(groups) == 1


def test_what_a_user_proxy_asks_is_not_in_them() -> None:
    ours = captured(asks_the_user)
    theirs, _ = as_autogen_tells_it(asks_the_user)

    asked = ("question", "answer")
    untold = [n for n, m in enumerate(said(ours)) if m[2] in asked]
    assert told(theirs) == [m for n, m in enumerate(told(ours)) if n not in untold]
