"""LangChain's agents with middleware run again from each of their checkpoints."""

from collections.abc import Callable
from typing import Any

import pytest
from langchain.agents import create_agent
from langchain.agents.middleware import (
    HumanInTheLoopMiddleware,
    ModelCallLimitMiddleware,
    TodoListMiddleware,
)
from langchain_core.messages import ToolMessage
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.types import Command

from support.langgraph_apps import call
from support.langgraph_replays import Calls, Original, repeats_itself, rerun
from support.recorded import Recorded


@pytest.fixture
def calls() -> Calls:
    return Calls()


def ran(run: Recorded, app: Any, given: Any, *args: Any) -> Original:
    run.clear()
    app.invoke(given, *args)
    return Original(run.trace)


def agent(calls: Calls, tool: str, does: Callable[..., str], given: dict, **settings: Any) -> Any:
    """An agent that calls its tool once, and then says what came of it."""

    def think(messages: Any) -> Any:
        called = any(isinstance(message, ToolMessage) for message in messages)
        return f"so: {messages[-1].content}" if called else call(tool, **given)

    return create_agent(calls.thinking("model", think), [calls.tool(tool, does)], **settings)


def test_an_agent_with_middleware_that_counts_its_calls(run: Recorded, calls: Calls) -> None:
    middleware = [TodoListMiddleware(), ModelCallLimitMiddleware(run_limit=5)]
    app = agent(calls, "search", lambda q: f"found {q}", {"q": "tides"}, middleware=middleware)
    original = ran(run, app, {"messages": [("user", "tides?")]})

    assert repeats_itself(run, original, app, calls) == len(original.checkpoints) - 1
    before = [c for c in original.checkpoints if c.label == "before model"][1]
    output, _ = rerun(original, app, before, {"messages/-1/content": "nothing"})
    assert output["messages"][-1].content == "so: nothing"


def test_an_agent_that_asks_before_a_tool_runs(run: Recorded, calls: Calls) -> None:
    app = agent(
        calls,
        "send_mail",
        lambda to: f"mailed {to}",
        {"to": "bob"},
        middleware=[HumanInTheLoopMiddleware(interrupt_on={"send_mail": True})],
        checkpointer=InMemorySaver(),
    )
    thread = {"configurable": {"thread_id": "1"}}
    asked = ran(run, app, {"messages": [("user", "mail bob")]}, thread)
    assert repeats_itself(run, asked, app, calls) == 3

    answered = ran(run, app, Command(resume={"decisions": [{"type": "approve"}]}), thread)
    assert repeats_itself(run, answered, app, calls) == 4
