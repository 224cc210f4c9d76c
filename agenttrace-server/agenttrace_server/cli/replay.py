"""`replay` and `checkpoints`: run an application again from where it was, with what you change."""

import json
import time
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from agenttrace.errors import AgentTraceError
from agenttrace_server.cli.client import Client, ServerURL, api_path, connect
from agenttrace_server.cli.configuration import DatabaseURL
from agenttrace_server.cli.diff import print_diff, row_line
from agenttrace_server.cli.terminal import (
    Format,
    FormatOption,
    progress,
    say,
    write_json,
    write_line,
    write_table,
)
from agenttrace_server.cli.traces import TraceArgument, clip

LOOK_SECONDS = 0.2
ANALYSIS_SECONDS = 60.0
ENDED = ("succeeded", "failed", "stopped", "cancelled", "simulated")

TargetOption = Annotated[
    str | None,
    typer.Option(metavar="NAME", help="Which application, where a worker has several."),
]


class _Short(TyperGroup):
    """Takes `replay CHECKPOINT …` for `replay start CHECKPOINT …`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if args and args[0] not in self.commands and args[0] not in ("-h", "--help"):
            args = ["start", *args]
        return super().parse_args(ctx, args)


replay = typer.Typer(
    cls=_Short,
    no_args_is_help=True,
    help="Go back to a checkpoint, change something, run again from there.\n\n"
    "`agenttrace replay CHECKPOINT …` is short for `agenttrace replay start CHECKPOINT …`. "
    "A worker has to run: `agenttrace worker app.py`.",
    epilog="Example: agenttrace checkpoints last · "
    "agenttrace replay CHECKPOINT --set messages/-1/content=stop --wait",
)


def add_to(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command(epilog="Example: agenttrace checkpoints last")(checkpoints)
    app.add_typer(replay, name="replay")


def checkpoints(
    trace: TraceArgument,
    everything: Annotated[
        bool, typer.Option("--all", help="Those that cannot be gone back to as well, and why.")
    ] = False,
    form: FormatOption = Format.text,
    server: ServerURL = None,
    database_url: DatabaseURL = None,
) -> None:
    """List the moments a run can go back to."""
    with connect(server, database_url) as client:
        page = client.get("traces", client.trace_id(trace), "checkpoints", limit=10_000)
    if form is Format.json:
        write_json(page["items"])
        return
    write_table(
        ("checkpoint", "made", "label", ">state", "go back"),
        (
            (
                one["checkpoint_id"],
                one["created_at"][11:23],
                one["label"],
                f"{one['state_bytes']} B",
                "yes" if one["resumable"] else f"no: {one['why_not']}",
            )
            for one in page["items"]
            if everything or one["resumable"]
        ),
    )
    resumable = sum(one["resumable"] for one in page["items"])
    why = "" if everything or resumable == page["total"] else "; why not to the others: --all"
    say(f"{resumable} of {page['total']} can be gone back to{why}")


@replay.command(
    epilog="Example: agenttrace replay CHECKPOINT --set messages/-1/content='Try again' --wait · "
    "agenttrace replay MESSAGE --live --live-tools search --wait"
)
def start(
    where: Annotated[
        str,
        typer.Argument(
            metavar="CHECKPOINT|MESSAGE",
            help="A checkpoint's id (see `agenttrace checkpoints TRACE`), or a message's: then "
            "from just before it was sent.",
        ),
    ],
    edits: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="PATH=VALUE",
            help="Change the state: `messages/-1/content=No`, `plan.steps=[1,2]`. The value is "
            "JSON where it can be read as that, else text. May be repeated.",
        ),
    ] = None,
    live: Annotated[
        bool,
        typer.Option(
            "--live/--recorded",
            help="Ask every model again, or only those whose input has changed.",
        ),
    ] = False,
    live_tools: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME|all",
            help="Tools that may really run; the others are answered from the record. "
            "May be repeated.",
        ),
    ] = None,
    wait: Annotated[
        bool, typer.Option("--wait/--no-wait", help="Show progress, then what came of it.")
    ] = False,
    trace: Annotated[
        str | None, typer.Option(metavar="TRACE", help="Where several traces have the id.")
    ] = None,
    target: TargetOption = None,
    label: Annotated[str, typer.Option(help="A name for it.")] = "",
    timeout: Annotated[
        float, typer.Option(min=1, max=86_400, help="Seconds until it is given up.")
    ] = 600.0,
    form: FormatOption = Format.text,
    server: ServerURL = None,
    database_url: DatabaseURL = None,
) -> None:
    """Run an application again from a checkpoint, in your worker, with what you change.

    Exit code 0: it succeeded (or, without --wait, it is queued), 1: it did not. Where no worker is
    connected, the recorded run is walked through instead, and each call says whether it would run.
    """
    wish: dict[str, Any] = {
        "edits": [edit_of(text) for text in edits or []],
        "mode": "live" if live else "recorded",
        "live_tools": "all" if live_tools and "all" in live_tools else live_tools or [],
        "trace_id": trace,
        "target": target,
        "label": label,
        "timeout_seconds": timeout,
    }
    with connect(server, database_url) as client:
        place = "checkpoint_id" if _is_checkpoint(client, where, trace) else "message_id"
        made = post(client, {**wish, place: where})
        if wait:
            made = ended(client, made)
        compared = _diff(client, made) if wait else None
        address = client.where
    if form is Format.json:
        write_json({"replay": made, "diff": compared})
    else:
        _print(made, compared, address)
    if wait and made["status"] not in ("succeeded", "simulated"):
        raise typer.Exit(1)


@replay.command("list", epilog="Example: agenttrace replay list --format json")
def list_replays(
    trace: Annotated[
        str | None, typer.Option(metavar="TRACE", help="Of this trace, or that became it.")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, max=500, help="How many at most.")] = 20,
    form: FormatOption = Format.text,
    server: ServerURL = None,
    database_url: DatabaseURL = None,
) -> None:
    """List replays, newest first."""
    with connect(server, database_url) as client:
        of_trace = client.trace_id(trace) if trace else None
        page = client.get("replays", trace=of_trace, limit=limit)
    if form is Format.json:
        write_json(page)
        return
    write_table(
        ("replay", "started", "of trace", "became", "status", ">recorded", ">live", "label"),
        (
            (
                one["replay_id"],
                one["created_at"][:19].replace("T", " "),
                one["source_trace_id"],
                one["trace_id"] or "",
                one["status"],
                one["counts"]["recorded"],
                one["counts"]["live"],
                clip(one["label"], 30),
            )
            for one in page["items"]
        ),
    )


@replay.command(epilog="Example: agenttrace replay cancel REPLAY")
def cancel(
    replay_id: Annotated[str, typer.Argument(metavar="REPLAY", help="A replay's id.")],
    server: ServerURL = None,
    database_url: DatabaseURL = None,
) -> None:
    """End a replay: at once if it waits, else as soon as its worker hears of it."""
    with connect(server, database_url) as client:
        told = client.ask("POST", api_path("replays", replay_id, "cancel")).json()
    say("It will stop at its next call" if told["status"] not in ENDED else told["status"])


@replay.command(epilog="Example: agenttrace replay verify last")
def verify(
    trace: TraceArgument,
    target: TargetOption = None,
    keep: Annotated[
        bool, typer.Option("--keep", help="Keep the traces of replays that repeated the run.")
    ] = False,
    form: FormatOption = Format.text,
    server: ServerURL = None,
    database_url: DatabaseURL = None,
) -> None:
    """Replay a run unchanged from every checkpoint; it must say the same, at no cost.

    Exit code 0: it did, 1: it did not, and the first call or message that differs is named.
    """
    with connect(server, database_url) as client:
        trace_id = client.trace_id(trace)
        places = client.get("traces", trace_id, "checkpoints", limit=10_000)["items"]
        resumable = [one for one in places if one["resumable"]]
        if not resumable:
            raise AgentTraceError(
                f"no checkpoint of trace {trace_id} can be gone back to; "
                f"why: agenttrace checkpoints {trace_id}"
            )
        rows = []
        for number, one in enumerate(resumable, 1):
            say(f"{number} of {len(resumable)}: {one['label'] or one['checkpoint_id']}")
            rows.append(_verify(client, trace_id, one, target, keep))
    failed = [row for row in rows if row["problem"]]
    if form is Format.json:
        write_json({"trace_id": trace_id, "same": not failed, "checkpoints": rows})
    else:
        write_table(
            ("checkpoint", ">restored", ">recorded", ">live", "repeats the run"),
            (
                (
                    row["label"],
                    row["counts"]["restored"],
                    row["counts"]["recorded"],
                    row["counts"]["live"],
                    f"no: {row['problem']}" if row["problem"] else "yes",
                )
                for row in rows
            ),
        )
        say(f"{len(rows) - len(failed)} of {len(rows)} checkpoints repeat the run")
    if failed:
        raise typer.Exit(1)


def edit_of(text: str) -> dict[str, Any]:
    """Return the edit that `PATH=VALUE` says."""
    path, equals, value = text.partition("=")
    if not equals or not path:
        raise typer.BadParameter(f"{text!r} is not PATH=VALUE", param_hint="--set")
    try:
        return {"path": path, "value": json.loads(value)}
    except ValueError:
        return {"path": path, "value": value}


def post(client: Client, wish: dict[str, Any]) -> dict[str, Any]:
    """Start a replay and return it."""
    body = json.dumps(wish).encode()
    made: dict[str, Any] = client.ask("POST", api_path("replays"), body).json()
    return made


def ended(client: Client, replay: dict[str, Any]) -> dict[str, Any]:
    """Wait until a replay has ended, showing how far it is; Ctrl-C cancels it."""
    now = replay
    try:
        with progress() as tell:
            while now["status"] not in ENDED:
                tell(_how_far(now))
                time.sleep(LOOK_SECONDS)
                now = client.get("replays", replay["replay_id"])
            if now["trace_id"]:
                tell("what came of it is being analysed")
                _analysed(client, now["trace_id"])
    except KeyboardInterrupt:
        client.ask("POST", api_path("replays", replay["replay_id"], "cancel"))
        say("cancelled")
        raise
    return now


def _analysed(client: Client, trace_id: str) -> None:
    """Wait until the messages of a trace are derived; it is no error where that takes too long."""
    deadline = time.monotonic() + ANALYSIS_SECONDS
    while time.monotonic() < deadline:
        reply = client.call("GET", api_path("traces", trace_id))
        found = reply.json() if reply.status == 200 else {}
        if found.get("analysed") and found["status"] != "running":
            return
        time.sleep(LOOK_SECONDS)


def _how_far(replay: dict[str, Any]) -> str:
    if replay["note"]:
        return str(replay["note"])
    counts = replay["counts"]
    calls = ", ".join(f"{counts[tier]} {tier}" for tier in ("restored", "recorded", "live"))
    return f"{replay['status']}: {calls}"


def _is_checkpoint(client: Client, given: str, trace: str | None) -> bool:
    return client.call("GET", api_path("checkpoints", given, trace_id=trace)).status != 404


def _diff(client: Client, replay: dict[str, Any]) -> dict[str, Any] | None:
    reply = client.call("GET", api_path("replays", replay["replay_id"], "diff"))
    compared: dict[str, Any] | None = reply.json() if reply.status == 200 else None
    return compared


def _print(replay: dict[str, Any], compared: dict[str, Any] | None, address: str) -> None:
    write_line(f"{replay['status']}: {address}/replays/{replay['replay_id']}", style="bold")
    if replay["note"]:
        write_line(replay["note"])
    if replay["error"]:
        write_line(replay["error"], style="red")
    if replay["steps"]:
        say("No worker is connected that could run it: this is what would run again")
        write_table(
            ("call", "agent", "tier", "why"),
            ((s["name"], s["agent"] or "", s["tier"], s["why"]) for s in replay["steps"]),
        )
    elif replay["status"] in ENDED:
        write_line(_how_far(replay))
    if compared:
        print_diff(compared)


def _verify(
    client: Client, trace_id: str, place: dict[str, Any], target: str | None, keep: bool
) -> dict[str, Any]:
    wish = {
        "checkpoint_id": place["checkpoint_id"],
        "trace_id": trace_id,
        "target": target,
        "label": "verify",
        "otherwise": "refuse",
    }
    done = ended(client, post(client, wish))
    problem = _problem(client, done)
    if done["trace_id"] and not problem and not keep:
        client.ask("DELETE", api_path("traces", done["trace_id"]))
    return {
        "checkpoint_id": place["checkpoint_id"],
        "label": place["label"],
        "replay_id": done["replay_id"],
        "status": done["status"],
        "counts": done["counts"],
        "problem": problem,
    }


def _problem(client: Client, done: dict[str, Any]) -> str | None:
    """Say in what a replay that changed nothing was not the run itself; None if in nothing."""
    if done["status"] != "succeeded":
        return f"it {done['status']}: {done['error'] or 'no reason was told'}"
    if done["counts"]["live"]:
        return f"{_first_live(client, done['trace_id'])} was not in the record, and ran again"
    compared = _diff(client, done)
    if compared is None:
        return "its trace did not arrive"
    if compared["first_divergence"] is not None:
        return row_line(compared["rows"][compared["first_divergence"]])
    return None


def _first_live(client: Client, trace_id: str) -> str:
    """Name the first model or tool call that was executed again."""
    for span_id in client.get("traces", trace_id, "spans")["span_id"]:
        span = client.get("traces", trace_id, "spans", span_id)
        tier = span["attributes"].get("agenttrace.replay.tier")
        if tier == "live" and span["kind"] in ("llm", "tool"):
            by = span["attributes"].get("agenttrace.call.agent")
            return f"{span['name']}" + (f" of {by}" if by else "")
    return "A call"
