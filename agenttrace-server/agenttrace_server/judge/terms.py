"""On what terms a model judges: whom to ask, what it may cost, how much at once."""

import msgspec

from agenttrace_server.prices import Price, price_of, read_prices
from agenttrace_server.settings import Settings


class Terms(msgspec.Struct, frozen=True, kw_only=True):
    """Whom to ask and what that may cost; `prices` is empty where the model's are known.

    `settle_seconds` is how long a trace waits, in case it turns out to be part of a larger run.
    """

    url: str
    model: str
    api_key: str = ""
    prices: str = ""
    usd_per_day: float = 5.0
    timeout_seconds: float = 120.0
    window_tokens: int = 24_000
    threads: int = 2
    settle_seconds: float = 2.0

    @property
    def price(self) -> Price | None:
        """What the model costs; None where neither the settings nor genai-prices say."""
        return read_prices(self.prices) if self.prices else price_of(self.model)

    @property
    def problem(self) -> str | None:
        """Why nothing can be judged on these terms, and what to do, or None."""
        if self.price is not None:
            return None
        return (
            f"What {self.model} costs is not known, so its cost cannot be capped; "
            "set AGENTTRACE_JUDGE_PRICES, 0,0 for a model of your own"
        )


def terms(settings: Settings) -> Terms | None:
    """Return the terms of the settings; None where no judge is configured."""
    if not settings.judge_url or not settings.judge_model:
        return None
    key = settings.judge_api_key
    return Terms(
        url=settings.judge_url,
        model=settings.judge_model,
        api_key=key.get_secret_value() if key else "",
        prices=settings.judge_prices,
        usd_per_day=settings.judge_usd_per_day,
        timeout_seconds=settings.judge_timeout_seconds,
        window_tokens=settings.judge_window_tokens,
        threads=settings.judge_threads,
    )
