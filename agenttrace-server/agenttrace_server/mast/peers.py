"""The features of a step in a run whose agents speak as peers, often with one that runs code."""

import math
import re
from bisect import bisect_left
from collections import Counter
from typing import Final

from agenttrace.models import USER
from agenttrace_server.mast import signs
from agenttrace_server.mast.hinted import Hinted
from agenttrace_server.mast.shapes import Shape
from agenttrace_server.mast.talk import Said, Talk, telling

Features = dict[str, float]

REASONS: Final = {
    "off_task": "the brief has little to do with the task",
    "first_code_failed": "the first error follows it",
    "code_failed": "the code it brings in fails",
    "code_empty": "the code it brings in yields nothing",
    "first_code": "it brings in the first code",
    "first_claim": "it is the first to state figures without code or a tool",
    "claim": "it states facts that nobody looked up",
    "source": "the final answer's words come from it",
    "source_figures": "the final answer's figures come from it",
    "made_up": "it assumes or makes up what it does not know",
    "admits": "it falls short of what was asked",
    "shortfall_next": "the next message falls short of what was asked",
    "checker_accepts": "it should check, and accepts",
    "after_failure": "it reacts to an error",
    "by_hand": "it says that it did by hand what it could not do",
    "plans": "it sets the course",
}

_FAILS: Final = Hinted(
    {
        r"Traceback \(most recent": ("traceback",),
        r"\b[A-Z]\w*(?:Error|Exception)\b": ("error", "exception"),
        r"exit ?code:? [1-9]": ("exit",),
        r"\bexecution failed": ("execution failed",),
        r"\berror(?: occurred| code|:)": ("error",),
        r"\bstatus code [45]\d\d": ("status code",),
        r"not found\b": ("not found",),
        r"^Error\b": ("error",),
    },
    re.MULTILINE,
)
_ADMITS: Final = (
    *("unable to", "cannot", "unfortunately", "apolog", "sorry", "no results", "not clear"),
)
_DENIES: Final = re.compile(
    r"(?P<how> ?not|n['’]t) (?:find|access|open|load|locat|determin|contain|provide|exist|show"
    r"|available)"
)
_CAN: Final = ("could", "can", "ca", "did", "do", "does", "is")
_MADE_UP: Final = Hinted(
    {
        r"placeholder|simulat|hypothetical": ("placeholder", "simulat", "hypothetical"),
        r"assum(?:e|ing|ption)|sample data|mock": ("assum", "sample data", "mock"),
        r"for (?:the sake of|illustration|demonstration)": (
            *("for the sake of", "for illustration", "for demonstration"),
        ),
        r"manually|replace (?:this|with)|path/to|your_": (
            *("manually", "replace this", "replace with", "path/to", "your_"),
        ),
    },
    re.IGNORECASE,
)
_PLANS: Final = re.compile(r"\bplan\b|\bsteps?\b|\bfirst\b|\bnext\b|\bwill\b", re.IGNORECASE)
_CHECKS: Final = re.compile(
    r"verif|valid|check|review|test|critic|audit|qa\b|judge|inspect", re.IGNORECASE
)
_YIELDS_NOTHING: Final = re.compile(
    r"\s*exit ?code: 0[^\n]*\n\s*(?:code output:)?\s*(?:\[\]|None|False|\{\})?\s*$", re.IGNORECASE
)
_NO_CODE: Final = re.compile(r"no code .{0,40}execut", re.IGNORECASE)
_BY_HAND: Final = re.compile(
    r"manually|directly|I have (?:reviewed|checked|verified|found|retrieved|identified)"
    r"|based on (?:my|the|our)|according to|as per",
    re.IGNORECASE,
)
_ACCEPTS: Final = re.compile(r"TERMINATE|conclude|satisf|agree|accurate|complete")
_WAITS: Final = re.compile(
    r"hold on|will (?:now )?(?:proceed|begin|start|check|verify|gather|conduct|review)"
    r"|let me (?:start|begin|check|verify|proceed)|once (?:we|you|I) have"
    r"|please (?:provide|share|confirm|wait)|shortly|need to",
    re.IGNORECASE,
)
_LONGEST: Final = 6000
_BRIEF: Final = 60


def features(talk: Talk, shape: Shape) -> list[Features]:
    """Return the features of each message."""
    run = _Run(talk, shape)
    return [run.read(said) for said in talk.said]


def fails(text: str) -> bool:
    """Say whether a text tells of an error."""
    return _FAILS.search(text) is not None


def admits(text: str) -> bool:
    """Say whether a text owns up to a shortfall."""
    lowered = text[:_LONGEST].lower()
    if any(word in lowered for word in _ADMITS):
        return True
    denied = _DENIES.finditer(lowered)
    return any(lowered.endswith(_CAN, 0, found.start()) for found in denied)


class _Run:
    """Reads one message after the other and keeps what had been said before."""

    def __init__(self, talk: Talk, shape: Shape) -> None:
        self.talk, self.said = talk, talk.said
        self.by_machine = [said.sender in shape.machines for said in talk.said]
        self.task = telling(talk.task.bag) if talk.task else frozenset()
        self.final = next((s for s in reversed(self.said) if self.is_substance(s)), None)
        own = telling(self.final.bag) if self.final else frozenset()
        self.answer = own - self.task
        self.known: set[str] = set(self.task)
        self.looked_up: set[str] = set()
        self.spoke: Counter[str] = Counter()
        self.checkers: dict[str, bool] = {}
        self.admitted: dict[int, bool] = {}
        self.failing: dict[int, bool] = {}
        self.turn = self.errors = 0
        self.coded = self.claimed = self.accepted = False

    def is_substance(self, said: Said) -> bool:
        """Say whether an agent says something here, more than a word to end with."""
        return said.sender != USER and not self.by_machine[said.index] and len(said.words) >= 6

    def is_checker(self, name: str) -> bool:
        """Say whether an agent is there to check what others do, by its name."""
        if name not in self.checkers:
            self.checkers[name] = bool(_CHECKS.search(name))
        return self.checkers[name]

    def admits(self, said: Said) -> bool:
        """Say whether a message owns up to a shortfall."""
        if said.index not in self.admitted:
            self.admitted[said.index] = admits(said.text)
        return self.admitted[said.index]

    def failed(self, said: Said) -> bool:
        """Say whether a message tells of an error."""
        if said.index not in self.failing:
            self.failing[said.index] = fails(said.text[:_LONGEST])
        return self.failing[said.index]

    def read(self, said: Said) -> Features:
        """Return the features of a message, the next one after those read so far."""
        machine, words = self.by_machine[said.index], telling(said.bag)
        if said is self.talk.task and said.sender == USER:
            self.known |= words
            return {}
        new = [word for word in words if word not in self.known]
        text = said.text[:_LONGEST]
        says = self.is_substance(said)
        code = "```" in text and not machine
        claims = says and not code and bool(new)
        accepts = says and bool(_ACCEPTS.search(said.text[-400:]))
        figures = sum(word[0].isdigit() for word in new)
        first_claim = claims and not self.claimed and self.turn > 0 and figures > 0
        checker = self.is_checker(said.sender)
        row = {
            "machine": float(machine),
            "tiny": float(len(said.words) < 6),
            "user": float(said.sender == USER),
            "first": float(self.turn == 0),
            "second": float(self.turn == 1),
            "third": float(self.turn == 2),
            "fourth": float(self.turn == 3),
            "further": math.log1p(self.turn) / 3,
            "last": float(said.index == len(self.said) - 1),
            "first_code": float(code and not self.coded),
            "more_code": float(code and self.coded),
            "new": min(1.0, math.log1p(len(new)) / 5),
            "claim": float(claims) * min(1.0, math.log1p(len(set(new) - self.looked_up)) / 5),
            "claims_figures": float(claims) * min(1.0, math.log1p(figures) / 3),
            "first_claim": float(first_claim),
            "made_up": float(says and self.turn > 0 and bool(_MADE_UP.search(text))),
            "plans": float(says and bool(_PLANS.search(text))),
            "admits": float(says and self.admits(said)),
            "by_hand": float(says and not code and bool(_BY_HAND.search(text[:600]))),
            "waits": float(says and not code and bool(_WAITS.search(said.text[-300:]))),
            "asks": float(said.text.rstrip().endswith("?")),
            "accepts": float(accepts),
            "checker": float(checker),
            "checker_accepts": float(checker and accepts and not self.accepted),
            "long": min(1.0, math.log1p(len(said.words)) / 7) if says else 0.0,
            "second_of_agent": float(self.spoke[said.sender] == 1),
            "off_task": self._off_task(said, words),
            **self._around(said, code),
            **self._source(said),
        }
        self.coded, self.accepted = self.coded or code, self.accepted or accepts
        self.claimed = self.claimed or first_claim
        self.errors += machine and self.failed(said)
        self.known |= words
        if machine:
            self.looked_up |= words
        self.spoke[said.sender] += 1
        self.turn += 1
        return row

    def _off_task(self, said: Said, words: frozenset[str]) -> float:
        """Return how much of the task the brief leaves out, if the first message is one."""
        if self.turn or not self.task or len(said.words) < _BRIEF:
            return 0.0
        return 1 - len(self.task & words) / len(self.task)

    def _around(self, said: Said, code: bool) -> Features:
        """Return what came before and after: errors, output, shortfalls."""
        before = self.said[said.index - 1] if said.index else None
        after = self.said[said.index + 1] if said.index + 1 < len(self.said) else None
        output = self._output(said) if code else None
        failed = output is not None and self.failed(output)
        nothing = output is not None and bool(_YIELDS_NOTHING.match(output.text))
        followed = after is not None and not self.by_machine[after.index]
        row = {
            "code_ran": float(output is not None),
            "code_failed": float(failed),
            "first_code_failed": float(failed and not self.errors),
            "code_empty": float(nothing),
            "same_next": float(after is not None and after.sender == said.sender),
            "same_before": float(before is not None and before.sender == said.sender),
            "shortfall_next": float(followed and after is not None and self.admits(after)),
            "after_failure": 0.0,
            "after_nothing": 0.0,
            "after_output": 0.0,
        }
        if self._own_call_failed(said, before):
            row["after_failure"] = 1.0
        elif before is not None and self.by_machine[before.index]:
            idle = _NO_CODE.search(before.text[:200]) or _YIELDS_NOTHING.match(before.text)
            which = "after_nothing" if idle else "after_output"
            row["after_failure" if self.failed(before) else which] = 1.0
        return row

    def _own_call_failed(self, said: Said, before: Said | None) -> bool:
        """Say whether the last tool the sender called since the message before failed."""
        tools, at = self.talk.tools, said.message.sent_at
        last = bisect_left(tools, at, key=lambda span: span.start_ns) - 1
        if last < 0 or (before is not None and tools[last].start_ns < before.message.sent_at):
            return False
        mine = self.talk.trace.agent_of(tools[last]) == said.sender
        return mine and signs.tool_error(tools[last]) is not None

    def _output(self, said: Said) -> Said | None:
        """Return the machine's message that answers this one."""
        for later in self.said[said.index + 1 : said.index + 3]:
            if self.by_machine[later.index]:
                return later
            if later.sender != said.sender:
                return None
        return None

    def _source(self, said: Said) -> Features:
        """Return which part of the final answer's own words this message was the first to use."""
        if said is self.final or not self.answer:
            return {"source": 0.0, "source_figures": 0.0}
        first = self.talk.first_use
        own = [word for word in self.answer & said.bag if first.get(word) == said.index]
        figures = any(word[0].isdigit() for word in own)
        return {"source": len(own) / len(self.answer), "source_figures": float(figures)}
