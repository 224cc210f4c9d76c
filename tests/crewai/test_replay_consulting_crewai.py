"""What a crew or flow asks of people, memories and knowledge, when it is run again."""

import builtins
from pathlib import Path
from typing import Any

import pytest
from crewai import Knowledge
from crewai.flow.flow import Flow, listen, start
from crewai.flow.human_feedback import human_feedback
from crewai.knowledge.storage.base_knowledge_storage import BaseKnowledgeStorage
from crewai.memory.unified_memory import Memory

from agenttrace.errors import ReplayStopped
from agenttrace.messages import find_checkpoints
from agenttrace_crewai.capture import INSTRUMENTOR
from agenttrace_crewai.executor import execute
from support.crewai_apps import crew, task
from support.crewai_replays import Reader, counted, marks, reader, relay
from support.recorded import recorded
from support.replays import after, checkpoint, edits, hashes, replay_of


@pytest.fixture
def run():
    counted.clear()
    with recorded(INSTRUMENTOR) as record:
        yield record


@pytest.fixture
def typed(monkeypatch):
    """What a person types, in order; whoever asks once more waits for ever in real life."""
    lines: list[str] = []

    def read(*_: Any) -> str:
        counted["person"] += 1
        assert lines, "nobody is there"
        return lines.pop(0)

    monkeypatch.setattr(builtins, "input", read)
    return lines


def repeats_itself(run, build) -> Any:
    """Run an application and replay it from every checkpoint; return its trace."""
    output = build().kickoff()
    answer = str(getattr(output, "raw", output))
    trace = run.trace
    starts = [found for found in find_checkpoints(trace) if found.resumable]
    assert starts
    counted.clear()
    for begin in starts:
        run.clear()
        replay = replay_of(trace, begin)
        assert execute(build, begin, [], replay) == answer, begin.label
        assert hashes(run.trace.messages) == hashes(after(trace, begin)), begin.label
        assert (replay.counts["live"], counted) == (0, {}), begin.label
    run.clear()
    return trace


def reviewed():
    """A task whose result a person reviews, after one who says what about."""

    def write(told: str) -> str:
        return f"<v{told.count('make it') + 1}> of {marks(told)}"

    guide, writer = relay("Guide"), reader("Writer", write)
    return crew(
        (guide, task("say what", guide, name="what")),
        (writer, task("write", writer, name="write", human_input=True)),
    )


def test_a_person_who_reviews_a_task_is_answered_from_the_record(run, typed) -> None:
    typed += ["make it better", ""]

    trace = repeats_itself(run, reviewed)

    assert ("user", "Writer", "answer") in {(m.sender, m.recipient, m.type) for m in trace.messages}


def test_a_person_who_is_shown_something_else_is_not_asked_and_the_replay_stops(run, typed) -> None:
    typed += [""]
    reviewed().kickoff()
    begin = checkpoint(run.trace, "before write")
    counted.clear()

    replay = replay_of(run.trace, begin, live_tools="all")
    with pytest.raises(ReplayStopped, match=r"Writer asks a person, .* shown something else"):
        execute(reviewed, begin, edits(outputs__what="<else>"), replay)

    assert counted["person"] == 0


class Desk(Flow):
    """Asks what to write about, has a person judge it, and goes on with what they said."""

    @start()
    def ask_first(self) -> str:
        return self.ask("about what?") or ""

    @listen(ask_first)
    @human_feedback(message="good?")
    def write(self, about: str) -> str:
        writer = reader("Writer", lambda told: f"<{marks(told)} on {about}>")
        return crew((writer, task(f"write on {about}", writer))).kickoff().raw

    @listen(write)
    def finish(self, judged: Any) -> str:
        assert self.last_human_feedback is not None
        return f"{judged.output} was called {self.last_human_feedback.feedback}"


def test_a_flow_that_asks_people_goes_on_with_what_they_said(run, typed) -> None:
    typed += ["tea", "splendid"]

    trace = repeats_itself(run, Desk)

    said = [(m.sender, m.type, m.content) for m in trace.messages if m.type == "answer"]
    assert said == [("user", "answer", "tea"), ("user", "answer", "splendid")]


class Mailbox:
    """A feedback provider of the application's own."""

    def request_feedback(self, context: Any, flow: Any) -> str:
        counted["mailbox"] += 1
        return "publish it"


class Routed(Flow):
    """A person's words are put into one of two outcomes by a model."""

    @start()
    @human_feedback(
        message="publish?",
        emit=["yes", "no"],
        llm=Reader(lambda told: "yes"),
        provider=Mailbox(),
    )
    def draft(self) -> str:
        return "a draft"

    @listen("yes")
    def publish(self) -> str:
        return "published"

    @listen("no")
    def drop(self) -> str:
        return "dropped"


def test_a_provider_of_feedback_is_answered_from_the_record(run) -> None:
    trace = repeats_itself(run, Routed)

    assert [m.content for m in trace.messages if m.type == "answer"] == ["publish it"]


def embed(texts: list[str]) -> list[list[float]]:
    counted["embedder"] += 1
    return [[1.0, float(len(text) % 7)] for text in texts]


def remembering(folder: Path) -> Any:
    """A crew with a memory that knows something."""

    def analyse(told: str) -> str:
        return "nothing to say"

    memory = Memory(llm=Reader(analyse), storage=str(folder), embedder=embed)

    def build():
        guide, writer = relay("Guide"), relay("Writer")
        made = crew(
            (guide, task("say what", guide, name="what")),
            (writer, task("write", writer, name="write")),
        )
        made.memory = made._memory = memory
        return made

    return memory, build


def test_a_memory_gives_what_it_gave_and_is_neither_read_nor_written(run, tmp_path) -> None:
    memory, build = remembering(tmp_path)
    memory.remember(
        "<remembered>", scope="/", categories=[], importance=0.5, metadata={"about": "tea"}
    )
    run.clear()
    output = build().kickoff()
    assert "<remembered>" in output.raw
    memory.drain_writes()
    trace = next(one for one in run.traces if find_checkpoints(one))
    run.clear()
    before = contents(tmp_path)

    for label in ("before what", "before write"):
        counted.clear()
        begin = checkpoint(trace, label)
        replay = replay_of(trace, begin)
        assert execute(build, begin, [], replay) == output.raw
        assert (replay.counts["live"], counted) == (0, {}), label
        assert hashes(run.trace.messages) == hashes(after(trace, begin)), label
        run.clear()

    edit = edits(outputs__what="<else>", description="sing")
    other = execute(build, begin, edit, replay_of(trace, begin))
    assert "<remembered>" not in other
    assert counted["embedder"] == 0
    assert contents(tmp_path) == before


def contents(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


class Shelf(BaseKnowledgeStorage):
    """Knows one thing."""

    def search(self, query: Any, limit: int = 5, **_: Any) -> list[dict[str, Any]]:
        counted["shelf"] += 1
        return [{"id": "1", "content": "<known>", "metadata": {}, "score": 0.9}]

    async def asearch(self, query: Any, limit: int = 5, **_: Any) -> list[dict[str, Any]]:
        return self.search(query, limit)

    def save(self, documents: Any) -> None:
        counted["saved"] += 1

    async def asave(self, documents: Any) -> None:
        counted["saved"] += 1

    def reset(self) -> None: ...
    async def areset(self) -> None: ...


def informed():
    """A crew whose writer has knowledge."""
    writer = relay("Writer")
    writer.knowledge = Knowledge(collection_name="shelf", sources=[], storage=Shelf())
    return crew((writer, task("write", writer, name="write")))


def test_knowledge_gives_what_it_gave(run) -> None:
    trace = repeats_itself(run, informed)

    [looked] = [s for s in trace.spans if s.name == "knowledge"]
    assert looked.kind == "retriever"
    assert "<known>" in (looked.output or "")
