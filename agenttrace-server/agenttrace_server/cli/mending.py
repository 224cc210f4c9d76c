"""The demo's second half: go back to the step that decided the run, change it, run again."""

import time
from typing import Any

import msgspec

from agenttrace_server.cli.client import Client
from agenttrace_server.cli.terminal import say, warn, write_line
from agenttrace_server.cli.waiting import compared_with_original, ended, post

WORKER_SECONDS = 60.0


class Correction(msgspec.Struct, frozen=True):
    """What is changed in the state before the decisive step, and what that means in words.

    `target` is what the demo's worker calls its application: no other may take the replay.
    """

    target: str
    path: str
    value: str
    meaning: str


def mend(client: Client, trace_id: str, correction: Correction) -> None:
    """Replay a trace with a correction and print what became of its answer.

    A demo that cannot be mended is still a demo: then a warning says why.
    """
    steps = client.get("traces", trace_id, "decisive")["steps"]
    if not steps or not steps[0]["message_id"]:
        warn("no message decided this run, so there is nothing to go back to")
        return
    step = steps[0]
    say(f"Going back to before {step['agent']} went wrong; this time {correction.meaning}")
    if not _offered(client, correction.target):
        warn(f"no worker offered {correction.target} within {WORKER_SECONDS:.0f} s")
        return
    made = ended(client, post(client, _wish(trace_id, step["message_id"], correction)))
    if made["status"] != "succeeded":
        warn(f"the replay {made['status']}: {made['error'] or made['note']}")
        return
    _print(client, made)


def _wish(trace_id: str, message_id: str, correction: Correction) -> dict[str, Any]:
    return {
        "trace_id": trace_id,
        "message_id": message_id,
        "target": correction.target,
        "edits": [{"path": correction.path, "value": correction.value}],
        # The demo's tools look up constants: they may run again.
        "live_tools": "all",
        "label": correction.meaning,
    }


def _offered(client: Client, target: str) -> bool:
    """Wait until a worker that can run the target is connected; say whether one is."""
    deadline = time.monotonic() + WORKER_SECONDS
    while time.monotonic() < deadline:
        workers = client.get("workers")["items"]
        if any(offer["name"] == target for worker in workers for offer in worker["targets"]):
            return True
        time.sleep(0.1)
    return False


def _print(client: Client, made: dict[str, Any]) -> None:
    write_line(f"Answer was  {_answer(client, made['source_trace_id'])}", style="red")
    write_line(f"Answer is   {_answer(client, made['trace_id'])}", style="green")
    compared = compared_with_original(client, made)
    if compared is not None:
        gone, new = len(compared["failures_lost"]), len(compared["failures_gained"])
        write_line(f"Failures    {gone} gone, {new} new")
    write_line()
    write_line(f"Side by side: {client.where}/replays/{made['replay_id']}", style="bold")


def _answer(client: Client, trace_id: str) -> str:
    """Return what the user was told in the end."""
    return str(client.get("traces", trace_id, "messages", limit=10_000)["items"][-1]["content"])
