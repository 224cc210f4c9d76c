"""Crews and flows that are run again from a checkpoint: models that read what they are told."""

import gc
import os
import threading
from pathlib import Path

import pytest
from crewai.flow import flow as flows
from crewai.flow.flow import Flow
from crewai.utilities.paths import db_storage_path

from agenttrace.errors import EditError, ReplayCancelled, ReplayError, ReplayStopped
from agenttrace.messages import find_checkpoints
from agenttrace_crewai.capture import INSTRUMENTOR
from agenttrace_crewai.executor import execute
from support.crewai_apps import agent, crew, task, use
from support.crewai_replays import (
    APPLICATIONS,
    GatherFlow,
    Reader,
    ReviewFlow,
    asking,
    chain,
    counted,
    hierarchy,
    parallel,
    price,
    reader,
    shopper,
    structured,
)
from support.recorded import recorded, said
from support.replays import after, checkpoint, cost_nothing, edits, hashes, replay_of


@pytest.fixture
def run():
    counted.clear()
    with recorded(INSTRUMENTOR) as record:
        yield record


def text(output) -> str:
    return str(getattr(output, "raw", output))


@pytest.mark.parametrize("name", APPLICATIONS)
def test_from_every_checkpoint_the_same_is_said_without_a_single_call(run, name) -> None:
    build, inputs = APPLICATIONS[name]
    answer = text(build().kickoff(inputs=inputs))
    trace = run.trace
    starts = [found for found in find_checkpoints(trace) if found.resumable]
    assert starts
    assert not cost_nothing(trace)
    assert counted.total()
    counted.clear()

    for start in starts:
        run.clear()
        replay = replay_of(trace, start)
        assert execute(build, start, [], replay) == answer
        assert hashes(run.trace.messages) == hashes(after(trace, start)), start.label
        assert replay.counts["live"] == 0, start.label
        assert cost_nothing(run.trace), start.label
        assert {name: n for name, n in counted.items() if name != "drafted"} == {}, start.label


def ran(run, build, inputs=None):
    """Run an application once; return its trace and forget everything else."""
    build().kickoff(inputs=inputs)
    trace = run.trace
    run.clear()
    counted.clear()
    return trace


def test_an_edited_output_is_what_the_tasks_after_it_start_from(run) -> None:
    trace = ran(run, chain, {"topic": "tea"})
    start = checkpoint(trace, "before Cay")

    answer = execute(chain, start, edits(outputs__Bob="<else>"), replay_of(trace, start))

    assert "<else>" in answer
    assert "<Ann>" in answer
    assert counted == {"Cay": 1}
    assert ("Bob", "Cay", "task", "<else>") in said(run.trace)


def test_inputs_and_the_next_tasks_description_can_be_edited(run) -> None:
    trace = ran(run, chain, {"topic": "tea"})
    start = checkpoint(trace, "before Bob")
    heard = []

    def attentive():
        made = chain()
        for worker in made.agents:
            worker.llm._answer = lambda told: heard.append(told) or "<said>"
        return made

    execute(attentive, start, edits(inputs__topic="coffee"), replay_of(trace, start))
    assert "do coffee Bob" in heard[0]

    heard.clear()
    execute(attentive, start, edits(description="sing of {tea}"), replay_of(trace, start))
    assert "sing of {tea}" in heard[0]
    assert "do tea Cay" in heard[1]


def test_a_task_beside_one_that_diverges_is_answered_from_the_record(run) -> None:
    trace = ran(run, parallel)
    start = checkpoint(trace, "before left")

    def curious():
        made = parallel()
        made.agents[0].goal = "something else"
        return made

    replay = replay_of(trace, start)
    execute(curious, start, [], replay)

    assert counted == {"Left": 1}
    assert replay.counts == {"restored": 0, "recorded": 2, "live": 1}


def test_a_task_that_ran_beside_another_says_where_to_go_back_to(run) -> None:
    right_is_at_work = threading.Event()

    def slow_left():
        made = parallel()
        left, right, _ = made.agents
        left.llm = Reader(lambda told: f"<left> {right_is_at_work.wait(60)}")
        right.llm = Reader(lambda told: f"<right> {right_is_at_work.set()}")
        return made

    trace = ran(run, slow_left)

    found = checkpoint(trace, "before right")

    assert not found.resumable
    assert found.why_not == "left was at work at the same time; go back to before that"
    assert "nothing is left to run" in (checkpoint(trace, "after join").why_not or "")


def test_a_tool_that_is_not_in_the_record_stops_the_replay(run) -> None:
    trace = ran(run, shopper)
    start = checkpoint(trace, "before buy")
    edit = edits(outputs__where="<Oslo>")

    with pytest.raises(ReplayStopped, match=r"'price' of Buyer .* another input"):
        execute(shopper, start, edit, replay_of(trace, start))
    assert counted["price"] == 0

    answer = execute(shopper, start, edit, replay_of(trace, start, live_tools={"price"}))
    assert "<Oslo costs 400>" in answer
    assert counted["price"] == 1


def test_live_runs_every_model_again_and_no_tool(run) -> None:
    trace = ran(run, shopper)
    start = checkpoint(trace, "before where")

    answer = execute(shopper, start, [], replay_of(trace, start, mode="live"))

    assert "<Rome costs 400>" in answer
    assert counted == {"Guide": 1, "Buyer": 2}


def test_a_coworker_is_asked_again_when_the_question_comes_from_elsewhere(run) -> None:
    trace = ran(run, asking)
    start = checkpoint(trace, "before write")

    replay = replay_of(trace, start)
    execute(asking, start, edits(outputs__plan="<new plan>"), replay)

    assert counted["Writer"] == 2
    # What the researcher was asked is the same, and so is its answer; its check comes after.
    assert counted["Researcher"] == 1
    assert replay.counts["recorded"] == 1


def test_a_manager_goes_on_with_an_edited_report(run) -> None:
    trace = ran(run, hierarchy)
    start = checkpoint(trace, "before second")

    answer = execute(
        hierarchy, start, edits(outputs__0="<Worker> <edited>"), replay_of(trace, start)
    )

    assert "<edited>" in answer
    assert counted == {"Boss": 1}


def test_an_edited_object_decides_whether_a_conditional_task_runs(run) -> None:
    trace = ran(run, structured)
    start = checkpoint(trace, "before fix")

    execute(structured, start, edits(outputs__rate='{"score": 9}'), replay_of(trace, start))

    assert counted == {"Writer": 1}


def test_a_router_takes_another_branch_with_an_edited_state(run) -> None:
    trace = ran(run, ReviewFlow)
    start = checkpoint(trace, "before decide")

    edit = edits(state__score=9, state__draft="a good one")
    answer = execute(ReviewFlow, start, edit, replay_of(trace, start))

    assert answer == "published a good one"
    assert counted == {}


def test_what_a_method_returned_can_be_edited(run) -> None:
    trace = ran(run, ReviewFlow)
    start = checkpoint(trace, "before rework")

    answer = execute(ReviewFlow, start, edits(done__2__result="fine"), replay_of(trace, start))

    assert answer.startswith("published")


def test_branches_of_a_flow_that_do_not_diverge_are_answered_from_the_record(run) -> None:
    trace = ran(run, GatherFlow)
    start = checkpoint(trace, "before left")

    edit = edits(done__0__result={"n": 2})
    replay = replay_of(trace, start)
    execute(GatherFlow, start, edit, replay)

    assert counted["Left"] == 1
    assert "Right" not in counted


def test_a_crew_in_a_flow_says_where_to_go_back_to(run) -> None:
    trace = ran(run, ReviewFlow)

    found = [c for c in find_checkpoints(trace) if c.label == "before draft it"]

    assert found[0].why_not == (
        "The crew runs inside the flow's method draft; go back to before that"
    )


def test_a_replay_can_be_replayed(run) -> None:
    trace = ran(run, chain, {"topic": "tea"})
    start = checkpoint(trace, "before Bob")
    execute(chain, start, edits(outputs__Ann="<else>"), replay_of(trace, start))
    second = run.trace
    run.clear()
    counted.clear()

    again = checkpoint(second, "before Cay")
    execute(chain, again, [], replay_of(second, again))

    assert hashes(run.trace.messages) == hashes(after(second, again))
    assert counted == {}


def test_nothing_that_the_user_has_stored_is_touched(run, tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("CREWAI_STORAGE_DIR", str(tmp_path / "store"))
    report = tmp_path / "report.md"

    def writing():
        made = chain()
        made.tasks[2].output_file = "report.md"
        return made

    monkeypatch.chdir(tmp_path)
    trace = ran(run, writing, {"topic": "tea"})
    start = checkpoint(trace, "before Cay")
    before = contents(tmp_path)
    assert report.name in {path.name for path in before}

    execute(writing, start, edits(outputs__Bob="<else>"), replay_of(trace, start))

    assert contents(tmp_path) == before
    assert os.environ["CREWAI_STORAGE_DIR"] == str(tmp_path / "store")
    assert str(tmp_path) in db_storage_path()


def contents(folder: Path) -> dict[Path, bytes]:
    gc.collect()  # an SQLite connection that nobody closed empties its log when it goes
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_flow_that_persists_its_state_does_not_in_a_replay(run, tmp_path) -> None:
    from crewai.flow.persistence import SQLiteFlowPersistence, persist

    store = SQLiteFlowPersistence(str(tmp_path / "flows.db"))

    @persist(store)
    class Keeping(Flow):
        @flows.start()
        def one(self) -> str:
            self.state["x"] = 1
            return "one"

    trace = ran(run, Keeping)
    before = contents(tmp_path)
    begin = checkpoint(trace, "before one")

    assert execute(Keeping, begin, [], replay_of(trace, begin)) == "one"

    assert contents(tmp_path) == before


def test_spans_say_which_replay_they_are_of_and_what_was_answered(run) -> None:
    trace = ran(run, shopper)
    start = checkpoint(trace, "before buy")

    execute(shopper, start, [], replay_of(trace, start))

    spans = run.trace.spans
    assert {s.attributes["agenttrace.replay.id"] for s in spans} == {"r1"}
    tiers = {s.kind: s.attributes["agenttrace.replay.tier"] for s in spans}
    assert (tiers["llm"], tiers["tool"], tiers["agent"]) == ("recorded",) * 3


def test_a_failing_tool_fails_in_the_replay_as_it_did(run) -> None:
    from crewai.tools import tool

    @tool
    def broken(x: int) -> str:
        """never works"""
        counted["broken"] += 1
        raise ConnectionError("the line is dead")

    def work(told: str) -> str:
        return "<gave up>" if "the line is dead" in told else use("broken", x=1)

    def build():
        worker = reader("Worker", work, tools=[broken])
        return crew((worker, task("try", worker, name="try")))

    trace = ran(run, build)
    start = checkpoint(trace, "before try")
    replay = replay_of(trace, start)

    assert execute(build, start, [], replay) == "<gave up>"
    assert counted == {}
    assert replay.counts["live"] == 0


def test_a_tool_that_a_flow_runs_itself_is_answered_from_the_record(run) -> None:
    class Direct(Flow):
        @flows.start()
        def go(self) -> str:
            return price.run(city="Rome")

    trace = ran(run, Direct)
    begin = checkpoint(trace, "before go")

    assert execute(Direct, begin, [], replay_of(trace, begin)) == "<Rome costs 400>"
    assert counted == {}


def test_a_cancelled_replay_ends_although_its_model_does_not_answer(run, monkeypatch) -> None:
    from agenttrace_crewai import executor

    monkeypatch.setattr(executor, "_PATIENCE", 0.1)
    trace = ran(run, chain, {"topic": "tea"})
    start = checkpoint(trace, "before Cay")
    replay = replay_of(trace, start)
    asked, goes_on = threading.Event(), threading.Event()

    def wait(told: str) -> str:
        asked.set()
        goes_on.wait()
        return "late"

    def slow():
        made = chain()
        made.agents[2].llm._answer = wait
        return made

    failures = []

    def work() -> None:
        try:
            execute(slow, start, edits(outputs__Bob="<else>"), replay)
        except ReplayError as error:
            failures.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    assert asked.wait(60)
    replay.cancel()
    thread.join(60)
    goes_on.set()

    assert [type(error) for error in failures] == [ReplayCancelled]


def test_a_model_that_fails_in_the_replay_is_named(run) -> None:
    trace = ran(run, chain, {"topic": "tea"})
    start = checkpoint(trace, "before Cay")

    def fail(told: str) -> str:
        raise ConnectionError("the provider is down")

    def broken():
        made = chain()
        made.agents[2].llm._answer = fail
        return made

    with pytest.raises(ReplayError, match="chain failed in the replay: the provider is down"):
        execute(broken, start, edits(outputs__Bob="<else>"), replay_of(trace, start))


def test_what_cannot_be_replayed_is_refused_in_words(run) -> None:
    trace = ran(run, chain, {"topic": "tea"})
    start = checkpoint(trace, "before Bob")

    with pytest.raises(ReplayError, match="make a function replayable that returns a fresh one"):
        execute(chain(), start, [], replay_of(trace, start))
    with pytest.raises(ReplayError, match="The crew has 2 tasks, the recorded one had 3: Ann; Bob"):
        execute(shopper, start, [], replay_of(trace, start))
    with pytest.raises(EditError, match="no task 'Cay' has an output yet; there are 0: Ann"):
        execute(chain, start, edits(outputs__Cay="x"), replay_of(trace, start))
    with pytest.raises(ReplayError, match="was of a crew, and the replayable function made a Rev"):
        execute(ReviewFlow, start, [], replay_of(trace, start))


def test_a_models_tool_calls_are_answered_as_it_made_them(run) -> None:
    import json

    class Native(type(reader("x", str).llm)):
        def call(self, messages, *args, **kwargs):
            counted["native"] += 1
            if any(m.get("role") == "tool" for m in messages):
                return f"<done> {[m for m in messages if m.get('role') == 'tool'][-1]['content']}"
            function = {"name": "price", "arguments": json.dumps({"city": "Rome"})}
            return [{"id": "c1", "type": "function", "function": function}]

        def supports_function_calling(self) -> bool:
            return True

    def build():
        worker = agent("Worker", llm=Native(str), tools=[price])
        return crew((worker, task("go", worker, name="go")))

    trace = ran(run, build)
    begin = checkpoint(trace, "before go")
    replay = replay_of(trace, begin)

    assert execute(build, begin, [], replay) == "<done> <Rome costs 400>"
    assert counted == {}
    assert replay.counts["live"] == 0
