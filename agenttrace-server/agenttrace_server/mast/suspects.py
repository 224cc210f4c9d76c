"""Rank the steps of a failed run by how likely it is that the run went wrong there.

A linear model over the features of `features`; `benchmarks/train_decisive.py` trains its weights on
runs whose decisive step people had named. See MODEL_CARD.md.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from importlib.resources import files
from typing import Final

import msgspec

from agenttrace.models import USER, Message, Trace
from agenttrace_server.mast.features import Features, features
from agenttrace_server.mast.talk import Said, Talk

_REASONS: Final = {
    "before_first_failure": "the first error follows it",
    "before_failure": "an error follows it",
    "objected_to": "another agent objects to it",
    "fails": "it reports an error",
    "made_up": "it assumes or makes up what it does not know",
    "admits": "it falls short of what was asked",
    "shortfall_next": "what comes next falls short",
    "adopted": "later steps build on it",
    "repeats": "it repeats an earlier step",
    "code": "it brings in code",
    "concludes": "it draws the conclusion",
    "verifies": "it is to verify",
    "first": "it sets the course",
    "second": "it is the first answer",
    "first_of_agent": "it is this agent's first step",
    "numbers": "it brings in figures",
}


class Suspect(msgspec.Struct, frozen=True):
    """A step the run may have gone wrong at; `score` is its share of the likelihood, 0 to 1."""

    agent: str
    message: Message
    score: float
    reasons: tuple[str, ...] = ()


@cache
def weights() -> Mapping[str, float]:
    """Return the trained weight of each feature."""
    text = files("agenttrace_server.mast").joinpath("decisive.json").read_bytes()
    return msgspec.json.decode(text, type=dict[str, float])


def rank(trace: Trace, weight: Mapping[str, float] | None = None) -> list[Suspect]:
    """Return the steps of a failed run, the likeliest first, each with up to three reasons.

    Meant for runs that failed: in one that worked, the first in the ranking means nothing.
    """
    talk = Talk(trace)
    weight = weights() if weight is None else weight
    rows = features(talk)
    steps = candidates(talk)
    if not steps:
        return []
    scores = [sum(weight.get(name, 0.0) * x for name, x in rows[s.index].items()) for s in steps]
    chances = softmax(scores)
    ranked = [
        Suspect(step.sender, step.message, chance, _reasons(rows[step.index], weight))
        for step, chance in zip(steps, chances, strict=True)
    ]
    return sorted(ranked, key=lambda suspect: -suspect.score)


def by_agent(steps: Iterable[tuple[str, float]]) -> list[tuple[str, float]]:
    """Return the agents with the likelihood of their two likeliest steps, the likeliest first.

    Two and not all: else whoever speaks most is always to blame.
    """
    shares: dict[str, list[float]] = {}
    for agent, score in steps:
        shares.setdefault(agent, []).append(score)
    total = {agent: sum(sorted(own, reverse=True)[:2]) for agent, own in shares.items()}
    return sorted(total.items(), key=lambda item: -item[1])


def candidates(talk: Talk) -> list[Said]:
    """Return the messages that may have decided a run: all but what the user first asked for."""
    task = talk.task
    return [said for said in talk.said if said is not task or said.sender != USER]


def softmax(scores: Sequence[float]) -> list[float]:
    """Return scores as shares that add up to one."""
    top = max(scores)
    powers = [math.exp(score - top) for score in scores]
    total = sum(powers)
    return [power / total for power in powers]


def _reasons(row: Features, weight: Mapping[str, float]) -> tuple[str, ...]:
    told = [(weight.get(n, 0.0) * row.get(n, 0.0), why) for n, why in _REASONS.items()]
    return tuple(why for part, why in sorted(told, reverse=True)[:3] if part > 0.05)
