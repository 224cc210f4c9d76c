from contextlib import suppress

from hypothesis import given, settings
from hypothesis import strategies as st

from agenttrace.errors import InvalidPayload
from agenttrace_server import values as stored
from agenttrace_server.decode import JSON, PROTOBUF, Decoded, decode, decode_logs
from agenttrace_server.encode import encode_jaeger, encode_json, encode_protobuf, encode_zipkin
from support import captures
from support.strategies import raw_spans, values

some_spans = st.lists(raw_spans, max_size=4)
quick = settings(max_examples=100, deadline=None)


@quick
@given(some_spans)
def test_otlp_json_loses_nothing(spans) -> None:
    found = decode(encode_json(spans), JSON)

    assert not found.rejected
    assert sorted(found.spans, key=repr) == sorted(spans, key=repr)


@quick
@given(some_spans)
def test_protobuf_and_json_decode_to_equal_spans(spans) -> None:
    assert decode(encode_protobuf(spans), PROTOBUF) == decode(encode_json(spans), JSON)


@quick
@given(values)
def test_attribute_values_survive_being_stored_as_text(value) -> None:
    back = stored.loads(stored.dumps(value))

    assert repr(back) == repr(value)


@quick
@given(some_spans)
def test_jaeger_json_keeps_every_span_and_its_place(spans) -> None:
    found = decode(encode_jaeger(spans), JSON)

    assert not found.rejected
    assert {(s.span_id, s.parent_id, s.name) for s in found.spans} == {
        (s.span_id, s.parent_id, s.name) for s in spans
    }


@quick
@given(some_spans)
def test_zipkin_json_has_every_span(spans) -> None:
    assert encode_zipkin(spans).count(b'"localEndpoint"') >= len(spans)


@quick
@given(st.binary(max_size=300), st.sampled_from([JSON, PROTOBUF]))
def test_random_bytes_only_ever_raise_invalid_payload(body, content_type) -> None:
    for read in (decode, decode_logs):
        with suppress(InvalidPayload):
            read(body, content_type)


PROTOBUF_BODY = encode_protobuf(captures.load("crewai-openinference-1.1.21"))
JSON_BODY = captures.body("langgraph-openinference-langchain-0.1.80-user-span")


@settings(max_examples=300, deadline=None)
@given(st.data(), st.sampled_from([(JSON_BODY, JSON), (PROTOBUF_BODY, PROTOBUF)]))
def test_real_bytes_bent_a_little_only_ever_raise_invalid_payload(data, request) -> None:
    body, content_type = request
    bent = bytearray(body)
    for _ in range(data.draw(st.integers(1, 5))):
        at = data.draw(st.integers(0, len(bent) - 1))
        how = data.draw(st.integers(0, 2))
        if how == 0:
            bent[at] = data.draw(st.integers(0, 255))
        elif how == 1:
            del bent[at : at + data.draw(st.integers(1, 40))]
        else:
            bent[at:at] = data.draw(st.binary(max_size=10))
    for read in (decode, decode_logs):
        with suppress(InvalidPayload):
            found = read(bytes(bent), content_type)
            if isinstance(found, Decoded):
                # What was accepted can be given back.
                assert len(decode(encode_json(found.spans), JSON).spans) == len(found.spans)
                encode_protobuf(found.spans)


def test_a_map_that_looks_like_our_own_notation_is_still_a_map() -> None:
    for odd in ({"$bytes": "AA=="}, {"$double": "NaN"}, {"$map": {"$bytes": 1}}, {"$map": 1}):
        assert stored.loads(stored.dumps(odd)) == odd


def test_what_json_has_no_words_for_is_kept() -> None:
    odd = {"b": b"\x00\xff", "i": [float("inf"), float("-inf"), 1.0], "n": float("nan")}

    assert repr(stored.loads(stored.dumps(odd))) == repr(odd)
