"""Who is an agent, and what was said: the rules on their own."""

from typing import Any

import pytest
from langchain_core.messages import AIMessage, HumanMessage, RemoveMessage, ToolMessage

from agenttrace_langgraph.roles import display_names, is_one_agent, path_of, task_of
from agenttrace_langgraph.speech import asked, first_line, said, utterances


@pytest.mark.parametrize(
    ("nodes", "alone", "nested"),
    [
        (["agent", "tools"], True, True),
        (["model", "tools"], True, True),
        (["model"], True, True),
        (["model", "tools", "SummarizationMiddleware.before_model"], True, True),
        (["agent", "tools", "pre_model_hook", "generate_structured_response"], True, True),
        (["chatbot", "tools"], False, True),
        (["llm_call", "tool_node"], False, True),
        (["call_model", "execute_tools"], False, True),
        (["planner", "tools"], False, False),
        (["agent", "critic", "tools"], False, False),
        (["plan", "lookup"], False, False),
        (["summarise"], False, False),
        (["tools"], False, False),
        ([], False, False),
    ],
)
def test_a_graph_of_model_and_tool_nodes_is_one_agent(
    nodes: list[str], alone: bool, nested: bool
) -> None:
    assert is_one_agent(nodes) is alone
    assert is_one_agent(nodes, nested=True) is nested


def test_a_tool_node_is_one_whatever_its_name() -> None:
    assert is_one_agent(["llm", "library"], tools=["library"], nested=True)


def test_of_two_with_one_name_the_outer_keeps_it() -> None:
    names = display_names([("boss",), ("a",), ("a", "boss"), ("b", "boss"), ("b", "c")])

    assert names == {
        ("boss",): "boss",
        ("a",): "a",
        ("a", "boss"): "a/boss",
        ("b", "boss"): "b/boss",
        ("b", "c"): "c",
    }


def test_names_stay_apart_however_deep() -> None:
    names = display_names([("x", "t", "boss"), ("y", "t", "boss")])

    assert set(names.values()) == {"x/t/boss", "y/t/boss"}


def test_a_namespace_tells_path_and_task() -> None:
    assert path_of("team:1-2|1|writer:3-4") == ("team", "writer")
    assert task_of("team:1-2|writer:3-4") == "3-4"
    assert task_of("") == ""
    assert path_of("") == ()


HELLO = HumanMessage("hello", id="1")
LOOK = AIMessage("Let me look", id="2", tool_calls=[{"name": "s", "args": {"q": "x"}, "id": "c"}])
FOUND = ToolMessage("hits", tool_call_id="c", id="3")
ANSWER = AIMessage("It is x", id="4")
BACK = AIMessage(
    "Transferring back",
    id="5",
    tool_calls=[{"name": "transfer_back_to_boss", "args": {}, "id": "b"}],
)
DONE = ToolMessage("Back", tool_call_id="b", name="transfer_back_to_boss", id="6")
SILENT = AIMessage("", id="7", tool_calls=[{"name": "go", "args": {"why": "sums"}, "id": "g"}])
WENT = ToolMessage("Transferred", tool_call_id="g", id="8")


@pytest.mark.parametrize(
    ("update", "before", "expected"),
    [
        ({"messages": [ANSWER]}, {"messages": [HELLO]}, "It is x"),
        ({"messages": ANSWER}, None, "It is x"),
        ({"messages": [HELLO, LOOK, FOUND, ANSWER]}, {"messages": [HELLO]}, "It is x"),
        ({"messages": [HELLO, ANSWER, BACK, DONE]}, {"messages": [HELLO]}, "It is x"),
        ({"messages": [HELLO, LOOK, FOUND]}, {"messages": [HELLO]}, "Let me look"),
        ({"messages": [SILENT, WENT]}, None, "sums"),
        ({"messages": [SILENT]}, None, [{"tool": "go", "args": {"why": "sums"}}]),
        ({"messages": [RemoveMessage("1"), ANSWER]}, None, "It is x"),
        ({"messages": [AIMessage("one"), AIMessage("two")]}, None, "one\n\ntwo"),
        ({"messages": [("ai", "as a tuple")]}, None, "as a tuple"),
        ({"messages": [{"role": "assistant", "content": "as a dict"}]}, None, "as a dict"),
        ({"messages": [AIMessage([{"type": "text", "text": "blocks"}])]}, None, "blocks"),
        ({"draft": "text", "messages": []}, {"draft": ""}, {"draft": "text"}),
        ({"draft": "text", "topic": "same"}, {"topic": "same"}, {"draft": "text"}),
        ({"next": "writer"}, {}, None),
        ({"next": "FINISH"}, {}, None),
        ({"next": "writer", "why": "ready"}, {}, {"why": "ready"}),
        ({"__root__": 5}, None, 5),
        ("just text", None, "just text"),
        ({}, {"a": 1}, None),
        (None, None, None),
    ],
)
def test_what_is_new_was_said(update: Any, before: Any, expected: Any) -> None:
    assert said(update, before, routes=("writer",)) == expected


def test_of_a_whole_state_only_the_last_word_was_said() -> None:
    state = {"messages": [HELLO, AIMessage("plan", id="8"), AIMessage("result", id="9")]}

    assert said(state, {"messages": [HELLO]}, last=True) == "result"


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"messages": [HELLO]}, "hello"),
        ({"messages": [("user", "hi")]}, "hi"),
        ({"topic": "x"}, {"topic": "x"}),
        ([HELLO, ANSWER], "It is x"),
        ("text", "text"),
        (None, None),
        (7, 7),
    ],
)
def test_the_last_message_was_asked(given: Any, expected: Any) -> None:
    assert asked(given) == expected


@pytest.mark.parametrize(
    "message",
    [
        {"type": "ai", "data": {"content": "hi", "id": None}},
        {"lc": 1, "type": "constructor", "id": ["x", "AIMessage"], "kwargs": {"content": "hi"}},
        {"role": "assistant", "content": [{"type": "text", "text": "hi"}]},
        {"type": "ai", "content": "hi"},
    ],
)
def test_messages_are_read_in_every_json_form(message: dict[str, Any]) -> None:
    (found,) = utterances([message]) or ()

    assert (found.role, found.text) == ("assistant", "hi")


def test_other_values_are_no_messages() -> None:
    assert utterances([{"role": "admin", "content": "x"}]) is None
    assert utterances(["a", "b"]) is None
    assert utterances([]) is None


def test_equality_that_refuses_to_be_told_is_a_difference() -> None:
    class Array:
        def __eq__(self, other: object) -> bool:
            raise ValueError("ambiguous")

        __hash__ = None  # type: ignore[assignment]

    value = Array()

    assert said({"a": value}, {"a": Array()}) == {"a": value}


def test_a_role_is_the_first_line_that_says_something() -> None:
    assert first_line("\n  # You are Ada.\nBe brief.") == "You are Ada."
    assert first_line("") is None
    assert first_line(None) is None
