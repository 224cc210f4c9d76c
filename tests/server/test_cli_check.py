"""`agenttrace check` as its users run it: what counts, what it writes, what it says of slips."""

import json
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from agenttrace_server.cli import reports
from agenttrace_server.cli.fail_on import counts
from support import captures
from support.command import Home

SWARM = captures.FOLDER / "autogen-openinference-agentchat-0.1.22-swarm.json"


def test_check_fails_on_findings_says_which_and_stores_nothing(home: Home, tmp_path: Path) -> None:
    failing = failing_capture(tmp_path)

    found = home.run("check", failing, "--format", "json")
    text = home.run("check", failing, "--fail-on", "deadlock")
    stored = home.run("traces", "list", "--format", "json")

    assert (found.code, text.code) == (1, 0)
    assert found.json["failed"]
    assert found.json["traces"][0]["failures"][0]["explanation"]
    others = len(found.json["traces"][0]["failures"])
    assert f"No failures that count; {others} of other modes" in text.out
    assert stored.json["total"] == 0


def test_check_names_a_mode_that_is_none_rather_than_passing_for_ever(
    home: Home, tmp_path: Path
) -> None:
    rules = tmp_path / "rules.yaml"
    rules.write_text("- mode: too_slow\n  category: house\n  span: { duration_ms: { below: 0 } }\n")

    slip = home.run("check", SWARM, "--fail-on", "hgih")
    own = home.run("check", SWARM, "--rules", rules, "--fail-on", "too-slow", "--fail-on", "house")

    assert slip.code == 2
    assert slip.says("error: --fail-on hgih: .*did you mean high.*task_verification.*deadlock")
    assert (own.code, own.err) == (0, "")


def test_check_looks_at_a_run_in_many_traces_as_a_whole(home: Home) -> None:
    parts = captures.FOLDER / "autogen-0.7.5-builtin-early-exit.json"

    [run] = home.run("check", parts, "--format", "json").json["traces"]

    assert set(run["agents"]) >= {"writer", "critic"}


def test_check_takes_stored_traces_too(served: Home, tmp_path: Path) -> None:
    trace_id = served.largest_trace(failing_capture(tmp_path))

    by_id = served.run("check", trace_id, "--format", "json")
    text = served.run("check", trace_id)
    unknown = served.run("check", "ab" * 16)
    neither = served.run("check", "no-such-file")

    assert (by_id.code, text.code, unknown.code, neither.code) == (1, 1, 2, 2)
    failures = by_id.json["traces"][0]["failures"]
    assert all(failure["mode"].replace("_", " ") in text.out for failure in failures)


def test_check_writes_what_ci_systems_read(home: Home, tmp_path: Path) -> None:
    failing = failing_capture(tmp_path)
    told = home.run("check", failing, "--format", "json").json["traces"]
    findings = [failure for trace in told for failure in trace["failures"]]

    junit = home.run("check", failing, "--format", "junit")
    sarif = home.run("check", failing, "--format", "sarif")
    markdown = home.run("check", failing, "--format", "markdown")

    assert (junit.code, sarif.code, markdown.code) == (1, 1, 1)
    suites = ElementTree.fromstring(junit.out)
    assert int(suites.get("failures", "")) == len(findings) == len(suites.findall(".//failure"))
    [run] = sarif.json["runs"]
    assert sarif.json["version"] == "2.1.0"
    assert [result["ruleId"] for result in run["results"]] == [f["mode"] for f in findings]
    for result in run["results"]:
        assert run["tool"]["driver"]["rules"][result["ruleIndex"]]["id"] == result["ruleId"]
        [location] = result["locations"]
        assert location["physicalLocation"]["artifactLocation"]["uri"].endswith("failing.json")
    assert "| Failure | Severity | Agent | What happened |" in markdown.out


def test_check_takes_rules_and_says_what_is_wrong_with_them(home: Home, tmp_path: Path) -> None:
    rules = tmp_path / "rules.yaml"
    rules.write_text("- mode: any_span\n  span: {}\n  severity: low\n  confidence: 0.2\n")
    broken = tmp_path / "broken.yaml"
    broken.write_text("- mode: a\n")

    unsure = home.run("check", SWARM, "--rules", rules, "--fail-on", "any_span")
    every = home.run("check", SWARM, "--rules", rules, "--fail-on", "any_span", "--all")
    wrong = home.run("check", SWARM, "--rules", broken)

    assert (unsure.code, every.code, wrong.code) == (0, 1, 2)
    assert "less certain, with --all" in unsure.out
    assert wrong.says("error: .*needs `span:` or `message:`")


def test_nothing_in_a_trace_becomes_markup_in_a_report() -> None:
    failure = {
        "annotation_id": "a",
        "mode": "1.3",
        "category": "c",
        "subcategory": "step_repetition",
        "classifier": "mast",
        "also_by": [],
        "severity": "high",
        "confidence": 0.9,
        "span_id": None,
        "message_id": "m",
        "agent": "a|b",
        "explanation": "\x00<script>alert(1)</script> @team [x](http://evil)",
        "evidence": "]]>&\ud800",
    }
    trace = {"source": "a b.json", "is_file": True, "trace_id": "t", "name": "`run`", "agents": []}
    trace |= {"failures": [failure], "others": 0, "decisive": None, "unsure": 0}

    suite = ElementTree.fromstring(reports.junit([trace]))
    text = reports.markdown([trace])
    [result] = json.loads(reports.sarif([trace]))["runs"][0]["results"]

    assert suite.find(".//failure") is not None
    assert "<script>" not in text
    assert "@team" not in text
    assert "[x](" not in text
    assert result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"] == "a%20b.json"


def test_check_cannot_tell_about_a_broken_file(home: Home, tmp_path: Path) -> None:
    broken = tmp_path / "broken.json"
    broken.write_text("{")
    logs = home.run("check", captures.FOLDER / f"{captures.LOGS[0]}.json")

    assert home.run("check", broken).code == 2
    assert logs.code == 2
    assert logs.says("there is no span in it")


@pytest.mark.parametrize(
    ("fail_on", "expected"),
    [
        ([], True),
        (["low"], True),
        (["medium"], True),
        (["high"], False),
        (["1.3"], True),
        (["1.4"], False),
        (["SYSTEM-DESIGN issues"], True),
        (["step repetition"], True),
        (["step_repetition"], True),
        (["critical", "1.3"], True),
    ],
)
def test_what_counts_for_check(fail_on: list[str], expected: bool) -> None:
    failure: dict[str, Any] = {
        "mode": "1.3",
        "category": "system_design_issues",
        "subcategory": "step_repetition",
        "severity": "medium",
        "review": "proposed",
    }

    assert counts(failure, fail_on) is expected
    assert not counts({**failure, "review": "rejected"}, fail_on)


def failing_capture(folder: Path) -> Path:
    """A capture of its own ids in which every span failed, as any classifier must see."""
    document = json.loads(SWARM.read_bytes().replace(b'"traceId": "', b'"traceId": "f'))
    for scope_spans in document["resourceSpans"][0]["scopeSpans"]:
        for span in scope_spans["spans"]:
            span["traceId"] = span["traceId"][:32]
            span["status"] = {"code": 2, "message": "ConnectionError: the tool is down"}
    file = folder / "failing.json"
    file.write_text(json.dumps(document))
    return file
