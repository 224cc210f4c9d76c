"""Write Who&When's failed runs in the form that the evaluation and the trainer read.

    git clone https://github.com/ag2ai/Agents_Failure_Attribution
    python benchmarks/from_whowhen.py Agents_Failure_Attribution labelled/whowhen.jsonl

Who&When (Zhang et al. 2025, arXiv 2505.00212; MIT) keeps one JSON object a run, in one folder for
each of its two parts: `question`, `history` of `content`, `role` and `name`, `mistake_agent` and
`mistake_step`, counted from zero.
"""

import argparse
import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

_ADDRESSED = re.compile(r"(?P<who>[^(]+?) \(-> (?P<to>[^)]+)\)$")
_ASIDE = re.compile(r"(?P<who>[^(]+?) \([^)]*\)$")
FRAMEWORKS = {"Algorithm-Generated": "CaptainAgent", "Hand-Crafted": "Magentic-One"}


def runs(clone: Path) -> Iterator[tuple[Path, dict[str, Any]]]:
    """Yield each run below a folder; a JSON file that is none is named on stderr."""
    for path in sorted(clone.rglob("*.json"), key=lambda path: (path.parent, len(path.name), path)):
        try:
            run = json.loads(path.read_text(encoding="utf-8"))
        except ValueError:
            run = None
        if isinstance(run, dict) and isinstance(run.get("history"), list):
            yield path, run
        else:
            print(f"{path}: no run, passed over", file=sys.stderr)


def record(path: Path, run: dict[str, Any]) -> dict[str, Any]:
    """Return a run as a labelled record; runs of one question are of one group."""
    part = path.parent.name
    question = str(run.get("question") or "")
    return {
        "id": f"ww:{part}:{path.stem}",
        "source": "ag2ai/Agents_Failure_Attribution",
        "framework": FRAMEWORKS.get(part, part),
        "task": question,
        "group": f"q:{run.get('question_ID') or question}",
        "steps": [step(index, turn) for index, turn in enumerate(run["history"])],
        "labels": {key: run.get(key) for key in ("mistake_agent", "mistake_step")},
    }


def step(index: int, turn: dict[str, Any]) -> dict[str, Any]:
    """Return a turn; where it has no name, its role says who speaks, and perhaps to whom."""
    role = str(turn.get("role") or "")
    name = str(turn.get("name") or role)
    addressed = _ADDRESSED.match(name)
    found = addressed or _ASIDE.match(name)
    return {
        "index": index,
        "agent": found["who"] if found else name,
        "to": addressed["to"] if addressed else None,
        "role": role,
        "content": str(turn.get("content") or ""),
        "tool_calls": [],
    }


def main() -> None:
    """Read a clone, write a file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("clone", type=Path)
    parser.add_argument("out", type=Path)
    options = parser.parse_args()
    found = [record(path, run) for path, run in runs(options.clone)]
    options.out.parent.mkdir(parents=True, exist_ok=True)
    lines = (json.dumps(one, ensure_ascii=False) + "\n" for one in found)
    options.out.write_text("".join(lines), encoding="utf-8")
    print(f"{len(found)} runs in {options.out}")


if __name__ == "__main__":
    main()
