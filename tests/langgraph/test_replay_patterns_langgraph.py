"""The patterns of LangGraph's own examples run again from each of their checkpoints."""

import operator
import threading
from collections import deque
from dataclasses import dataclass
from typing import Annotated, Any, Literal, TypedDict

import pytest
from langchain.agents import create_agent
from langchain_core.language_models import FakeListLLM
from langchain_core.messages import AIMessage, AnyMessage, HumanMessage, ToolMessage
from langchain_core.runnables import RunnableConfig
from langchain_core.tools import StructuredTool
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.errors import GraphRecursionError
from langgraph.func import entrypoint, task
from langgraph.graph import END, START, MessagesState, StateGraph
from langgraph.graph.message import add_messages
from langgraph.prebuilt import InjectedState, InjectedStore, ToolNode, tools_condition
from langgraph.runtime import Runtime
from langgraph.store.base import BaseStore
from langgraph.store.memory import InMemoryStore
from langgraph.types import Command, interrupt
from pydantic import BaseModel

from agenttrace.errors import ReplayCancelled, ReplayError, ReplayStopped
from agenttrace.replay import Recording, Replay
from agenttrace_langgraph.executor import run_again
from support.langgraph_apps import call
from support.langgraph_replays import Calls, Original, repeats_itself, rerun, said
from support.recorded import Recorded


@pytest.fixture
def calls() -> Calls:
    return Calls()


def ran(run: Recorded, app: Any, given: Any, *args: Any, **more: Any) -> Original:
    run.clear()
    app.invoke(given, *args, **more)
    return Original(run.trace)


class Plan(BaseModel):
    steps: list[str]


def test_plan_and_execute(run: Recorded, calls: Calls) -> None:
    class State(TypedDict):
        input: str
        plan: list[str]
        past_steps: Annotated[list[tuple[str, str]], operator.add]
        response: str

    def think(messages: Any) -> Any:
        text = messages[-1].content
        if text.startswith("plan "):
            return call("Plan", steps=[f"look up {text[5:]}", "sum up"])
        return f"done: {text}"

    model = calls.thinking("model", think)
    structured = model | (lambda m: Plan(**m.tool_calls[0]["args"]))
    executor = create_agent(model, [calls.tool("search", lambda q: q)], name="executor")

    def planner(state: State) -> dict[str, Any]:
        return {"plan": structured.invoke([HumanMessage(f"plan {state['input']}")]).steps}

    def execute(state: State) -> dict[str, Any]:
        first = state["plan"][0]
        result = executor.invoke({"messages": [("user", first)]})
        return {"past_steps": [(first, result["messages"][-1].content)]}

    def replan(state: State) -> dict[str, Any]:
        left = state["plan"][1:]
        return {"plan": left} if left else {"response": state["past_steps"][-1][1], "plan": []}

    graph = StateGraph(State).add_node(planner).add_node("agent", execute).add_node(replan)
    graph.add_edge(START, "planner").add_edge("planner", "agent").add_edge("agent", "replan")
    graph.add_conditional_edges("replan", lambda s: END if s.get("response") else "agent")
    app = graph.compile()
    original = ran(run, app, {"input": "tides"})

    assert repeats_itself(run, original, app, calls) == 6
    output, _ = rerun(original, app, original.before("agent"), {"plan": ["just this"]})
    assert output["response"] == "done: just this"


def test_reflection(run: Recorded, calls: Calls) -> None:
    generate = calls.thinking("generate", lambda m: f"essay {len(m)}")
    reflect = calls.thinking("reflect", lambda m: f"longer than {m[-1].content}")

    def generator(state: MessagesState) -> dict[str, Any]:
        return {"messages": [generate.invoke(state["messages"])]}

    def reflector(state: MessagesState) -> dict[str, Any]:
        swapped = [
            HumanMessage(m.content) if m.type == "ai" else AIMessage(m.content)
            for m in state["messages"]
        ]
        return {"messages": [HumanMessage(content=reflect.invoke(swapped).content)]}

    graph = StateGraph(MessagesState)
    graph.add_node("generate", generator).add_node("reflect", reflector)
    graph.add_edge(START, "generate").add_edge("reflect", "generate")
    graph.add_conditional_edges("generate", lambda s: END if len(s["messages"]) > 5 else "reflect")
    app = graph.compile()
    original = ran(run, app, {"messages": [("user", "write")]})

    assert repeats_itself(run, original, app, calls) == 6


def test_hierarchical_teams(run: Recorded, calls: Calls) -> None:
    def team(name: str, *members: str) -> Any:
        def member(who: str) -> Any:
            agent = create_agent(
                calls.thinking(who, lambda m, who=who: f"{who} did {m[-1].content[:20]}"),
                [calls.tool(f"{who}_tool", lambda x: x)],
                name=who,
            )

            def node(state: MessagesState) -> Command[Any]:
                result = agent.invoke(state)
                said = HumanMessage(content=result["messages"][-1].content, name=who)
                return Command(update={"messages": [said]}, goto="supervisor")

            return node

        def next_one(messages: Any) -> Any:
            done = {m.name for m in messages}
            left = [who for who in members if who not in done]
            return left[0] if left else "FINISH"

        boss = calls.thinking(f"{name}-boss", next_one)

        def supervisor(state: MessagesState) -> Command[Any]:
            goto = boss.invoke(state["messages"]).content
            return Command(goto=END if goto == "FINISH" else goto)

        graph = StateGraph(MessagesState)
        graph.add_node("supervisor", supervisor, destinations=(*members, END))
        for who in members:
            graph.add_node(who, member(who), destinations=("supervisor",))
        return graph.add_edge(START, "supervisor").compile(name=name)

    research, writing = team("research", "search", "scrape"), team("writing", "writer")

    def call_team(compiled: Any, name: str) -> Any:
        def node(state: MessagesState) -> Command[Literal["supervisor"]]:
            answer = compiled.invoke({"messages": [state["messages"][-1]]})["messages"][-1]
            said = HumanMessage(content=answer.content, name=name)
            return Command(update={"messages": [said]}, goto="supervisor")

        return node

    top = calls.thinking(
        "top",
        lambda m: {None: "research_team", "research_team": "writing_team"}.get(m[-1].name, "done"),
    )

    def supervisor(
        state: MessagesState,
    ) -> Command[Literal["research_team", "writing_team", "__end__"]]:
        goto = top.invoke(state["messages"]).content
        return Command(goto=END if goto == "done" else goto)

    graph = StateGraph(MessagesState).add_node(supervisor)
    graph.add_node("research_team", call_team(research, "research_team"))
    graph.add_node("writing_team", call_team(writing, "writing_team"))
    app = graph.add_edge(START, "supervisor").compile()
    original = ran(run, app, {"messages": [("user", "tides")]})

    assert repeats_itself(run, original, app, calls) == 6
    output, _ = rerun(
        original, app, original.before("writing_team"), {"messages/-1/content": "nothing"}
    )
    assert output["messages"][-1].content == "writer did nothing"


def test_agentic_rag(run: Recorded, calls: Calls) -> None:
    def retrieve(query: str) -> tuple[str, list[str]]:
        """Search the library."""
        calls["retrieve"] += 1
        return f"pages on {query}", ["page"]

    library = StructuredTool.from_function(
        retrieve, name="retrieve", response_format="content_and_artifact"
    )

    def think(messages: Any) -> Any:
        last = messages[-1].content
        if last.startswith("grade"):
            return "yes" if "sea" in last else "no"
        if last.startswith("rewrite"):
            return "sea tides"
        if last.startswith("answer"):
            return f"From {last[7:]}"
        return call("retrieve", query=last)

    model = calls.thinking("model", think)

    def agent(state: MessagesState) -> dict[str, Any]:
        return {"messages": [model.bind_tools([library]).invoke(state["messages"])]}

    def grade(state: MessagesState) -> Literal["generate", "rewrite"]:
        found = state["messages"][-1]
        assert found.artifact == ["page"]
        verdict = model.invoke(f"grade {found.content}").content
        return "generate" if verdict == "yes" else "rewrite"

    def rewrite(state: MessagesState) -> dict[str, Any]:
        return {"messages": [HumanMessage(model.invoke("rewrite tides").content)]}

    def generate(state: MessagesState) -> dict[str, Any]:
        return {"messages": [model.invoke(f"answer {state['messages'][-1].content}")]}

    graph = StateGraph(MessagesState)
    graph.add_node("agent", agent).add_node("retrieve", ToolNode([library]))
    graph.add_node(rewrite).add_node(generate)
    graph.add_edge(START, "agent")
    graph.add_conditional_edges("agent", tools_condition, {"tools": "retrieve", END: END})
    graph.add_conditional_edges("retrieve", grade)
    graph.add_edge("rewrite", "agent").add_edge("generate", END)
    app = graph.compile()
    original = ran(run, app, {"messages": [("user", "tides")]})

    assert repeats_itself(run, original, app, calls) == 7


def test_customer_support_that_asks_before_its_tools_run(run: Recorded, calls: Calls) -> None:
    saver = InMemorySaver()

    def book(flight: str) -> str:
        return f"booked {flight}"

    booking = calls.tool("book", book)

    def think(messages: Any) -> Any:
        if isinstance(messages[-1], ToolMessage):
            return f"Done: {messages[-1].content}"
        return call("book", flight="AF1")

    model = calls.thinking("model", think)

    class Dialog(TypedDict):
        messages: Annotated[list[AnyMessage], add_messages]
        passenger: str

    def fetch(state: Dialog, config: RunnableConfig) -> dict[str, Any]:
        return {"passenger": config["configurable"]["passenger_id"]}

    def assistant(state: Dialog) -> dict[str, Any]:
        return {"messages": [model.invoke([f"for {state['passenger']}", *state["messages"]])]}

    graph = StateGraph(Dialog).add_node("fetch", fetch).add_node("assistant", assistant)
    graph.add_node("tools", ToolNode([booking]))
    graph.add_edge(START, "fetch").add_edge("fetch", "assistant")
    graph.add_conditional_edges("assistant", tools_condition)
    graph.add_edge("tools", "assistant")
    app = graph.compile(checkpointer=saver, interrupt_before=["tools"])
    thread = {"configurable": {"thread_id": "t", "passenger_id": "3442"}}

    asked = ran(run, app, {"messages": [("user", "book me")]}, thread)
    allowed = ran(run, app, None, thread)
    calls.clear()

    assert repeats_itself(run, asked, app, calls) == 3
    assert repeats_itself(run, allowed, app, calls) == 2
    output, _ = rerun(allowed, app, allowed.before("tools"))
    assert output["messages"][-1].content == "Done: booked AF1"
    assert output["passenger"] == "3442"


@pytest.mark.parametrize("deep", [False, True])
def test_a_question_asked_inside_a_subgraph(run: Recorded, calls: Calls, deep: bool) -> None:
    think = calls.thinking("model", lambda m: f"<{m[-1].content}>")
    wipe = calls.tool("wipe", lambda what: f"wiped {what}")

    class State(TypedDict):
        text: str

    def prepare(state: State) -> dict[str, Any]:
        return {"text": think.invoke(state["text"]).content}

    def ask(state: State) -> dict[str, Any]:
        answer = interrupt(f"wipe {state['text']}?")
        return {"text": wipe.invoke({"what": state["text"]}) if answer else "kept"}

    inner = StateGraph(State).add_node("prepare", prepare).add_node("ask", ask)
    inner = inner.add_edge(START, "prepare").add_edge("prepare", "ask").compile()
    if deep:
        inner = StateGraph(State).add_node("middle", inner).add_edge(START, "middle").compile()

    def report(state: State) -> dict[str, Any]:
        return {"text": think.invoke(f"report {state['text']}").content}

    graph = StateGraph(State).add_node("team", inner).add_node("report", report)
    graph.add_edge(START, "team").add_edge("team", "report")
    app = graph.compile(checkpointer=InMemorySaver())
    thread = {"configurable": {"thread_id": "t"}}
    asked = ran(run, app, {"text": "disk"}, thread)
    answered = ran(run, app, Command(resume=True), thread)
    assert dict(calls) == {"model": 2, "wipe": 1}

    assert repeats_itself(run, asked, app, calls) == 2
    assert repeats_itself(run, answered, app, calls) == 2
    output, _ = rerun(answered, app, answered.before("team"), {"resume": False})
    assert output == {"text": "<report kept>"}
    assert calls["wipe"] == 0


def test_a_tool_that_asks_inside_a_prebuilt_agent(run: Recorded, calls: Calls) -> None:
    def send(to: str) -> str:
        """Send a mail."""
        answer = interrupt({"send to": to})
        calls["sent"] += answer == "ok"
        return f"{answer}: mail to {to}"

    tool = StructuredTool.from_function(send, name="send")
    model = calls.thinking(
        "model",
        lambda m: f"I did {m[-1].content}" if m[-1].type == "tool" else call("send", to="ada"),
    )
    app = create_agent(model, [tool], name="mailer", checkpointer=InMemorySaver())
    thread = {"configurable": {"thread_id": "t"}}
    asked = ran(run, app, {"messages": [("user", "mail ada")]}, thread)
    answered = ran(run, app, Command(resume="ok"), thread)

    assert repeats_itself(run, answered, app, calls) == 2
    output, _ = rerun(answered, app, answered.checkpoints[0])
    assert output["messages"][-1].content == "I did ok: mail to ada"
    assert calls["sent"] == 0
    output, _ = rerun(asked, app, asked.before("model"))
    assert output["__interrupt__"][0].value == {"send to": "ada"}
    with pytest.raises(ReplayStopped, match="--live-tools send"):
        rerun(answered, app, answered.checkpoints[0], {"resume": "no"})
    output, _ = rerun(answered, app, answered.checkpoints[0], {"resume": "no"}, live_tools={"send"})
    assert output["messages"][-1].content == "I did no: mail to ada"


def test_the_functional_api(run: Recorded, calls: Calls) -> None:
    model = calls.thinking("model", lambda m: f"<{m[-1].content}>")

    @task
    def outline(topic: str) -> str:
        return model.invoke(f"outline {topic}").content

    @task
    def draft(text: str) -> str:
        return model.invoke(f"draft {text}").content

    @entrypoint(checkpointer=InMemorySaver())
    def workflow(topic: str) -> str:
        text = draft(outline(topic).result()).result()
        return text + interrupt("fine?")

    thread = {"configurable": {"thread_id": "t"}}
    asked = ran(run, workflow, "tides", thread)
    answered = ran(run, workflow, Command(resume="!"), thread)
    calls.clear()

    assert repeats_itself(run, asked, workflow, calls) == 1
    assert repeats_itself(run, answered, workflow, calls) == 1
    output, _ = rerun(answered, workflow, answered.checkpoints[0])
    assert output == "<draft <outline tides>>!"
    rerun(asked, workflow, asked.checkpoints[0], {"input": "wind"})
    assert calls["model"] == 2


def test_a_store_is_read_and_never_written(run: Recorded, calls: Calls) -> None:
    store = InMemoryStore()
    store.put(("facts",), "sky", {"text": "blue"})
    model = calls.thinking("model", lambda m: f"<{m[-1].content}>")

    def remember(fact: str, store: Annotated[BaseStore, InjectedStore()]) -> str:
        """Remember a fact."""
        store.put(("facts",), "new", {"text": fact})
        return "ok"

    tool = StructuredTool.from_function(remember, name="remember")

    class State(TypedDict):
        text: str
        seen: list[str]

    def learn(state: State, *, store: BaseStore) -> dict[str, Any]:
        store.put(("facts",), "sea", {"text": model.invoke(state["text"]).content})
        store.delete(("facts",), "sky")
        return {}

    def recall(state: State, *, store: BaseStore) -> dict[str, Any]:
        found = store.search(("facts",))
        assert store.get(("facts",), "sky") is None
        return {"seen": sorted(item.value["text"] for item in found)}

    graph = StateGraph(State).add_node("learn", learn).add_node("recall", recall)
    app = graph.add_edge(START, "learn").add_edge("learn", "recall").compile(store=store)
    assert tool
    original = ran(run, app, {"text": "salty"})
    store.put(("facts",), "sky", {"text": "blue"})
    before = [(i.key, i.value, i.updated_at) for i in store.search(("facts",))]

    output, _ = rerun(original, app, original.before("learn"), {"text": "wet"})

    assert output["seen"] == ["<wet>"]
    assert [(i.key, i.value, i.updated_at) for i in store.search(("facts",))] == before


def test_what_a_graph_needs_at_run_time_is_given_again(run: Recorded, calls: Calls) -> None:
    @dataclass
    class Context:
        user: str
        link: Any = None

    class State(TypedDict):
        text: str

    def greet(state: State, runtime: Runtime[Context]) -> dict[str, Any]:
        return {"text": f"{runtime.context.user} {runtime.context.link}"}

    graph = StateGraph(State, context_schema=Context).add_node("greet", greet)
    app = graph.add_edge(START, "greet").compile()
    plain = ran(run, app, {"text": ""}, context=Context("ada"))
    linked = ran(run, app, {"text": ""}, context=Context("ada", object()))

    assert rerun(plain, app, plain.before("greet"))[0]["text"] == "ada None"
    with pytest.raises(ReplayError, match="link: <object object"):
        rerun(linked, app, linked.before("greet"))
    again = rerun(linked, lambda: (app, {"context": Context("ada", 7)}), linked.before("greet"))
    assert again[0]["text"] == "ada 7"


async def test_factories_and_async_graphs(run: Recorded, calls: Calls) -> None:
    model = calls.thinking("model", lambda m: f"{m[-1].content}?")

    class State(TypedDict):
        text: str

    async def ask(state: State) -> dict[str, Any]:
        return {"text": (await model.ainvoke(state["text"])).content}

    async def build() -> Any:
        return StateGraph(State).add_node("ask", ask).add_edge(START, "ask").compile()

    await (await build()).ainvoke({"text": "so"})
    original = Original(run.trace)
    calls.clear()

    replay = Replay("r", original.trace.trace_id, Recording.of(original.trace))
    output = await run_again(build, original.before("start"), [], replay)

    assert output == {"text": "so?"}
    assert not calls


def test_text_models_and_streams_of_both_kinds(run: Recorded, calls: Calls) -> None:
    class Text(FakeListLLM):
        def _call(self, *args: Any, **kwargs: Any) -> str:
            calls["text"] += 1
            return super()._call(*args, **kwargs)

    text, chat = Text(responses=["one", "two"]), calls.model("chat", "three words here")

    class State(TypedDict):
        said: list[str]

    def talk(state: State) -> dict[str, Any]:
        streamed = None
        for chunk in chat.stream("stream"):
            streamed = chunk if streamed is None else streamed + chunk
        assert streamed is not None
        batch = text.batch(["a", "b"])
        return {"said": [streamed.content.strip(), *batch, "".join(text.stream("c"))]}

    app = StateGraph(State).add_node("talk", talk).add_edge(START, "talk").compile()
    list(app.stream({"said": []}, stream_mode=["messages", "values"]))
    original = Original(run.trace)
    first = original.checkpoints[-1].state
    calls.clear()
    run.clear()

    output, replay = rerun(original, app, original.before("start"))

    assert output["said"][0] == "three words here"
    assert all(word in first for word in output["said"])
    assert not calls
    assert replay.counts["recorded"] == 4


def test_replays_that_run_at_once_keep_to_their_own_records(run: Recorded, calls: Calls) -> None:
    model = calls.thinking("model", lambda m: f"<{m[-1].content}>")
    lookup = calls.tool("lookup", lambda q: f"about {q}")

    class State(TypedDict):
        topic: str
        text: str

    def write(state: State) -> dict[str, Any]:
        facts = lookup.invoke({"q": "the same"})
        return {"text": model.invoke(f"{state['topic']} {facts}").content}

    app = StateGraph(State).add_node("write", write).add_edge(START, "write").compile()
    originals = [ran(run, app, {"topic": f"t{n}"}) for n in range(6)]
    calls.clear()
    outputs: dict[int, Any] = {}

    def replay(n: int) -> None:
        outputs[n] = rerun(originals[n], app, originals[n].before("write"))[0]["text"]

    threads = [threading.Thread(target=replay, args=(n,)) for n in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert outputs == {n: f"<t{n} about the same>" for n in range(6)}
    assert not calls
    app.invoke({"topic": "after"})
    assert dict(calls) == {"model": 1, "lookup": 1}


def test_a_cancelled_replay_ends_as_cancelled(run: Recorded, calls: Calls) -> None:
    model = calls.thinking("model", lambda m: f"<{m[-1].content}>")

    class State(TypedDict):
        n: int

    def count(state: State) -> dict[str, Any]:
        model.invoke(str(state["n"]))
        return {"n": state["n"] + 1}

    graph = StateGraph(State).add_node("count", count).add_edge(START, "count")
    graph.add_conditional_edges("count", lambda s: END if s["n"] > 5 else "count")
    app = graph.compile()
    original = ran(run, app, {"n": 0})

    def cancel(counts: Any) -> None:
        if counts["recorded"] == 3:
            replay.cancel()

    replay = Replay("r", "t", Recording.of(original.trace), progress=cancel)
    with pytest.raises(ReplayCancelled):
        run_again(app, original.before("start"), [], replay)
    assert replay.counts["recorded"] == 3


def test_a_run_that_hit_its_limit_hits_it_again(run: Recorded, calls: Calls) -> None:
    class State(TypedDict):
        n: int

    graph = StateGraph(State).add_node("count", lambda s: {"n": s["n"] + 1})
    graph.add_edge(START, "count").add_edge("count", "count")
    app = graph.compile()
    with pytest.raises(GraphRecursionError):
        app.invoke({"n": 0}, {"recursion_limit": 5})
    original = Original(run.trace)

    for checkpoint in (original.before("start"), original.before("count")):
        with pytest.raises(GraphRecursionError):
            rerun(original, app, checkpoint)


def test_a_tool_that_reads_the_state_depends_on_it(run: Recorded, calls: Calls) -> None:
    def count(word: str, state: Annotated[dict, InjectedState]) -> str:
        """Count."""
        calls["count"] += 1
        return f"{len(state['messages'])} messages"

    tool = StructuredTool.from_function(count, name="count")
    model = calls.thinking(
        "model", lambda m: "done" if m[-1].type == "tool" else call("count", word="x")
    )
    app = create_agent(model, [tool])
    original = ran(run, app, {"messages": [("user", "hi")]})

    assert repeats_itself(run, original, app, calls) == 4
    with pytest.raises(ReplayStopped, match="another input"):
        rerun(original, app, original.before("start"), {"input/messages/0/1": "ho"})
    assert calls["count"] == 0


def test_a_replay_of_a_replay(run: Recorded, calls: Calls) -> None:
    model = calls.thinking("model", lambda m: f"<{m[-1].content}>")

    class State(TypedDict):
        text: str
        log: deque

    def one(state: State) -> dict[str, Any]:
        return {"text": model.invoke(state["text"]).content, "log": deque([1])}

    graph = StateGraph(State).add_node("one", one).add_node("two", one)
    app = graph.add_edge(START, "one").add_edge("one", "two").compile()
    first = ran(run, app, {"text": "x"})
    run.clear()
    rerun(first, app, first.before("one"), {"text": "y"})
    second = Original(run.trace)
    run.clear()
    output, _ = rerun(second, app, second.before("two"), {"text": "z"})
    third = Original(run.trace)

    assert output["text"] == "<z>"
    assert repeats_itself(run, third, app, calls) == 1
    assert said(third.trace)


def test_a_graph_that_has_changed_says_so(run: Recorded, calls: Calls) -> None:
    class State(TypedDict):
        text: str

    def app(name: str) -> Any:
        graph = StateGraph(State).add_node(name, lambda s: {"text": "x"})
        return graph.add_edge(START, name).compile()

    original = ran(run, app("old"), {"text": ""})

    with pytest.raises(ReplayError, match=r"no node 'old'.*it has new"):
        rerun(original, app("new"), original.before("old"))
    with pytest.raises(ReplayError, match="needs a compiled graph"):
        rerun(original, lambda: "graph", original.before("old"))
