"""Call the API of an AgentTrace server, with the standard library alone."""

import json
import os
import urllib.error
import urllib.request
from urllib.parse import urlsplit

import msgspec

from agenttrace.endpoint import Endpoint
from agenttrace.errors import AgentTraceError, ServerError
from agenttrace.health import LOCAL

SECONDS = 10.0


class Refused(AgentTraceError):
    """The server answered with an error; `status` is its number."""

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(detail)
        self.status = status


class Server:
    """A server's API; safe to use from any thread."""

    def __init__(self, endpoint: Endpoint) -> None:
        self.url = endpoint.url.rstrip("/")
        self.headers = authorised(dict(endpoint.headers))
        local = urlsplit(self.url).hostname in LOCAL
        # A proxy that the environment names knows nothing of this machine's own ports.
        proxies = urllib.request.ProxyHandler({}) if local else urllib.request.ProxyHandler()
        self._open = urllib.request.build_opener(proxies).open

    def call(self, method: str, path: str, body: object = None, seconds: float = SECONDS) -> bytes:
        """Send `body` as JSON and return what comes back.

        Raises `ServerError` where nobody answers or the server is not ready, `Refused` for any
        other error.
        """
        data = None if body is None else msgspec.json.encode(body)
        headers = {**self.headers, "Content-Type": "application/json"}
        request = urllib.request.Request(self.url + path, data, headers, method=method)
        try:
            with self._open(request, timeout=seconds) as reply:
                answer: bytes = reply.read()
                return answer
        except urllib.error.HTTPError as error:
            detail = _detail(error.read(65536)) or f"the server answered {error.code}"
            if error.code >= 500 or error.code == 429:
                raise ServerError(f"{self.url} is not ready: {detail}") from None
            raise Refused(error.code, detail) from None
        except (OSError, ValueError, EOFError) as error:
            reason = getattr(error, "reason", None) or error or type(error).__name__
            raise ServerError(f"no server answers at {self.url} ({reason})") from None


def authorised(headers: dict[str, str]) -> dict[str, str]:
    """Return the headers with the key of `AGENTTRACE_API_KEY`, unless they have one."""
    key = os.environ.get("AGENTTRACE_API_KEY", "").strip()
    if key and not {name.lower() for name in headers} & {"authorization", "x-api-key"}:
        return {**headers, "authorization": f"Bearer {key}"}
    return headers


def _detail(body: bytes) -> str:
    try:
        return str(json.loads(body)["detail"])
    except (ValueError, KeyError, TypeError):
        return ""
