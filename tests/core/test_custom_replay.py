"""Agents written by hand run again from their checkpoints, answered from the record."""

import asyncio
import inspect
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from pydantic import BaseModel

import agenttrace
from agenttrace import AgentTracer, Edit, Recording, Replay, ReplayStopped, Trace, replayables
from agenttrace.plugins import load_plugins
from agenttrace.testing import InMemoryExporter
from agenttrace.values import exact, restore

tracer = AgentTracer("newsroom")
ran: Counter[str] = Counter()


@dataclass
class Source:
    title: str
    pages: tuple[int, ...]


class Reply(BaseModel):
    text: str


@tracer.tool
def search(topic: str) -> list[Source]:
    ran["search"] += 1
    return [Source(topic, (1, 2))]


@tracer.tool
def words(text: str) -> Iterator[str]:
    ran["words"] += 1
    yield from text.split()


@tracer.tool
async def publish(text: str) -> AsyncIterator[str]:
    ran["publish"] += 1
    yield "printed"
    yield text


@tracer.tool
def broken(text: str) -> None:
    ran["broken"] += 1
    raise LookupError(f"lost {text}")


def think(prompt: str) -> Reply:
    with tracer.llm("acme-1") as call:
        call.input([{"role": "user", "content": prompt}])
        reply = call.recorded()
        if reply is None:
            ran["model"] += 1
            reply = Reply(text=f"<{prompt}>")
        call.output(reply)
    return reply


@tracer.agent
def reporter(topic: str) -> str:
    found = search(topic)
    return think(f"report {found[0].title} of {len(found[0].pages)} pages").text


@tracer.agent
async def editor(report: str) -> str:
    try:
        broken(report)
    except LookupError as error:
        report += f" ({error})"
    text = " ".join(words(think(f"edit {report}").text))
    return " ".join([part async for part in publish(text)])


@tracer.workflow
async def newsroom(topic: str) -> str:
    return await from_state({"topic": topic})


async def from_state(state: dict[str, Any]) -> str:
    """What is replayable: the program from its checkpoint on."""
    if "report" not in state:
        tracer.checkpoint("before-reporter", state)
        state = {**state, "report": reporter(state["topic"])}
        tracer.message("reporter", "editor", state["report"])
    tracer.checkpoint("before-editor", state)
    return await editor(state["report"])


@pytest.fixture
def original(recorded: InMemoryExporter, monkeypatch: pytest.MonkeyPatch) -> Iterator[Trace]:
    monkeypatch.setattr(replayables, "_registered", {})
    agenttrace.replayable("newsroom", from_state, framework="agenttrace")
    asyncio.run(newsroom("tides"))
    agenttrace.flush()
    [trace] = recorded.traces()
    ran.clear()
    yield trace
    ran.clear()


def rerun(trace: Trace, label: str, edits: dict[str, Any] | None = None, **options: Any) -> Any:
    checkpoint = next(c for c in trace.checkpoints if c.label == label)
    execute = load_plugins().first("agenttrace_executor", framework=checkpoint.framework)
    replay = Replay("r", trace.trace_id, Recording.of(trace, checkpoint.created_at), **options)
    target = replayables.replayables()["newsroom"].target
    made = execute(target, checkpoint, [Edit(*e) for e in (edits or {}).items()], replay)
    if inspect.isawaitable(made):

        async def wait() -> Any:
            return await made

        made = asyncio.run(wait())
    return made, replay


@pytest.mark.parametrize(("label", "calls"), [("before-reporter", 6), ("before-editor", 4)])
def test_an_unedited_replay_runs_no_tool_and_no_model(
    original: Trace, label: str, calls: int
) -> None:
    output, replay = rerun(original, label)

    assert output == "printed <edit <report tides of 2 pages> (lost <report tides of 2 pages>)>"
    assert not ran
    assert replay.counts == {"restored": 6 - calls, "recorded": calls, "live": 0}


def test_an_edit_changes_what_comes_after_it(original: Trace) -> None:
    output, _ = rerun(original, "before-editor", {"report": "mine"}, live_tools="all")

    assert output == "printed <edit mine (lost mine)>"
    assert ran == {"broken": 1, "model": 1, "words": 1, "publish": 1}


def test_a_tool_with_another_input_stops_the_replay(original: Trace) -> None:
    with pytest.raises(ReplayStopped, match="--live-tools broken"):
        rerun(original, "before-editor", {"report": "mine"})

    assert not ran


def test_a_live_replay_asks_the_model(original: Trace) -> None:
    rerun(original, "before-editor", mode="live")

    assert ran == {"model": 1}


def test_a_replay_is_one_trace_whose_steps_say_where_they_come_from(
    original: Trace, recorded: InMemoryExporter
) -> None:
    rerun(original, "before-editor")
    agenttrace.flush()

    trace = next(t for t in recorded.traces() if t.trace_id != original.trace_id)
    tiers = {s.name: s.attributes["agenttrace.replay.tier"] for s in trace.spans}
    assert tiers == {
        "invoke_workflow before-editor": "restored",
        "invoke_agent editor": "recorded",
        "execute_tool broken": "recorded",
        "chat acme-1": "recorded",
        "execute_tool words": "recorded",
        "execute_tool publish": "recorded",
    }
    assert sum(agent.tokens_in for agent in trace.agents) == 0


def test_a_checkpoint_can_be_resumed_once_something_is_replayable_for_it(
    recorded: InMemoryExporter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(replayables, "_registered", {})
    with tracer.workflow("w"):
        tracer.checkpoint("alone", {})
        agenttrace.replayable("newsroom", from_state)
        tracer.checkpoint("known", {})
        tracer.checkpoint("refused", {}, why_not="It holds a lock")
    agenttrace.flush()

    [trace] = recorded.traces()
    assert {c.label: c.why_not for c in trace.checkpoints} == {
        "alone": trace.checkpoints[0].why_not,
        "known": None,
        "refused": "It holds a lock",
    }
    assert "agenttrace.replayable(name, function)" in (trace.checkpoints[0].why_not or "")
    assert {c.framework for c in trace.checkpoints} == {"agenttrace"}


def test_a_function_that_takes_the_replay_is_given_it(original: Trace) -> None:
    def resume(state: Any, replay: Replay) -> Any:
        return state["topic"], replay.mode

    agenttrace.replayable("newsroom", resume)

    assert rerun(original, "before-reporter")[0] == ("tides", "recorded")


@pytest.mark.parametrize(
    "value",
    [None, "text", '{"format":"agenttrace/1","value":1}', [1, (2, "x")], {"a": {"b": 1.5}},
     Source("t", (1,)), [Reply(text="x")]],
)  # fmt: skip
def test_what_was_returned_comes_back_as_it_was(value: Any) -> None:
    text = exact(value)

    assert restore(value if text is None else text) == value


@pytest.mark.parametrize("value", [object(), {1: 2}, {"$type": "x"}, b"x", [Counter()]])
def test_what_would_not_come_back_is_not_kept(value: Any) -> None:
    with pytest.raises(TypeError):
        exact(value)


def test_a_record_makes_no_objects_but_the_programs_own_data() -> None:
    with pytest.raises(ValueError, match="has not imported"):
        restore('{"format":"agenttrace/1","value":{"$type":"os:system","value":{"command":"x"}}}')
