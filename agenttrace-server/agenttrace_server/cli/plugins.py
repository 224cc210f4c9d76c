"""`plugins`: which are installed, what they answer, and why one does not work."""

import logging

import msgspec
import typer

from agenttrace_server.cli.terminal import Format, FormatOption, say, write_json, write_table


def add_to(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command(epilog="Example: agenttrace plugins --format json")(plugins)


def plugins(
    form: FormatOption = Format.text,
) -> None:
    """List the plugins in this environment; a broken one with the reason."""
    from agenttrace.plugins import load_plugins

    # The table says what is broken; the log would say it again.
    logging.getLogger("agenttrace.plugins").addHandler(logging.NullHandler())
    infos = load_plugins().infos
    if form is Format.json:
        write_json([msgspec.structs.asdict(info) for info in infos])
        return
    write_table(
        ("plugin", "package", "version", "state", "answers"),
        (
            (
                info.name,
                info.package,
                info.version,
                f"broken: {' '.join(info.error.split())}" if info.error else "ok",
                ", ".join(hook.removeprefix("agenttrace_") for hook in info.hooks),
            )
            for info in infos
        ),
    )
    broken = sum(info.error is not None for info in infos)
    if broken:
        say(f"{broken} of {len(infos)} plugins cannot be used; the others are not affected")
