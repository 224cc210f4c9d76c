"""MAST 1.1 and 1.2: what the task or an agent's role lays down, and is not kept."""

import re
from collections.abc import Iterator
from typing import Final

from agenttrace.models import USER, FailureAnnotation
from agenttrace_server.mast.constraints import broken
from agenttrace_server.mast.finding import quote
from agenttrace_server.mast.modes import mode_found
from agenttrace_server.mast.talk import Talk

_NEVER: Final = (
    r"\b(?:never|do not|don['’]t|must not|may not|should not|are not allowed to|cannot) "
)
_NO_CODE: Final = re.compile(
    _NEVER + r"(?:write|produce|output|generate|include) (?:any |the )?code\b", re.IGNORECASE
)
_NO_TOOL: Final = re.compile(
    _NEVER + r"(?:use|call|invoke|run) (?:the |any )?(?:tool )?[`'\"]?(?P<tool>[\w-]{3,})",
    re.IGNORECASE,
)
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

    Sees a role that forbids code or a tool by name, in an agent that writes code or calls that
    tool. Cannot see a role that is only implied, nor one that was not recorded.
    """
    used: dict[str | None, dict[str, str]] = {}
    for span in talk.tools:
        name = span.tool or span.name
        used.setdefault(talk.trace.agent_of(span), {}).setdefault(name.lower(), span.span_id)
    for agent in talk.trace.agents:
        role = f"{agent.role or ''}\n{talk.prompts.get(agent.name, '')}"
        if found := _NO_CODE.search(role):
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
        for found in _NO_TOOL.finditer(role):
            if span_id := used.get(agent.name, {}).get(found["tool"].lower()):
                yield mode_found(
                    talk.trace,
                    "1.2",
                    span=talk.trace.by_id[span_id],
                    agent=agent.name,
                    evidence=quote(role, found.start(), found.end()),
                    explanation=f"{agent.name}'s role forbids it to use {found['tool']}, and it "
                    "does.",
                    confidence=0.85,
                )
