"""What a model call cost, where the span does not say."""

import pytest
from genai_prices import Usage, calc_price

from agenttrace.models import RawSpan, Span
from agenttrace_server.prices import priced

RAW = RawSpan("a" * 32, "b" * 16, "chat", 1_760_000_000_000_000_000, 1_760_000_001_000_000_000)


def call(attributes: dict | None = None, **meaning) -> Span:
    raw = RawSpan(
        RAW.trace_id, RAW.span_id, RAW.name, RAW.start_ns, RAW.end_ns, attributes=attributes or {}
    )
    return Span.of(raw, **{"kind": "llm", "model": "gpt-4o", "provider": "openai", **meaning})


def cost(span: Span) -> float | None:
    (found,) = priced([span])
    return found.cost_usd


@pytest.mark.parametrize(("sent", "made"), [(1, 0), (0, 1), (1234, 567), (250_000, 1000)])
def test_it_is_what_genai_prices_says(sent: int, made: int) -> None:
    expected = calc_price(
        Usage(input_tokens=sent, output_tokens=made), model_ref="gpt-4o", provider_id="openai"
    )

    assert cost(call(tokens_in=sent, tokens_out=made)) == pytest.approx(float(expected.total_price))


def test_tokens_read_from_a_cache_are_cheaper() -> None:
    plain = cost(call(tokens_in=1000, tokens_out=0))
    cached = cost(call({"gen_ai.usage.cache_read.input_tokens": 800}, tokens_in=1000, tokens_out=0))

    assert 0 < cached < plain


def test_a_reported_cost_stays() -> None:
    assert cost(call(tokens_in=10, cost_usd=4.2)) == 4.2


def test_an_unknown_model_has_no_cost() -> None:
    assert cost(call(model="scripted-1", tokens_in=10)) is None


def test_an_unknown_provider_of_a_known_model_is_no_hindrance() -> None:
    assert cost(call(provider="my-gateway", tokens_in=1000)) == cost(call(tokens_in=1000))


def test_a_call_without_tokens_has_no_cost() -> None:
    assert cost(call()) is None


def test_only_model_calls_cost() -> None:
    assert cost(call(kind="agent", tokens_in=1000)) is None


@pytest.mark.parametrize("time_ns", [0, -1, 2**63 - 1, 2**70])
def test_an_odd_clock_is_no_hindrance(time_ns: int) -> None:
    odd = Span.of(
        RawSpan("a" * 32, "b" * 16, "chat", time_ns, time_ns),
        kind="llm",
        model="gpt-4o",
        tokens_in=1000,
    )

    assert cost(odd) > 0
