"""Whole runs of frameworks that have no plugin, as OpenInference or GenAI records them."""

import json
from typing import Any

from agenttrace.models import Scope, Trace
from agenttrace.plugins import load_plugins
from agenttrace.testing import Node, build
from support.logs import joined

OPENAI_AGENTS = Scope("openinference.instrumentation.openai_agents", "1.3")
PYDANTIC_AI = Scope("pydantic-ai", "1.20")
STRANDS = Scope("strands.telemetry.tracer", "1.10")


def oi(name: str, kind: str, *children: Node, scope: Scope = OPENAI_AGENTS, **said: Any) -> Node:
    attributes = {
        "openinference.span.kind": kind,
        **{k.replace("__", "."): v for k, v in said.items()},
    }
    return Node(name, attributes, children, scope=scope)


def genai(name: str, operation: str, *children: Node, scope: Scope, **said: Any) -> Node:
    attributes = {"gen_ai.operation.name": operation}
    return Node(
        name,
        attributes | {f"gen_ai.{k.replace('__', '.')}": v for k, v in said.items()},
        children,
        scope=scope,
    )


def text(role: str, content: str) -> str:
    return json.dumps([{"role": role, "parts": [{"type": "text", "content": content}]}])


def said(trace: Trace) -> list[tuple[str, str, str, str]]:
    return [(m.sender, m.recipient, m.type, m.content) for m in trace.messages]


def response(asked: str, answered: str) -> Node:
    return oi(
        "response",
        "LLM",
        llm__system="openai",
        llm__model_name="gpt-4o",
        llm__input_messages__0__message__role="system",
        llm__input_messages__0__message__content="You help.",
        llm__input_messages__1__message__role="user",
        llm__input_messages__1__message__content=asked,
        llm__output_messages__0__message__role="assistant",
        llm__output_messages__0__message__content=answered,
        llm__token_count__prompt=20,
        llm__token_count__completion=4,
    )


def test_openai_agents_hand_over_and_the_last_one_answers() -> None:
    trace = build(
        oi(
            "Agent workflow",
            "AGENT",
            oi(
                "triage",
                "AGENT",
                response("I want my money back", "I hand you over"),
                oi("handoff to billing", "TOOL", llm__system="openai"),
                llm__system="openai",
                graph__node__id="triage",
            ),
            oi(
                "billing",
                "AGENT",
                response("I want my money back", "Refunded"),
                oi("refund", "TOOL", tool__name="refund", llm__system="openai"),
                llm__system="openai",
                graph__node__id="billing",
                graph__node__parent_id="triage",
            ),
        ),
        plugins=load_plugins(),
    )

    assert [(a.name, a.framework, a.tools) for a in trace.agents] == [
        ("triage", "openai-agents", ()),
        ("billing", "openai-agents", ("refund",)),
    ]
    assert said(trace) == [
        ("user", "triage", "task", "I want my money back"),
        ("triage", "billing", "handoff", ""),
        ("billing", "user", "result", "Refunded"),
    ]
    assert [(a.tokens_in, a.tokens_out) for a in trace.agents] == [(20, 4), (20, 4)]


def test_a_pydantic_ai_agent_asks_another_through_a_tool() -> None:
    conversation = [
        {"role": "user", "parts": [{"type": "text", "content": "plan a trip"}]},
        {"role": "assistant", "parts": [{"type": "text", "content": "go by train"}]},
    ]
    asked = [
        {"role": "user", "parts": [{"type": "text", "content": "trains to Lisbon?"}]},
        {"role": "assistant", "parts": [{"type": "text", "content": "at nine"}]},
    ]

    def run(agent: str, messages: list[Any], *children: Node) -> Node:
        attributes = {
            "gen_ai.agent.name": agent,
            "agent_name": agent,
            "model_name": "gpt-4o",
            "pydantic_ai.all_messages": json.dumps(messages),
            "gen_ai.usage.input_tokens": 999,
        }
        return Node("agent run", attributes, children, scope=PYDANTIC_AI)

    def chat() -> Node:
        return genai("chat gpt-4o", "chat", scope=PYDANTIC_AI, usage__input_tokens=7)

    trace = build(
        run(
            "planner",
            conversation,
            chat(),
            Node(
                "running tool",
                {"gen_ai.tool.name": "find_trains", "tool_arguments": '{"to": "Lisbon"}'},
                (run("train expert", asked, chat()),),
                scope=PYDANTIC_AI,
            ),
            chat(),
        ),
        plugins=load_plugins(),
    )

    assert said(trace) == [
        ("user", "planner", "task", "plan a trip"),
        ("planner", "train expert", "task", "trains to Lisbon?"),
        ("train expert", "planner", "result", "at nine"),
        ("planner", "user", "result", "go by train"),
    ]
    assert {a.name: a.tokens_in for a in trace.agents} == {"planner": 14, "train expert": 7}
    assert trace.agents[0].tools == ("find_trains",)


def test_agents_as_tools_in_the_genai_conventions() -> None:
    trace = build(
        genai(
            "invoke_agent orchestrator",
            "invoke_agent",
            genai(
                "execute_tool researcher",
                "execute_tool",
                genai(
                    "invoke_agent researcher",
                    "invoke_agent",
                    scope=STRANDS,
                    agent__name="researcher",
                    input__messages=text("user", "find facts"),
                    output__messages=text("assistant", "facts"),
                ),
                scope=STRANDS,
                tool__name="researcher",
            ),
            scope=STRANDS,
            agent__name="orchestrator",
            input__messages=text("user", "write"),
            output__messages=text("assistant", "written"),
        ),
        plugins=load_plugins(),
    )

    assert said(trace) == [
        ("user", "orchestrator", "task", "write"),
        ("orchestrator", "researcher", "task", "find facts"),
        ("researcher", "orchestrator", "result", "facts"),
        ("orchestrator", "user", "result", "written"),
    ]
    assert {a.framework for a in trace.agents} == {"strands"}


def test_what_came_as_log_events_is_read_like_attributes() -> None:
    run = genai(
        "invoke_agent helper",
        "invoke_agent",
        genai("chat gpt-4o", "chat", scope=STRANDS, request__model="gpt-4o"),
        scope=STRANDS,
        agent__name="helper",
    )
    trace = joined(
        build(run),
        "chat gpt-4o",
        ("gen_ai.user.message", {"content": "hi"}),
        ("gen_ai.choice", {"index": 0, "message": {"content": "ho"}, "finish_reason": "stop"}),
    )

    assert (trace.spans[1].input, trace.spans[1].output) == ("hi", "ho")
    assert said(trace) == [
        ("user", "helper", "task", "hi"),
        ("helper", "user", "result", "ho"),
    ]
