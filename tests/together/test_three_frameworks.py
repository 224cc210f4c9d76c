"""A LangGraph node runs a crew whose tool runs an AutoGen team: one run, one trace."""

import asyncio
from contextlib import ExitStack

from crewai.tools import tool
from langgraph.graph import END, START, MessagesState, StateGraph

from agenttrace_autogen.capture import INSTRUMENTOR as AUTOGEN
from agenttrace_crewai.capture import INSTRUMENTOR as CREWAI
from agenttrace_langgraph.capture import LangGraphInstrumentor
from support.autogen_apps import writer_and_critic
from support.crewai_apps import agent, crew, task, use
from support.recorded import orphans, recorded, said


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


def newsroom():
    graph = StateGraph(MessagesState)
    graph.add_node("desk", desk)
    graph.add_edge(START, "desk")
    graph.add_edge("desk", END)
    return graph.compile(name="newsroom")


def test_one_trace_with_the_right_parents_and_messages_across_the_frameworks() -> None:
    with ExitStack() as stack:
        record = stack.enter_context(recorded(LangGraphInstrumentor()))
        stack.enter_context(recorded(CREWAI))
        stack.enter_context(recorded(AUTOGEN))
        newsroom().invoke({"messages": [("user", "write something")]})
        trace = record.trace

    assert orphans(trace) == []
    assert len(trace.roots) == 1
    assert {a.name: a.framework for a in trace.agents} == {
        "desk": "langgraph",
        "Editor": "crewai",
        "writer": "autogen",
        "critic": "autogen",
    }
    talk = [(sender, recipient) for sender, recipient, _, _ in said(trace)]
    assert talk[:3] == [("user", "desk"), ("desk", "Editor"), ("Editor", "writer")]
    assert talk[-2:] == [("Editor", "desk"), ("desk", "user")]
    assert ("writer", "critic") in talk
    assert talk[-3][1] == "Editor"
