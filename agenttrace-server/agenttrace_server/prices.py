"""Say what a model call cost, from genai-prices' data, where the span does not say it itself."""

import math
from collections.abc import Callable, Iterable
from datetime import UTC, date, datetime
from functools import lru_cache
from typing import Any, TypeAlias

import msgspec

from agenttrace import semconv
from agenttrace.models import Span

_CACHE_READ = (
    "gen_ai.usage.cache_read.input_tokens",
    "gen_ai.usage.cache_read_input_tokens",
    "llm.token_count.prompt_details.cache_read",
)

Price: TypeAlias = Callable[[int, int, int], float]
"""US dollars for (input tokens, those of them read from a cache, output tokens)."""

_SMALL = 1000
_FLAT_UP_TO = 100_000
"""Below this many input tokens no provider's price depends on their number."""


def priced(spans: Iterable[Span]) -> list[Span]:
    """Return the spans, each model call whose model has a known price with its cost.

    A cost that was reported stays. Where tokens are missing or the model is unknown, there is none.
    A call that a replay answered from the record used nothing, whatever the record says it used.
    """
    return [_priced(span) if span.kind == "llm" else span for span in spans]


def price_of(model: str) -> Price | None:
    """Return what a model costs today, None where nobody has told genai-prices."""
    return _price(model, None, datetime.now(UTC).date())


def read_prices(text: str) -> Price:
    """Return the price that a text such as `2.5,10` says: dollars per million tokens in, out.

    Raises ValueError for anything else.
    """
    try:
        sent_price, made_price = (float(part) for part in text.split(","))
    except ValueError:
        sent_price = made_price = -1.0
    if not (0 <= sent_price < math.inf and 0 <= made_price < math.inf):
        raise ValueError(f"{text!r} is not two prices such as 2.5,10")
    return lambda sent, _cached, made: (sent * sent_price + made * made_price) / 1_000_000


def _priced(span: Span) -> Span:
    if span.attributes.get(semconv.AGENTTRACE_REPLAY_TIER) == "recorded":
        return msgspec.structs.replace(span, tokens_in=0, tokens_out=0, cost_usd=0.0)
    if span.cost_usd is not None or not span.model:
        return span
    sent, made = span.tokens_in or 0, span.tokens_out or 0
    if not sent and not made:
        return span
    price = _price(span.model, span.provider, _day(span.start_ns))
    if price is None:
        return span
    cached = next((n for key in _CACHE_READ if isinstance(n := span.attributes.get(key), int)), 0)
    return msgspec.structs.replace(span, cost_usd=price(sent, min(max(cached, 0), sent), made))


def _day(time_ns: int) -> date:
    try:
        return datetime.fromtimestamp(time_ns / 1e9, UTC).date()
    except (OverflowError, ValueError, OSError):
        return datetime.now(UTC).date()


@lru_cache(maxsize=4096)
def _price(model: str, provider: str | None, day: date) -> Price | None:
    """Return the price of a model on a day, None for one that genai-prices does not know.

    Asking genai-prices costs 0.3 ms; so it is asked once for small numbers of tokens, which all
    cost the same each, and again only for calls so long that a higher tier may hold.
    """
    # Imported late: it takes a second, and many servers never see a model with a price.
    from genai_prices import Usage, calc_price

    at = datetime(day.year, day.month, day.day, 12, tzinfo=UTC)

    def ask(**usage: int) -> float:
        found: Any = calc_price(
            Usage(**usage), model_ref=model, provider_id=provider, genai_request_timestamp=at
        )
        return float(found.total_price)

    try:
        fresh = ask(input_tokens=_SMALL) / _SMALL
    except LookupError:
        if provider is None:
            return None
        # A gateway's or an unusual name for the provider: the model's own name may still tell.
        return _price(model, None, day)
    made = ask(output_tokens=_SMALL) / _SMALL
    read = ask(input_tokens=_SMALL, cache_read_tokens=_SMALL) / _SMALL

    def price(sent: int, cached: int, out: int) -> float:
        if sent > _FLAT_UP_TO:
            return ask(input_tokens=sent, cache_read_tokens=cached, output_tokens=out)
        return (sent - cached) * fresh + cached * read + out * made

    return price
