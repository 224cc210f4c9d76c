"""What the command line prints: data on standard output, words on standard error."""

import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from enum import StrEnum
from importlib.metadata import version as installed
from typing import Annotated, Any

import msgspec
import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

_out = Console(soft_wrap=True)
_err = Console(stderr=True, soft_wrap=True, highlight=False)


class Format(StrEnum):
    """How data is written: for people, or for programs."""

    text = "text"
    json = "json"


FormatOption = Annotated[Format, typer.Option("--format", help="For people or for programs.")]


def say(line: str, style: str = "") -> None:
    """Tell the user how it goes."""
    _err.print(escape(line), style=style or None)


def warn(line: str) -> None:
    """Tell the user what is not right, though it goes on."""
    _err.print(f"[yellow]warning:[/yellow] {escape(line)}")


def error_line(line: str) -> None:
    """Say in one line why it cannot go on and what to do."""
    one_line = " ".join(str(line).split())
    _err.print(f"[red]error:[/red] {escape(one_line)}")


@contextmanager
def progress() -> Iterator[Callable[[str], None]]:
    """Give a function that says how far it is: in one line that changes, or in one line each."""
    if _err.is_terminal:
        with _err.status("…") as status:
            yield lambda line: status.update(escape(line))
        return
    told = ""

    def tell(line: str) -> None:
        nonlocal told
        if line != told:
            say(line)
        told = line

    yield tell


def write_json(value: Any) -> None:
    """Write one value as one line of JSON."""
    write_bytes(msgspec.json.encode(value) + b"\n")


def write_bytes(data: bytes) -> None:
    """Write bytes as they are."""
    sys.stdout.flush()
    sys.stdout.buffer.write(data)
    sys.stdout.buffer.flush()


def write_line(line: str = "", style: str = "") -> None:
    """Write one line of data for people to read."""
    _out.print(escape(line), style=style or None)


def write_table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Write rows for people to read; a column named with a leading `>` is a number."""
    table = Table(box=None, header_style="bold", pad_edge=False)
    for column in columns:
        number = column.startswith(">")
        table.add_column(
            column.removeprefix(">"), justify="right" if number else "left", overflow="fold"
        )
    for row in rows:
        table.add_row(*(escape(str(cell)) for cell in row))
    Console(soft_wrap=False, width=None if sys.stdout.isatty() else 200).print(table)


def version(wanted: bool) -> None:
    """Print the version and end, if wanted."""
    if wanted:
        write_line(f"agenttrace {installed('agenttrace-server')}")
        raise typer.Exit
