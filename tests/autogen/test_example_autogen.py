"""The example team fails as its LangGraph twin does, and the recording shows how."""

import importlib.util
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from agenttrace.messages import find_checkpoints
from agenttrace_autogen.capture import INSTRUMENTOR
from agenttrace_autogen.executor import execute
from support.recorded import orphans, recorded, said
from support.replays import after, hashes, replay_of

EXAMPLE = Path(__file__).parents[2] / "examples" / "research_team_autogen.py"


@pytest.fixture
def example() -> Iterator[ModuleType]:
    spec = importlib.util.spec_from_file_location("research_team_autogen", EXAMPLE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_critics_objection_is_ignored_and_the_work_repeated(example, capsys) -> None:
    with recorded(INSTRUMENTOR) as run:
        code = example.main([])
        trace = run.trace

    assert code == 0
    assert capsys.readouterr().out.startswith("Yes. Northwind Robotics' revenue grew 18.0 %")
    assert [(m[0], m[1]) for m in said(trace)] == [
        ("user", "supervisor"),
        *[("supervisor", "researcher"), ("researcher", "supervisor")],
        *[("supervisor", "analyst"), ("analyst", "supervisor")],
        *[("supervisor", "critic"), ("critic", "supervisor")],
        *[("supervisor", "researcher"), ("researcher", "supervisor")],
        *[("supervisor", "analyst"), ("analyst", "supervisor")],
        ("supervisor", "writer"),
        ("writer", "user"),
    ]
    told = [m[3] for m in said(trace)]
    assert told[6].startswith("I object: the audited accounts show EUR 402.3 million")
    assert told[7] == told[1]
    assert told[8] == told[2]
    assert {a.name for a in trace.agents} == {*example.SPECIALISTS, "supervisor", "writer"}
    assert orphans(trace) == []
    assert INSTRUMENTOR.sizes() == {}


def test_a_rejection_is_heard(example) -> None:
    heard = example.Heard([("critic", "REJECTED: wrong")], [])

    _, [(tool, arguments)] = example.SCRIPT["supervisor"](heard)

    assert tool == "assign_to_researcher"
    assert "audited accounts" in arguments["note"]


def test_an_endpoint_that_does_not_answer_is_told_in_one_line(example, capsys) -> None:
    code = example.main(["--llm", "http://127.0.0.1:9/v1", "--model", "none"])

    assert code == 1
    assert capsys.readouterr().err.count("\n") == 1


def test_an_endpoint_is_spoken_to_as_openai_is(example, monkeypatch) -> None:
    import asyncio

    asked: list[dict] = []

    def post(_, body: dict) -> dict:
        asked.append(body)
        call = {"id": "c1", "function": {"name": "assign_to_writer", "arguments": '{"note":"go"}'}}
        return {
            "choices": [{"message": {"content": None, "tool_calls": [call]}}],
            "usage": {"prompt_tokens": 7, "completion_tokens": 3},
        }

    monkeypatch.setattr(example.EndpointModel, "_post", post)
    model = example.EndpointModel("http://x/v1", "tiny")
    given = [example.SystemMessage(content="s"), example.UserMessage(content="u", source="user")]

    result = asyncio.run(model.create(given, tools=[]))

    assert asked[0]["messages"] == [
        {"role": "system", "content": "s"},
        {"role": "user", "content": "user: u"},
    ]
    assert (result.content[0].name, result.usage.prompt_tokens) == ("assign_to_writer", 7)


async def test_it_repeats_itself_from_every_checkpoint(example) -> None:
    with recorded(INSTRUMENTOR) as run:
        await example.scripted_team().run(task=example.QUESTION)
        trace = run.trace
        starts = [found for found in find_checkpoints(trace) if found.resumable]
        assert len(starts) >= 8
        for start in starts:
            run.clear()
            replay = replay_of(trace, start)
            await execute(example.scripted_team, start, [], replay)
            assert hashes(run.trace.messages) == hashes(after(trace, start)), start.label
            assert replay.counts["live"] == 0, start.label
