"""A team's own failures, written as rules in a few lines of YAML."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from agenttrace.errors import InvalidRules
from agenttrace.models import FailureAnnotation, Trace
from agenttrace.plugins import Plugins
from agenttrace.testing import agent, build, llm, message, raw_spans, tool, workflow
from agenttrace_server.analyse.pipeline import analyse
from agenttrace_server.app import create_app
from agenttrace_server.encode import encode_json
from agenttrace_server.settings import Settings
from agenttrace_server.yaml_rules import RuleFile


def run() -> Trace:
    return build(
        workflow(
            "team",
            agent("planner", llm("a plan"), sends=message("coder", "Write it, no excuses")),
            agent(
                "coder",
                tool("search", input="rates 2024", output="3 rows"),
                tool("search", input="rates 2025", output="0 rows"),
                tool("sql", input="DROP TABLE users", error="denied"),
                llm("It is done."),
                sends=message("planner", "As an AI language model I cannot", type="result"),
            ),
            input="go",
        )
    )


def find(folder: Path, text: str) -> list[FailureAnnotation]:
    path = folder / "rules.yaml"
    path.write_text(text)
    rules = RuleFile(path, required=True)
    rules.load()
    plugins = Plugins()
    plugins.register(rules, "rules")
    return list(analyse(run(), plugins).failures)


def test_a_rule_over_messages_quotes_what_it_matched(tmp_path: Path) -> None:
    [found] = find(
        tmp_path,
        """
        rules:
          - mode: excuse
            message:
              sender: coder
              content: { matches: "(?i)as an ai language model" }
            severity: high
            category: tone
            explain: "{sender} makes excuses to {recipient}"
        """,
    )

    assert (found.mode, found.category, found.severity, found.agent) == (
        "excuse", "tone", "high", "coder",
    )  # fmt: skip
    assert found.explanation == "coder makes excuses to planner"
    assert "As an AI language model" in found.evidence
    assert (found.classifier, found.confidence, found.message_id is not None) == ("rules", 1, True)


@pytest.mark.parametrize(
    ("conditions", "number"),
    [
        ("{ kind: tool }", 3),
        ("{ kind: tool, tool: search }", 2),
        ("{ tool: [search, sql] }", 3),
        ("{ tool: { not: search }, kind: tool }", 1),
        ("{ error: { exists: true } }", 1),
        ('{ output: { contains: "0 ROWS" } }', 1),
        ("{ agent: coder, kind: llm }", 1),
        ("{ duration_ms: { below: 0 } }", 0),
        ("{ tokens: { at_least: 1000000 } }", 0),
        ("{ attributes.no.such: { exists: false }, kind: tool }", 3),
    ],
)
def test_conditions_choose_spans(tmp_path: Path, conditions: str, number: int) -> None:
    assert len(find(tmp_path, f"- mode: ours\n  span: {conditions}")) == number


def test_a_count_is_per_group_and_pinned_to_its_last(tmp_path: Path) -> None:
    [found] = find(
        tmp_path,
        """
        - mode: too_many_calls
          span: { kind: tool }
          count: 2
          per: tool
          explain: "{tool} was called {count} times"
        """,
    )

    assert found.explanation == "search was called 2 times"
    assert "0 rows" in found.evidence


def test_a_rule_may_say_a_mode_of_mast(tmp_path: Path) -> None:
    [found] = find(tmp_path, "- mode: 3.2\n  message: { type: result }")

    assert (found.mode, found.subcategory) == ("3.2", "no_or_incomplete_verification")


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("rules: 3", "no list of rules"),
        ("rulez: []", r"rules\.yaml:1: rulez: unknown"),
        ("- span: {}", "rule 1: mode: missing"),
        ("- mode: a", r"rule 1 \(a\): needs `span:` or `message:`"),
        (
            "- mode: a\n  span: {}\n  colour: red",
            r":3: rule 1 \(a\): colour: unknown; allowed: mode",
        ),
        ("- mode: a\n  span: {}\n  span: { kind: llm }", r":3: span: is given twice"),
        ("- &a { mode: a, span: {} }\n- { <<: *a, per: x }", r":2: rule 2 \(a\): per: only with"),
        (
            "rules:\n\n- mode: a\n  message:\n    body:\n      is: x",
            r":5: .*message.body: .body. is no field",
        ),
        (
            "- mode: a\n  span: { shape: round }",
            "span.shape: .shape. is no field of a span; allowed: name",
        ),
        ("- mode: a\n  span: { name: { like: x } }", "no operator 'like'; allowed: is"),
        ("- mode: a\n  span: { name: { matches: '(' } }", "no regular expression"),
        ("- mode: a\n  span: {}\n  severity: huge", "severity: 'huge'; allowed: low"),
        ("- mode: a\n  span: {}\n  confidence: 2", "confidence: 2; allowed"),
        ("- mode: a\n  span: {}\n  per: tool", "per: only with count"),
        ("- mode: a\n  span: {}\n  explain: '{nope}'", "no field of a span"),
        ("- mode: [", "no YAML"),
        ("[" * 20_000, "nested too deep|no YAML"),
        ("- !!python/object/apply:os.getcwd []", "no YAML"),
    ],
)
def test_what_is_wrong_is_said_with_the_rule_and_the_field(
    tmp_path: Path, text: str, complaint: str
) -> None:
    with pytest.raises(InvalidRules, match=complaint):
        find(tmp_path, text)


def test_a_regular_expression_that_never_ends_costs_its_rule_only(tmp_path: Path) -> None:
    found = find(
        tmp_path,
        """
        - mode: endless
          message: { content: { matches: "([a-zA-Z ]+)*$" } }
        - mode: endless_too
          message: { content: { matches: "^(([a-zA-Z ])+.)+[0-9]([0-9]+)$" } }
        - mode: fine
          message: { type: result }
        """,
    )

    assert "fine" in {one.mode for one in found}


@pytest.fixture
def client(tmp_path: Path) -> Iterator[TestClient]:
    path = tmp_path / "rules.yaml"
    path.write_text("- mode: excuse\n  message: { content: { contains: as an ai } }\n")
    settings = Settings(database_url=f"sqlite:///{tmp_path / 'api.db'}", rules=path)
    with TestClient(create_app(settings), base_url="http://127.0.0.1") as client:
        yield client


def test_the_server_shows_what_the_rules_find_and_follows_an_edit(
    client: TestClient, tmp_path: Path
) -> None:
    trace = run()
    spans = raw_spans(
        workflow("team", agent("coder", sends=message("planner", "As an AI I cannot")), input="go")
    )
    headers = {"content-type": "application/json"}
    assert client.post("/v1/traces", content=encode_json(spans), headers=headers).is_success
    url = f"/api/traces/{trace.trace_id}/classify"
    first = [f["mode"] for f in client.post(url).json()["items"] if f["classifier"] == "rules"]
    path = tmp_path / "rules.yaml"

    path.write_text("- mode: refusal\n  message: { content: { contains: as an ai i cannot } }\n")
    edited = [f["mode"] for f in client.post(url).json()["items"] if f["classifier"] == "rules"]
    path.write_text("- mode: broken\n")
    os.utime(path, (1, 1))
    [plugin] = [p for p in client.get("/api/plugins").json()["items"] if p["name"] == "rules"]
    broken = [f["mode"] for f in client.post(url).json()["items"] if f["classifier"] == "rules"]

    assert (first, edited, broken) == (["excuse"], ["refusal"], ["refusal"])
    assert "needs `span:` or `message:`" in plugin["error"]
