"""What `import agenttrace` costs, in fresh processes, against what any OpenTelemetry user pays.

The two take turns, and of many rounds the best counts, so that a noisy moment hits neither alone.
The interpreter's own start is taken off both. Prints JSON lines.

    python benchmarks/import_time.py [--rounds 15]
"""

import argparse
import json
import subprocess
import sys

BASELINE = "import opentelemetry.trace, msgspec"
STATEMENTS = {
    "import": "import agenttrace",
    "import and first use of the names an app needs": (
        "import agenttrace; agenttrace.instrument, agenttrace.AgentTracer"
    ),
}
TARGET = 1.5

TIMED = """
import time
start = time.perf_counter()
{statement}
print(time.perf_counter() - start)
"""


def seconds(statement: str) -> float:
    """Return how long the statement takes in a process of its own."""
    command = [sys.executable, "-c", TIMED.format(statement=statement)]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=15)
    rounds = parser.parse_args().rounds
    best = dict.fromkeys([BASELINE, *STATEMENTS.values()], float("inf"))
    for _ in range(rounds):
        for statement in best:
            best[statement] = min(best[statement], seconds(statement))
    report("import time: " + BASELINE, best[BASELINE] * 1000, "ms")
    for name, statement in STATEMENTS.items():
        report(f"import time: {name}", best[statement] * 1000, "ms")
        report(
            f"import time: {name}, against the baseline",
            best[statement] / best[BASELINE],
            "×",
            target=TARGET if name == "import" else None,
        )


def report(name: str, value: float, unit: str, target: float | None = None) -> None:
    """Print one figure as a JSON line."""
    figure: dict[str, object] = {"name": name, "value": round(value, 3), "unit": unit}
    if target is not None:
        figure |= {"target": f"≤ {target}", "ok": value <= target}
    print(json.dumps(figure, ensure_ascii=False))


if __name__ == "__main__":
    main()
