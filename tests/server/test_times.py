"""Times at the edge of the API."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agenttrace_server.api.times import milliseconds, parse_time, rfc3339

MOMENT = 1_769_860_800 * 10**9


@pytest.mark.parametrize(
    "text",
    [
        "2026-01-31T12:00:00Z",
        "2026-01-31T12:00:00+00:00",
        "2026-01-31T12:00:00 00:00",
        "2026-01-31T13:00:00 01:00",
        "2026-01-31T12:00:00",
        "2026-01-31 12:00:00",
        "2026-01-31T07:00:00-05:00",
        " 2026-01-31T12:00:00.000Z ",
        "1769860800",
        "1769860800.0",
        "1769860800000",
        "1769860800000000",
        "1769860800000000000",
        "1.7698608e9",
    ],
)
def test_one_moment_may_be_written_in_many_ways(text: str) -> None:
    assert parse_time(text) == MOMENT


def test_nanoseconds_are_exact() -> None:
    assert parse_time(str(MOMENT + 1)) == MOMENT + 1


@pytest.mark.parametrize(
    "text",
    [
        "",
        "now",
        "nan",
        "inf",
        "-1",
        "2026-13-01",
        "0001-01-01T00:00:00+23:59",
        "1960-01-01",
        "1e40",
    ],
)
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        parse_time(text)


@given(st.integers(0, 2**63 - 1))
def test_what_is_written_can_be_read_to_the_microsecond(time_ns: int) -> None:
    assert parse_time(rfc3339(time_ns)) == time_ns // 1000 * 1000


@given(st.integers())
def test_any_number_can_be_written(time_ns: int) -> None:
    assert rfc3339(time_ns).endswith("Z")


def test_durations_are_milliseconds_and_never_negative() -> None:
    assert milliseconds(1_234_567) == 1.235
    assert milliseconds(-5) == 0
