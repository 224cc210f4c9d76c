import gzip
import ssl
import threading
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest
from google.rpc.status_pb2 import Status
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExportResult

import support
from agenttrace import OTLPExporter, payload
from agenttrace.exporter import Outcome
from support.collector import Collector, attributes, collector

PROTOBUF = {"Content-Type": "application/x-protobuf"}


class Ended(SpanProcessor):
    """Keeps ended spans."""

    def __init__(self) -> None:
        self.spans: list[ReadableSpan] = []

    def on_end(self, span: ReadableSpan) -> None:
        self.spans.append(span)


def spans(count: int, **attributes: Any) -> list[ReadableSpan]:
    ended = Ended()
    provider = TracerProvider(
        shutdown_on_exit=False, resource=Resource({"service.name": "app", "api_key": "abc"})
    )
    provider.add_span_processor(ended)
    for number in range(count):
        provider.get_tracer("scope", "1.0").start_span(
            f"span {number}", attributes=attributes
        ).end()
    return ended.spans


def test_it_works_alone_in_a_batch_processor_payloads_included(receiver: Collector) -> None:
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(OTLPExporter(receiver.url)))
    with provider.get_tracer("scope").start_as_current_span("a") as span:
        payload.defer(span, "input", {"password": "hunter2"})
        payload.message(span, sender="a", recipient="b", content="hi")

    provider.shutdown()

    [arrived] = receiver.spans
    assert attributes(arrived) == {"input": '{"password":"[redacted]"}'}
    assert arrived.events[0].name == "agenttrace.message"
    assert receiver.headers[0]["content-encoding"] == "gzip"
    assert receiver.headers[0]["content-type"] == "application/x-protobuf"


def test_scope_resource_and_ids_arrive_as_they_were(receiver: Collector) -> None:
    [span] = spans(1, text="x", number=1, flag=True, many=["a", "b"])

    OTLPExporter(receiver.url).export([span])

    part = receiver.requests[0].resource_spans[0]
    [arrived] = part.scope_spans[0].spans
    assert attributes(part.resource) == {"service.name": "app", "api_key": "[redacted]"}
    assert part.scope_spans[0].scope.name == "scope"
    assert arrived.trace_id.hex() == f"{span.context.trace_id:032x}"
    assert attributes(arrived) == {"text": "x", "number": 1, "flag": True, "many": ["a", "b"]}


def test_batches_have_at_most_512_spans(receiver: Collector) -> None:
    assert OTLPExporter(receiver.url).export(spans(1100)) is SpanExportResult.SUCCESS

    assert [
        sum(len(scope.spans) for part in request.resource_spans for scope in part.scope_spans)
        for request in receiver.requests
    ] == [512, 512, 76]


def test_large_spans_are_spread_over_several_requests(receiver: Collector) -> None:
    OTLPExporter(receiver.url).export(spans(40, text="x" * 250_000))

    assert len(receiver.requests) >= 3
    assert len(receiver.spans) == 40


def test_one_connection_is_kept_and_reopened_when_the_server_has_closed_it(
    receiver: Collector,
) -> None:
    exporter = OTLPExporter(receiver.url)
    exporter.export(spans(1))
    exporter.export(spans(1))
    assert len(receiver.connections) == 1

    receiver.answers = [None]
    assert exporter.export(spans(1)) is SpanExportResult.SUCCESS
    assert len(receiver.spans) == 3


@pytest.mark.parametrize("compression", ["gzip", "deflate", "none"])
def test_every_compression_is_understood(receiver: Collector, compression: str) -> None:
    OTLPExporter(receiver.url, compression=compression).export(spans(2))

    assert len(receiver.spans) == 2


def test_headers_are_sent(receiver: Collector, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "authorization=Bearer%20xyz")

    OTLPExporter(receiver.url, headers={"x-tenant": "one"}).export(spans(1))

    assert receiver.headers[0]["authorization"] == "Bearer xyz"
    assert receiver.headers[0]["x-tenant"] == "one"
    assert receiver.headers[0]["user-agent"].startswith("agenttrace-python")


@pytest.mark.parametrize("status", [429, 502, 503, 504])
def test_what_may_be_tried_again_is_and_arrives_once(receiver: Collector, status: int) -> None:
    receiver.answers = [(status, {"Retry-After": "0"}, b"")] * 2

    assert OTLPExporter(receiver.url).export(spans(3)) is SpanExportResult.SUCCESS

    assert len(receiver.spans) == 3


def test_a_batch_that_is_too_large_is_split(receiver: Collector) -> None:
    receiver.bytes_limit = 3000

    assert OTLPExporter(receiver.url).export(spans(20, text="x" * 300)) is SpanExportResult.SUCCESS

    assert sorted(span.name for span in receiver.spans) == sorted(f"span {n}" for n in range(20))
    assert attributes(receiver.requests[-1].resource_spans[0].resource)["service.name"] == "app"


def test_a_span_that_is_too_large_by_itself_comes_with_its_values_cut(receiver: Collector) -> None:
    receiver.bytes_limit = 10_000

    OTLPExporter(receiver.url).export(spans(1, text="x" * 200_000, other="y"))

    [span] = receiver.spans
    assert attributes(span)["text"].startswith("x" * 2048 + "… [truncated")
    assert attributes(span)["other"] == "y"


def test_a_span_that_is_too_large_even_then_is_given_up(
    receiver: Collector, caplog: pytest.LogCaptureFixture
) -> None:
    receiver.bytes_limit = 10

    assert OTLPExporter(receiver.url).export(spans(1)) is SpanExportResult.FAILURE
    assert "413" in caplog.text


def outcome(receiver: Collector, answer: tuple[int, dict[str, str], bytes]) -> Outcome:
    receiver.answers = [answer]
    exporter = OTLPExporter(receiver.url)
    [batch] = exporter.prepare(spans(1))
    return exporter.send(batch)


def test_the_servers_own_words_are_passed_on(receiver: Collector) -> None:
    said = Status(code=3, message="trace id is all zeros").SerializeToString()
    as_json = {"Content-Type": "application/json"}

    refused = outcome(receiver, (400, PROTOBUF, said))
    assert (refused.kind, refused.reason) == ("refused", "HTTP 400 (trace id is all zeros)")
    assert (
        "no such tenant"
        in outcome(receiver, (400, as_json, b'{"code":3,"message":"no such tenant"}')).reason
    )
    assert "plain words" in outcome(receiver, (400, {}, b"plain words")).reason
    assert outcome(receiver, (500, PROTOBUF, b"\xff\xff\xff")).reason == "HTTP 500"


@pytest.mark.parametrize(
    ("status", "headers", "hint"),
    [
        (401, {}, "OTEL_EXPORTER_OTLP_HEADERS"),
        (404, {}, "an OTLP/HTTP receiver"),
        (308, {"Location": "https://elsewhere"}, "https://elsewhere"),
    ],
)
def test_a_refusal_says_what_to_do(
    receiver: Collector, status: int, headers: dict[str, str], hint: str
) -> None:
    refused = outcome(receiver, (status, headers, b""))

    assert refused.kind == "refused"
    assert hint in refused.reason


def test_spans_the_server_rejects_are_counted(receiver: Collector) -> None:
    response = ExportTraceServiceResponse()
    response.partial_success.rejected_spans = 1
    response.partial_success.error_message = "bad id"

    partly = outcome(receiver, (200, PROTOBUF, response.SerializeToString()))

    assert (partly.kind, partly.rejected, partly.reason) == ("sent", 1, "bad id")


def test_retry_after_may_be_seconds_or_a_date(receiver: Collector) -> None:
    soon = datetime.now(UTC) + timedelta(seconds=60)

    assert outcome(receiver, (503, {"Retry-After": "7"}, b"")).retry_after == 7.0
    dated = outcome(receiver, (503, {"Retry-After": format_datetime(soon, usegmt=True)}, b""))
    assert dated.retry_after is not None
    assert 50 < dated.retry_after <= 60
    assert outcome(receiver, (503, {"Retry-After": "later"}, b"")).retry_after is None
    assert outcome(receiver, (503, {"Retry-After": "-5"}, b"")).retry_after == 0.0


def test_a_server_that_is_not_there_may_be_tried_again() -> None:
    exporter = OTLPExporter("http://127.0.0.1:1")
    [batch] = exporter.prepare(spans(1))

    refused = exporter.send(batch)

    assert refused.kind == "retry"
    assert "refused" in refused.reason.lower()


def test_shutting_down_ends_the_waiting_for_another_try(receiver: Collector) -> None:
    receiver.answers = [(503, {"Retry-After": "200"}, b"")]
    exporter = OTLPExporter(receiver.url, timeout=300)
    results: list[SpanExportResult] = []
    thread = threading.Thread(target=lambda: results.append(exporter.export(spans(1))))
    thread.start()
    receiver.wait_for_requests(1)

    exporter.shutdown()
    thread.join(30)

    assert results == [SpanExportResult.FAILURE]


def test_lone_surrogates_anywhere_cost_no_span(receiver: Collector) -> None:
    ended = Ended()
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(ended)
    with provider.get_tracer("s").start_as_current_span("bad \udc80 name") as span:
        span.set_attribute("bad \udc80 key", "bad \udc80 value")
        span.add_event("bad \udc80 event", {"k": "\udc80"})

    OTLPExporter(receiver.url).export([*ended.spans, *spans(1)])

    assert [span.name for span in receiver.spans] == ["bad ? name", "span 0"]


def test_a_span_that_cannot_be_encoded_costs_only_itself(
    receiver: Collector, caplog: pytest.LogCaptureFixture
) -> None:
    good, bad, other = spans(3)
    bad._start_time = -1

    OTLPExporter(receiver.url).export([good, bad, other])

    assert [span.name for span in receiver.spans] == ["span 0", "span 2"]
    assert "'span 1'" in caplog.text


def test_values_are_capped(receiver: Collector) -> None:
    OTLPExporter(receiver.url, value_limit=100).export(spans(1, text="x" * 1000))

    assert attributes(receiver.spans[0])["text"].startswith("x" * 100 + "… [truncated: 900")


def test_the_hook_takes_the_place_of_the_default(receiver: Collector) -> None:
    exporter = OTLPExporter(receiver.url, redact=lambda key, text: text.replace("ann", "***"))

    exporter.export(spans(1, text="ann has sk-1234567890abcdef"))

    assert attributes(receiver.spans[0])["text"] == "*** has sk-1234567890abcdef"


def test_tls_with_a_certificate_of_ones_own(monkeypatch: pytest.MonkeyPatch) -> None:
    folder = Path(support.__file__).parent
    certificate = folder / "loopback.cert.pem"
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, folder / "loopback.key.pem")
    with collector(tls=context) as secure:
        stranger = OTLPExporter(secure.url)
        [batch] = stranger.prepare(spans(1))
        assert "CERTIFICATE_VERIFY_FAILED" in stranger.send(batch).reason

        monkeypatch.setenv("OTEL_EXPORTER_OTLP_CERTIFICATE", str(certificate))
        assert OTLPExporter(secure.url).export(spans(1)) is SpanExportResult.SUCCESS


def test_a_proxy_is_used_but_not_for_this_machine(
    receiver: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", receiver.url.replace("http://", "http://me:pw@"))
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)

    OTLPExporter("http://collector.invalid:4318").export(spans(1))
    assert len(receiver.spans) == 1
    assert receiver.headers[0]["proxy-authorization"].startswith("Basic ")

    assert OTLPExporter("http://127.0.0.1:1", timeout=0.1).export(spans(1)) is (
        SpanExportResult.FAILURE
    )


def test_the_body_is_small() -> None:
    [batch] = OTLPExporter("http://127.0.0.1:1").prepare(spans(512, text="the same text " * 50))

    assert batch.size < len(gzip.decompress(batch.body)) / 10
