"""Times at the edge: RFC 3339 text outside, Unix nanoseconds inside."""

from datetime import UTC, datetime, timedelta
from typing import Annotated

from pydantic import BeforeValidator, WithJsonSchema

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LAST_NS = 2**63 - 1
# The year 9999, the last that a datetime can hold, in nanoseconds.
_LAST_SHOWN_NS = 253_402_300_799 * 10**9


def rfc3339(time_ns: int) -> str:
    """Return Unix nanoseconds as RFC 3339 in UTC: `2026-01-31T12:00:00.000001Z`."""
    shown = _EPOCH + timedelta(microseconds=min(max(time_ns, 0), _LAST_SHOWN_NS) // 1000)
    return shown.isoformat(timespec="microseconds").replace("+00:00", "Z")


def milliseconds(duration_ns: int) -> float:
    """Return nanoseconds as milliseconds, never negative, with three decimals."""
    return round(max(0, duration_ns) / 1e6, 3)


def parse_time(value: object) -> int:
    """Return Unix nanoseconds from RFC 3339, a date, or a Unix time.

    A Unix time may be in seconds, milliseconds, microseconds or nanoseconds: its size tells. A time
    without a zone is UTC. Raises ValueError for anything else.
    """
    text = str(value).strip()
    try:
        number = float(text)
    except ValueError:
        return _in_range(_parse_text(text))
    if not 0 <= number <= _LAST_NS:
        raise ValueError("a Unix time must not be negative, nor beyond the year 2262")
    for limit, unit in ((1e11, 10**9), (1e14, 10**6), (1e17, 10**3)):
        if number < limit:
            return _in_range(int(number * unit))
    return _in_range(int(text) if text.isdecimal() else int(number))


def _parse_text(text: str) -> int:
    # An unescaped + in a URL's query arrives as a space.
    candidate = text.replace(" 0", "+0").replace(" 1", "+1") if "T" in text else text
    try:
        moment = datetime.fromisoformat(candidate)
    except ValueError:
        raise ValueError("must be RFC 3339 (2026-01-31T12:00:00Z) or a Unix time") from None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    try:
        since = moment.astimezone(UTC) - _EPOCH
    except OverflowError:
        raise ValueError("is beyond the times this server keeps") from None
    return (since // timedelta(microseconds=1)) * 1000


def _in_range(time_ns: int) -> int:
    if not 0 <= time_ns <= _LAST_NS:
        raise ValueError("must lie between 1970 and 2262")
    return time_ns


TimeNs = Annotated[
    int,
    BeforeValidator(parse_time),
    WithJsonSchema({"type": "string", "examples": ["2026-01-31T12:00:00Z", "1769860800"]}),
]
"""A query parameter that is a time; Unix nanoseconds once validated."""
