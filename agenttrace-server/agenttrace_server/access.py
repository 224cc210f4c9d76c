"""Who may use the server: the API key, the browser's session, and which pages may call it.

Without an API key the server listens on this machine only, and two things keep web pages out that
the user happens to visit. A page that rebinds its own domain name to 127.0.0.1 is refused by its
`Host`; a page that sends a request across origins is refused by `Sec-Fetch-Site` or `Origin`, and
cannot read an answer because no CORS header is ever sent.
"""

import hmac
import ipaddress
import time
from collections.abc import Mapping
from typing import Annotated
from urllib.parse import urlsplit

from fastapi import Depends, HTTPException
from fastapi.security import APIKeyCookie, APIKeyHeader, HTTPAuthorizationCredentials, HTTPBearer
from starlette.requests import HTTPConnection

from agenttrace_server.settings import Settings

COOKIE = "agenttrace_session"
SESSION_SECONDS = 30 * 24 * 3600

_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})

_bearer = HTTPBearer(auto_error=False, description="The server's API key")
_header = APIKeyHeader(name="x-api-key", auto_error=False, description="The server's API key")
_cookie = APIKeyCookie(name=COOKIE, auto_error=False, description="Set by POST /api/login")


def key_is(settings: Settings, given: str | None) -> bool:
    """Say whether `given` is the API key; takes the same time however much of it is right."""
    if settings.api_key is None or given is None:
        return False
    return hmac.compare_digest(given.encode(), settings.api_key.get_secret_value().encode())


def token_of(authorization: str) -> str | None:
    """Return the token of a value like `Bearer TOKEN`, None for any other."""
    scheme, _, token = authorization.partition(" ")
    return token.strip() if scheme.lower() == "bearer" else None


def new_session(settings: Settings) -> str:
    """Return a cookie value that is good for 30 days and for this API key only."""
    expires = str(int(time.time()) + SESSION_SECONDS)
    return f"{expires}.{_sign(settings, expires)}"


def session_is_valid(settings: Settings, value: str | None) -> bool:
    """Say whether a cookie value was made by `new_session` under the present key and is not old."""
    expires, _, signature = (value or "").partition(".")
    if settings.api_key is None or not (expires.isascii() and expires.isdecimal()):
        return False
    signed = hmac.compare_digest(signature.encode(), _sign(settings, expires).encode())
    return signed and len(expires) < 16 and int(expires) > time.time()


def _sign(settings: Settings, expires: str) -> str:
    key = settings.api_key.get_secret_value() if settings.api_key else ""
    return hmac.digest(key.encode(), f"agenttrace session {expires}".encode(), "sha256").hex()


def is_authorised(connection: HTTPConnection) -> bool:
    """Say whether the caller gave the API key, or none is asked for."""
    settings: Settings = connection.app.state.settings
    if settings.api_key is None:
        return True
    return (
        key_is(settings, token_of(connection.headers.get("authorization", "")))
        or key_is(settings, connection.headers.get("x-api-key"))
        or session_is_valid(settings, connection.cookies.get(COOKIE))
    )


def authorised(
    connection: HTTPConnection,
    _bearer: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)],
    _header: Annotated[str | None, Depends(_header)],
    _cookie: Annotated[str | None, Depends(_cookie)],
) -> None:
    """Let the request pass, or answer 401: the one place where access is decided."""
    if not is_authorised(connection):
        raise HTTPException(
            401,
            "This server asks for its API key, as 'Authorization: Bearer KEY' or 'x-api-key: KEY'",
            headers={"WWW-Authenticate": 'Bearer realm="agenttrace"'},
        )


def why_refused(settings: Settings, method: str, headers: Mapping[str, str]) -> str | None:
    """Return why a request must not be served whoever sends it, or None if it may be.

    `method` is `WEBSOCKET` for a connection that stays open: browsers let any page read it, so that
    it is no safe one. The origin rule is that of Go's `http.CrossOriginProtection`.
    """
    host = _name_of(f"//{headers.get('host', '')}")
    if settings.api_key is None and not settings.insecure and not _is_own(settings, host):
        return (
            f"Host {host!r} is not a name of this server; "
            "if it is, add it to AGENTTRACE_ALLOWED_HOSTS or set AGENTTRACE_API_KEY"
        )
    if method in _SAFE_METHODS:
        return None
    site = headers.get("sec-fetch-site")
    if site in ("same-origin", "none"):
        return None
    origin = headers.get("origin")
    if site is None and (origin is None or _same_host(_name_of(origin), host)):
        return None
    return f"Pages of another origin ({origin or 'unknown'}) may not call this server"


def _is_own(settings: Settings, host: str) -> bool:
    """Say whether a host name cannot have been chosen by a web page to rebind it to us.

    An address is no name, and a name without a dot belongs to nobody on the internet.
    """
    if _address(host) is not None or "." not in host or host.endswith(".localhost"):
        return True
    return host in {settings.host.lower(), *(name.lower() for name in settings.allowed_hosts)}


def _same_host(one: str, other: str) -> bool:
    return bool(one) and (one == other or (is_loopback(one) and is_loopback(other)))


def is_loopback(host: str) -> bool:
    """Say whether only this machine can reach a server that listens on `host`."""
    address = _address(host.lower())
    if address is not None:
        return address.is_loopback
    return host.lower() == "localhost" or host.lower().endswith(".localhost")


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        return None


def _name_of(url: str) -> str:
    try:
        return (urlsplit(url).hostname or "").lower()
    except ValueError:
        return ""
