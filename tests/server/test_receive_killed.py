"""What was answered with 200 survives `kill -9`, and is there once."""

import random
import threading
import time
from itertools import count

import httpx
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from support.server import RunningServer, running_server

KILLS = 3
CLIENTS = 3
SPANS = 7


def request(client: int, number: int) -> tuple[str, bytes]:
    """A trace id and a request with its spans."""
    message = ExportTraceServiceRequest()
    scope = message.resource_spans.add().scope_spans.add()
    trace_id = (client * 1_000_000 + number).to_bytes(16, "big")
    for place in range(1, SPANS + 1):
        scope.spans.add(
            trace_id=trace_id,
            span_id=place.to_bytes(8, "big"),
            name=f"step {place}",
            start_time_unix_nano=1_700_000_000_000_000_000 + place,
            end_time_unix_nano=1_700_000_000_000_000_000 + place,
        )
    return trace_id.hex(), message.SerializeToString()


class Client(threading.Thread):
    """Sends one trace after the other, each until it is answered, as an exporter does."""

    def __init__(self, server: RunningServer, number: int) -> None:
        super().__init__()
        self._url = f"{server.url}/v1/traces"
        self._number = number
        self.stopped = threading.Event()
        self.acknowledged: list[str] = []

    def run(self) -> None:
        headers = {"content-type": "application/x-protobuf"}
        with httpx.Client(timeout=30) as http:
            for number in count(1):
                trace_id, body = request(self._number, number)
                while not self.stopped.is_set():
                    try:
                        response = http.post(self._url, content=body, headers=headers)
                    except httpx.HTTPError:
                        time.sleep(0.05)
                        continue
                    if response.status_code == 200:
                        self.acknowledged.append(trace_id)
                        break
                    assert response.status_code == 503
                if self.stopped.is_set():
                    return


def test_every_acknowledged_span_is_there_once_however_often_the_server_is_killed() -> None:
    chance = random.Random(4318)
    with running_server() as server:
        clients = [Client(server, number) for number in range(1, CLIENTS + 1)]
        for client in clients:
            client.start()
        for _ in range(KILLS):
            answered = sum(len(client.acknowledged) for client in clients)
            while sum(len(client.acknowledged) for client in clients) < answered + 5:
                time.sleep(0.01)
            time.sleep(chance.uniform(0, 0.2))
            server.kill()
            server.start()
        for client in clients:
            client.stopped.set()
            client.join()

        acknowledged = [trace_id for client in clients for trace_id in client.acknowledged]
        assert len(acknowledged) >= 5 * KILLS
        for trace_id in acknowledged:
            assert server.get(f"/api/traces/{trace_id}")["span_count"] == SPANS
            assert len(set(server.get(f"/api/traces/{trace_id}/spans")["span_id"])) == SPANS
        server.wait_analysed(acknowledged[-1])
