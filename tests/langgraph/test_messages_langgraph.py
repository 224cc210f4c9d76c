"""Who says what to whom in real LangGraph applications."""

import operator
from typing import Annotated, Any, Literal, TypedDict

import pytest
from langchain.agents import create_agent
from langchain.tools import InjectedState
from langchain_core.messages import AIMessage, HumanMessage, ToolMessage
from langchain_core.tools import InjectedToolCallId, tool
from langgraph.cache.memory import InMemoryCache
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.func import entrypoint, task
from langgraph.graph import END, START, MessagesState, StateGraph
from langgraph.prebuilt import ToolNode, tools_condition
from langgraph.types import CachePolicy, Command, Overwrite, RetryPolicy, Send, interrupt
from opentelemetry.context import attach, detach, get_value, set_value

from agenttrace import semconv
from support.langgraph_apps import call, model, search, team
from support.recorded import Recorded, causes, said


def agents(run: Recorded) -> set[str]:
    return {agent.name for agent in run.trace.agents}


def spoken(run: Recorded) -> list[tuple[str, str, str, str]]:
    assert all(m.provenance == "observed" for m in run.trace.messages)
    return said(run.trace)


def says(name: str, text: str) -> Any:
    def node(state: MessagesState) -> dict[str, Any]:
        return {"messages": [AIMessage(text, name=name)]}

    return node


def test_in_a_chain_each_passes_its_words_to_the_next(run: Recorded) -> None:
    graph = StateGraph(MessagesState)
    for name, text in (("planner", "the plan"), ("coder", "the code"), ("tester", "all green")):
        graph.add_node(name, says(name, text))
    graph.add_edge(START, "planner")
    graph.add_edge("planner", "coder")
    graph.add_edge("coder", "tester")
    graph.add_edge("tester", END)
    graph.compile().invoke({"messages": [("user", "build it")]})

    assert spoken(run) == [
        ("user", "planner", "task", "build it"),
        ("planner", "coder", "task", "the plan"),
        ("coder", "tester", "task", "the code"),
        ("tester", "user", "result", "all green"),
    ]
    assert causes(run.trace) == [(0, None), (1, 0), (2, 1), (3, 2)]
    assert agents(run) == {"planner", "coder", "tester"}


class Draft(TypedDict):
    text: str
    rounds: int


def test_a_state_update_is_what_was_said_where_there_are_no_messages(run: Recorded) -> None:
    def write(state: Draft) -> dict[str, Any]:
        return {"text": f"draft {state['rounds']}", "rounds": state["rounds"] + 1}

    def review(state: Draft) -> dict[str, Any]:
        return dict(state)  # hands the whole state back, and says nothing new

    def decide(state: Draft) -> Literal["write", "__end__"]:
        return "write" if state["rounds"] < 2 else "__end__"

    graph = StateGraph(Draft)
    graph.add_node("writer", write)
    graph.add_node("reviewer", review)
    graph.add_edge(START, "writer")
    graph.add_edge("writer", "reviewer")
    graph.add_conditional_edges("reviewer", decide, {"write": "writer", "__end__": END})
    graph.compile().invoke({"text": "", "rounds": 0})

    assert spoken(run) == [
        ("user", "writer", "task", '{"text":"","rounds":0}'),
        ("writer", "reviewer", "task", '{"text":"draft 0","rounds":1}'),
        ("reviewer", "writer", "result", '{"text":"draft 0","rounds":1}'),
        ("writer", "reviewer", "task", '{"text":"draft 1","rounds":2}'),
        ("reviewer", "user", "result", '{"text":"draft 1","rounds":2}'),
    ]


def test_a_command_hands_off(run: Recorded) -> None:
    def alice(state: MessagesState) -> Command[Literal["bob", "carol"]]:
        return Command(goto="bob", update={"messages": [AIMessage("bob, you know this")]})

    def bob(state: MessagesState) -> Command[Literal["alice", "carol"]]:
        return Command(goto="carol", update={"messages": [AIMessage("carol, please check")]})

    def carol(state: MessagesState) -> Command[Literal["alice", "__end__"]]:
        return Command(goto=END, update={"messages": [AIMessage("checked")]})

    graph = StateGraph(MessagesState)
    for node in (alice, bob, carol):
        graph.add_node(node)
    graph.add_edge(START, "alice")
    graph.compile().invoke({"messages": [("user", "help")]})

    assert spoken(run) == [
        ("user", "alice", "task", "help"),
        ("alice", "bob", "handoff", "bob, you know this"),
        ("bob", "carol", "handoff", "carol, please check"),
        ("carol", "user", "result", "checked"),
    ]


def test_a_worker_that_can_only_go_back_to_its_supervisor_reports(run: Recorded) -> None:
    def supervisor(state: MessagesState) -> Command[Literal["coder", "tester", "__end__"]]:
        done = [m.name for m in state["messages"] if m.name]
        goto = "coder" if not done else "tester" if done[-1] == "coder" else END
        return Command(goto=goto)

    def worker(name: str) -> Any:
        def work(state: MessagesState) -> Command[Literal["supervisor"]]:
            said = HumanMessage(f"{name} is done", name=name)
            return Command(goto="supervisor", update={"messages": [said]})

        return work

    graph = StateGraph(MessagesState)
    graph.add_node(supervisor)
    for name in ("coder", "tester"):
        graph.add_node(name, worker(name), destinations=("supervisor",))
    graph.add_edge(START, "supervisor")
    graph.compile().invoke({"messages": [("user", "ship it")]})

    # The supervisor says nothing of its own: it passes on what it was told, and ends with the
    # last word there is.
    assert spoken(run) == [
        ("user", "supervisor", "task", "ship it"),
        ("supervisor", "coder", "handoff", "ship it"),
        ("coder", "supervisor", "result", "coder is done"),
        ("supervisor", "tester", "handoff", "coder is done"),
        ("tester", "supervisor", "result", "tester is done"),
        ("supervisor", "user", "result", "tester is done"),
    ]


def test_a_supervisor_that_only_decides_said_what_its_model_said(run: Recorded) -> None:
    router = model('{"next": "worker"}', '{"next": "FINISH"}')

    class Routed(MessagesState):
        next: str

    def supervisor(state: Routed) -> dict[str, Any]:
        decision = str(router.invoke(state["messages"]).text)
        return {"next": "worker" if "worker" in decision else "FINISH"}

    graph = StateGraph(Routed)
    graph.add_node(supervisor)
    graph.add_node("worker", says("worker", "the answer is 4"))
    graph.add_edge(START, "supervisor")
    graph.add_conditional_edges(
        "supervisor", lambda s: s["next"], {"worker": "worker", "FINISH": END}
    )
    graph.add_edge("worker", "supervisor")
    graph.compile().invoke({"messages": [("user", "2+2?")]})

    assert spoken(run) == [
        ("user", "supervisor", "task", "2+2?"),
        ("supervisor", "worker", "task", '{"next": "worker"}'),
        ("worker", "supervisor", "result", "the answer is 4"),
        ("supervisor", "user", "result", "the answer is 4"),
    ]


def transfer_to(agent: str) -> Any:
    @tool(f"transfer_to_{agent}", description=f"Ask {agent} for help")
    def transfer(
        reason: str,
        state: Annotated[dict[str, Any], InjectedState],
        tool_call_id: Annotated[str, InjectedToolCallId],
    ) -> Command[Any]:
        done = ToolMessage(f"Transferred to {agent}", tool_call_id=tool_call_id)
        return Command(
            graph=Command.PARENT,
            goto=agent,
            update={"messages": [*state["messages"], done], "active": agent},
        )

    return transfer


class Swarm(MessagesState):
    active: str


def swarm(*agents: Any) -> Any:
    graph = StateGraph(Swarm)
    for agent in agents:
        graph.add_node(agent.name, agent, destinations=("alice", "bob"))
    graph.add_conditional_edges(START, lambda s: s.get("active") or "alice", ["alice", "bob"])
    return graph.compile(name="swarm")


def test_in_a_swarm_a_transfer_tool_hands_off_with_its_arguments(run: Recorded) -> None:
    alice = create_agent(
        model(call("transfer_to_bob", reason="he speaks pirate"), "It is 4."),
        [transfer_to("bob")],
        name="alice",
        system_prompt="You are Alice, an addition expert.\nBe brief.",
    )
    bob = create_agent(
        model(call("transfer_to_alice", "Sums are for Alice.", reason="sums")),
        [transfer_to("alice")],
        name="bob",
    )
    swarm(alice, bob).invoke({"messages": [("user", "talk to bob")]})

    assert spoken(run) == [
        ("user", "alice", "task", "talk to bob"),
        ("alice", "bob", "handoff", "he speaks pirate"),
        ("bob", "alice", "handoff", "Sums are for Alice."),
        ("alice", "user", "result", "It is 4."),
    ]
    assert {a.name: a.role for a in run.trace.agents} == {
        "alice": "You are Alice, an addition expert.",
        "bob": None,
    }


def test_prebuilt_agents_in_a_team_are_one_agent_each(run: Recorded) -> None:
    researcher = create_agent(
        model(call("search", "Let me look.", q="llamas"), "Llamas hum."), [search], name="expert"
    )
    graph = StateGraph(MessagesState)
    graph.add_node("chief", says("chief", "Find out about llamas."))
    graph.add_node("researcher", researcher)
    graph.add_edge(START, "chief")
    graph.add_edge("chief", "researcher")
    graph.compile().invoke({"messages": [("user", "llamas?")]})

    assert spoken(run) == [
        ("user", "chief", "task", "llamas?"),
        ("chief", "researcher", "task", "Find out about llamas."),
        ("researcher", "user", "result", "Llamas hum."),
    ]
    assert agents(run) == {"chief", "researcher"}


def test_an_agent_run_by_a_node_is_that_nodes_unless_it_has_a_name_of_its_own(
    run: Recorded,
) -> None:
    unnamed = create_agent(model("from the unnamed"), [])
    named = create_agent(model("from the expert"), [], name="expert")

    def first(state: MessagesState) -> dict[str, Any]:
        return {"messages": [unnamed.invoke({"messages": state["messages"]})["messages"][-1]]}

    def second(state: MessagesState) -> dict[str, Any]:
        answer = named.invoke({"messages": [("user", "what do you think?")]})["messages"][-1]
        return {"messages": [AIMessage(f"I heard: {answer.text}")]}

    graph = StateGraph(MessagesState)
    graph.add_node(first)
    graph.add_node(second)
    graph.add_edge(START, "first")
    graph.add_edge("first", "second")
    graph.compile().invoke({"messages": [("user", "go")]})

    assert spoken(run) == [
        ("user", "first", "task", "go"),
        ("first", "second", "task", "from the unnamed"),
        ("second", "expert", "task", "what do you think?"),
        ("expert", "second", "result", "from the expert"),
        ("second", "user", "result", "I heard: from the expert"),
    ]


def test_agents_that_tools_run_are_agents_of_their_own(run: Recorded) -> None:
    calendar = create_agent(model("scheduled"), [], name="calendar")
    email = create_agent(model("sent"), [])

    @tool
    def schedule(request: str) -> str:
        """Schedule something."""
        return str(calendar.invoke({"messages": [("user", request)]})["messages"][-1].text)

    @tool
    def write_email(request: str) -> str:
        """Write an email."""
        return str(email.invoke({"messages": [("user", request)]})["messages"][-1].text)

    replies = (call("schedule", request="at five"), call("write_email", request="to Bob"), "Done.")
    create_agent(model(*replies), [schedule, write_email]).invoke({"messages": [("user", "plan")]})

    assert spoken(run) == [
        ("user", "agent", "task", "plan"),
        ("agent", "calendar", "task", "at five"),
        ("calendar", "agent", "result", "scheduled"),
        ("agent", "write_email", "task", "to Bob"),
        ("write_email", "agent", "result", "sent"),
        ("agent", "user", "result", "Done."),
    ]


class Jokes(TypedDict):
    subjects: list[str]
    jokes: Annotated[list[str], operator.add]
    best: str


def test_every_send_is_a_task_and_every_return_a_result(run: Recorded) -> None:
    def topics(state: Jokes) -> dict[str, Any]:
        return {"subjects": ["lions", "elephants"]}

    def joke(state: dict[str, Any]) -> dict[str, Any]:
        return {"jokes": [f"about {state['subject']}"]}

    def judge(state: Jokes) -> dict[str, Any]:
        return {"best": min(state["jokes"])}

    graph = StateGraph(Jokes)
    graph.add_node("topics", topics)
    graph.add_node("comedian", joke)
    graph.add_node("judge", judge)
    graph.add_edge(START, "topics")
    graph.add_conditional_edges(
        "topics", lambda s: [Send("comedian", {"subject": x}) for x in s["subjects"]], ["comedian"]
    )
    graph.add_edge("comedian", "judge")
    graph.compile().invoke({"subjects": [], "jokes": [], "best": ""})

    found = spoken(run)
    assert found[1:3] == [
        ("topics", "comedian", "task", '{"subject":"lions"}'),
        ("topics", "comedian", "task", '{"subject":"elephants"}'),
    ]
    assert sorted(found[3:5]) == [
        ("comedian", "judge", "result", '{"jokes":["about elephants"]}'),
        ("comedian", "judge", "result", '{"jokes":["about lions"]}'),
    ]
    assert found[5:] == [("judge", "user", "result", '{"best":"about elephants"}')]
    # Each result answers the task with its own argument.
    by_id = {m.message_id: m for m in run.trace.messages}
    for message in run.trace.messages[3:5]:
        animal = message.content.split()[-1].rstrip('"]}')
        assert animal in by_id[message.caused_by or ""].content


@pytest.mark.parametrize("joined", [True, False])
def test_branches_that_meet_again_bring_results(run: Recorded, joined: bool) -> None:
    graph = StateGraph(MessagesState)
    for name in ("chief", "left", "right", "editor"):
        graph.add_node(name, says(name, f"{name} spoke"))
    graph.add_edge(START, "chief")
    graph.add_edge("chief", "left")
    graph.add_edge("chief", "right")
    if joined:
        graph.add_edge(["left", "right"], "editor")
    else:
        graph.add_edge("left", "editor")
        graph.add_edge("right", "editor")
    graph.compile().invoke({"messages": [("user", "go")]})

    assert sorted(spoken(run)) == sorted(
        [
            ("user", "chief", "task", "go"),
            ("chief", "left", "task", "chief spoke"),
            ("chief", "right", "task", "chief spoke"),
            ("left", "editor", "result", "left spoke"),
            ("right", "editor", "result", "right spoke"),
            ("editor", "user", "result", "editor spoke"),
        ]
    )


def test_a_team_as_a_node_hands_work_in_and_gives_the_answer_back(run: Recorded) -> None:
    team().invoke({"topic": "ai"})

    found = spoken(run)
    assert found[:5] == [
        ("user", "supervisor", "task", '{"topic":"ai"}'),
        ("supervisor", "researcher", "handoff", "handoff to researcher"),
        ("researcher", "plan", "task", "handoff to researcher"),
        ("plan", "lookup", "task", '{"topic":"ai0"}'),
        ("plan", "lookup", "task", '{"topic":"ai1"}'),
    ]
    assert sorted(found[5:7]) == [  # these two ran at the same time
        ("lookup", "researcher", "result", '{"parts":["hits for ai0"]}'),
        ("lookup", "researcher", "result", '{"parts":["hits for ai1"]}'),
    ]
    assert found[7:] == [
        ("researcher", "supervisor", "result", '{"parts":["hits for ai0","hits for ai1"]}'),
        ("supervisor", "writer", "handoff", "handoff to writer"),
        ("writer", "user", "result", "final"),
    ]
    assert agents(run) == {"supervisor", "researcher", "plan", "lookup", "writer"}


def test_teams_with_a_supervisor_each_keep_them_apart(run: Recorded) -> None:
    def squad(name: str) -> Any:
        inner = StateGraph(MessagesState)
        inner.add_node("supervisor", says("supervisor", f"{name} begins"))
        inner.add_node(f"{name}_worker", says("worker", f"{name} works"))
        inner.add_edge(START, "supervisor")
        inner.add_edge("supervisor", f"{name}_worker")
        return inner.compile()

    graph = StateGraph(MessagesState)
    graph.add_node("supervisor", says("supervisor", "both of you"))
    graph.add_node("research", squad("research"))
    graph.add_node("writing", squad("writing"))
    graph.add_edge(START, "supervisor")
    graph.add_edge("supervisor", "research")
    graph.add_edge("research", "writing")
    graph.compile().invoke({"messages": [("user", "go")]})

    assert agents(run) == {
        "supervisor",
        "research",
        "research/supervisor",
        "research_worker",
        "writing",
        "writing/supervisor",
        "writing_worker",
    }
    assert ("research", "research/supervisor", "task", "both of you") in spoken(run)
    assert ("writing_worker", "writing", "result", "writing works") in spoken(run)
    assert ("writing", "user", "result", "writing works") in spoken(run)


def test_a_command_to_the_parent_is_said_by_the_agent_inside(run: Recorded) -> None:
    def decide(state: MessagesState) -> Command[Any]:
        said = AIMessage("over to the manager")
        return Command(graph=Command.PARENT, goto="manager", update={"messages": [said]})

    inner = StateGraph(MessagesState)
    inner.add_node("intake", says("intake", "a hard case"))
    inner.add_node("triage", decide)
    inner.add_edge(START, "intake")
    inner.add_edge("intake", "triage")
    graph = StateGraph(MessagesState)
    graph.add_node("desk", inner.compile())
    graph.add_node("manager", says("manager", "solved"))
    graph.add_edge(START, "desk")
    graph.compile().invoke({"messages": [("user", "help")]})

    assert spoken(run) == [
        ("user", "desk", "task", "help"),
        ("desk", "intake", "task", "help"),
        ("intake", "triage", "task", "a hard case"),
        ("triage", "manager", "handoff", "over to the manager"),
        ("manager", "user", "result", "solved"),
    ]
    assert [s.error for s in run.trace.spans] == [None] * len(run.trace.spans)


def test_an_interrupt_is_a_question_and_the_resume_its_answer(run: Recorded) -> None:
    app = team(approve=True, checkpointer=InMemorySaver())
    thread = {"configurable": {"thread_id": "t"}}
    app.invoke({"topic": "ai"}, thread)
    app.invoke(Command(resume="go ahead"), thread)

    asked, answered = run.traces
    assert said(asked)[-1] == (
        "writer",
        "user",
        "question",
        '{"approve":["hits for ai0","hits for ai1"]}',
    )
    assert said(answered) == [
        ("user", "writer", "answer", "go ahead"),
        ("writer", "user", "result", "final"),
    ]
    assert all(s.error is None and s.status != "error" for s in asked.spans)
    assert {s.session for s in (*asked.roots, *answered.roots)} == {"t"}


def test_a_question_from_deep_inside_is_asked_once_and_answered_there(run: Recorded) -> None:
    def ask(state: MessagesState) -> dict[str, Any]:
        return {"messages": [AIMessage(f"so {interrupt('which one?')}")]}

    inner = StateGraph(MessagesState)
    inner.add_node("greeter", says("greeter", "hello"))
    inner.add_node("asker", ask)
    inner.add_edge(START, "greeter")
    inner.add_edge("greeter", "asker")
    graph = StateGraph(MessagesState)
    graph.add_node("desk", inner.compile())
    graph.add_edge(START, "desk")
    app = graph.compile(checkpointer=InMemorySaver())
    thread = {"configurable": {"thread_id": "t"}}
    app.invoke({"messages": [("user", "hi")]}, thread)
    app.invoke(Command(resume="the red one"), thread)

    asked, answered = run.traces
    assert said(asked)[-1] == ("asker", "user", "question", "which one?")
    assert sum(m.type == "question" for m in asked.messages) == 1
    assert said(answered) == [
        ("user", "asker", "answer", "the red one"),
        ("asker", "desk", "result", "so the red one"),
        ("desk", "user", "result", "so the red one"),
    ]


def test_answers_by_id_reach_who_asked(run: Recorded) -> None:
    class Two(TypedDict):
        said: Annotated[list[str], operator.add]

    def asks(name: str) -> Any:
        return lambda state: {"said": [f"{name}: {interrupt(f'{name}?')}"]}

    graph = StateGraph(Two)
    graph.add_node("left", asks("left"))
    graph.add_node("right", asks("right"))
    graph.add_edge(START, "left")
    graph.add_edge(START, "right")
    app = graph.compile(checkpointer=InMemorySaver())
    thread = {"configurable": {"thread_id": "t"}}
    stopped = app.invoke({"said": []}, thread)
    answers = {i.id: i.value.replace("?", "!") for i in stopped["__interrupt__"]}
    app.invoke(Command(resume=answers), thread)

    asked, answered = run.traces
    assert sorted(m for m in said(asked) if m[2] == "question") == [
        ("left", "user", "question", "left?"),
        ("right", "user", "question", "right?"),
    ]
    assert sorted(m for m in said(answered) if m[2] == "answer") == [
        ("user", "left", "answer", "left!"),
        ("user", "right", "answer", "right!"),
    ]


def test_a_tool_that_asks_asks_for_its_agent(run: Recorded) -> None:
    @tool
    def buy(item: str) -> str:
        """Buy something."""
        return f"{item}: {interrupt(f'buy {item}?')}"

    app = create_agent(
        model(call("buy", item="tea"), "bought"), [buy], name="buyer", checkpointer=InMemorySaver()
    )
    thread = {"configurable": {"thread_id": "t"}}
    app.invoke({"messages": [("user", "tea please")]}, thread)
    app.invoke(Command(resume="yes"), thread)

    asked, answered = run.traces
    assert said(asked) == [
        ("user", "buyer", "task", "tea please"),
        ("buyer", "user", "question", "buy tea?"),
    ]
    assert said(answered) == [
        ("user", "buyer", "answer", "yes"),
        ("buyer", "user", "result", "bought"),
    ]


def test_a_breakpoint_pauses_and_asks_nothing(run: Recorded) -> None:
    graph = StateGraph(MessagesState)
    graph.add_node("one", says("one", "1"))
    graph.add_node("two", says("two", "2"))
    graph.add_edge(START, "one")
    graph.add_edge("one", "two")
    app = graph.compile(checkpointer=InMemorySaver(), interrupt_before=["two"])
    thread = {"configurable": {"thread_id": "t"}}
    app.invoke({"messages": [("user", "go")]}, thread)
    app.invoke(None, thread)

    paused, went_on = run.traces
    assert said(paused) == [("user", "one", "task", "go"), ("one", "two", "task", "1")]
    assert said(went_on) == [("two", "user", "result", "2")]
    assert paused.roots[0].attributes["agenttrace.langgraph.stopped"] == "interrupt"


def test_a_hand_written_agent_with_a_tool_node_talks_to_nobody_but_its_caller(
    run: Recorded,
) -> None:
    chat = model(call("search", q="x"), "found")
    graph = StateGraph(MessagesState)
    graph.add_node("chatbot", lambda s: {"messages": [chat.invoke(s["messages"])]})
    graph.add_node("tools", ToolNode([search]))
    graph.add_edge(START, "chatbot")
    graph.add_conditional_edges("chatbot", tools_condition)
    graph.add_edge("tools", "chatbot")
    graph.compile().invoke({"messages": [("user", "look up x")]})

    assert spoken(run) == [
        ("user", "chatbot", "task", "look up x"),
        ("chatbot", "user", "result", "found"),
    ]
    assert agents(run) == {"chatbot"}
    (called,) = (s for s in run.trace.spans if s.kind == "tool")
    assert run.trace.agent_of(called) == "chatbot"


def test_a_tool_node_that_routes_hands_off_for_the_agent_that_called(run: Recorded) -> None:
    @tool
    def escalate(why: str, tool_call_id: Annotated[str, InjectedToolCallId]) -> Command[Any]:
        """Escalate."""
        done = ToolMessage("escalated", tool_call_id=tool_call_id)
        return Command(goto="manager", update={"messages": [done]})

    chat = model(call("escalate", why="too hard"))
    graph = StateGraph(MessagesState)
    graph.add_node("clerk", lambda s: {"messages": [chat.invoke(s["messages"])]})
    graph.add_node("tools", ToolNode([escalate]))
    graph.add_node("manager", says("manager", "granted"))
    graph.add_edge(START, "clerk")
    graph.add_conditional_edges("clerk", tools_condition)
    graph.compile().invoke({"messages": [("user", "please")]})

    assert spoken(run) == [
        ("user", "clerk", "task", "please"),
        ("clerk", "manager", "handoff", "escalated"),
        ("manager", "user", "result", "granted"),
    ]


def test_tasks_of_a_functional_workflow_get_work_and_report(run: Recorded) -> None:
    @task
    def outline(topic: str) -> str:
        return f"outline of {topic}"

    @task
    def essay(text: str, *, words: int) -> str:
        return f"{words} words from {text}"

    @entrypoint()
    def author(topic: str) -> str:
        return essay(outline(topic).result(), words=9).result()

    author.invoke("tea")

    assert spoken(run) == [
        ("user", "author", "task", "tea"),
        ("author", "outline", "task", "tea"),
        ("outline", "author", "result", "outline of tea"),
        ("author", "essay", "task", '["outline of tea",{"words":9}]'),
        ("essay", "author", "result", "9 words from outline of tea"),
        ("author", "user", "result", "9 words from outline of tea"),
    ]


def test_model_and_tool_tasks_of_a_functional_agent_are_its_own_work(run: Recorded) -> None:
    chat = model(call("search", q="x"), "found")

    @task
    def call_model(messages: list[Any]) -> AIMessage:
        return chat.invoke(messages)

    @task
    def call_tool(wanted: dict[str, Any]) -> ToolMessage:
        return search.invoke(wanted)

    @entrypoint()
    def librarian(messages: list[Any]) -> AIMessage:
        answer = call_model(messages).result()
        while answer.tool_calls:
            found = [call_tool(wanted).result() for wanted in answer.tool_calls]
            messages = [*messages, answer, *found]
            answer = call_model(messages).result()
        return answer

    librarian.invoke([HumanMessage("look up x")])

    assert spoken(run) == [
        ("user", "librarian", "task", "look up x"),
        ("librarian", "user", "result", "found"),
    ]
    assert agents(run) == {"librarian"}


def test_a_node_that_is_retried_speaks_once(run: Recorded) -> None:
    attempts: list[int] = []

    def flaky(state: MessagesState) -> dict[str, Any]:
        attempts.append(1)
        if len(attempts) < 3:
            raise ConnectionError("try again")
        return {"messages": [AIMessage("at last")]}

    graph = StateGraph(MessagesState)
    graph.add_node(
        "flaky",
        flaky,
        retry_policy=RetryPolicy(initial_interval=0.001, retry_on=ConnectionError, jitter=False),
    )
    graph.add_edge(START, "flaky")
    graph.compile().invoke({"messages": [("user", "go")]})

    assert spoken(run) == [("user", "flaky", "task", "go"), ("flaky", "user", "result", "at last")]
    failed = [s.error for s in run.trace.spans if s.kind == "agent"]
    assert [error and "try again" in error for error in failed] == [True, True, None]


def test_what_a_node_said_is_passed_on_from_the_cache_too(run: Recorded) -> None:
    graph = StateGraph(MessagesState)
    graph.add_node("slow", says("slow", "worked out"), cache_policy=CachePolicy(key_func=str))
    graph.add_node("fast", says("fast", "thanks"))
    graph.add_edge(START, "slow")
    graph.add_edge("slow", "fast")
    app = graph.compile(cache=InMemoryCache())
    question = HumanMessage("go", id="1")
    app.invoke({"messages": [question]})
    app.invoke({"messages": [question]})

    first, second = run.traces
    assert said(first) == said(second)
    assert [s.name for s in second.spans if s.kind == "agent"] == ["invoke_agent fast"]


def test_state_that_was_overwritten_was_said(run: Recorded) -> None:
    def shorten(state: MessagesState) -> dict[str, Any]:
        return {"messages": Overwrite([AIMessage("in short")])}

    graph = StateGraph(MessagesState)
    graph.add_node("editor", shorten)
    graph.add_edge(START, "editor")
    graph.compile().invoke({"messages": [("user", "a long story")]})

    assert spoken(run)[-1] == ("editor", "user", "result", "in short")


def test_a_node_that_changes_its_state_in_place_said_what_it_added(run: Recorded) -> None:
    def sloppy(state: MessagesState) -> MessagesState:
        state["messages"].append(AIMessage("added in place"))
        return state

    graph = StateGraph(MessagesState)
    graph.add_node("sloppy", sloppy)
    graph.add_edge(START, "sloppy")
    graph.compile().invoke({"messages": [("user", "go")]})

    assert spoken(run)[-1] == ("sloppy", "user", "result", "added in place")


def test_a_command_from_outside_starts_where_it_says(run: Recorded) -> None:
    graph = StateGraph(MessagesState)
    graph.add_node("one", says("one", "1"))
    graph.add_node("two", says("two", "2"))
    graph.add_edge(START, "one")
    graph.add_edge("one", "two")
    app = graph.compile(checkpointer=InMemorySaver())
    thread = {"configurable": {"thread_id": "t"}}
    app.invoke({"messages": [("user", "go")]}, thread)
    app.invoke(Command(goto="two", update={"messages": [HumanMessage("again")]}), thread)

    assert said(run.traces[1]) == [
        ("user", "two", "handoff", "again"),
        ("two", "user", "result", "2"),
    ]


def test_an_agent_of_another_framework_is_the_caller(run: Recorded) -> None:
    graph = StateGraph(MessagesState).add_node("helper", says("helper", "helped"))
    app = graph.add_edge(START, "helper").compile()

    token = attach(set_value(semconv.CONTEXT_AGENT, "crew chief"))
    app.invoke({"messages": [("user", "help the crew")]})
    detach(token)

    assert spoken(run) == [
        ("crew chief", "helper", "task", "help the crew"),
        ("helper", "crew chief", "result", "helped"),
    ]


def test_inside_a_node_others_learn_whose_work_it_is(run: Recorded) -> None:
    found: list[Any] = []

    def node(state: MessagesState) -> dict[str, Any]:
        found.append(get_value(semconv.CONTEXT_AGENT))
        return {}

    StateGraph(MessagesState).add_node("helper", node).add_edge(START, "helper").compile().invoke(
        {"messages": [("user", "go")]}
    )

    assert found == ["helper"]
    assert get_value(semconv.CONTEXT_AGENT) is None
