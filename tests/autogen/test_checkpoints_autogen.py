"""Checkpoints at turn boundaries: what a fresh team needs to go on from there."""

import json
from typing import Any

import pytest
from autogen_agentchat.agents import SocietyOfMindAgent
from autogen_agentchat.conditions import MaxMessageTermination
from autogen_agentchat.teams import (
    DiGraphBuilder,
    GraphFlow,
    MagenticOneGroupChat,
    RoundRobinGroupChat,
)

from agenttrace.messages import find_checkpoints
from agenttrace.models import Checkpoint
from agenttrace_autogen.capture import INSTRUMENTOR
from support.autogen_apps import (
    agent,
    ledger,
    model,
    planner_and_worker,
    says,
    selected_writer_and_critic,
    writer_and_critic,
)
from support.recorded import recorded, said


@pytest.fixture
def run():
    with recorded(INSTRUMENTOR) as record:
        yield record


def checkpoints(run) -> list[Checkpoint]:
    return list(find_checkpoints(run.trace))


def config(checkpoint: Checkpoint) -> dict[str, Any]:
    return json.loads(checkpoint.config)


def heard(checkpoint: Checkpoint, name: str) -> list[str]:
    buffered = json.loads(checkpoint.state)["agent_states"][name]["message_buffer"]
    return [message["content"] for message in buffered]


async def test_there_is_one_at_each_turn_with_the_speaker_that_was_asked(run) -> None:
    await writer_and_critic().run(task="hi")

    found = checkpoints(run)
    assert [c.label for c in found] == [
        "before writer",
        "before critic",
        "before writer",
        "before critic",
        "before writer",
    ]
    assert config(found[1]) == {
        "team": "RoundRobinGroupChat",
        "name": "RoundRobinGroupChat",
        "manager": "RoundRobinGroupChatManager",
        "participants": ["writer", "critic"],
        "began": 0,
        "tasks": 1,
        "speaker": "critic",
        "speakers": ["critic"],
        "within": [],
    }
    assert all(c.resumable and c.framework == "autogen" for c in found)
    turns = [run.trace.by_id[c.span_id] for c in found]
    assert [turn.agent for turn in turns] == [config(c)["speaker"] for c in found]


async def test_everybody_has_heard_what_was_said_before(run) -> None:
    await writer_and_critic().run(task="hi")

    first, second, third, *_ = checkpoints(run)
    assert (heard(first, "writer"), heard(first, "critic")) == (["hi"], ["hi"])
    assert (heard(second, "writer"), heard(second, "critic")) == ([], ["hi", "w-msg0"])
    assert (heard(third, "writer"), heard(third, "critic")) == (["c0"], [])


@pytest.mark.parametrize(
    "build", [writer_and_critic, planner_and_worker, selected_writer_and_critic]
)
async def test_the_state_is_what_the_team_itself_saves(build, run, monkeypatch) -> None:
    from agenttrace_autogen import checkpoints as capture

    saved: list[Any] = []
    cheap = capture.of_team

    async def both(team: Any, dumps: Any) -> Any:
        saved.append(json.loads(json.dumps(await team.save_state(), default=str)))
        return await cheap(team, dumps)

    monkeypatch.setattr(capture, "of_team", both)
    await build().run(task="go")

    taken = [json.loads(c.state) for c in checkpoints(run)]
    assert len(taken) >= 2
    assert taken == saved


async def test_a_fresh_team_goes_on_from_a_state_with_the_edit(run) -> None:
    await writer_and_critic().run(task="hi")
    found = checkpoints(run)[2]
    state, wanted = json.loads(found.state), config(found)
    # The request to speak is not in the state: RoundRobin has already moved on to the one after.
    manager = state["agent_states"][wanted["manager"]]
    manager["next_speaker_index"] = wanted["participants"].index(wanted["speaker"])
    for entry in state["agent_states"]["writer"]["message_buffer"]:
        entry["content"] = "make it rhyme"
    run.clear()

    writer, critic = agent("writer", "w again"), agent("critic", "c again")
    fresh = RoundRobinGroupChat([writer, critic], max_turns=1)
    await fresh.load_state(state)
    await fresh.run()

    turn = next(span for span in run.trace.spans if span.kind == "agent")
    assert (turn.agent, turn.input) == ("writer", "make it rhyme")


async def test_those_who_speak_together_share_one(run) -> None:
    nodes = [agent(name, f"{name} says") for name in "ABC"]
    graph = DiGraphBuilder()
    for node in nodes:
        graph.add_node(node)
    graph.add_edge(nodes[0], nodes[1]).add_edge(nodes[0], nodes[2])

    await GraphFlow(nodes, graph=graph.build()).run(task="go")

    found = checkpoints(run)
    assert [c.label for c in found] == ["before A", "before B, C"]
    assert config(found[1])["speakers"] == ["B", "C"]
    manager = json.loads(found[1].state)["agent_states"]["GraphManager"]
    assert manager["ready"] == []
    assert [m["content"] for m in manager["message_thread"]] == ["go", "A says"]


async def test_an_orchestrators_instruction_is_in_it(run) -> None:
    thinks = model(
        "facts", "plan", ledger(False, "coder", "write it"), ledger(True, "coder"), "answer"
    )

    await MagenticOneGroupChat([agent("coder", "v1")], thinks).run(task="build")

    [found] = checkpoints(run)
    assert heard(found, "coder")[-1] == "write it"
    orchestrator = json.loads(found.state)["agent_states"]["MagenticOneOrchestrator"]
    assert (orchestrator["facts"], orchestrator["plan"]) == ("facts", "plan")


async def test_inner_teams_are_part_of_it_and_have_their_own(run) -> None:
    inner = RoundRobinGroupChat([agent("x", "X DONE")], termination_condition=says("DONE"))
    society = SocietyOfMindAgent("society", inner, model("sum END"))
    team = RoundRobinGroupChat([agent("lead", "go on"), society], termination_condition=says("END"))

    await team.run(task="go")

    found = checkpoints(run)
    assert [c.label for c in found] == ["before lead", "before society", "before x"]
    outer = json.loads(found[1].state)
    assert outer["agent_states"]["society"]["agent_state"]["type"] == "SocietyOfMindAgentState"


async def test_an_agent_that_cannot_save_its_state_says_why_it_cannot_be_resumed(run) -> None:
    from autogen_agentchat.agents import AssistantAgent

    class Secretive(AssistantAgent):
        async def save_state(self):
            raise PermissionError("no state for you")

    team = RoundRobinGroupChat([Secretive("a", model("A"))], max_turns=1)

    await team.run(task="go")

    [found] = checkpoints(run)
    assert not found.resumable
    assert "no state for you" in found.why_not
    assert said(run.trace)[-1] == ("a", "user", "result", "A")


async def test_an_agent_with_a_state_of_its_own_is_asked_for_it_at_the_boundary(run) -> None:
    from autogen_agentchat.agents import AssistantAgent

    class Counting(AssistantAgent):
        turns = 0

        async def on_messages_stream(self, messages, cancellation_token):
            self.turns += 1
            async for item in super().on_messages_stream(messages, cancellation_token):
                yield item

        async def save_state(self):
            return {"turns": self.turns}

    team = RoundRobinGroupChat(
        [Counting("a", model("A1", "A2"))], termination_condition=MaxMessageTermination(3)
    )

    await team.run(task="go")

    states = [json.loads(c.state)["agent_states"]["a"]["agent_state"] for c in checkpoints(run)]
    assert states == [{"turns": 0}, {"turns": 1}]
