"""Find out who answers on a port: an AgentTrace server, something else, or nobody."""

import http.client
import json
import socket
from urllib.parse import urlsplit

import msgspec

TIMEOUT_SECONDS = 3.0
_ANYWHERE = {"0.0.0.0": "127.0.0.1", "::": "[::1]", "": "127.0.0.1"}


class Found(msgspec.Struct, frozen=True):
    """Who answers: `version` is set if it is AgentTrace."""

    somebody: bool
    version: str | None = None

    @property
    def is_agenttrace(self) -> bool:
        """Whether it is an AgentTrace server."""
        return self.version is not None


def base_url(host: str, port: int) -> str:
    """Return the URL by which this machine reaches a server that listens on `host`."""
    host = _ANYWHERE.get(host, host)
    if ":" in host and not host.startswith("["):
        host = f"[{host}]"
    return f"http://{host}:{port}"


def probe(url: str) -> Found:
    """Ask `url` for its health. Never raises."""
    parts = urlsplit(url)
    host, port = parts.hostname or "127.0.0.1", parts.port or 80
    try:
        with socket.create_connection((host, port), timeout=TIMEOUT_SECONDS):
            pass
    except OSError:
        return Found(somebody=False)
    connection = http.client.HTTPConnection(host, port, timeout=TIMEOUT_SECONDS)
    try:
        connection.request("GET", f"{parts.path.rstrip('/')}/health")
        answer = json.loads(connection.getresponse().read(65536))
        if answer.get("service") == "agenttrace":
            return Found(somebody=True, version=str(answer.get("version", "")))
    except (OSError, ValueError, AttributeError, http.client.HTTPException):
        pass
    finally:
        connection.close()
    return Found(somebody=True)


def free_port() -> int:
    """Return a port on the loopback interface that nobody uses now."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])
