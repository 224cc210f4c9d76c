"""`check`: analyse traces and fail if something went wrong in them; for CI."""

import re
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Annotated, Any, get_args

import typer

from agenttrace.errors import AgentTraceError
from agenttrace.models import Severity
from agenttrace_server.cli.client import Client, ServerURL, api_path, connect, in_process
from agenttrace_server.cli.configuration import DatabaseURL, read_settings
from agenttrace_server.cli.terminal import (
    Format,
    FormatOption,
    error_line,
    warn,
    write_json,
    write_line,
)
from agenttrace_server.cli.traces import print_failures
from agenttrace_server.cli.transfer import import_file

SEVERITIES: tuple[str, ...] = get_args(Severity)
"""From harmless to grave."""


def add_to(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command(
        epilog="Example: agenttrace check run.json --fail-on high · "
        "agenttrace check last --fail-on 1.3 --format json"
    )(check)


def check(
    target: Annotated[
        list[str],
        typer.Argument(metavar="FILE|TRACE…", help="OTLP files, trace ids, or `last`."),
    ],
    fail_on: Annotated[
        list[str] | None,
        typer.Option(
            metavar="MODE|SEVERITY",
            help="What counts: a failure mode (1.3), a category, or a severity and all above it "
            "(low, medium, high, critical). May be repeated. (default: every finding)",
        ),
    ] = None,
    form: FormatOption = Format.text,
    server: ServerURL = None,
    database_url: DatabaseURL = None,
) -> None:
    """Analyse traces with the installed plugins, and fail if something went wrong in them.

    Exit code 0: no finding that counts, 1: at least one, 2: cannot tell. Files are analysed on
    their own: nothing is stored, nothing leaves this machine.
    """
    try:
        found = _check_all(target, server, database_url)
    except AgentTraceError as error:
        error_line(str(error))
        raise typer.Exit(2) from None
    for trace in found:
        trace["failures"] = [f for f in trace["failures"] if counts(f, fail_on or [])]
    failed = any(trace["failures"] for trace in found)
    if form is Format.json:
        write_json({"failed": failed, "traces": found})
    else:
        _print(found)
    if failed:
        raise typer.Exit(1)


def _check_all(
    target: list[str], server: str | None, database_url: str | None
) -> list[dict[str, Any]]:
    files = [name for name in target if Path(name).exists()]
    ids = [name for name in target if name not in files]
    for name in ids:
        if name != "last" and not re.fullmatch(r"[0-9a-fA-F]{32}", name):
            raise typer.BadParameter(f"{name!r} is neither a file nor a trace id")
    found: list[dict[str, Any]] = []
    with ExitStack() as stack:
        if files:
            client = stack.enter_context(_scratch())
            found += [trace for name in files for trace in _check_file(client, name)]
        if ids:
            client = stack.enter_context(connect(server, database_url))
            found += [_check_trace(client, client.trace_id(name), name) for name in ids]
    return found


def counts(failure: dict[str, Any], fail_on: list[str]) -> bool:
    """Whether a finding counts: nobody rejected it, and it is among what was asked for."""
    if failure["review"] == "rejected":
        return False
    names = {_plain(failure[field]) for field in ("mode", "category", "subcategory")}
    rank = SEVERITIES.index(failure["severity"])
    return not fail_on or any(
        rank >= SEVERITIES.index(wanted) if wanted in SEVERITIES else wanted in names
        for wanted in map(_plain, fail_on)
    )


def _plain(name: str) -> str:
    """Taxonomies write their names with spaces, hyphens or underscores."""
    return name.lower().replace("_", " ").replace("-", " ")


@contextmanager
def _scratch() -> Iterator[Client]:
    """Give a client on a database that is gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="agenttrace-check-") as folder:
        settings = read_settings(database_url=f"sqlite:///{Path(folder, 'check.db')}")
        with in_process(settings) as client:
            yield client


def _check_file(client: Client, name: str) -> list[dict[str, Any]]:
    imported = import_file(client, Path(name))
    if imported.error:
        raise AgentTraceError(f"{name}: {imported.error}")
    for reason in imported.reasons:
        warn(f"{name}: left out {reason}")
    return [_check_trace(client, trace_id, name) for trace_id in imported.traces]


def _check_trace(client: Client, trace_id: str, name: str) -> dict[str, Any]:
    failures = client.ask("POST", api_path("traces", trace_id, "classify")).json()["items"]
    summary = client.get("traces", trace_id)
    return {
        "source": name,
        "trace_id": trace_id,
        "name": summary["name"],
        "agents": summary["agents"],
        "failures": failures,
    }


def _print(found: list[dict[str, Any]]) -> None:
    for trace in found:
        write_line(f"{trace['source']}: {trace['name']} ({trace['trace_id']})", style="bold")
        print_failures(trace["failures"])
