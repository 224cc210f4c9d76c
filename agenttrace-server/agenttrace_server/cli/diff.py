"""`diff`: two runs side by side, by what their agents said."""

from typing import Annotated, Any

import typer

from agenttrace_server.cli.client import ServerURL, connect
from agenttrace_server.cli.configuration import DatabaseURL
from agenttrace_server.cli.terminal import (
    Format,
    FormatOption,
    write_json,
    write_line,
    write_table,
)
from agenttrace_server.cli.traces import clip

_SIGNS = {"changed": "~", "removed": "-", "added": "+"}
_FIGURES = (
    ("messages", "messages"),
    ("llm_calls", "model calls"),
    ("tool_calls", "tool calls"),
    ("errors", "errors"),
    ("tokens_in", "tokens in"),
    ("tokens_out", "tokens out"),
    ("cost_usd", "cost, $"),
    ("duration_ms", "duration, ms"),
)


def add_to(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command(epilog="Example: agenttrace diff TRACE last")(diff)


def diff(
    left: Annotated[str, typer.Argument(metavar="TRACE", help="A trace id, or `last`.")],
    right: Annotated[str, typer.Argument(metavar="TRACE", help="The one to compare with it.")],
    form: FormatOption = Format.text,
    server: ServerURL = None,
    database_url: DatabaseURL = None,
) -> None:
    """Compare two traces: what was said, what came of it, what it took.

    If the right one is a replay of the left one, from the checkpoint it began at. Exit code 0: no
    message differs, 1: some do.
    """
    with connect(server, database_url) as client:
        found = client.get("compare", left=client.trace_id(left), right=client.trace_id(right))
    if form is Format.json:
        write_json(found)
    else:
        print_diff(found)
    if not found["same"]:
        raise typer.Exit(1)


def print_diff(found: dict[str, Any]) -> None:
    """Print for people how two runs differ."""
    if found["same"]:
        write_line("No message differs", style="green")
    for place, row in enumerate(found["rows"]):
        if row["change"] in _SIGNS:
            if place == found["first_divergence"]:
                write_line("Here the two part:", style="bold")
            write_line(f"{_SIGNS[row['change']]} {row_line(row)}")
    outputs = found["outputs"]
    if outputs["same"]:
        write_line(f"Output, the same: {clip(outputs['left'], 200)}")
    else:
        write_line(f"Output was: {clip(outputs['left'], 200)}", style="red")
        write_line(f"Output is:  {clip(outputs['right'], 200)}", style="green")
    for key, word in (("failures_lost", "gone"), ("failures_gained", "new")):
        for failure in found[key]:
            write_line(f"Failure {word}: {failure['mode']} {failure['explanation']}")
    write_table(
        ("", ">left", ">right"),
        (
            (name, _figure(found["left"][key]), _figure(found["right"][key]))
            for key, name in _FIGURES
        ),
    )


def row_line(row: dict[str, Any]) -> str:
    """Say for people how one message differs."""
    left, right = row["left"], row["right"]
    who = f"{(left or right)['sender']} → {(left or right)['recipient']}"
    if row["change"] == "changed":
        return f"{who} said {_quote(right)} where it had said {_quote(left)}"
    if row["change"] == "added":
        return f"{who} says {_quote(right)}, which it had not"
    return f"{who} no longer says {_quote(left)}"


def _quote(said: dict[str, Any]) -> str:
    return f"“{clip(said['content'], 120)}”"


def _figure(value: float | None) -> str:
    return "–" if value is None else f"{value:.6g}"
