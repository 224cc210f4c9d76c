"""`replay` and `checkpoints`: run an application again from where it was, with what you change."""

import json
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from agenttrace.edits import steps_of
from agenttrace_server.cli.client import Client, ServerURL, api_path, connect
from agenttrace_server.cli.configuration import DatabaseURL
from agenttrace_server.cli.diff import print_diff
from agenttrace_server.cli.terminal import (
    Format,
    FormatOption,
    say,
    write_json,
    write_line,
    write_table,
)
from agenttrace_server.cli.traces import TraceArgument, clip
from agenttrace_server.cli.verify import verify
from agenttrace_server.cli.waiting import (
    ENDED,
    TargetOption,
    compared_with_original,
    ended,
    how_far,
    post,
)


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
    replay.command(epilog="Example: agenttrace replay verify last")(verify)
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
            "--edit",
            metavar="PATH=VALUE",
            help="Change the state: `messages/-1/content=No`, `plan.steps=[1,2]`. The value is "
            "text where the state has text, else JSON if it can be read as that. May be repeated.",
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
        "mode": "live" if live else "recorded",
        "live_tools": "all" if live_tools and "all" in live_tools else live_tools or [],
        "target": target,
        "label": label,
        "timeout_seconds": timeout,
    }
    given = [split(text) for text in edits or []]
    with connect(server, database_url) as client:
        trace = wish["trace_id"] = client.trace_id(trace) if trace else None
        checkpoint = _checkpoint(client, where, trace)
        place = "message_id" if checkpoint is None else "checkpoint_id"
        if given and checkpoint is None:
            checkpoint = client.get("messages", where, "checkpoint", trace_id=trace)
        state = checkpoint["parsed"] if checkpoint else None
        changes = [{"path": path, "value": value_of(text, path, state)} for path, text in given]
        made = post(client, {**wish, "edits": changes, place: where})
        if wait:
            made = ended(client, made)
        compared = compared_with_original(client, made) if wait else None
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


def split(given: str) -> tuple[str, str]:
    """Return the path and the value of `PATH=VALUE`."""
    path, equals, value = given.partition("=")
    if not equals or not path:
        raise typer.BadParameter(f"{given!r} is not PATH=VALUE", param_hint="--set")
    return path, value


def value_of(text: str, path: str, state: Any) -> Any:
    """Return what a text stands for at a path of a state: itself where there is text now."""
    there = state
    for step in steps_of(path):
        try:
            there = there[int(step)] if isinstance(there, list) else there[step]
        except (LookupError, ValueError, TypeError):
            # A framework's alias, or inside a value of its own: its executor knows better.
            there = None
    if isinstance(there, str):
        return text
    try:
        return json.loads(text)
    except ValueError:
        return text


def _checkpoint(client: Client, given: str, trace: str | None) -> dict[str, Any] | None:
    reply = client.call("GET", api_path("checkpoints", given, trace_id=trace))
    found: dict[str, Any] | None = reply.json() if reply.status == 200 else None
    return found


def _print(replay: dict[str, Any], compared: dict[str, Any] | None, address: str) -> None:
    write_line(f"{replay['status']}: {address}/replays/{replay['replay_id']}", style="bold")
    if replay["note"]:
        write_line(replay["note"])
    if replay["error"]:
        write_line(replay["error"], style="red")
    if replay["steps"]:
        if replay["status"] == "simulated":
            say("No worker is connected that could run it: this is what would run again")
        write_table(
            ("call", "agent", "tier", "why"),
            ((s["name"], s["agent"] or "", s["tier"], s["why"]) for s in replay["steps"]),
        )
    elif replay["status"] in ENDED:
        write_line(how_far(replay))
    if compared:
        print_diff(compared)
