"""MAST 2.2, 2.4 and 2.6: what an agent does not ask, does not pass on, or says and does not do."""

import re
from collections.abc import Iterator
from typing import Final

from agenttrace.models import USER, FailureAnnotation, Span
from agenttrace_server.mast import signs
from agenttrace_server.mast.finding import quote
from agenttrace_server.mast.modes import mode_found
from agenttrace_server.mast.talk import Talk, telling, words

_PLACEHOLDER: Final = re.compile(
    r"<(?:your|insert|enter|the)[ _-][\w -]{2,30}>|\byour[_-](?:api[_-]?key|token|name|email|file"
    r"|city|password|id|username)\b|\bpath/to/[\w.-]+|\[(?:insert|your|enter)[ _][\w ]{2,30}\]"
    r"|\bTODO_[A-Z_]+|\bXXX+\b|\bPLACEHOLDER\b",
    re.IGNORECASE,
)
_WARNS: Final = re.compile(
    r"(?:^|[\n.!]\s*|\b)(?:WARNING|CAUTION|IMPORTANT|ATTENTION|DEPRECATED|RECALLED)\b:?[^\n]{10,300}"
    r"|\b(?:warning|caution|important):[^\n]{10,300}",
)
_INTENDS: Final = re.compile(
    r"\b(?:I will|I['’]ll|I am going to|I['’]m going to|let me|next,? I|I need to|I should)"
    r"(?: now| first| next| then)? (?:use|call|run|invoke|ask|consult|query"
    r"|hand (?:this )?(?:over )?to|delegate (?:this )?to|send (?:this|it) to|transfer (?:this )?to)"
    r" (?:the |tool )?[`'\"]?(?P<what>[A-Za-z_][\w-]{2,})",
    re.IGNORECASE,
)


def acted_on_placeholders(talk: Talk) -> Iterator[FailureAnnotation]:
    """Find tool calls that fill in a placeholder for what the agent was not told (MAST 2.2).

    Sees arguments such as `your_api_key`, `path/to/file` or `<your name>` that nobody had given,
    where the agent asked nobody. Cannot see a value that is made up and looks real.
    """
    asked = {said.sender for said in talk.said if said.text.rstrip().endswith("?")}
    given = "\n".join(said.text[:3000] for said in talk.said[:1])
    for span in talk.tools:
        found = _PLACEHOLDER.search((span.input or "")[:3000])
        agent = talk.trace.agent_of(span)
        if found and agent not in asked and found[0] not in given and _acts(span):
            yield mode_found(
                talk.trace,
                "2.2",
                span=span,
                agent=agent,
                evidence=quote(span.input or "", found.start(), found.end()),
                explanation=f"{agent or 'An agent'} calls {span.tool or span.name} with the "
                f"placeholder {found[0]} instead of asking for what it lacks.",
                confidence=0.75,
            )
            return


def _acts(span: Span) -> bool:
    """Say whether a call acts on its arguments: who writes a file may well write placeholders."""
    return not re.search(r"write|edit|create|save|patch|template|print", span.tool or span.name)


def withheld_warning(talk: Talk) -> Iterator[FailureAnnotation]:
    """Find warnings that a tool gave an agent and that it did not pass on (MAST 2.4).

    Sees an answer of a tool that warns in so many words, where the agent then reports to another
    one, and neither it nor anyone else ever uses the warning's own words. What its instructions
    said before is no warning: frameworks remind of the format in a tool's answer. Cannot see a fact
    that is withheld without being marked as important.
    """
    for span in talk.tools:
        output = (span.output or "")[:8000]
        found = _WARNS.search(output)
        agent = talk.trace.agent_of(span)
        if not found or agent is None or signs.tool_error(span):
            continue
        if found[0].lstrip(".! \n")[:60] in talk.prompts.get(agent, ""):
            continue
        reports = (s for s in talk.said if s.sender == agent and s.message.sent_at >= span.end_ns)
        report = next(reports, None)
        if report is None or report.message.recipient == USER:
            continue
        known = words("warning caution important attention deprecated")
        new = telling(words(found[0])) - {*words(span.input or ""), *known}
        own = {word for word in new if talk.first_use.get(word, report.index) >= report.index}
        if len(own) >= 3 and not any(talk.last_use.get(w, -1) >= report.index for w in own):
            yield mode_found(
                talk.trace,
                "2.4",
                message=report.message,
                agent=agent,
                evidence=quote(output, found.start(), found.end()),
                explanation=f"{agent} is warned by {span.tool or span.name}, and its report to "
                f"{report.message.recipient} does not mention the warning.",
                confidence=0.6,
            )
            return


def said_one_did_another(talk: Talk) -> Iterator[FailureAnnotation]:
    """Find model answers that say they will use one tool and call another (MAST 2.6).

    Sees one known tool named with an intention, and calls of others only, in the same answer,
    where the agent does not turn to the named one in its next call either. Cannot see reasoning
    that was not recorded, nor a mismatch in how a tool is used.
    """
    names = {(span.tool or span.name).lower() for span in talk.tools}
    if len(names) < 2:
        return
    calls = list(signs.outermost(talk.trace, "llm"))
    following: dict[str | None, Span] = {}
    for span in reversed(calls):
        agent = talk.trace.agent_of(span)
        next_call, following[agent] = following.get(agent), span
        called = [str(call.get("name") or "").lower() for call in signs.tool_calls(span)]
        text = signs.answer(span)[:3000] if called else ""
        meant = {found["what"].lower() for found in _INTENDS.finditer(text)} & names
        named = any(name in text.lower() for name in called)
        if len(meant) != 1 or named or meant & set(called):
            continue
        then = signs.tool_calls(next_call) if next_call else []
        if meant & {str(call.get("name") or "").lower() for call in then}:
            continue
        found = next(f for f in _INTENDS.finditer(text) if f["what"].lower() in meant)
        yield mode_found(
            talk.trace,
            "2.6",
            span=span,
            agent=agent,
            evidence=quote(text, found.start(), found.end()),
            explanation=f"{agent or 'The model'} says it will use {found['what']} and calls "
            f"{called[0]} instead.",
            confidence=0.75,
            severity="high",
        )
        return
