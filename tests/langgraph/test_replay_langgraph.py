"""LangGraph applications run again from their checkpoints, answered from the record."""

import operator
from typing import Annotated, Any, Literal, TypedDict

import pytest
from langchain.agents import create_agent
from langchain_core.messages import AIMessage, AnyMessage, HumanMessage, ToolMessage
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import END, START, MessagesState, StateGraph
from langgraph.graph.message import add_messages
from langgraph.prebuilt import ToolNode, tools_condition
from langgraph.types import Command, Send, interrupt

from agenttrace.errors import EditError, ReplayError, ReplayStopped
from agenttrace.semconv import AGENTTRACE_REPLAY_ID, AGENTTRACE_REPLAY_TIER
from support.langgraph_apps import call
from support.langgraph_replays import Calls, Original, repeats_itself, rerun
from support.recorded import Recorded


@pytest.fixture
def calls() -> Calls:
    return Calls()


def supervised(calls: Calls) -> Any:
    """A supervisor that routes by `Command`, and two workers, one of which has a tool."""
    figures = calls.tool("figures", lambda year: f"{year}: 12 GWh")
    boss = calls.thinking("boss", lambda m: "writer" if "GWh" in m[-1].content else "researcher")
    finder = calls.thinking("finder", lambda m: f"I found {m[-1].content}")
    scribe = calls.thinking("scribe", lambda m: f"REPORT of <{m[-1].content}>")

    def supervisor(state: MessagesState) -> Command[Literal["researcher", "writer", "__end__"]]:
        if state["messages"][-1].name == "writer":
            return Command(goto=END)
        goto = boss.invoke(state["messages"]).content
        said = AIMessage(f"over to {goto}", name="supervisor")
        return Command(goto=goto, update={"messages": [said] if goto == "researcher" else []})

    def researcher(state: MessagesState) -> Command[Literal["supervisor"]]:
        found = figures.invoke({"year": 2024})
        answer = finder.invoke([HumanMessage(found)])
        said = AIMessage(answer.content, name="researcher")
        return Command(goto="supervisor", update={"messages": [said]})

    def writer(state: MessagesState) -> Command[Literal["supervisor"]]:
        said = AIMessage(scribe.invoke(state["messages"]).content, name="writer")
        return Command(goto="supervisor", update={"messages": [said]})

    graph = StateGraph(MessagesState)
    for node in (supervisor, researcher, writer):
        graph.add_node(node)
    graph.add_edge(START, "supervisor")
    return graph.compile()


def ran(run: Recorded, app: Any, given: Any, *args: Any, **more: Any) -> Original:
    app.invoke(given, *args, **more)
    return Original(run.trace)


def test_a_supervised_team_repeats_itself_without_a_call(run: Recorded, calls: Calls) -> None:
    app = supervised(calls)
    original = ran(run, app, {"messages": [("user", "how much?")]})

    assert dict(calls) == {"boss": 2, "figures": 1, "finder": 1, "scribe": 1}
    assert repeats_itself(run, original, app, calls) == 6


def test_an_edited_message_changes_what_comes_after_it_and_nothing_before(
    run: Recorded, calls: Calls
) -> None:
    app = supervised(calls)
    original = ran(run, app, {"messages": [("user", "how much?")]})
    calls.clear()
    run.clear()

    output, replay = rerun(
        original, app, original.before("writer"), {"messages/-1/content": "nothing, 0 GWh"}
    )

    assert output["messages"][-1].content == "REPORT of <nothing, 0 GWh>"
    assert dict(calls) == {"scribe": 1}
    assert replay.counts == {"restored": 4, "recorded": 0, "live": 1}


def test_an_edit_that_takes_the_other_way_stops_at_a_tool_that_is_not_in_the_record(
    run: Recorded, calls: Calls
) -> None:
    app = supervised(calls)
    original = ran(run, app, {"messages": [("user", "how much?")]})
    again = [c for c in original.checkpoints if c.label == "before supervisor"][1]
    calls.clear()

    with pytest.raises(ReplayStopped, match="--live-tools figures"):
        rerun(original, app, again, {"messages/-1/content": "no idea"})
    assert calls["figures"] == 0

    output, _ = rerun(
        original, app, again, {"messages/-1/content": "no idea"}, live_tools={"figures"}
    )
    assert calls["figures"] == 1
    assert output["messages"][-1].content.startswith("REPORT")


def test_a_live_replay_asks_the_models_and_not_the_tools(run: Recorded, calls: Calls) -> None:
    app = supervised(calls)
    original = ran(run, app, {"messages": [("user", "how much?")]})
    calls.clear()

    rerun(original, app, original.before("start"), mode="live")

    assert dict(calls) == {"boss": 2, "finder": 1, "scribe": 1}


def test_spans_of_a_replay_say_where_they_come_from(run: Recorded, calls: Calls) -> None:
    app = supervised(calls)
    original = ran(run, app, {"messages": [("user", "how much?")]})
    run.clear()

    rerun(original, app, original.before("researcher"), {"messages/0/content": "changed"})

    spans = run.trace.spans
    tiers = [(s.name.split()[0], s.agent, s.attributes[AGENTTRACE_REPLAY_TIER]) for s in spans]
    assert tiers[0] == ("invoke_workflow", None, "restored")
    assert ("invoke_agent", "researcher", "recorded") in tiers
    assert ("invoke_agent", "writer", "live") in tiers
    assert ("execute_tool", None, "recorded") in tiers
    assert {s.attributes[AGENTTRACE_REPLAY_ID] for s in spans} == {"replay-1"}


class Story(TypedDict):
    topic: str
    outline: str
    draft: str


def chain(calls: Calls, **compiled: Any) -> Any:
    """Static edges: outline, then draft, then review."""
    think = calls.thinking("model", lambda m: f"({m[-1].content})")

    def outline(state: Story) -> dict[str, Any]:
        return {"outline": think.invoke(f"outline {state['topic']}").content}

    def draft(state: Story) -> dict[str, Any]:
        return {"draft": think.invoke(f"draft {state['outline']}").content}

    graph = StateGraph(Story).add_node(outline).add_node("drafter", draft)
    graph.add_edge(START, "outline").add_edge("outline", "drafter")
    return graph.compile(**compiled)


def test_a_chain_repeats_itself_and_follows_an_edit_of_its_state(
    run: Recorded, calls: Calls
) -> None:
    app = chain(calls)
    original = ran(run, app, {"topic": "tides"})

    assert repeats_itself(run, original, app, calls) == 3
    output, _ = rerun(original, app, original.before("drafter"), {"outline": "mine"})
    assert output == {"topic": "tides", "outline": "mine", "draft": "(draft mine)"}
    assert calls["model"] == 1


def test_the_input_can_be_edited_before_anything_ran(run: Recorded, calls: Calls) -> None:
    app = chain(calls)
    original = ran(run, app, {"topic": "tides"})

    output, replay = rerun(original, app, original.before("start"), {"input/topic": "wind"})

    assert output["outline"] == "(outline wind)"
    assert replay.counts["live"] == 2


def test_a_key_that_had_no_value_can_be_set(run: Recorded, calls: Calls) -> None:
    app = chain(calls)
    original = ran(run, app, {"topic": "tides"})

    output, _ = rerun(original, app, original.before("outline"), {"draft": "early"})

    assert output["draft"].startswith("(draft")


@pytest.mark.parametrize("path", ["nothing/here", "topic/3", "outlin"])
def test_an_edit_that_does_not_fit_says_what_there_is(
    run: Recorded, calls: Calls, path: str
) -> None:
    app = chain(calls)
    original = ran(run, app, {"topic": "tides"})

    with pytest.raises(EditError, match="topic"):
        rerun(original, app, original.before("drafter"), {path: "x"})


def test_the_users_thread_and_saver_stay_as_they_were(run: Recorded, calls: Calls) -> None:
    saver = InMemorySaver()
    app = chain(calls, checkpointer=saver)
    original = ran(run, app, {"topic": "tides"}, {"configurable": {"thread_id": "t1"}})
    before = _contents(saver)

    for checkpoint in original.checkpoints[:-1]:
        rerun(original, app, checkpoint, {"topic": "wind"})

    assert _contents(saver) == before
    assert app.checkpointer is saver


def _contents(saver: InMemorySaver) -> Any:
    """Everything a saver holds, as bytes where it is."""
    return (
        {k: {n: dict(v) for n, v in ns.items()} for k, ns in saver.storage.items()},
        dict(saver.blobs),
        {k: dict(v) for k, v in saver.writes.items()},
    )


class Parts(TypedDict):
    topics: list[str]
    found: Annotated[list[str], operator.add]
    summary: str


def map_reduce(calls: Calls) -> Any:
    """One `Send` per topic, in parallel; each worker asks the same first question."""
    think = calls.thinking("model", lambda m: f"{m[-1].content}!")
    lookup = calls.tool("lookup", lambda topic: f"facts on {topic}")

    def plan(state: Parts) -> dict[str, Any]:
        think.invoke("plan")
        return {}

    def fan_out(state: Parts) -> list[Send]:
        return [Send("worker", {"topic": topic}) for topic in state["topics"]]

    def worker(state: dict[str, Any]) -> dict[str, Any]:
        think.invoke("what are my rules?")
        facts = lookup.invoke({"topic": state["topic"]})
        return {"found": [think.invoke(facts).content]}

    def join(state: Parts) -> dict[str, Any]:
        return {"summary": think.invoke(" + ".join(sorted(state["found"]))).content}

    graph = StateGraph(Parts).add_node(plan).add_node(worker).add_node(join)
    graph.add_edge(START, "plan").add_conditional_edges("plan", fan_out, ["worker"])
    graph.add_edge("worker", "join")
    return graph.compile()


def test_what_was_sent_in_parallel_repeats_itself(run: Recorded, calls: Calls) -> None:
    app = map_reduce(calls)
    original = ran(run, app, {"topics": ["a", "b", "c"]})

    assert repeats_itself(run, original, app, calls) == 4


def test_one_branch_that_diverges_leaves_the_others_their_answers(
    run: Recorded, calls: Calls
) -> None:
    app = map_reduce(calls)
    original = ran(run, app, {"topics": ["a", "b", "c"]})
    calls.clear()

    output, replay = rerun(
        original,
        app,
        original.before("worker"),
        {"sends/1/arg/topic": "z"},
        live_tools={"lookup"},
    )

    assert "facts on z!" in output["summary"]
    assert calls["lookup"] == 3  # it may run, so it does
    calls.clear()
    with pytest.raises(ReplayStopped):
        rerun(original, app, original.before("worker"), {"sends/1/arg/topic": "z"})
    assert calls["lookup"] == 0
    assert replay.counts["live"] == 3 + 2  # the tools, the diverging worker's model, the summary


def approving(calls: Calls, saver: Any) -> Any:
    """A draft that a human approves in the middle of a step; another branch runs beside it."""
    think = calls.thinking("model", lambda m: f"<{m[-1].content}>")
    send = calls.tool("send_mail", lambda text: f"sent {text}")

    class State(TypedDict):
        draft: str
        note: str
        log: Annotated[list[str], operator.add]

    def write(state: State) -> dict[str, Any]:
        return {"draft": think.invoke("draft").content}

    def approve(state: State) -> dict[str, Any]:
        answer = interrupt({"send this?": state["draft"]})
        think.invoke(f"the user said {answer}")
        return {"log": [send.invoke({"text": state["draft"]}) if answer == "yes" else "dropped"]}

    def archive(state: State) -> dict[str, Any]:
        return {"note": think.invoke("archive").content}

    graph = StateGraph(State)
    graph.add_node("write", write).add_node("approve", approve).add_node("archive", archive)
    graph.add_edge(START, "write").add_edge("write", "approve").add_edge("write", "archive")
    return graph.compile(checkpointer=saver)


def test_a_question_is_asked_again_and_a_given_answer_is_given_again(
    run: Recorded, calls: Calls
) -> None:
    saver = InMemorySaver()
    app = approving(calls, saver)
    thread = {"configurable": {"thread_id": "t"}}
    asked = ran(run, app, {"log": []}, thread)
    run.clear()
    answered = ran(run, app, Command(resume="yes"), thread)
    before = _contents(saver)

    output, _ = rerun(asked, app, asked.before("start"))
    assert output["__interrupt__"][0].value == {"send this?": "<draft>"}
    assert repeats_itself(run, asked, app, calls) == 3

    output, _ = rerun(answered, app, answered.checkpoints[0])
    assert (output["log"], output["note"]) == (["sent <draft>"], "<archive>")
    assert repeats_itself(run, answered, app, calls) == 1

    output, replay = rerun(answered, app, answered.checkpoints[0], {"resume": "no"})
    assert output["log"] == ["dropped"]
    assert calls["send_mail"] == 0
    assert replay.counts["live"] == 1
    assert _contents(saver) == before


def nested(calls: Calls) -> Any:
    """A team as a node of another graph."""
    think = calls.thinking("model", lambda m: f"{m[-1].content}~")

    class Inner(TypedDict):
        messages: Annotated[list[AnyMessage], add_messages]

    def first(state: Inner) -> dict[str, Any]:
        return {"messages": [AIMessage(think.invoke(state["messages"]).content, name="first")]}

    def second(state: Inner) -> dict[str, Any]:
        return {"messages": [AIMessage(think.invoke(state["messages"]).content, name="second")]}

    team = StateGraph(Inner).add_node("first", first).add_node("second", second)
    team.add_edge(START, "first").add_edge("first", "second")

    def report(state: Inner) -> dict[str, Any]:
        return {"messages": [AIMessage(think.invoke(state["messages"]).content, name="report")]}

    graph = StateGraph(Inner).add_node("team", team.compile()).add_node("report", report)
    graph.add_edge(START, "team").add_edge("team", "report")
    return graph.compile()


def test_a_subgraph_starts_over_from_its_parents_checkpoint(run: Recorded, calls: Calls) -> None:
    app = nested(calls)
    original = ran(run, app, {"messages": [("user", "go")]})

    assert repeats_itself(run, original, app, calls) == 3
    output, _ = rerun(original, app, original.before("team"), {"messages/0/content": "stop"})
    assert output["messages"][-1].content == "stop~~~"


def test_a_checkpoint_inside_a_subgraph_says_where_to_go_instead(
    run: Recorded, calls: Calls
) -> None:
    app = nested(calls)
    original = ran(run, app, {"messages": [("user", "go")]})
    inside = original.before("team: before second")

    instead = original.before("team").checkpoint_id
    with pytest.raises(ReplayError, match=f"go back to checkpoint {instead}"):
        rerun(original, app, inside)


def weather_agent(calls: Calls) -> Any:
    def think(messages: Any) -> Any:
        if isinstance(messages[-1], ToolMessage):
            return f"It is {messages[-1].content} there"
        return call("weather", "let me look", city="Brest")

    model = calls.thinking("model", think)
    return create_agent(model, [calls.tool("weather", lambda city: f"rainy in {city}")])


def test_a_prebuilt_agent_repeats_itself_and_believes_an_edited_tool_result(
    run: Recorded, calls: Calls
) -> None:
    app = weather_agent(calls)
    original = ran(run, app, {"messages": [("user", "weather?")]})
    assert repeats_itself(run, original, app, calls) == 4

    last = [c for c in original.checkpoints if c.label == "before model"][1]
    output, _ = rerun(original, app, last, {"messages/2/content": "sunny"})

    assert output["messages"][-1].content == "It is sunny there"
    assert dict(calls) == {"model": 1}


def test_messages_can_be_added_in_plain_words(run: Recorded, calls: Calls) -> None:
    app = weather_agent(calls)
    original = ran(run, app, {"messages": [("user", "weather?")]})

    output, _ = rerun(
        original,
        app,
        original.before("start"),
        {"input/messages/-": {"role": "user", "content": "please"}},
        live_tools="all",
    )

    assert [m.content for m in output["messages"]][:2] == ["weather?", "please"]


def looping(calls: Calls) -> Any:
    """A writer and a critic, until the critic is content: calls with equal inputs, new answers."""
    critic = calls.model("critic", "worse", "bad", "fine")
    writer = calls.thinking("writer", lambda m: f"v{len(m)}")

    def write(state: MessagesState) -> dict[str, Any]:
        return {"messages": [writer.invoke(state["messages"])]}

    def review(state: MessagesState) -> dict[str, Any]:
        return {"messages": [HumanMessage(critic.invoke("Judge the newest version").content)]}

    def content(state: MessagesState) -> str:
        return END if state["messages"][-1].content == "fine" else "write"

    graph = StateGraph(MessagesState).add_node("write", write).add_node("review", review)
    graph.add_edge(START, "write").add_edge("write", "review")
    graph.add_conditional_edges("review", content, ["write", END])
    return graph.compile()


def test_a_loop_repeats_itself_from_each_round(run: Recorded, calls: Calls) -> None:
    app = looping(calls)
    original = ran(run, app, {"messages": [("user", "write")]})

    assert repeats_itself(run, original, app, calls) == 7


def swarm(calls: Calls) -> Any:
    """Agents that hand over by a tool that returns a `Command` to the graph around them."""
    from typing import Annotated as Ann

    from langchain_core.tools import InjectedToolCallId, tool
    from langgraph.prebuilt import InjectedState

    @tool
    def transfer_to_billing(
        reason: str,
        state: Ann[dict, InjectedState],
        tool_call_id: Ann[str, InjectedToolCallId],
    ) -> Command:
        """Hand over to billing."""
        calls["transfer"] += 1
        done = ToolMessage("over to billing", tool_call_id=tool_call_id)
        return Command(
            goto="billing", graph=Command.PARENT, update={"messages": [*state["messages"], done]}
        )

    front = calls.thinking(
        "front", lambda m: call("transfer_to_billing", reason=m[0].content, id_="x")
    )
    bill = calls.thinking("bill", lambda m: f"settled: {m[0].content}")
    graph = StateGraph(MessagesState)
    graph.add_node("front", create_agent(front, [transfer_to_billing], name="front"))
    graph.add_node("billing", create_agent(bill, [], name="billing"))
    graph.add_edge(START, "front")
    return graph.compile()


def test_a_handoff_by_a_tool_is_recorded_and_steers_anew_where_it_must(
    run: Recorded, calls: Calls
) -> None:
    app = swarm(calls)
    original = ran(run, app, {"messages": [("user", "pay")]})
    assert calls["transfer"] == 1
    assert repeats_itself(run, original, app, calls) == 3

    output, _ = rerun(original, app, original.before("front"), {"messages/0/content": "refund"})

    assert output["messages"][-1].content == "settled: refund"
    assert dict(calls) == {"front": 1, "transfer": 1, "bill": 1}


def test_errors_inside_a_replay_are_the_applications_own(run: Recorded, calls: Calls) -> None:
    class State(TypedDict):
        n: int
        out: str

    def divide(state: State) -> dict[str, Any]:
        return {"out": str(10 / state["n"])}

    graph = StateGraph(State).add_node("divide", divide).add_edge(START, "divide").compile()
    original = ran(run, graph, {"n": 5})
    run.clear()

    with pytest.raises(ZeroDivisionError):
        rerun(original, graph, original.before("divide"), {"n": 0})
    assert [s.error for s in run.trace.spans if s.kind == "agent"] != [None]


def test_what_a_tool_raised_it_raises_again(run: Recorded, calls: Calls) -> None:
    def fail(city: str) -> str:
        raise ValueError(f"no such city: {city}")

    weather = calls.tool("weather", fail)

    def ask(state: MessagesState) -> dict[str, Any]:
        try:
            return {"messages": [AIMessage(weather.invoke({"city": "Ys"}))]}
        except ValueError as error:
            return {"messages": [AIMessage(f"failed: {error}")]}

    app = StateGraph(MessagesState).add_node("ask", ask).add_edge(START, "ask").compile()
    original = ran(run, app, {"messages": [("user", "?")]})

    assert repeats_itself(run, original, app, calls) == 2


def test_a_tool_node_that_handles_errors_does_not_handle_a_stopped_replay(
    run: Recorded, calls: Calls
) -> None:
    weather = calls.tool("weather", lambda city: "rain")
    model = calls.thinking(
        "model", lambda m: "done" if m[-1].type == "tool" else call("weather", city=m[-1].content)
    )
    graph = StateGraph(MessagesState)
    graph.add_node("agent", lambda s: {"messages": [model.invoke(s["messages"])]})
    graph.add_node("tools", ToolNode([weather], handle_tool_errors=True))
    graph.add_edge(START, "agent").add_conditional_edges("agent", tools_condition)
    graph.add_edge("tools", "agent")
    app = graph.compile()
    original = ran(run, app, {"messages": [("user", "Brest")]})
    calls.clear()

    with pytest.raises(ReplayStopped, match="another input"):
        rerun(original, app, original.before("start"), {"input/messages/0/1": "Quimper"})
    assert dict(calls) == {"model": 1}
    stopped = [trace for trace in run.traces if trace.trace_id != original.trace.trace_id]
    assert ["ReplayStopped" in (span.error or "") for span in stopped[0].roots] == [True]


async def test_an_async_application_repeats_itself(run: Recorded, calls: Calls) -> None:
    think = calls.thinking("model", lambda m: f"{m[-1].content}?")

    async def ask(state: Story) -> dict[str, Any]:
        parts = [chunk.content async for chunk in think.astream(state["topic"])]
        return {"draft": "".join(parts).strip()}

    app = StateGraph(Story).add_node("ask", ask).add_edge(START, "ask").compile()
    await app.ainvoke({"topic": "tides"})
    original = Original(run.trace)
    calls.clear()
    run.clear()

    import asyncio

    output, replay = await asyncio.to_thread(rerun, original, app, original.before("ask"))

    assert output["draft"] == "tides?"
    assert not calls
    assert replay.counts["recorded"] == 1
