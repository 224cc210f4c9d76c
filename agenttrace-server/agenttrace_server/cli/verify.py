"""`replay verify`: run a trace again from every checkpoint, and expect the same of it."""

from typing import Annotated, Any

import typer

from agenttrace.errors import AgentTraceError
from agenttrace_server.cli.client import Client, ServerURL, api_path, connect
from agenttrace_server.cli.configuration import DatabaseURL
from agenttrace_server.cli.diff import row_line
from agenttrace_server.cli.terminal import Format, FormatOption, say, write_json, write_table
from agenttrace_server.cli.traces import TraceArgument
from agenttrace_server.cli.waiting import TargetOption, compared_with_original, ended, post


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
    compared = compared_with_original(client, done)
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
