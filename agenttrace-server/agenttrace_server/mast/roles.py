"""MAST 1.1 and 1.2: what the task or an agent's role lays down, and is not kept."""

import re
from collections.abc import Iterator
from typing import Final

from agenttrace.models import USER, FailureAnnotation
from agenttrace_server.mast.constraints import broken
from agenttrace_server.mast.finding import quote
from agenttrace_server.mast.hinted import Hinted
from agenttrace_server.mast.modes import mode_found
from agenttrace_server.mast.talk import Talk

_NEVER: Final = Hinted(
    {
        r"\bnever ": ("never",),
        r"\b(?:do|must|may|should|are) not (?:allowed to )?|\bcannot ": ("not ",),
        r"\bdon['’]t ": ("don't", "don’t"),
    },
    re.IGNORECASE,
)
_CODE_IS_IT: Final = re.compile(
    r"(?:write|produce|output|generate|include) (?:any |the )?code\b", re.IGNORECASE
)
_TOOL: Final = re.compile(
    r"(?:use|call|invoke|run) (?:the |any )?(?:tool )?[`'\"]?(?P<tool>[\w-]{3,})", re.IGNORECASE
)
_ACT: Final = re.compile(
    r"(?P<act>[a-z]{3,}) (?:(?:any|the|a|an|your|its|our|their) )?(?P<what>[a-z]{3,})",
    re.IGNORECASE,
)
_PROVIDED: Final = re.compile(
    r"\b(?:without|unless|until|before|except|(?<!even )if|when(?:ever)?|while|for|to|more|after"
    r"|other|as long|outside|twice|again|with)\b",
    re.IGNORECASE,
)
"""What after a prohibition makes it one under conditions, which only its meaning would tell."""
_SENTENCE: Final = 300
_ENDS_SENTENCE: Final = re.compile(r"[.;!:](?=\s|$)|\n")
_NAME_PART: Final = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])")
_CODE: Final = re.compile(r"^```(?:\w+)?\n(?=[^`]*\w)|^(?:def|class|import) \w+", re.MULTILINE)


def broken_requirement(talk: Talk) -> Iterator[FailureAnnotation]:
    """Find answers that break a requirement on their form (MAST 1.1).

    Sees limits on words, sentences, paragraphs and items, and JSON that was asked for, where the
    final answer to the user can be held against them. Cannot see requirements on the content.
    """
    task, final = talk.task, talk.final
    if task is None or final is None or final.message.recipient != USER or not talk.ended:
        return
    for one in broken(task.text, final.text):
        yield mode_found(
            talk.trace,
            "1.1",
            message=final.message,
            agent=final.sender,
            evidence=quote(task.text, one.start, one.end),
            explanation=f"The task asks for “{task.text[one.start : one.end].strip()}”, and the "
            f"answer is {one.instead}.",
            confidence=0.8,
        )


def outside_role(talk: Talk) -> Iterator[FailureAnnotation]:
    """Find agents that do what their role forbids (MAST 1.2).

    Sees a role that forbids code, a tool by name, or what a tool does by its name (`delete files`
    and `delete_file`), in an agent that writes code or calls that tool. Cannot see a role that is
    only implied, one that was not recorded, nor what is forbidden under conditions.
    """
    used: dict[str | None, dict[str, str]] = {}
    for span in talk.tools:
        name = span.tool or span.name
        used.setdefault(talk.trace.agent_of(span), {}).setdefault(name, span.span_id)
    for agent in talk.trace.agents:
        role = f"{agent.role or ''}\n{talk.prompts.get(agent.name, '')}"
        forbidden = list(_forbidden(role))
        if found := next((one for one in forbidden if one.re is _CODE_IS_IT), None):
            said = (s for s in talk.said if s.sender == agent.name)
            wrote = next((s for s in said if _CODE.search(s.text[:8000])), None)
            if wrote:
                yield mode_found(
                    talk.trace,
                    "1.2",
                    message=wrote.message,
                    agent=agent.name,
                    evidence=quote(role, found.start(), found.end()),
                    explanation=f"{agent.name}'s role forbids it to write code, and it does.",
                    confidence=0.8,
                )
        for name, span_id in used.get(agent.name, {}).items():
            if found := next((one for one in forbidden if _is_about(one, name)), None):
                yield mode_found(
                    talk.trace,
                    "1.2",
                    span=talk.trace.by_id[span_id],
                    agent=agent.name,
                    evidence=quote(role, found.start(), found.end()),
                    explanation=f"{agent.name}'s role forbids it to use {name}, and it does.",
                    confidence=0.85,
                )


def _forbidden(role: str) -> Iterator[re.Match[str]]:
    """Yield what a role forbids under all circumstances: code, a tool, an act."""
    for never in _NEVER.each(role):
        signs_of_it = (sign.match(role, never.end()) for sign in (_CODE_IS_IT, _TOOL, _ACT))
        for found in filter(None, signs_of_it):
            furthest = found.end() + _SENTENCE
            end = _ENDS_SENTENCE.search(role, found.end(), furthest)
            if not _PROVIDED.search(role, found.end(), end.start() if end else furthest):
                yield found


def _is_about(forbidden: re.Match[str], tool: str) -> bool:
    """Say whether it is a tool that is forbidden, by its name or by what its name says it does."""
    if forbidden.re is _CODE_IS_IT:
        return False
    if forbidden.re is _TOOL:
        return str(forbidden["tool"]).lower() == tool.lower()
    parts = {_stem(part) for part in _NAME_PART.findall(tool)}
    return len(parts) > 1 and {_stem(forbidden["act"]), _stem(forbidden["what"])} <= parts


def _stem(word: str) -> str:
    """Return a word without the ending of a plural or a third person: `files` is `file`."""
    return word.lower().removesuffix("s")
