import json
import math
from typing import Any

import pytest
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from agenttrace.errors import InvalidPayload
from agenttrace_server.decode import JSON, PROTOBUF, Decoded, decode, decode_logs, media_type
from agenttrace_server.encode import encode_protobuf
from support import captures

TRACE = "0af7651916cd43dd8448eb211c80319c"
SPAN = "b7ad6b7169203331"


def request(*spans: dict[str, Any], **envelope: Any) -> bytes:
    scope_spans = {"scope": {"name": "test"}, "spans": list(spans)}
    resource = {"attributes": [{"key": "service.name", "value": {"stringValue": "shop"}}]}
    return json.dumps(
        {"resourceSpans": [{"resource": resource, "scopeSpans": [scope_spans], **envelope}]}
    ).encode()


def span(**changed: Any) -> dict[str, Any]:
    plain = {
        "traceId": TRACE,
        "spanId": SPAN,
        "name": "step",
        "kind": 1,
        "startTimeUnixNano": "10",
        "endTimeUnixNano": "20",
    }
    return {key: value for key, value in {**plain, **changed}.items() if value is not ...}


def decoded(**changed: Any) -> Decoded:
    return decode(request(span(**changed)), JSON)


def value_of(any_value: Any) -> Any:
    [one] = decoded(attributes=[{"key": "a", "value": any_value}]).spans
    return one.attributes["a"]


def protobuf(**changed: Any) -> bytes:
    message = ExportTraceServiceRequest()
    scope_spans = message.resource_spans.add().scope_spans.add()
    fields = {
        "trace_id": bytes.fromhex(TRACE),
        "span_id": bytes.fromhex(SPAN),
        "name": "step",
        "start_time_unix_nano": 10,
        "end_time_unix_nano": 20,
        **changed,
    }
    scope_spans.spans.add(**fields)
    return message.SerializeToString()


class TestAnyValue:
    @pytest.mark.parametrize(
        ("written", "read"),
        [
            ({"stringValue": "a"}, "a"),
            ({"stringValue": ""}, ""),
            ({"boolValue": False}, False),
            ({"intValue": "-9223372036854775808"}, -(2**63)),
            ({"intValue": 7}, 7),
            ({"intValue": 7.0}, 7),
            ({"intValue": 0}, 0),
            ({"doubleValue": 0.0}, 0.0),
            ({"doubleValue": 3}, 3.0),
            ({"doubleValue": "1.5"}, 1.5),
            ({"doubleValue": "-Infinity"}, -math.inf),
            ({"bytesValue": "AP8="}, b"\x00\xff"),
            ({"bytesValue": "AP8"}, b"\x00\xff"),
            ({"bytesValue": "-_8="}, b"\xfb\xff"),
            ({"arrayValue": {}}, []),
            ({"arrayValue": {"values": [{"intValue": "1"}, {}, None]}}, [1, None, None]),
            ({"kvlistValue": {}}, {}),
            (
                {"kvlistValue": {"values": [{"key": "k", "value": {"boolValue": True}}]}},
                {"k": True},
            ),
            ({}, None),
            (None, None),
            ({"somethingNew": 1}, None),
        ],
    )
    def test_each_kind_is_read(self, written: Any, read: Any) -> None:
        value = value_of(written)

        assert value == read
        assert type(value) is type(read)

    def test_not_a_number_is_a_number(self) -> None:
        assert math.isnan(value_of({"doubleValue": "NaN"}))

    @pytest.mark.parametrize(
        "wrong",
        [
            {"stringValue": 5},
            {"boolValue": "true"},
            {"intValue": "seven"},
            {"intValue": 1.5},
            {"intValue": str(2**63)},
            {"doubleValue": "much"},
            {"bytesValue": "§"},
            {"arrayValue": [1]},
            "text",
        ],
    )
    def test_a_wrong_kind_costs_its_span_and_no_other(self, wrong: Any) -> None:
        bad = span(spanId="00000000000000ff", attributes=[{"key": "a", "value": wrong}])

        found = decode(request(bad, span()), JSON)

        assert [one.span_id for one in found.spans] == [SPAN]
        assert [one.span_id for one in found.rejected] == ["00000000000000ff"]
        assert found.rejected[0].reason

    @pytest.mark.parametrize(("levels", "kept"), [(30, True), (31, False), (60, False)])
    def test_values_too_deep_to_be_written_again_are_refused(self, levels: int, kept: bool) -> None:
        value: dict[str, Any] = {"intValue": "1"}
        for _ in range(levels):
            value = {"kvlistValue": {"values": [{"key": "k", "value": value}]}}

        found = decoded(attributes=[{"key": "a", "value": value}])

        assert bool(found.spans) is kept
        assert bool(found.rejected) is not kept
        if kept:
            assert decode(encode_protobuf(found.spans), PROTOBUF).spans == found.spans


class TestIds:
    def test_ids_are_lower_case_hex(self) -> None:
        [one] = decoded(traceId=TRACE.upper(), spanId=SPAN.upper()).spans

        assert (one.trace_id, one.span_id) == (TRACE, SPAN)

    def test_base64_ids_are_understood(self) -> None:
        [one] = decoded(traceId="tH12H+eb6IruQTQs3VJyaA==", spanId="ziprJqtLsl8=").spans

        assert one.trace_id == "b47d761fe79be88aee41342cdd527268"
        assert one.span_id == "ce2a6b26ab4bb25f"

    @pytest.mark.parametrize(
        ("field", "value", "reason"),
        [
            ("traceId", ..., "traceId is missing"),
            ("traceId", "", "traceId is missing"),
            ("traceId", None, "traceId is missing"),
            ("traceId", "0" * 32, "traceId is all zeros"),
            ("traceId", "abcd", "traceId has 2 bytes instead of 16: abcd"),
            ("traceId", "z" * 32, "no hex id"),
            ("traceId", 5, "Expected `str | null`, got `int` - at `$.traceId`"),
            ("spanId", ..., "spanId is missing"),
            ("spanId", "0" * 16, "spanId is all zeros"),
            ("spanId", "ab" * 16, "spanId has 16 bytes instead of 8"),
            ("parentSpanId", "abcd", "parentSpanId has 2 bytes instead of 8: abcd"),
        ],
    )
    def test_a_bad_id_costs_its_span_with_a_reason(
        self, field: str, value: Any, reason: str
    ) -> None:
        found = decoded(**{field: value})

        assert not found.spans
        assert reason in found.rejected[0].reason
        assert found.rejected[0].service_name == "shop"
        assert found.rejected[0].name == "step"

    @pytest.mark.parametrize("field", ["trace_id", "span_id"])
    @pytest.mark.parametrize("value", [b"", b"\x00" * 16, b"\x01" * 3])
    def test_protobuf_ids_are_checked_alike(self, field: str, value: bytes) -> None:
        found = decode(protobuf(**{field: value}), PROTOBUF)

        assert not found.spans
        assert len(found.rejected) == 1

    @pytest.mark.parametrize("parent", ["", None, "0" * 16, SPAN])
    def test_a_span_without_a_real_parent_is_a_root(self, parent: str | None) -> None:
        [one] = decoded(parentSpanId=parent).spans

        assert one.parent_id is None


class TestSpans:
    def test_all_but_the_ids_may_be_missing(self) -> None:
        [one] = decode(request({"traceId": TRACE, "spanId": SPAN}), JSON).spans

        assert (one.name, one.span_kind, one.status) == ("", "unspecified", "unset")
        assert (one.start_ns, one.end_ns) == (0, 0)

    @pytest.mark.parametrize("nothing", [..., None, "", "0", 0])
    def test_a_span_without_an_end_ends_where_it_starts(self, nothing: Any) -> None:
        [one] = decoded(endTimeUnixNano=nothing).spans

        assert (one.start_ns, one.end_ns) == (10, 10)

    def test_a_span_without_a_start_starts_where_it_ends(self) -> None:
        [one] = decoded(startTimeUnixNano=...).spans

        assert (one.start_ns, one.end_ns) == (20, 20)

    @pytest.mark.parametrize("wrong", ["soon", -1, str(2**63), 1.5, True])
    def test_a_time_that_is_none_costs_its_span(self, wrong: Any) -> None:
        found = decoded(startTimeUnixNano=wrong)

        assert not found.spans
        assert len(found.rejected) == 1

    @pytest.mark.parametrize(
        ("kind", "read"),
        [
            (2, "server"),
            ("3", "client"),
            ("SPAN_KIND_PRODUCER", "producer"),
            ("internal", "internal"),
            (0, "unspecified"),
            (99, "unspecified"),
            ("nonsense", "unspecified"),
            ("9" * 5000, "unspecified"),
        ],
    )
    def test_enums_are_numbers_or_names(self, kind: Any, read: str) -> None:
        assert decoded(kind=kind).spans[0].span_kind == read

    def test_the_status_is_read(self) -> None:
        [one] = decoded(status={"code": "STATUS_CODE_ERROR", "message": "boom"}).spans

        assert (one.status, one.status_message) == ("error", "boom")

    def test_unknown_fields_are_ignored(self) -> None:
        body = request(span(droppedLinksCount=1, somethingNew={"a": [1]}), alsoNew=True)

        assert len(decode(body, JSON).spans) == 1

    def test_nulls_are_defaults(self) -> None:
        nulls = dict.fromkeys(
            ("name", "kind", "attributes", "events", "links", "status", "traceState", "flags")
        )

        assert len(decoded(**nulls).spans) == 1
        envelope = (
            b'{"resourceSpans":[{"resource":null,"scopeSpans":[{"scope":null,"spans":null}]}]}'
        )
        assert decode(envelope, JSON).spans == []

    def test_the_scope_holds_the_resource(self) -> None:
        [one] = decode(request(span(), schemaUrl="https://example.com/1"), JSON).spans

        assert one.scope.name == "test"
        assert one.scope.service_name == "shop"
        assert one.scope.schema_url == "https://example.com/1"

    def test_one_bad_attribute_of_a_resource_costs_only_itself(self) -> None:
        resource = {
            "attributes": [
                {"key": "pid", "value": {"intValue": "many"}},
                {"key": "service.name", "value": {"stringValue": "shop"}},
            ]
        }

        [one] = decode(request(span(), resource=resource), JSON).spans

        assert one.scope.resource == {"service.name": "shop"}


class TestWholeBodies:
    @pytest.mark.parametrize("empty", [b"{}", b'{"resourceSpans":[]}', b"[]"])
    def test_an_empty_request_is_fine(self, empty: bytes) -> None:
        assert decode(empty, JSON) == Decoded([], [])
        assert decode(b"", PROTOBUF) == Decoded([], [])

    @pytest.mark.parametrize(
        "body", [b"", b"null", b"5", b"{", b"nonsense", b'{"resourceSpans":5}', b"\xff\xfe{}"]
    )
    def test_what_is_no_request_is_refused(self, body: bytes) -> None:
        with pytest.raises(InvalidPayload):
            decode(body, JSON)

    @pytest.mark.parametrize("body", [b"{}", b"nonsense", b"\x0a\x05\x00", b"\x0a\xff"])
    def test_what_is_no_protobuf_is_refused(self, body: bytes) -> None:
        with pytest.raises(InvalidPayload):
            decode(body, PROTOBUF)

    def test_a_truncated_request_is_refused(self) -> None:
        whole = encode_protobuf(captures.load("crewai-traceloop-0.62.4"))

        for end in range(1, 200):
            with pytest.raises(InvalidPayload):
                decode(whole[:-end], PROTOBUF)

    def test_several_requests_are_read_as_one(self) -> None:
        one, two = request(span()), request(span(spanId="00000000000000ff"))

        for body in (b"[" + one + b"," + two + b"]", one + b"\n" + two + b"\n"):
            assert [s.span_id for s in decode(body, JSON).spans] == [SPAN, "00000000000000ff"]

    def test_a_byte_order_mark_is_skipped(self) -> None:
        assert len(decode(b"\xef\xbb\xbf" + request(span()), JSON).spans) == 1

    def test_half_an_emoji_is_no_reason_to_lose_anything(self) -> None:
        body = request(span(name="\ud83d"), span(spanId="00000000000000ff"))

        assert [one.name for one in decode(body, JSON).spans] == ["�", "step"]

    def test_a_bare_nan_is_read(self) -> None:
        assert math.isnan(value_of({"doubleValue": math.nan}))

    def test_text_that_is_no_utf_8_costs_its_span(self) -> None:
        good, bad = protobuf(), protobuf(name="ABCDEF").replace(b"ABCDEF", b"AB\xff\xfeEF")

        found = decode(good + bad, PROTOBUF)

        assert [one.name for one in found.spans] == ["step"]
        assert "UTF-8" in found.rejected[0].reason

    def test_keys_in_snake_case_are_called_what_they_are(self) -> None:
        with pytest.raises(InvalidPayload, match="lowerCamelCase"):
            decode(b'{"resource_spans": []}', JSON)

    def test_metrics_are_called_what_they_are(self) -> None:
        with pytest.raises(InvalidPayload, match="metrics"):
            decode(b'{"resourceMetrics": []}', JSON)

    @pytest.mark.parametrize(
        ("header", "form"),
        [
            ("application/json", JSON),
            ("Application/JSON; charset=utf-8", JSON),
            ("application/x-protobuf", PROTOBUF),
            ("application/protobuf", PROTOBUF),
            ("text/plain", None),
            ("", None),
        ],
    )
    def test_content_types(self, header: str, form: str | None) -> None:
        assert media_type(header) == form

    def test_another_content_type_is_refused(self) -> None:
        with pytest.raises(InvalidPayload, match="text/plain"):
            decode(request(span()), "text/plain")


class TestLogs:
    @pytest.mark.parametrize("name", captures.LOGS)
    def test_logs_sent_as_traces_are_refused_with_the_way_to_go(self, name: str) -> None:
        with pytest.raises(InvalidPayload, match="/v1/logs"):
            decode(captures.body(name), JSON)

    def test_traces_sent_as_logs_are_refused_with_the_way_to_go(self) -> None:
        with pytest.raises(InvalidPayload, match="/v1/traces"):
            decode_logs(request(span()), JSON)

    def test_protobuf_is_told_apart_too(self) -> None:
        message = ExportLogsServiceRequest()
        message.resource_logs.add().scope_logs.add().log_records.add(
            time_unix_nano=5, trace_id=bytes.fromhex(TRACE), span_id=bytes.fromhex(SPAN)
        ).body.string_value = "Example log record"

        with pytest.raises(InvalidPayload, match="/v1/logs"):
            decode(message.SerializeToString(), PROTOBUF)
        with pytest.raises(InvalidPayload, match="/v1/traces"):
            decode_logs(protobuf(), PROTOBUF)

    def test_a_record_of_a_span_becomes_an_event_of_it(self) -> None:
        [event] = decode_logs(captures.body("otel-proto_logs"), JSON).events

        assert (event.trace_id, event.span_id) == (
            "5b8efff798038103d269b633813fc60c",
            "eee19b7ec3c1b174",
        )
        assert event.span_event.attributes["body"] == "Example log record"
        assert event.span_event.attributes["map.attribute"] == {"some.map.key": "some value"}
        assert event.span_event.time_ns == 1544712660300000000

    def test_a_record_without_a_span_is_refused_with_the_reason(self) -> None:
        found = decode_logs(captures.body("otel-proto_events"), JSON)

        assert not found.events
        assert "names no span" in found.rejected[0].reason
        assert found.rejected[0].name == "browser.page_view"

    def test_a_body_that_is_a_map_becomes_attributes(self) -> None:
        record = {
            "traceId": TRACE,
            "spanId": SPAN,
            "observedTimeUnixNano": "7",
            "attributes": [{"key": "event.name", "value": {"stringValue": "gen_ai.user.message"}}],
            "body": {
                "kvlistValue": {"values": [{"key": "content", "value": {"stringValue": "hi"}}]}
            },
        }
        body = json.dumps({"resourceLogs": [{"scopeLogs": [{"logRecords": [record]}]}]}).encode()

        [event] = decode_logs(body, JSON).events

        assert event.name == "gen_ai.user.message"
        assert event.span_event.attributes["content"] == "hi"
        assert event.span_event.time_ns == 7

    def test_json_and_protobuf_of_a_record_are_the_same(self) -> None:
        message = ExportLogsServiceRequest()
        record = (
            message.resource_logs.add()
            .scope_logs.add()
            .log_records.add(
                time_unix_nano=5,
                event_name="gen_ai.choice",
                severity_text="INFO",
                trace_id=bytes.fromhex(TRACE),
                span_id=bytes.fromhex(SPAN),
            )
        )
        record.attributes.add(key="a").value.int_value = 1
        as_json = {
            "timeUnixNano": "5",
            "eventName": "gen_ai.choice",
            "severityText": "INFO",
            "traceId": TRACE,
            "spanId": SPAN,
            "attributes": [{"key": "a", "value": {"intValue": "1"}}],
        }
        body = json.dumps({"resourceLogs": [{"scopeLogs": [{"logRecords": [as_json]}]}]}).encode()

        assert decode_logs(body, JSON) == decode_logs(message.SerializeToString(), PROTOBUF)


class TestCaptures:
    @pytest.mark.parametrize("name", captures.TRACES)
    def test_json_and_protobuf_of_real_spans_are_the_same(self, name: str) -> None:
        spans = captures.load(name)

        found = decode(encode_protobuf(spans), PROTOBUF)

        # Spans of one scope come together again.
        assert sorted(found.spans, key=repr) == sorted(spans, key=repr)
        assert not found.rejected

    def test_what_jaeger_made_of_a_request_is_read_back(self) -> None:
        given = captures.load("jaeger_otlp2jaeger-in")
        back = captures.load("jaeger_otlp2jaeger-out")

        assert len(back) == len(given) == 2
        for one, other in zip(back, given, strict=True):
            assert (one.span_id, one.parent_id, one.name) == (
                other.span_id,
                other.parent_id,
                other.name,
            )
            assert (one.start_ns, one.end_ns) == (other.start_ns, other.end_ns)
            assert (one.attributes, one.span_kind) == (other.attributes, other.span_kind)
            assert one.scope.resource == other.scope.resource

    def test_a_broken_jaeger_span_costs_only_itself(self) -> None:
        good = {"traceID": "a1", "spanID": "b2", "operationName": "x", "processID": "p1"}
        no_hex = {"traceID": "a1", "spanID": "zz", "refType": "FOLLOWS_FROM"}
        bad = [{"traceID": 5}, {**good, "spanID": "zz"}, {**good, "references": [no_hex]}]
        body = json.dumps({"data": [{"spans": [good, *bad]}]})

        found = decode(body.encode(), JSON)

        assert [one.trace_id for one in found.spans] == ["a1".zfill(32)]
        assert len(found.rejected) == 3
