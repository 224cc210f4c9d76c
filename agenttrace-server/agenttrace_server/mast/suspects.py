"""Rank the steps of a failed run by how likely it is that the run went wrong there.

A linear model over the features of `features`, one for each shape of run;
`benchmarks/train_decisive.py` trains its weights on runs whose decisive step people had named. See
MODEL_CARD.md.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from importlib.resources import files

import msgspec

from agenttrace.models import Message, Trace
from agenttrace_server.mast.features import REASONS, Features, candidates, features
from agenttrace_server.mast.talk import Talk

Weights = Mapping[str, Mapping[str, float]]
"""The weight of each feature, for each shape of run."""


class Suspect(msgspec.Struct, frozen=True):
    """A step the run may have gone wrong at; `score` is its share of the likelihood, 0 to 1."""

    agent: str
    message: Message
    score: float
    reasons: tuple[str, ...] = ()


@cache
def weights() -> Weights:
    """Return the trained weights."""
    text = files("agenttrace_server.mast").joinpath("decisive.json").read_bytes()
    return msgspec.json.decode(text, type=dict[str, dict[str, float]])


def rank(trace: Trace, trained: Weights | None = None) -> list[Suspect]:
    """Return the steps of a failed run, the likeliest first, each with up to three reasons.

    Meant for runs that failed: in one that worked, the first in the ranking means nothing.
    """
    talk = Talk(trace)
    steps = candidates(talk)
    if not steps:
        return []
    kind, rows = features(talk)
    weight = (weights() if trained is None else trained).get(kind, {})
    chances = softmax([score(rows[step.index], weight) for step in steps])
    ranked = [
        Suspect(step.sender, step.message, chance, _reasons(rows[step.index], weight))
        for step, chance in zip(steps, chances, strict=True)
    ]
    return sorted(ranked, key=lambda suspect: -suspect.score)


def score(row: Features, weight: Mapping[str, float]) -> float:
    """Return how much speaks against a step."""
    return sum(weight.get(name, 0.0) * value for name, value in row.items())


def by_agent(steps: Iterable[tuple[str, float]]) -> list[tuple[str, float]]:
    """Return the agents with the likelihood of their two likeliest steps, the likeliest first.

    Two and not all: else whoever speaks most is always to blame.
    """
    shares: dict[str, list[float]] = {}
    for agent, score in steps:
        shares.setdefault(agent, []).append(score)
    total = {agent: sum(sorted(own, reverse=True)[:2]) for agent, own in shares.items()}
    return sorted(total.items(), key=lambda item: -item[1])


def softmax(scores: Sequence[float]) -> list[float]:
    """Return scores as shares that add up to one."""
    top = max(scores)
    powers = [math.exp(score - top) for score in scores]
    total = sum(powers)
    return [power / total for power in powers]


def _reasons(row: Features, weight: Mapping[str, float]) -> tuple[str, ...]:
    told = [(weight.get(n, 0.0) * row.get(n, 0.0), why) for n, why in REASONS.items()]
    return tuple(why for part, why in sorted(told, reverse=True)[:3] if part > 0.05)
