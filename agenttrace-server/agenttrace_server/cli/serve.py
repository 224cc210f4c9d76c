"""`serve`: receive, analyse and show, in one command."""

import os
from enum import StrEnum
from typing import Annotated

import typer

from agenttrace_server.cli.configuration import DatabaseURL, read_settings, require_writable
from agenttrace_server.cli.pages import ensure_ui
from agenttrace_server.cli.terminal import say
from agenttrace_server.garbage import collect_less


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
    grpc_port: Annotated[
        int | None,
        typer.Option(min=0, max=65535, help="For OTLP over gRPC; 0: none. (default: 4317)"),
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
        host=host,
        port=port,
        grpc_port=grpc_port,
        database_url=database_url,
        insecure=insecure or None,
    )
    require_writable(settings)
    ensure_ui(ui, required=False)

    from agenttrace_server import app

    app.serve(settings, ready=_ready)


def _ready(url: str) -> None:
    collect_less()
    say(f"AgentTrace serves {url} (Ctrl-C stops it)")
