"""OTLP over gRPC, against a real server on a real socket."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.rpc.error_details_pb2 import RetryInfo
from google.rpc.status_pb2 import Status
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.logs.v1.logs_service_pb2_grpc import LogsServiceStub
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2_grpc import TraceServiceStub
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

from agenttrace.errors import ServerError, StoreUnavailable
from agenttrace_server.ingest import IngestFull
from agenttrace_server.listening import may_listen_for_grpc
from agenttrace_server.settings import Settings
from support.ports import free_port
from support.receiver import LIMIT, Receiver, message, served, stored_id

SECONDS = 60
EXPORT = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Receiver]:
    with served(tmp_path_factory.mktemp("grpc"), grpc_port=free_port()) as server:
        yield server


@pytest.fixture(scope="module")
def channel(server: Receiver) -> Iterator[grpc.Channel]:
    with opened(server) as channel:
        yield channel


def opened(server: Receiver) -> grpc.Channel:
    port = server.app.state.settings.grpc_port
    options = [("grpc.max_send_message_length", -1), ("grpc.enable_retries", 0)]
    return grpc.insecure_channel(f"127.0.0.1:{port}", options=options)


def export(channel: grpc.Channel, request: ExportTraceServiceRequest, **more: Any) -> Any:
    return TraceServiceStub(channel).Export(request, timeout=SECONDS, **more)


def export_bytes(channel: grpc.Channel, content: bytes, **more: Any) -> bytes:
    return channel.unary_unary(EXPORT)(content, timeout=SECONDS, **more)  # type: ignore[no-any-return]


def test_spans_are_stored_when_it_is_answered(server: Receiver, channel: grpc.Channel) -> None:
    request = message(3)

    answer = export(channel, request)

    assert answer == ExportTraceServiceResponse()
    assert server.store.summary(stored_id(request)).span_count == 3  # type: ignore[union-attr]


@pytest.mark.parametrize("compression", [grpc.Compression.Gzip, grpc.Compression.Deflate])
def test_a_message_may_be_compressed(
    server: Receiver, channel: grpc.Channel, compression: grpc.Compression
) -> None:
    request = message(2, "again " * 1000)

    export(channel, request, compression=compression)

    assert server.store.summary(stored_id(request)).span_count == 2  # type: ignore[union-attr]


def test_an_empty_request_is_fine(channel: grpc.Channel) -> None:
    assert export_bytes(channel, b"") == b""


def test_a_bad_span_costs_only_itself_and_is_reported(
    server: Receiver, channel: grpc.Channel
) -> None:
    request = message(2)
    request.resource_spans[0].scope_spans[0].spans[1].span_id = b"short"

    answer = export(channel, request)

    assert answer.partial_success.rejected_spans == 1
    assert "spanId has 5 bytes" in answer.partial_success.error_message
    assert server.store.summary(stored_id(request)).span_count == 1  # type: ignore[union-attr]
    assert "spanId" in server.client.get("/api/rejected").json()["items"][0]["reason"]


def test_what_is_no_request_is_an_invalid_argument(channel: grpc.Channel) -> None:
    with pytest.raises(grpc.RpcError) as refused:
        export_bytes(channel, b"\xff\xff")

    assert refused.value.code() == grpc.StatusCode.INVALID_ARGUMENT


@pytest.mark.parametrize(
    "compression",
    [grpc.Compression.NoCompression, grpc.Compression.Gzip, grpc.Compression.Deflate],
)
def test_a_message_that_is_or_becomes_too_large_is_refused_for_good(
    channel: grpc.Channel, compression: grpc.Compression
) -> None:
    with pytest.raises(grpc.RpcError) as refused:
        export_bytes(channel, b"\x0a" * (50 * LIMIT), compression=compression)

    assert refused.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
    assert "google.rpc.retryinfo-bin" not in dict(refused.value.trailing_metadata())


def test_what_is_not_served_is_unimplemented(channel: grpc.Channel) -> None:
    metrics = channel.unary_unary("/opentelemetry.proto.collector.metrics.v1.MetricsService/Export")

    with pytest.raises(grpc.RpcError) as refused:
        metrics(b"", timeout=SECONDS)

    assert refused.value.code() == grpc.StatusCode.UNIMPLEMENTED


@pytest.mark.parametrize("error", [StoreUnavailable("the disk is full"), IngestFull("too much")])
def test_what_can_be_sent_again_is_told_when(
    server: Receiver, channel: grpc.Channel, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def fails(*_: object) -> None:
        raise error

    request = message()
    with monkeypatch.context() as patched:
        patched.setattr(server.store, "write_batch", fails)
        if isinstance(error, IngestFull):
            patched.setattr(server.app.state.exports.ingest, "check_room", fails)
        with pytest.raises(grpc.RpcError) as refused:
            export(channel, request)

    assert refused.value.code() == grpc.StatusCode.UNAVAILABLE
    assert str(error) in refused.value.details()
    told = dict(refused.value.trailing_metadata())
    status, retry = Status.FromString(told["grpc-status-details-bin"]), RetryInfo()
    assert status.code == 14
    assert status.details[0].Unpack(retry)
    assert retry.retry_delay.seconds >= 1
    assert RetryInfo.FromString(told["google.rpc.retryinfo-bin"]) == retry
    assert server.store.summary(stored_id(request)) is None
    export(channel, request)
    assert server.store.summary(stored_id(request)) is not None


def test_log_events_join_their_spans(server: Receiver, channel: grpc.Channel) -> None:
    request = message()
    span = request.resource_spans[0].scope_spans[0].spans[0]
    logs = ExportLogsServiceRequest()
    record = logs.resource_logs.add().scope_logs.add().log_records.add()
    record.event_name, record.time_unix_nano = "gen_ai.user.message", span.start_time_unix_nano
    record.trace_id, record.span_id = span.trace_id, span.span_id
    export(channel, request)

    LogsServiceStub(channel).Export(logs, timeout=SECONDS)

    stored = server.store.span(span.trace_id.hex(), span.span_id.hex())
    assert [event.name for event in stored.events] == ["gen_ai.user.message"]  # type: ignore[union-attr]


def test_an_api_key_is_asked_for(tmp_path: Path) -> None:
    with (
        served(tmp_path, api_key="secret", grpc_port=free_port()) as server,
        opened(server) as channel,
    ):
        with pytest.raises(grpc.RpcError) as refused:
            export(channel, message(), metadata=[("authorization", "Bearer wrong")])
        export(channel, message(), metadata=[("authorization", "Bearer secret")])
        export(channel, message(), metadata=[("x-api-key", "secret")])

        assert refused.value.code() == grpc.StatusCode.UNAUTHENTICATED
        assert server.count() == 2


@pytest.mark.parametrize("compression", [grpc.Compression.NoCompression, grpc.Compression.Gzip])
def test_the_exporter_of_opentelemetry_is_understood(
    server: Receiver, compression: grpc.Compression
) -> None:
    address = f"http://127.0.0.1:{server.app.state.settings.grpc_port}"
    provider = TracerProvider(resource=Resource.create({"service.name": "real"}))
    exporter = OTLPSpanExporter(address, insecure=True, compression=compression)
    provider.add_span_processor(BatchSpanProcessor(exporter))
    tracer = provider.get_tracer("tests", "1")
    with tracer.start_as_current_span("outer") as outer:
        for number in range(30):
            with tracer.start_as_current_span(f"inner {number}") as inner:
                inner.set_attribute("numbers", [1, 2, 3])

    assert provider.force_flush()
    provider.shutdown()

    trace = server.store.trace(f"{outer.get_span_context().trace_id:032x}")
    assert trace is not None
    assert len(trace.spans) == 31
    assert trace.spans[1].attributes["numbers"] == [1, 2, 3]
    assert trace.spans[1].scope.service_name == "real"


def test_a_taken_port_is_an_error_where_it_was_asked_for(server: Receiver) -> None:
    settings = Settings(grpc_port=server.app.state.settings.grpc_port)

    with pytest.raises(ServerError, match=r"for gRPC .*in use.*--grpc-port"):
        may_listen_for_grpc(settings)


def test_a_taken_port_is_a_warning_where_it_was_not(
    server: Receiver, caplog: pytest.LogCaptureFixture
) -> None:
    # As if the port by default were this one.
    settings = Settings.model_construct(set(), grpc_port=server.app.state.settings.grpc_port)

    assert not may_listen_for_grpc(settings)
    assert "--grpc-port" in caplog.text


def test_port_0_is_no_grpc_at_all() -> None:
    assert not may_listen_for_grpc(Settings(grpc_port=0))
