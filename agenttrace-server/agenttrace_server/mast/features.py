"""What can be told of one step that bears on whether the run went wrong there, as numbers 0 to 1.

No feature names a framework, an agent or a tool: what a step looks like and what came of it counts.
"""

import math
import re
from collections import Counter
from collections.abc import Sequence
from typing import Final

from agenttrace.models import USER
from agenttrace_server.mast.objections import approves, objects
from agenttrace_server.mast.talk import Said, Talk, telling

Features = dict[str, float]

FAILS: Final = re.compile(
    r"Traceback \(most recent|\b[A-Z]\w*(?:Error|Exception)\b|exit ?code:? [1-9]"
    r"|\bexecution failed|\berror(?: occurred| code|:)|\bstatus code [45]\d\d|not found\b|^Error\b",
    re.MULTILINE,
)
_ADMITS: Final = re.compile(
    r"unable to|(?:could|can|did|do|does|is)(?: ?not|n['’]t) (?:find|access|open|load|locat"
    r"|determin|contain|provide|exist|show|available)|cannot|unfortunately|apolog|sorry"
    r"|no results|not clear",
    re.IGNORECASE,
)
_CODE: Final = re.compile(r"```|^\s*(?:import |from \w+ import|def |print\()", re.MULTILINE)
_MADE_UP: Final = re.compile(
    r"placeholder|simulat|hypothetical|assum(?:e|ing|ption)|sample data|mock|for (?:the sake of|"
    r"illustration|demonstration)|manually|replace (?:this|with)|path/to|your_",
    re.IGNORECASE,
)
_CONCLUDES: Final = re.compile(
    r"\bfinal answer\b|\btherefore\b|\bthe answer is\b|\bTERMINATE\b|\\boxed|\bin conclusion\b"
    r"|\bthus\b|\bresult is\b|\bsolution\b",
    re.IGNORECASE,
)
_VERIFIES: Final = re.compile(
    r"verif|confirm|validat|double-check|check(?:ed|ing)\b", re.IGNORECASE
)
_PLANS: Final = re.compile(r"\bplan\b|\bsteps?\b|\bfirst\b|\bnext\b|\bwill\b", re.IGNORECASE)
_MACHINE: Final = re.compile(
    r"\s*(?:exit ?code|code output|[{\[<]|Traceback|Output:)", re.IGNORECASE
)
_CHANGES: Final = re.compile(
    r"\b(?:modify|cancel|exchange|return|update|delete|create|send|book|transfer|submit|write"
    r"|place|refund|execute|publish|deploy|remove)_\w+",
)
_ACTED: Final = re.compile(r"\bI (?:clicked|typed|searched|visited|opened|scrolled|ran|found)\b")


def features(talk: Talk) -> list[Features]:
    """Return the features of each message of a conversation, in linear time."""
    said = talk.said
    shares = Counter(one.sender for one in said)
    later_uses = _later_uses(said)
    again = {later.index for _, later in talk.repeats}
    signs = [_signs(one) for one in said]
    first_failure = next((i for i, one in enumerate(signs) if one["fails"]), -1)
    spoke: Counter[str] = Counter()
    table: list[Features] = []
    agents_turn = 0
    hub, share = shares.most_common(1)[0] if said else ("", 0)
    led = len(set(shares) - {USER}) > 1 and share >= 0.4 * len(said) and hub != USER
    dialog = len(set(shares) - {USER}) == 1 and shares[USER] > 1
    worked = changed = 0
    for index, one in enumerate(said):
        before = signs[index - 1] if index else {}
        after = signs[index + 1] if index + 1 < len(said) else {}
        agents_turn += one.sender != USER
        row = dict(signs[index])
        row |= {
            "early": 1 / (1 + agents_turn),
            "first": float(agents_turn == 1),
            "second": float(agents_turn == 2),
            "third": float(agents_turn == 3),
            "late": index / max(1, len(said) - 1),
            "last": float(index == len(said) - 1),
            "before_last": float(index == len(said) - 2),
            "user": float(one.sender == USER),
            "share": shares[one.sender] / len(said),
            "first_of_agent": float(spoke[one.sender] == 0),
            "second_of_agent": float(spoke[one.sender] == 1),
            "goes_on": float(index + 1 < len(said) and said[index + 1].sender == one.sender),
            "went_on": float(index > 0 and said[index - 1].sender == one.sender),
            "before_failure": after.get("fails", 0.0),
            "after_failure": before.get("fails", 0.0),
            "before_first_failure": float(index + 1 == first_failure),
            "no_failure_yet": float(first_failure < 0 or index < first_failure),
            "objected_to": after.get("objects", 0.0),
            "shortfall_next": after.get("admits", 0.0),
            "shortfall_before": before.get("admits", 0.0),
            "machine_next": after.get("machine", 0.0),
            "machine_before": before.get("machine", 0.0),
            "repeats": float(one.index in again),
            "adopted": later_uses[index],
        }
        worker = one.sender not in (hub, USER)
        worked += worker
        changed += int(row["changes"])
        if led:
            row |= {
                "led:worker": float(worker),
                "led:early_worker": float(worker) / (1 + worked),
                "led:first_worker": float(worker and worked == 1),
                "led:late": row["late"],
                "led:goes_on": row["goes_on"],
                "led:early": row["early"],
                "led:shortfall": row["admits"],
                "led:numbers": row["numbers"],
            }
        if dialog:
            row |= {
                "dialog:late": row["late"],
                "dialog:first_change": float(row["changes"] and changed == 1),
                "dialog:change": row["changes"],
                "dialog:user": row["user"],
                "dialog:last": row["last"] + row["before_last"],
            }
        row["share_first"] = row["share"] * row["first_of_agent"]
        row["worker_first"] = (1 - row["share"]) * row["first_of_agent"]
        spoke[one.sender] += 1
        table.append(row)
    return table


def _signs(one: Said) -> Features:
    text = one.text[:6000]
    numbers = sum(word[0].isdigit() for word in one.words)
    return {
        "fails": float(bool(FAILS.search(text))),
        "admits": float(bool(_ADMITS.search(text))),
        "code": float(bool(_CODE.search(text))),
        "made_up": float(bool(_MADE_UP.search(text))),
        "concludes": float(bool(_CONCLUDES.search(text))),
        "verifies": float(bool(_VERIFIES.search(text))),
        "plans": float(bool(_PLANS.search(text))),
        "machine": float(bool(_MACHINE.match(text))),
        "changes": float(bool(_CHANGES.search(text))),
        "acted": float(bool(_ACTED.search(text))),
        "objects": float(objects(text) is not None),
        "approves": float(approves(text)),
        "asks": float(text.rstrip().endswith("?")),
        "long": min(1.0, math.log1p(len(one.words)) / 7),
        "empty": float(not one.words),
        "numbers": min(1.0, math.log1p(numbers) / 4),
    }


def _later_uses(said: Sequence[Said]) -> list[float]:
    """Return, for each message, which part of the words it brought in is used later on."""
    first: dict[str, int] = {}
    used: set[str] = set()
    brought: list[list[str]] = []
    for one in said:
        own = telling(one.bag)
        new = [word for word in own if word not in first]
        used.update(word for word in own if word in first)
        first.update((word, one.index) for word in new)
        brought.append(new)
    return [sum(w in used for w in new) / len(new) if new else 0.0 for new in brought]
