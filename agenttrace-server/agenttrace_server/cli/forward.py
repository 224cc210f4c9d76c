"""`run`, `worker` and `doctor`: what works in the user's own environment, passed on to the core."""

from collections.abc import Callable
from typing import TYPE_CHECKING

import typer

from agenttrace_server.cli.pages import ensure_ui

if TYPE_CHECKING:
    from agenttrace.health import Health

PASS_ON = {
    "ignore_unknown_options": True,
    "allow_extra_args": True,
    "allow_interspersed_args": False,
    "help_option_names": [],
}


def add_to(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command(context_settings=PASS_ON, add_help_option=False)(run)
    app.command(context_settings=PASS_ON, add_help_option=False)(worker)
    app.command(context_settings=PASS_ON, add_help_option=False)(doctor)


def run(context: typer.Context) -> None:
    """Record any Python program: no line to add to it, its own arguments and exit code.

    Starts a server if none answers. Example: agenttrace run app.py --its-own --arguments
    """
    from agenttrace.run import main

    raise typer.Exit(main(context.args, _server_with_pages))


def worker(context: typer.Context) -> None:
    """Run the replays of what a module makes replayable, until Ctrl-C.

    In your application's environment, where the server is not: python -m agenttrace worker MODULE
    """
    from agenttrace.worker import main

    raise typer.Exit(main(context.args))


def doctor(context: typer.Context) -> None:
    """Find out why traces do not arrive, with the line that mends it."""
    from agenttrace.doctor import main

    raise typer.Exit(main(context.args))


def _server_with_pages(url: str, say: Callable[[str], None]) -> "Health":
    """Start a server if none answers, its UI built first: that takes longer than a start may."""
    from agenttrace import health

    if health.ask(url).kind == "nothing":
        ensure_ui(True, required=False)
    return health.ensure_server(url, say)
