"""One application of frameworks that have no plugin, recorded by several instrumentations.

The user wants money back for order 17. A triage agent hands over to a refund agent, or asks it as a
tool; that one looks the order up. Read off the dumps, this is what each can and cannot tell:

| | OpenAI Agents, OpenInference 2.6 | the same, OpenLLMetry 0.62 | pydantic-ai 2.68 | smolagents, OpenInference 0.1.43 |
|---|---|---|---|---|
| agents, tools, tokens | yes | yes | yes | yes |
| who hands over | yes | yes | hands nothing over | hands nothing over |
| to whom | yes | no; whose run begins next | | |
| an agent as a tool | its run lies in the tool's | its run lies beside the tool's | in the tool's | in the caller's run |
| what the user asked and got | of the first and last call | of the first and last call | yes | yes |
"""  # noqa: E501 - a table

import pytest

from agenttrace.fragments import facts_of
from agenttrace.joins import join_traces
from agenttrace.models import Scope, Trace
from agenttrace.plugins import load_plugins
from agenttrace.testing import agent, build, llm, span
from support import captures
from support.recorded import said

TASK = "I want my money back for order 17."
HANDOFFS = [
    ("user", "Triage Agent", "task", TASK),
    ("Triage Agent", "Refund Agent", "handoff", ""),
    ("Refund Agent", "Triage Agent", "handoff", ""),
    ("Triage Agent", "user", "result", "All done: order 17 is refunded."),
]


def asks(triage: str, refund: str) -> list[tuple[str, str, str, str]]:
    return [
        ("user", triage, "task", TASK),
        (triage, refund, "task", "refund order 17"),
        (refund, triage, "result", "Order 17 is refunded."),
        (triage, "user", "result", "Final: Order 17 is refunded."),
    ]


DUMPS = {
    "openai-agents-openinference-2.6.0-handoffs": HANDOFFS,
    "openai-agents-traceloop-0.62.4-handoffs": HANDOFFS,
    "openai-agents-openinference-2.6.0-agent-as-tool": asks("Triage Agent", "Refund Agent"),
    "openai-agents-traceloop-0.62.4-agent-as-tool": asks("Triage Agent", "Refund Agent"),
    "pydantic-ai-2.68.0-agent-as-tool": asks("triage", "refund"),
    "smolagents-openinference-0.1.43+openai-agent-as-tool": asks("triage", "refund_agent"),
}


def only(name: str) -> Trace:
    [trace] = captures.traces(name)
    return trace


@pytest.mark.parametrize("name", DUMPS)
def test_a_dump_tells_the_conversation(name: str) -> None:
    assert said(only(name)) == DUMPS[name]


@pytest.mark.parametrize("name", DUMPS)
def test_each_message_is_caused_by_the_one_before(name: str) -> None:
    messages = only(name).messages

    assert [m.caused_by for m in messages] == [None, *(m.message_id for m in messages[:-1])]


@pytest.mark.parametrize("name", DUMPS)
def test_tokens_and_tools_are_those_of_the_agent_that_used_them(name: str) -> None:
    trace = only(name)

    # The first and the fourth call of the model were the triage agent's: 11, 12, 13, 14 tokens.
    triage, refund = trace.agents
    assert [(a.tokens_in, a.tokens_out) for a in (triage, refund)] == [(11 + 14, 6), (12 + 13, 6)]
    assert refund.tools[:1] == ("look_up",)
    assert [name.startswith(str(a.framework)) for a in trace.agents] == [True, True]


@pytest.mark.parametrize("name", DUMPS)
def test_a_dump_is_one_run(name: str) -> None:
    assert len(join_traces(map(facts_of, only(name).spans))) == 1


def test_a_handoff_says_what_its_sender_gave_with_it() -> None:
    call = {"id": "1", "name": "transfer_to_billing", "arguments": {"reason": "a refund"}}
    answer = [{"role": "assistant", "content": "", "tool_calls": [call]}]
    scope = Scope("openinference.instrumentation.openai_agents")
    trace = build(
        agent(
            "triage",
            llm(answer, input="hi"),
            span("handoff to billing", kind="handoff", input="triage", output="billing"),
            scope=scope,
        ),
        agent("billing", scope=scope),
        plugins=load_plugins(),
    )

    assert ("triage", "billing", "handoff", '{"reason":"a refund"}') in said(trace)


def test_a_streamed_answer_is_the_answer() -> None:
    trace = build(
        span(
            "CodeAgent.run",
            attributes={"openinference.span.kind": "AGENT", "agenttrace.kind": None},
            input='{"task": "go", "stream": true}',
            output="ToolCall(name='x')FinalAnswerStep(output='it\\'s done')",
            scope=Scope("openinference.instrumentation.smolagents"),
        )
    )

    assert said(trace) == [
        ("user", "CodeAgent", "task", "go"),
        ("CodeAgent", "user", "result", "it's done"),
    ]
