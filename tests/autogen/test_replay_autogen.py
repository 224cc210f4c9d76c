"""Teams that are run again from a checkpoint: real teams, models that read what they are told."""

import asyncio
import json

import pytest
from autogen_agentchat.messages import HandoffMessage

from agenttrace.errors import EditError, ReplayCancelled, ReplayError, ReplayStopped
from agenttrace.messages import find_checkpoints
from agenttrace_autogen.capture import INSTRUMENTOR
from agenttrace_autogen.executor import execute
from support.autogen_apps import says
from support.autogen_replays import (
    APPLICATIONS,
    approval,
    assistant,
    counted,
    delegating,
    echo,
    magentic,
    nested,
    programmers,
    reader,
    reflection,
    review_graph,
    society,
    streaming,
    support_desk,
    travel_planner,
)
from support.recorded import recorded, said
from support.replays import after, checkpoint, cost_nothing, edits, hashes, replay_of


@pytest.fixture
def run():
    counted.clear()
    with recorded(INSTRUMENTOR) as record:
        yield record


@pytest.mark.parametrize("name", APPLICATIONS)
async def test_from_every_checkpoint_the_same_is_said_without_a_single_call(run, name) -> None:
    build, task = APPLICATIONS[name]
    answer = (await build().run(task=task)).messages[-1].to_text()
    trace, calls = run.trace, counted.total()
    starts = [found for found in find_checkpoints(trace) if found.resumable]
    assert starts
    assert not cost_nothing(trace)
    assert calls
    counted.clear()

    for start in starts:
        run.clear()
        replay = replay_of(trace, start)
        assert await execute(build, start, [], replay) == answer
        assert hashes(run.trace.messages) == hashes(after(trace, start)), start.label
        assert replay.counts["live"] == 0, start.label
        assert cost_nothing(run.trace), start.label
        assert counted.total() == 0, start.label


async def ran(run, build, task: str):
    """Run an application once; return its trace and forget everything else."""
    await build().run(task=task)
    trace = run.trace
    run.clear()
    counted.clear()
    return trace


async def test_an_edited_message_is_what_everybody_has_heard(run) -> None:
    trace = await ran(run, reflection, "tea")
    start = checkpoint(trace, "before critic")
    replay = replay_of(trace, start)

    answer = await execute(reflection, start, edits(messages__1="a perfect text"), replay)

    assert answer == "APPROVE"
    assert counted == {"critic": 1}
    assert [agent.name for agent in run.trace.agents] == ["critic"]


async def test_an_authors_own_memory_of_an_edited_message_is_edited_too(run) -> None:
    trace = await ran(run, reflection, "tea")
    last = [c for c in find_checkpoints(trace) if c.label == "before writer"][-1]
    heard: list[list[str]] = []

    def attentive():
        team = reflection()
        writer = reader("writer", lambda told: heard.append(told) or "v2")
        team._participants[0] = writer
        return team

    await execute(attentive, last, edits(messages__1="v1 on coffee"), replay_of(trace, last))

    assert heard == [["tea", "v1 on coffee", "make it shorter"]]


async def test_a_message_is_found_by_its_id_and_in_a_buffer(run) -> None:
    trace = await ran(run, reflection, "tea")
    start = checkpoint(trace, "before critic")
    members = json.loads(start.state)["agent_states"]
    message = members["RoundRobinGroupChatManager"]["message_thread"][1]
    buffered = "agent_states.critic.message_buffer.1.content"

    for path in (f"messages/{message['id']}", f"/messages/{message['id']}/content", buffered):
        run.clear()
        replay = replay_of(trace, start)
        assert await execute(reflection, start, edits(**{path: "perfect"}), replay) == "APPROVE"


async def test_an_edited_handoff_goes_to_another_agent(run) -> None:
    trace = await ran(run, support_desk, "my invoice is wrong")
    start = checkpoint(trace, "before billing")
    thread = json.loads(start.state)["agent_states"]["SwarmGroupChatManager"]["message_thread"]
    [handoff] = [i for i, m in enumerate(thread) if m["type"] == HandoffMessage.__name__]

    edit = edits(**{f"messages/{handoff}/target": "tech"})
    await execute(support_desk, start, edit, replay_of(trace, start, live_tools={"price"}))

    assert "tech" in counted
    assert "billing" not in counted
    assert {m.sender for m in run.trace.messages} == {"tech", "triage"}


async def test_another_speaker_can_be_asked(run) -> None:
    trace = await ran(run, reflection, "tea")
    start = checkpoint(trace, "before writer")

    await execute(reflection, start, edits(speaker="critic"), replay_of(trace, start))

    assert said(run.trace)[0][0] == "critic"
    with pytest.raises(EditError, match="'nobody' is no member; there are writer, critic"):
        await execute(reflection, start, edits(speaker="nobody"), replay_of(trace, start))


async def test_what_a_tool_said_is_edited_and_the_tool_does_not_run_again(run) -> None:
    trace = await ran(run, travel_planner, "a trip to Nepal")
    start = checkpoint(trace, "before guide")

    edit = edits(**{"messages/-1": "Nepal costs 9"})
    answer = await execute(travel_planner, start, edit, replay_of(trace, start))

    assert answer == "TERMINATE guide(Nepal costs 9)"
    assert counted == {"guide": 1, "selector": 1, "summary": 1}


async def test_those_who_work_beside_one_that_diverges_are_answered_from_the_record(run) -> None:
    trace = await ran(run, review_graph, "go")
    start = checkpoint(trace, "before facts, style")
    remembered = {"content": "only facts knows this", "source": "user", "type": "UserMessage"}
    path = "agent_states/facts/agent_state/llm_context/messages/-"

    def curious():
        team = review_graph()
        team._participants[1] = reader("facts", lambda heard: f"facts({heard[0]})")
        return team

    replay = replay_of(trace, start)
    answer = await execute(curious, start, edits(**{path: remembered}), replay)

    assert answer in ("editor(style(draft(go)))", "editor(facts(only facts knows this))")
    assert counted == {"facts": 1, "editor": 1}
    assert replay.counts == {"restored": 1, "recorded": 1, "live": 2}


async def test_the_orchestrators_ledger_goes_on_from_an_edited_report(run) -> None:
    trace = await ran(run, magentic, "build it")
    start = checkpoint(trace, "before tester")

    edit = edits(**{"messages/-1": "test it twice"})
    await execute(magentic, start, edit, replay_of(trace, start))

    assert said(run.trace)[0] == (
        "tester",
        "MagenticOneOrchestrator",
        "result",
        "tester(test it twice)",
    )
    assert counted == {"tester": 1, "orchestrator": 2}


@pytest.mark.parametrize("build", [society, nested])
async def test_an_inner_team_goes_on_in_its_middle_and_the_outer_one_after_it(run, build) -> None:
    trace = await ran(run, build, "go")
    start = checkpoint(trace, "before y")
    assert start.resumable

    inner = "society/agent_state/inner_team_state" if build is society else "inner/agent_state"
    path = f"agent_states/{inner}/agent_states/y/message_buffer/-1/content"
    replay = replay_of(trace, start)
    answer = await execute(build, start, edits(**{path: "changed"}), replay)

    assert "changed" in answer
    first = said(run.trace)[0]
    assert first[0] == "y"
    assert "changed" in first[3]
    assert counted["y"] == counted["lead"] + 1 == counted["x"] + 1 or build is nested


async def test_a_single_agent_starts_again_with_another_task(run) -> None:
    trace = await ran(run, assistant, "a trip to Rome")
    start = checkpoint(trace, "before assistant")

    replay = replay_of(trace, start, live_tools={"price"})
    answer = await execute(assistant, start, edits(task="a trip to Oslo"), replay)

    assert answer == "So Oslo costs 400"
    assert counted == {"assistant": 2, "price": 1}


async def test_a_tool_that_is_not_in_the_record_stops_the_replay(run) -> None:
    trace = await ran(run, assistant, "a trip to Rome")
    start = checkpoint(trace, "before assistant")

    with pytest.raises(ReplayStopped, match=r"'price' of assistant .* another input.*--live-tools"):
        await execute(assistant, start, edits(task="a trip to Oslo"), replay_of(trace, start))

    assert counted == {"assistant": 1}


async def test_a_stopped_team_says_so_instead_of_waiting_for_ever(run) -> None:
    trace = await ran(run, travel_planner, "a trip to Nepal")
    start = checkpoint(trace, "before planner")

    with pytest.raises(ReplayStopped):
        await execute(travel_planner, start, edits(messages__0="to Peru"), replay_of(trace, start))

    assert counted["price"] == 0
    assert INSTRUMENTOR.sizes() == {}


async def test_a_person_who_is_shown_something_else_is_not_asked_and_the_replay_stops(run) -> None:
    trace = await ran(run, approval, "tea")
    start = checkpoint(trace, "before person")

    edit = edits(**{"messages__-1": "something else"})
    with pytest.raises(ReplayStopped, match=r"person asks a person, .* shown something else"):
        await execute(approval, start, edit, replay_of(trace, start, live_tools="all"))

    assert counted["person"] == 0


async def test_live_runs_every_model_again_and_no_tool(run) -> None:
    trace = await ran(run, travel_planner, "a trip to Nepal")
    start = checkpoint(trace, "before planner")

    await execute(travel_planner, start, [], replay_of(trace, start, mode="live"))

    assert counted == {"planner": 1, "guide": 1, "summary": 1, "selector": 2}


async def test_what_runs_live_in_an_agent_that_is_a_tool_is_its_own(run) -> None:
    trace = await ran(run, delegating, "go")
    start = checkpoint(trace, "before lead")

    answer = await execute(delegating, start, edits(messages__0="stay"), replay_of(trace, start))

    assert answer == "FINAL expert: expert(look at stay)"
    assert counted == {"lead": 2, "expert": 1}


async def test_code_counts_as_a_tool(run) -> None:
    trace = await ran(run, programmers, "go")
    start = checkpoint(trace, "before runner")
    code = "```python\nprint('other')\n```"

    edit = edits(**{"messages/-1": code})
    with pytest.raises(ReplayStopped, match="execute_code"):
        await execute(programmers, start, edit, replay_of(trace, start))
    assert counted["code"] == 0

    replay = replay_of(trace, start, live_tools={"execute_code"})
    assert await execute(programmers, start, edit, replay) == "TERMINATE it runs"
    assert counted["code"] == 1


async def test_streamed_answers_come_as_chunks_and_then_as_the_result(run) -> None:
    trace = await ran(run, streaming, "go")
    start = checkpoint(trace, "before b")
    chunks: list[str] = []

    def watched():
        team = streaming()
        original = team.run_stream

        async def run_stream(**options):
            async for item in original(**options):
                if item.__class__.__name__ == "ModelClientStreamingChunkEvent":
                    chunks.append(item.content)
                yield item

        team.run_stream = run_stream
        return team

    await execute(watched, start, [], replay_of(trace, start))

    assert chunks == ["b(a(go))", "a(b(a(go)))"]


async def test_spans_say_which_replay_they_are_of_and_what_was_answered(run) -> None:
    trace = await ran(run, reflection, "tea")
    start = checkpoint(trace, "before critic")

    await execute(reflection, start, edits(messages__1="perfect"), replay_of(trace, start))
    edited = run.trace
    run.clear()
    await execute(reflection, start, [], replay_of(trace, start))

    for found, tier in ((edited, "live"), (run.trace, "recorded")):
        assert {s.attributes["agenttrace.replay.id"] for s in found.spans} == {"r1"}
        [*sources] = {s.attributes["agenttrace.replay.source_trace_id"] for s in found.spans}
        assert sources == [trace.trace_id]
        kinds = {
            s.attributes["agenttrace.replay.tier"] for s in found.spans if s.kind != "workflow"
        }
        assert kinds == {tier}


async def test_a_replay_can_be_replayed(run) -> None:
    trace = await ran(run, reflection, "tea")
    start = checkpoint(trace, "before critic")
    await execute(reflection, start, edits(messages__1="v1 on coffee"), replay_of(trace, start))
    second = run.trace
    run.clear()
    counted.clear()

    again = checkpoint(second, "before writer")
    replay = replay_of(second, again)
    await execute(reflection, again, [], replay)

    assert hashes(run.trace.messages) == hashes(after(second, again))
    assert counted.total() == 0


async def test_a_termination_condition_has_counted_what_was_said_before(run) -> None:
    trace = await ran(run, APPLICATIONS["society"][0], "go")
    start = [c for c in find_checkpoints(trace) if c.label == "before society"][-1]

    await execute(society, start, edits(**{"messages/-1": "new"}), replay_of(trace, start))

    [root] = [
        span
        for span in run.trace.spans
        if span.name == "invoke_workflow RoundRobinGroupChat" and not span.parent_id
    ]
    assert (
        "Maximum number of messages 5 reached" in root.attributes["agenttrace.autogen.stop_reason"]
    )


async def test_a_model_that_fails_in_the_replay_is_named(run) -> None:
    trace = await ran(run, reflection, "tea")
    start = checkpoint(trace, "before critic")

    def broken():
        team = reflection()

        def fail(heard):
            raise ConnectionError("the provider is down")

        team._participants[1] = reader("critic", fail)
        return team

    with pytest.raises(ReplayError, match="the provider is down"):
        await execute(broken, start, edits(messages__1="new"), replay_of(trace, start))


async def test_a_cancelled_replay_ends_although_its_model_does_not_answer(run) -> None:
    trace = await ran(run, reflection, "tea")
    start = checkpoint(trace, "before critic")
    replay = replay_of(trace, start)
    asked = asyncio.Event()

    def slow():
        team = reflection()

        async def never(*_, **__):
            asked.set()
            await asyncio.Event().wait()

        team._participants[1]._model_client.create = never
        return team

    running = asyncio.create_task(execute(slow, start, edits(messages__1="new"), replay))
    await asked.wait()
    replay.cancel()

    with pytest.raises(ReplayCancelled):
        await running
    assert INSTRUMENTOR.sizes() == {}


async def test_a_team_itself_is_not_changed_by_replaying_it(run) -> None:
    trace = await ran(run, reflection, "tea")
    start = checkpoint(trace, "before critic")

    with pytest.raises(ReplayError, match="make a function replayable that returns a fresh one"):
        await execute(reflection(), start, [], replay_of(trace, start))


async def test_a_team_with_other_members_is_refused(run) -> None:
    trace = await ran(run, reflection, "tea")
    start = checkpoint(trace, "before critic")

    with pytest.raises(ReplayError, match="members lead, inner, last; the recorded one had writer"):
        await execute(nested, start, [], replay_of(trace, start))


async def test_a_team_in_a_tool_says_where_to_go_back_to(run) -> None:
    from autogen_agentchat.tools import TeamTool

    from support.autogen_apps import agent, calls
    from support.autogen_replays import RoundRobinGroupChat

    inner = RoundRobinGroupChat([echo("x")], name="inner", max_turns=1)
    tool = TeamTool(inner, name="ask", description="asks", return_value_as_last_message=True)
    lead = agent("lead", calls("ask", task="hm"), "END", tools=[tool], reflect_on_tool_use=True)

    await RoundRobinGroupChat([lead], termination_condition=says("END")).run(task="go")

    [outer, within] = find_checkpoints(run.trace)
    assert outer.resumable
    assert not within.resumable
    assert within.why_not == (
        "lead runs this team in the middle of its own turn; go back to before lead"
    )
