"""Coverage-guided fuzzing, for as long as a test may take; `benchmarks/fuzz.py` goes on longer."""

import platform
import re
import subprocess
import sys
from pathlib import Path

import pytest

HARNESS = Path(__file__).parents[1] / "support" / "fuzzing.py"

# As in pyproject.toml: elsewhere there is no wheel of Atheris, here its absence is a failure.
pytestmark = pytest.mark.skipif(
    (sys.platform, platform.machine()) != ("linux", "x86_64"),
    reason="Atheris has no wheel for this platform",
)

RUNS = {"decoders": 6000, "edge": 1000}


@pytest.mark.parametrize("target", RUNS)
def test_no_bytes_are_the_programs_fault(target: str, tmp_path: Path) -> None:
    command = [sys.executable, str(HARNESS), target, str(tmp_path)]
    options = [f"-runs={RUNS[target]}", "-seed=1", "-max_len=9000", "-timeout=120"]

    done = subprocess.run([*command, *options], cwd=tmp_path, capture_output=True, text=True)

    assert done.returncode == 0, done.stderr[-3000:]
    # A corpus of more than that many inputs is run through to its end.
    ran = re.search(r"Done (\d+) runs", done.stderr)
    assert ran
    assert int(ran[1]) >= RUNS[target]
