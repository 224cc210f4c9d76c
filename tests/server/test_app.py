"""The server as a process: it starts, refuses, analyses, stops and dies as it should."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from agenttrace.errors import ServerError
from agenttrace.testing import raw_span
from agenttrace_server.app import identify, serve
from agenttrace_server.attempts import Attempts
from agenttrace_server.encode import encode_json
from agenttrace_server.settings import Settings
from support import captures
from support.server import RunningServer, running_server

CAPTURES = (
    "crewai-openinference-1.1.21",
    "langgraph-traceloop-langchain-0.62.4-supervisor",
    "autogen-openinference-agentchat-0.1.22-swarm",
)


def children(pid: int) -> list[int]:
    listed = subprocess.run(
        ["ps", "-o", "pid=", "--ppid", str(pid)], capture_output=True, text=True
    )
    return [int(line) for line in listed.stdout.split()]


def wait_until(true: Any, seconds: float = 30) -> None:
    until = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < until, "waited in vain"
        time.sleep(0.05)


def is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    stat = Path(f"/proc/{pid}/stat")
    return not (stat.exists() and stat.read_text().rpartition(")")[2].split()[0] == "Z")


def analysis_of(server: RunningServer) -> int:
    wait_until(lambda: children(server.pid))
    [pid] = children(server.pid)
    return pid


def test_what_goes_in_as_otlp_comes_out_as_agents_and_messages() -> None:
    with running_server() as server:
        for name in CAPTURES:
            server.post(captures.body(name))
        for name in CAPTURES:
            for trace in captures.traces(name):
                summary = server.wait_analysed(trace.trace_id)
                assert summary["span_count"] == len(trace.spans)
                path = f"/api/traces/{trace.trace_id}"
                agents = [one["name"] for one in server.get(f"{path}/agents")["items"]]
                assert agents == [one.name for one in trace.agents]
                said = server.get(f"{path}/messages")["items"]
                assert [(m["sender"], m["recipient"], m["content"]) for m in said] == [
                    (m.sender, m.recipient, m.content) for m in trace.messages
                ]
                edges = server.get(f"{path}/graph")["edges"]
                assert sum(edge["count"] for edge in edges) == len(said)
                owners = server.get(f"{path}/spans")
                assert set(owners["agents"]) >= set(agents)


def test_spans_that_come_late_are_analysed_too() -> None:
    first = raw_span("first", attributes={"gen_ai.agent.name": "a", "agenttrace.kind": "agent"})
    late = raw_span(
        "late",
        attributes={"gen_ai.agent.name": "b", "agenttrace.kind": "agent"},
        start_ns=first.end_ns,
        end_ns=first.end_ns + 1,
    )
    with running_server() as server:
        server.post(encode_json([first]))
        assert server.wait_analysed(first.trace_id)["agents"] == ["a"]
        server.post(encode_json([late]))

        wait_until(lambda: server.wait_analysed(first.trace_id)["agents"] == ["a", "b"])


def test_what_was_answered_200_survives_kill_9_and_the_analysis_goes_with_it() -> None:
    spans = [raw_span(f"s{n}", span_id=f"{n:016x}") for n in range(1, 200)]
    with running_server() as server:
        analysis = analysis_of(server)
        server.post(encode_json(spans))
        server.kill()

        wait_until(lambda: not is_running(analysis))
        server.restart()
        assert server.get(f"/api/traces/{spans[0].trace_id}")["span_count"] == 199
        server.wait_analysed(spans[0].trace_id)


def test_an_analysis_process_that_dies_is_started_again() -> None:
    with running_server() as server:
        analysis = analysis_of(server)
        os.kill(analysis, signal.SIGKILL)

        wait_until(lambda: children(server.pid) not in ([], [analysis]))
        span = raw_span("after")
        server.post(encode_json([span]))
        server.wait_analysed(span.trace_id)
        assert server.get("/health")["status"] == "ok"
        assert "agenttrace_analysis_up 1.0" in server.client.get("/metrics").text


def test_sigterm_ends_everything_in_order_with_what_is_in_flight() -> None:
    span = raw_span("slow body")
    body = encode_json([span])
    with running_server() as server:
        analysis = analysis_of(server)
        url = httpx.URL(server.url)
        answers: list[int] = []
        begun = threading.Event()

        def slowly() -> None:
            with socket.create_connection((url.host, url.port or 80)) as client:
                head = (
                    f"POST /v1/traces HTTP/1.1\r\nHost: {url.netloc.decode()}\r\n"
                    "Content-Type: application/json\r\nConnection: close\r\n"
                    f"Content-Length: {len(body)}\r\n\r\n"
                )
                client.sendall(head.encode() + body[:20])
                begun.set()
                time.sleep(1.0)
                client.sendall(body[20:])
                answers.append(int(client.recv(65536).split()[1]))

        sender = threading.Thread(target=slowly)
        sender.start()
        begun.wait()
        time.sleep(0.3)
        code = server.stop()
        sender.join()

        assert code == 0
        assert answers == [200]
        assert not is_running(analysis)
        server.restart()
        assert server.get(f"/api/traces/{span.trace_id}")["span_count"] == 1


def test_ctrl_c_on_the_whole_process_group_is_orderly(tmp_path: Path) -> None:
    entry = (
        "from agenttrace_server.app import serve; from agenttrace_server.settings import Settings;"
        f"serve(Settings(port=0, database_url='sqlite:///{tmp_path / 'a.db'}'),"
        "ready=lambda url: print(url, flush=True)); print('returned')"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", entry],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline().startswith("http://127.0.0.1:")
    wait_until(lambda: children(process.pid))

    os.killpg(process.pid, signal.SIGINT)
    out, err = process.communicate(timeout=60)

    assert (process.returncode, out) == (0, "returned\n")
    assert "Traceback" not in err
    assert all(json.loads(line)["level"] for line in err.splitlines())


def test_a_taken_port_says_who_has_it(tmp_path: Path) -> None:
    database = f"sqlite:///{tmp_path / 'a.db'}"
    with running_server() as server:
        port = httpx.URL(server.url).port
        assert identify(server.url) is not None
        with pytest.raises(ServerError, match=r"AgentTrace .* already serves http://127\.0\.0\.1"):
            serve(Settings(port=port, database_url=database))
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        assert identify(f"http://127.0.0.1:{port}") is None
        with pytest.raises(ServerError, match=f"Cannot listen on 127.0.0.1:{port} .*--port"):
            serve(Settings(port=port, database_url=database))


def test_an_address_beyond_this_machine_needs_a_key_or_a_word(tmp_path: Path) -> None:
    for host in ("0.0.0.0", "::", "192.0.2.1", "example.com"):
        with pytest.raises(ServerError, match="AGENTTRACE_API_KEY"):
            serve(Settings(host=host, port=0, database_url=f"sqlite:///{tmp_path / 'a.db'}"))


def test_a_name_that_is_no_address_is_refused(tmp_path: Path) -> None:
    settings = Settings(host="no.such.host.invalid", port=0, insecure=True)

    with pytest.raises(ServerError, match="no address to listen on"):
        serve(settings)


def test_a_database_that_cannot_be_made_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")

    with pytest.raises(ServerError) as caught:
        serve(Settings(port=0, database_url=f"sqlite:///{tmp_path / 'file' / 'a.db'}"))
    assert "\n" not in str(caught.value)


@pytest.fixture(scope="module")
def locked() -> Iterator[RunningServer]:
    with running_server(api_key="s3cret", host="0.0.0.0") as server:
        yield server


def test_a_server_with_a_key_asks_everyone_for_it(locked: RunningServer) -> None:
    span = raw_span("mine")
    locked.post(encode_json([span]))
    stranger = httpx.Client(base_url=locked.url)
    export = {"content": encode_json([span]), "headers": {"content-type": "application/json"}}

    assert stranger.get("/api/traces").status_code == 401
    refused = stranger.post("/v1/traces", **export)  # type: ignore[arg-type]
    assert refused.status_code == 401
    assert refused.json()["code"] == 16
    for headers in (
        {"authorization": "Bearer s3cret"},
        {"authorization": "bearer  s3cret"},
        {"x-api-key": "s3cret"},
    ):
        assert stranger.get("/api/traces", headers=headers).status_code == 200
    for headers in (
        {"authorization": "Bearer wrong"},
        {"authorization": "s3cret"},
        {"x-api-key": ""},
        {"authorization": "Basic s3cret"},
        {"x-api-key": "s3crét".encode()},
    ):
        assert stranger.get("/api/traces", headers=headers).status_code == 401  # type: ignore[arg-type]
    health = stranger.get("/health").json()
    assert (health["status"], health["traces"]) == ("ok", None)
    assert stranger.get("/metrics").status_code == 200
    assert stranger.get("/").status_code == 200


def test_a_browser_logs_in_once_and_out_again(locked: RunningServer) -> None:
    with httpx.Client(base_url=locked.url) as browser:
        assert browser.get("/api/session").json() == {"required": True, "authenticated": False}
        assert browser.post("/api/login", json={"api_key": "wrong"}).status_code == 401
        assert browser.get("/api/traces").status_code == 401

        login = browser.post("/api/login", json={"api_key": "s3cret"})
        assert login.json() == {"required": True, "authenticated": True}
        cookie = login.headers["set-cookie"].lower()
        assert "httponly" in cookie
        assert "samesite=strict" in cookie
        assert "s3cret" not in cookie
        assert browser.get("/api/traces").status_code == 200
        browser.post("/api/logout")
        assert browser.get("/api/traces").status_code == 401


def test_who_guesses_the_key_has_to_wait() -> None:
    with running_server(api_key="s3cret") as server, httpx.Client(base_url=server.url) as browser:
        answers = [browser.post("/api/login", json={"api_key": str(n)}) for n in range(11)]
        right = browser.post("/api/login", json={"api_key": "s3cret"})

        assert [answer.status_code for answer in answers] == [401] * 10 + [429]
        assert right.status_code == 429
        assert 1 <= int(right.headers["retry-after"]) <= 60
        assert browser.get("/api/traces", headers={"x-api-key": "s3cret"}).status_code == 200


def test_an_address_may_try_again_after_a_while_and_others_at_once() -> None:
    now = [0.0]
    attempts = Attempts(most=2, seconds=60, clock=lambda: now[0])
    attempts.failed("here")
    now[0] = 10
    attempts.failed("here")

    assert (attempts.wait("here"), attempts.wait("there")) == (50, 0)
    now[0] = 60
    assert attempts.wait("here") == 0
    attempts.failed("here")
    assert attempts.wait("here") == 10


def test_it_works_under_a_prefix_whether_or_not_the_proxy_takes_it_off() -> None:
    with running_server(root_path="/agents/") as server:
        assert server.url.endswith("/agents")
        bare = str(httpx.URL(server.url).copy_with(path="/"))
        for base in (server.url, bare):
            client = httpx.Client(base_url=base)
            assert client.get("/api/traces").status_code == 200
            assert client.get("/api/nope").status_code == 404
            page = client.get("/traces/123")
            assert '<base href="/agents/">' in page.text
            posted = client.post(
                "/v1/traces",
                content=encode_json([raw_span()]),
                headers={"content-type": "application/json"},
            )
            assert posted.status_code == 200
            assert client.get("/v1/traces").json()["code"] == 12
        assert identify(server.url) is not None
