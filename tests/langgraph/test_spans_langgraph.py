"""The span tree of LangGraph runs, however they are run, and nothing left behind."""

import asyncio
import gc
import operator
import threading
import tracemalloc
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Annotated, Any, TypedDict

import pytest
from langchain.agents import create_agent
from langchain_core.documents import Document
from langchain_core.messages import AIMessage
from langchain_core.retrievers import BaseRetriever
from langchain_core.runnables import RunnableLambda
from langchain_core.tools import tool
from langchain_core.tracers import context as langchain_hooks
from langgraph.graph import START, MessagesState, StateGraph
from langgraph.pregel import Pregel
from langgraph.pregel._loop import PregelLoop
from opentelemetry import trace as otel

from agenttrace.models import Trace
from agenttrace_langgraph.capture import LangGraphInstrumentor
from support.langgraph_apps import call, model, search, team
from support.recorded import Recorded, orphans, said, tree

TEAM = [
    "invoke_workflow team",
    "  invoke_agent supervisor",
    "    chat acme-1",
    "  invoke_agent researcher",
    "    invoke_agent plan",
    "      chat acme-1",
    "    invoke_agent lookup",
    "      execute_tool search",
    "    invoke_agent lookup",
    "      execute_tool search",
    "  invoke_agent supervisor",
    "    chat acme-1",
    "  invoke_agent writer",
    "    chat acme-1",
]


def check(trace: Trace) -> None:
    """Every span has its parent, lies within it in time, and nothing failed."""
    assert orphans(trace) == []
    assert len(trace.roots) == 1
    for span in trace.spans:
        parent = trace.parent(span)
        assert span.end_ns >= span.start_ns
        assert parent is None or parent.start_ns <= span.start_ns
        assert span.error is None


async def collect(stream: AsyncIterator[Any]) -> list[Any]:
    return [item async for item in stream]


async def ainvoke(app: Any) -> Any:
    return await app.ainvoke({"topic": "ai"})


async def astream(app: Any) -> Any:
    return await collect(app.astream({"topic": "ai"}, stream_mode=["updates", "messages"]))


async def astream_events(app: Any) -> Any:
    return await collect(app.astream_events({"topic": "ai"}, version="v2"))


async def astream_subgraphs(app: Any) -> Any:
    return await collect(app.astream({"topic": "ai"}, subgraphs=True, stream_mode="custom"))


@pytest.mark.parametrize("way", [ainvoke, astream, astream_events, astream_subgraphs])
async def test_an_async_run_is_one_trace_with_sync_nodes(run: Recorded, way: Any) -> None:
    await way(team())

    assert tree(run.trace) == TEAM
    check(run.trace)


@pytest.mark.parametrize("mode", ["values", "updates", "messages", "custom", "debug", "tasks"])
def test_a_streamed_run_is_one_trace(run: Recorded, mode: str) -> None:
    for _ in team().stream({"topic": "ai"}, stream_mode=mode, subgraphs=mode == "messages"):
        assert not otel.get_current_span().get_span_context().is_valid

    assert tree(run.trace) == TEAM
    check(run.trace)
    assert said(run.trace)[-1] == ("writer", "user", "result", "final")


def test_each_of_a_batch_is_a_trace(run: Recorded) -> None:
    def echo(state: MessagesState) -> dict[str, Any]:
        return {"messages": [AIMessage("yes")]}

    graph = StateGraph(MessagesState).add_node("echo", echo).add_edge(START, "echo").compile()
    graph.batch([{"messages": [("user", str(n))]} for n in range(3)])

    assert [tree(t) for t in run.traces] == [
        ["invoke_workflow LangGraph", "  invoke_agent echo"]
    ] * 3


async def test_five_runs_at_once_do_not_mix(run: Recorded) -> None:
    class Number(TypedDict):
        n: int

    async def first(state: Number) -> dict[str, Any]:
        await asyncio.sleep(0.001 * (state["n"] % 3))
        with otel.get_tracer("app").start_as_current_span(f"own {state['n']}"):
            await asyncio.sleep(0.001)
        return {"n": state["n"] * 10}

    def second(state: Number) -> dict[str, Any]:
        with otel.get_tracer("app").start_as_current_span(f"own {state['n']}"):
            return {"n": state["n"] + 1}

    graph = StateGraph(Number)
    graph.add_node("first", first)
    graph.add_node("second", second)
    graph.add_edge(START, "first")
    graph.add_edge("first", "second")
    app = graph.compile()
    await asyncio.gather(*(app.ainvoke({"n": n}) for n in range(1, 6)))

    assert len(run.traces) == 5
    for trace in run.traces:
        n = int(said(trace)[0][3].removeprefix('{"n":').rstrip("}"))
        assert tree(trace) == [
            "invoke_workflow LangGraph",
            "  invoke_agent first",
            f"    own {n}",
            "  invoke_agent second",
            f"    own {n * 10}",
        ]
        check(trace)


@pytest.mark.parametrize("pool", [True, False])
def test_runs_in_other_threads_are_recorded(run: Recorded, pool: bool) -> None:
    apps = [team() for _ in range(4)]
    if pool:
        with ThreadPoolExecutor(2) as executor:
            list(executor.map(lambda app: app.invoke({"topic": "ai"}), apps))
    else:
        threads = [threading.Thread(target=app.invoke, args=({"topic": "ai"},)) for app in apps]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    assert [tree(trace) for trace in run.traces] == [TEAM] * 4
    for trace in run.traces:
        check(trace)


def test_the_apps_own_spans_nest_where_they_are_opened(run: Recorded) -> None:
    tracer = otel.get_tracer("app")
    chat = model("hi")

    @tool
    def fetch(url: str) -> str:
        """Fetch."""
        with tracer.start_as_current_span("http"):
            return url

    def node(state: MessagesState) -> dict[str, Any]:
        with tracer.start_as_current_span("outer"), tracer.start_as_current_span("inner"):
            answer = chat.invoke(state["messages"])
        fetch.invoke({"url": "x"})
        with tracer.start_as_current_span("after"):
            return {"messages": [answer]}

    graph = StateGraph(MessagesState).add_node("node", node).add_edge(START, "node").compile()
    with tracer.start_as_current_span("request"):
        graph.invoke({"messages": [("user", "go")]})
        with tracer.start_as_current_span("response"):
            pass

    assert tree(run.trace) == [
        "request",
        "  invoke_workflow LangGraph",
        "    invoke_agent node",
        "      outer",
        "        inner",
        "          chat acme-1",
        "      execute_tool fetch",
        "        http",
        "      after",
        "  response",
    ]


async def test_spans_opened_while_a_model_streams_lie_beside_its_call(run: Recorded) -> None:
    chat = model("one two three")

    async def node(state: MessagesState) -> dict[str, Any]:
        async for _ in chat.astream(state["messages"]):
            with otel.get_tracer("app").start_as_current_span("render"):
                pass
            break
        with otel.get_tracer("app").start_as_current_span("after"):
            return {"messages": [AIMessage("stopped early")]}

    graph = StateGraph(MessagesState).add_node("node", node).add_edge(START, "node").compile()
    await graph.ainvoke({"messages": [("user", "go")]})
    gc.collect()
    await asyncio.sleep(0)

    assert sorted(tree(run.trace)) == sorted(
        [
            "invoke_workflow LangGraph",
            "  invoke_agent node",
            "    chat acme-1",
            "    render",
            "    after",
        ]
    )
    check(run.trace)


def test_a_graph_called_in_a_node_is_part_of_the_trace(run: Recorded) -> None:
    inner = team()

    def asks_the_team(state: MessagesState) -> dict[str, Any]:
        return {"messages": [AIMessage(inner.invoke({"topic": "ai"})["final"])]}

    graph = StateGraph(MessagesState)
    graph.add_node("boss", asks_the_team)
    graph.add_edge(START, "boss")
    graph.compile().invoke({"messages": [("user", "go")]})

    assert tree(run.trace) == [
        "invoke_workflow LangGraph",
        "  invoke_agent boss",
        *(f"    {line}" for line in TEAM),
    ]
    assert said(run.trace)[1] == ("boss", "supervisor", "task", '{"topic":"ai"}')
    assert ("writer", "boss", "result", "final") in said(run.trace)
    check(run.trace)


async def test_an_early_break_is_no_error(run: Recorded) -> None:
    for _ in team().stream({"topic": "ai"}):
        break
    async for _ in team().astream({"topic": "ai"}):
        break
    gc.collect()
    await asyncio.sleep(0.01)

    for trace in run.traces:
        assert trace.roots[0].name == "invoke_workflow team"
        assert trace.roots[0].attributes["agenttrace.langgraph.stopped"] == "break"
        assert said(trace)[:2] == [
            ("user", "supervisor", "task", '{"topic":"ai"}'),
            ("supervisor", "researcher", "handoff", "handoff to researcher"),
        ]
        assert [m for m in trace.messages if m.recipient == "user"] == []
        check(trace)
    assert len(run.traces) == 2


async def test_a_cancelled_run_is_no_error_and_leaves_nothing_open(run: Recorded) -> None:
    started = asyncio.Event()

    async def slow(state: MessagesState) -> dict[str, Any]:
        started.set()
        await asyncio.sleep(60)
        return {}

    graph = StateGraph(MessagesState)
    graph.add_node("slow", slow)
    graph.add_edge(START, "slow")
    running = asyncio.create_task(graph.compile().ainvoke({"messages": [("user", "go")]}))
    await started.wait()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running

    assert tree(run.trace) == ["invoke_workflow LangGraph", "  invoke_agent slow"]
    assert {s.attributes["agenttrace.langgraph.stopped"] for s in run.trace.spans} == {"cancelled"}
    check(run.trace)


def test_an_error_is_recorded_and_raised_as_it_was(run: Recorded) -> None:
    raised = ValueError("no such city")

    def weather(state: MessagesState) -> dict[str, Any]:
        raise raised

    graph = StateGraph(MessagesState).add_node("weather", weather).add_edge(START, "weather")
    with pytest.raises(ValueError) as caught:
        graph.compile().invoke({"messages": [("user", "go")]})

    assert caught.value is raised
    assert [(s.name, s.status, "no such city" in (s.error or "")) for s in run.trace.spans] == [
        ("invoke_workflow LangGraph", "error", True),
        ("invoke_agent weather", "error", True),
    ]
    assert said(run.trace) == [("user", "weather", "task", "go")]


def test_a_tool_that_fails_is_an_error_of_the_tool_alone(run: Recorded) -> None:
    @tool
    def divide(a: int, b: int) -> float:
        """Divide."""
        return a / b

    divide.handle_tool_error = True
    chat = model(call("divide", a=1, b=0), "cannot")
    agent = create_agent(chat, [divide], name="maths")

    with pytest.raises(ZeroDivisionError):
        agent.invoke({"messages": [("user", "1/0")]})

    (failed,) = (s for s in run.trace.spans if s.kind == "tool")
    assert failed.status == "error"
    assert failed.attributes["error.type"] == "builtins.ZeroDivisionError"


def test_a_model_call_has_model_provider_tokens_and_messages(run: Recorded) -> None:
    agent = create_agent(
        model(call("search", "Looking.", q="x"), "found"), [search], name="lib", system_prompt="Be."
    )
    agent.invoke({"messages": [("user", "find x")]})

    assert tree(run.trace) == [
        "invoke_agent lib",
        "  chat acme-1",
        "  execute_tool search",
        "  chat acme-1",
    ]
    first = next(s for s in run.trace.spans if s.kind == "llm")
    assert (first.model, first.provider, first.tokens_in, first.tokens_out) == (
        "acme-1",
        "acme",
        7,
        3,
    )
    assert '"find x"' in (first.input or "")
    assert "Looking." in (first.output or "")
    assert first.attributes["gen_ai.input.messages"].startswith('[{"role":"system","parts":[')
    called = next(s for s in run.trace.spans if s.kind == "tool")
    assert (called.tool, called.input, called.output) == ("search", '{"q":"x"}', "hits for x")
    assert called.attributes["gen_ai.tool.call.id"] == "call-search"
    (agent_found,) = run.trace.agents
    assert (agent_found.tokens_in, agent_found.tokens_out, agent_found.models) == (
        14,
        6,
        ("acme-1",),
    )


def test_a_retriever_is_a_span_with_its_documents(run: Recorded) -> None:
    class Shelf(BaseRetriever):
        def _get_relevant_documents(self, query: str, **kwargs: Any) -> list[Document]:
            return [Document(f"about {query}")]

    def node(state: MessagesState) -> dict[str, Any]:
        return {"messages": [AIMessage(Shelf().invoke("llamas")[0].page_content)]}

    graph = StateGraph(MessagesState).add_node("node", node).add_edge(START, "node").compile()
    graph.invoke({"messages": [("user", "go")]})

    found = next(s for s in run.trace.spans if s.kind == "retriever")
    assert (found.name, found.input) == ("retrieval Shelf", "llamas")
    assert "about llamas" in (found.output or "")


def test_a_chain_outside_any_graph_is_one_trace(run: Recorded) -> None:
    chat = model("hi")
    chain = RunnableLambda(lambda x: x) | chat | RunnableLambda(lambda m: m.text)

    assert chain.invoke("hello") == "hi"

    assert tree(run.trace) == ["invoke_workflow RunnableSequence", "  chat acme-1"]


def run_everything() -> Any:
    """Return what an app sees of its runs, to be compared with and without capture."""
    app = team()
    streamed = [
        (kind, str(item)[:20]) for kind, item in app.stream({"topic": "a"}, stream_mode=["updates"])
    ]
    final = team().invoke({"topic": "b"})
    messages = [(type(m).__name__, m.text, m.name) for m in final.pop("messages")]
    return streamed, final, messages


def test_an_app_sees_the_same_with_and_without_capture() -> None:
    before = run_everything()
    capture = LangGraphInstrumentor()
    capture.instrument()
    during = run_everything()
    capture.uninstrument()

    assert before == during == run_everything()


def test_uninstrument_leaves_langgraph_as_it_was() -> None:
    def state() -> list[Any]:
        return [
            Pregel.__dict__["stream"],
            Pregel.__dict__["astream"],
            PregelLoop.__dict__["tick"],
            PregelLoop.__dict__["after_tick"],
            list(langchain_hooks._configure_hooks),
        ]

    before = state()
    capture = LangGraphInstrumentor()
    capture.instrument()
    capture.instrument()
    assert state() != before
    capture.uninstrument()
    capture.uninstrument()

    assert state() == before


def test_an_exception_in_recording_never_reaches_the_app(
    run: Recorded, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*args: Any, **kwargs: Any) -> Any:
        raise RuntimeError("broken recorder")

    for module in ("graphs.start_node", "turns.start", "checkpoints.record", "calls.finish_call"):
        monkeypatch.setattr(f"agenttrace_langgraph.{module}", broken)

    assert team().invoke({"topic": "ai"})["final"] == "hits for ai0|hits for ai1"


def test_throwing_into_a_stream_reaches_the_graph(run: Recorded) -> None:
    stream = team().stream({"topic": "ai"})
    next(stream)

    with pytest.raises(KeyError):
        stream.throw(KeyError("from outside"))

    assert run.trace.roots[0].status == "error"


@pytest.mark.parametrize("outcome", ["ends", "fails", "breaks"])
def test_a_thousand_runs_leave_nothing_behind(run: Recorded, outcome: str) -> None:
    class Count(TypedDict):
        n: Annotated[int, operator.add]

    def node(state: Count) -> dict[str, Any]:
        if outcome == "fails":
            raise ValueError("no")
        return {"n": 1}

    graph = StateGraph(Count).add_node("one", node).add_node("two", node)
    app = graph.add_edge(START, "one").add_edge("one", "two").compile()

    def once() -> Iterator[Any]:
        stream = app.stream({"n": 0})
        if outcome == "breaks":
            next(stream)
            stream.close()
        elif outcome == "fails":
            with pytest.raises(ValueError):
                list(stream)
        else:
            list(stream)
        return stream

    def held() -> int:
        run.clear()
        gc.collect()
        return tracemalloc.get_traced_memory()[0]

    runs = 334
    for _ in range(60):
        once()
    tracemalloc.start()
    try:
        before = held()
        for _ in range(runs):
            once()
        grown = held() - before
    finally:
        tracemalloc.stop()

    assert LangGraphInstrumentor.sizes() == {"runs": 0}
    assert grown / runs < 300  # bytes: one span held would be thousands
