"""`run` and `doctor`: what works in the user's own environment, passed on to the core."""

import typer

PASS_ON = {
    "ignore_unknown_options": True,
    "allow_extra_args": True,
    "allow_interspersed_args": False,
    "help_option_names": [],
}


def add_to(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command(context_settings=PASS_ON, add_help_option=False)(run)
    app.command(context_settings=PASS_ON, add_help_option=False)(doctor)


def run(context: typer.Context) -> None:
    """Record any Python program: no line to add to it, its own arguments and exit code.

    Starts a server if none answers. Example: agenttrace run app.py --its-own --arguments
    """
    from agenttrace.run import main

    raise typer.Exit(main(context.args))


def doctor(context: typer.Context) -> None:
    """Find out why traces do not arrive, with the line that mends it."""
    from agenttrace.doctor import main

    raise typer.Exit(main(context.args))
