"""`serve`: receive, analyse and show, in one command."""

import os
import socket
from enum import StrEnum
from typing import Annotated

import typer

from agenttrace.errors import ServerError
from agenttrace_server.cli.configuration import DatabaseURL, read_settings, require_writable
from agenttrace_server.cli.health import base_url, probe
from agenttrace_server.cli.pages import ensure_ui
from agenttrace_server.cli.terminal import say


class LogLevel(StrEnum):
    """How much the server says."""

    debug = "debug"
    info = "info"
    warning = "warning"
    error = "error"


def add_to(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command(
        epilog="Examples: agenttrace serve --port 8000 · "
        "AGENTTRACE_API_KEY=… agenttrace serve --host 0.0.0.0"
    )(serve)


def serve(
    host: Annotated[
        str | None, typer.Option(help="Listen on this address. (default: 127.0.0.1)")
    ] = None,
    port: Annotated[
        int | None, typer.Option(min=0, max=65535, help="0: any free one. (default: 4318)")
    ] = None,
    database_url: DatabaseURL = None,
    insecure: Annotated[
        bool, typer.Option("--insecure", help="Listen beyond this machine without an API key.")
    ] = False,
    log_level: Annotated[
        LogLevel | None, typer.Option(help="(default: info, or LOG_LEVEL)")
    ] = None,
    ui: Annotated[
        bool, typer.Option("--ui/--no-ui", help="Build the UI first, in a checkout that lacks it.")
    ] = True,
) -> None:
    """Receive OTLP, analyse it, and show it: one server for all, until Ctrl-C.

    Every option is also a variable: AGENTTRACE_HOST, AGENTTRACE_PORT, AGENTTRACE_DATABASE_URL …
    """
    if log_level is not None:
        os.environ["LOG_LEVEL"] = log_level.value
    settings = read_settings(
        host=host, port=port, database_url=database_url, insecure=insecure or None
    )
    require_free(settings.host, settings.port)
    require_writable(settings)
    ensure_ui(ui, required=False)

    from agenttrace_server import app

    app.serve(settings, ready=lambda url: say(f"AgentTrace serves {url} (Ctrl-C stops it)"))


def require_free(host: str, port: int) -> None:
    """Raise `ServerError`, saying who is there, if nobody can listen on the port."""
    if port == 0:
        return
    try:
        family, kind, proto, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
    except OSError as error:
        raise ServerError(f"--host {host} is no address of this machine: {error}") from None
    with socket.socket(family, kind, proto) as attempt:
        if os.name == "posix":
            # As the server does: a port that its last user left a moment ago is free.
            attempt.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            attempt.bind(address)
        except OSError as error:
            raise ServerError(why_taken(host, port, error)) from None


def why_taken(host: str, port: int, error: OSError) -> str:
    """Return one line on why the port cannot be had, and what to do."""
    url = base_url(host, port)
    found = probe(url)
    if found.is_agenttrace:
        return (
            f"AgentTrace {found.version} already serves {url}: use it, "
            "or take another port: --port 4319"
        )
    if found.somebody:
        return f"port {port} is taken by another program: take another one, such as --port 4319"
    return f"cannot listen on {host}:{port} ({error.strerror or error}): see --host and --port"
