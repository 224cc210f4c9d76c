"""What a replay takes, everything live from the start, against just running the same application.

The example's research team, whose scripted model takes 40 ms an answer. The baseline is a run of it
in a process that records nothing; the replay goes through a server and a worker, and is timed from
the wish to the answer that it has ended. Prints JSON lines.

    python benchmarks/replay.py [--rounds 7]
"""

import argparse
import json
import os
import runpy
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

sys.path.append(str(Path(__file__).parents[1] / "tests"))

from langchain_core.messages import HumanMessage

from support.server import RunningServer, running_server

FILE = str(Path(__file__).parents[1] / "examples" / "research_team.py")
SHARE, CONSTANT_SECONDS = 1.2, 0.2


def plain(application: dict[str, Any]) -> float:
    """Return the seconds the application takes by itself."""
    team = application["scripted_team"]()
    asked = {"messages": [HumanMessage(application["QUESTION"])]}
    began = time.perf_counter()
    team.invoke(asked, {"recursion_limit": 60})
    return time.perf_counter() - began


def replayed(server: RunningServer, wish: dict[str, Any]) -> float:
    """Return the seconds from the wish for a replay to the answer that it has ended."""
    began = time.perf_counter()
    made = server.client.post("/api/replays", json=wish).json()
    while not made["ended_at"]:
        time.sleep(0.01)
        made = server.get(f"/api/replays/{made['replay_id']}")
    taken = time.perf_counter() - began
    if made["status"] != "succeeded":
        raise SystemExit(f"the replay {made['status']}: {made['error']}")
    return taken


@contextmanager
def working(server: RunningServer) -> Iterator[str]:
    """Record the application and have a worker of it; give the checkpoint at its start."""
    environment = {**os.environ, "OTEL_EXPORTER_OTLP_ENDPOINT": server.url}
    command = [sys.executable, "-m", "agenttrace"]
    quiet: dict[str, Any] = {"env": environment, "stdout": subprocess.DEVNULL}
    subprocess.run([*command, "run", FILE], check=True, **quiet)
    trace_id = server.get("/api/traces")["items"][0]["trace_id"]
    server.wait_analysed(trace_id)
    first = server.get(f"/api/traces/{trace_id}/checkpoints")["items"][0]
    worker = subprocess.Popen([*command, "worker", FILE], **quiet)
    try:
        while not server.get("/api/workers")["items"]:
            time.sleep(0.1)
        yield first["checkpoint_id"]
    finally:
        worker.terminate()
        worker.wait()


def main() -> int:
    """Measure and print; return 1 if a target is missed."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args()
    missed = False
    application = runpy.run_path(FILE)
    with running_server() as server, working(server) as checkpoint:
        wishes: dict[str, dict[str, Any]] = {
            "live": {"checkpoint_id": checkpoint, "mode": "live", "live_tools": "all"},
            "from the record": {"checkpoint_id": checkpoint},
        }
        for wish in wishes.values():
            replayed(server, wish)
        runs: dict[str, list[float]] = {"plain": [], **{name: [] for name in wishes}}
        for _ in range(options.rounds):
            runs["plain"].append(plain(application))
            for name, wish in wishes.items():
                runs[name].append(replayed(server, wish))
    baseline = statistics.median(runs["plain"])
    target = baseline * SHARE + CONSTANT_SECONDS
    for name in wishes:
        taken = statistics.median(runs[name])
        missed |= taken > target
        line = {
            "name": f"a replay, {name}",
            "value": round(taken, 3),
            "unit": "s",
            "baseline": round(baseline, 3),
            "ratio": round(taken / baseline, 2),
            "target": f"< {target:.3f}",
            "ok": taken <= target,
        }
        print(json.dumps(line), flush=True)
    return int(missed)


if __name__ == "__main__":
    sys.exit(main())
