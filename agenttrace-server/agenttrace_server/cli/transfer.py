"""`import` and `export`: traces in and out as OTLP files."""

from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer

from agenttrace.errors import AgentTraceError, InvalidPayload
from agenttrace_server.cli.client import Client, InProcessClient, ServerURL, api_path, connect
from agenttrace_server.cli.configuration import DatabaseURL
from agenttrace_server.cli.files import Request, read_requests
from agenttrace_server.cli.terminal import (
    Format,
    FormatOption,
    error_line,
    say,
    warn,
    write_bytes,
    write_json,
    write_table,
)
from agenttrace_server.cli.traces import TraceArgument

SHOWN_REASONS = 10


def add_to(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command(
        "import",
        epilog="Example: agenttrace import run.json more.jsonl.gz",
    )(import_files)
    app.command(epilog="Example: agenttrace export last > trace.json")(export)


class Imported(msgspec.Struct):
    """What became of one file. `accepted` spans are new, `duplicates` were there already."""

    file: str
    accepted: int = 0
    duplicates: int = 0
    rejected: int = 0
    log_events: int = 0
    rejected_log_events: int = 0
    traces: list[str] = []
    reasons: list[str] = []
    error: str | None = None

    @property
    def has_something(self) -> bool:
        """Whether there was a span or a log event in the file, good or bad."""
        spans = self.accepted + self.duplicates + self.rejected
        return bool(spans + self.log_events + self.rejected_log_events)

    @property
    def all_refused(self) -> bool:
        """Whether spans came and none was taken; a log record that fits nowhere is no loss."""
        return self.rejected > 0 and not self.accepted + self.duplicates


def import_files(
    file: Annotated[
        list[Path],
        typer.Argument(
            metavar="FILE…",
            help="OTLP as JSON, JSON lines or protobuf, gzipped or not; - is standard input.",
            allow_dash=True,
        ),
    ],
    form: FormatOption = Format.text,
    server: ServerURL = None,
    database_url: DatabaseURL = None,
) -> None:
    """Take in traces from files; a second time changes nothing.

    They go to the server on this machine if it answers, else straight into the database.
    """
    with connect(server, database_url) as client:
        results = [import_file(client, path) for path in file]
        where = client.where
    if form is Format.json:
        write_json(results)
    else:
        write_table(
            ("file", ">accepted", ">duplicates", ">rejected", ">traces"),
            (
                (
                    r.file,
                    r.accepted,
                    r.duplicates,
                    r.rejected + r.rejected_log_events,
                    len(r.traces),
                )
                for r in results
            ),
        )
        say(f"Imported into {where}")
    for result in results:
        _explain(result)
    if any(r.error or r.all_refused for r in results):
        raise typer.Exit(1)


def export(
    trace: TraceArgument,
    form: Annotated[
        str, typer.Option("--format", help="otlp (JSON) or otlp-protobuf.", metavar="FORMAT")
    ] = "otlp",
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="A file. (default: standard output)")
    ] = None,
    server: ServerURL = None,
    database_url: DatabaseURL = None,
) -> None:
    """Write a trace as it was received; `agenttrace import` takes it back."""
    with connect(server, database_url) as client:
        path = api_path("traces", client.trace_id(trace), "export", format=form)
        data = client.ask("GET", path).body
    if output is None:
        write_bytes(data)
        return
    try:
        output.write_bytes(data)
    except OSError as error:
        raise AgentTraceError(f"cannot write {output}: {error.strerror}") from None
    say(f"Wrote {len(data):,} bytes to {output}")


def import_file(client: Client, path: Path) -> Imported:
    """Send one file's spans, count what became of them, and have them analysed."""
    result = Imported(str(path))
    problems = []
    try:
        for request in read_requests(path):
            try:
                _send(client, request, result)
            except InvalidPayload as error:
                problems.append(f"{request.where}{error}")
        if not problems and not result.has_something:
            problems.append("there is no span in it; OTLP is read: JSON, JSON lines, protobuf")
    except AgentTraceError as error:
        problems.append(str(error))
    if problems:
        more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
        result.error = problems[0] + more
    if isinstance(client, InProcessClient):
        for trace_id in result.traces:
            client.ask("POST", api_path("traces", trace_id, "classify"))
    return result


def _send(client: Client, request: Request, result: Imported) -> None:
    if request.is_logs:
        _send_logs(client, request, result)
    else:
        _send_spans(client, request, result)


def _send_spans(client: Client, request: Request, result: Imported) -> None:
    from agenttrace_server.decode import decode

    decoded = decode(request.body, request.content_type)
    by_trace: dict[str, list[str]] = {}
    for span in decoded.spans:
        by_trace.setdefault(span.trace_id, []).append(span.span_id)
    known = {trace_id: _known(client, trace_id) for trace_id in by_trace}
    client.ask("POST", "/v1/traces", request.body, request.content_type)
    for trace_id, span_ids in by_trace.items():
        fresh = len(set(span_ids) - known[trace_id])
        result.accepted += fresh
        result.duplicates += len(span_ids) - fresh
        if trace_id not in result.traces:
            result.traces.append(trace_id)
    result.rejected += len(decoded.rejected)
    result.reasons += [_reason(rejected) for rejected in decoded.rejected]


def _send_logs(client: Client, request: Request, result: Imported) -> None:
    from agenttrace_server.decode import decode_logs

    decoded = decode_logs(request.body, request.content_type)
    client.ask("POST", "/v1/logs", request.body, request.content_type)
    result.log_events += len(decoded.events)
    result.rejected_log_events += len(decoded.rejected)
    result.reasons += [_reason(rejected) for rejected in decoded.rejected]


def _known(client: Client, trace_id: str) -> set[str]:
    reply = client.call("GET", api_path("traces", trace_id, "spans"))
    return set(reply.json()["span_id"]) if reply.status == 200 else set()


def _reason(rejected: Any) -> str:
    named = f"{rejected.name!r}: " if rejected.name else ""
    return f"{named}{rejected.reason}"


def _explain(result: Imported) -> None:
    if result.error:
        error_line(f"{result.file}: {result.error}")
    if result.log_events:
        say(f"{result.file}: {result.log_events} log events joined to their spans")
    for reason in result.reasons[:SHOWN_REASONS]:
        warn(f"{result.file}: rejected {reason}")
    if len(result.reasons) > SHOWN_REASONS:
        warn(f"{result.file}: and {len(result.reasons) - SHOWN_REASONS} more")
