"""The features of a step in a run in which a user converses with one agent that has tools."""

import re
from bisect import bisect_left
from typing import Final

from agenttrace.models import USER
from agenttrace_server.mast import signs
from agenttrace_server.mast.shapes import Shape
from agenttrace_server.mast.talk import Said, Talk

Features = dict[str, float]

REASONS: Final = {
    "first_act_failed": "the first change it tries is refused",
    "first_act": "it is the first to change anything",
    "unasked_act": "it changes something that its user has not agreed to",
    "act": "it changes something",
    "first_unsupported": "it states a figure that no tool answered and nobody had named",
}

_READS: Final = re.compile(
    r"get|list|find|search|read|fetch|look|query|show|view|describe|think|calc|check|count|compute"
    r"|retrieve|load|open|browse|web|wiki",
    re.IGNORECASE,
)
_AGREES: Final = re.compile(
    r"\b(?:yes|yeah|yep|yup|sure|ok|okay|agreed?|correct|confirm(?:ed)?|go ahead|proceed|exactly"
    r"|do it|sounds good|looks good|that['’]s right|perfect)\b",
    re.IGNORECASE,
)
_FIGURE: Final = re.compile(r"(?<![\w#.-])\d+(?:[.,]\d+)*(?![\w-])")
_NUMBERING: Final = re.compile(r"^\s*\d+[.)]\s", re.MULTILINE)
_LONGEST: Final = 20_000


def features(talk: Talk, _: Shape) -> list[Features]:
    """Return the features of each message. A message's calls are those until the next one."""
    tools = talk.tools
    starts = [span.start_ns for span in tools]
    known: set[str] = set()
    rows: list[Features] = []
    read = 0
    acted = refused = claimed = False
    heard: Said | None = None
    for one in talk.said:
        upto = bisect_left(starts, one.message.sent_at, lo=read)
        for span in tools[read:upto]:
            known.update(_FIGURE.findall((span.output or "")[:_LONGEST]))
        read = upto
        later = talk.said[one.index + 1 : one.index + 2]
        until = bisect_left(starts, later[0].message.sent_at, lo=read) if later else len(tools)
        calls = tools[read:until]
        acts = [span for span in calls if not _READS.match(span.tool or span.name)]
        failed = any(signs.tool_error(span) for span in acts)
        text = one.text[:_LONGEST]
        own = set() if calls or one.sender == USER else set(_FIGURE.findall(_told(text)))
        unsupported = bool(own - known)
        rows.append(
            {
                "user": float(one.sender == USER),
                "act": float(bool(acts)),
                "first_act": float(bool(acts) and not acted),
                "first_act_failed": float(failed and not refused),
                "unasked_act": float(bool(acts) and not _agreed(heard)),
                "first_unsupported": float(unsupported and not claimed),
            }
        )
        acted, refused = acted or bool(acts), refused or failed
        claimed = claimed or unsupported
        known.update(_FIGURE.findall(text))
        heard = one if one.sender == USER else heard
    return rows


def _agreed(heard: Said | None) -> bool:
    """Say whether the user's last word was an agreement, and not a wish of theirs."""
    return heard is not None and bool(_AGREES.search(heard.text[:_LONGEST]))


def _told(text: str) -> str:
    return _NUMBERING.sub("", text)
