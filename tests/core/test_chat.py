from typing import Any

import pytest

from agenttrace import chat

HI = [{"role": "user", "content": "hi"}]


@pytest.mark.parametrize(
    "written",
    [
        [{"role": "user", "parts": [{"type": "text", "content": "hi"}]}],
        [{"role": "user", "content": "hi"}],
        [{"role": "user", "content": [{"type": "text", "text": "hi"}]}],
        [{"role": "user", "content": [{"type": "input_text", "text": "hi"}]}],
        [{"role": "user", "content": [{"text": "hi"}]}],
        [{"role": "user", "parts": [{"text": "hi"}]}],
        [{"role": "human", "content": "hi"}],
        [{"type": "human", "content": "hi"}],
        [{"type": "human", "data": {"content": "hi", "type": "human"}}],
        [
            {
                "lc": 1,
                "type": "constructor",
                "id": ["x", "HumanMessage"],
                "kwargs": {"content": "hi"},
            }
        ],
        [[{"type": "constructor", "id": ["HumanMessage"], "kwargs": {"content": "hi"}}]],
        [{"type": "UserMessage", "content": "hi"}],
        [{"event.name": "gen_ai.user.message", "content": "hi"}],
        [{"message": {"role": "user", "content": "hi"}}],
        {"messages": [{"role": "user", "content": "hi"}], "model": "m"},
        {"role": "user", "content": "hi"},
        '[{"role": "user", "content": "hi"}]',
    ],
)
def test_one_message_in_many_spellings(written: Any) -> None:
    assert chat.read(written) == HI


@pytest.mark.parametrize(
    "written",
    [
        {
            "role": "assistant",
            "parts": [{"type": "tool_call", "id": "c1", "name": "f", "arguments": {"x": 1}}],
        },
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [
                {"id": "c1", "type": "function", "function": {"name": "f", "arguments": '{"x": 1}'}}
            ],
        },
        {
            "role": "assistant",
            "content": [{"type": "tool_use", "id": "c1", "name": "f", "input": {"x": 1}}],
        },
        {
            "role": "assistant",
            "content": [{"toolUse": {"toolUseId": "c1", "name": "f", "input": {"x": 1}}}],
        },
        {
            "role": "assistant",
            "content": "",
            "tool_calls": [{"id": "c1", "name": "f", "args": {"x": 1}, "type": "tool_call"}],
        },
        {"type": "function_call", "call_id": "c1", "name": "f", "arguments": '{"x": 1}'},
        {
            "type": "AssistantMessage",
            "content": [{"id": "c1", "name": "f", "arguments": '{"x": 1}'}],
        },
    ],
    ids=["otel", "openai", "anthropic", "bedrock", "langchain", "responses", "autogen"],
)
def test_one_tool_call_in_many_spellings(written: Any) -> None:
    [message] = chat.read([written])

    assert message["role"] == "assistant"
    assert message["content"] == ""
    assert message["tool_calls"] == [{"id": "c1", "name": "f", "arguments": {"x": 1}}]


@pytest.mark.parametrize(
    "written",
    [
        {"role": "tool", "parts": [{"type": "tool_call_response", "id": "c1", "response": "3"}]},
        {"role": "tool", "content": "3", "tool_call_id": "c1"},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "c1", "content": "3"}]},
        {
            "role": "user",
            "content": [
                {
                    "type": "tool_result",
                    "tool_use_id": "c1",
                    "content": [{"type": "text", "text": "3"}],
                }
            ],
        },
        {"type": "function_call_output", "call_id": "c1", "output": "3"},
        {"type": "tool", "data": {"content": "3", "tool_call_id": "c1", "name": "f"}},
        {
            "type": "FunctionExecutionResultMessage",
            "content": [{"content": "3", "name": "f", "call_id": "c1", "is_error": False}],
        },
    ],
    ids=["otel", "openai", "anthropic", "anthropic parts", "responses", "langchain", "autogen"],
)
def test_one_tool_result_in_many_spellings(written: Any) -> None:
    assert chat.read([written]) == [{"role": "tool", "content": "3", "tool_call_id": "c1"}]


def test_reasoning_is_kept_apart_from_what_was_said() -> None:
    parts = [{"type": "reasoning", "content": "hm"}, {"type": "text", "content": "yes"}]

    [message] = chat.read([{"role": "assistant", "parts": parts}])

    assert (message["reasoning"], message["content"]) == ("hm", "yes")
    assert chat.read([message]) == [message]


def test_what_is_no_text_is_named_but_not_copied() -> None:
    content = [
        {"type": "text", "text": "look:"},
        {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}},
        {"type": "blob", "modality": "audio", "content": "AAAA"},
    ]

    [message] = chat.read([{"role": "user", "content": content}])

    expected = "look:\n[image_url: https://example.com/a.png]\n[image_url]\n[audio]"
    assert message["content"] == expected


def test_langchain_generations_and_openai_responses_are_looked_into() -> None:
    answer = {"type": "constructor", "id": ["AIMessage"], "kwargs": {"content": "ho"}}
    generations = {"generations": [[{"text": "ho", "type": "ChatGeneration", "message": answer}]]}
    output = [
        {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "ho"}]}
    ]

    assert chat.read(generations) == [{"role": "assistant", "content": "ho"}]
    assert chat.read({"id": "r", "output": output}) == [{"role": "assistant", "content": "ho"}]


def test_geminis_requests_and_responses_are_looked_into() -> None:
    turn = {"role": "model", "parts": [{"text": "ho"}]}
    said = [{"role": "assistant", "content": "ho"}]

    assert chat.read({"model": "m", "config": {}, "contents": [turn]}) == said
    assert chat.read({"content": turn, "finish_reason": "STOP"}) == said
    assert chat.read({"candidates": [{"content": turn}]}) == said


@pytest.mark.parametrize(
    "nothing", [None, "", "text", 5, [], [1, "a"], {"a": 1}, "[" * 9999, [[[[]]]]]
)
def test_what_holds_no_messages_gives_none(nothing: Any) -> None:
    assert chat.read(nothing) == []


def test_flattened_messages_come_in_the_order_of_their_numbers() -> None:
    attributes = {f"p.{n}.content": str(n) for n in (10, 2, 1)} | {
        f"p.{n}.role": "user" for n in (10, 2, 1)
    }

    assert [m["content"] for m in chat.from_flattened(attributes, "p")] == ["1", "2", "10"]


def test_one_plain_message_is_shown_as_its_text_and_more_as_json() -> None:
    assert chat.render(HI) == "hi"
    assert (
        chat.render([*HI, *HI]) == '[{"role":"user","content":"hi"},{"role":"user","content":"hi"}]'
    )
    assert chat.render([]) is None
