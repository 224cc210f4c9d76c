"""`demo`: a failing multi-agent run, recorded and diagnosed, with no key and no network."""

import importlib.util
import os
import signal
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import quote

import msgspec
import typer

from agenttrace.errors import AgentTraceError, ServerError
from agenttrace_server.cli.client import Client, NetworkClient, base_url
from agenttrace_server.cli.configuration import (
    DatabaseURL,
    database_file,
    read_settings,
    require_writable,
)
from agenttrace_server.cli.mending import Correction, mend
from agenttrace_server.cli.pages import ensure_ui
from agenttrace_server.cli.terminal import say, write_json, write_line
from agenttrace_server.cli.traces import print_failures, read_trace

if TYPE_CHECKING:
    from agenttrace_server.settings import Settings

START_SECONDS = 120.0
ANALYSIS_SECONDS = 120.0


class Framework(StrEnum):
    """Which framework the demo's team is built with."""

    langgraph = "langgraph"
    autogen = "autogen"
    crewai = "crewai"


class Application(msgspec.Struct, frozen=True):
    """A demo application: its file, the module that must be importable, what mends its run."""

    file: str
    module: str
    correction: Correction


_LOUDER = (
    "messages/-1/content",
    "REJECTED: the audited accounts show 8.2 %, not 18.0 %.",
    "critic rejects the figure in so many words",
)
_STRICTER = (
    "description",
    "Did Northwind Robotics grow faster than its industry in 2024? Give its revenue growth with "
    "the source and compare it with the industry average. Mind that an objection is a rejection.",
    "the task says that an objection is a rejection",
)
APPLICATIONS = {
    Framework.langgraph: Application(
        "research_team.py", "langgraph", Correction("research-team", *_LOUDER)
    ),
    Framework.autogen: Application(
        "research_team_autogen.py",
        "autogen_agentchat",
        Correction("research-team-autogen", *_LOUDER),
    ),
    Framework.crewai: Application(
        "research_team_crewai.py", "crewai", Correction("research-team-crewai", *_STRICTER)
    ),
}


def add_to(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command(epilog="Examples: agenttrace demo · agenttrace demo --once | python -m json.tool")(
        demo
    )


def demo(
    once: Annotated[
        bool,
        typer.Option("--once", help="Print one JSON object about the run, and end."),
    ] = False,
    framework: Annotated[
        Framework, typer.Option(help="Which framework the team is built with.")
    ] = Framework.langgraph,
    port: Annotated[
        int | None, typer.Option(min=0, max=65535, help="0: any free one. (default: 4318)")
    ] = None,
    database_url: DatabaseURL = None,
    ui: Annotated[
        bool, typer.Option("--ui/--no-ui", help="Build the UI first, in a checkout that lacks it.")
    ] = True,
) -> None:
    """Watch a team of agents fail, see why, go back and mend it: no key, no network.

    Starts a server (or uses the one that runs), lets a research team do its work in a process of
    its own, prints where to look at it, replays it with the decisive step changed, and serves
    until Ctrl-C. With --once it ends when the run is diagnosed.
    """
    file = _application(framework)
    settings = read_settings(host="127.0.0.1", port=port, database_url=database_url)
    ensure_ui(ui, required=True)
    with _stopped_by_signals(), _server(settings) as (url, server):
        api_key = settings.api_key.get_secret_value() if settings.api_key else None
        client = NetworkClient(url, api_key)
        trace_id = _analysed(client, _run(file, client, api_key))
        found = read_trace(client, trace_id)
        address = f"{url}/traces/{trace_id}"
        if once:
            write_json(_summary(address, found))
            return
        _print(address, found)
        with _worker(file, url, api_key):
            mend(client, trace_id, APPLICATIONS[framework].correction)
            write_line(f"Change it yourself: {address}/replay", style="bold")
            _serve_on(server)


def _serve_on(server: "subprocess.Popen[bytes] | None") -> None:
    """Wait for Ctrl-C, which is how a demo is meant to end."""
    say("Serving until Ctrl-C." if server else "Running replays until Ctrl-C.")
    try:
        if server is None:
            threading.Event().wait()
        else:
            server.wait()
    except KeyboardInterrupt:
        return
    raise ServerError("the server stopped by itself; what it said above tells why")


@contextmanager
def _worker(file: Path, url: str, api_key: str | None) -> Iterator[None]:
    """Have a worker run the replays of the demo application until the block is left."""
    process = subprocess.Popen(
        [sys.executable, "-m", "agenttrace", "worker", "--name", "demo", str(file)],
        env=_environment(url, api_key),
        stdin=subprocess.DEVNULL,
        stdout=sys.stderr,
    )
    try:
        yield
    finally:
        _stop(process)


def _application(framework: Framework) -> Path:
    """Return the demo application's file. Raises `AgentTraceError` if it cannot be run here."""
    application = APPLICATIONS[framework]
    package = Path(__file__).resolve().parents[1]
    places = (package.parents[1] / "examples", package / "demo")
    file = next((p / application.file for p in places if (p / application.file).is_file()), None)
    if file is None:
        raise AgentTraceError(
            f"this version has no demo for {framework.value}; try: agenttrace demo"
        )
    if importlib.util.find_spec(application.module) is None:
        name = framework.value
        in_checkout = f"uv run --group {name} agenttrace demo --framework {name}"
        elsewhere = f"pip install 'agenttrace-{name}[{name}]'"
        install = in_checkout if file.parent.name == "examples" else elsewhere
        raise AgentTraceError(f"{name} is not installed here: {install}")
    return file


@contextmanager
def _server(settings: "Settings") -> Iterator[tuple[str, subprocess.Popen[bytes] | None]]:
    """Give a server's URL, and its process if it was started for this; stop that in the end."""
    from agenttrace_server.listening import identify, listen

    url = base_url(settings)
    if settings.port and (version := identify(url)):
        say(f"AgentTrace {version} already serves {url}: using it")
        yield url, None
        return
    with listen(settings.host, settings.port) as free:
        settings = settings.model_copy(update={"port": free.getsockname()[1]})
    url = base_url(settings)
    require_writable(settings)
    file = database_file(settings.database_url)
    say(f"Starting AgentTrace on {url}" + (f", traces are kept in {file}" if file else ""))
    command = [sys.executable, "-m", "agenttrace_server", "serve", "--no-ui"]
    options = ["--host", settings.host, "--port", str(settings.port)]
    process = subprocess.Popen(
        [*command, *options],
        env={
            **os.environ,
            "AGENTTRACE_DATABASE_URL": settings.database_url,
            "LOG_LEVEL": os.environ.get("LOG_LEVEL", "warning"),
        },
        stdin=subprocess.DEVNULL,
        stdout=sys.stderr,
    )
    try:
        _until_it_answers(process, url)
        yield url, process
    finally:
        _stop(process)


def _until_it_answers(process: subprocess.Popen[bytes], url: str) -> None:
    from agenttrace_server.listening import identify

    deadline = time.monotonic() + START_SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        if identify(url):
            return
        time.sleep(0.1)
    raise ServerError(f"the server did not start on {url}; what it said above tells why")


def _stop(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        process.terminate()
    try:
        process.wait(15)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


@contextmanager
def _stopped_by_signals() -> Iterator[None]:
    """Let a polite kill end the server too, as Ctrl-C does."""

    def leave(number: int, _frame: object) -> None:
        raise SystemExit(128 + number)

    before = signal.signal(signal.SIGTERM, leave)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _run(file: Path, client: NetworkClient, api_key: str | None) -> str:
    """Run the application in a process of its own and return the id of the trace it made."""
    say(f"Running {file}")
    mark = uuid.uuid4().hex
    # Clocks of one machine, but the trace begins a little before its first span is written.
    since = (datetime.now(UTC) - timedelta(seconds=1)).isoformat()
    done = subprocess.run(
        [sys.executable, "-m", "agenttrace", "run", str(file)],
        env={
            **_environment(client.where, api_key),
            "OTEL_RESOURCE_ATTRIBUTES": f"service.instance.id={mark}",
        },
        stdin=subprocess.DEVNULL,
        stdout=sys.stderr,
        check=False,
    )
    if done.returncode:
        raise AgentTraceError(
            f"the demo application ended with exit code {done.returncode}; its output is above"
        )
    return _marked_trace(client, since, mark)


def _environment(url: str, api_key: str | None) -> dict[str, str]:
    """Return variables for a process of the application that records to this server."""
    environment = {**os.environ, "OTEL_EXPORTER_OTLP_ENDPOINT": url, "PYTHONUNBUFFERED": "1"}
    if api_key:
        environment["OTEL_EXPORTER_OTLP_HEADERS"] = f"authorization={quote(f'Bearer {api_key}')}"
    return environment


def _marked_trace(client: Client, since: str, mark: str) -> str:
    """Return the newest trace whose process carries the mark in its resource."""
    for trace in client.get("traces", since=since, limit=100)["items"]:
        trace_id = str(trace["trace_id"])
        first = client.get("traces", trace_id, "spans")["span_id"][0]
        span = client.get("traces", trace_id, "spans", first)
        if span["resource"].get("service.instance.id") == mark:
            return trace_id
    raise AgentTraceError(
        "the demo ran, but its trace did not arrive; `agenttrace doctor` may tell why"
    )


def _analysed(client: Client, trace_id: str) -> str:
    """Return the trace's id once its agents, messages and failures are derived."""
    deadline = time.monotonic() + ANALYSIS_SECONDS
    while time.monotonic() < deadline:
        trace = client.get("traces", trace_id)
        if trace["analysed"] and trace["status"] != "running":
            return trace_id
        time.sleep(0.1)
    raise ServerError(f"trace {trace_id} is not analysed after {ANALYSIS_SECONDS:.0f} s")


def _summary(address: str, found: dict[str, Any]) -> dict[str, Any]:
    return {
        "url": address,
        "trace_id": found["trace"]["trace_id"],
        "agents": len(found["agents"]),
        "messages": len(found["messages"]),
        "spans": found["trace"]["span_count"],
        "failures": len(found["failures"]),
    }


def _print(address: str, found: dict[str, Any]) -> None:
    observed = sum(message["provenance"] == "observed" for message in found["messages"])
    write_line(f"Agents    {', '.join(agent['name'] for agent in found['agents'])}")
    write_line(f"Messages  {len(found['messages'])}, {observed} of them observed")
    write_line(f"Spans     {found['trace']['span_count']}")
    write_line(f"Failures  {len(found['failures'])}")
    print_failures(found["failures"])
    write_line()
    write_line(f"Look at it: {address}", style="bold")
