"""How well failures are found and pinned, against people's labels and against simple baselines.

    python benchmarks/classification.py DIR [--predictions FILE] [--threshold 0.5]

Reads every `*.jsonl` in DIR (see `labelled.py`), turns each record into a trace through the
normalizers, runs the installed classifiers, and writes one JSON line per record to FILE. Labels are
not looked at while predicting; where there are any, the figures follow. The shipped weights of the
ranking were trained on public sets: on those, `train_decisive.py` prints the cross-validated
figures, and those printed here for them are in sample.
"""

import argparse
import io
import json
import logging
import math
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Final

from labelled import (
    Record,
    index_of,
    names_of,
    records,
    set_of,
    step_of,
    steps_of,
    trace_of,
    truth,
)

from agenttrace.models import Trace
from agenttrace.plugins import Plugins, load_plugins
from agenttrace_server.analyse.pipeline import find_failures
from agenttrace_server.mast.modes import MODES
from agenttrace_server.mast.peers import fails
from agenttrace_server.mast.suspects import by_agent, rank

log = logging.getLogger("classification")

Prediction = dict[str, Any]

_CHECKS: Final = frozenset(("3.2", "3.3"))
"""The two modes of verification, which the paper and its data name and order differently."""


def predict(record: Record, trace: Trace, plugins: Plugins, threshold: float) -> Prediction:
    """Return what the classifiers and the ranking say of a record."""
    failures = find_failures(trace, plugins)
    modes = dict.fromkeys(MODES, 0.0)
    for failure in failures:
        if failure.mode in modes:
            modes[failure.mode] = max(modes[failure.mode], failure.confidence)
    names = names_of(record)
    ranking = []
    for one in rank(trace):
        step = step_of(one.message.message_id)
        agent = one.agent if step is None else names.get(step) or one.agent
        ranking.append({"agent": agent, "step": step, "score": round(one.score, 4)})
    agents = by_agent((str(one["agent"]), float(str(one["score"]))) for one in ranking)
    return {
        "id": record.get("id"),
        "modes": modes,
        "shown": sorted({f.mode for f in failures if f.confidence >= threshold}),
        "decisive": {
            "agent": agents[0][0] if agents else None,
            "step": ranking[0]["step"] if ranking else None,
        },
        "ranking": ranking,
    }


def wilson(right: int, total: int) -> str:
    """Return a share with its 95 % Wilson interval."""
    if not total:
        return "–"
    p, z = right / total, 1.96
    middle = (p + z * z / (2 * total)) / (1 + z * z / total)
    half = z * math.sqrt(p * (1 - p) / total + z * z / (4 * total**2)) / (1 + z * z / total)
    return f"{p:5.1%} [{max(0, middle - half):.0%}–{middle + half:.0%}]"


def kappa(pairs: Sequence[tuple[bool, bool]]) -> dict[str, float]:
    """Return precision, recall, F1 and Cohen's kappa of (said, true) pairs."""
    both = sum(said and true for said, true in pairs)
    said, true, total = sum(s for s, _ in pairs), sum(t for _, t in pairs), len(pairs)
    agree = sum(s == t for s, t in pairs) / total if total else 0.0
    chance = (said * true + (total - said) * (total - true)) / total**2 if total else 0.0
    return {
        "precision": both / said if said else 0.0,
        "recall": both / true if true else 0.0,
        "f1": 2 * both / (said + true) if said + true else 0.0,
        "kappa": (agree - chance) / (1 - chance) if chance < 1 else 0.0,
    }


def baselines(record: Record) -> dict[str, tuple[str, int]]:
    """Return what one-liners would name: the step before the first error, the first answer."""
    steps = [(index_of(s, i), s) for i, s in enumerate(steps_of(record))]
    if not steps:
        return {}
    names = [str(s.get("agent") or "") for _, s in steps]
    failing = (i for i, (_, s) in enumerate(steps) if fails(str(s.get("content") or "")))
    at = max(0, next(failing, 1) - 1)
    hub = Counter(n for n in names if n.lower() not in ("human", "user")).most_common(1)
    others = [i for i, n in enumerate(names) if i and hub and n != hub[0][0]]
    first = others[0] if others else 0
    last = max(0, len(steps) - 2)
    found = {"before the first error": at, "first not of the busiest": first, "last but one": last}
    return {name: (names[i], steps[i][0]) for name, i in found.items()}


def report_decisive(given: Sequence[tuple[Record, Prediction]]) -> None:
    """Print agent and step accuracy by set, the ranking beside the one-liners."""
    by_set: dict[str, list[tuple[Record, Prediction]]] = defaultdict(list)
    for record, prediction in given:
        if truth(record):
            by_set[set_of(record)].append((record, prediction))
    for name, rows in sorted(by_set.items()):
        print(f"\n{name}, n={len(rows)}: decisive agent and step, exact")
        counts: Counter[str] = Counter()
        for record, prediction in rows:
            agent, step = truth(record) or ("", -1)
            ranking = prediction["ranking"]
            agents = [a for a, _ in by_agent((r["agent"], r["score"]) for r in ranking)]
            counts["agent"] += prediction["decisive"]["agent"] == agent
            counts["agent, top 3"] += agent in agents[:3]
            counts["step"] += prediction["decisive"]["step"] == step
            counts["step, top 3"] += step in [r["step"] for r in ranking[:3]]
            for which, (who, where) in baselines(record).items():
                counts[f"agent: {which}"] += who == agent
                counts[f"step: {which}"] += where == step
        for what in sorted(counts):
            print(f"  {what:34} {wilson(counts[what], len(rows))}")
        chances = [_by_chance(record) for record, _ in rows]
        for what, share in zip(("agent", "step"), zip(*chances, strict=True), strict=True):
            print(f"  {what + ': any step, at random':34} {sum(share) / len(rows):5.1%}")


def _by_chance(record: Record) -> tuple[float, float]:
    """Return how likely a step drawn at random has the right agent, and is the right one."""
    agent, step = truth(record) or ("", -1)
    names = names_of(record)
    shares = sum(name == agent for name in names.values()), int(step in names)
    return shares[0] / max(1, len(names)), shares[1] / max(1, len(names))


def report_modes(given: Sequence[tuple[Record, Prediction]]) -> None:
    """Print agreement by mode and pooled, beside that of each framework's most common modes."""
    by_set: dict[str, list[tuple[Record, Prediction]]] = defaultdict(list)
    for record, prediction in given:
        if marks_of(record):
            by_set[set_of(record).split(":")[0]].append((record, prediction))
    for name, rows in sorted(by_set.items()):
        print(f"\n{name}, n={len(rows)}: shown findings by mode")
        pooled: list[tuple[bool, bool]] = []
        prior: list[tuple[bool, bool]] = []
        for mode in MODES:
            marked = [(r, p, marks_of(r)[mode]) for r, p in rows if mode in marks_of(r)]
            pairs = [(mode in p["shown"], true) for _, p, true in marked]
            pooled += pairs
            prior += _prior([(r, true) for r, _, true in marked])
            if pairs:
                print(f"  {mode}  {_line(pairs)}")
        checks = [
            (bool(_CHECKS & set(p["shown"])), any(marks_of(r).get(mode) for mode in _CHECKS))
            for r, p in rows
            if _CHECKS & marks_of(r).keys()
        ]
        print(f"  V    {_line(checks)}\n  all  {_line(pooled)}\n  framework prior  {_line(prior)}")
        for judge in sorted({one for r, _ in rows for one in _judges(r)}):
            said = [
                (bool(marks[mode]), true)
                for r, _ in rows
                if (marks := _judges(r).get(judge))
                for mode, true in marks_of(r).items()
                if mode in marks
            ]
            print(f"  judge {judge}  {_line(said)}")
        good = [p for r, p in rows if r["labels"].get("task_success") == 1]
        if good:
            alarms = sum(bool(p["shown"]) for p in good)
            print(f"  runs that succeeded and are shown a finding: {wilson(alarms, len(good))}")


_BINS: Final = (0.0, 0.5, 0.65, 0.75, 0.85)
"""From where on confidences are held against how often people agreed."""


def report_calibration(given: Sequence[tuple[Record, Prediction]]) -> None:
    """Print, for each range of confidence, how sure the findings were and how many were right."""
    told: dict[tuple[str, float], list[tuple[float, bool]]] = defaultdict(list)
    for record, prediction in given:
        for mode, true in marks_of(record).items():
            if sure := prediction["modes"].get(mode):
                start = max(start for start in _BINS if start <= sure)
                told[set_of(record).split(":")[0], start].append((sure, true))
    if told:
        print("\nconfidence, and the share of findings that people agree with")
    for (name, start), rows in sorted(told.items()):
        mean, right = sum(sure for sure, _ in rows) / len(rows), sum(true for _, true in rows)
        share = wilson(right, len(rows))
        print(f"  {name}, from {start:.2f}  mean {mean:.2f}  n={len(rows):3}  {share}")


def marks_of(record: Record) -> dict[str, bool]:
    """Return which modes people found in a run and which they did not; the others they left out."""
    labels = record.get("labels")
    marks = labels.get("mast") if isinstance(labels, dict) else None
    if not isinstance(marks, dict):
        return {}
    return {mode: bool(mark) for mode, mark in marks.items() if mark is not None}


def _judges(record: Record) -> dict[str, dict[str, Any]]:
    """Return what models that were asked said of a run, by model, if the labels have it."""
    told = record["labels"].get("llm")
    told = told if isinstance(told, dict) else {}
    return {name: marks for name, marks in told.items() if isinstance(marks, dict)}


def _prior(rows: Sequence[tuple[Record, bool]]) -> list[tuple[bool, bool]]:
    """Say of each run what most others of its framework have: knows the framework, not the run."""
    have: Counter[str] = Counter()
    total: Counter[str] = Counter()
    for record, true in rows:
        have[str(record.get("framework"))] += true
        total[str(record.get("framework"))] += 1
    pairs = []
    for record, true in rows:
        name = str(record.get("framework"))
        others = total[name] - 1
        pairs.append((others > 0 and (have[name] - true) / others >= 1 / 3, true))
    return pairs


def _line(pairs: Sequence[tuple[bool, bool]]) -> str:
    told = "  ".join(f"{key} {value:.2f}" for key, value in kappa(pairs).items())
    return f"said {sum(s for s, _ in pairs):3}  true {sum(t for _, t in pairs):3}  {told}"


def write(predictions: Iterable[Prediction], path: Path) -> None:
    """Write one JSON line per record."""
    path.write_text("".join(json.dumps(one) + "\n" for one in predictions), encoding="utf-8")


def main() -> None:
    """Predict, write, and report where there are labels."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--predictions", type=Path)
    parser.add_argument("--threshold", type=float, default=0.5)
    options = parser.parse_args()
    # Names in records may hold what no encoding has.
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")
    plugins = load_plugins()
    given: list[tuple[Record, Prediction]] = []
    spans, seconds = 0, 0.0
    for _, record in records(options.folder):
        try:
            trace = trace_of(record, plugins)
            began = time.process_time()
            prediction = predict(record, trace, plugins, options.threshold)
            seconds += time.process_time() - began
            spans += len(trace.spans)
        except Exception:
            # What cannot be read costs itself; of a record with no steps nothing can be said.
            log.exception("The record %r cannot be read", record.get("id"))
            nothing = {"id": record.get("id")}
            prediction = predict(nothing, trace_of(nothing, plugins), plugins, options.threshold)
        given.append((record, prediction))
    if options.predictions:
        write((prediction for _, prediction in given), options.predictions)
    report_decisive(given)
    report_modes(given)
    report_calibration(given)
    if spans:
        per = seconds / spans * 1e6
        print(f"\n{len(given)} traces, {spans} spans, {per:.0f} µs a span", file=sys.stderr)


if __name__ == "__main__":
    main()
