"""Who may call: keys, sessions, host names and origins."""

import time

import pytest

from agenttrace_server import access
from agenttrace_server.access import (
    is_loopback,
    key_is,
    new_session,
    session_is_valid,
    why_refused,
)
from agenttrace_server.settings import Settings


def settings(**values: object) -> Settings:
    return Settings(**({"host": "127.0.0.1"} | values))  # type: ignore[arg-type]


def asked(method: str = "GET", to: Settings | None = None, **headers: str) -> bool:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return why_refused(to or settings(), method, named) is None


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1:4318", "localhost", "localhost:1", "[::1]:4318", "192.168.1.5", "agenttrace:4318"],
)
def test_names_that_no_web_page_can_own_are_served(host: str) -> None:
    assert asked(host=host)


@pytest.mark.parametrize(
    "host", ["evil.example:4318", "127.0.0.1.evil.example", "localhost.evil.com"]
)
def test_a_name_that_may_have_been_rebound_is_refused(host: str) -> None:
    assert not asked(host=host)
    assert asked(host=host, to=settings(api_key="k"))
    assert asked(host=host, to=settings(insecure=True))
    name = host.partition(":")[0]
    assert asked(host=host, to=settings(allowed_hosts=f"other, {name.upper()}"))


def test_a_page_of_another_origin_may_not_change_anything() -> None:
    here = {"host": "localhost:4318"}

    assert asked("POST", **here)
    assert asked("POST", **here, sec_fetch_site="same-origin", origin="http://localhost:5173")
    assert asked("POST", **here, origin="http://127.0.0.1:5173")
    assert not asked("POST", **here, sec_fetch_site="cross-site", origin="https://evil.example")
    assert not asked("DELETE", **here, sec_fetch_site="same-site")
    assert not asked("POST", **here, origin="https://evil.example")
    assert not asked("POST", **here, origin="null")
    assert asked("GET", **here, origin="https://evil.example")


def test_a_page_of_another_origin_may_not_listen_to_live_updates() -> None:
    here = {"host": "localhost:4318"}

    assert asked("WEBSOCKET", **here, origin="http://localhost:4318")
    assert asked("WEBSOCKET", **here)
    assert not asked("WEBSOCKET", **here, origin="https://evil.example")


def test_an_empty_key_is_no_key() -> None:
    for empty in ("", "  "):
        assert settings(api_key=empty).api_key is None
    assert not key_is(settings(), "")
    assert not key_is(settings(api_key="k"), None)
    assert key_is(settings(api_key="k"), "k")


def test_a_session_ends_with_time_and_with_the_key(monkeypatch: pytest.MonkeyPatch) -> None:
    mine = settings(api_key="k")
    session = new_session(mine)

    assert session_is_valid(mine, session)
    assert not session_is_valid(settings(api_key="other"), session)
    assert not session_is_valid(settings(), session)
    later = time.time() + access.SESSION_SECONDS + 1
    monkeypatch.setattr(access.time, "time", lambda: later)
    assert not session_is_valid(mine, session)


@pytest.mark.parametrize("forged", [None, "", ".", "99999999999.", "x.y", "9" * 400 + ".ab", "¹.é"])
def test_a_forged_session_is_none(forged: str | None) -> None:
    assert not session_is_valid(settings(api_key="k"), forged)


def test_a_session_cannot_be_prolonged() -> None:
    mine = settings(api_key="k")
    expires, _, signature = new_session(mine).partition(".")

    assert not session_is_valid(mine, f"{int(expires) + 1}.{signature}")


def test_what_only_this_machine_reaches_is_loopback() -> None:
    assert all(map(is_loopback, ("127.0.0.1", "127.9.9.9", "::1", "localhost", "a.localhost")))
    assert not any(map(is_loopback, ("0.0.0.0", "::", "10.0.0.1", "example.com", "")))
