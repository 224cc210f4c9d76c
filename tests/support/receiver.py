"""The app on a real socket, in this process so that its store can be looked at."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import uvicorn
from google.protobuf.json_format import Parse
from google.rpc.status_pb2 import Status
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from agenttrace_server.app import create_app
from agenttrace_server.settings import Settings
from agenttrace_server.store import Store, TraceQuery

PROTOBUF = "application/x-protobuf"
JSON = "application/json"
LIMIT = 2_000_000


class Receiver:
    """The app behind uvicorn, in this process so that its store can be looked at."""

    def __init__(self, folder: Path, **more: Any) -> None:
        given = {"database_url": f"sqlite:///{folder / 'db'}", "max_body_bytes": LIMIT} | more
        self.app = create_app(Settings(**given), with_grpc="grpc_port" in more)
        self._uvicorn = uvicorn.Server(uvicorn.Config(self.app, port=0, log_config=None))
        self._thread = threading.Thread(target=self._uvicorn.run)
        self._thread.start()
        while not self._uvicorn.started:
            assert self._thread.is_alive()
            time.sleep(0.01)
        self.port = self._uvicorn.servers[0].sockets[0].getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self.client = httpx.Client(base_url=self.url, timeout=30)

    @property
    def store(self) -> Store:
        """The store that it writes to."""
        return self.app.state.store  # type: ignore[no-any-return]

    def post(
        self, content: bytes, content_type: str = PROTOBUF, path: str = "/v1/traces", **headers: str
    ) -> httpx.Response:
        """Send a request; underscores in header names stand for hyphens."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.client.post(
            path, content=content, headers={"content-type": content_type} | named
        )

    def count(self) -> int:
        """How many traces are stored."""
        return self.store.traces(TraceQuery(limit=0)).total

    def metric(self, name: str) -> float:
        """The value of a counter."""
        lines = self.client.get("/metrics").text.splitlines()
        return next(float(line.split()[-1]) for line in lines if line.startswith(name))

    def close(self) -> None:
        """Serve no more."""
        self.client.close()
        self._uvicorn.should_exit = True
        self._thread.join(30)


@contextmanager
def served(folder: Path, **more: Any) -> Iterator[Receiver]:
    """A receiver with a database in this folder."""
    server = Receiver(folder, **more)
    try:
        yield server
    finally:
        server.close()


_next = iter(range(1, 1_000_000))


def message(spans: int = 1, text: str = "") -> ExportTraceServiceRequest:
    """A request with the spans of one new trace."""
    request = ExportTraceServiceRequest()
    resource = request.resource_spans.add()
    resource.resource.attributes.add(key="service.name").value.string_value = "shop"
    scope = resource.scope_spans.add()
    trace_id = next(_next).to_bytes(16, "big")
    for number in range(1, spans + 1):
        span = scope.spans.add(
            trace_id=trace_id,
            span_id=number.to_bytes(8, "big"),
            name=f"step {number}",
            start_time_unix_nano=1_700_000_000_000_000_000,
            end_time_unix_nano=1_700_000_001_000_000_000,
        )
        span.attributes.add(key="text").value.string_value = text
    return request


def body(spans: int = 1, text: str = "") -> bytes:
    """Such a request as it is sent."""
    return message(spans, text).SerializeToString()


def stored_id(request: ExportTraceServiceRequest) -> str:
    """The trace id of such a request."""
    return request.resource_spans[0].scope_spans[0].spans[0].trace_id.hex()


def status_of(response: httpx.Response) -> Status:
    """The google.rpc.Status of a refusal, in the content type it was answered in."""
    if response.headers["content-type"] == PROTOBUF:
        return Status.FromString(response.content)
    assert response.headers["content-type"] == JSON
    return Parse(response.content, Status())


def talk(server: Receiver, request: bytes) -> bytes:
    """Send bytes on a connection of their own; return what is answered first."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as connection:
        connection.sendall(request)
        return connection.recv(65536)
