"""Crews with what CrewAI brings along: managers, memories, knowledge, MCP, guardrails, flows."""

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

import pytest
from crewai import Crew, Knowledge, Process
from crewai.flow.flow import Flow, and_, listen, router, start
from crewai.knowledge.storage.base_knowledge_storage import BaseKnowledgeStorage
from crewai.mcp import MCPServerStdio
from crewai.memory.unified_memory import Memory
from crewai.tasks.conditional_task import ConditionalTask
from crewai.tasks.llm_guardrail import LLMGuardrail

from agenttrace_crewai.capture import INSTRUMENTOR
from support.crewai_apps import ScriptedModel, agent, crew, final, relay, task, use
from support.recorded import causes, orphans, recorded, said, tree


@pytest.fixture
def run():
    with recorded(INSTRUMENTOR) as record:
        yield record
        assert len(INSTRUMENTOR.recording) == 0
        assert [orphans(trace) for trace in record.traces] == [[] for _ in record.traces]


def test_a_manager_that_crewai_makes_delegates_and_asks(run) -> None:
    delegates = use("delegate_work_to_coworker", task="find", context="all", coworker="Worker")
    asks = use("ask_question_to_coworker", question="sure?", context="42", coworker="Checker")
    team = Crew(
        agents=[agent("Worker", "fact 42"), agent("Checker", "yes")],
        tasks=[task("do it")],
        process=Process.hierarchical,
        manager_llm=ScriptedModel([delegates, asks, final("the final 42")]),
        name="office",
    )

    team.kickoff()

    assert said(run.trace) == [
        ("user", "Crew Manager", "task", "do it"),
        ("Crew Manager", "Worker", "task", "find\n\nall"),
        ("Worker", "Crew Manager", "result", "fact 42"),
        ("Crew Manager", "Checker", "question", "sure?\n\n42"),
        ("Checker", "Crew Manager", "answer", "yes"),
        ("Crew Manager", "user", "result", "the final 42"),
    ]
    assert causes(run.trace) == [(0, None), (1, 0), (2, 1), (3, 2), (4, 3), (5, 4)]
    assert tree(run.trace) == [
        "invoke_workflow office",
        "  task do it",
        "    invoke_agent Crew Manager",
        "      chat scripted-1",
        "      execute_tool delegate_work_to_coworker",
        "        invoke_agent Worker",
        "          chat scripted-1",
        "      chat scripted-1",
        "      execute_tool ask_question_to_coworker",
        "        invoke_agent Checker",
        "          chat scripted-1",
        "      chat scripted-1",
    ]
    assert {a.name: (a.tokens_in, a.tokens_out) for a in run.trace.agents} == {
        "Crew Manager": (21, 9),
        "Worker": (7, 3),
        "Checker": (7, 3),
    }


class Newsroom(Flow):
    """Two crews at once, a third that needs both, a router, and one that runs asynchronously."""

    @start()
    def north(self) -> str:
        return relay("North", label="north").kickoff().raw

    @start()
    def south(self) -> str:
        return relay("South", label="south").kickoff().raw

    @listen(and_(north, south))
    def edit(self) -> str:
        editor = agent("Editor", "edited")
        given = task("merge North out and South out", editor, name="merge")
        return crew((editor, given), name="desk").kickoff().raw

    @router(edit)
    def judge(self, text: str) -> str:
        return "good" if text == "edited" else "bad"

    @listen("good")
    async def publish(self) -> str:
        printer = agent("Printer", "printed")
        given = task("print {what}", printer, name="print")
        team = crew((printer, given), name="press")
        return (await team.kickoff_async(inputs={"what": "edited"})).raw

    @listen("bad")
    def drop(self) -> str:
        return "dropped"


def test_a_flow_with_crews_at_once_a_router_and_branches(run) -> None:
    assert Newsroom().kickoff() == "printed"

    trace = run.trace
    assert sorted(said(trace)[:2]) == [
        ("user", "North", "task", "do North"),
        ("user", "South", "task", "do South"),
    ]
    assert sorted(said(trace)[2:4]) == [
        ("North", "Editor", "task", "North out"),
        ("South", "Editor", "task", "South out"),
    ]
    assert said(trace)[4:] == [
        ("Editor", "Printer", "task", "edited"),
        ("Printer", "user", "result", "printed"),
    ]
    assert causes(trace)[4:] == [(4, 3), (5, 4)]
    desk = [
        "  {0}.{1}",
        "    invoke_workflow {2}",
        "      task {3}",
        "        invoke_agent {4}",
        "          chat scripted-1",
    ]

    def step(*names: str) -> list[str]:
        return [line.format("Newsroom", *names) for line in desk]

    found = tree(trace)
    assert found[0] == "invoke_workflow Newsroom"
    north, south = (
        step("north", "north", "do North", "North"),
        step("south", "south", "do South", "South"),
    )
    assert found[1:11] in (north + south, south + north)
    assert found[11:] == [
        *step("edit", "desk", "merge", "Editor"),
        "  Newsroom.judge",
        *step("publish", "press", "print", "Printer"),
    ]
    assert {(a.tokens_in, a.tokens_out) for a in trace.agents} == {(7, 3)}


def test_flows_at_the_same_time_never_mix(run) -> None:
    async def main() -> list[Any]:
        return await asyncio.gather(*(Newsroom().kickoff_async() for _ in range(3)))

    assert asyncio.run(main()) == ["printed"] * 3

    assert [len(trace.spans) for trace in run.traces] == [22] * 3
    for trace in run.traces:
        assert {a.name for a in trace.agents} == {"North", "South", "Editor", "Printer"}
        assert len(trace.messages) == 6


def test_a_flow_inside_a_flow_gives_its_result_to_the_one_around(run) -> None:
    class Paper(Flow):
        @start()
        def news(self) -> str:
            return Newsroom(suppress_flow_events=True).kickoff()

        @listen(news)
        def sell(self, text: str) -> str:
            return agent("Seller", "sold").kickoff(f"sell what is {text}").raw

    assert Paper(suppress_flow_events=True).kickoff() == "sold"

    assert said(run.trace)[5:] == [
        ("Printer", "Seller", "task", "printed"),
        ("Seller", "user", "result", "sold"),
    ]
    assert causes(run.trace)[5:] == [(5, 4), (6, 5)]


@pytest.mark.parametrize("kickoff", ["kickoff_for_each_async", "akickoff_for_each"])
def test_one_crew_for_each_input_at_once_is_a_trace_each(run, kickoff) -> None:
    worker = agent("A", "out")
    team = crew((worker, task("do {x}", worker)))

    asyncio.run(getattr(team, kickoff)([{"x": "1"}, {"x": "2"}, {"x": "3"}]))

    assert sorted(said(trace)[0][3] for trace in run.traces) == ["do 1", "do 2", "do 3"]
    for trace in run.traces:
        assert said(trace)[1:] == [("A", "user", "result", "out")]
        assert [(a.tokens_in, a.tokens_out) for a in trace.agents] == [(7, 3)]


def test_a_streaming_crew_records_what_a_plain_one_does(run) -> None:
    relay("A", "B").kickoff()
    plain, plain_tree = said(run.trace), tree(run.trace)
    run.clear()
    team = relay("A", "B")
    team.stream = True

    stream = team.kickoff()
    for _ in stream:
        pass

    assert stream.result.raw == "B out"
    assert (said(run.trace), tree(run.trace)) == (plain, plain_tree)


def test_a_task_that_is_left_out_says_nothing(run) -> None:
    a, b, c = agent("A", "A out"), agent("B", "B out"), agent("C", "C out")
    maybe = ConditionalTask(
        description="do B", expected_output="text", agent=b, condition=lambda _: False
    )

    crew((a, task("do A", a)), (b, maybe), (c, task("do C", c))).kickoff()

    assert said(run.trace) == [
        ("user", "A", "task", "do A"),
        ("A", "C", "task", "A out"),
        ("C", "user", "result", "C out"),
    ]


def test_a_crew_that_plans_tells_each_agent_its_plan(run) -> None:
    plans = [
        {"task_number": number, "task": f"task {number}", "plan": plan}
        for number, plan in enumerate((" 1. look it up", " 2. write it down"), start=1)
    ]
    planner = ScriptedModel([final(json.dumps({"list_of_plans_per_task": plans}))])
    team = relay("A", "B")
    team.planning, team.planning_llm = True, planner

    team.kickoff()

    (_, summary), *rest = zip(run.trace.messages, said(run.trace), strict=True)
    assert summary[:3] == ("user", "Task Execution Planner", "task")
    assert [told for _, told in rest] == [
        ("Task Execution Planner", "A", "task", " 1. look it up"),
        ("Task Execution Planner", "B", "task", " 2. write it down"),
        ("A", "B", "task", "A out"),
        ("B", "user", "result", "B out"),
    ]
    assert causes(run.trace) == [(0, None), (1, 0), (2, 0), (3, 1), (4, 3)]


def test_a_guardrail_that_asks_a_model_judges_what_the_agent_gave(run) -> None:
    bad, good = json.dumps({"valid": False, "feedback": "longer"}), json.dumps({"valid": True})
    judge = LLMGuardrail(description="long", llm=ScriptedModel([final(bad), final(good)]))
    writer, printer = agent("Writer", "one", "two"), agent("Printer", "printed")

    crew(
        (writer, task("write", writer, name="write", guardrail=judge)),
        (printer, task("print", printer, name="print")),
        name="press",
    ).kickoff()

    assert said(run.trace) == [
        ("user", "Writer", "task", "write"),
        ("Writer", "Guardrail Agent", "question", "one"),
        ("Guardrail Agent", "Writer", "answer", bad),
        ("Writer", "Guardrail Agent", "question", "two"),
        ("Guardrail Agent", "Writer", "answer", good),
        ("Writer", "Printer", "task", "two"),
        ("Printer", "user", "result", "printed"),
    ]
    assert causes(run.trace) == [(0, None)] + [(n, n - 1) for n in range(1, 7)]
    turn = ["    invoke_agent Writer", "      chat scripted-1"]
    guard = [
        "    llm guardrail",
        "      invoke_agent Guardrail Agent",
        "        chat scripted-1",
    ]
    assert tree(run.trace) == [
        "invoke_workflow press",
        "  task write",
        *turn,
        *guard,
        *turn,
        *guard,
        "  task print",
        "    invoke_agent Printer",
        "      chat scripted-1",
    ]


class Shelf(BaseKnowledgeStorage):
    """Knows one thing."""

    def search(self, query: Any, limit: int = 5, **_: Any) -> list[dict[str, Any]]:
        return [{"id": "1", "content": "<known>", "metadata": {}, "score": 0.9}]

    async def asearch(self, query: Any, limit: int = 5, **_: Any) -> list[dict[str, Any]]:
        return self.search(query, limit)

    def save(self, documents: Any) -> None: ...
    async def asave(self, documents: Any) -> None: ...
    def reset(self) -> None: ...
    async def areset(self) -> None: ...


def test_what_is_looked_up_in_knowledge_belongs_to_the_agent_it_is_for(run) -> None:
    writer = agent("Writer", "written")
    writer.knowledge = Knowledge(collection_name="shelf", sources=[], storage=Shelf())

    crew((writer, task("write", writer, name="write")), name="press").kickoff()

    trace = run.trace
    assert tree(trace) == [
        "invoke_workflow press",
        "  task write",
        "    knowledge search query",
        "      knowledge query",
        "        chat scripted-1",
        "      knowledge",
        "    invoke_agent Writer",
        "      chat scripted-1",
    ]
    assert [(a.name, a.tokens_in, a.tokens_out) for a in trace.agents] == [("Writer", 14, 6)]
    [found] = [s for s in trace.spans if s.name == "knowledge"]
    assert (found.kind, trace.agent_of(found)) == ("retriever", "Writer")
    assert "<known>" in (found.output or "")


def test_a_memory_is_read_and_written_without_its_own_machinery_showing(run, tmp_path) -> None:
    def embed(texts: list[str]) -> list[list[float]]:
        return [[1.0, float(len(text) % 7)] for text in texts]

    memory = Memory(llm=ScriptedModel(["no JSON"]), storage=str(tmp_path), embedder=embed)
    memory.remember("<remembered>", scope="/", categories=[], importance=0.5, metadata={})
    run.clear()
    team = relay("A", "B")
    team.memory = team._memory = memory

    team.kickoff()
    memory.drain_writes()

    trace = run.trace
    assert said(trace) == [
        ("user", "A", "task", "do A"),
        ("A", "B", "task", "A out"),
        ("B", "user", "result", "B out"),
    ]
    assert [s.name for s in trace.spans if s.kind == "workflow"] == ["invoke_workflow relay"]
    looks = [s for s in trace.spans if s.name == "memory"]
    assert [trace.parent(s).name for s in looks] == ["memory retrieval"] * 2
    assert "<remembered>" in (looks[0].output or "")
    saves = [s for s in trace.spans if s.name == "memory save"]
    assert [trace.agent_of(s) for s in saves] == ["A", "B"]


SERVER = '''
from mcp.server.fastmcp import FastMCP

server = FastMCP("sums", log_level="ERROR")


@server.tool()
def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


server.run()
'''


def test_a_tool_of_an_mcp_server_is_one_call_that_says_whose_it_is(run, tmp_path: Path) -> None:
    program = tmp_path / "sums.py"
    program.write_text(SERVER)
    server = MCPServerStdio(command=sys.executable, args=[str(program)])

    class Adder(ScriptedModel):
        def call(self, messages, *args, **kwargs) -> str:
            told = str(messages)
            name = told.partition("Tool Name: ")[2].partition("\\n")[0].strip()
            self._replies = [use(name, a=1, b=2), final("three")]
            return super().call(messages)

    clerk = agent("Clerk", llm=Adder([]), mcps=[server])

    crew((clerk, task("add 1 and 2", clerk))).kickoff()

    trace = run.trace
    [call] = [s for s in trace.spans if s.kind == "tool"]
    assert (call.input, call.output) == ('{"a": 1, "b": 2}', "3")
    assert call.attributes["mcp.method.name"] == "tools/call"
    assert call.attributes["crewai.mcp.tool"] == "add"
    assert str(program) in call.attributes["crewai.mcp.server"]
    assert trace.agent_of(call) == "Clerk"
    assert said(trace) == [
        ("user", "Clerk", "task", "add 1 and 2"),
        ("Clerk", "user", "result", "three"),
    ]
