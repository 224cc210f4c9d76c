"""`check`: analyse traces and fail if something went wrong in them; for CI."""

import re
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from agenttrace.errors import AgentTraceError
from agenttrace_server.cli.client import Client, ServerURL, api_path, connect, in_process
from agenttrace_server.cli.configuration import DatabaseURL, read_settings
from agenttrace_server.cli.fail_on import counts, require_known
from agenttrace_server.cli.reports import WRITERS, none_found
from agenttrace_server.cli.terminal import (
    error_line,
    warn,
    write_bytes,
    write_json,
    write_line,
)
from agenttrace_server.cli.traces import print_failures
from agenttrace_server.cli.transfer import import_file


class Report(StrEnum):
    """How findings are written."""

    text = "text"
    json = "json"
    junit = "junit"
    sarif = "sarif"
    markdown = "markdown"


def add_to(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command(
        epilog="Example: agenttrace check run.json --fail-on high · "
        "agenttrace check last --fail-on 1.3 --format json"
    )(check)


def check(
    target: Annotated[
        list[str],
        typer.Argument(
            metavar="FILE|TRACE…", help="OTLP files (- is standard input), trace ids, or `last`."
        ),
    ],
    fail_on: Annotated[
        list[str] | None,
        typer.Option(
            metavar="MODE|SEVERITY",
            help="What counts: a failure mode (1.3), a category, or a severity and all above it "
            "(low, medium, high, critical). May be repeated. (default: every finding)",
        ),
    ] = None,
    everything: Annotated[
        bool, typer.Option("--all", help="Count findings that are not sure enough too.")
    ] = False,
    rules: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            exists=True,
            dir_okay=False,
            help="YAML rules that files are checked with. (default: AGENTTRACE_RULES)",
        ),
    ] = None,
    form: Annotated[
        Report,
        typer.Option("--format", help="For people, for programs, for CI systems."),
    ] = Report.text,
    server: ServerURL = None,
    database_url: DatabaseURL = None,
) -> None:
    """Analyse traces with the installed plugins, and fail if something went wrong in them.

    Exit code 0: no finding that counts, 1: at least one, 2: cannot tell. Files are analysed on
    their own: nothing is stored, nothing leaves this machine.
    """
    try:
        found = _check_all(target, server, database_url, rules, fail_on or [])
    except AgentTraceError as error:
        error_line(str(error))
        raise typer.Exit(2) from None
    for trace in found:
        standing = [one for one in trace["failures"] if everything or one["shown"]]
        trace["failures"] = [one for one in standing if counts(one, fail_on or [])]
        trace["others"] = sum(counts(one, []) for one in standing) - len(trace["failures"])
    failed = any(trace["failures"] for trace in found)
    if form is Report.json:
        write_json({"failed": failed, "traces": found})
    elif form is Report.text:
        _print(found)
    else:
        write_bytes(WRITERS[form.value](found).encode())
    if failed:
        raise typer.Exit(1)


def _check_all(
    target: list[str],
    server: str | None,
    database_url: str | None,
    rules: Path | None,
    fail_on: list[str],
) -> list[dict[str, Any]]:
    files = [name for name in target if name == "-" or Path(name).exists()]
    ids = [name for name in target if name not in files]
    for name in ids:
        if name != "last" and not re.fullmatch(r"[0-9a-fA-F]{32}", name):
            raise typer.BadParameter(f"{name!r} is neither a file nor a trace id")
    if ids and rules:
        raise typer.BadParameter("--rules is for files; a server has its own (AGENTTRACE_RULES)")
    found: list[dict[str, Any]] = []
    with ExitStack() as stack:
        clients = []
        if files:
            clients.append(client := stack.enter_context(_scratch(rules)))
            found += [trace for name in files for trace in _check_file(client, name)]
        if ids:
            clients.append(client := stack.enter_context(connect(server, database_url)))
            found += [_check_trace(client, client.trace_id(name), name) for name in ids]
        require_known(fail_on, (one for trace in found for one in trace["failures"]), clients)
    return found


@contextmanager
def _scratch(rules: Path | None) -> Iterator[Client]:
    """Give a client on a database that is gone afterwards; raises `InvalidRules`."""
    from agenttrace_server.yaml_rules import RuleFile

    with tempfile.TemporaryDirectory(prefix="agenttrace-check-") as folder:
        settings = read_settings(
            database_url=f"sqlite:///{Path(folder, 'check.db')}", rules=rules and str(rules)
        )
        # In a server a broken file costs its rules; in CI that would pass for "nothing found".
        RuleFile(settings.rule_file, required=settings.rules is not None).load()
        with in_process(settings) as client:
            yield client


def _check_file(client: Client, name: str) -> list[dict[str, Any]]:
    imported = import_file(client, Path(name))
    if imported.error:
        raise AgentTraceError(f"{name}: {imported.error}")
    for reason in imported.reasons:
        warn(f"{name}: left out {reason}")
    if not imported.traces:
        raise AgentTraceError(f"{name}: there is no span in it")
    # Some instrumentations break a run into many traces, which are joined as they are analysed.
    whole = {client.get("traces", one, "parts")["trace_id"] or one: None for one in imported.traces}
    return [_check_trace(client, trace_id, name, is_file=True) for trace_id in whole]


def _check_trace(client: Client, trace_id: str, name: str, is_file: bool = False) -> dict[str, Any]:
    classify = api_path("traces", trace_id, "classify", all="true")
    failures = client.ask("POST", classify).json()["items"]
    summary = client.get("traces", trace_id)
    suspects = client.get("traces", trace_id, "decisive")["steps"]
    return {
        "source": name,
        "is_file": is_file,
        "trace_id": trace_id,
        "name": summary["name"],
        "agents": summary["agents"],
        "failures": failures,
        "decisive": suspects[0] if suspects else None,
        "unsure": sum(not one["shown"] and one["review"] == "proposed" for one in failures),
    }


def _print(found: list[dict[str, Any]]) -> None:
    for trace in found:
        write_line(f"{trace['source']}: {trace['name']} ({trace['trace_id']})", style="bold")
        step = trace["decisive"]
        if step and trace["failures"]:
            write_line(f"Where it went wrong: {step['agent']}; {'; '.join(step['reasons'])}")
        print_failures(trace["failures"], none=none_found(trace))
        hidden = trace["unsure"] - sum(not one["shown"] for one in trace["failures"])
        if hidden > 0:
            write_line(f"{hidden} less certain, with --all", style="dim")
