"""Train the weights with which steps of failed runs are ranked, and say how well they do.

    python benchmarks/train_decisive.py DIR [--save]

DIR holds labelled runs (`*.jsonl`, see `labelled.py`) whose labels name the decisive agent and
step. A conditional logit over the steps of each run: its weights make the named step the likeliest.
Prints grouped cross-validation, and leave-one-framework-out; `--save` writes the weights trained on
everything into the package. Needs NumPy.
"""

import argparse
import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import msgspec
import numpy as np
from labelled import Record, records, step_of, trace_of

from agenttrace.plugins import Plugins
from agenttrace_server import mast
from agenttrace_server.mast.features import features
from agenttrace_server.mast.suspects import by_agent, candidates, softmax
from agenttrace_server.mast.talk import Talk

FOLDS = 5
PENALTY = 8.0
ROUNDS = 200


class Case(msgspec.Struct):
    """One run with its label: the features of each candidate step, and which one decided it."""

    set: str
    framework: str
    group: str
    agents: list[str]
    steps: list[int]
    rows: list[dict[str, float]]
    agent: str
    step: int


def truth(record: Record) -> tuple[str, int] | None:
    """Return the decisive agent and its 0-based step, if the record names them."""
    labels = record.get("labels") or {}
    if labels.get("mistake_step") is not None:
        return _spelt(record, labels.get("mistake_agent")), int(labels["mistake_step"])
    if labels.get("root_step") is not None:
        return _spelt(record, labels.get("root_agent")), int(labels["root_step"]) - 1
    return None


def _spelt(record: Record, name: object) -> str:
    """Return an agent's name as the steps spell it: labels are not careful with capitals."""
    names = {str(step.get("agent")).lower(): str(step.get("agent")) for step in record["steps"]}
    return names.get(str(name).lower(), str(name))


def set_of(record: Record) -> str:
    """Return which of the sets with decisive steps a record is of."""
    return ":".join(str(record.get("id", "")).split(":")[:2])


def cases(folder: Path) -> list[Case]:
    """Return every run that has a decisive step among its candidates."""
    plugins = Plugins()
    found = []
    for _, record in records(folder):
        if (named := truth(record)) is None:
            continue
        talk = Talk(trace_of(record, plugins))
        table = features(talk)
        steps = [(said, step_of(said.message.message_id)) for said in candidates(talk)]
        told = [(said, step) for said, step in steps if step is not None]
        found.append(
            Case(
                set=set_of(record),
                framework=str(record.get("framework")),
                group=str(record.get("group") or record.get("id")),
                agents=[said.sender for said, _ in told],
                steps=[step for _, step in told],
                rows=[table[said.index] for said, _ in told],
                agent=named[0],
                step=named[1],
            )
        )
    return found


def train(given: Sequence[Case]) -> dict[str, float]:
    """Return the weight of each feature; every framework counts the same, whatever its number."""
    usable = [case for case in given if case.step in case.steps]
    names = sorted({name for case in usable for name in case.rows[0]})
    tables = [np.array([[row.get(n, 0.0) for n in names] for row in case.rows]) for case in usable]
    right = [case.steps.index(case.step) for case in usable]
    sizes = {f: sum(c.framework == f for c in usable) for f in {c.framework for c in usable}}
    share = [(len(usable) / len(sizes) / sizes[case.framework]) ** 0.5 for case in usable]
    weight = np.zeros(len(names))
    momentum = np.zeros(len(names))
    for _ in range(ROUNDS):
        slope = -PENALTY * weight
        for table, place, much in zip(tables, right, share, strict=True):
            scores = table @ weight
            chance = np.exp(scores - scores.max())
            chance /= chance.sum()
            slope += much * (table[place] - chance @ table)
        momentum = 0.9 * momentum + 0.1 * slope
        weight = weight + 0.2 * momentum
    return {name: round(float(w), 3) for name, w in zip(names, weight, strict=True)}


def judge(case: Case, weight: Mapping[str, float]) -> dict[str, bool]:
    """Return what the ranking got right in one run."""
    scores = [sum(weight.get(n, 0.0) * x for n, x in row.items()) for row in case.rows]
    chances = softmax(scores)
    order = sorted(range(len(chances)), key=lambda i: -chances[i])
    agents = [name for name, _ in by_agent(list(zip(case.agents, chances, strict=True)))]
    return {
        "step": case.steps[order[0]] == case.step,
        "step@3": case.step in [case.steps[i] for i in order[:3]],
        "agent": agents[0] == case.agent,
        "agent of step": case.agents[order[0]] == case.agent,
    }


def fold_of(group: str) -> int:
    """Return the fold a group belongs to, the same every time."""
    return int(hashlib.sha256(group.encode()).hexdigest(), 16) % FOLDS


def cross_validated(given: Sequence[Case]) -> list[tuple[Case, dict[str, bool]]]:
    """Return each run judged with weights that no run of its group had a part in."""
    judged = []
    for fold in range(FOLDS):
        weight = train([case for case in given if fold_of(case.group) != fold])
        judged += [(c, judge(c, weight)) for c in given if fold_of(c.group) == fold]
    return judged


def left_out(given: Sequence[Case]) -> list[tuple[Case, dict[str, bool]]]:
    """Return each run judged with weights that no run of its framework had a part in."""
    judged = []
    for framework in sorted({case.framework for case in given}):
        weight = train([case for case in given if case.framework != framework])
        judged += [(c, judge(c, weight)) for c in given if c.framework == framework]
    return judged


def report(title: str, judged: Iterable[tuple[Case, dict[str, bool]]]) -> None:
    """Print the share that was right, by set."""
    by_set: dict[str, list[dict[str, bool]]] = {}
    for case, right in judged:
        by_set.setdefault(case.set, []).append(right)
    print(title)
    for name, rows in sorted(by_set.items()):
        shares = {key: sum(row[key] for row in rows) / len(rows) for key in rows[0]}
        told = "  ".join(f"{key} {share:5.1%}" for key, share in shares.items())
        print(f"  {name:26} n={len(rows):3}  {told}")


def main() -> None:
    """Train and report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--save", action="store_true")
    options = parser.parse_args()
    given = cases(options.folder)
    report("grouped cross-validation", cross_validated(given))
    report("leave one framework out", left_out(given))
    weight = train(given)
    report("in sample", [(case, judge(case, weight)) for case in given])
    if options.save:
        path = Path(next(iter(mast.__path__))) / "decisive.json"
        path.write_text(json.dumps(weight, indent=1, sort_keys=True) + "\n")
    print(json.dumps(dict(sorted(weight.items(), key=lambda i: -abs(i[1]))), indent=None))


if __name__ == "__main__":
    main()
