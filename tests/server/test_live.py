"""The live feed: who listens hears of every trace that changed, once it did."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from starlette.testclient import WebSocketTestSession
from starlette.websockets import WebSocketDisconnect

from agenttrace.models import RawSpan
from agenttrace.testing import raw_span
from agenttrace_server import live
from agenttrace_server.app import create_app
from agenttrace_server.encode import encode_json
from agenttrace_server.settings import Settings


@pytest.fixture
def client(tmp_path: Path) -> Iterator[TestClient]:
    app = create_app(Settings(database_url=f"sqlite:///{tmp_path / 'a.db'}"))
    with TestClient(app, base_url="http://127.0.0.1") as client:
        yield client


def span(number: int, name: str = "s") -> RawSpan:
    return raw_span(f"{name}{number}", trace_id=f"{number:032x}")


def send(client: TestClient, *spans: RawSpan) -> None:
    headers = {"content-type": "application/json"}
    assert client.post("/v1/traces", content=encode_json(spans), headers=headers).status_code == 200


def until(socket: WebSocketTestSession, trace_id: str, **wanted: Any) -> dict[str, Any]:
    """Return the first message about a trace that has all of `wanted`."""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        message: dict[str, Any] = socket.receive_json()
        if message.get("trace_id") == trace_id and wanted.items() <= message.items():
            return message
    raise AssertionError(f"nothing about {trace_id}")


def test_a_new_trace_and_its_analysis_are_told(client: TestClient) -> None:
    with client.websocket_connect("/api/live") as socket:
        assert socket.receive_json() == {"type": "hello", "cursor": 0}
        send(client, span(1))
        written = until(socket, span(1).trace_id, type="trace", analysed=False)
        client.post(f"/api/traces/{span(1).trace_id}/classify")
        analysed = until(socket, span(1).trace_id, analysed=True)

    assert analysed["cursor"] > written["cursor"]


def test_what_was_before_is_not_told(client: TestClient) -> None:
    send(client, span(1))
    with client.websocket_connect("/api/live") as socket:
        assert socket.receive_json()["cursor"] > 0
        send(client, span(2))
        assert socket.receive_json()["trace_id"] == span(2).trace_id


def test_a_client_that_was_away_is_caught_up_in_order(client: TestClient) -> None:
    with client.websocket_connect("/api/live") as socket:
        socket.receive_json()
        send(client, span(1))
        seen = until(socket, span(1).trace_id)["cursor"]
    for number in (2, 3, 4):
        send(client, span(number))

    with client.websocket_connect(f"/api/live?after={seen}") as socket:
        assert socket.receive_json() == {"type": "hello", "cursor": seen}
        told = [socket.receive_json() for _ in range(3)]
    assert [one["trace_id"] for one in told] == [span(number).trace_id for number in (2, 3, 4)]
    assert [one["cursor"] for one in told] == sorted(one["cursor"] for one in told)


def test_catching_up_takes_more_than_one_page(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "CATCH_UP", 2)
    for number in range(1, 8):
        send(client, span(number))

    with client.websocket_connect("/api/live?after=0") as socket:
        socket.receive_json()
        told = [socket.receive_json()["trace_id"] for _ in range(7)]
    assert told == [span(number).trace_id for number in range(1, 8)]


def test_a_cursor_of_another_database_starts_anew(client: TestClient) -> None:
    with client.websocket_connect("/api/live?after=999999") as socket:
        assert socket.receive_json()["cursor"] == 0
        send(client, span(1))
        until(socket, span(1).trace_id)


def test_a_client_may_ask_for_one_trace_only(client: TestClient) -> None:
    with client.websocket_connect(f"/api/live?trace={span(2).trace_id.upper()}") as socket:
        socket.receive_json()
        send(client, span(1))
        send(client, span(2))
        assert socket.receive_json()["trace_id"] == span(2).trace_id


def test_many_changes_of_one_trace_are_told_as_the_last_one(client: TestClient) -> None:
    for number in range(20):
        send(client, raw_span(f"s{number}", trace_id="ab" * 16))

    with client.websocket_connect("/api/live?after=0") as socket:
        socket.receive_json()
        last = socket.receive_json()
        assert last["version"] == client.get(f"/api/traces/{'ab' * 16}").json()["version"]


def test_everyone_connected_is_told(client: TestClient) -> None:
    with (
        client.websocket_connect("/api/live") as one,
        client.websocket_connect("/api/live") as other,
    ):
        one.receive_json()
        other.receive_json()
        assert "agenttrace_live_clients 2.0" in client.get("/metrics").text
        send(client, span(1))
        until(one, span(1).trace_id)
        until(other, span(1).trace_id)
    deadline = time.monotonic() + 20
    while "agenttrace_live_clients 0.0" not in client.get("/metrics").text:
        assert time.monotonic() < deadline


def test_an_idle_connection_is_kept_open(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "PING_SECONDS", 0.05)

    with client.websocket_connect("/api/live") as socket:
        socket.receive_json()
        assert [socket.receive_json()["type"] for _ in range(2)] == ["ping", "ping"]
        send(client, span(1))
        until(socket, span(1).trace_id)


def test_a_wrong_cursor_or_another_origin_is_refused(client: TestClient) -> None:
    for url, headers in (
        ("/api/live?after=x", {}),
        ("/api/live?after=-1", {}),
        ("/api/live", {"origin": "https://evil.example"}),
        ("ws://evil.example/api/live", {}),
    ):
        with (
            pytest.raises(WebSocketDisconnect),
            client.websocket_connect(url, headers=headers),
        ):
            pass
    with pytest.raises(WebSocketDisconnect), client.websocket_connect("/api/nope"):
        pass


def test_the_feed_asks_for_the_key_like_everything_else(tmp_path: Path) -> None:
    app = create_app(Settings(database_url=f"sqlite:///{tmp_path / 'k.db'}", api_key="k"))  # type: ignore[arg-type]
    with TestClient(app) as client:
        with client.websocket_connect("/api/live") as stranger, pytest.raises(WebSocketDisconnect):
            stranger.receive_json()
        client.post("/api/login", json={"api_key": "k"})
        with client.websocket_connect("/api/live") as socket:
            assert socket.receive_json()["type"] == "hello"
