"""One kept-alive HTTP connection to an OTLP receiver."""

import http.client
import ssl
from collections.abc import Mapping
from urllib.parse import SplitResult, unquote, urlsplit
from urllib.request import getproxies, proxy_bypass

import msgspec

from agenttrace.endpoint import Endpoint

MAX_REPLY = 4 * 1024 * 1024  # what OTLP allows a receiver to answer


class Reply(msgspec.Struct, frozen=True):
    """What the receiver answered; header names are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Transport:
    """Posts to one URL over one connection; not for use by several threads at once."""

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint
        self._url = urlsplit(endpoint.traces_url)
        self._path = self._url.path or "/"
        if self._url.query:
            self._path += f"?{self._url.query}"
        self._extra: dict[str, str] = {}
        self._connection: http.client.HTTPConnection | None = None

    def post(self, body: bytes, headers: Mapping[str, str]) -> Reply:
        """Return the reply. Raises OSError or http.client.HTTPException where there is none."""
        reused = self._connection is not None
        try:
            return self._post(body, headers)
        except (ConnectionError, http.client.RemoteDisconnected, http.client.BadStatusLine):
            self.close()
            if not reused:
                raise
            # The receiver had closed the idle connection: no failure, and OTLP is idempotent.
            return self._post(body, headers)
        except BaseException:
            self.close()
            raise

    def _post(self, body: bytes, headers: Mapping[str, str]) -> Reply:
        if self._connection is None:
            self._connection = self._connect()
        try:
            self._connection.request("POST", self._path, body, {**headers, **self._extra})
            response = self._connection.getresponse()
            content = response.read(MAX_REPLY)
            reply = Reply(
                response.status, {k.lower(): v for k, v in response.getheaders()}, content
            )
            if response.will_close or not response.isclosed():
                self.close()
        except BaseException:
            self.close()
            raise
        return reply

    def close(self) -> None:
        """Close the connection; the next post opens another."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def forget(self) -> None:
        """Let go of a connection that belongs to the parent process, after a fork."""
        self._connection = None

    def _connect(self) -> http.client.HTTPConnection:
        host, port, timeout = self._url.hostname or "", self._url.port, self._endpoint.timeout
        proxy = self._proxy()
        if self._url.scheme == "https":
            context = ssl.create_default_context(cafile=self._endpoint.certificate)
            if self._endpoint.client_certificate:
                context.load_cert_chain(
                    self._endpoint.client_certificate, self._endpoint.client_key
                )
            if proxy is None:
                return http.client.HTTPSConnection(host, port, timeout=timeout, context=context)
            secure = http.client.HTTPSConnection(
                proxy.hostname or "", proxy.port, timeout=timeout, context=context
            )
            secure.set_tunnel(host, port or 443, _proxy_authorization(proxy))
            return secure
        if proxy is None:
            return http.client.HTTPConnection(host, port, timeout=timeout)
        self._path = self._endpoint.traces_url
        self._extra = _proxy_authorization(proxy)
        return http.client.HTTPConnection(proxy.hostname or "", proxy.port, timeout=timeout)

    def _proxy(self) -> SplitResult | None:
        host = self._url.hostname or ""
        address = getproxies().get(self._url.scheme)
        # Nobody means to send what stays on this machine through a proxy.
        if not address or host in ("localhost", "127.0.0.1", "::1") or proxy_bypass(host):
            return None
        return urlsplit(address if "://" in address else f"http://{address}")


def _proxy_authorization(proxy: SplitResult) -> dict[str, str]:
    if proxy.username is None:
        return {}
    from base64 import b64encode

    credentials = f"{unquote(proxy.username)}:{unquote(proxy.password or '')}"
    return {"Proxy-Authorization": f"Basic {b64encode(credentials.encode()).decode()}"}
