"""Two servers on one PostgreSQL: nothing twice, nothing missed, each hears of the other's."""

import threading
from collections.abc import Iterator

import pytest
import websockets.sync.client

from support import postgres
from support.receiver import message, stored_id
from support.server import RunningServer, running_server

if not postgres.is_available():
    pytest.skip("PostgreSQL is not installed here", allow_module_level=True)

PROTOBUF = "application/x-protobuf"
TRACES = 20


@pytest.fixture(scope="module")
def servers() -> Iterator[tuple[RunningServer, RunningServer]]:
    with (
        postgres.postgres_url() as url,
        running_server(database_url=url) as one,
        running_server(database_url=url, read_database_url=url) as two,
    ):
        yield one, two


def test_what_both_are_sent_at_once_is_there_once_and_analysed(
    servers: tuple[RunningServer, RunningServer],
) -> None:
    requests = [message(7) for _ in range(TRACES)]

    def send(server: RunningServer) -> None:
        for request in requests:
            server.post(request.SerializeToString(), PROTOBUF)

    senders = [threading.Thread(target=send, args=(server,)) for server in servers * 2]
    for sender in senders:
        sender.start()
    for sender in senders:
        sender.join()

    for number, request in enumerate(requests):
        summary = servers[number % 2].wait_analysed(stored_id(request))
        assert summary["span_count"] == 7
    assert {server.get("/api/traces")["total"] for server in servers} == {TRACES}


@pytest.mark.parametrize("listening", [0, 1], ids=["by notice", "at a replica"])
def test_a_client_of_one_hears_what_the_other_took_in(
    servers: tuple[RunningServer, RunningServer], listening: int
) -> None:
    request = message()
    url = servers[listening].url.replace("http", "ws", 1)
    with websockets.sync.client.connect(f"{url}/api/live?trace={stored_id(request)}") as feed:
        assert '"hello"' in feed.recv(timeout=60)
        servers[1 - listening].post(request.SerializeToString(), PROTOBUF)

        assert stored_id(request) in feed.recv(timeout=60)


def test_when_one_is_killed_the_other_analyses_what_it_had_claimed(
    servers: tuple[RunningServer, RunningServer],
) -> None:
    one, two = servers
    requests = [message(3) for _ in range(10)]
    for request in requests:
        one.post(request.SerializeToString(), PROTOBUF)
    one.kill()
    try:
        for request in requests:
            two.wait_analysed(stored_id(request), seconds=120)
    finally:
        one.start()
