import asyncio
import contextvars
import functools
import gc
import inspect
import logging
import pickle
import traceback
import tracemalloc
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF
from opentelemetry.trace import get_current_span

import agenttrace
from agenttrace import AgentTracer, Span, Trace, processor, steps
from agenttrace.testing import InMemoryExporter

tracer = AgentTracer("app")


def trace_of(recorded: InMemoryExporter) -> Trace:
    """The one trace that was recorded."""
    agenttrace.flush()
    [trace] = recorded.traces()
    return trace


def span_of(recorded: InMemoryExporter) -> Span:
    """The one span that was recorded."""
    [span] = trace_of(recorded).spans
    return span


def names(trace: Trace, parent: str | None = None) -> list[str]:
    """The names of the spans directly under the one called `parent`."""
    above = {span.span_id: span.name for span in trace.spans}
    return [span.name for span in trace.spans if above.get(span.parent_id or "") == parent]


# --- what is recorded ---


def test_an_agent_has_name_role_input_and_output(recorded: InMemoryExporter) -> None:
    @tracer.agent(name="planner", role="plans the work")
    def plan(task: str) -> dict[str, int]:
        return {"steps": 3}

    plan("build it")

    span = span_of(recorded)
    assert (span.name, span.kind, span.agent) == ("invoke_agent planner", "agent", "planner")
    assert span.agent_role == "plans the work"
    assert (span.input, span.output) == ("build it", '{"steps":3}')
    assert span.scope.name == "agenttrace"
    assert span.scope.attributes["agenttrace.tracer"] == "app"


def test_a_tool_has_its_arguments_by_name_its_result_and_its_description(
    recorded: InMemoryExporter,
) -> None:
    @tracer.tool
    def search(query: str, *more: str, limit: int = 5, **options: Any) -> list[str]:
        """Find pages.

        And more.
        """
        return [query]

    search("x", "y", limit=2, deep=True)

    span = span_of(recorded)
    assert (span.kind, span.tool) == ("tool", "search")
    assert span.input == '{"query":"x","*":["y"],"limit":2,"deep":true}'
    assert span.output == '["x"]'
    assert span.attributes["gen_ai.tool.description"] == "Find pages."


@pytest.mark.parametrize(
    "decorate",
    [
        tracer.agent,
        tracer.agent(),
        tracer.agent(name="work"),
        tracer.agent("work"),
        tracer.agent(role=None),
    ],
)
def test_every_form_of_the_decorator_works(recorded: InMemoryExporter, decorate: Any) -> None:
    @decorate
    def work(a: int, b: int) -> int:
        return a + b

    assert work(1, b=2) == 3
    assert span_of(recorded).agent == "work"
    assert span_of(recorded).input == '{"a":1,"b":2}'


def test_nested_calls_are_nested_and_parents_send_their_children_tasks(
    recorded: InMemoryExporter,
) -> None:
    @tracer.tool
    def search(q: str) -> str:
        return "found"

    @tracer.agent
    def coder(task: str) -> str:
        return search(task)

    @tracer.agent
    def planner(task: str) -> str:
        return coder("part 1") + coder("part 2")

    planner("all")

    trace = trace_of(recorded)
    assert names(trace, "invoke_agent planner") == ["invoke_agent coder"] * 2
    assert names(trace, "invoke_agent coder") == ["execute_tool search"] * 2
    assert [(m.sender, m.recipient, m.content) for m in trace.messages if m.type == "task"] == [
        ("user", "planner", "all"),
        ("planner", "coder", "part 1"),
        ("planner", "coder", "part 2"),
    ]


def test_a_workflow_holds_agents_that_know_nothing_of_each_other(
    recorded: InMemoryExporter,
) -> None:
    @tracer.agent
    def one() -> None: ...

    @tracer.agent
    def two() -> None: ...

    with tracer.workflow("run"):
        one()
        two()

    trace = trace_of(recorded)
    assert names(trace) == ["invoke_workflow run"]
    assert names(trace, "invoke_workflow run") == ["invoke_agent one", "invoke_agent two"]
    assert trace.roots[0].kind == "workflow"


def test_messages_are_recorded_on_the_current_span(recorded: InMemoryExporter) -> None:
    with tracer.agent("planner"):
        first = tracer.message("planner", "coder", {"do": "it"})
        second = tracer.message(
            "coder", "planner", "why?", type="question", caused_by=first, audience=("planner", "x")
        )

    task, question = [m for m in trace_of(recorded).messages if m.provenance == "observed"]
    assert (task.message_id, task.content, task.type) == (first, '{"do":"it"}', "task")
    assert (question.message_id, question.caused_by) == (second, first)
    assert question.audience == ("planner", "x")


def test_a_message_outside_every_span_is_not_lost(recorded: InMemoryExporter) -> None:
    message_id = tracer.message("a", "b", "hello")

    [message] = trace_of(recorded).messages
    assert (message.message_id, message.sender, message.recipient) == (message_id, "a", "b")


def test_a_checkpoint_keeps_the_state_of_its_moment(recorded: InMemoryExporter) -> None:
    state = {"done": ["one"]}
    with tracer.workflow("run"):
        checkpoint_id = tracer.checkpoint("before review", state)
        state["done"].append("two")

    [checkpoint] = trace_of(recorded).checkpoints
    assert (checkpoint.checkpoint_id, checkpoint.label) == (checkpoint_id, "before review")
    assert checkpoint.state == '{"done":["one"]}'
    assert not checkpoint.resumable


def test_a_model_call_tells_model_messages_and_tokens(recorded: InMemoryExporter) -> None:
    response = {
        "model": "gpt-4o-2024-08-06",
        "choices": [{"message": {"role": "assistant", "content": "hello"}}],
        "usage": {"prompt_tokens": 12, "completion_tokens": 3},
    }
    with tracer.llm("gpt-4o", provider="openai") as call:
        call.input([{"role": "user", "content": "hi"}])
        call.output(response)

    span = span_of(recorded)
    assert (span.kind, span.model, span.provider) == ("llm", "gpt-4o", "openai")
    assert span.attributes["gen_ai.response.model"] == "gpt-4o-2024-08-06"
    assert (span.tokens_in, span.tokens_out) == (12, 3)
    assert span.input == '[{"role":"user","content":"hi"}]'
    assert span.output == '{"role":"assistant","content":"hello"}'


def test_a_model_call_as_a_decorator_reads_the_usage_of_other_clients_too(
    recorded: InMemoryExporter,
) -> None:
    class Usage:
        input_tokens = 7
        output_tokens = 1

    class Reply:
        usage = Usage()
        content = "hey"

        def to_dict(self) -> dict[str, str]:
            return {"content": self.content}

    @tracer.llm("claude", provider="anthropic")
    async def ask(prompt: str) -> Reply:
        return Reply()

    asyncio.run(ask("hi"))

    span = span_of(recorded)
    assert (span.input, span.output) == ("hi", '{"content":"hey"}')
    assert (span.tokens_in, span.tokens_out) == (7, 1)


def test_tokens_and_attributes_can_be_set_by_hand(recorded: InMemoryExporter) -> None:
    with tracer.llm("local") as call:
        call.tokens(5, 6)
        call.attribute("mine", "yes")
        call.attribute("nothing", None)

    span = span_of(recorded)
    assert (span.tokens_in, span.tokens_out, span.attributes["mine"]) == (5, 6, "yes")
    assert "nothing" not in span.attributes


# --- functions stay what they are ---


async def coroutine(x: int, *, y: str = "d") -> int:
    "Docs."
    return x


def generator(x: int, *, y: str = "d") -> Iterator[int]:
    "Docs."
    yield x


async def async_generator(x: int, *, y: str = "d") -> AsyncIterator[int]:
    "Docs."
    yield x


def function(x: int, *, y: str = "d") -> int:
    "Docs."
    return x


@pytest.mark.parametrize("original", [coroutine, generator, async_generator, function])
@pytest.mark.parametrize("decorate", [tracer.agent, tracer.tool, tracer.workflow, tracer.llm("m")])
def test_kind_name_docs_and_signature_stay(original: Any, decorate: Any) -> None:
    wrapped = decorate(original)

    for question in (
        inspect.iscoroutinefunction,
        inspect.isgeneratorfunction,
        inspect.isasyncgenfunction,
        asyncio.iscoroutinefunction,
    ):
        assert question(wrapped) == question(original)
    assert inspect.signature(wrapped) == inspect.signature(original)
    assert (wrapped.__name__, wrapped.__doc__) == (original.__name__, "Docs.")
    assert wrapped.__wrapped__ is original


@tracer.tool
def picklable(x: int) -> int:
    return x


def test_a_decorated_function_can_be_pickled() -> None:
    assert pickle.loads(pickle.dumps(picklable)) is picklable


def test_methods_of_every_kind_are_recorded_without_self(recorded: InMemoryExporter) -> None:
    class Tools:
        @tracer.tool
        def method(self, a: int) -> int:
            return a

        @tracer.tool
        @classmethod
        def of_class(cls, a: int) -> int:
            return a

        @classmethod
        @tracer.tool
        def of_class_inside(cls, a: int) -> int:
            return a

        @tracer.tool
        @staticmethod
        def static(a: int) -> int:
            return a

        @tracer.tool
        async def coroutine(self, a: int) -> int:
            return a

    with tracer.workflow("run"):
        assert Tools().method(1) == Tools.of_class(1) == Tools.of_class_inside(1) == 1
        assert Tools.static(1) == Tools().static(1) == asyncio.run(Tools().coroutine(1)) == 1

    inputs = {(span.tool, span.input) for span in trace_of(recorded).spans if span.kind == "tool"}
    assert inputs == {
        (name, '{"a":1}')
        for name in ("method", "of_class", "of_class_inside", "static", "coroutine")
    }


@pytest.mark.parametrize(
    "target", [functools.partial(function, 1), functools.partial(coroutine, 1), len, print]
)
def test_partials_and_builtins_are_recorded_under_their_name(
    recorded: InMemoryExporter, target: Any
) -> None:
    wrapped = tracer.tool(target)
    result = wrapped("abc") if target in (len, print) else wrapped(y="z")
    if inspect.iscoroutine(result):
        asyncio.run(result)  # type: ignore[arg-type]

    assert span_of(recorded).tool in ("function", "coroutine", "len", "print")


def test_what_a_plain_function_hands_out_to_run_later_belongs_to_its_step(
    recorded: InMemoryExporter,
) -> None:
    inside: list[int] = []

    async def work() -> str:
        inside.append(get_current_span().get_span_context().span_id)
        return "later"

    @tracer.agent
    def starts() -> Any:
        return work()

    assert asyncio.run(starts()) == "later"

    span = span_of(recorded)
    assert span.output == "later"
    assert f"{inside[0]:016x}" == span.span_id


# --- exceptions ---


class Trouble(Exception):
    """Something that goes wrong."""


@pytest.mark.parametrize("kind", ["sync", "async", "generator", "async generator"])
def test_an_exception_is_recorded_and_is_the_same_object_with_its_traceback(
    recorded: InMemoryExporter, kind: str
) -> None:
    trouble = Trouble("went wrong")

    def origin() -> None:
        raise trouble

    @tracer.agent(name="a")
    def sync() -> None:
        origin()

    @tracer.agent(name="a")
    async def coroutine() -> None:
        origin()

    @tracer.agent(name="a")
    def generator() -> Iterator[int]:
        yield 1
        origin()

    @tracer.agent(name="a")
    async def async_generator() -> AsyncIterator[int]:
        yield 1
        origin()

    async def drain() -> None:
        async for _ in async_generator():
            pass

    run = {
        "sync": sync,
        "async": lambda: asyncio.run(coroutine()),
        "generator": lambda: list(generator()),
        "async generator": lambda: asyncio.run(drain()),
    }[kind]
    with pytest.raises(Trouble) as caught:
        run()

    assert caught.value is trouble
    assert trouble.__context__ is None
    assert traceback.extract_tb(trouble.__traceback__)[-1].name == "origin"
    span = span_of(recorded)
    assert span.status == "error"
    assert span.error is not None
    assert span.error.endswith("Trouble: went wrong")
    assert span.attributes["error.type"] == "Trouble"
    [event] = span.events
    assert "origin" in event.attributes["exception.stacktrace"]


def test_an_exception_that_cannot_be_printed_is_recorded_by_its_type(
    recorded: InMemoryExporter,
) -> None:
    class Unprintable(Exception):
        def __str__(self) -> str:
            raise RuntimeError("no text")

    @tracer.agent
    def fails() -> None:
        raise Unprintable

    with pytest.raises(Unprintable):
        fails()

    assert span_of(recorded).attributes["error.type"].endswith("Unprintable")


class GraphBubbleUp(Exception):
    """Named as LangGraph's."""


class GraphInterrupt(GraphBubbleUp):
    """Named as LangGraph's."""


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (GraphInterrupt(), "unset"),
        (asyncio.CancelledError(), "unset"),
        (SystemExit(0), "unset"),
        (SystemExit(3), "error"),
        (KeyboardInterrupt(), "error"),
        (TimeoutError(), "error"),
    ],
)
def test_control_flow_is_no_error(
    recorded: InMemoryExporter, error: BaseException, status: str
) -> None:
    @tracer.agent
    def leaves() -> None:
        raise error

    with pytest.raises(type(error)):
        leaves()

    assert span_of(recorded).status == status


def test_a_cancelled_task_ends_its_step_without_an_error(recorded: InMemoryExporter) -> None:
    @tracer.agent
    async def slow() -> None:
        await asyncio.sleep(3600)

    async def main() -> None:
        task = asyncio.create_task(slow())
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())

    assert span_of(recorded).status == "unset"


# --- generators ---


def test_a_generator_takes_send_throw_and_close_as_ever(recorded: InMemoryExporter) -> None:
    log: list[Any] = []

    @tracer.tool
    def conversation() -> Any:
        try:
            received = yield "first"
            log.append(received)
            try:
                yield "second"
            except KeyError as error:
                log.append(error)
                yield "third"
            return "result"
        finally:
            log.append("closed")

    running = conversation()
    assert next(running) == "first"
    assert running.send("hello") == "second"
    thrown = KeyError("x")
    assert running.throw(thrown) == "third"
    with pytest.raises(StopIteration) as stop:
        next(running)

    assert stop.value.value == "result"
    assert log == ["hello", thrown, "closed"]
    assert span_of(recorded).output == (
        '{"yielded":["first","second","third"],"returned":"result"}'
    )


def test_a_generator_that_is_left_early_is_closed_and_no_error(recorded: InMemoryExporter) -> None:
    closed: list[bool] = []

    @tracer.agent
    def words() -> Iterator[str]:
        try:
            while True:
                yield "word"
        finally:
            closed.append(True)

    for _ in words():
        break
    gc.collect()

    span = span_of(recorded)
    assert closed == [True]
    assert (span.status, span.output) == ("unset", "word")


def test_a_generator_that_ignores_being_closed_is_told_as_ever(recorded: InMemoryExporter) -> None:
    @tracer.agent
    def stubborn() -> Iterator[int]:
        try:
            yield 1
        except GeneratorExit:
            yield 2

    running = stubborn()
    next(running)

    with pytest.raises(RuntimeError, match="ignored GeneratorExit"):
        running.close()


def test_texts_that_are_streamed_are_one_output(recorded: InMemoryExporter) -> None:
    @tracer.agent
    def stream() -> Iterator[str]:
        yield from ["Hel", "lo"]

    assert list(stream()) == ["Hel", "lo"]
    assert span_of(recorded).output == "Hello"


def test_of_an_endless_stream_only_so_much_is_kept(
    recorded: InMemoryExporter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(steps, "KEPT_ITEMS", 3)

    @tracer.tool
    def numbers() -> Iterator[int]:
        yield from range(10)

    assert sum(numbers()) == 45
    assert span_of(recorded).output == '[0,1,2,"… [7 more items]"]'


def test_a_generator_that_is_never_started_is_no_step(recorded: InMemoryExporter) -> None:
    ran: list[int] = []

    @tracer.agent
    def lazy() -> Iterator[int]:
        ran.append(1)
        yield 1

    lazy().close()
    agenttrace.flush()

    assert recorded.raw_spans() == []
    assert ran == []


def test_the_consumer_of_a_generator_never_stands_inside_it(recorded: InMemoryExporter) -> None:
    inside: list[str] = []

    @tracer.agent
    def produce() -> Iterator[int]:
        for number in range(2):
            inside.append(f"{get_current_span().get_span_context().span_id:016x}")
            with tracer.tool("inner"):
                pass
            yield number

    with tracer.workflow("run") as run:
        for _ in produce():
            assert get_current_span() is run.span
            with tracer.tool("outer"):
                pass
        assert get_current_span() is run.span

    trace = trace_of(recorded)
    assert names(trace, "invoke_agent produce") == ["execute_tool inner"] * 2
    assert sorted(names(trace, "invoke_workflow run")) == [
        "execute_tool outer",
        "execute_tool outer",
        "invoke_agent produce",
    ]


def test_two_generators_taken_in_turns_do_not_mix(recorded: InMemoryExporter) -> None:
    @tracer.agent
    def produce(name: str) -> Iterator[str]:
        for _ in range(3):
            with tracer.tool(f"of {name}"):
                yield name

    with tracer.workflow("run"):
        list(zip(produce("a"), produce("b"), strict=True))

    trace = trace_of(recorded)
    for span in trace.spans:
        if span.kind == "tool":
            parent = trace.parent(span)
            assert parent is not None
            assert span.name == f"execute_tool of {parent.input}"


def test_an_async_generator_takes_asend_athrow_and_aclose_as_ever(
    recorded: InMemoryExporter,
) -> None:
    log: list[Any] = []

    @tracer.agent
    async def conversation() -> Any:
        try:
            log.append((yield 1))
            try:
                yield 2
            except KeyError:
                yield 3
            yield 4
        finally:
            await asyncio.sleep(0)
            log.append("closed")

    async def main() -> None:
        running = conversation()
        assert await anext(running) == 1
        assert await running.asend("hello") == 2
        assert await running.athrow(KeyError()) == 3
        await running.aclose()

    asyncio.run(main())

    assert log == ["hello", "closed"]
    assert (span_of(recorded).status, span_of(recorded).output) == ("unset", "[1,2,3]")


def test_an_async_generator_finished_by_another_task_logs_nothing(
    recorded: InMemoryExporter, caplog: pytest.LogCaptureFixture
) -> None:
    @tracer.agent
    async def stream() -> AsyncIterator[int]:
        while True:
            yield 1

    async def main() -> None:
        running = stream()
        await anext(running)

        async def close() -> None:
            await running.aclose()

        await asyncio.create_task(close(), context=contextvars.Context())
        async for _ in stream():
            break
        gc.collect()
        await asyncio.sleep(0)
        assert not get_current_span().get_span_context().is_valid

    asyncio.run(main())
    agenttrace.flush()

    assert [span.status for span in recorded.raw_spans()] == ["unset", "unset"]
    assert [r for r in caplog.records if r.levelno >= logging.WARNING] == []


# --- concurrency ---


def test_concurrent_runs_are_one_trace_each_with_the_right_parents(
    recorded: InMemoryExporter,
) -> None:
    @tracer.tool
    async def fetch(owner: str) -> str:
        await asyncio.sleep(0)
        return owner

    @tracer.agent
    async def worker(owner: str) -> list[str]:
        return list(await asyncio.gather(*(fetch(owner) for _ in range(3))))

    @tracer.agent
    async def boss(owner: str) -> None:
        await asyncio.gather(worker(owner), worker(owner))
        await asyncio.to_thread(lambda: None)

    async def main() -> None:
        await asyncio.gather(*(boss(f"run {n}") for n in range(5)))

    asyncio.run(main())
    agenttrace.flush()

    traces = recorded.traces()
    assert len(traces) == 5
    for trace in traces:
        assert len(trace.spans) == 9
        assert len(trace.roots) == 1
        assert len({span.input for span in trace.spans if span.kind == "agent"}) == 1


def test_the_same_part_may_be_entered_by_many_tasks_at_once(recorded: InMemoryExporter) -> None:
    part = tracer.agent("shared")

    async def one(number: int) -> None:
        async with part as step:
            step.input(str(number))
            await asyncio.sleep(0)
            with tracer.tool(f"tool {number}"):
                await asyncio.sleep(0)

    async def main() -> None:
        await asyncio.gather(*(one(n) for n in range(5)))

    asyncio.run(main())
    agenttrace.flush()

    traces = recorded.traces()
    assert len(traces) == 5
    for trace in traces:
        [root] = trace.roots
        assert names(trace, "invoke_agent shared") == [f"execute_tool tool {root.input}"]


# --- classes ---


def test_a_class_is_recorded_at_its_entry_points_under_the_instances_name(
    recorded: InMemoryExporter,
) -> None:
    @tracer.agent(role="answers")
    class Bot:
        def __init__(self, name: str) -> None:
            self.name = name

        def run(self, question: str) -> str:
            return self.invoke(question)

        def invoke(self, question: str) -> str:
            return self.helper() + question

        def helper(self) -> str:
            return "re: "

        async def arun(self, question: str) -> str:
            return question

    with tracer.workflow("w"):
        assert Bot("ann").run("hi") == "re: hi"
        assert asyncio.run(Bot("bob").arun("ho")) == "ho"

    spans = [span for span in trace_of(recorded).spans if span.kind == "agent"]
    assert [(s.agent, s.agent_role, s.input, s.output) for s in spans] == [
        ("ann", "answers", "hi", "re: hi"),
        ("bob", "answers", "ho", "ho"),
    ]


def test_a_class_without_names_is_recorded_under_its_own_or_the_given_one(
    recorded: InMemoryExporter,
) -> None:
    @tracer.agent
    class Plain:
        def __call__(self, x: int) -> int:
            return x

        @staticmethod
        def execute(x: int) -> int:
            return x

        @classmethod
        def act(cls, x: int) -> int:
            return x

    @tracer.tool(name="given")
    class Named:
        name = "not this"

        def run(self, x: int) -> int:
            return x

    with tracer.workflow("w"):
        Plain()(1), Plain.execute(2), Plain().act(3), Named().run(4)

    spans = trace_of(recorded).spans[1:]
    assert [(span.agent or span.tool, span.input) for span in spans] == [
        ("Plain", "1"),
        ("Plain", "2"),
        ("Plain", "3"),
        ("given", '{"x":4}'),
    ]


def test_a_class_stays_the_same_class_and_its_subclasses_are_recorded_once(
    recorded: InMemoryExporter,
) -> None:
    class Base:
        def run(self, x: int) -> int:
            return x

    decorated = tracer.agent(Base)

    class Child(decorated):  # type: ignore[misc, valid-type]
        def run(self, x: int) -> int:
            return int(super().run(x)) + 1

    assert decorated is Base
    assert tracer.agent(Child)().run(1) == 2
    assert span_of(recorded).agent == "Child"


def test_an_agent_that_calls_itself_through_another_is_recorded_each_time(
    recorded: InMemoryExporter,
) -> None:
    @tracer.agent
    class Bot:
        def __init__(self, name: str, peer: "Bot | None" = None) -> None:
            self.name, self.peer = name, peer

        def run(self, depth: int) -> None:
            if depth and self.peer:
                self.peer.run(depth - 1)

    one, two = Bot("one"), Bot("two")
    one.peer, two.peer = two, one
    one.run(2)

    assert [span.agent for span in trace_of(recorded).spans] == ["one", "two", "one"]


@pytest.mark.parametrize("target", [42, "text".upper, property(len), type("Empty", (), {}), int])
def test_what_cannot_be_recorded_is_left_as_it_is(target: Any) -> None:
    decorated = tracer.agent()(target)

    assert decorated is target or callable(decorated)


# --- the program is never disturbed ---


def test_nothing_is_recorded_and_nothing_changes_before_instrument() -> None:
    @tracer.agent
    def agent(x: int) -> int:
        return x

    @tracer.tool
    def stream() -> Iterator[int]:
        yield from (1, 2)

    assert agent(1) == 1
    assert list(stream()) == [1, 2]
    assert tracer.message("a", "b", "c")
    assert tracer.checkpoint("x", {})
    with tracer.llm("m") as call:
        call.input("x")
        call.output("y")
        call.tokens(1, 2)


def test_a_broken_sdk_does_not_reach_the_program(
    recorded: InMemoryExporter, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*args: Any, **kwargs: Any) -> Any:
        raise RuntimeError("recording is broken")

    @tracer.agent
    def agent(x: int) -> int:
        return x

    for part in ("agenttrace.sdk.tracer", "agenttrace.payload.defer", "agenttrace.payload.message"):
        with monkeypatch.context() as patch:
            patch.setattr(part, broken)
            assert agent(1) == 1
            with tracer.workflow("w"):
                assert tracer.message("a", "b", "c")
    assert "recording is broken" in caplog.text


def test_a_broken_processor_of_someone_else_does_not_reach_the_program(
    recorded: InMemoryExporter, provider: TracerProvider
) -> None:
    from opentelemetry.sdk.trace import SpanProcessor

    class Broken(SpanProcessor):
        def on_end(self, span: Any) -> None:
            raise RuntimeError("theirs")

    provider.add_span_processor(Broken())

    assert tracer.agent(function)(1) == 1


def test_values_that_cannot_be_serialised_do_not_disturb(recorded: InMemoryExporter) -> None:
    class Awful:
        def __repr__(self) -> str:
            raise RuntimeError("no")

        def __eq__(self, other: object) -> bool:
            raise RuntimeError("no")

        __hash__ = None  # type: ignore[assignment]

    awful = Awful()
    assert tracer.agent(lambda x: x)(awful) is awful
    assert span_of(recorded).output == "[not serialised: RuntimeError: no]"


def test_an_unsampled_run_leaves_no_orphans() -> None:
    exporter = InMemoryExporter()
    provider = TracerProvider(sampler=ALWAYS_OFF, shutdown_on_exit=False)
    agenttrace.instrument(exporter=exporter, frameworks=[], tracer_provider=provider)
    try:
        assert tracer.agent(lambda: tracer.agent(function)(1))() == 1
    finally:
        agenttrace.uninstrument()

    assert exporter.raw_spans() == []


def test_a_thousand_runs_leave_the_memory_flat(
    recorded: InMemoryExporter, provider: TracerProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    @tracer.tool
    def tool(text: str) -> str:
        tracer.message("a", "b", {"text": text})
        return text * 2

    @tracer.agent
    async def agent(text: str) -> list[str]:
        async for _ in stream():
            break
        return [tool(text) for _ in range(3)]

    @tracer.agent
    async def stream() -> AsyncIterator[str]:
        yield "x"

    async def runs(count: int) -> int:
        for number in range(count):
            await agent("some text " * 100)
            await asyncio.sleep(0)  # for the stream that was left early
            if number % 10 == 9:
                agenttrace.flush()
                recorded.clear()
        gc.collect()
        return tracemalloc.get_traced_memory()[0]

    monkeypatch.setattr(processor, "REMEMBERED_TRACES", 10)
    tracemalloc.start()
    asyncio.run(runs(50))
    before = asyncio.run(runs(50))
    after = asyncio.run(runs(1000))
    tracemalloc.stop()

    assert after - before < 50_000
    assert agenttrace.flush()
    assert provider._active_span_processor._span_processors[0].waiting == 0
