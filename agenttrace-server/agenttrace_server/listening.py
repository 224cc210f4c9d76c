"""Get an address to listen on, or say in one line why not and what to do."""

import http.client
import json
import logging
import os
import socket
from urllib.parse import urlsplit

from agenttrace.errors import ServerError
from agenttrace_server.settings import Settings

log = logging.getLogger("agenttrace.server")

IDENTIFY_SECONDS = 2.0


def refuse_unsafe(settings: Settings) -> None:
    """Raise `ServerError` where anyone on the network could read the traces."""
    # Here, not above: the command line looks for a server without loading the web framework.
    from agenttrace_server.access import is_loopback

    if settings.api_key is None and not settings.insecure and not is_loopback(settings.host):
        raise ServerError(
            f"Listening on {settings.host} would show your traces to the network: "
            "set AGENTTRACE_API_KEY, or pass --insecure if that is what you want"
        )


def listen(host: str, port: int) -> socket.socket:
    """Return a bound socket; port 0 takes a free one. Raises `ServerError`."""
    try:
        return _bound(host, port)
    except OSError as error:
        raise ServerError(_why_not(host, port, error)) from None


def may_listen_for_grpc(settings: Settings) -> bool:
    """Say whether the gRPC port can be had; that it is taken is an error only if it was asked for.

    Raises `ServerError`.
    """
    if not settings.grpc_port:
        return False
    try:
        _bound(settings.host, settings.grpc_port).close()
    except OSError as error:
        where, reason = f"{settings.host}:{settings.grpc_port}", _reason(error)
        if "grpc_port" in settings.model_fields_set:
            raise ServerError(
                f"Cannot listen on {where} for gRPC ({reason}): choose another --grpc-port, "
                "0 for none"
            ) from None
        log.warning(
            "OTLP is taken over HTTP only: %s is not to be had (%s). Exporters over gRPC need "
            "another --grpc-port; 0 turns gRPC and this warning off",
            where,
            reason,
        )
        return False
    return True


def _bound(host: str, port: int) -> socket.socket:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except OSError as error:
        raise ServerError(f"{host!r} is no address to listen on: {error.strerror}") from None
    family, kind, protocol, _, address = found[0]
    sock = socket.socket(family, kind, protocol)
    if os.name == "posix":
        # Else a restart within a minute finds its own port taken.
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        sock.bind(address)
        # Now, not when the app is ready: two servers that start together must not both go on.
        sock.listen(2048)
    except OSError:
        sock.close()
        raise
    sock.set_inheritable(False)
    return sock


def url_of(settings: Settings, sock: socket.socket) -> str:
    """Return the address to open in a browser on this machine."""
    host, port = sock.getsockname()[:2]
    shown = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, f"[{host}]" if ":" in host else host)
    return f"http://{shown}:{port}{settings.root_path}"


def identify(url: str) -> str | None:
    """Return the version of the AgentTrace that answers at `url`, or None if none does.

    No proxy is asked and no redirect followed: what matters is who is there.
    """
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(
        parts.hostname or "127.0.0.1", parts.port or 80, timeout=IDENTIFY_SECONDS
    )
    try:
        connection.request("GET", f"{parts.path.rstrip('/')}/health")
        health = json.loads(connection.getresponse().read(10_000))
    except (OSError, ValueError, http.client.HTTPException):
        return None
    finally:
        connection.close()
    if not isinstance(health, dict) or health.get("service") != "agenttrace":
        return None
    return str(health.get("version", "unknown"))


def _why_not(host: str, port: int, error: OSError) -> str:
    reachable = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
    url = f"http://{f'[{reachable}]' if ':' in reachable else reachable}:{port}"
    if version := identify(url):
        return f"AgentTrace {version} already serves {url}: use it, or choose another --port"
    return (
        f"Cannot listen on {host}:{port} ({_reason(error)}): "
        "choose another --port, 0 for any free one"
    )


def _reason(error: OSError) -> str:
    return (error.strerror or str(error)).lower()
