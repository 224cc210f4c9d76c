"""A LangGraph node runs a crew whose tool runs an AutoGen team: one run, one trace."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest
from autogen_agentchat.teams import RoundRobinGroupChat
from crewai.flow.flow import Flow, listen, start
from crewai.tools import tool
from langgraph.graph import END, START, MessagesState, StateGraph

from agenttrace_autogen.capture import INSTRUMENTOR as AUTOGEN
from agenttrace_crewai.capture import INSTRUMENTOR as CREWAI
from agenttrace_langgraph.capture import LangGraphInstrumentor
from support.autogen_apps import agent as team_agent
from support.autogen_apps import calls, writer_and_critic
from support.crewai_apps import agent, crew, task, use
from support.recorded import Recorded, causes, orphans, recorded, said, tree


@tool
def ask_the_writers(question: str) -> str:
    """Let a team of writers discuss."""
    result = asyncio.run(writer_and_critic().run(task=question))
    return result.messages[-1].to_text()


def desk(state: MessagesState) -> dict:
    editor = agent(
        "Editor", use("ask_the_writers", question="a poem?"), "edited", tools=[ask_the_writers]
    )
    question = state["messages"][-1].content
    answer = crew((editor, task(question, editor)), name="editors").kickoff().raw
    return {"messages": [("ai", answer)]}


def newsroom(node: Callable = desk):
    graph = StateGraph(MessagesState)
    graph.add_node("desk", node)
    graph.add_edge(START, "desk")
    graph.add_edge("desk", END)
    return graph.compile(name="newsroom")


async def desk_async(state: MessagesState) -> dict:
    editor = agent(
        "Editor", use("ask_the_writers", question="a poem?"), "edited", tools=[ask_the_writers]
    )
    question = state["messages"][-1].content
    answer = await crew((editor, task(question, editor)), name="editors").kickoff_async()
    return {"messages": [("ai", answer.raw)]}


def look_up(question: str) -> str:
    """Ask the newsroom."""
    answer = newsroom().invoke({"messages": [("user", question)]})
    return answer["messages"][-1].content


@pytest.fixture
def record() -> Iterator[Recorded]:
    """What all three captures record."""
    with ExitStack() as stack:
        for instrumentor in (CREWAI, AUTOGEN):
            stack.enter_context(recorded(instrumentor))
        yield stack.enter_context(recorded(LangGraphInstrumentor()))


DESK = [
    "invoke_agent desk",
    "  invoke_workflow editors",
    "    task write something",
    "      invoke_agent Editor",
    "        chat scripted-1",
    "        execute_tool ask_the_writers",
    "          invoke_workflow RoundRobinGroupChat",
    *[
        line
        for name in ("writer", "critic", "writer", "critic", "writer")
        for line in (f"            invoke_agent {name}", "              chat")
    ],
    "        chat scripted-1",
]
TALK = [
    ("desk", "Editor", "task", "write something"),
    ("Editor", "writer", "task", "a poem?"),
    ("writer", "critic", "broadcast", "w-msg0"),
    ("critic", "writer", "broadcast", "c0"),
    ("writer", "critic", "broadcast", "w-msg1"),
    ("critic", "writer", "broadcast", "c1"),
    ("writer", "Editor", "result", "w-msg2"),
    ("Editor", "desk", "result", "edited"),
]


@pytest.mark.parametrize("node", [desk, desk_async])
def test_a_node_runs_a_crew_whose_tool_runs_a_team(record: Recorded, node: Callable) -> None:
    request = {"messages": [("user", "write something")]}
    if node is desk:
        newsroom().invoke(request)
    else:
        asyncio.run(newsroom(node).ainvoke(request))
    trace = record.trace

    assert orphans(trace) == []
    assert tree(trace) == ["invoke_workflow newsroom", *(f"  {line}" for line in DESK)]
    assert {a.name: a.framework for a in trace.agents} == {
        "desk": "langgraph",
        "Editor": "crewai",
        "writer": "autogen",
        "critic": "autogen",
    }
    task_and_result = (
        ("user", "desk", "task", "write something"),
        ("desk", "user", "result", "edited"),
    )
    assert said(trace) == [task_and_result[0], *TALK, task_and_result[1]]
    assert causes(trace)[:8] == [(0, None), *((n, n - 1) for n in range(1, 8))]
    calls = [span for span in trace.spans if span.kind == "llm"]
    assert [(c.tokens_in, c.tokens_out) for c in calls if c.agent == "Editor"] == [(7, 3), (7, 3)]


def test_a_team_whose_tool_runs_a_graph_that_runs_a_crew(record: Recorded) -> None:
    chief = team_agent(
        "chief", calls("look_up", question="write something"), "thanks", tools=[look_up]
    )
    asyncio.run(RoundRobinGroupChat([chief], max_turns=1).run(task="go"))
    trace = record.trace

    assert orphans(trace) == []
    assert tree(trace)[:5] == [
        "invoke_workflow RoundRobinGroupChat",
        "  invoke_agent chief",
        "    chat",
        "    execute_tool look_up",
        "      invoke_workflow newsroom",
    ]
    assert tree(trace)[5 : 5 + len(DESK)] == [f"        {line}" for line in DESK]
    talk = said(trace)
    assert talk[:2] == [
        ("user", "chief", "task", "go"),
        ("chief", "desk", "task", "write something"),
    ]
    assert talk[2 : 2 + len(TALK)] == TALK
    assert talk[2 + len(TALK)] == ("desk", "chief", "result", "edited")


@tool("ask_the_newsroom")
def ask_the_newsroom(question: str) -> str:
    """Ask the newsroom."""
    return look_up(question)


def test_tasks_of_a_crew_at_the_same_time_run_graphs_that_run_crews(record: Recorded) -> None:
    names = ("Boss", "Deputy")
    asks = use("ask_the_newsroom", question="write something")
    bosses = [agent(name, asks, f"{name} done", tools=[ask_the_newsroom]) for name in names]
    tasks = [task(f"go, {boss.role}", boss, async_execution=True) for boss in bosses]
    last = agent("Last", "all done")
    ending = (last, task("end", last, context=tasks))
    crew(*zip(bosses, tasks, strict=True), ending, name="outer").kickoff()
    trace = record.trace

    assert orphans(trace) == []
    both = [("desk", "Editor", "task", "write something"), ("Editor", "desk", "result", "edited")]
    expected = [
        *[("user", name, "task", f"go, {name}") for name in names],
        *[(name, "desk", "task", "write something") for name in names],
        *[("desk", name, "result", "edited") for name in names],
        *[(name, "Last", "task", f"{name} done") for name in names],
        ("Last", "user", "result", "all done"),
        *(both * 2),
        *[one for one in TALK if one not in both] * 2,
    ]
    assert sorted(said(trace)) == sorted(expected)


def test_methods_of_a_flow_run_a_graph_and_then_a_team(record: Recorded) -> None:
    class Paper(Flow):
        @start()
        def desk(self) -> str:
            return look_up("write something")

        @listen(desk)
        async def review(self, text: str) -> str:
            result = await writer_and_critic().run(task=text)
            return result.messages[-1].to_text()

    assert Paper().kickoff() == "w-msg2"
    trace = record.trace

    assert orphans(trace) == []
    assert said(trace) == [
        ("user", "desk", "task", "write something"),
        *TALK,
        ("desk", "user", "result", "edited"),
        ("user", "writer", "task", "edited"),
        *TALK[2:6],
        ("writer", "user", "result", "w-msg2"),
    ]
