"""The evaluation of the classifier reads any record, and writes one prediction for each."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from agenttrace_server.mast.modes import MODES

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "classification.py"
STEPS = [
    {"index": 4, "agent": "planner", "content": "Add the two.", "to": "coder", "role": "assistant"},
    {"index": 5, "agent": "coder", "content": "It is 5.", "tool_calls": [{"name": "add"}]},
]
ODD: tuple[dict[str, Any], ...] = (
    {"id": "w:1", "task": "2 + 2?", "steps": STEPS, "labels": {"mistake_agent": "coder"}},
    {"id": "w:2", "steps": STEPS, "labels": {"mistake_agent": "CODER", "mistake_step": "5"}},
    {
        "id": "w:3",
        "steps": STEPS,
        "labels": {"mast": {"1.3": 1, "3.2": None}, "task_success": 1, "llm": {"m": {"1.3": 1}}},
    },
    {"id": "w:4", "labels": {"root_step": None, "root_agent": None, "failures": None}},
    {"id": 5, "task": {"q": 1}, "steps": ["plain", None, 3, ["x"], {"content": {"a": [1]}}]},
    {"steps": [{"index": "7", "agent": 3, "content": None, "tool_calls": "run()"}]},
    {"id": None, "steps": {"not": "a list"}, "labels": [1], "framework": 7, "task": 3.5},
    {"id": "w:8", "steps": [{"index": 1.0, "role": "tool", "agent": None, "content": "\ud800 \0"}]},
    {"id": "w:9", "steps": [{"index": None, "role": ["user"], "to": ["a"], "agent": {"n": 1}}]},
    {"id": "w:10", "steps": STEPS + STEPS, "labels": {"mistake_step": [1], "mast": {"9.9": "x"}}},
    {"id": "w:11", "steps": [{"index": 10**30, "agent": "a", "content": "hi"}], "labels": "none"},
    {"id": "w:12", "steps": [{"index": True, "agent": "user", "content": ""}], "labels": {}},
    {
        "id": "\ud800:x:13",
        "steps": [
            {"index": "--5", "agent": "\udfff"},
            {"index": "9" * 5000, "content": "ؤ 🤖" * 9000},
        ],
        "labels": {"mistake_agent": "\udfff", "mistake_step": 0.0},
    },
    {
        "id": "w:14",
        "steps": [{"content": sign * 20_000} for sign in ("(", "<", "`", "a b ", "\n", "1")],
    },
)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, list[dict[str, Any]]]:
    folder = tmp_path_factory.mktemp("labelled")
    lines = [*(json.dumps(one) for one in ODD), "no json", "[1, 2]", "", '"text"', "[" * 100_000]
    (folder / "odd.jsonl").write_text("\n".join(lines), encoding="utf-8-sig")
    (folder / "empty.jsonl").write_text("", encoding="utf-8")
    told = folder / "predictions.jsonl"
    command = [sys.executable, str(SCRIPT), str(folder), "--predictions", str(told)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    return done.stdout, [json.loads(line) for line in told.read_text().splitlines()]


def test_each_record_gets_one_prediction_in_the_form_that_is_promised(
    run: tuple[str, list[dict[str, Any]]],
) -> None:
    _, predictions = run

    assert [one["id"] for one in predictions] == [one.get("id") for one in ODD]
    for one in predictions:
        assert set(one) == {"id", "modes", "shown", "decisive", "ranking"}
        assert list(one["modes"]) == list(MODES)
        assert all(0 <= share <= 1 for share in one["modes"].values())
        assert set(one["decisive"]) == {"agent", "step"}
        assert all(set(step) == {"agent", "step", "score"} for step in one["ranking"])


def test_steps_are_told_by_the_index_the_record_itself_gives_them(
    run: tuple[str, list[dict[str, Any]]],
) -> None:
    _, predictions = run

    assert {step["step"] for step in predictions[0]["ranking"]} == {4, 5}
    assert {step["agent"] for step in predictions[0]["ranking"]} == {"planner", "coder"}


def test_figures_follow_for_the_records_that_have_labels(
    run: tuple[str, list[dict[str, Any]]],
) -> None:
    told, _ = run

    assert "decisive agent and step" in told
    assert "runs that succeeded and are shown a finding" in told


def test_runs_of_who_and_when_become_records_with_their_labels(tmp_path: Path) -> None:
    turns = [
        {"role": "human", "content": "How many hotels?"},
        {"role": "Orchestrator (thought)", "content": "Look them up."},
        {"role": "Orchestrator (-> WebSurfer)", "content": "Look them up, please."},
        {"role": "WebSurfer", "content": "There are three."},
    ]
    run = {"question": "How many hotels?", "question_ID": "q1", "history": turns}
    folder = tmp_path / "Hand-Crafted"
    folder.mkdir()
    labels = {"mistake_agent": "WebSurfer", "mistake_step": "3"}
    (folder / "1.json").write_text(json.dumps(run | labels))
    (folder / "other.json").write_text("[]")
    out = tmp_path / "out" / "whowhen.jsonl"

    script = SCRIPT.with_name("from_whowhen.py")
    subprocess.run([sys.executable, str(script), str(tmp_path), str(out)], check=True, timeout=300)

    [one] = map(json.loads, out.read_text().splitlines())
    assert (one["id"], one["framework"], one["group"]) == (
        "ww:Hand-Crafted:1",
        "Magentic-One",
        "q:q1",
    )
    assert one["labels"] == labels
    assert [(s["agent"], s["to"]) for s in one["steps"]] == [
        ("human", None),
        ("Orchestrator", None),
        ("Orchestrator", "WebSurfer"),
        ("WebSurfer", None),
    ]
