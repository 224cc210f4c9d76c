"""Crews and flows that stream their answers, when they are run again; and replays of replays."""

from typing import Any

import pytest
from crewai.flow.flow import Flow, listen, start

from agenttrace.messages import find_checkpoints
from agenttrace_crewai.capture import INSTRUMENTOR
from agenttrace_crewai.executor import execute
from support.crewai_apps import crew, task
from support.crewai_replays import chain, counted, relay
from support.recorded import recorded
from support.replays import after, checkpoint, edits, hashes, replay_of


@pytest.fixture
def run():
    counted.clear()
    with recorded(INSTRUMENTOR) as record:
        yield record


def streamed() -> Any:
    """Two tasks whose answers come in pieces."""
    ann, bob = relay("Ann"), relay("Bob")
    made = crew((ann, task("begin", ann, name="Ann")), (bob, task("go on", bob, name="Bob")))
    made.stream = True
    return made


class Stream(Flow):
    """A flow that streams, with a crew in it that streams as well."""

    stream: bool = True

    @start()
    def gather(self) -> str:
        stream = streamed().kickoff()
        for _ in stream:
            pass
        return stream.result.raw

    @listen(gather)
    def finish(self, found: str) -> str:
        worker = relay("Last")
        return crew((worker, task(f"finish {found}", worker))).kickoff().raw


@pytest.mark.parametrize("build", [streamed, Stream])
def test_what_was_streamed_repeats_itself_from_every_checkpoint(run, build) -> None:
    stream = build().kickoff()
    for _ in stream:
        pass
    answer = str(getattr(stream.result, "raw", stream.result))
    trace = run.trace
    starts = [found for found in find_checkpoints(trace) if found.resumable]
    assert len(starts) >= 2
    counted.clear()

    for begin in starts:
        run.clear()
        replay = replay_of(trace, begin)
        assert execute(build, begin, [], replay) == answer, begin.label
        assert hashes(run.trace.messages) == hashes(after(trace, begin)), begin.label
        assert (replay.counts["live"], counted) == (0, {}), begin.label


def test_a_replay_of_a_replay_of_a_replay_keeps_every_edit(run) -> None:
    chain().kickoff(inputs={"topic": "tea"})
    trace = run.trace
    for name, before in (("Ann", "before Bob"), ("Bob", "before Cay"), ("Bob", "before Cay")):
        run.clear()
        counted.clear()
        begin = checkpoint(trace, before)
        edit = edits(**{f"outputs__{name}": f"<edited {name}>"})
        answer = execute(chain, begin, edit, replay_of(trace, begin))
        trace = run.trace

    assert "<edited Ann>" in answer
    assert "<edited Bob>" in answer
    assert counted == {}
