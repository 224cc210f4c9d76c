"""Where spans are sent and how, from arguments and the standard OTEL_EXPORTER_OTLP_* variables."""

import os
from collections.abc import Mapping
from urllib.parse import unquote, urlsplit, urlunsplit

import msgspec

DEFAULT_URL = "http://127.0.0.1:4318"
DEFAULT_TIMEOUT = 10.0
TRACES_PATH = "/v1/traces"


class Endpoint(msgspec.Struct, frozen=True):
    """An OTLP/HTTP receiver.

    `traces_url` is where spans are posted, `url` the server it belongs to (its `/health` tells
    whether it is AgentTrace); `timeout` is seconds per request; `compression` gzip, deflate or
    none; the certificate files are PEM, None for the system's own.
    """

    url: str
    traces_url: str
    headers: tuple[tuple[str, str], ...] = ()
    timeout: float = DEFAULT_TIMEOUT
    compression: str = "gzip"
    certificate: str | None = None
    client_certificate: str | None = None
    client_key: str | None = None


def resolve(
    url: str | None = None,
    headers: Mapping[str, str] | None = None,
    timeout: float | None = None,
    compression: str | None = None,
    environment: Mapping[str, str] | None = None,
) -> Endpoint:
    """Return the receiver that the arguments, else the environment, else the defaults name.

    `url` is the server's (`http://host:4318`) or the full one ending in `/v1/traces`. Raises
    ValueError for what is no http(s) URL.
    """
    env = os.environ if environment is None else environment
    signal = _setting(env, "TRACES_ENDPOINT") if url is None else None
    if signal:
        traces_url = _http(signal)
    else:
        base = _http(url or _setting(env, "ENDPOINT") or DEFAULT_URL).rstrip("/")
        traces_url = base if base.endswith(TRACES_PATH) else base + TRACES_PATH
    chosen = compression or _either(env, "COMPRESSION") or "gzip"
    return Endpoint(
        url=_without_path(traces_url),
        traces_url=traces_url,
        headers=tuple((_headers(_either(env, "HEADERS")) | dict(headers or {})).items()),
        timeout=timeout if timeout is not None else _seconds(_either(env, "TIMEOUT")),
        compression=chosen.lower() if chosen.lower() in ("gzip", "deflate") else "none",
        certificate=_either(env, "CERTIFICATE"),
        client_certificate=_either(env, "CLIENT_CERTIFICATE"),
        client_key=_either(env, "CLIENT_KEY"),
    )


def _setting(env: Mapping[str, str], name: str) -> str | None:
    return env.get(f"OTEL_EXPORTER_OTLP_{name}", "").strip() or None


def _either(env: Mapping[str, str], name: str) -> str | None:
    return _setting(env, f"TRACES_{name}") or _setting(env, name)


def _http(url: str) -> str:
    whole = url if "://" in url else f"http://{url}"
    try:
        parts = urlsplit(whole)
        usable = parts.scheme in ("http", "https") and parts.hostname and (parts.port or 1)
        usable = usable and not any(char.isspace() for char in whole)
    except ValueError:
        usable = False
    if not usable:
        raise ValueError(f"{url!r} is no http(s) URL; an endpoint looks like {DEFAULT_URL}")
    return whole


def _without_path(traces_url: str) -> str:
    parts = urlsplit(traces_url)
    path = parts.path.rstrip("/").removesuffix(TRACES_PATH)
    return urlunsplit((parts.scheme, parts.netloc, path, "", ""))


def _headers(text: str | None) -> dict[str, str]:
    pairs = (pair.partition("=") for pair in (text or "").split(",") if "=" in pair)
    return {unquote(name.strip()): unquote(value.strip()) for name, _, value in pairs}


def _seconds(text: str | None) -> float:
    try:
        seconds = float(text) if text else DEFAULT_TIMEOUT
    except ValueError:
        return DEFAULT_TIMEOUT
    # The specification says milliseconds, OpenTelemetry for Python reads seconds: both are in use.
    return seconds / 1000 if seconds >= 1000 else max(0.1, seconds)
