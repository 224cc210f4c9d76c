"""People decide about failures, and every later analysis keeps what they decided."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from agenttrace.hookspecs import hookimpl
from agenttrace.models import FailureAnnotation, Trace
from agenttrace.plugins import Plugins
from agenttrace.testing import agent, llm, message, raw_spans, tool, workflow
from agenttrace_server.app import create_app
from agenttrace_server.encode import encode_json
from agenttrace_server.settings import Settings
from agenttrace_server.shown import read_thresholds
from agenttrace_server.store import Analysis, Claimed


class Taxonomy:
    """A plugin whose classifier finds what it is told to."""

    def __init__(self) -> None:
        self.finds: list[dict[str, Any]] = []

    @hookimpl
    def agenttrace_classifiers(self) -> list[Any]:
        return [self.classify]

    def classify(self, trace: Trace) -> Iterator[FailureAnnotation]:
        said = [m for m in trace.messages if m.content == "write it"]
        for number, finds in enumerate(self.finds):
            yield FailureAnnotation(
                **{
                    "annotation_id": f"{trace.trace_id}-{number}",
                    "trace_id": trace.trace_id,
                    "mode": "scope_creep",
                    "category": "ours",
                    "subcategory": "scope_creep",
                    "classifier": "acme",
                    "message_id": said[0].message_id,
                    "span_id": said[0].span_id,
                    "agent": "planner",
                    **finds,
                }
            )


@pytest.fixture(scope="module")
def taxonomy() -> Taxonomy:
    return Taxonomy()


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory, taxonomy: Taxonomy) -> Iterator[TestClient]:
    folder: Path = tmp_path_factory.mktemp("reviews")
    settings = Settings(
        database_url=f"sqlite:///{folder / 'api.db'}", confidence_threshold="0.5,scope_creep=0.8"
    )
    app = create_app(settings)
    with TestClient(app, base_url="http://127.0.0.1", raise_server_exceptions=False) as client:
        plugins = Plugins()
        plugins.register(taxonomy, "acme")
        app.state.plugins = plugins
        yield client


@pytest.fixture
def run(client: TestClient, taxonomy: Taxonomy, request: pytest.FixtureRequest) -> str:
    """A stored run in which the classifier has found nothing yet."""
    taxonomy.finds = []
    number = abs(hash(request.node.name)) % 2**60
    return send(client, f"{number:032x}")


def send(client: TestClient, trace_id: str, *more: Any) -> str:
    spans = raw_spans(
        workflow(
            "team",
            agent("planner", llm("a plan"), sends=message("coder", "write it")),
            agent(
                "coder",
                tool("sql", input="select 1", output="3 rows"),
                llm("It is done."),
                sends=message("planner", "done", type="result"),
            ),
            *more,
            input="go",
        ),
        trace_id=trace_id,
    )
    headers = {"content-type": "application/json"}
    assert client.post("/v1/traces", content=encode_json(spans), headers=headers).is_success
    classify(client, trace_id)
    return trace_id


def classify(client: TestClient, trace_id: str) -> list[dict[str, Any]]:
    answer = client.post(f"/api/traces/{trace_id}/classify?all=true")
    assert answer.status_code == 200, answer.text
    return list(answer.json()["items"])


def found(
    client: TestClient, taxonomy: Taxonomy, trace_id: str, *finds: dict[str, Any]
) -> list[dict[str, Any]]:
    taxonomy.finds = list(finds)
    return classify(client, trace_id)


def review(client: TestClient, failure: dict[str, Any], **change: Any) -> dict[str, Any]:
    answer = client.patch(f"/api/failures/{failure['annotation_id']}", json=change)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def count(client: TestClient, trace_id: str) -> int:
    return int(client.get(f"/api/traces/{trace_id}").json()["failure_count"])


def test_what_is_not_sure_is_kept_apart_until_somebody_asks(
    client: TestClient, taxonomy: Taxonomy, run: str
) -> None:
    found(client, taxonomy, run, {"confidence": 0.9}, {"confidence": 0.7, "mode": "odd"},
          {"confidence": 0.7, "message_id": None})  # fmt: skip

    shown = client.get(f"/api/traces/{run}/failures").json()
    everything = client.get(f"/api/traces/{run}/failures?all=true").json()
    graph = client.get(f"/api/traces/{run}/graph").json()

    assert [f["mode"] for f in shown["items"]] == ["scope_creep", "odd"]
    assert (shown["total"], shown["hidden"]) == (2, 1)
    assert (everything["total"], [f["shown"] for f in everything["items"]].count(False)) == (3, 1)
    assert count(client, run) == 2
    assert {n["name"]: n["failures"] for n in graph["nodes"]}["planner"] == 2


def test_a_confirmed_failure_is_shown_however_unsure_it_was(
    client: TestClient, taxonomy: Taxonomy, run: str
) -> None:
    [failure] = found(client, taxonomy, run, {"confidence": 0.1})
    before = count(client, run)

    confirmed = review(client, failure, review="confirmed", reviewer="ann", comment="seen it")

    assert (before, count(client, run)) == (0, 1)
    assert (confirmed["shown"], confirmed["reviewer"], confirmed["comment"]) == (
        True, "ann", "seen it",
    )  # fmt: skip
    assert confirmed["reviewed_at"].endswith("Z")
    assert client.get("/api/traces?failure=scope_creep").json()["total"] >= 1


def test_another_threshold_counts_every_stored_trace_again(
    client: TestClient, taxonomy: Taxonomy, run: str
) -> None:
    found(client, taxonomy, run, {"confidence": 0.6})
    store = client.app.state.store  # type: ignore[attr-defined]
    counts = []

    for threshold in ("0.5,scope_creep=0.5", "0.9", "0.5,scope_creep=0.8"):
        store.show_from(read_thresholds(threshold))
        counts.append(count(client, run))

    assert counts == [1, 0, 0]


def test_reviews_outlive_new_spans_and_a_classifier_that_names_things_anew(
    client: TestClient, taxonomy: Taxonomy, run: str
) -> None:
    first, second = found(
        client, taxonomy, run, {}, {"mode": "too_terse", "subcategory": "too_terse"}
    )
    review(client, first, review="rejected", reviewer="ann")
    review(client, second, mode="1.1", reviewer="bob", comment="it broke the task")

    send(client, run, agent("critic", llm("hm"), sends=message("coder", "again")))
    renamed = [{"annotation_id": "new-1"}, {"annotation_id": "new-2", "mode": "too_terse"}]
    again = found(client, taxonomy, run, *renamed)

    assert {(f["mode"], f["found_mode"], f["review"], f["reviewer"]) for f in again} == {
        ("scope_creep", None, "rejected", "ann"),
        ("1.1", "too_terse", "confirmed", "bob"),
    }
    assert {f["subcategory"] for f in again} == {"scope_creep", "disobey_task_specification"}


def test_taking_a_verdict_back_gives_the_failure_to_the_classifier_again(
    client: TestClient, taxonomy: Taxonomy, run: str
) -> None:
    [failure] = found(client, taxonomy, run, {})
    review(client, failure, review="confirmed", reviewer="ann")

    back = review(client, failure, review="proposed")

    assert (back["review"], back["reviewer"], back["reviewed_at"]) == ("proposed", None, None)
    assert found(client, taxonomy, run) == []


def test_a_comment_alone_is_kept_too(client: TestClient, taxonomy: Taxonomy, run: str) -> None:
    [failure] = found(client, taxonomy, run, {})
    review(client, failure, comment="is it really?", reviewer="ann")

    [kept] = found(client, taxonomy, run)

    assert (kept["review"], kept["comment"]) == ("proposed", "is it really?")


def test_a_failure_is_added_by_hand_on_a_message_and_deleted_again(
    client: TestClient, taxonomy: Taxonomy, run: str
) -> None:
    said = client.get(f"/api/traces/{run}/messages").json()["items"]
    asked = next(m for m in said if m["content"] == "write it")
    new = {"mode": "2.2", "message_id": asked["message_id"], "reviewer": "ann", "decisive": True,
           "comment": "nobody asked what"}  # fmt: skip

    added = client.post(f"/api/traces/{run}/failures", json=new)
    kept = found(client, taxonomy, run, {"decisive": True})

    assert added.status_code == 201
    failure = added.json()
    assert (failure["agent"], failure["span_id"]) == ("planner", asked["span_id"])
    assert failure["category"] == "inter_agent_misalignment"
    assert (failure["classifier"], failure["review"]) == ("person", "confirmed")
    assert [f["mode"] for f in kept if f["decisive"]] == ["2.2"]
    assert client.delete(f"/api/failures/{failure['annotation_id']}").status_code == 204
    [other] = found(client, taxonomy, run, {})
    refused = client.delete(f"/api/failures/{other['annotation_id']}")
    assert (refused.status_code, "reject it" in refused.json()["detail"]) == (409, True)


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"mode": "2.2", "message_id": "nope"}, 404),
        ({"mode": "2.2", "span_id": "f" * 16}, 404),
        ({"mode": " "}, 422),
        ({"mode": "2.2", "severity": "huge"}, 422),
        ({"mode": "2.2", "extra": 1}, 422),
    ],
)
def test_a_failure_that_cannot_be_placed_is_refused(
    client: TestClient, run: str, body: dict[str, Any], status: int
) -> None:
    assert client.post(f"/api/traces/{run}/failures", json=body).status_code == status


def test_where_a_failed_run_went_wrong_is_ranked_with_reasons_and_a_person_has_the_last_word(
    client: TestClient, taxonomy: Taxonomy, run: str
) -> None:
    clean = client.get(f"/api/traces/{run}/decisive").json()
    found(client, taxonomy, run, {"severity": "high"})
    ranked = client.get(f"/api/traces/{run}/decisive").json()
    last = ranked["steps"][-1]

    added = client.post(
        f"/api/traces/{run}/failures",
        json={"mode": "3.2", "message_id": last["message_id"], "decisive": True},
    )
    named = client.get(f"/api/traces/{run}/decisive").json()

    assert (clean["failed"], clean["steps"]) == (False, [])
    assert ranked["failed"]
    assert not ranked["named"]
    assert ranked["agents"][0]["agent"] in {"planner", "coder"}
    assert [s["score"] for s in ranked["steps"]] == sorted(
        (s["score"] for s in ranked["steps"]), reverse=True
    )
    assert any(step["failures"] for step in ranked["steps"])
    assert named["named"]
    assert named["steps"][0]["message_id"] == last["message_id"]
    assert named["steps"][0]["reasons"][0] == "a person named it"
    assert added.json()["annotation_id"] in named["steps"][0]["failures"]


def test_a_sure_finding_leads_the_ranking_as_far_as_it_is_sure(
    client: TestClient, taxonomy: Taxonomy, run: str
) -> None:
    found(client, taxonomy, run, {"severity": "high"})
    before = client.get(f"/api/traces/{run}/decisive").json()["steps"]
    least = before[-1]
    sure = {"severity": "high", "decisive": True, "confidence": 0.9, "explanation": "It broke."}
    found(client, taxonomy, run, sure | {"message_id": least["message_id"]})

    after = client.get(f"/api/traces/{run}/decisive").json()

    first = after["steps"][0]
    assert not after["named"]
    assert first["message_id"] == least["message_id"]
    assert first["reasons"][0] == "It broke"
    assert first["score"] == pytest.approx(0.9 + 0.1 * least["score"], abs=1e-3)
    assert sum(s["score"] for s in after["steps"]) == pytest.approx(1, abs=1e-2)


def test_reviews_come_back_as_a_labelled_run_and_as_precision(
    client: TestClient, taxonomy: Taxonomy, run: str
) -> None:
    finds: list[dict[str, Any]] = [
        {"mode": "1.3", "subcategory": "step_repetition"},
        {"mode": "2.1", "span_id": None},
        {"mode": "2.5"},
        {"mode": "3.1"},
    ]
    by_mode = {f["mode"]: f for f in found(client, taxonomy, run, *finds)}
    review(client, by_mode["1.3"], review="confirmed", decisive=True, comment="twice")
    review(client, by_mode["2.1"], review="rejected")
    review(client, by_mode["2.5"], mode="2.4")

    lines = client.get("/api/failures/labelled").text.splitlines()
    report = client.get("/api/failures/agreement").json()

    [record] = [r for r in map(json.loads, lines) if run in r["id"]]
    assert set(record) == {"id", "source", "framework", "task", "group", "steps", "labels"}
    mast = record["labels"]["mast"]
    assert {mode: mast[mode] for mode in ("1.3", "2.1", "2.4", "2.5", "3.1")} == {
        "1.3": 1, "2.1": 0, "2.4": 1, "2.5": 0, "3.1": None,
    }  # fmt: skip
    step = record["steps"][record["labels"]["mistake_step"]]
    assert (step["agent"], step["to"], step["content"]) == ("planner", "coder", "write it")
    assert [s["index"] for s in record["steps"]] == list(range(len(record["steps"])))
    assert ("tool", "3 rows") in [(s["role"], s["content"]) for s in record["steps"]]
    rows = {(r["mode"], r["classifier"]): r for r in report["items"]}
    assert rows["1.3", "acme"]["precision"] == 1.0
    assert rows["1.3", "acme"]["low"] < 1.0
    assert rows["2.1", "acme"]["precision"] == 0.0
    assert (rows["2.5", "acme"]["corrected"], rows["2.5", "acme"]["precision"]) == (1, 0.0)
    assert report["missed"] >= 0


def test_a_mistake_with_a_tool_is_at_what_the_agent_then_said(
    client: TestClient, taxonomy: Taxonomy, run: str
) -> None:
    skeleton = client.get(f"/api/traces/{run}/spans").json()
    [sql] = [
        span_id
        for span_id, name in zip(skeleton["span_id"], skeleton["name"], strict=True)
        if "sql" in skeleton["names"][name]
    ]
    [failure] = found(client, taxonomy, run, {"span_id": sql, "message_id": None, "agent": "coder"})
    review(client, failure, review="confirmed", decisive=True)

    lines = client.get("/api/failures/labelled").text.splitlines()

    [record] = [r for r in map(json.loads, lines) if run in r["id"]]
    labels = record["labels"]
    assert (labels["mistake_agent"], record["steps"][labels["mistake_step"]]["content"]) == (
        "coder",
        "done",
    )
    assert record["steps"][labels["findings"][0]["step"]]["role"] == "tool"


def test_statistics_count_what_is_shown_by_mode_agent_and_time(
    client: TestClient, taxonomy: Taxonomy, run: str
) -> None:
    finds = [{"mode": "only_here", "confidence": 0.9}, {"mode": "never_shown", "confidence": 0.1}]
    found(client, taxonomy, run, *finds)

    stats = client.get("/api/stats").json()

    modes = {m["mode"]: m["count"] for m in stats["failure_modes"]}
    assert (modes["only_here"], modes.get("never_shown")) == (1, None)
    assert {"name": "planner", "mode": "only_here", "subcategory": "scope_creep", "count": 1} in (
        stats["failures_by_agent"]
    )
    [point] = [p for p in stats["failures_over_time"] if p["mode"] == "only_here"]
    assert (point["count"], point["time"].endswith("Z")) == (1, True)
    assert stats["failures"] == sum(p["failures"] for p in stats["over_time"])


def test_saving_an_older_analysis_later_keeps_reviews(
    client: TestClient, taxonomy: Taxonomy, run: str
) -> None:
    [failure] = found(client, taxonomy, run, {})
    review(client, failure, review="confirmed")
    store = client.app.state.store  # type: ignore[attr-defined]

    store.save(Claimed(run, 10**6), Analysis())

    assert [f.review for f in store.failures(run)] == ["confirmed"]


@pytest.mark.parametrize("text", ["1.5", "x", "1.3=", "=0.5", "1.3=2", "nan"])
def test_a_threshold_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="confidence_threshold"):
        Settings(confidence_threshold=text)
