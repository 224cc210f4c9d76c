"""The `agenttrace` command: one module per group of subcommands.

Data goes to standard output, everything else to standard error. Expected problems are one line that
says what to do; the exit code is 0 when all is well, 1 when the answer is no (findings, not found,
cannot), 2 when the command line is wrong.
"""

import os
import sys
from typing import Annotated

import typer

from agenttrace.errors import AgentTraceError
from agenttrace_server.cli import (
    check,
    demo,
    diff,
    forward,
    migrate,
    plugins,
    replay,
    serve,
    traces,
    transfer,
)
from agenttrace_server.cli.terminal import error_line, version

app = typer.Typer(
    name="agenttrace",
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback(
    epilog="Start with [bold]agenttrace demo[/bold], or record your own: "
    "[bold]agenttrace run app.py[/bold]"
)
def agenttrace(
    show_version: Annotated[
        bool,
        typer.Option("--version", help="Print the version.", is_eager=True, callback=version),
    ] = False,
) -> None:
    """See who said what to whom in a multi-agent run, and which agent broke it."""


for module in (demo, serve, forward, traces, replay, diff, transfer, check, plugins, migrate):
    module.add_to(app)


def main() -> None:
    """Run the command line and exit."""
    try:
        app()
    except AgentTraceError as error:
        error_line(str(error))
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:
        # The reader (`| head`) went away; leave without the interpreter's complaint about it.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(141)
