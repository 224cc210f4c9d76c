"""Objections: what an agent held against another's work, and whether anyone took it up."""

import re
from bisect import bisect_left
from collections.abc import Iterator
from itertools import islice
from typing import Final
from weakref import WeakKeyDictionary

import msgspec

from agenttrace.models import USER
from agenttrace_server.mast.hinted import Hinted
from agenttrace_server.mast.talk import Said, Talk

_OBJECTS: Final = Hinted(
    {
        r"\bI (?:must |have to |strongly )?(?:object|disagree|reject)\b": (
            *("object", "disagree", "reject"),
        ),
        r"\bI (?:do not|don['’]t|cannot|can['’]t|can not) (?:agree|approve|confirm|accept"
        r"|endorse)\b": ("agree", "approve", "confirm", "accept", "endorse"),
        r"(?:^|\n)\W{0,3}(?:REJECTED|NOT APPROVED|CHANGES REQUESTED|OBJECTION|DISAGREE"
        r"|DISPUTED)\b": (
            *("reject", "not approved", "changes requested", "object", "disagree", "disputed"),
        ),
        r"\b(?:this|that|it|which|claims?|figures?|numbers?|answers?|results?|conclusions?|totals?"
        r"|values?|statements?|code|calculations?|plan|draft|report)(?: \w+)? (?:is|are|was|were) "
        r"(?:simply |clearly |still |also |factually |actually )?"
        r"(?:wrong|incorrect|not correct|not right|inaccurate|false|unsupported|not supported"
        r"|inconsistent with|contradicted by|mistaken)\b": (
            *("wrong", "correct", "not right", "inaccurate", "false", "supported"),
            *("inconsistent", "contradict", "mistake"),
        ),
        r"\bcontradicts? (?:the|this|that|your|what|our|each)\b": ("contradict",),
        r"\bconflicts? with (?:the|your|what)\b": ("conflict",),
        r"\b(?:does|do) ?(?:not|n['’]t) match (?:the|your|what)\b": ("match",),
        r"\bnot [\d.,]*\d ?(?:%|\w+)?\s*[.;,\n]": tuple(f"not {c}" for c in "0123456789.,"),
        r"\b(?:must|needs? to|has to|should) be (?:fixed|corrected|revised|redone|reworked)\b": (
            *("fix", "correct", "revise", "redo", "rework"),
        ),
        r"\bplease (?:fix|correct|revise|redo|rework)\b": (
            *("fix", "correct", "revise", "redo", "rework"),
        ),
        r"\b(?:is|there is|there['’]s) (?:a|an|another) (?:\w+ )?(?:error|mistake|bug|flaw)"
        r" (?:in|with) (?:the|your|this)\b": ("error", "mistake", "bug", "flaw"),
        r"\bI (?:would |['’]d |must )?(?:strongly )?(?:advise|recommend|warn|caution) (?:you |us )?"
        r"(?:against|not to)\b": ("advise", "recommend", "warn", "caution"),
        r"\bI (?:do not|don['’]t) (?:think|believe) (?:that|this|it)(?:['’]s| is| was)"
        r" (?:right|correct|true|accurate)\b": ("think", "believe"),
        r"\b(?:will|would) not work\b|\bwon['’]t work\b": (
            *("not work", "won't work", "won’t work"),
        ),
        r"\bI (?:still )?have (?!no |few )(?:\w+ )?(?:concerns|doubts|objections)\b": (
            *("concerns", "doubts", "object"),
        ),
    },
    re.IGNORECASE,
)
"""How people and models say that another's work is not right."""

_UNSAID: Final = re.compile(
    r"\b(?:no|not|n['’]t|never|nothing|none|without|if|whether|when|unless|in case|would|could"
    r"|might|my(?: \w+)?|fixed|corrected|previously|had said|said that)\W*(?:\w+\W+){0,2}$",
    re.IGNORECASE,
)
"""What before an objection makes it none: denied, supposed, about oneself, already past."""

_APPROVES: Final = Hinted(
    {
        r"^\W{0,3}(?:CONFIRMED|APPROVED?|LGTM|ACCEPTED|VERIFIED|PASS(?:ED)?|CORRECT|OK|AGREED)\b": (
            *("confirm", "approve", "lgtm", "accept", "verified", "pass", "correct", "ok", "agree"),
        ),
        r"\blooks good\b": ("ok",),
        r"\bI (?:fully )?(?:agree|approve|confirm)\b": ("agree", "approve", "confirm"),
        r"\bno (?:further )?objections?\b": ("objection",),
        r"\ball (?:the )?(?:tests|checks) (?:have )?pass": ("pass",),
        r"\b(?:is|are) (?:all )?correct\b": ("correct",),
        r"\beverything (?:passes|passed|works|is (?:fine|in order))\b": ("everything",),
    },
    re.IGNORECASE,
)

_TAKES_UP: Final = re.compile(
    r"\b(?:right|agree|disagree|correct(?:ed|ion|ing)?|fix|revis|updat|object|reject|adjust|sorry"
    r"|apolog|thank|concern|feedback|issue|noted|however|despite|although|nevertheless|overrul"
    r"|re-?check|re-?do|re-?calculat|re-?verif|chang|mistake|error|wrong|critici|critiqu|comment"
    r"|discrepan|contradict|instead|objection|address|resolve|rather|dispute|suggest|good catch"
    r"|(?:fair|good|valid) point|point taken|understood|true|indeed)",
    re.IGNORECASE,
)
"""Words of somebody who goes into what they were told, be it to turn it down."""


_FURTHEST: Final = 3000
_REACH: Final = 60
_CALLS_AFTER: Final = 20
_MESSAGES_AFTER: Final = 200


class Objection(msgspec.Struct, frozen=True):
    """An objection, where in its text it is, and the next thing one of its hearers said."""

    said: Said
    start: int
    end: int
    reaction: Said | None
    taken_up: bool


def objects(text: str) -> tuple[int, int] | None:
    """Return where a text objects to another's work, if it does and does not approve first."""
    if _APPROVES.pattern.match(text):
        return None
    for found in _OBJECTS.around(text, _REACH, _FURTHEST):
        asked = text[found.end() : found.end() + 80].split("\n")[0].split(".")[0].endswith("?")
        if not asked and not _UNSAID.search(text[max(0, found.start() - 40) : found.start()]):
            return found.start(), found.end()
    return None


def approves(text: str) -> bool:
    """Say whether a text agrees with what was done, and objects to nothing."""
    return _APPROVES.search(text[:600]) is not None and objects(text) is None


def prompted(talk: Talk, index: int) -> bool:
    """Say whether what is said there was asked for: by the user, a question or an objection."""
    before = talk.said[index - 1] if index else None
    return asked(talk, index) or (before is not None and objects(before.text) is not None)


def asked(talk: Talk, index: int) -> bool:
    """Say whether what is said there follows on the user's words or on a question."""
    before = talk.said[index - 1] if index else None
    return before is not None and (before.sender == USER or before.text.rstrip().endswith("?"))


_FOUND: Final[WeakKeyDictionary[Talk, list[Objection]]] = WeakKeyDictionary()


def objections(talk: Talk) -> list[Objection]:
    """Return each objection one agent made to what another had said before."""
    if talk not in _FOUND:
        _FOUND[talk] = list(_objections(talk))
    return _FOUND[talk]


def _objections(talk: Talk) -> Iterator[Objection]:
    earlier: set[str] = set()
    for said in talk.said:
        if said.sender == USER:
            continue
        others = len(earlier) - (said.sender in earlier)
        earlier.add(said.sender)
        told = others and said.message.recipient != USER
        if told and (place := objects(said.text)):
            reaction = talk.reaction(said)
            yield Objection(said, *place, reaction, _taken_up(talk, said, reaction))


def _taken_up(talk: Talk, said: Said, reaction: Said | None) -> bool:
    """Say whether the reaction goes into the objection, or anyone later uses what was new in it."""
    if reaction is None:
        return False
    new = talk.new_words(said)
    named = said.sender.lower() in reaction.text.lower()
    if named or _TAKES_UP.search(reaction.text) or len(new & reaction.bag) >= 1:
        return True
    used = [word for word in new if talk.last_use[word] > said.index]
    if len(used) >= 2 or any(word[0].isdigit() for word in used):
        return True
    if any(approves(later.text) for later in _next_of(talk, said.sender, reaction)):
        return True
    first = bisect_left(talk.tools, said.message.sent_at, key=lambda span: span.start_ns)
    calls = talk.tools[first : first + _CALLS_AFTER]
    return any(_uses(new, span.input or "") for span in calls)


def _next_of(talk: Talk, sender: str, reaction: Said) -> list[Said]:
    """Return the next few things the one who objected says after the reaction."""
    rest = islice(talk.after(reaction), _MESSAGES_AFTER)
    return list(islice((later for later in rest if later.sender == sender), 3))


def _uses(new: frozenset[str], text: str) -> bool:
    lowered = text[:2000].lower()
    return sum(len(word) > 3 and word in lowered for word in new) >= 2
