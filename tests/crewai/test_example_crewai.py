"""The example crew fails as its docstring says."""

import importlib.util
from pathlib import Path

from agenttrace.messages import find_checkpoints
from agenttrace_crewai.capture import INSTRUMENTOR
from agenttrace_crewai.executor import execute
from support import crewai_apps  # noqa: F401 - keeps CrewAI from phoning home
from support.recorded import recorded
from support.replays import after, hashes, replay_of

EXAMPLE = Path(__file__).parents[2] / "examples" / "research_team_crewai.py"


def example():
    spec = importlib.util.spec_from_file_location("research_team_crewai", EXAMPLE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_objection_is_ignored_and_the_work_repeated(capsys) -> None:
    with recorded(INSTRUMENTOR) as run:
        assert example().main([]) == 0
        trace = run.trace

    assert [(m.sender, m.recipient) for m in trace.messages] == [
        ("user", "Supervisor"),
        ("Supervisor", "Researcher"),
        ("Researcher", "Supervisor"),
        ("Supervisor", "Analyst"),
        ("Analyst", "Supervisor"),
        ("Supervisor", "Critic"),
        ("Critic", "Supervisor"),
        ("Supervisor", "Researcher"),
        ("Researcher", "Supervisor"),
        ("Supervisor", "Analyst"),
        ("Analyst", "Supervisor"),
        ("Supervisor", "Writer"),
        ("Writer", "Supervisor"),
        ("Supervisor", "user"),
    ]
    told = [m.content for m in trace.messages if m.recipient == "Researcher"]
    assert told[0] == told[1]
    assert trace.messages[6].content.startswith("I object: the audited accounts show 8.2 %")
    assert "18.0 %" in capsys.readouterr().out


def test_it_repeats_itself_from_every_checkpoint() -> None:
    made = example()
    with recorded(INSTRUMENTOR) as run:
        made.scripted_crew().kickoff()
        trace = run.trace
        starts = [found for found in find_checkpoints(trace) if found.resumable]
        assert starts
        for start in starts:
            run.clear()
            replay = replay_of(trace, start)
            execute(made.scripted_crew, start, [], replay)
            assert hashes(run.trace.messages) == hashes(after(trace, start)), start.label
            assert replay.counts["live"] == 0, start.label
