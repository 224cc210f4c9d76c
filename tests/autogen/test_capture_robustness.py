"""What capturing AutoGen must never do: change a result, leak, mix runs up, leave patches."""

import asyncio
import gc
import logging
import sys

import pytest
from autogen_agentchat import agents, teams
from autogen_agentchat.agents import AssistantAgent
from autogen_agentchat.teams import RoundRobinGroupChat
from autogen_core import BaseAgent, CancellationToken, SingleThreadedAgentRuntime
from autogen_core._telemetry import TraceHelper
from autogen_core.models import ChatCompletionClient, UserMessage
from autogen_core.tools import BaseTool, Workbench
from autogen_ext.models.replay import ReplayChatCompletionClient
from opentelemetry import trace as otel
from opentelemetry.sdk.trace import SpanProcessor

import agenttrace
from agenttrace.testing import InMemoryExporter
from agenttrace_autogen.capture import INSTRUMENTOR
from support.autogen_apps import (
    INFO,
    agent,
    model,
    planner_and_worker,
    says,
    selected_writer_and_critic,
    shape,
    writer_and_critic,
)
from support.recorded import orphans, recorded, said, tree


@pytest.fixture
def run():
    with recorded(INSTRUMENTOR) as record:
        yield record
        assert INSTRUMENTOR.sizes() == {}


class Stuck(ReplayChatCompletionClient):
    """Says that it was asked, and never answers."""

    def __init__(self) -> None:
        super().__init__([], model_info=INFO)
        self.asked = asyncio.Event()

    async def create(self, messages, cancellation_token=None, **options):
        self.asked.set()
        waiting = asyncio.ensure_future(asyncio.Event().wait())
        if cancellation_token is not None:
            cancellation_token.link_future(waiting)
        await waiting


async def test_runs_at_the_same_time_are_a_trace_each(run) -> None:
    await asyncio.gather(
        *(writer_and_critic().run(task=f"task {n}") for n in range(5)),
        *(planner_and_worker().run(task="do it") for _ in range(5)),
    )

    assert len(run.traces) == 10
    assert sorted(said(trace)[0][3] for trace in run.traces) == sorted(
        ["do it"] * 5 + [f"task {n}" for n in range(5)]
    )
    for trace in run.traces:
        assert orphans(trace) == []
        assert len(trace.spans) == (11 if trace.spans[0].name.endswith("Chat") else 12)


async def test_runs_in_threads_of_their_own_are_a_trace_each(run) -> None:
    await asyncio.gather(
        *(asyncio.to_thread(asyncio.run, writer_and_critic().run(task="hi")) for _ in range(3))
    )

    assert [len(trace.spans) for trace in run.traces] == [11, 11, 11]


@pytest.mark.parametrize(
    "build", [writer_and_critic, planner_and_worker, selected_writer_and_critic]
)
async def test_results_are_the_same_with_and_without(build) -> None:
    plain = await build().run(task="go")
    with recorded(INSTRUMENTOR):
        captured = await build().run(task="go")
        streamed = [m async for m in build().run_stream(task="go")]

    assert shape(captured) == shape(plain)
    assert shape(streamed[-1]) == shape(plain)


async def test_results_are_the_same_while_processors_and_exporters_raise() -> None:
    class Hostile(SpanProcessor):
        def on_start(self, span, parent_context=None) -> None:
            raise RuntimeError("on_start")

        def on_end(self, span) -> None:
            raise RuntimeError("on_end")

    plain = await planner_and_worker().run(task="do it")
    with recorded(INSTRUMENTOR):
        provider = otel.get_tracer_provider()
        provider.add_span_processor(Hostile())
        try:
            captured = await planner_and_worker().run(task="do it")
        finally:
            several = provider._active_span_processor
            several._span_processors = several._span_processors[:-1]
        left = INSTRUMENTOR.sizes()

    assert shape(captured) == shape(plain)
    assert left == {}


async def test_results_are_the_same_while_the_server_is_down() -> None:
    plain = await planner_and_worker().run(task="do it")
    agenttrace.instrument(endpoint="http://127.0.0.1:9", frameworks="autogen")
    try:
        captured = await planner_and_worker().run(task="do it")
    finally:
        agenttrace.uninstrument()

    assert shape(captured) == shape(plain)


async def test_a_capture_that_fails_inside_costs_the_recording_only(run, monkeypatch) -> None:
    from agenttrace_autogen import teams as capture_teams

    def broken(*_: object) -> None:
        raise KeyError("a bug of ours")

    monkeypatch.setattr(capture_teams, "on_publish", broken)
    monkeypatch.setattr(capture_teams.TeamStep, "begin", broken)

    result = await planner_and_worker().run(task="do it")

    assert result.messages[-1].content == "TERMINATE plan done"


@pytest.mark.parametrize(
    ("module", "name"),
    [
        ("agent_turns", "final_message"),
        ("agent_turns", "output"),
        ("agent_turns", "role_of"),
        ("llm_messages", "of_input"),
        ("checkpoints", "of_team"),
        ("conversation", "text"),
        ("recording", "failed"),
        ("recording", "nearest"),
    ],
)
async def test_whatever_fails_inside_nothing_stays_open(run, monkeypatch, module, name) -> None:
    import importlib

    def broken(*_: object, **__: object) -> None:
        raise KeyError("a bug of ours")

    for place in sys.modules.values():
        if getattr(place, "__name__", "").startswith("agenttrace_autogen") and hasattr(place, name):
            monkeypatch.setattr(place, name, broken)
    assert getattr(importlib.import_module(f"agenttrace_autogen.{module}"), name) is broken

    result = await planner_and_worker().run(task="do it")
    alone = await agent("solo", "42").run(task="6 x 7?")
    with pytest.raises(RuntimeError, match="No more mock responses"):
        await RoundRobinGroupChat([agent("a")], max_turns=1).run(task="go")

    assert result.messages[-1].content == "TERMINATE plan done"
    assert alone.messages[-1].content == "42"
    assert INSTRUMENTOR.sizes() == {}


async def test_an_exception_that_cannot_be_shown_is_recorded_by_its_type(run) -> None:
    class Unspeakable(Exception):
        def __str__(self) -> str:
            raise ValueError("no words")

    class Broken(ReplayChatCompletionClient):
        async def create(self, messages, **options):
            raise Unspeakable

    with pytest.raises(Unspeakable):
        await AssistantAgent("a", Broken([], model_info=INFO)).run(task="go")

    assert ["Unspeakable" in (span.error or "") for span in run.trace.spans] == [True, True]


async def test_a_mock_in_place_of_a_method_stays_a_mock(run) -> None:
    from unittest.mock import AsyncMock

    class Mocked(ReplayChatCompletionClient):
        create = AsyncMock(return_value="mocked")

    assert await Mocked([], model_info=INFO).create("asked") == "mocked"
    Mocked.create.assert_awaited_once_with("asked")


async def test_leaving_a_stream_early_is_no_error_and_ends_the_run(run) -> None:
    seen = 0
    async for _ in writer_and_critic().run_stream(task="hi"):
        seen += 1
        if seen == 2:
            break
    for _ in range(100):
        await asyncio.sleep(0.005)
        if not INSTRUMENTOR.sizes():
            break

    trace = run.trace
    assert [span.error for span in trace.spans] == [None] * len(trace.spans)
    assert orphans(trace) == []
    assert said(trace)[0] == ("user", "writer", "task", "hi")


def test_leaving_a_stream_early_as_the_last_thing_ends_the_run(run) -> None:
    async def main() -> None:
        async for _ in writer_and_critic().run_stream(task="hi"):
            break

    asyncio.run(main())

    assert tree(run.trace)[0] == "invoke_workflow RoundRobinGroupChat"
    assert orphans(run.trace) == []


def test_a_stream_closed_by_the_end_of_the_loop_is_no_more_trouble_than_without(caplog) -> None:
    def troubles() -> list[str]:
        async def main() -> None:
            stream = writer_and_critic().run_stream(task="hi")
            await anext(stream)
            kept.append(stream)

        kept: list = []
        caplog.clear()
        with caplog.at_level(logging.ERROR, "asyncio"):
            asyncio.run(main())
        return [r.getMessage().partition("\n")[0] for r in caplog.records if r.name == "asyncio"]

    plain = troubles()
    with recorded(INSTRUMENTOR):
        captured = troubles()
        left = INSTRUMENTOR.sizes()

    assert captured == plain
    assert left == {}


async def test_the_consumers_own_spans_are_not_children_of_the_run(run) -> None:
    tracer = otel.get_tracer("app")

    async for message in writer_and_critic().run_stream(task="hi"):
        with tracer.start_as_current_span(f"show {type(message).__name__}"):
            pass
    with tracer.start_as_current_span("after"):
        pass

    shown = [trace for trace in run.traces if len(trace.spans) == 1]
    assert len(shown) == 8
    assert len(run.traces) == 9


async def test_cancelling_by_token_is_no_error(run) -> None:
    stuck, token = Stuck(), CancellationToken()
    team = RoundRobinGroupChat(
        [agent("a", "A"), AssistantAgent("b", stuck)], termination_condition=says("never")
    )
    going = asyncio.create_task(team.run(task="go", cancellation_token=token))
    await stuck.asked.wait()
    token.cancel()
    with pytest.raises(asyncio.CancelledError):
        await going

    trace = run.trace
    assert [span.name for span in trace.spans if span.error] == []
    assert trace.spans[0].attributes["agenttrace.autogen.stop_reason"] == "cancelled"
    assert said(trace)[:2] == [("user", "a", "task", "go"), ("a", "b", "broadcast", "A")]
    assert all(m.type != "result" for m in trace.messages)


async def test_cancelling_the_task_is_no_error(run) -> None:
    stuck = Stuck()
    going = asyncio.create_task(AssistantAgent("b", stuck).run(task="go"))
    await stuck.asked.wait()
    going.cancel()
    with pytest.raises(asyncio.CancelledError):
        await going

    assert [span.error for span in run.trace.spans] == [None, None]
    assert said(run.trace) == [("user", "b", "task", "go")]


async def test_a_failing_model_fails_call_turn_and_run(run) -> None:
    team = RoundRobinGroupChat([agent("a", "A"), agent("b")], max_turns=4)

    with pytest.raises(RuntimeError, match="No more mock responses"):
        await team.run(task="go")

    trace = run.trace
    assert [span.name for span in trace.spans if span.error] == [
        "invoke_workflow RoundRobinGroupChat",
        "invoke_agent b",
        "chat",
    ]
    assert said(trace) == [("user", "a", "task", "go"), ("a", "b", "broadcast", "A")]


async def test_500_runs_leave_nothing_behind(run) -> None:
    async def once() -> None:
        await RoundRobinGroupChat([agent("a", "A"), agent("b", "B")], max_turns=2).run(task="go")
        run.clear()

    async def many(count: int) -> int:
        for _ in range(count):
            await once()
        gc.collect()
        return len(gc.get_objects())

    await many(50)
    before = await many(50)
    after = await many(400)

    assert INSTRUMENTOR.sizes() == {}
    assert after - before < before * 0.02


def _methods() -> dict[str, object]:
    owners = [
        *(vars(agents)[name] for name in agents.__all__),
        *(vars(teams)[name] for name in teams.__all__),
        agents.BaseChatAgent,
        teams.BaseGroupChat,
        BaseAgent,
        SingleThreadedAgentRuntime,
        TraceHelper,
        ChatCompletionClient,
        ReplayChatCompletionClient,
        BaseTool,
        Workbench,
        *(
            module
            for name, module in sys.modules.items()
            if name.startswith(("autogen_core", "autogen_agentchat"))
        ),
    ]
    return {
        f"{getattr(owner, '__name__', owner)}.{name}": value
        for owner in owners
        for name, value in vars(owner).items()
        if callable(value) or isinstance(value, (staticmethod, classmethod))
    }


def test_uninstrumenting_leaves_autogen_exactly_as_it_was() -> None:
    before = _methods()
    with recorded(INSTRUMENTOR):
        INSTRUMENTOR.instrument()
        during = _methods()
    after = _methods()

    changed = {name for name in before if before[name] is not during[name]}
    assert "RoundRobinGroupChat.run_stream" not in changed  # inherited from BaseGroupChat
    assert {"BaseGroupChat.run_stream", "AssistantAgent.on_messages_stream"} <= changed
    assert before.keys() == after.keys()
    assert [name for name in before if before[name] is not after[name]] == []


async def test_classes_defined_while_capturing_are_captured_and_restored() -> None:
    with recorded(INSTRUMENTOR) as run:

        class Late(ReplayChatCompletionClient):
            async def create(self, messages, **options):
                return await super().create(messages, **options)

        captured = vars(Late)["create"]
        await Late(["x"], model_info=INFO).create([UserMessage(content="q", source="u")])
        names = tree(run.trace)
    inside = vars(Late)["create"]

    assert names == ["chat"]
    assert captured is not inside
    assert captured.__wrapped__ is inside
    assert "__init_subclass__" not in vars(ChatCompletionClient)


async def test_agents_built_before_capturing_are_captured() -> None:
    team = planner_and_worker()

    with recorded(INSTRUMENTOR) as run:
        await team.run(task="do it")
        told = said(run.trace)

    assert len(told) == 5


async def test_the_frameworks_own_spans_do_not_appear_next_to_ours(run) -> None:
    await planner_and_worker().run(task="do it")

    assert {span.scope.name for span in run.trace.spans} == {"agenttrace.autogen"}


async def test_a_runtime_with_a_provider_of_its_own_goes_on_using_it(run) -> None:
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor

    own, exporter = TracerProvider(), InMemoryExporter()
    own.add_span_processor(SimpleSpanProcessor(exporter))
    runtime = SingleThreadedAgentRuntime(tracer_provider=own)
    runtime.start()
    team = RoundRobinGroupChat([agent("a", "A")], max_turns=1, runtime=runtime)

    await team.run(task="go")
    await runtime.stop_when_idle()

    assert {s.scope.name for s in exporter.raw_spans()} == {"autogen SingleThreadedAgentRuntime"}
    assert tree(run.trace) == [
        "invoke_workflow RoundRobinGroupChat",
        "  invoke_agent a",
        "    chat",
    ]


async def test_a_custom_span_with_autogens_helper_is_the_apps_own(run) -> None:
    from autogen_core import trace_tool_span

    with trace_tool_span("my_tool"):
        await model("x").create([UserMessage(content="q", source="u")])

    assert tree(run.trace) == ["execute_tool my_tool", "  chat"]
