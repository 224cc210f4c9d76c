"""The state before every super-step is recorded, and a run can be continued from it."""

import json
import math
import operator
from collections import deque
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from enum import Enum
from typing import Annotated, Any, TypedDict
from uuid import UUID

import pytest
from langchain_core.messages import AIMessage, HumanMessage
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import START, MessagesState, StateGraph
from langgraph.types import Command, Overwrite, Send
from pydantic import BaseModel

from agenttrace.messages import find_checkpoints
from agenttrace.models import Checkpoint, Trace
from agenttrace_langgraph import state
from support.langgraph_apps import team
from support.recorded import Recorded


class Steps(TypedDict):
    done: Annotated[list[str], operator.add]


def three_steps(checkpointer: Any = None, ran: list[str] | None = None) -> Any:
    def step(name: str) -> Any:
        def work(state: Steps) -> dict[str, Any]:
            if ran is not None:
                ran.append(name)
            return {"done": [f"{name} after {len(state['done'])}"]}

        return work

    graph = StateGraph(Steps)
    for name in ("one", "two", "three"):
        graph.add_node(name, step(name))
    graph.add_edge(START, "one")
    graph.add_edge("one", "two")
    graph.add_edge("two", "three")
    return graph.compile(checkpointer=checkpointer)


def recorded(trace: Trace) -> list[Checkpoint]:
    return list(find_checkpoints(trace))


def state_of(checkpoint: Checkpoint) -> dict[str, Any]:
    return state.load(checkpoint.state)


def restored(app: Any, checkpoint: Checkpoint) -> Any:
    """Put a recorded checkpoint into an empty saver, as a replay does, and return the app on it."""
    saver = InMemorySaver()
    found = state_of(checkpoint)
    config = {"configurable": {"thread_id": "replay", "checkpoint_ns": ""}}
    metadata = json.loads(checkpoint.config or "{}")["metadata"]
    saver.put(config, found, metadata, found["channel_versions"])
    app.checkpointer = saver
    return app


@pytest.mark.parametrize("durability", ["sync", "async", "exit", None])
def test_every_super_step_is_recorded_as_langgraph_keeps_it(run: Recorded, durability: Any) -> None:
    saver = InMemorySaver()
    app = three_steps(saver)
    thread = {"configurable": {"thread_id": "t"}}
    app.invoke({"done": []}, thread, durability=durability)

    found = recorded(run.trace)
    assert [c.label for c in found] == [
        "start",
        "before one",
        "before two",
        "before three",
        "end",
    ]
    kept = list(app.get_state_history(thread))[::-1]
    by_id = {c.checkpoint_id: c for c in found}
    assert len(kept) == (1 if durability == "exit" else 5)
    for snapshot in kept:
        checkpoint = by_id[snapshot.config["configurable"]["checkpoint_id"]]
        about = json.loads(checkpoint.config or "{}")
        assert about["configurable"]["thread_id"] == "t"
        assert tuple(about["next"]) == snapshot.next
        assert [task["id"] for task in about["tasks"]] == [task.id for task in snapshot.tasks]
        assert about["metadata"]["step"] == snapshot.metadata["step"]
        ours, theirs = state_of(checkpoint), saver.get_tuple(snapshot.config).checkpoint
        assert {**ours, "ts": None} == {**theirs, "ts": None}


def test_the_spans_of_a_step_name_the_checkpoint_they_started_from(run: Recorded) -> None:
    three_steps().invoke({"done": []})

    by_task = {
        task["id"]: c.checkpoint_id
        for c in recorded(run.trace)
        for task in json.loads(c.config or "{}")["tasks"]
    }
    nodes = [s for s in run.trace.spans if s.kind == "agent"]
    assert len(nodes) == 3
    for node in nodes:
        started_from = node.attributes["agenttrace.langgraph.checkpoint_id"]
        assert by_task[node.attributes["agenttrace.langgraph.task_id"]] == started_from


def test_a_run_without_a_checkpointer_continues_from_its_record(run: Recorded) -> None:
    three_steps().invoke({"done": []})
    before_two = next(c for c in recorded(run.trace) if c.label == "before two")
    ran: list[str] = []

    app = restored(three_steps(ran=ran), before_two)
    result = app.invoke(None, {"configurable": {"thread_id": "replay"}})

    assert before_two.resumable
    assert ran == ["two", "three"]
    assert result == {"done": ["one after 0", "two after 1", "three after 2"]}


def test_a_run_continues_with_the_state_changed(run: Recorded) -> None:
    three_steps().invoke({"done": []})
    before_three = next(c for c in recorded(run.trace) if c.label == "before three")
    ran: list[str] = []

    app = restored(three_steps(ran=ran), before_three)
    edit = Command(update={"done": Overwrite(["edited"])}, goto=["three"])
    result = app.invoke(
        edit,
        {"configurable": {"thread_id": "replay", "checkpoint_id": before_three.checkpoint_id}},
    )

    assert ran == ["three"]
    assert result == {"done": ["edited", "three after 1"]}


def test_what_was_sent_is_in_the_record_and_runs_again(run: Recorded) -> None:
    def build(ran: list[Any]) -> Any:
        def work(packet: dict[str, Any]) -> dict[str, Any]:
            ran.append(packet["part"])
            return {"done": [packet["part"]]}

        graph = StateGraph(Steps)
        graph.add_node("split", lambda s: {})
        graph.add_node("work", work)
        graph.add_edge(START, "split")
        graph.add_conditional_edges(
            "split", lambda s: [Send("work", {"part": p}) for p in "ab"], ["work"]
        )
        return graph.compile()

    build([]).invoke({"done": []})
    waiting = next(c for c in recorded(run.trace) if c.label == "before work")
    ran: list[Any] = []

    restored(build(ran), waiting).invoke(None, {"configurable": {"thread_id": "replay"}})

    assert sorted(json.loads(waiting.input or "{}").values(), key=str) == [
        {"part": "a"},
        {"part": "b"},
    ]
    assert sorted(ran) == ["a", "b"]


def test_messages_come_back_as_messages(run: Recorded) -> None:
    def answer(state: MessagesState) -> dict[str, Any]:
        return {"messages": [AIMessage("hello", name="greeter")]}

    graph = StateGraph(MessagesState).add_node("greeter", answer).add_edge(START, "greeter")
    graph.compile().invoke({"messages": [("user", "hi")]})

    (end,) = (c for c in recorded(run.trace) if c.label == "end")
    kept = state_of(end)["channel_values"]["messages"]
    assert [(type(m).__name__, m.content) for m in kept] == [
        ("HumanMessage", "hi"),
        ("AIMessage", "hello"),
    ]


def test_what_cannot_be_continued_says_why(run: Recorded) -> None:
    team().invoke({"topic": "ai"})

    found = recorded(run.trace)
    inside = next(c for c in found if c.label == "researcher: before plan")
    outside = next(c for c in found if c.label == "before researcher")
    end = next(c for c in found if c.label == "end")
    assert outside.resumable
    assert not inside.resumable
    assert outside.checkpoint_id in (inside.why_not or "")
    assert "nothing is left to run" in (end.why_not or "")


def test_state_that_cannot_be_serialised_says_so(run: Recorded) -> None:
    class Odd(TypedDict):
        connection: Any

    graph = StateGraph(Odd)
    graph.add_node("open", lambda s: {"connection": (n for n in "x")})
    graph.add_node("use", lambda s: {})
    graph.add_edge(START, "open")
    graph.add_edge("open", "use")
    graph.compile().invoke({"connection": None})

    before_use = next(c for c in recorded(run.trace) if c.label == "before use")
    assert not before_use.resumable
    assert "could not be serialised" in (before_use.why_not or "")


def test_state_changed_in_place_later_is_recorded_as_it_was(run: Recorded) -> None:
    class Log(TypedDict):
        lines: list[str]

    def append(state: Log) -> dict[str, Any]:
        state["lines"].append("more")
        return {"lines": state["lines"]}

    graph = StateGraph(Log).add_node("one", append).add_node("two", append)
    graph.add_edge(START, "one").add_edge("one", "two").compile().invoke({"lines": ["first"]})

    found = {c.label: state_of(c)["channel_values"]["lines"] for c in recorded(run.trace)[1:]}
    assert found["before one"] == ["first"]
    assert found["before two"] == ["first", "more"]


def test_an_interrupted_run_can_go_back_to_before_the_question(run: Recorded) -> None:
    app = team(approve=True, checkpointer=InMemorySaver())
    app.invoke({"topic": "ai"}, {"configurable": {"thread_id": "t", "user": "ada"}})

    last = recorded(run.trace)[-1]
    about = json.loads(last.config or "{}")
    assert (last.label, last.resumable) == ("before writer", True)
    assert about["context"] == {"user": "ada"}
    assert about["checkpointer"] is True


class Colour(Enum):
    red = "r"


@dataclass
class Point:
    x: int


class Note(BaseModel):
    text: str
    when: datetime


@pytest.mark.parametrize(
    "value",
    [
        b"\x00\xff",
        float("inf"),
        {1: "one", 2.5: "two"},
        {"a", "b"},
        deque([1, 2]),
        Decimal("1.5"),
        UUID(int=7),
        timedelta(seconds=3),
        Colour.red,
        Point(3),
        Note(text="n", when=datetime(2026, 1, 2, tzinfo=UTC)),
        [AIMessage("hi", id="1", tool_calls=[{"name": "t", "args": {"a": 1}, "id": "c"}])],
        Send("node", {"arg": HumanMessage("x", id="2")}),
        {"$map": "not ours", "$ext": "neither"},
        2**63,
        "text with 😀 and \u0000",
    ],
    ids=lambda value: type(value).__name__,
)
def test_state_comes_back_as_it_was(value: Any) -> None:
    checkpoint = {"channel_values": {"value": value}}

    assert state.load(state.dump(checkpoint)) == checkpoint


def test_state_is_readable() -> None:
    text = state.dump({"channel_values": {"messages": [HumanMessage("find me", id="1")]}})

    (message,) = json.loads(text)["checkpoint"]["channel_values"]["messages"]
    assert message["value"][1] == "HumanMessage"
    assert message["value"][2]["content"] == "find me"


def test_not_a_number_stays_not_a_number() -> None:
    assert math.isnan(state.load(state.dump({"x": float("nan")}))["x"])


@pytest.mark.parametrize("text", ["", "{}", "[1]", '{"format":"other"}', "text"])
def test_other_text_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="Not a recorded LangGraph checkpoint"):
        state.load(text)
