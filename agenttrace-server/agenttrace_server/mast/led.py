"""The features of a step in a run that one agent leads and others work for.

A run that ends soon went wrong near its end, on what the last worker brought in; one that goes on
for long never got over one of its first steps.
"""

import math
import re
from typing import Final

from agenttrace.models import USER
from agenttrace_server.mast import signs
from agenttrace_server.mast.peers import admits
from agenttrace_server.mast.shapes import Shape
from agenttrace_server.mast.talk import Said, Talk, telling, words

Features = dict[str, float]

REASONS: Final = {
    "broke_off": "the run broke off here",
    "last_work": "the answer is built on this last piece of work",
    "early_work": "the run never recovered from this early step",
    "ordered_again": "the same work is asked for again after it",
    "built_work": "later requests go through what it found, which may be incomplete",
    "built_thought": "it goes on as if what was found were complete",
    "early_order": "the run never recovered from this early request",
    "work_admits": "it falls short of what was asked",
    "work_source": "the final answer's words come from it",
}

_CRASHED: Final = re.compile(r"Traceback \(most recent call last\)|\b\w*Exception\b")
_REMARK: Final = 5
_MIDDLE: Final = 5
"""So many pieces of work are neither a short run nor a long one."""
_FEW_FINDINGS: Final = 3
_MANY_FINDINGS: Final = 12
_SAME_FINDINGS: Final = 0.4
_NEXT_ORDERS: Final = 30


def features(talk: Talk, shape: Shape) -> list[Features]:
    """Return the features of each message."""
    lead, said = shape.lead, talk.said
    works = [one.index for one in said if one.sender not in (lead, USER)]
    crashed, short = _end(talk, lead, len(works))
    orders, given = _orders(said, lead), _given(said, lead)
    built = _built_on(talk, works, orders)
    answer = _answer(talk)
    rows: list[Features] = []
    done = 0
    last: Said | None = None
    for one in said:
        is_last = one.index == len(said) - 1
        row = {
            "late": one.index / len(said),
            "last": float(is_last),
            "broke_off": float(is_last and crashed) * short,
        }
        if one.sender in (lead, USER):
            row |= _led(one, last, built, is_order=one.index in given)
            row["early_order"] = (1 - short) / (done + 1) if one.index in given else 0.0
            row["after_work"] = float(bool(works) and one.index > works[-1]) * short
        else:
            done += 1
            row |= _work(talk, one, orders[one.index], answer, last)
            row["last_work"] = float(one.index == works[-1] and (is_last or not crashed)) * short
            row["early_work"] = (1 - short) / done
            row["built_work"] = built.get(one.index, 0.0)
            last = one
        rows.append(row)
    return rows


def _end(talk: Talk, lead: str | None, works: int) -> tuple[bool, float]:
    """Return whether a run broke off with an error, and how far it is a short one, 0 to 1."""
    if not talk.said:
        return False, 0.0
    final = talk.said[-1]
    crashed = signs.root_failed(talk.trace) or bool(_CRASHED.search(final.text[-6000:]))
    # Where the lead has not the last word and nothing broke, a limit cut off what went on too long.
    if not crashed and final.sender not in (lead, USER):
        return False, 0.0
    # The logistic function as a tangent: its exponential would overflow in a run of many hundreds.
    return crashed, (1 - math.tanh((works - _MIDDLE) / 2)) / 2


def _led(one: Said, last: Said | None, built: dict[int, float], *, is_order: bool) -> Features:
    """Return what a message of the lead looks like beside the piece of work before it."""
    row = {"remark": float(len(one.words) < _REMARK)}
    if last is not None and is_order:
        row["built_order"] = built.get(last.index, 0.0)
    elif last is not None and not row["remark"] and one.index == last.index + 1:
        row["built_thought"] = built.get(last.index, 0.0)
    return row


def _built_on(
    talk: Talk, works: list[int], orders: list[tuple[frozenset[str], frozenset[str]]]
) -> dict[int, float]:
    """Return the pieces of work whose findings the orders after them go through, and how much."""
    task = talk.task.bag if talk.task else frozenset()
    after = [orders[index][1] for index in works]
    found = {}
    for place, index in enumerate(works):
        own = {w for w in after[place] - task if talk.first_use.get(w) == index}
        if len(own) < _FEW_FINDINGS:
            continue
        later = after[place + 1 : place + 1 + _NEXT_ORDERS]
        again = sum(len(own & order) >= _SAME_FINDINGS * len(own) for order in later)
        found[index] = min(1.0, len(own) / _MANY_FINDINGS) * min(1.0, again / 2)
    return found


def _given(said: list[Said], lead: str | None) -> set[int]:
    """Return which messages of the lead are orders: those that a worker takes up next."""
    found: set[int] = set()
    order: int | None = None
    for one in said:
        if one.sender == lead and len(one.words) >= _REMARK:
            order = one.index
        elif one.sender not in (lead, USER):
            found.update([order] if order is not None else ())
            order = None
    return found


def _work(
    talk: Talk,
    one: Said,
    orders: tuple[frozenset[str], frozenset[str]],
    answer: frozenset[str],
    last: Said | None,
) -> Features:
    """Return what a piece of work looks like beside what was ordered before and after it."""
    order, after = orders
    bag = telling(one.bag)
    own = [word for word in answer & one.bag if talk.first_use.get(word) == one.index]
    return {
        "work": 1.0,
        "covers_order": len(order & bag) / len(order) if order else 0.0,
        "ordered_again": float(_overlap(order, after) > 0.5),
        "same_again": float(last is not None and _overlap(telling(last.bag), bag) > 0.6),
        "work_long": min(1.0, math.log1p(len(one.words)) / 7),
        "work_admits": float(admits(one.text)),
        "work_source": len(own) / len(answer) if answer else 0.0,
    }


def _overlap(one: frozenset[str], other: frozenset[str]) -> float:
    return len(one & other) / len(one | other) if one or other else 0.0


def _orders(said: list[Said], lead: str | None) -> list[tuple[frozenset[str], frozenset[str]]]:
    """Return, for each message, the telling words of the order before it and of the next one."""
    before: list[frozenset[str]] = []
    order: frozenset[str] = frozenset()
    for one in said:
        before.append(order)
        if one.sender == lead and len(one.words) >= _REMARK:
            order = telling(one.bag)
    after: list[frozenset[str]] = []
    order = frozenset()
    follows: Said | None = None
    for one in reversed(said):
        after.append(order)
        remark = one.sender == lead and len(one.words) < _REMARK
        # Only what a worker takes up is an order: the lead's other words are its own thoughts.
        if one.sender == lead and not remark and follows and follows.sender not in (lead, USER):
            order = telling(one.bag)
        follows = follows if remark else one
    return list(zip(before, reversed(after), strict=True))


def _answer(talk: Talk) -> frozenset[str]:
    """Return the telling words that the end of the run has and the task has not."""
    final = next((s for s in reversed(talk.said) if s.sender != USER and len(s.words) >= 3), None)
    if final is None:
        return frozenset()
    task = talk.task.bag if talk.task else frozenset()
    return telling(word for word in words(final.text[-400:]) if word not in task)
