"""Teams built with LangGraph's own libraries for them, as their documentation builds them."""

from typing import Any

import pytest
from langchain.agents import create_agent
from langgraph_supervisor import create_supervisor
from langgraph_swarm import create_handoff_tool, create_swarm

from support.langgraph_apps import call
from support.langgraph_replays import Calls, Original, repeats_itself, rerun
from support.recorded import Recorded

# langgraph-supervisor still builds on what LangGraph calls deprecated.
pytestmark = pytest.mark.filterwarnings("ignore:create_react_agent")

QUESTION = {"messages": [("user", "how many people, and what is 1 + 2?")]}


@pytest.fixture
def calls() -> Calls:
    return Calls()


def supervised(calls: Calls) -> Any:
    add = calls.tool("add", lambda a, b: str(a + b))
    search = calls.tool("search", lambda q: f"{q}: a million people")
    researcher = create_agent(
        calls.model("researcher", call("search", q="big firms"), "a million people"),
        [search],
        name="research_expert",
    )
    mathematician = create_agent(
        calls.model("mathematician", call("add", a=1, b=2), "the sum is 3"),
        [add],
        name="math_expert",
    )
    boss = calls.model(
        "boss",
        call("transfer_to_research_expert"),
        call("transfer_to_math_expert"),
        "a million people, and 3",
    )
    return create_supervisor([researcher, mathematician], model=boss).compile(name="team")


def swarm(calls: Calls) -> Any:
    alice = create_agent(
        calls.model("alice", call("transfer_to_bob")),
        [create_handoff_tool(agent_name="Bob")],
        name="Alice",
    )
    bob = create_agent(
        calls.model("bob", "Ahoy, I am Bob"), [create_handoff_tool(agent_name="Alice")], name="Bob"
    )
    return create_swarm([alice, bob], default_active_agent="Alice").compile(name="swarm")


def said(original: Original) -> list[tuple[str, str, str]]:
    return [(m.sender, m.recipient, m.type) for m in original.trace.messages]


def test_a_supervisor_hands_over_and_hears_back(run: Recorded, calls: Calls) -> None:
    supervised(calls).invoke(QUESTION)

    original = Original(run.trace)

    assert said(original) == [
        ("user", "supervisor", "task"),
        ("supervisor", "research_expert", "handoff"),
        ("research_expert", "supervisor", "result"),
        ("supervisor", "math_expert", "handoff"),
        ("math_expert", "supervisor", "result"),
        ("supervisor", "user", "result"),
    ]
    assert {m.provenance for m in original.trace.messages} == {"observed"}
    assert original.trace.messages[-1].content == "a million people, and 3"


def test_a_supervised_team_repeats_itself_from_everywhere(run: Recorded, calls: Calls) -> None:
    app = supervised(calls)
    app.invoke(QUESTION)

    assert repeats_itself(run, Original(run.trace), app, calls) == 6


def test_a_supervised_team_goes_on_from_an_edited_message(run: Recorded, calls: Calls) -> None:
    app = supervised(calls)
    app.invoke(QUESTION)
    original = Original(run.trace)
    calls.clear()

    output, _ = rerun(
        original, app, original.before("math_expert"), {"messages/-1/content": "Add it up!"}
    )

    assert output["messages"][-1].content == "a million people, and 3"
    assert calls["researcher"] == calls["search"] == 0
    assert calls["mathematician"] > 0


def test_a_swarm_hands_over(run: Recorded, calls: Calls) -> None:
    app = swarm(calls)
    app.invoke(QUESTION)
    original = Original(run.trace)

    assert said(original) == [
        ("user", "Alice", "task"),
        ("Alice", "Bob", "handoff"),
        ("Bob", "user", "result"),
    ]
    assert repeats_itself(run, original, app, calls) == 3
