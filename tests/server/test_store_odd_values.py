"""Values nobody planned for are stored, and come back as they were."""

import math
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agenttrace.models import Scope, Span, SpanEvent, SpanLink
from agenttrace_server.store import Store
from agenttrace_server.store.rows import encode_body
from support.stored import START_NS, opened, span, span_id, trace_id
from support.strategies import raw_spans

T = trace_id()


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    with opened(f"sqlite:///{tmp_path_factory.mktemp('odd') / 'db'}") as store:
        yield store


def back(store: Store, given: Span) -> Span:
    """The span after a visit to the store."""
    store.delete(given.trace_id)
    store.write([given])
    found = store.span(given.trace_id, given.span_id)
    assert found is not None
    return found


@settings(max_examples=150, deadline=None)
@given(raw=raw_spans, texts=st.lists(st.text(max_size=12), min_size=4, max_size=4))
def test_any_span_comes_back_as_it_was(shared: Store, raw: Any, texts: list[str]) -> None:
    clean = [text.encode("utf-8", "ignore").decode() for text in texts]
    given = Span.of(raw, agent=clean[0], input=clean[1], output=clean[2], error=clean[3])

    assert back(shared, given) == given


@pytest.mark.parametrize(
    "value",
    [
        "",
        "a\0b",
        "\x00",
        "🜁 ﷽ \u202e \ufeff",
        b"",
        b"\x00\xff",
        2**63,
        -(2**80),
        1.0,
        -0.0,
        math.inf,
        -math.inf,
        5e-324,
        [],
        {},
        [[[[]]]],
        {"$bytes": "AA=="},
        {"$map": {"$double": "NaN"}},
        {"": ""},
        {"a\0": [None, True, b"x", {"$double": "x"}]},
        "x" * 1_000_000,
        '{"$bytes": "AA=="}',
    ],
    ids=lambda value: repr(value)[:24],
)
def test_a_value_comes_back_wherever_it_was(store: Store, value: object) -> None:
    held = {"key": value}
    given = span(
        1,
        attributes=held,
        events=(SpanEvent("e", START_NS, held),),
        links=(SpanLink("ab" * 16, "cd" * 8, held),),
        scope=Scope("s", "1", held, "", {"service.name": "shop", **held}),
    )

    found = back(store, given)

    assert found == given
    assert repr(found.attributes) == repr(given.attributes)
    assert repr(found.scope.resource["key"]) == repr(value)


def test_what_looks_like_our_own_marks_is_kept(store: Store) -> None:
    given = span(1, attributes={"$bytes": "AA=="}, scope=Scope("s", resource={"$double": "NaN"}))

    assert back(store, given) == given


def test_not_a_number_stays_not_a_number(store: Store) -> None:
    found = back(store, span(1, attributes={"x": math.nan, "y": [math.nan]}, cost_usd=math.nan))

    assert math.isnan(found.attributes["x"])
    assert math.isnan(found.attributes["y"][0])
    assert found.cost_usd is None
    assert store.summary(T).cost_usd is None  # type: ignore[union-attr]


def test_text_that_is_no_unicode_is_kept_with_replacement_characters(store: Store) -> None:
    odd = "a\ud800b"
    given = span(
        1,
        name=odd,
        input=odd,
        attributes={odd: odd, "input.value": odd, "deep": [{"x": odd}]},
        scope=Scope(odd, resource={"service.name": odd}),
    )
    store.write([given, span(2, 1, name="fine")])

    found = store.span(T, span_id(1))
    assert found is not None
    assert (found.name, found.input, found.scope.name) == ("a\ufffdb",) * 3
    assert found.attributes == {
        "a\ufffdb": "a\ufffdb",
        "input.value": "a\ufffdb",
        "deep": [{"x": "a\ufffdb"}],
    }
    assert store.span(T, span_id(2)).name == "fine"  # type: ignore[union-attr]


@pytest.mark.parametrize("tokens", [2**63, 2**200, -1])
def test_an_impossible_count_of_tokens_is_not_counted(store: Store, tokens: int) -> None:
    store.write([span(1, kind="llm", tokens_in=tokens, tokens_out=5)])

    summary = store.summary(T)
    assert summary is not None
    assert (summary.tokens_in, summary.tokens_out) == (0, 5)


@pytest.mark.parametrize("field", ["start_ns", "end_ns"])
def test_a_time_no_database_can_hold_stores_nothing(store: Store, field: str) -> None:
    with pytest.raises(ValueError, match="1677"):
        store.write([span(1), span(2, 1, **{field: 2**63})])

    assert store.trace(T) is None


def test_a_text_that_is_input_and_attribute_is_stored_once() -> None:
    said, done = "word " * 2000, "done " * 2000
    attributes = {"agenttrace.input": said, "agenttrace.output": done}
    given = span(1, input=said, output=done, attributes=attributes)

    assert len(encode_body(given)) < 1.1 * (len(said) + len(done))


@pytest.mark.parametrize("text", ["word", "other", "", None])
def test_input_and_output_are_not_mixed_up_with_attributes(store: Store, text: str | None) -> None:
    attributes = {"agenttrace.input": "word", "agenttrace.output": "word", "input.value": ""}
    given = span(1, input=text, output=text, attributes=attributes)

    assert back(store, given) == given


def test_ids_are_only_compared(store: Store) -> None:
    odd = Span("not hex", "'; DROP", "x", START_NS, START_NS, '"parent"')
    store.write([odd, msgspec.structs.replace(odd, span_id="%_", parent_id="'; DROP")])

    trace, columns = store.trace("not hex"), store.columns("not hex")
    assert trace is not None
    assert columns is not None
    assert {s.span_id for s in trace.spans} == {"'; DROP", "%_"}
    assert sorted(columns.parent) == [-2, columns.span_id.index("'; DROP")]
