import json

from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from agenttrace.models import Scope, SpanLink
from agenttrace.testing import raw_span
from agenttrace_server.decode import JSON, PROTOBUF, decode
from agenttrace_server.encode import encode_jaeger, encode_json, encode_protobuf, encode_zipkin
from support import captures


def test_jaeger_gets_what_jaegers_own_translator_would_write() -> None:
    written = json.loads(encode_jaeger(captures.load("jaeger_otlp2jaeger-in")))

    assert written == json.loads(captures.body("jaeger_otlp2jaeger-out"))


def test_what_failed_is_marked_as_jaeger_marks_it() -> None:
    raw = raw_span(
        "step", status="error", status_message="boom", links=(SpanLink("a" * 32, "b" * 16),)
    )

    [trace] = json.loads(encode_jaeger([raw]))["data"]

    tags = {tag["key"]: tag["value"] for tag in trace["spans"][0]["tags"]}
    assert tags["error"] is True
    assert tags["otel.status_code"] == "ERROR"
    assert tags["otel.status_description"] == "boom"
    assert [r["refType"] for r in trace["spans"][0]["references"]] == ["FOLLOWS_FROM"]


def test_zipkin_tags_are_text() -> None:
    raw = raw_span("step", attributes={"n": 1, "t": "x", "l": [1, "a"]}, span_kind="client")

    [written] = json.loads(encode_zipkin([raw]))

    assert written["tags"] == {
        "otel.scope.name": "agenttrace",
        "otel.scope.version": "1",
        "n": "1",
        "t": "x",
        "l": '[1,"a"]',
    }
    assert written["kind"] == "CLIENT"
    assert written["duration"] == 1000


def test_spans_are_grouped_by_what_their_scope_says_not_by_the_object() -> None:
    raws = [
        raw_span(name, scope=Scope("one", resource={"service.name": "shop"})) for name in ("a", "b")
    ]
    other = raw_span("c", scope=Scope("two", resource={"service.name": "shop"}))

    [resource] = json.loads(encode_json([*raws, other]))["resourceSpans"]

    assert [len(scope["spans"]) for scope in resource["scopeSpans"]] == [2, 1]


def test_the_sdks_own_protobuf_is_what_we_write_too() -> None:
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    tracer = provider.get_tracer("app", "1")
    with tracer.start_as_current_span("outer", attributes={"a": [1, 2], "b": True}) as span:
        span.add_event("said", {"x": 1.5})
        with tracer.start_as_current_span("inner"):
            pass

    spans = decode(encode_spans(exporter.get_finished_spans()).SerializeToString(), PROTOBUF).spans

    assert decode(encode_protobuf(spans), PROTOBUF).spans == spans
    assert decode(encode_json(spans), JSON).spans == spans
    assert [span.name for span in spans] == ["inner", "outer"]
    assert spans[0].parent_id == spans[1].span_id
