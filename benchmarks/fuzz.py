"""The coverage-guided fuzzing of the suite, for long: bytes that make the server fail, or none.

Its baseline is nothing: what is found must be 0. What is found is left in the folder.

    python benchmarks/fuzz.py [--seconds 120] [--corpus FOLDER]
"""

import argparse
import json
import re
import subprocess
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path

HARNESS = Path(__file__).parents[1] / "tests" / "support" / "fuzzing.py"


def fuzz(target: str, seconds: int, folder: Path) -> bool:
    """Fuzz one target and report; return whether nothing was found."""
    corpus = folder / target
    corpus.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, str(HARNESS), target, str(corpus), "-max_len=9000", "-timeout=120"]
    command += [f"-max_total_time={seconds}", f"-artifact_prefix={folder}/{target}-"]
    done = subprocess.run(command, capture_output=True, text=True)
    ok = done.returncode == 0
    if not ok:
        sys.stderr.write(done.stderr[-4000:])
    runs = re.findall(r"^(?:#|Done )(\d+)", done.stderr, re.MULTILINE)
    line = {
        "name": f"fuzzing the {target} for {seconds} s: inputs that make the server fail",
        "value": 0 if ok else 1,
        "unit": f"of {runs[-1] if runs else 0}",
        "target": "== 0",
        "ok": ok,
    }
    print(json.dumps(line), flush=True)
    return ok


def main() -> int:
    """Fuzz every target."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--seconds", type=int, default=120)
    parser.add_argument("--corpus", type=Path, help="keep what reaches new code, and begin with it")
    options = parser.parse_args()
    if find_spec("atheris") is None:
        parser.error("Atheris has no wheel for this platform")
    with tempfile.TemporaryDirectory() as folder:
        found = [
            fuzz(target, options.seconds, (options.corpus or Path(folder)).resolve())
            for target in ("decoders", "edge")
        ]
    return 0 if all(found) else 1


if __name__ == "__main__":
    sys.exit(main())
