"""The REST API over traces that real instrumentations recorded, and over odd questions."""

import gzip
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agenttrace.models import Span
from agenttrace.testing import agent, checkpoint, llm, message, raw_span, raw_spans, tool, workflow
from agenttrace_server.app import create_app
from agenttrace_server.encode import encode_json
from agenttrace_server.settings import Settings
from support import captures

PROBLEM = "application/problem+json"


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    folder: Path = tmp_path_factory.mktemp("api")
    app = create_app(Settings(database_url=f"sqlite:///{folder / 'api.db'}"))
    with TestClient(app, base_url="http://127.0.0.1", raise_server_exceptions=False) as client:
        yield client


def send(client: TestClient, *spans: Any) -> str:
    """Store spans and analyse their trace; return its id."""
    posted = client.post(
        "/v1/traces", content=encode_json(spans), headers={"content-type": "application/json"}
    )
    assert posted.status_code == 200, posted.text
    assert client.post(f"/api/traces/{spans[0].trace_id}/classify").status_code == 200
    return str(spans[0].trace_id)


def story(trace_id: str) -> list[Any]:
    return raw_spans(
        workflow(
            "team",
            agent("planner", llm("a plan", cost_usd=0.5), sends=message("coder", "write it")),
            agent(
                "coder",
                tool("sql", input="select 1", error="OperationalError: no table"),
                llm("It is done."),
                checkpoint("after-coding", {"step": 2}, checkpoint_id="cp-1"),
                sends=message("planner", "done", type="result"),
            ),
            input="go",
        ),
        trace_id=trace_id,
    )


def test_a_run_is_told_by_its_agents_messages_graph_and_failures(client: TestClient) -> None:
    trace_id = send(client, *story("01" * 16))

    summary = client.get(f"/api/traces/{trace_id}").json()
    assert summary["agents"] == ["planner", "coder"]
    assert (summary["status"], summary["analysed"]) == ("ok", True)
    assert (summary["tokens_in"], summary["tokens_out"], summary["cost_usd"]) == (20, 10, 0.5)
    assert summary["start_time"].endswith("Z")
    agents = client.get(f"/api/traces/{trace_id}/agents").json()
    assert [(one["name"], one["errors"]) for one in agents["items"]] == [
        ("planner", 0),
        ("coder", 1),
    ]
    said = client.get(f"/api/traces/{trace_id}/messages").json()["items"]
    assert ("planner", "coder", "task", "write it", "observed") in [
        tuple(one[key] for key in ("sender", "recipient", "type", "content", "provenance"))
        for one in said
    ]
    graph = client.get(f"/api/traces/{trace_id}/graph").json()
    assert {node["name"] for node in graph["nodes"]} == {"user", "planner", "coder"}
    assert graph["metrics"]["cycles"] == [["planner", "coder"]]
    failures = client.get(f"/api/traces/{trace_id}/failures").json()
    assert [(one["mode"], one["agent"]) for one in failures["items"]] == [
        ("tool_error_ignored", "coder")
    ]
    [kept] = client.get(f"/api/traces/{trace_id}/checkpoints?state=true").json()["items"]
    assert (kept["checkpoint_id"], json.loads(kept["state"])) == ("cp-1", {"step": 2})


def test_checkpoints_come_without_their_states_where_those_are_not_asked_for(
    client: TestClient,
) -> None:
    trace_id = send(client, *story("02" * 16))

    [light] = client.get(f"/api/traces/{trace_id}/checkpoints").json()["items"]
    whole = client.get(f"/api/traces/{trace_id}/checkpoints/cp-1").json()
    assert light["state"] is None
    assert light["state_bytes"] == len(whole["state"])
    assert client.get(f"/api/traces/{trace_id}/checkpoints/none").status_code == 404


def test_a_skeleton_has_every_span_in_columns_and_a_span_has_everything(client: TestClient) -> None:
    trace_id = send(client, *story("03" * 16))

    columns = client.get(f"/api/traces/{trace_id}/spans").json()
    rows = len(columns["span_id"])
    lists = [columns[name] for name in ("parent", "start_us", "duration_us", "name", "status")]
    assert rows == 6
    assert all(len(column) == rows for column in lists)
    failed = columns["span_id"][columns["status"].index(2)]
    span = client.get(f"/api/traces/{trace_id}/spans/{failed.upper()}").json()
    assert (span["kind"], span["tool"], span["input"]) == ("tool", "sql", "select 1")
    assert span["error"] == "OperationalError: no table"
    assert span["scope"]["name"].startswith("agenttrace")


def test_values_that_json_or_javascript_cannot_hold_are_written_as_text(client: TestClient) -> None:
    odd = {
        "big": 2**60,
        "small": -(2**53) + 1,
        "nan": float("nan"),
        "inf": float("-inf"),
        "bytes": b"\x00\xff",
        "nested": {"list": [True, None, 1.5]},
    }
    trace_id = send(client, raw_span("odd", attributes=odd, trace_id="04" * 16))

    span_id = client.get(f"/api/traces/{trace_id}/spans").json()["span_id"][0]
    attributes = client.get(f"/api/traces/{trace_id}/spans/{span_id}").json()["attributes"]
    assert attributes["big"] == str(2**60)
    assert attributes["small"] == -(2**53) + 1
    assert (attributes["nan"], attributes["inf"]) == ("nan", "-inf")
    assert attributes["bytes"] == "AP8="
    assert attributes["nested"] == {"list": [True, None, 1.5]}


@pytest.mark.parametrize("name", captures.TRACES)
def test_every_answer_about_a_capture_fits_the_openapi_models(
    client: TestClient, name: str
) -> None:
    spans = captures.load(name)

    for trace_id in {span.trace_id for span in spans}:
        send(client, *(span for span in spans if span.trace_id == trace_id))
        for part in ("", "/spans", "/agents", "/messages", "/graph", "/failures", "/checkpoints"):
            answer = client.get(f"/api/traces/{trace_id}{part}")
            assert answer.status_code == 200, (part, answer.text)
        rows = client.get(f"/api/traces/{trace_id}/spans").json()["span_id"]
        assert sorted(rows) == sorted({s.span_id for s in spans if s.trace_id == trace_id})
        for span_id in rows[:10]:
            assert client.get(f"/api/traces/{trace_id}/spans/{span_id}").status_code == 200


def test_what_is_exported_can_be_sent_again_and_is_the_same(client: TestClient) -> None:
    trace_id = send(client, *story("05" * 16))
    form = {"otlp": "application/json", "otlp-protobuf": "application/x-protobuf"}

    for name, content_type in form.items():
        file = client.get(f"/api/traces/{trace_id}/export", params={"format": name})
        assert file.headers["content-type"] == content_type
        assert file.headers["content-disposition"].startswith(f'attachment; filename="{trace_id}')
        before = client.get(f"/api/traces/{trace_id}/spans").json()
        assert client.delete(f"/api/traces/{trace_id}").status_code == 204
        again = client.post(
            "/v1/traces", content=file.content, headers={"content-type": content_type}
        )
        assert again.status_code == 200
        client.post(f"/api/traces/{trace_id}/classify")
        assert client.get(f"/api/traces/{trace_id}/spans").json() == before


@pytest.mark.parametrize("name", ["jaeger", "zipkin"])
def test_traces_are_exported_for_other_tools(client: TestClient, name: str) -> None:
    trace_id = send(client, *story("06" * 16))

    file = client.get(f"/api/traces/{trace_id}/export", params={"format": name})

    assert file.status_code == 200
    assert trace_id in file.text
    assert file.json()


def test_deleting_a_trace_deletes_all_of_it(client: TestClient) -> None:
    trace_id = send(client, *story("07" * 16))
    [failure] = client.get(f"/api/traces/{trace_id}/failures").json()["items"]

    assert client.delete(f"/api/traces/{trace_id}").status_code == 204
    for part in ("", "/spans", "/agents", "/messages", "/graph", "/failures", "/checkpoints"):
        assert client.get(f"/api/traces/{trace_id}{part}").status_code == 404
    review = {"review": "confirmed"}
    assert client.patch(f"/api/failures/{failure['annotation_id']}", json=review).status_code == 404
    assert client.delete(f"/api/traces/{trace_id}").status_code == 404


def test_a_review_outlives_the_next_analysis(client: TestClient) -> None:
    trace_id = send(client, *story("08" * 16))
    [failure] = client.get(f"/api/traces/{trace_id}/failures").json()["items"]

    changed = client.patch(
        f"/api/failures/{failure['annotation_id']}", json={"review": "rejected", "reviewer": "eve"}
    )

    assert changed.status_code == 200
    assert (changed.json()["review"], changed.json()["reviewer"]) == ("rejected", "eve")
    [again] = client.post(f"/api/traces/{trace_id}/classify?all=true").json()["items"]
    assert (again["annotation_id"], again["review"]) == (failure["annotation_id"], "rejected")


@pytest.mark.parametrize(
    "body", ["", "{}", '{"review": "maybe"}', '{"review": "confirmed", "x": 1}', "[1]", "\x00"]
)
def test_a_review_that_is_none_is_refused(client: TestClient, body: str) -> None:
    answer = client.patch(
        "/api/failures/any", content=body, headers={"content-type": "application/json"}
    )

    assert answer.status_code == 422
    assert answer.headers["content-type"] == PROBLEM


def test_the_list_filters_sorts_and_pages(client: TestClient) -> None:
    service = {"service.name": "shop"}
    for number in range(5):
        trace_id = f"09{number:030x}"
        first = raw_span(
            f"run {number}",
            trace_id=trace_id,
            start_ns=1_800_000_000 * 10**9 + number * 10**9,
            end_ns=1_800_000_010 * 10**9,
            status="error" if number == 3 else "ok",
        )
        scope = type(first.scope)("x", resource=service)
        send(client, type(first)(**{**_fields(first), "scope": scope}))

    def names(**query: Any) -> list[str]:
        page = client.get("/api/traces", params={"service": "shop", **query})
        assert page.status_code == 200, page.text
        return [item["name"] for item in page.json()["items"]]

    assert names() == [f"run {number}" for number in (4, 3, 2, 1, 0)]
    assert names(sort="start", limit=2, offset=1) == ["run 1", "run 2"]
    assert names(sort="-duration", limit=1) == ["run 0"]
    assert names(status="error") == ["run 3"]
    assert names(q="run 2") == ["run 2"]
    assert names(since="2027-01-15T08:00:03Z") == ["run 4", "run 3"]
    assert names(since="1800000003", until="1800000004") == ["run 3"]
    assert names(since=1_800_000_003_000, until=1_800_000_004_000) == ["run 3"]
    page = client.get("/api/traces", params={"service": "shop", "limit": 2}).json()
    assert (page["total"], page["offset"], page["limit"]) == (5, 0, 2)


def _fields(span: Any) -> dict[str, Any]:
    return {name: getattr(span, name) for name in span.__struct_fields__}


@pytest.mark.parametrize(
    "query",
    [
        "limit=0",
        "limit=501",
        "limit=x",
        "offset=-1",
        "offset=99999999999999999999",
        "status=great",
        "sort=colour",
        "since=yesterday",
        "since=-5",
        "until=99999999999999999999999",
        "since=nan",
        "q=%00",
        "agent=" + "x" * 501,
    ],
)
def test_a_wrong_parameter_is_refused_by_name(client: TestClient, query: str) -> None:
    answer = client.get(f"/api/traces?{query}")

    assert answer.status_code == 422
    assert answer.headers["content-type"] == PROBLEM
    problem = answer.json()
    assert problem["errors"][0]["at"] == f"query.{query.partition('=')[0]}"
    assert problem["status"] == 422
    assert problem["title"]
    assert problem["detail"]


def test_what_is_not_there_is_a_problem_and_not_a_page(client: TestClient) -> None:
    for path in ("/api/nope", "/api/traces/nope", f"/api/traces/{'00' * 16}/spans/{'11' * 8}"):
        answer = client.get(path)
        assert answer.status_code == 404, path
        assert answer.headers["content-type"] == PROBLEM
    missing = client.get(f"/api/traces/{send(client, *story('0a' * 16))}/spans/{'11' * 8}")
    assert "There is no span" in missing.json()["detail"]
    wrong = client.put("/api/traces")
    assert (wrong.status_code, wrong.headers["content-type"]) == (405, PROBLEM)
    assert "GET" in wrong.headers["allow"]


def test_otlp_paths_answer_errors_in_otlp_s_own_form(client: TestClient) -> None:
    wrong = client.get("/v1/traces")
    assert wrong.status_code == 405
    assert set(wrong.json()) == {"code", "message"}
    unknown = client.post("/v1/metrics", json={})
    assert unknown.status_code == 404
    assert unknown.json()["code"] == 5
    protobuf = client.post(
        "/v1/traces", content=b"\xff\xff", headers={"content-type": "application/x-protobuf"}
    )
    assert protobuf.status_code == 400
    assert protobuf.headers["content-type"] == "application/x-protobuf"
    assert protobuf.content[:2] == b"\x08\x03"


def test_large_answers_are_compressed(client: TestClient) -> None:
    spans = [raw_span(f"step {n}", trace_id="0b" * 16, span_id=f"{n:016x}") for n in range(1, 300)]
    trace_id = send(client, *spans)

    answer = client.get(f"/api/traces/{trace_id}/spans", headers={"accept-encoding": "gzip"})

    assert answer.headers["content-encoding"] == "gzip"
    assert len(answer.json()["span_id"]) == 299


def test_stats_plugins_and_rejected_spans_are_told(client: TestClient) -> None:
    send(client, *story("0c" * 16))
    bad = {"traceId": "zz", "spanId": "1", "name": "bad span"}
    body = {"resourceSpans": [{"scopeSpans": [{"spans": [bad]}]}]}

    assert client.post("/v1/traces", json=body).json()["partialSuccess"]["rejectedSpans"] == "1"
    newest = client.get("/api/rejected").json()["items"][0]
    assert newest["name"] == "bad span"
    assert newest["reason"]
    figures = client.get("/api/stats").json()
    assert figures["traces"] >= 1
    assert "planner" in [one["agent"] for one in figures["agents"]]
    assert "test-model" in [one["model"] for one in figures["models"]]
    assert client.get("/api/stats?since=2200-01-01").json()["traces"] == 0
    plugins = {one["name"]: one for one in client.get("/api/plugins").json()["items"]}
    assert {"genai", "mast"} <= set(plugins)
    assert "agenttrace_classifiers" in plugins["mast"]["hooks"]


def test_health_and_metrics_count(client: TestClient) -> None:
    before = client.get("/metrics").text
    send(client, *story("0d" * 16))
    client.post("/v1/traces", content=b"{", headers={"content-type": "application/json"})
    after = client.get("/metrics").text

    def value(text: str, name: str) -> float:
        return next(float(line.split()[-1]) for line in text.splitlines() if line.startswith(name))

    assert value(after, "agenttrace_spans_received_total ") == 6 + value(
        before, "agenttrace_spans_received_total "
    )
    assert value(after, "agenttrace_traces_received_total ") == 1 + value(
        before, "agenttrace_traces_received_total "
    )
    invalid = 'agenttrace_ingestion_errors_total{reason="invalid"}'
    assert value(after, invalid) == 1 + value(before, invalid)
    assert value(after, "agenttrace_ingestion_duration_seconds_count") >= 2
    health = client.get("/health").json()
    assert (health["status"], health["service"], health["analysis"]) == ("ok", "agenttrace", "off")
    assert health["traces"] >= 1


def test_the_openapi_document_is_complete(client: TestClient) -> None:
    document = client.get("/api/openapi.json").json()

    operations = [
        (path, method, operation)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    ]
    ids = [operation["operationId"] for _, _, operation in operations]
    assert len(ids) == len(set(ids))
    for path, method, operation in operations:
        assert operation["tags"], path
        assert operation["description"], (path, method)
        if path.startswith("/api/") and "session" not in operation["tags"]:
            assert {"401", "422", "503"} <= set(operation["responses"]), path
    named = set(document["components"]["schemas"])
    text = json.dumps(document)
    assert {ref.split('"')[0] for ref in text.split("#/components/schemas/")[1:]} <= named
    assert "HTTPValidationError" not in named


ODD = st.one_of(
    st.text(max_size=40),
    st.integers().map(str),
    st.floats().map(str),
    st.datetimes().map(str),
    st.sampled_from(["", "%", "_", "'", '"', "\\", "*", "(", "NEAR", "a AND", "-start", "ok"]),
)
NAMES = [
    "offset",
    "limit",
    "service",
    "framework",
    "agent",
    "status",
    "failure",
    "q",
    "since",
    "until",
    "sort",
    "state",
    "format",
    "sender",
]


@settings(
    max_examples=150,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    path=st.sampled_from(
        ["", "/{}", "/{}/messages", "/{}/export", "/{}/checkpoints", "/{}/agents"]
    ),
    identity=st.one_of(st.just("01" * 16), st.text(min_size=1, max_size=40)),
    query=st.dictionaries(st.sampled_from(NAMES), ODD, max_size=4),
)
def test_no_question_breaks_the_server(
    client: TestClient, path: str, identity: str, query: dict[str, str]
) -> None:
    from urllib.parse import quote

    safe = quote(identity.encode("utf-8", "replace").decode(), safe="")
    answer = client.get(f"/api/traces{path.format(safe)}", params=_encodable(query))

    assert answer.status_code < 500, (path, identity, query, answer.text)


def _encodable(query: dict[str, str]) -> dict[str, str]:
    return {key: value.encode("utf-8", "replace").decode() for key, value in query.items()}


def test_a_gzipped_body_of_real_spans_is_stored(client: TestClient) -> None:
    name = "crewai-openinference-1.1.21"
    headers = {"content-type": "application/json", "content-encoding": "gzip"}

    answer = client.post("/v1/traces", content=gzip.compress(captures.body(name)), headers=headers)

    assert (answer.status_code, answer.json()) == (200, {})
    spans: list[Span] = list(captures.traces(name)[0].spans)
    stored = client.get(f"/api/traces/{spans[0].trace_id}/spans").json()["span_id"]
    assert stored == [span.span_id for span in spans]


def test_a_database_that_is_away_is_said_and_may_be_asked_again(tmp_path: Path) -> None:
    file = tmp_path / "gone.db"
    app = create_app(Settings(database_url=f"sqlite:///{file}"))
    with TestClient(app, raise_server_exceptions=False) as client:
        assert client.get("/health").json()["store"] == "up"
        # What an open connection holds is not away until that is closed too.
        app.state.store.close()
        shutil.rmtree(tmp_path)

        health = client.get("/health")
        assert (health.status_code, health.json()["status"]) == (503, "unavailable")
        for path in ("/api/traces", "/api/stats", f"/api/traces/{'01' * 16}"):
            answer = client.get(path)
            assert answer.status_code == 503, answer.text
            assert answer.headers["content-type"] == PROBLEM
            assert int(answer.headers["retry-after"]) > 0
        assert client.get("/metrics").status_code == 200


def test_a_body_that_is_no_text_is_as_invalid_as_any_other(client: TestClient) -> None:
    headers = {"content-type": "application/json"}
    response = client.post("/api/replays", content=b'{"name": "\xff"}', headers=headers)

    assert response.status_code == 422
    assert response.headers["content-type"] == PROBLEM
    assert "UTF-8" in response.json()["detail"]
