"""Bare autogen-core programs: who sends what to whom over a runtime."""

import asyncio
from dataclasses import dataclass

import pytest
from autogen_core import (
    AgentId,
    ClosureAgent,
    ClosureContext,
    DefaultSubscription,
    DefaultTopicId,
    MessageContext,
    RoutedAgent,
    SingleThreadedAgentRuntime,
    TopicId,
    default_subscription,
    message_handler,
    type_subscription,
)
from autogen_core.models import UserMessage

from agenttrace_autogen.capture import INSTRUMENTOR
from support.autogen_apps import agent, model
from support.recorded import causes, orphans, recorded, said, tree


@dataclass
class Task:
    content: str


@dataclass
class Code:
    source: str
    language: str


@dataclass
class Verdict:
    text: str


@pytest.fixture
def run():
    with recorded(INSTRUMENTOR) as record:
        yield record
        assert INSTRUMENTOR.sizes() == {}


@default_subscription
class Coder(RoutedAgent):
    def __init__(self) -> None:
        super().__init__("writes code")
        self.model = model("print(1)", "print(2)")

    @message_handler
    async def on_task(self, message: Task, ctx: MessageContext) -> None:
        asked = UserMessage(content=message.content, source="user")
        result = await self.model.create([asked])
        await self.publish_message(Code(str(result.content), "python"), DefaultTopicId())


@default_subscription
class Reviewer(RoutedAgent):
    def __init__(self) -> None:
        super().__init__("reviews code")

    @message_handler
    async def on_code(self, message: Code, ctx: MessageContext) -> None:
        verdict = await self.send_message(Task("is it safe?"), AgentId("oracle", "default"))
        await self.publish_message(verdict, TopicId("verdicts", "default"))


class Oracle(RoutedAgent):
    def __init__(self) -> None:
        super().__init__("knows")

    @message_handler
    async def on_task(self, message: Task, ctx: MessageContext) -> Verdict:
        return Verdict("yes")


async def reflection() -> tuple[SingleThreadedAgentRuntime, list[Verdict]]:
    got: list[Verdict] = []

    async def collect(_: ClosureContext, message: Verdict, ctx: MessageContext) -> None:
        got.append(message)

    runtime = SingleThreadedAgentRuntime()
    await Coder.register(runtime, "coder", Coder)
    await Reviewer.register(runtime, "reviewer", Reviewer)
    await Oracle.register(runtime, "oracle", Oracle)
    await ClosureAgent.register_closure(
        runtime,
        "collector",
        collect,
        subscriptions=lambda: [DefaultSubscription("verdicts")],
    )
    return runtime, got


async def test_topics_and_direct_messages_are_messages(run) -> None:
    runtime, got = await reflection()

    runtime.start()
    await runtime.publish_message(Task("write it"), DefaultTopicId())
    await runtime.stop_when_idle()

    trace = run.trace
    assert got == [Verdict("yes")]
    assert said(trace) == [
        ("user", "coder", "task", "write it"),
        ("coder", "reviewer", "broadcast", '{"source":"print(1)","language":"python"}'),
        ("reviewer", "oracle", "task", "is it safe?"),
        ("oracle", "reviewer", "result", "yes"),
        ("reviewer", "collector", "broadcast", "yes"),
    ]
    assert causes(trace) == [(0, None), (1, 0), (2, 1), (3, 2), (4, 3)]
    assert tree(trace) == [
        "invoke_workflow SingleThreadedAgentRuntime",
        "  invoke_agent coder",
        "    chat",
        "  invoke_agent reviewer",
        "    invoke_agent oracle",
        "  invoke_agent collector",
    ]
    roles = {a.name: a.role for a in trace.agents}
    assert roles["coder"] == "writes code"
    assert set(roles) == {"coder", "reviewer", "oracle", "collector"}
    assert orphans(trace) == []


async def test_one_start_of_a_runtime_is_one_run(run) -> None:
    runtime, _ = await reflection()

    runtime.start()
    answer = await runtime.send_message(Task("ready?"), AgentId("oracle", "default"))
    await runtime.publish_message(Task("write it"), DefaultTopicId())
    await runtime.stop_when_idle()
    runtime.start()
    await runtime.send_message(Task("again?"), AgentId("oracle", "default"))
    await runtime.stop()

    assert answer == Verdict("yes")
    first, second = run.traces
    assert said(first)[:3] == [
        ("user", "oracle", "task", "ready?"),
        ("oracle", "user", "result", "yes"),
        ("user", "coder", "task", "write it"),
    ]
    assert said(second) == [
        ("user", "oracle", "task", "again?"),
        ("oracle", "user", "result", "yes"),
    ]


async def test_requests_to_a_runtime_that_never_stops_end_with_the_request(run) -> None:
    from opentelemetry import trace as otel

    runtime, _ = await reflection()
    runtime.start()
    tracer = otel.get_tracer("app")

    for n in range(2):
        with tracer.start_as_current_span(f"request {n}"):
            await runtime.send_message(Task("ready?"), AgentId("oracle", "default"))
    still_open = INSTRUMENTOR.sizes()
    seen = [tree(trace) for trace in run.traces]
    await runtime.stop()

    assert still_open == {}
    assert seen == [
        [
            f"request {n}",
            "  invoke_workflow SingleThreadedAgentRuntime",
            "    invoke_agent oracle",
        ]
        for n in range(2)
    ]


async def test_a_runtime_driven_by_hand_ends_its_run_when_nothing_is_left(run) -> None:
    runtime, got = await reflection()

    await runtime.publish_message(Task("write it"), DefaultTopicId())
    while not got:
        if runtime.unprocessed_messages_count:
            await runtime.process_next()
        await asyncio.sleep(0)
    await asyncio.sleep(0.01)  # the last handler returns

    assert said(run.trace)[0] == ("user", "coder", "task", "write it")
    assert said(run.trace)[-1] == ("reviewer", "collector", "broadcast", "yes")


async def test_a_message_for_several_is_one_for_each_with_all_as_audience(run) -> None:
    @type_subscription(topic_type="news")
    class Reader(RoutedAgent):
        @message_handler
        async def on_task(self, message: Task, ctx: MessageContext) -> None:
            """Reads."""

    runtime = SingleThreadedAgentRuntime()
    for name in ("ann", "bob"):
        await Reader.register(runtime, name, lambda: Reader("reads"))
    runtime.start()
    await runtime.publish_message(Task("extra"), TopicId("news", "default"))
    await runtime.stop_when_idle()

    messages = run.trace.messages
    assert sorted(m.recipient for m in messages) == ["ann", "bob"]
    assert {m.audience for m in messages} in ({("ann", "bob")}, {("bob", "ann")})


async def test_an_agentchat_agent_inside_a_core_agent_is_its_helper(run) -> None:
    from autogen_agentchat.messages import TextMessage

    class Wrapper(RoutedAgent):
        @message_handler
        async def on_task(self, message: Task, ctx: MessageContext) -> Verdict:
            given = TextMessage(content=message.content, source="user")
            answer = await agent("inner", "fine").on_messages([given], ctx.cancellation_token)
            return Verdict(answer.chat_message.to_text())

    runtime = SingleThreadedAgentRuntime()
    await Wrapper.register(runtime, "wrapper", lambda: Wrapper("wraps"))
    runtime.start()
    await runtime.send_message(Task("go"), AgentId("wrapper", "default"))
    await runtime.stop()

    assert said(run.trace) == [
        ("user", "wrapper", "task", "go"),
        ("wrapper", "inner", "task", "go"),
        ("inner", "wrapper", "result", "fine"),
        ("wrapper", "user", "result", "fine"),
    ]
    assert causes(run.trace) == [(0, None), (1, 0), (2, 1), (3, 2)]


async def test_an_agent_that_fails_is_an_error_and_the_sender_gets_it(run) -> None:
    class Broken(RoutedAgent):
        @message_handler
        async def on_task(self, message: Task, ctx: MessageContext) -> None:
            raise OSError("no disk")

    runtime = SingleThreadedAgentRuntime()
    await Broken.register(runtime, "broken", lambda: Broken("breaks"))
    runtime.start()
    with pytest.raises(OSError, match="no disk"):
        await runtime.send_message(Task("go"), AgentId("broken", "default"))
    with pytest.raises(Exception, match="Recipient not found"):
        await runtime.send_message(Task("go"), AgentId("nobody", "default"))
    await runtime.stop()

    errors = {s.name: s.error for s in run.trace.spans if s.error}
    assert errors == {"invoke_agent broken": "OSError: no disk"}


async def test_a_team_on_a_runtime_of_the_app_is_one_trace_for_each_run(run) -> None:
    from autogen_agentchat.teams import RoundRobinGroupChat

    runtime = SingleThreadedAgentRuntime()
    runtime.start()
    teams = [
        RoundRobinGroupChat([agent("a", "A"), agent("b", "B")], max_turns=2, runtime=runtime)
        for _ in range(3)
    ]
    await asyncio.gather(*(team.run(task=f"go {n}") for n, team in enumerate(teams)))
    await runtime.stop_when_idle()

    assert [said(trace) for trace in run.traces] == [
        [
            ("user", "a", "task", f"go {n}"),
            ("a", "b", "broadcast", "A"),
            ("b", "user", "result", "B"),
        ]
        for n in range(3)
    ]
    assert all(orphans(trace) == [] for trace in run.traces)


async def test_core_is_captured_without_agentchat_installed(monkeypatch) -> None:
    from agenttrace_autogen import capture

    monkeypatch.setattr(capture, "find_spec", lambda name: None)
    with recorded(INSTRUMENTOR) as record:
        runtime, _ = await reflection()
        runtime.start()
        await runtime.publish_message(Task("write it"), DefaultTopicId())
        await runtime.stop_when_idle()

        assert len(said(record.trace)) == 5
