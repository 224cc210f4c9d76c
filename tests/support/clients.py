"""Clients that send a known stream of spans and try again as the OTLP specification says."""

import threading
import time
from collections.abc import Callable
from itertools import count

import grpc
import httpx
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2_grpc import TraceServiceStub

SPANS = 7
"""Of each request, which is one trace."""
RETRYABLE = {429, 502, 503, 504}
RETRYABLE_GRPC = {
    grpc.StatusCode.CANCELLED,
    grpc.StatusCode.DEADLINE_EXCEEDED,
    grpc.StatusCode.ABORTED,
    grpc.StatusCode.OUT_OF_RANGE,
    grpc.StatusCode.UNAVAILABLE,
    grpc.StatusCode.DATA_LOSS,
}
FIRST_PAUSE, LONGEST_PAUSE = 0.05, 1.0

Answer = float | None
"""None if the spans are stored, else after how many seconds to send them again."""


def request(client: int, number: int, text: str = "") -> tuple[str, ExportTraceServiceRequest]:
    """A trace id and a request with its spans."""
    message = ExportTraceServiceRequest()
    scope = message.resource_spans.add().scope_spans.add()
    trace_id = (client * 1_000_000 + number).to_bytes(16, "big")
    for place in range(1, SPANS + 1):
        span = scope.spans.add(
            trace_id=trace_id,
            span_id=place.to_bytes(8, "big"),
            parent_span_id=b"" if place == 1 else bytes(7) + b"\x01",
            name=f"step {place}",
            start_time_unix_nano=1_700_000_000_000_000_000 + place,
            end_time_unix_nano=1_700_000_000_000_000_000 + place,
        )
        span.attributes.add(key="gen_ai.agent.name").value.string_value = f"agent {place % 3}"
        if text:
            span.attributes.add(key="text").value.string_value = text
    return trace_id.hex(), message


class Client(threading.Thread):
    """Sends one trace after the other, each until it is stored."""

    def __init__(
        self, number: int, send: Callable[[ExportTraceServiceRequest], Answer], text: str = ""
    ) -> None:
        super().__init__(name=f"client {number}")
        self._number = number
        self._send = send
        self._text = text
        self._stopped = threading.Event()
        self.acknowledged: list[str] = []
        self.again = 0
        self.error: Exception | None = None

    def run(self) -> None:
        """Send until `stop`, or until an answer that no client may try again after."""
        try:
            for number in count(1):
                trace_id, message = request(self._number, number, self._text)
                pause = FIRST_PAUSE
                while (asked := self._send(message)) is not None:
                    self.again += 1
                    if self._stopped.wait(max(asked, pause)):
                        return
                    pause = min(LONGEST_PAUSE, 2 * pause)
                self.acknowledged.append(trace_id)
                if self._stopped.is_set():
                    return
        except Exception as error:  # noqa: BLE001 - told by `stop`, in the thread of the test
            self.error = error

    def stop(self) -> None:
        """Send no more; raises what ended the client before, if anything did."""
        self._stopped.set()
        self.join()
        if self.error is not None:
            raise self.error


def over_http(url: str) -> Callable[[ExportTraceServiceRequest], Answer]:
    """Send to a server over HTTP."""
    http = httpx.Client(timeout=60)
    headers = {"content-type": "application/x-protobuf"}

    def send(message: ExportTraceServiceRequest) -> Answer:
        content = message.SerializeToString()
        try:
            response = http.post(f"{url}/v1/traces", content=content, headers=headers)
        except httpx.TransportError:
            return 0.0
        if response.status_code == 200:
            assert response.content == b"", "spans were refused"
            return None
        assert response.status_code in RETRYABLE, response.text
        return float(response.headers.get("retry-after", 0))

    return send


def over_grpc(port: int) -> Callable[[ExportTraceServiceRequest], Answer]:
    """Send to a server over gRPC."""
    options = [("grpc.max_reconnect_backoff_ms", 500)]
    stub = TraceServiceStub(grpc.insecure_channel(f"127.0.0.1:{port}", options))

    def send(message: ExportTraceServiceRequest) -> Answer:
        try:
            response = stub.Export(message, timeout=60)
        except grpc.RpcError as error:
            if error.code() not in RETRYABLE_GRPC:
                raise
            return 0.0
        assert not response.HasField("partial_success"), "spans were refused"
        return None

    return send


def wait_for_more(clients: list[Client], traces: int, seconds: float = 120.0) -> None:
    """Return once the clients have had so many more traces stored, all together."""

    def stored() -> int:
        return sum(len(client.acknowledged) for client in clients)

    enough, until = stored() + traces, time.monotonic() + seconds
    while stored() < enough:
        failed = [client.error for client in clients if client.error is not None]
        if failed:
            raise failed[0]
        assert time.monotonic() < until, f"{stored()} traces of {enough} in {seconds} s"
        time.sleep(0.01)
