"""An OTLP/HTTP receiver on loopback that does as it is told: answers, refuses, waits, goes away."""

import gzip
import threading
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span

Answer = tuple[int, Mapping[str, str], bytes]
OK: Answer = (200, {"Content-Type": "application/x-protobuf"}, b"")


class Collector:
    """Keeps what is posted to it. `answers` come first, one each request; after that all is well.

    An answer of None closes the connection without a word; `spans_limit` answers 413 beyond it.
    """

    def __init__(self, port: int = 0, tls: Any = None) -> None:
        self.answers: list[Answer | None] = []
        self.bytes_limit: int | None = None
        self.gate = threading.Event()
        self.gate.set()
        self.requests: list[ExportTraceServiceRequest] = []
        self.headers: list[Mapping[str, str]] = []
        self.connections: set[Any] = set()
        self._arrived = threading.Condition()
        collector = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                collector.take(self)

            def do_GET(self) -> None:
                body = b'{"status":"ok","service":"agenttrace","version":"9.9"}'
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *args: object) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self._server.daemon_threads = True
        scheme = "http"
        if tls is not None:
            self._server.socket = tls.wrap_socket(self._server.socket, server_side=True)
            scheme = "https"
        self.url = f"{scheme}://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self._thread.start()

    def take(self, handler: BaseHTTPRequestHandler) -> None:
        """Read a request and answer it."""
        body = handler.rfile.read(int(handler.headers["Content-Length"]))
        self.gate.wait(30)
        answer = self.answers.pop(0) if self.answers else OK
        if self.bytes_limit is not None and len(_plain(handler, body)) > self.bytes_limit:
            answer = (413, {}, b"too much")
        if answer is None:
            handler.close_connection = True
            return
        status, headers, text = answer
        with self._arrived:
            self.headers.append({k.lower(): v for k, v in handler.headers.items()})
            self.connections.add(handler.client_address)
            if status == 200:
                request = ExportTraceServiceRequest.FromString(_plain(handler, body))
                self.requests.append(request)
            self._arrived.notify_all()
        handler.send_response(status)
        for name, value in headers.items():
            handler.send_header(name, value)
        handler.send_header("Content-Length", str(len(text)))
        handler.end_headers()
        handler.wfile.write(text)

    @property
    def spans(self) -> list[Span]:
        """Every span accepted so far, in the order of arrival."""
        return [
            span
            for request in list(self.requests)
            for part in request.resource_spans
            for scope in part.scope_spans
            for span in scope.spans
        ]

    @property
    def named(self) -> dict[str, Span]:
        """Every span accepted so far by name."""
        return {span.name: span for span in self.spans}

    def wait_for(self, spans: int, seconds: float = 30.0) -> list[Span]:
        """Return the spans once there are this many; fail if that takes too long."""
        with self._arrived:
            arrived = self._arrived.wait_for(lambda: len(self.spans) >= spans, seconds)
        assert arrived, f"{len(self.spans)} of {spans} spans arrived"
        return self.spans

    def wait_for_requests(self, count: int, seconds: float = 30.0) -> None:
        """Wait until this many requests have been answered, in whatever way."""
        with self._arrived:
            assert self._arrived.wait_for(lambda: len(self.headers) >= count, seconds)

    def close(self) -> None:
        """Stop listening."""
        self.gate.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@contextmanager
def collector(port: int = 0, tls: Any = None) -> Iterator[Collector]:
    """A collector for the time of a `with` statement."""
    running = Collector(port, tls)
    try:
        yield running
    finally:
        running.close()


def attributes(holder: Any) -> dict[str, Any]:
    """The attributes of a protobuf span, event or resource as Python values."""
    return {pair.key: _value(pair.value) for pair in holder.attributes}


def _value(value: AnyValue) -> Any:
    kind = value.WhichOneof("value")
    if kind == "array_value":
        return [_value(item) for item in value.array_value.values]
    return getattr(value, kind) if kind else None


def _plain(handler: BaseHTTPRequestHandler, body: bytes) -> bytes:
    encoding = handler.headers.get("Content-Encoding")
    if encoding == "gzip":
        return gzip.decompress(body)
    return zlib.decompress(body) if encoding == "deflate" else body
