"""`traces`: list them, look at one, delete it."""

import re
import sys
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

import typer

from agenttrace_server.cli.client import Client, ServerURL, api_path, connect
from agenttrace_server.cli.configuration import DatabaseURL
from agenttrace_server.cli.terminal import (
    Format,
    FormatOption,
    say,
    write_json,
    write_line,
    write_table,
)

TraceArgument = Annotated[
    str, typer.Argument(metavar="TRACE", help="A trace id, or `last` for the newest trace.")
]

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}

traces = typer.Typer(no_args_is_help=True, help="List traces, look at one, delete it.")


def add_to(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.add_typer(traces, name="traces")


@traces.command("list", epilog="Example: agenttrace traces list --status error --since 2h")
def list_traces(
    service: Annotated[str | None, typer.Option(help="Of this service only.")] = None,
    framework: Annotated[str | None, typer.Option(help="langgraph, autogen, crewai, …")] = None,
    agent: Annotated[str | None, typer.Option(help="In which this agent took part.")] = None,
    status: Annotated[str | None, typer.Option(help="running, ok or error.")] = None,
    failure: Annotated[
        str | None, typer.Option(help="With this failure mode (1.3), category or subcategory.")
    ] = None,
    text: Annotated[
        str | None, typer.Option("--text", "-q", help="With this text in names or contents.")
    ] = None,
    since: Annotated[
        str | None,
        typer.Option(help="Started at this time or later: 2026-01-31T12:00Z, or 2h ago."),
    ] = None,
    until: Annotated[str | None, typer.Option(help="Started before this time.")] = None,
    sort: Annotated[
        str,
        typer.Option(
            help="start, duration, spans, messages, failures, tokens or cost; -cost: dearest first."
        ),
    ] = "-start",
    limit: Annotated[int, typer.Option(min=1, max=500, help="How many at most.")] = 20,
    offset: Annotated[int, typer.Option(min=0, help="How many to leave out.")] = 0,
    form: FormatOption = Format.text,
    server: ServerURL = None,
    database_url: DatabaseURL = None,
) -> None:
    """List traces, newest first."""
    with connect(server, database_url) as client:
        page = client.get(
            "traces",
            service=service,
            framework=framework,
            agent=agent,
            status=status,
            failure=failure,
            q=text,
            since=moment(since),
            until=moment(until),
            sort=sort,
            limit=limit,
            offset=offset,
        )
        where = client.where
    if form is Format.json:
        write_json(page)
        return
    write_table(
        (
            "trace",
            "started",
            "name",
            "service",
            "status",
            ">agents",
            ">messages",
            ">spans",
            ">failures",
        ),
        (_row(trace) for trace in page["items"]),
    )
    say(f"{len(page['items'])} of {page['total']} traces in {where}")


@traces.command(epilog="Example: agenttrace traces show last")
def show(
    trace: TraceArgument,
    form: FormatOption = Format.text,
    server: ServerURL = None,
    database_url: DatabaseURL = None,
) -> None:
    """Show a trace: its agents, who said what to whom, and what went wrong."""
    with connect(server, database_url) as client:
        found = read_trace(client, client.trace_id(trace))
    if form is Format.json:
        write_json(found)
    else:
        _print(found)


@traces.command(epilog="Example: agenttrace traces delete last --yes")
def delete(
    trace: Annotated[list[str], typer.Argument(metavar="TRACE…", help="Trace ids, or `last`.")],
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    server: ServerURL = None,
    database_url: DatabaseURL = None,
) -> None:
    """Delete traces with their spans, messages, checkpoints and failures. There is no way back."""
    with connect(server, database_url) as client:
        wanted = [client.trace_id(given) for given in trace]
        if not yes and sys.stdin.isatty():
            typer.confirm(f"Delete {', '.join(wanted)} from {client.where}?", abort=True, err=True)
        for trace_id in wanted:
            client.ask("DELETE", api_path("traces", trace_id))
            say(f"Deleted {trace_id}")


def read_trace(client: Client, trace_id: str) -> dict[str, Any]:
    """Return a trace's summary, agents, messages and failures as the API gives them."""
    return {
        "trace": client.get("traces", trace_id),
        "agents": client.get("traces", trace_id, "agents", limit=10_000)["items"],
        "messages": client.get("traces", trace_id, "messages", limit=10_000)["items"],
        "failures": client.get("traces", trace_id, "failures", limit=10_000)["items"],
    }


def moment(given: str | None) -> str | None:
    """Return a time for the API: `90s`, `15m`, `2h`, `7d`, `1w` mean that long ago."""
    ago = re.fullmatch(r"(\d+)\s*([smhdw])(?:\s*ago)?", given or "")
    if ago is None:
        return given
    return (datetime.now(UTC) - timedelta(seconds=int(ago[1]) * _UNITS[ago[2]])).isoformat()


def clip(text: object, length: int = 100) -> str:
    """Return the text on one line, cut to `length` characters."""
    line = " ".join(str(text or "").split())
    return line if len(line) <= length else line[: length - 1] + "…"


def _row(trace: dict[str, Any]) -> tuple[object, ...]:
    return (
        trace["trace_id"],
        trace["start_time"][:19].replace("T", " "),
        clip(trace["name"], 40),
        clip(trace["service_name"], 30),
        trace["status"],
        len(trace["agents"]),
        trace["message_count"],
        trace["span_count"],
        trace["failure_count"],
    )


def _print(found: dict[str, Any]) -> None:
    trace = found["trace"]
    write_line(f"{trace['name']}  {trace['trace_id']}", style="bold")
    took = f"{trace['duration_ms'] / 1000:.3g} s, {trace['span_count']} spans"
    tokens = f"{trace['tokens_in']} tokens in, {trace['tokens_out']} out"
    write_line(f"{trace['status']}, {took}, {tokens}")
    if not trace["analysed"]:
        write_line("not analysed yet: what follows may miss the newest spans", style="yellow")
    write_line()
    write_table(
        ("agent", "role", ">spans", ">errors", ">tokens in", ">tokens out"),
        (
            (
                a["name"],
                clip(a["role"], 40),
                a["spans"],
                a["errors"],
                a["tokens_in"],
                a["tokens_out"],
            )
            for a in found["agents"]
        ),
    )
    write_line()
    write_table(
        ("sender", "recipient", "type", "seen", "content"),
        (
            (m["sender"], m["recipient"], m["type"], m["provenance"], clip(m["content"]))
            for m in found["messages"]
        ),
    )
    write_line()
    print_failures(found["failures"])


def named(failure: Mapping[str, Any]) -> str:
    """Return the mode with its name, where that says more."""
    name = failure["subcategory"].replace("_", " ")
    mode = failure["mode"]
    return name if mode.replace("_", " ") == name else f"{mode} {name}"


def print_failures(failures: list[dict[str, Any]], none: str = "No failures found.") -> None:
    """Print what went wrong for people to read, `none` where nothing did."""
    for failure in failures:
        agent = f" · {failure['agent']}" if failure["agent"] else ""
        write_line(f"{failure['severity']}: {named(failure)}{agent}", style="red")
        write_line(f"  {failure['explanation']}")
        if failure["evidence"]:
            write_line(f"  “{clip(failure['evidence'], 200)}”", style="dim")
    if not failures:
        write_line(none, style="green")
