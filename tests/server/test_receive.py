"""OTLP over HTTP, to the letter, against a real server on a real socket."""

import json
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.json_format import MessageToDict
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

from agenttrace.errors import StoreUnavailable
from agenttrace_server.ingest import IngestFull
from support.receiver import (
    JSON,
    LIMIT,
    PROTOBUF,
    Receiver,
    body,
    message,
    served,
    status_of,
    stored_id,
    talk,
)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Receiver]:
    with served(tmp_path_factory.mktemp("receive")) as server:
        yield server


def json_body(request: ExportTraceServiceRequest) -> dict[str, Any]:
    """The request in OTLP's own JSON: ids in hex, enums as numbers."""
    data = MessageToDict(request, use_integers_for_enums=True)
    spans = data["resourceSpans"][0]["scopeSpans"][0]["spans"]
    for span, own in zip(spans, request.resource_spans[0].scope_spans[0].spans, strict=True):
        span["traceId"], span["spanId"] = own.trace_id.hex(), own.span_id.hex()
    return data


def test_protobuf_is_stored_when_it_is_answered(server: Receiver) -> None:
    request = message(3)

    response = server.post(request.SerializeToString())

    assert (response.status_code, response.content) == (200, b"")
    assert response.headers["content-type"] == PROTOBUF
    assert server.store.summary(stored_id(request)).span_count == 3  # type: ignore[union-attr]


def test_json_is_stored_when_it_is_answered(server: Receiver) -> None:
    request = message(3)

    response = server.post(json.dumps(json_body(request)).encode(), JSON)

    assert (response.status_code, response.json()) == (200, {})
    assert response.headers["content-type"] == JSON
    assert server.store.summary(stored_id(request)).span_count == 3  # type: ignore[union-attr]


@pytest.mark.parametrize(
    "content_type",
    [
        "application/json; charset=utf-8",
        "Application/JSON",
        "application/json;charset=UTF-8",
        "application/x-protobuf; charset=binary",
        "application/protobuf",
    ],
)
def test_a_content_type_may_have_parameters(server: Receiver, content_type: str) -> None:
    request = message()
    as_json = "json" in content_type.lower()
    content = json.dumps(json_body(request)).encode() if as_json else request.SerializeToString()

    assert server.post(content, content_type).status_code == 200
    assert server.store.summary(stored_id(request)) is not None


@pytest.mark.parametrize("content_type", ["text/plain", "application/x-ndjson", "", "nonsense"])
def test_another_content_type_is_not_supported(server: Receiver, content_type: str) -> None:
    response = server.post(body(), content_type)

    assert response.status_code == 415
    assert "application/x-protobuf" in status_of(response).message


@pytest.mark.parametrize(("content", "content_type"), [(b"", PROTOBUF), (b"{}", JSON), (b"", JSON)])
def test_an_empty_request_is_fine(server: Receiver, content: bytes, content_type: str) -> None:
    before = server.count()

    response = server.post(content, content_type)

    assert response.status_code == 200
    assert response.content == (b"" if content_type == PROTOBUF else b"{}")
    assert server.count() == before


@pytest.mark.parametrize(
    ("content", "content_type"),
    [
        (b"\xff\xff\xff\xff", PROTOBUF),
        (b"not protobuf", PROTOBUF),
        (body()[:-3], PROTOBUF),
        (b"{", JSON),
        (b"nonsense", JSON),
        (b'{"resourceSpans": 5}', JSON),
        (b'{"resourceLogs": []}', JSON),
        (b'{"resourceSpans": "\xff"}', JSON),
    ],
)
def test_a_bad_request_is_told_in_its_own_content_type(
    server: Receiver, content: bytes, content_type: str
) -> None:
    response = server.post(content, content_type)

    assert response.status_code == 400
    assert response.headers["content-type"] == content_type
    assert status_of(response).code == 3
    assert status_of(response).message


@settings(max_examples=150, deadline=None)
@given(
    content=st.binary(max_size=200) | st.text(max_size=100).map(str.encode),
    content_type=st.sampled_from([PROTOBUF, JSON]),
    encoding=st.sampled_from(["gzip", "deflate", "identity"]),
    path=st.sampled_from(["/v1/traces", "/v1/logs"]),
)
def test_rubbish_is_never_the_servers_fault(
    server: Receiver, content: bytes, content_type: str, encoding: str, path: str
) -> None:
    response = server.post(content, content_type, path, content_encoding=encoding)

    assert response.status_code in (200, 400)


@settings(max_examples=100, deadline=None)
@given(data=st.data())
def test_a_damaged_request_is_never_the_servers_fault(
    server: Receiver, data: st.DataObject
) -> None:
    content = bytearray(body(3, "text"))
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))

    assert server.post(bytes(content)).status_code in (200, 400)


def test_a_bad_span_costs_only_itself_and_is_reported(server: Receiver) -> None:
    request = message(5)
    spans = request.resource_spans[0].scope_spans[0].spans
    spans[1].trace_id = b"\1\2"
    spans[3].span_id = b"\0" * 8
    before = server.metric('agenttrace_ingestion_errors_total{reason="rejected_span"}')

    answer = server.post(request.SerializeToString())
    partial = ExportTraceServiceResponse.FromString(answer.content).partial_success
    in_json = server.post(json.dumps(json_body(request)).encode(), JSON).json()

    assert answer.status_code == 200
    assert partial.rejected_spans == 2
    assert "traceId has 2 bytes" in partial.error_message
    assert "spanId is all zeros" in partial.error_message
    assert in_json["partialSuccess"]["rejectedSpans"] == "2"
    assert "traceId" in in_json["partialSuccess"]["errorMessage"]
    assert server.store.summary(stored_id(request)).span_count == 3  # type: ignore[union-attr]
    reasons = [one.reason for one in server.store.rejected(4)]
    assert any("all zeros" in reason for reason in reasons)
    assert server.metric('agenttrace_ingestion_errors_total{reason="rejected_span"}') == before + 4


def test_many_reasons_are_told_in_short(server: Receiver) -> None:
    request = message(200)
    for number, span in enumerate(request.resource_spans[0].scope_spans[0].spans):
        span.trace_id = b"\1" * (number % 40 + 17)

    answer = server.post(request.SerializeToString())

    partial = ExportTraceServiceResponse.FromString(answer.content).partial_success
    assert partial.rejected_spans == 200
    assert "more reasons" in partial.error_message
    assert len(answer.content) < 10_000


def test_the_same_request_twice_stores_one_copy(server: Receiver) -> None:
    request = message(7)
    for _ in range(3):
        assert server.post(request.SerializeToString()).status_code == 200
    server.post(json.dumps(json_body(request)).encode(), JSON)

    summary = server.store.summary(stored_id(request))
    assert summary is not None
    assert (summary.span_count, summary.version) == (7, 1)


@pytest.mark.parametrize("path", ["/v1/traces", "/v1/logs"])
@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "PATCH"])
def test_only_post_is_allowed(server: Receiver, path: str, method: str) -> None:
    response = server.client.request(method, path, headers={"content-type": PROTOBUF})

    assert response.status_code == 405
    assert "POST" in response.headers["allow"]
    assert status_of(response).message


@pytest.mark.parametrize(
    "path", ["/v1/metrics", "/v1/trace", "/v1/", "/v1/traces/", "/v1/traces/x"]
)
def test_nothing_else_is_there(server: Receiver, path: str) -> None:
    response = server.post(body(), path=path)

    assert response.status_code == 404
    assert response.headers["content-type"] == PROTOBUF
    assert status_of(response).code == 5


def test_a_connection_is_kept_alive_over_good_and_bad_requests(server: Receiver) -> None:
    requests = []
    for content, content_type in (
        (body(), PROTOBUF),
        (b"{", JSON),
        (body(), "x/y"),
        (b"", PROTOBUF),
    ):
        head = (
            "POST /v1/traces HTTP/1.1\r\nHost: 127.0.0.1\r\n"
            f"Content-Type: {content_type}\r\nContent-Length: {len(content)}\r\n\r\n"
        )
        requests.append(head.encode() + content)
    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as connection:
        codes = []
        for request in requests:
            connection.sendall(request)
            response = connection.recv(65536)
            codes.append(int(response.split()[1]))

    assert codes == [200, 400, 415, 200]


def test_a_chunked_body_is_read_to_its_end(server: Receiver) -> None:
    request = message(9)
    data = request.SerializeToString()
    parts = [data[start : start + 37] for start in range(0, len(data), 37)]
    chunks = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in parts) + b"0\r\n\r\n"
    head = (
        "POST /v1/traces HTTP/1.1\r\nHost: 127.0.0.1\r\nTransfer-Encoding: chunked\r\n"
        f"Content-Type: {PROTOBUF}\r\n\r\n"
    )

    answer = talk(server, head.encode() + chunks)

    assert answer.startswith(b"HTTP/1.1 200 ")
    assert server.store.summary(stored_id(request)).span_count == 9  # type: ignore[union-attr]


def test_a_client_that_goes_away_in_the_middle_stores_nothing(server: Receiver) -> None:
    request = message(9)
    data = request.SerializeToString()
    head = (
        "POST /v1/traces HTTP/1.1\r\nHost: 127.0.0.1\r\n"
        f"Content-Type: {PROTOBUF}\r\nContent-Length: {len(data)}\r\n\r\n"
    )
    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as connection:
        connection.sendall(head.encode() + data[:-5])

    assert server.post(body()).status_code == 200
    assert server.store.summary(stored_id(request)) is None


@pytest.mark.parametrize("error", [StoreUnavailable("the disk is full"), IngestFull("too much")])
def test_what_can_be_sent_again_is_told_so(
    server: Receiver, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def fails(*_: object) -> None:
        raise error

    request = message()
    with monkeypatch.context() as patched:
        patched.setattr(server.store, "write_batch", fails)
        if isinstance(error, IngestFull):
            patched.setattr(server.app.state.exports.ingest, "check_room", fails)
        refused = server.post(request.SerializeToString())

    assert refused.status_code == 503
    assert int(refused.headers["retry-after"]) >= 1
    assert status_of(refused).code == 14
    assert str(error) in status_of(refused).message
    assert server.store.summary(stored_id(request)) is None
    assert server.post(request.SerializeToString()).status_code == 200
    assert server.store.summary(stored_id(request)) is not None


def test_requests_and_spans_are_counted(tmp_path: Path) -> None:
    with served(tmp_path) as server:
        server.post(body(3))
        server.post(body(2))
        server.post(b"\xff", PROTOBUF)
        server.post(b"x" * (LIMIT + 1), PROTOBUF)

        assert server.metric("agenttrace_traces_received_total") == 2
        assert server.metric("agenttrace_spans_received_total") == 5
        assert server.metric('agenttrace_ingestion_errors_total{reason="invalid"}') == 1
        assert server.metric('agenttrace_ingestion_errors_total{reason="too_large"}') == 1
        assert server.metric("agenttrace_ingestion_duration_seconds_count") == 4


def test_an_api_key_is_asked_for(tmp_path: Path) -> None:
    with served(tmp_path, api_key="secret") as server:
        refused = server.post(body())
        taken = server.post(body(), authorization="Bearer secret")

        assert (refused.status_code, status_of(refused).code) == (401, 16)
        assert taken.status_code == 200
        assert server.count() == 1


def log_request(trace_id: str, span_id: str, text: str) -> ExportLogsServiceRequest:
    request = ExportLogsServiceRequest()
    record = request.resource_logs.add().scope_logs.add().log_records.add()
    record.event_name = "gen_ai.user.message"
    record.time_unix_nano = 1_700_000_000_500_000_000
    record.trace_id, record.span_id = bytes.fromhex(trace_id), bytes.fromhex(span_id)
    content = record.body.kvlist_value.values.add(key="content")
    content.value.string_value = text
    return request


def test_log_events_join_their_spans(server: Receiver) -> None:
    request = message()
    trace_id = stored_id(request)
    server.post(request.SerializeToString())
    logs = log_request(trace_id, "0000000000000001", "What is the weather?")

    answer = server.post(logs.SerializeToString(), path="/v1/logs")

    assert (answer.status_code, answer.content) == (200, b"")
    span = server.store.span(trace_id, "0000000000000001")
    assert span is not None
    assert span.events[0].attributes["content"] == "What is the weather?"


def test_a_log_record_of_no_span_is_refused_alone(server: Receiver) -> None:
    request = message()
    trace_id = stored_id(request)
    server.post(request.SerializeToString())
    logs = log_request(trace_id, "0000000000000001", "hello")
    logs.resource_logs[0].scope_logs[0].log_records.add(event_name="lost")

    answer = server.post(json.dumps(_hex_ids(logs)).encode(), JSON, "/v1/logs")

    assert answer.status_code == 200
    assert answer.json()["partialSuccess"]["rejectedLogRecords"] == "1"
    assert len(server.store.span(trace_id, "0000000000000001").events) == 1  # type: ignore[union-attr]


def _hex_ids(request: ExportLogsServiceRequest) -> dict[str, Any]:
    data: dict[str, Any] = MessageToDict(request)
    record = data["resourceLogs"][0]["scopeLogs"][0]["logRecords"][0]
    own = request.resource_logs[0].scope_logs[0].log_records[0]
    record["traceId"], record["spanId"] = own.trace_id.hex(), own.span_id.hex()
    return data


@pytest.mark.parametrize(
    "compression", [Compression.NoCompression, Compression.Gzip, Compression.Deflate]
)
def test_the_exporter_of_opentelemetry_is_understood(
    server: Receiver, compression: Compression
) -> None:
    provider = TracerProvider(resource=Resource.create({"service.name": "real"}))
    exporter = OTLPSpanExporter(f"{server.url}/v1/traces", compression=compression)
    provider.add_span_processor(BatchSpanProcessor(exporter))
    tracer = provider.get_tracer("tests", "1")
    with tracer.start_as_current_span("outer") as outer:
        for number in range(30):
            with tracer.start_as_current_span(f"inner {number}") as inner:
                inner.set_attribute("numbers", [1, 2, 3])
                inner.add_event("thought", {"of": "it"})

    assert provider.force_flush()
    provider.shutdown()

    trace = server.store.trace(f"{outer.get_span_context().trace_id:032x}")
    assert trace is not None
    assert len(trace.spans) == 31
    assert trace.roots[0].name == "outer"
    assert trace.spans[1].attributes["numbers"] == [1, 2, 3]
    assert trace.spans[1].scope.service_name == "real"
