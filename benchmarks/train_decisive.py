"""Train the weights with which steps of failed runs are ranked, and say how well they do.

    python benchmarks/train_decisive.py DIR [--save]

DIR holds labelled runs (`*.jsonl`, see `labelled.py`) whose labels name the decisive agent and
step. A conditional logit over the steps of each run, one for each shape of run: its weights make
the named step the likeliest. Prints grouped cross-validation, repeated over many splits, and what
the weights are worth on a framework they have not seen; `--save` writes the weights trained on
everything into the package. Needs NumPy.
"""

import argparse
import hashlib
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from labelled import Record, names_of, records, set_of, step_of, trace_of, truth

from agenttrace.plugins import Plugins
from agenttrace_server import mast
from agenttrace_server.mast.features import candidates, features
from agenttrace_server.mast.shapes import Kind
from agenttrace_server.mast.suspects import Weights, by_agent, score, softmax
from agenttrace_server.mast.talk import Talk

FOLDS = 5
REPEATS = 10
PENALTY: Mapping[str, float] = {"peers": 30.0, "led": 16.0, "dialog": 8.0}
"""How strongly weights are held near zero, per standard deviation of a feature."""
EXPECTED: Mapping[str, float] = {
    "first_unsupported": 2.0,
    "first_act_failed": 2.0,
    "unasked_act": 1.0,
    "broke_off": 3.0,
}
"""What a weight is held near instead of zero, where reason tells it: a figure from nowhere, a
change that is refused or that nobody asked for, the step at which a short run broke off."""
NARROWEST = 0.25
"""The least standard deviation of a feature: one that is rare gets no large weight for it."""

Rows = list[dict[str, float]]
Split = dict[str, float]


class Case(msgspec.Struct):
    """One run with its label: the features of each candidate step, and which one decided it."""

    id: str
    set: str
    framework: str
    group: str
    kind: Kind
    agents: list[str]
    steps: list[int]
    rows: Rows
    as_peers: Rows
    agent: str
    step: int


def cases(folder: Path) -> list[Case]:
    """Return every run that has a decisive step among its candidates."""
    return [case for _, record in records(folder) if (case := case_of(record, Plugins()))]


def case_of(record: Record, plugins: Plugins) -> Case | None:
    """Return a record as a case, or None if its labels name no step."""
    if (named := truth(record)) is None:
        return None
    talk = Talk(trace_of(record, plugins))
    kind, rows = features(talk)
    _, as_peers = features(talk, "peers")
    names = names_of(record)
    steps = [(said, step_of(said.message.message_id)) for said in candidates(talk)]
    told = [(said, step) for said, step in steps if step is not None]
    return Case(
        id=str(record.get("id")),
        set=set_of(record),
        framework=str(record.get("framework")),
        group=str(record.get("group") or record.get("id")),
        kind=kind,
        agents=[names.get(step, said.sender) for said, step in told],
        steps=[step for _, step in told],
        rows=[rows[said.index] for said, _ in told],
        as_peers=[as_peers[said.index] for said, _ in told],
        agent=named[0],
        step=named[1],
    )


def train(given: Sequence[Case]) -> dict[str, dict[str, float]]:
    """Return the weight of each feature for each shape of run."""
    kinds = sorted({case.kind for case in given})
    return {
        kind: fit([(c.rows, c) for c in given if c.kind == kind], PENALTY[kind]) for kind in kinds
    }


def fit(given: Sequence[tuple[Rows, Case]], penalty: float) -> dict[str, float]:
    """Return the weights of a conditional logit, by Newton's method."""
    usable = [
        (rows, case.steps.index(case.step)) for rows, case in given if case.step in case.steps
    ]
    names = sorted({name for rows, _ in usable for row in rows for name in row})
    if not names:
        return {}
    tables = [np.array([[row.get(n, 0.0) for n in names] for row in rows]) for rows, _ in usable]
    spread = np.concatenate(tables).std(axis=0)
    varies = spread > 0
    spread = np.maximum(spread, NARROWEST)
    tables = [table * varies / spread for table in tables]
    expected = np.array([EXPECTED.get(name, 0.0) for name in names]) * varies * spread
    weight = expected.copy()
    for _ in range(15):
        slope = -penalty * (weight - expected)
        curve = penalty * np.eye(len(names))
        for table, (_, place) in zip(tables, usable, strict=True):
            scores = table @ weight
            chance = np.exp(scores - scores.max())
            chance /= chance.sum()
            mean = chance @ table
            away = table - mean
            slope += table[place] - mean
            curve += away.T @ (away * chance[:, None])
        move = np.linalg.solve(curve, slope)
        weight = weight + move * min(1.0, 2.0 / max(1e-9, float(np.abs(move).max())))
    told = zip(names, weight / spread, strict=True)
    return {name: round(float(w), 3) for name, w in told if abs(w) > 0.0005}


def judge(case: Case, rows: Rows, weight: Mapping[str, float]) -> Split:
    """Return what the ranking got right in one run."""
    chances = softmax([score(row, weight) for row in rows])
    order = sorted(range(len(chances)), key=lambda i: -chances[i])
    agents = [name for name, _ in by_agent(list(zip(case.agents, chances, strict=True)))]
    return {
        "step": case.steps[order[0]] == case.step,
        "step@3": case.step in [case.steps[i] for i in order[:3]],
        "agent": agents[0] == case.agent,
        "agent@3": case.agent in agents[:3],
    }


def fold_of(group: str, split: int = 0) -> int:
    """Return the fold a group belongs to in one of the splits, the same every time."""
    return int(hashlib.sha256(f"{split}:{group}".encode()).hexdigest(), 16) % FOLDS


def cross_validated(given: Sequence[Case], split: int = 0) -> list[tuple[Case, Split]]:
    """Return each run judged with weights that no run of its group had a part in."""
    judged = []
    for fold in range(FOLDS):
        weight = train([case for case in given if fold_of(case.group, split) != fold])
        judged += [
            (c, judge(c, c.rows, weight.get(c.kind, {})))
            for c in given
            if fold_of(c.group, split) == fold
        ]
    return judged


def held_out(given: Sequence[Case]) -> Callable[[Case], Weights]:
    """Return what gives, for each case, weights that its group had no part in."""
    by_fold = {
        fold: train([case for case in given if fold_of(case.group) != fold])
        for fold in range(FOLDS)
    }
    return lambda case: by_fold[fold_of(case.group)]


def left_out(given: Sequence[Case]) -> list[tuple[Case, Split]]:
    """Return each run judged with weights that no run of its framework had a part in.

    The public sets have one framework for each shape, so all are read as runs among peers here.
    """
    judged = []
    for framework in sorted({case.framework for case in given}):
        others = [(case.as_peers, case) for case in given if case.framework != framework]
        weight = fit(others, PENALTY["peers"])
        judged += [(c, judge(c, c.as_peers, weight)) for c in given if c.framework == framework]
    return judged


def report(title: str, splits: Sequence[Iterable[tuple[Case, Split]]]) -> None:
    """Print the share that was right, by set: the mean over the splits and its spread."""
    shares: dict[str, list[dict[str, Any]]] = {}
    for judged in splits:
        by_set: dict[str, list[Split]] = {}
        for case, right in judged:
            by_set.setdefault(case.set, []).append(right)
        for name, rows in by_set.items():
            mean = {key: sum(row[key] for row in rows) / len(rows) for key in rows[0]}
            shares.setdefault(name, []).append(mean | {"n": len(rows)})
    print(title)
    for name, means in sorted(shares.items()):
        told = []
        for key in ("step", "step@3", "agent", "agent@3"):
            values = np.array([mean[key] for mean in means])
            told.append(f"{key} {values.mean():5.1%} ±{values.std():4.1%}")
        print(f"  {name:26} n={means[0]['n']:3}  {'  '.join(told)}")


def main() -> None:
    """Train and report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--save", action="store_true")
    options = parser.parse_args()
    given = cases(options.folder)
    splits = [cross_validated(given, split) for split in range(REPEATS)]
    report(f"grouped cross-validation, {REPEATS} splits", splits)
    report("leave one framework out, features among peers", [left_out(given)])
    weight = train(given)
    report("in sample", [[(c, judge(c, c.rows, weight.get(c.kind, {}))) for c in given]])
    if options.save:
        path = Path(next(iter(mast.__path__))) / "decisive.json"
        # A shape of run that DIR has no example of keeps the weights it has.
        kept = json.loads(path.read_text()) | weight
        path.write_text(json.dumps(kept, indent=1, sort_keys=True) + "\n")
    for kind, own in weight.items():
        told = sorted(own.items(), key=lambda item: -abs(item[1]))
        print(kind, "  ".join(f"{name} {w:+.2f}" for name, w in told))


if __name__ == "__main__":
    main()
