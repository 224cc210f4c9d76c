"""The kill test of the suite with many kills: server, analysis and PostgreSQL, by `kill -9`.

Its baseline is nothing: what must be lost, and what must be there twice, is 0.

    python benchmarks/kills.py [--kills 30]
"""

import argparse
import json
import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]


def main() -> int:
    """Run the test, report what it did."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--kills", type=int, default=30)
    options = parser.parse_args()
    command = [sys.executable, "-m", "pytest", "-q", "-s", "tests/server/test_receive_killed.py"]
    environment = {**os.environ, "AGENTTRACE_TEST_KILLS": str(options.kills)}
    done = subprocess.run(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True)
    sys.stderr.write(done.stdout)
    said = re.findall(r"on (\w+): (\d+) kills, (\d+) traces .*", done.stdout)
    for database, kills, traces in said:
        line = {
            "name": f"{database}: acknowledged traces that {kills} kills lost or doubled",
            "value": 0 if done.returncode == 0 else None,
            "unit": f"of {traces}",
            "target": "== 0",
            "ok": done.returncode == 0,
        }
        print(json.dumps(line), flush=True)
    return done.returncode


if __name__ == "__main__":
    sys.exit(main())
