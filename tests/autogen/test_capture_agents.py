"""Single AutoGen agents, agents as tools, people, and what models and tools do in their turns."""

import asyncio
from typing import Any

import pytest
from autogen_agentchat.agents import (
    BaseChatAgent,
    MessageFilterAgent,
    MessageFilterConfig,
    PerSourceFilter,
    UserProxyAgent,
)
from autogen_agentchat.base import Response, TaskResult
from autogen_agentchat.messages import TextMessage
from autogen_agentchat.teams import RoundRobinGroupChat
from autogen_agentchat.tools import AgentTool, TeamTool
from autogen_core import CancellationToken, Image
from autogen_core.models import RequestUsage, SystemMessage, UserMessage
from autogen_core.tools import StaticWorkbench
from autogen_ext.models.replay import ReplayChatCompletionClient

import agenttrace
from agenttrace_autogen.capture import INSTRUMENTOR
from support.autogen_apps import INFO, add, agent, calls, model, says
from support.recorded import causes, orphans, recorded, said, tree


@pytest.fixture
def run():
    with recorded(INSTRUMENTOR) as record:
        yield record
        assert INSTRUMENTOR.sizes() == {}


async def test_an_agent_alone_is_asked_and_answers(run) -> None:
    await agent("solo", "42", system_message="You know numbers.").run(task="6 x 7?")

    trace = run.trace
    assert said(trace) == [("user", "solo", "task", "6 x 7?"), ("solo", "user", "result", "42")]
    assert causes(trace) == [(0, None), (1, 0)]
    assert tree(trace) == ["invoke_agent solo", "  chat"]
    assert (trace.agents[0].role, trace.agents[0].framework) == ("You know numbers.", "autogen")
    assert (trace.spans[0].input, trace.spans[0].output) == ("6 x 7?", "42")


async def test_streaming_an_agent_alone_records_the_same(run) -> None:
    got = [m async for m in agent("solo", "42").run_stream(task="6 x 7?")]

    assert isinstance(got[-1], TaskResult)
    assert said(run.trace) == [("user", "solo", "task", "6 x 7?"), ("solo", "user", "result", "42")]
    assert tree(run.trace) == ["invoke_agent solo", "  chat"]


async def test_messages_between_agents_that_code_calls_by_hand(run) -> None:
    first, second = agent("first", "one"), agent("second", "two")
    token = CancellationToken()

    answer = await first.on_messages([TextMessage(content="go", source="user")], token)
    await second.on_messages([answer.chat_message], token)

    assert said(run.traces[0]) == [
        ("user", "first", "task", "go"),
        ("first", "user", "result", "one"),
    ]
    assert said(run.traces[1]) == [
        ("first", "second", "task", "one"),
        ("second", "first", "result", "two"),
    ]


async def test_an_agent_used_as_a_tool_is_asked_by_the_one_that_uses_it(run) -> None:
    helper = agent("helper", "helped")
    boss = agent("boss", calls("helper", task="help me"), "done", tools=[AgentTool(helper)])

    await boss.run(task="go")

    trace = run.trace
    assert [m[:3] for m in said(trace)] == [
        ("user", "boss", "task"),
        ("boss", "helper", "task"),
        ("helper", "boss", "result"),
        ("boss", "user", "result"),
    ]
    assert said(trace)[1][3] == "help me"
    assert causes(trace) == [(0, None), (1, 0), (2, 1), (3, 2)]
    assert tree(trace) == [
        "invoke_agent boss",
        "  chat",
        "  execute_tool helper",
        "    invoke_agent helper",
        "      chat",
    ]


async def test_a_team_used_as_a_tool_answers_the_one_that_uses_it(run) -> None:
    team = RoundRobinGroupChat(
        [agent("a", "A"), agent("b", "B DONE")], termination_condition=says("DONE"), name="squad"
    )
    tool = TeamTool(team, name="ask_squad", description="asks", return_value_as_last_message=True)
    boss = agent("boss", calls("ask_squad", task="think"), tools=[tool])

    await boss.run(task="go")

    assert said(run.trace) == [
        ("user", "boss", "task", "go"),
        ("boss", "a", "task", "think"),
        ("a", "b", "broadcast", "A"),
        ("b", "boss", "result", "B DONE"),
        ("boss", "user", "result", "B DONE"),
    ]
    assert tree(run.trace)[2:4] == ["  execute_tool ask_squad", "    invoke_workflow squad"]


async def test_a_user_proxy_asks_the_user_and_gets_an_answer(run) -> None:
    human = UserProxyAgent("human", input_func=lambda prompt: "APPROVE")
    team = RoundRobinGroupChat(
        [agent("writer", "draft"), human], termination_condition=says("APPROVE")
    )

    await team.run(task="go")

    assert said(run.trace) == [
        ("user", "writer", "task", "go"),
        ("writer", "human", "broadcast", "draft"),
        ("human", "user", "question", "Enter your response: "),
        ("user", "human", "answer", "APPROVE"),
        ("human", "user", "result", "APPROVE"),
    ]
    assert causes(run.trace) == [(0, None), (1, 0), (2, 1), (3, 2), (4, 3)]


async def test_a_filter_around_an_agent_of_the_same_name_is_that_agent(run) -> None:
    config = MessageFilterConfig(per_source=[PerSourceFilter(source="user", position="last")])
    wrapped = MessageFilterAgent("b", agent("b", "B"), config)
    team = RoundRobinGroupChat([agent("a", "A"), wrapped], max_turns=2)

    await team.run(task="go")

    assert tree(run.trace)[3:] == ["  invoke_agent b", "    chat"]
    assert said(run.trace)[-1] == ("b", "user", "result", "B")


async def test_an_agent_class_of_the_app_is_an_agent(run) -> None:
    class Echo(BaseChatAgent):
        produced_message_types = (TextMessage,)

        async def on_messages(self, messages, cancellation_token) -> Response:
            text = messages[-1].content.upper()
            return Response(chat_message=TextMessage(content=text, source=self.name))

        async def on_reset(self, cancellation_token) -> None:
            """Nothing to forget."""

    echo = Echo("echo", "says it louder")

    await RoundRobinGroupChat([echo], max_turns=1).run(task="hi")
    await echo.run(task="ho")

    in_team, alone = run.traces
    assert said(in_team)[-1] == ("echo", "user", "result", "HI")
    assert said(alone) == [("user", "echo", "task", "ho"), ("echo", "user", "result", "HO")]
    assert tree(alone) == ["invoke_agent echo"]
    assert alone.agents[0].role == "says it louder"


async def test_a_streaming_model_call_is_one_span_with_the_whole_answer(run) -> None:
    await agent("solo", "one two three", model_client_stream=True).run(task="count")

    [call] = [span for span in run.trace.spans if span.kind == "llm"]
    assert (call.output, call.tokens_in, call.tokens_out) == ("one two three", 21, 3)


async def test_model_calls_keep_what_went_in_and_came_out(run) -> None:
    class Named(ReplayChatCompletionClient):
        _create_args = {"model": "tiny-1"}

    client = Named(["fine"], model_info=INFO)
    picture = Image.from_base64(
        "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
    )
    asked = [
        SystemMessage(content="Be brief."),
        UserMessage(content=["look", picture], source="eye"),
    ]

    await client.create(asked)

    [call] = run.trace.spans
    assert (call.name, call.model, call.kind) == ("chat tiny-1", "tiny-1", "llm")
    assert "Be brief." in call.input
    assert "[image" in call.input
    assert "iVBOR" not in call.input
    assert call.output == "fine"
    assert call.attributes["gen_ai.response.finish_reasons"] == ["stop"]


async def test_a_client_behind_a_client_is_one_model_call(run) -> None:
    class Cache(ReplayChatCompletionClient):
        """Stands for the caches and adapters of autogen_ext."""

        def __init__(self, inner: Any) -> None:
            super().__init__([], model_info=INFO)
            self.inner = inner

        async def create(self, messages, **options):
            return await self.inner.create(messages, **options)

    class Real(ReplayChatCompletionClient):
        _create_args = {"model": "tiny-1"}

    await Cache(Real(["fine"], model_info=INFO)).create([UserMessage(content="q", source="u")])

    [call] = run.trace.spans
    assert (call.name, call.model, call.tokens_out) == ("chat tiny-1", "tiny-1", 1)


async def test_usage_a_client_does_not_know_is_not_recorded_as_zero(run) -> None:
    class Unknowing(ReplayChatCompletionClient):
        async def create(self, messages, **options):
            result = await super().create(messages, **options)
            result.usage = RequestUsage(prompt_tokens=0, completion_tokens=0)
            return result

    await Unknowing(["x"], model_info=INFO).create([UserMessage(content="q", source="u")])

    [call] = run.trace.spans
    assert (call.tokens_in, call.tokens_out) == (None, None)


async def test_a_failing_tool_is_an_error_of_the_tool_alone(run) -> None:
    def broken() -> str:
        """always fails"""
        raise OSError("disk full")

    await agent("solo", calls("broken"), tools=[broken]).run(task="go")

    trace = run.trace
    assert {s.name: s.error for s in trace.spans if s.error} == {
        "execute_tool broken": "OSError: disk full"
    }
    assert said(trace)[-1] == ("solo", "user", "result", "disk full")


async def test_a_tool_the_agent_does_not_have_and_arguments_that_are_no_json(run) -> None:
    nonsense = calls("add")
    nonsense.content[0].arguments = "{a: 1"

    await agent("solo", calls("fly"), tools=[add]).run(task="go")
    await agent("solo", nonsense, tools=[add]).run(task="go")

    errors = [s.error for trace in run.traces for s in trace.spans if s.kind == "tool"]
    assert len(errors) == 2
    assert all(errors)


async def test_a_workbench_used_directly_is_a_tool_call(run) -> None:
    from autogen_core.tools import FunctionTool

    bench = StaticWorkbench([FunctionTool(add, description="adds")])

    result = await bench.call_tool("add", {"a": 1, "b": 2})

    [call] = run.trace.spans
    assert result.to_text() == "3"
    assert (call.name, call.input, call.output) == ("execute_tool add", '{"a":1,"b":2}', "3")
    assert call.attributes["gen_ai.tool.description"] == "adds"


async def test_code_that_is_executed_is_a_tool_call(run, tmp_path) -> None:
    from autogen_agentchat.agents import CodeExecutorAgent
    from autogen_ext.code_executors.local import LocalCommandLineCodeExecutor

    runner = CodeExecutorAgent("runner", LocalCommandLineCodeExecutor(work_dir=tmp_path))

    await runner.run(task="```sh\necho hello\n```")
    await runner.run(task="```sh\nexit 3\n```")

    works, fails = run.traces
    assert tree(works) == ["invoke_agent runner", "  execute_tool execute_code"]
    assert "echo hello" in works.spans[1].input
    assert works.spans[1].output.strip() == "hello"
    assert fails.spans[1].error


async def test_tool_loops_and_reflection_are_model_calls_of_the_same_turn(run) -> None:
    solo = agent(
        "solo",
        calls("add", a=1, b=2),
        calls("add", "2", a=3, b=4),
        "7",
        tools=[add],
        max_tool_iterations=2,
        reflect_on_tool_use=True,
    )

    await solo.run(task="go")

    assert tree(run.trace) == [
        "invoke_agent solo",
        "  chat",
        "  execute_tool add",
        "  chat",
        "  execute_tool add",
        "  chat",
    ]
    assert said(run.trace)[-1] == ("solo", "user", "result", "7")


async def test_a_span_of_the_users_own_inside_a_tool_lies_under_the_tool(run) -> None:
    from opentelemetry import trace as otel

    async def fetch() -> str:
        """fetches"""
        with otel.get_tracer("app").start_as_current_span("GET /"):
            await asyncio.sleep(0)
        return "page"

    await agent("solo", calls("fetch"), tools=[fetch]).run(task="go")

    assert tree(run.trace)[2:] == ["  execute_tool fetch", "    GET /"]


async def test_a_run_inside_a_users_span_joins_that_trace(run) -> None:
    from opentelemetry import trace as otel

    with otel.get_tracer("app").start_as_current_span("POST /ask"):
        await RoundRobinGroupChat([agent("a", "A")], max_turns=1).run(task="go")
        await agent("solo", "42").run(task="and?")

    assert tree(run.trace) == [
        "POST /ask",
        "  invoke_workflow RoundRobinGroupChat",
        "    invoke_agent a",
        "      chat",
        "  invoke_agent solo",
        "    chat",
    ]
    assert orphans(run.trace) == []


def test_what_a_tool_does_in_a_thread_belongs_to_the_tool() -> None:
    """AutoGen runs plain functions in threads, which start without a context."""
    from agenttrace.testing import InMemoryExporter

    def ask_colleague() -> str:
        """asks somebody else"""
        return asyncio.run(agent("colleague", "yes").run(task="ok?")).messages[-1].content

    exporter = InMemoryExporter()
    agenttrace.instrument(exporter=exporter, frameworks="autogen")
    try:
        asyncio.run(agent("solo", calls("ask_colleague"), tools=[ask_colleague]).run(task="go"))
    finally:
        agenttrace.uninstrument()

    [trace] = exporter.traces()
    assert tree(trace)[2:4] == ["  execute_tool ask_colleague", "    invoke_agent colleague"]
    assert said(trace)[1:3] == [
        ("solo", "colleague", "task", "ok?"),
        ("colleague", "solo", "result", "yes"),
    ]


async def test_an_agent_of_another_framework_is_the_caller(run) -> None:
    from opentelemetry import context

    from agenttrace import semconv

    token = context.attach(context.set_value(semconv.CONTEXT_AGENT, "graph_node"))
    try:
        await RoundRobinGroupChat([agent("a", "A")], max_turns=1).run(task="go")
    finally:
        context.detach(token)

    assert said(run.trace) == [
        ("graph_node", "a", "task", "go"),
        ("a", "graph_node", "result", "A"),
    ]


async def test_a_model_used_alone_is_a_trace_of_one_call(run) -> None:
    await model("hello").create([UserMessage(content="hi", source="user")])

    assert tree(run.trace) == ["chat"]
