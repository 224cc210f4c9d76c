"""Real crews and flows on scripted models: the exact agents, messages and spans of each."""

import asyncio
import builtins
import threading

import pytest
from crewai import Crew, Process
from crewai.events.event_bus import CrewAIEventsBus
from crewai.flow.flow import Flow, listen, router, start
from crewai.tools import tool
from opentelemetry import trace as otel_trace

from agenttrace_crewai.capture import INSTRUMENTOR
from support.crewai_apps import ScriptedModel, agent, crew, relay, task, use
from support.recorded import causes, orphans, recorded, said, tree


@pytest.fixture
def run():
    with recorded(INSTRUMENTOR) as record:
        yield record


def test_a_tool_and_a_question_to_a_coworker(run) -> None:
    @tool
    def add(a: int, b: int) -> int:
        """add two numbers"""
        return a + b

    researcher = agent("Researcher", use("add", a=1, b=2), "three", tools=[add])
    asks = use(
        "ask_question_to_coworker", question="is it 3?", context="sum", coworker="Researcher"
    )
    writer = agent("Writer", asks, "poem of three", allow_delegation=True)
    team = crew(
        (researcher, task("add {x}", researcher, name="t1")),
        (writer, task("write", writer, name="t2")),
        name="tinycrew",
    )

    team.kickoff(inputs={"x": "1 and 2"})

    trace = run.trace
    assert said(trace) == [
        ("user", "Researcher", "task", "add 1 and 2"),
        ("Researcher", "Writer", "task", "three"),
        ("Writer", "Researcher", "question", "is it 3?\n\nsum"),
        ("Researcher", "Writer", "answer", "three"),
        ("Writer", "user", "result", "poem of three"),
    ]
    assert causes(trace) == [(0, None), (1, 0), (2, 1), (3, 2), (4, 3)]
    assert tree(trace) == [
        "invoke_workflow tinycrew",
        "  task t1",
        "    invoke_agent Researcher",
        "      chat scripted-1",
        "      execute_tool add",
        "      chat scripted-1",
        "  task t2",
        "    invoke_agent Writer",
        "      chat scripted-1",
        "      execute_tool ask_question_to_coworker",
        "        invoke_agent Researcher",
        "          chat scripted-1",
        "      chat scripted-1",
    ]
    agents = {a.name: a for a in trace.agents}
    assert set(agents) == {"Researcher", "Writer"}
    assert agents["Researcher"].role == "the goal of Researcher"
    assert agents["Researcher"].framework == "crewai"
    assert (agents["Researcher"].tokens_in, agents["Researcher"].tokens_out) == (21, 9)
    tools = [(s.tool, s.input, s.output) for s in trace.spans if s.tool == "add"]
    assert tools == [("add", '{"a": 1, "b": 2}', "3")]
    assert all(m.provenance == "observed" for m in trace.messages)


def test_by_default_a_task_starts_from_all_earlier_outputs(run) -> None:
    relay("A", "B", "C").kickoff()

    assert said(run.trace) == [
        ("user", "A", "task", "do A"),
        ("A", "B", "task", "A out"),
        ("A", "C", "task", "A out"),
        ("B", "C", "task", "B out"),
        ("C", "user", "result", "C out"),
    ]


def test_a_task_with_a_context_starts_from_that_alone(run) -> None:
    a, b, c = agent("A", "A out"), agent("B", "B out"), agent("C", "C out")
    first, second = task("do A", a), task("do B", b, context=[])
    team = crew((a, first), (b, second), (c, task("do C", c, context=[first])))

    team.kickoff()

    assert said(run.trace) == [
        ("user", "A", "task", "do A"),
        ("user", "B", "task", "do B"),
        ("A", "C", "task", "A out"),
        ("C", "user", "result", "C out"),
    ]


def test_tasks_of_one_agent_are_no_talk_to_itself(run) -> None:
    worker = agent("A", "one", "two")

    crew((worker, task("first", worker)), (worker, task("second", worker))).kickoff()

    assert said(run.trace) == [
        ("user", "A", "task", "first"),
        ("user", "A", "task", "second"),
        ("A", "user", "result", "two"),
    ]


def test_a_manager_delegates_and_gets_the_result_back(run) -> None:
    delegates = use("delegate_work_to_coworker", task="find it", context="all", coworker="Worker")
    boss = agent("Boss", delegates, "the final 42", allow_delegation=True)
    worker, idle = agent("Worker", "fact 42"), agent("Idle", "nothing")
    team = Crew(
        agents=[worker, idle],
        tasks=[task("do it")],
        process=Process.hierarchical,
        manager_agent=boss,
    )

    team.kickoff()

    assert said(run.trace) == [
        ("user", "Boss", "task", "do it"),
        ("Boss", "Worker", "task", "find it\n\nall"),
        ("Worker", "Boss", "result", "fact 42"),
        ("Boss", "user", "result", "the final 42"),
    ]
    assert {a.name for a in run.trace.agents} == {"Boss", "Worker"}


def test_asynchronous_tasks_join_in_the_one_that_waits_for_them(run) -> None:
    a, b, c = agent("A", "A out"), agent("B", "B out"), agent("C", "C out")
    first = task("do A", a, async_execution=True)
    second = task("do B", b, async_execution=True)

    crew((a, first), (b, second), (c, task("do C", c, context=[first, second]))).kickoff()

    trace = run.trace
    assert sorted(said(trace)) == [
        ("A", "C", "task", "A out"),
        ("B", "C", "task", "B out"),
        ("C", "user", "result", "C out"),
        ("user", "A", "task", "do A"),
        ("user", "B", "task", "do B"),
    ]
    assert orphans(trace) == []
    for name in "ABC":
        (turn,) = [s for s in trace.spans if s.agent == name and s.kind == "agent"]
        assert trace.parent(turn).name == f"task do {name}"


def test_kickoff_for_each_makes_a_trace_for_each(run) -> None:
    worker = agent("A", "out")

    crew((worker, task("do {x}", worker))).kickoff_for_each([{"x": "1"}, {"x": "2"}])

    assert [said(trace)[0] for trace in run.traces] == [
        ("user", "A", "task", "do 1"),
        ("user", "A", "task", "do 2"),
    ]


def test_concurrent_crews_never_mix(run) -> None:
    async def main() -> None:
        await asyncio.gather(
            relay("A1", "B1", label="one").kickoff_async(),
            relay("A2", "B2", label="two").kickoff_async(),
            relay("A3", "B3", label="three").akickoff(),
            relay("A4", "B4", label="four").akickoff(),
        )

    asyncio.run(main())

    traces = run.traces
    assert len(traces) == 4
    for trace in traces:
        (number,) = {a.name[1] for a in trace.agents}
        assert said(trace) == [
            ("user", f"A{number}", "task", f"do A{number}"),
            (f"A{number}", f"B{number}", "task", f"A{number} out"),
            (f"B{number}", "user", "result", f"B{number} out"),
        ]
        assert orphans(trace) == []
    assert len(INSTRUMENTOR.recording) == 0


def test_crews_in_new_threads_never_mix(run) -> None:
    threads = [
        threading.Thread(target=lambda n=n: relay(f"A{n}", f"B{n}").kickoff()) for n in range(3)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(len(trace.spans) for trace in run.traces) == [7, 7, 7]
    assert all(len({a.name[1] for a in trace.agents}) == 1 for trace in run.traces)


def test_a_flow_of_two_crews_hands_the_first_result_on(run) -> None:
    class Trade(Flow):
        @start()
        def find(self):
            return relay("Finder", label="c1").kickoff().raw

        @router(find)
        def route(self, found):
            return "good" if "out" in found else "bad"

        @listen("good")
        def sell(self):
            seller = agent("Seller", "sold")
            team = crew((seller, task("sell {what}", seller)), name="c2")
            return team.kickoff(inputs={"what": "Finder out"}).raw

        @listen("bad")
        def drop(self):
            return "dropped"

    result = Trade(suppress_flow_events=True).kickoff()

    trace = run.trace
    assert result == "sold"
    assert said(trace) == [
        ("user", "Finder", "task", "do Finder"),
        ("Finder", "Seller", "task", "Finder out"),
        ("Seller", "user", "result", "sold"),
    ]
    assert orphans(trace) == []


def test_a_single_agent_answers_the_user(run) -> None:
    agent("Solo", "hi there").kickoff("say hi")

    assert said(run.trace) == [
        ("user", "Solo", "task", "say hi"),
        ("Solo", "user", "result", "hi there"),
    ]


def test_a_guardrail_makes_the_agent_try_again(run) -> None:
    tries = []

    def long_enough(output):
        tries.append(output.raw)
        return (len(tries) > 1, output.raw if len(tries) > 1 else "too short")

    worker = agent("A", "one", "two longer")

    crew((worker, task("write", worker, guardrail=long_enough))).kickoff()

    trace = run.trace
    assert said(trace) == [
        ("user", "A", "task", "write"),
        ("A", "user", "result", "two longer"),
    ]
    assert causes(trace) == [(0, None), (1, 0)]
    assert [s.name for s in trace.spans].count("invoke_agent A") == 2
    assert [s.name for s in trace.spans].count("llm guardrail") == 2


def test_a_person_gives_feedback(run, monkeypatch) -> None:
    answers = iter(["make it better", ""])
    monkeypatch.setattr(builtins, "input", lambda *a: next(answers))
    worker = agent("A", "draft", "better")

    crew((worker, task("write", worker, human_input=True))).kickoff()

    talk = [(m.sender, m.recipient, m.type) for m in run.trace.messages]
    assert talk == [
        ("user", "A", "task"),
        ("A", "user", "question"),
        ("user", "A", "answer"),
        ("A", "user", "question"),
        ("user", "A", "answer"),
        ("A", "user", "result"),
    ]
    assert run.trace.messages[2].content == "make it better"


def test_a_crew_inside_a_tool_works_for_the_agent_that_called_it(run) -> None:
    @tool
    def ask_team(question: str) -> str:
        """ask a team"""
        inner = agent("Inner", "inner says yes")
        return crew((inner, task(f"answer {question}", inner)), name="inner").kickoff().raw

    outer = agent("Outer", use("ask_team", question="ok?"), "done", tools=[ask_team])

    crew((outer, task("do it", outer)), name="outer").kickoff()

    trace = run.trace
    assert said(trace) == [
        ("user", "Outer", "task", "do it"),
        ("Outer", "Inner", "task", "answer ok?"),
        ("Inner", "Outer", "result", "inner says yes"),
        ("Outer", "user", "result", "done"),
    ]
    assert causes(trace) == [(0, None), (1, 0), (2, 1), (3, 2)]
    assert len(trace.roots) == 1


def test_a_failing_model_leaves_errors_and_nothing_open(run) -> None:
    class Broken(ScriptedModel):
        def call(self, messages, *args, **kwargs):
            raise RuntimeError("no model")

    worker = agent("A", "never", llm=Broken([]))

    with pytest.raises(RuntimeError, match="no model"):
        crew((worker, task("write", worker))).kickoff()

    trace = run.trace
    assert {s.kind for s in trace.spans if s.error} >= {"workflow", "agent", "llm"}
    assert all("no model" in s.error for s in trace.spans if s.error)
    assert len(INSTRUMENTOR.recording) == 0


def test_a_cancelled_crew_is_no_error_and_leaves_nothing_open(run) -> None:
    class Slow(ScriptedModel):
        async def acall(self, messages, *args, **kwargs):
            await asyncio.sleep(60)

    worker = agent("A", "never", llm=Slow([]))

    async def main() -> None:
        running = asyncio.create_task(crew((worker, task("write", worker))).akickoff())
        while not run.traces and len(INSTRUMENTOR.recording) < 4:
            await asyncio.sleep(0.01)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running

    asyncio.run(main())

    assert [s.status for s in run.trace.spans if s.kind in ("workflow", "agent")] == [
        "unset",
        "unset",
    ]
    assert len(INSTRUMENTOR.recording) == 0


def test_the_users_own_spans_nest_where_they_belong(run) -> None:
    mine = otel_trace.get_tracer("my-app")

    @tool
    def fetch(url: str) -> str:
        """fetch a page"""
        with mine.start_as_current_span("http"):
            return "page"

    worker = agent("A", use("fetch", url="x"), "done", tools=[fetch])

    with mine.start_as_current_span("request"):
        crew((worker, task("read", worker))).kickoff()
        with mine.start_as_current_span("after"):
            pass

    trace = run.trace
    parents = {s.name: trace.parent(s).name for s in trace.spans if trace.parent(s)}
    assert parents["http"] == "execute_tool fetch"
    assert parents["after"] == "request"
    assert parents["invoke_workflow crew"] == "request"


def test_a_failing_tool_is_an_error_of_the_tool_alone(run) -> None:
    @tool
    def broken(x: str) -> str:
        """always breaks"""
        raise ValueError("out of order")

    worker = agent("A", use("broken", x="1"), "done anyway", tools=[broken])

    crew((worker, task("try", worker))).kickoff()

    failed = {s.kind for s in run.trace.spans if s.error}
    assert failed == {"tool"}


def test_every_task_has_a_checkpoint_before_and_after(run) -> None:
    relay("A", "B").kickoff()

    events = [e for s in run.trace.spans for e in s.events if e.name == "agenttrace.checkpoint"]
    labels = [e.attributes["agenttrace.checkpoint.label"] for e in events]
    assert labels == ["before do A", "after do A", "before do B", "after do B"]
    assert '"raw": "A out"' in events[2].attributes["agenttrace.checkpoint.state"]


def test_results_are_the_same_with_and_without_capture() -> None:
    plain = relay("A", "B").kickoff().raw

    with recorded(INSTRUMENTOR):
        watched = relay("A", "B").kickoff().raw

    assert watched == plain


def test_uninstrumenting_leaves_crewai_as_it_was() -> None:
    before = (
        CrewAIEventsBus._prepare_event,
        Crew.__dict__["kickoff"],
        Crew.__dict__["akickoff"],
        ScriptedModel.__dict__["call"],
        ScriptedModel.__dict__["acall"],
    )

    with recorded(INSTRUMENTOR):
        during = (CrewAIEventsBus._prepare_event, ScriptedModel.__dict__["call"])

    after = (
        CrewAIEventsBus._prepare_event,
        Crew.__dict__["kickoff"],
        Crew.__dict__["akickoff"],
        ScriptedModel.__dict__["call"],
        ScriptedModel.__dict__["acall"],
    )
    assert after == before
    assert during[0] is not before[0]
    assert during[1] is not before[3]


def test_a_broken_recorder_never_breaks_the_run(run, monkeypatch) -> None:
    def broken(*args, **kwargs):
        raise RuntimeError("a defect of ours")

    monkeypatch.setattr(INSTRUMENTOR.recording, "start", broken)

    assert relay("A").kickoff().raw == "A out"


def test_five_hundred_runs_leave_nothing_behind(run) -> None:
    team = relay("A")
    for _ in range(500):
        team.kickoff()
        run.clear()

    assert len(INSTRUMENTOR.recording) == 0
