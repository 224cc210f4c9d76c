"""Start a replay over HTTP, and wait for it in front of a person."""

import json
import time
from collections.abc import Callable
from typing import Annotated, Any

import typer

from agenttrace.errors import ServerError
from agenttrace_server.cli.client import Client, api_path
from agenttrace_server.cli.terminal import progress, say

LOOK_SECONDS = 0.2
ANALYSIS_SECONDS = 60.0
AWAY_SECONDS = 60.0
"""How long a server may be away while somebody waits for a replay."""
ENDED = ("succeeded", "failed", "stopped", "cancelled", "simulated")

TargetOption = Annotated[
    str | None,
    typer.Option(metavar="NAME", help="Which application, where a worker has several."),
]


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
                tell(how_far(now))
                time.sleep(LOOK_SECONDS)
                now = _asked_again(client, replay["replay_id"], tell)
            if now["trace_id"]:
                tell("what came of it is being analysed")
                _analysed(client, now["trace_id"])
    except KeyboardInterrupt:
        client.ask("POST", api_path("replays", replay["replay_id"], "cancel"))
        say("cancelled")
        raise
    return now


def _asked_again(client: Client, replay_id: str, tell: Callable[[str], None]) -> dict[str, Any]:
    """Return the replay as it is now; a server that is away for a while loses none."""
    deadline = time.monotonic() + AWAY_SECONDS
    while True:
        try:
            found: dict[str, Any] = client.get("replays", replay_id)
            return found
        except ServerError as error:
            if time.monotonic() > deadline:
                raise ServerError(
                    f"{error}; replay {replay_id} goes on once one is there"
                ) from None
            tell("the server is away: waiting for it")
            time.sleep(1.0)


def _analysed(client: Client, trace_id: str) -> None:
    """Wait until the messages of a trace are derived; it is no error where that takes too long."""
    deadline = time.monotonic() + ANALYSIS_SECONDS
    while time.monotonic() < deadline:
        reply = client.call("GET", api_path("traces", trace_id))
        found = reply.json() if reply.status == 200 else {}
        if found.get("analysed") and found["status"] != "running":
            return
        time.sleep(LOOK_SECONDS)


def how_far(replay: dict[str, Any]) -> str:
    """Say for people how far a replay is."""
    if replay["note"]:
        return str(replay["note"])
    counts = replay["counts"]
    calls = ", ".join(f"{counts[tier]} {tier}" for tier in ("restored", "recorded", "live"))
    return f"{replay['status']}: {calls}"


def compared_with_original(client: Client, replay: dict[str, Any]) -> dict[str, Any] | None:
    """Return how a replay differs from its original, None where it left no trace."""
    reply = client.call("GET", api_path("replays", replay["replay_id"], "diff"))
    compared: dict[str, Any] | None = reply.json() if reply.status == 200 else None
    return compared
