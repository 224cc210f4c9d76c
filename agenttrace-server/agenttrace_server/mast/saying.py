"""MAST 2.2, 2.4 and 2.6: what an agent does not ask, does not pass on, or says and does not do."""

import re
from collections.abc import Iterator, Mapping
from typing import Final

from agenttrace.models import USER, FailureAnnotation, Span
from agenttrace_server.mast import signs
from agenttrace_server.mast.finding import quote
from agenttrace_server.mast.hinted import Hinted
from agenttrace_server.mast.modes import mode_found
from agenttrace_server.mast.talk import Talk, telling, words

_PLACEHOLDER: Final = Hinted(
    {
        r"<(?:your|insert|enter|the)[ _-][\w -]{2,30}>": ("<your", "<insert", "<enter", "<the"),
        r"\byour[_-](?:api[_-]?key|token|name|email|file|city|password|id|username)\b": (
            *("your_", "your-"),
        ),
        r"\bpath/to/[\w.-]+": ("path/to/",),
        r"\[(?:insert|your|enter)[ _][\w ]{2,30}\]": ("[insert", "[your", "[enter"),
        r"\bTODO_[A-Z_]+|\bXXX+\b|\bPLACEHOLDER\b": ("todo_", "xxx", "placeholder"),
        r"[\w.+-]{1,64}@example\.(?:com|org|net)\b": ("@example.",),
        r"\{\{ ?\w{2,30} ?\}\}": ("{{",),
        r"\bYYYY-MM-DD\b": ("yyyy-mm-dd",),
    },
    re.IGNORECASE,
)
_PLACEHOLDERS_TRIED: Final = 20
_WARNS: Final = Hinted(
    {
        r"(?:^|[\n.!]\s*|\b)(?:WARNING|CAUTION|IMPORTANT|ATTENTION|DEPRECATED|RECALLED)\b:?"
        r"[^\n]{10,300}": (
            *("warning", "caution", "important", "attention", "deprecated", "recalled"),
        ),
        r"\b(?:[Ww]arning|[Cc]aution|[Ii]mportant|Attention|Beware):[^\n]{10,300}": (
            *("warning:", "caution:", "important:", "attention:", "beware:"),
        ),
        r"\b(?:is|are|was|were|been) (?:now )?(?:deprecated|discontinued|recalled|obsolete"
        r"|withdrawn)\b[^\n]{0,300}": (
            *("deprecated", "discontinued", "recalled", "obsolete", "withdrawn"),
        ),
    },
    re.NOFLAG,
)
_INTENDS: Final = re.compile(
    r"\b(?:I will|I['’]ll|I am going to|I['’]m going to|let me|next,? I|I need to|I should)"
    r"(?: now| first| next| then)? (?:use|call|run|invoke|ask|consult|query"
    r"|hand (?:this )?(?:over )?to|delegate (?:this )?to|send (?:this|it) to|transfer (?:this )?to)"
    r" (?:the |tool )?[`'\"]?(?P<what>[A-Za-z_][\w-]{2,})",
    re.IGNORECASE,
)

_ABOUT_TO: Final = re.compile(
    r"\b(?:I will|I['’]ll|I am going to|I['’]m going to|let me|next,? I|I need to|I should)"
    r"(?: now| first| next| then)? "
    r"(?P<what>(?:(?!\b(?:before|after|once|when|and|then)\b)[\w '`]){4,60})",
    re.IGNORECASE,
)
_NAME_PART: Final = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])")


def acted_on_placeholders(talk: Talk) -> Iterator[FailureAnnotation]:
    """Find tool calls that fill in a placeholder for what the agent was not told (MAST 2.2).

    Sees arguments such as `your_api_key`, `path/to/file`, `<your name>` or an address at
    example.com that nobody had given, where the agent asked nobody. Cannot see a value that is made
    up and looks real.
    """
    asked = {said.sender for said in talk.said if said.text.rstrip().endswith("?")}
    tried = 0
    for span in talk.tools:
        found = _PLACEHOLDER.search((span.input or "")[:3000])
        agent = talk.trace.agent_of(span)
        if not found or agent in asked or not _acts(span):
            continue
        if not _given(talk, span, found[0]):
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
        tried += 1
        if tried == _PLACEHOLDERS_TRIED:
            return


def _given(talk: Talk, span: Span, text: str) -> bool:
    """Say whether the agent had been told what it fills in, by anyone or by a tool."""
    prompt = talk.prompts.get(talk.trace.agent_of(span) or "", "")
    told = (one.text for one in talk.said if one.message.sent_at < span.start_ns)
    tools = (one.output or "" for one in talk.tools if one.end_ns <= span.start_ns)
    return any(text in part for part in (prompt, *told, *tools))


def _acts(span: Span) -> bool:
    """Say whether a call acts on its arguments: who writes a file may well write placeholders."""
    return not re.search(r"write|edit|create|save|patch|template|print", span.tool or span.name)


def withheld_warning(talk: Talk) -> Iterator[FailureAnnotation]:
    """Find warnings that a tool gave an agent and that it did not pass on (MAST 2.4).

    Sees an answer of a tool that warns in so many words, where the agent then reports to another
    one, and neither it nor anyone else ever uses the warning's own words. What its instructions
    said before is no warning: frameworks remind of the format in a tool's answer. Nor is what code
    prints as it runs. Cannot see a fact that is withheld without being marked as important.
    """
    for span in talk.tools:
        output = (span.output or "")[:8000]
        found = _WARNS.search(output)
        agent = talk.trace.agent_of(span)
        runs_code = signs.RUNS.search(span.tool or span.name)
        if not found or agent is None or runs_code or signs.tool_error(span):
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
        # A single digit is said about anything.
        own = {word for word in own if len(word) > 1}
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

    Sees one known tool that is named with an intention, itself or by the words it is made of
    (`check the calendar` and `check_calendar`), and calls of others only, in the same answer, where
    the agent does not turn to the named one in its next call either. Cannot see reasoning that was
    not recorded, nor a mismatch in how a tool is used.
    """
    names = {span.tool or span.name for span in talk.tools}
    if len(names) < 2:
        return
    tools = {name.lower(): _parts(name) for name in names}
    calls = list(signs.outermost(talk.trace, "llm"))
    following: dict[str | None, Span] = {}
    for span in reversed(calls):
        agent = talk.trace.agent_of(span)
        next_call, following[agent] = following.get(agent), span
        called = [str(call.get("name") or "").lower() for call in signs.tool_calls(span)]
        text = signs.thought(span)[:3000] if called else ""
        meant = _meant(text, tools)
        named = any(_names(text, name, tools.get(name)) for name in called)
        if len(meant) != 1 or named or meant.keys() & set(called):
            continue
        then = signs.tool_calls(next_call) if next_call else []
        if meant.keys() & {str(call.get("name") or "").lower() for call in then}:
            continue
        [(name, found)] = meant.items()
        yield mode_found(
            talk.trace,
            "2.6",
            span=span,
            agent=agent,
            evidence=quote(text, found.start(), found.end()),
            explanation=f"{agent or 'The model'} says it will use {name} and calls {called[0]} "
            "instead.",
            confidence=0.75,
            severity="high",
        )
        return


def _meant(text: str, tools: Mapping[str, frozenset[str]]) -> dict[str, re.Match[str]]:
    """Return the tools that a text says will be used, and where."""
    meant = {}
    for found in _INTENDS.finditer(text):
        if found["what"].lower() in tools:
            meant[found["what"].lower()] = found
    for found in _ABOUT_TO.finditer(text):
        clause = _parts(found["what"])
        for name, parts in tools.items():
            if len(parts) > 1 and parts <= clause:
                meant.setdefault(name, found)
    return meant


def _names(text: str, name: str, parts: frozenset[str] | None) -> bool:
    """Say whether a text names a tool, itself or by the words it is made of."""
    return name in text.lower() or bool(parts and len(parts) > 1 and parts <= _parts(text))


def _parts(name: str) -> frozenset[str]:
    """Return the words that a name or a text is made of, without the endings of plurals."""
    return frozenset(part.lower().removesuffix("s") for part in _NAME_PART.findall(name))
