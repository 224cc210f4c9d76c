"""A server shows the fragments of one run as one trace, and takes that back when it is asked to."""

import time
from collections.abc import Iterator
from typing import Any

import pytest

from support import captures
from support.server import RunningServer, running_server

SWARM = "autogen-0.7.5-builtin-swarm"


@pytest.fixture(scope="module")
def server() -> Iterator[RunningServer]:
    with running_server() as running:
        running.post(captures.body(SWARM))
        yield running


def shown(server: RunningServer, count: int, seconds: float = 120.0) -> list[dict[str, Any]]:
    """The list, once it has so many traces and each is analysed."""
    until = time.monotonic() + seconds
    while True:
        items: list[dict[str, Any]] = server.get("/api/traces", limit=100)["items"]
        if len(items) == count and all(item["analysed"] for item in items):
            return items
        assert time.monotonic() < until, f"{len(items)} traces:\n{server.log()[-2000:]}"
        time.sleep(0.1)


def ask(server: RunningServer, path: str, **body: Any) -> Any:
    response = server.client.post(path, json=body or None)
    assert response.status_code == 200, response.text
    return response.json()


def test_26_traces_of_a_swarm_are_one_taken_apart_and_one_again(server: RunningServer) -> None:
    (one,) = shown(server, 1)
    spans = server.get(f"/api/traces/{one['trace_id']}/spans")
    parts = server.get(f"/api/traces/{one['trace_id']}/parts")
    handoffs = [
        (message["sender"], message["recipient"])
        for message in server.get(f"/api/traces/{one['trace_id']}/messages")["items"]
        if message["type"] == "handoff"
    ]
    raw = server.get("/api/traces", joined=False, limit=100)
    assert one["parts"] == len(spans["joined"]) == len(parts["items"]) == raw["total"] == 26
    assert one["span_count"] == len(spans["span_id"]) == len(captures.load(SWARM))
    assert handoffs == [("planner", "worker"), ("worker", "planner")]
    part = server.get(f"/api/traces/{parts['items'][5]['trace_id']}")
    assert (part["part_of"], part["parts"]) == (one["trace_id"], 0)
    assert {item["reason"] for item in parts["items"][1:]} >= {"link"}

    assert len(ask(server, f"/api/traces/{one['trace_id']}/split")["trace_ids"]) == 26
    ask(server, f"/api/traces/{part['trace_id']}/classify")
    shown(server, 26)
    assert server.client.get(f"/api/traces/{one['trace_id']}").status_code == 404

    assert ask(server, f"/api/traces/{part['trace_id']}/join")["trace_id"] == one["trace_id"]
    (again,) = shown(server, 1)
    assert (again["trace_id"], again["parts"]) == (one["trace_id"], 26)


def test_what_roots_said_is_shown_beside_what_their_calls_add_up_to() -> None:
    def span(number: int, name: str, parent: int, operation: str, tokens: int) -> dict[str, Any]:
        return {
            "traceId": f"{7:032x}",
            "spanId": f"{number:016x}",
            "parentSpanId": f"{parent:016x}" if parent else "",
            "name": name,
            "startTimeUnixNano": str(1_700_000_000_000_000_000 + number * 1000),
            "endTimeUnixNano": str(1_700_000_000_100_000_000 - number * 1000),
            "attributes": [
                {"key": "gen_ai.operation.name", "value": {"stringValue": operation}},
                {"key": "gen_ai.usage.input_tokens", "value": {"intValue": str(tokens)}},
            ],
        }

    spans = [
        span(1, "invoke_agent ann", 0, "invoke_agent", 30),
        span(2, "chat", 1, "chat", 10),
        span(3, "chat", 1, "chat", 20),
    ]
    with running_server() as server:
        server.post({"resourceSpans": [{"scopeSpans": [{"spans": spans}]}]})
        summary = server.wait_analysed(f"{7:032x}")

        found = server.get(f"/api/traces/{7:032x}/accounting")

    assert summary["tokens_in"] == found["leaves"]["tokens_in"] == 30
    assert found["root_said"]["tokens_in"] == 30
    assert (found["calls"], found["silent"], found["seen_twice"]) == (2, 0, [])
    assert [roll_up["name"] for roll_up in found["roll_ups"]] == ["invoke_agent ann"]


@pytest.mark.parametrize("path", ["parts", "accounting", "split", "join"])
def test_of_a_trace_that_is_not_there_it_says_so(server: RunningServer, path: str) -> None:
    method = "GET" if path in ("parts", "accounting") else "POST"

    answer = server.client.request(method, f"/api/traces/{9:032x}/{path}")

    assert (answer.status_code, answer.json()["title"]) == (404, "Not Found")
