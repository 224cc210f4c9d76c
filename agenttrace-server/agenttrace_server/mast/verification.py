"""MAST category 3: checks that are missing, wrong or without consequence."""

import re
from bisect import bisect_right
from collections.abc import Iterator
from itertools import islice
from typing import Final

from agenttrace.models import USER, FailureAnnotation, Span
from agenttrace_server.mast import signs
from agenttrace_server.mast.finding import quote
from agenttrace_server.mast.modes import mode_found
from agenttrace_server.mast.objections import Objection, approves, objections
from agenttrace_server.mast.talk import Talk

_CHECKS: Final = re.compile(
    r"check|verif|confirm|review|validat|\btest|audit|critic|inspect|evaluat|proof-?read|\bqa\b"
    r"|judge|assert",
    re.IGNORECASE,
)
_ASKED: Final = re.compile(
    r"\b(?:have|let|ask|get) (?:the |an? |your )?(?P<who>[\w-]+)(?: agent)? (?:to )?"
    r"(?:confirm|verify|check|review|validate|test|approve)\b"
    r"|\b(?:verif(?:y|ied)|(?:double|cross)[- ]?check(?:ed)?|validated?|proof-?read"
    r"|run (?:the|all|its) tests|test(?:ed)?)\b[^.\n]{0,80}\bbefore\b"
    r"|\bbefore (?:you |it |we )?(?:publish|answer|submit|deliver|send|merg|deploy|finish)\w*\b"
    r"[^.\n]{0,60}\b(?:verify|check|confirm|validate|test|review)\b",
    re.IGNORECASE,
)
_TESTS_FAILED: Final = re.compile(
    r"\b[1-9]\d* (?:tests? )?(?:failed|failures?|failing|errors?)\b|^FAILED\b|\bAssertionError\b"
    r"|^Traceback \(most recent call last\)|\bFAIL: |\bexit(?:ed with)? code:? [1-9]",
    re.MULTILINE,
)
_PROMISES: Final = re.compile(
    r"(?:^|[.!:\n]\s*)(?:(?:Now|Next|Then|First),? )?(?:I will|I['’]ll|I am going to"
    r"|I['’]m going to|Let me|Let us|Let['’]s|We will|We need to|I still (?:need|have) to)"
    r" (?:now |next |then |first )?(?!know\b|be\b|gladly|assume|leave|stop\b|end\b|conclude|close"
    r"|rest\b|stay\b|keep\b)\w+[^?\n]{0,200}(?:[.:…]|\.\.\.)?\s*$"
    r"|\b(?:remaining|next) steps?(?: \w+){0,2}:"
    r"|\b(?:give (?:me|us)|just|one) (?:a |one )?moment\b[^?\n]{0,200}$"
    r"|\bplease (?:wait|hold on|stand by|bear with (?:me|us))(?: (?:a |one )?(?:moment|minute))?"
    r"(?:,? (?:while|as|until) (?:I|we)\b[^?\n]{0,200})?[.!…]*\s*$"
    r"|\bstay tuned\b|\bto be continued\b",
    re.IGNORECASE,
)


def published_unverified(talk: Talk) -> Iterator[FailureAnnotation]:
    """Find results that went out though a check had turned them down (MAST 3.2).

    Sees an agent's objection that nobody took up, after which neither that agent nor another one
    approved, in a run that ended with an answer. Cannot see a check that was never asked for.
    """
    final = talk.final
    if final is None or not talk.ended:
        return
    for objection in _unresolved(talk):
        if objection.said.index >= final.index or objection.said.sender == final.sender:
            continue
        said = objection.said
        yield mode_found(
            talk.trace,
            "3.2",
            message=final.message,
            agent=final.sender,
            evidence=quote(final.text),
            explanation=(
                f"The answer goes out although {said.sender}'s last word on it was an objection, "
                "and nobody checked it again."
            ),
            confidence=0.85,
            severity="high",
        )
        return


def _unresolved(talk: Talk) -> Iterator[Objection]:
    last: dict[str, Objection] = {}
    for objection in objections(talk):
        last[objection.said.sender] = objection
    open_still = [
        objection
        for sender, objection in last.items()
        if not objection.taken_up and talk.turns[sender][-1] == objection.said.index
    ]
    if open_still:
        agents = (said for said in reversed(talk.said) if said.sender != USER)
        approved = next((said.index for said in agents if approves(said.text)), -1)
        yield from islice((one for one in open_still if one.said.index > approved), 1)


def asked_check_missing(talk: Talk) -> Iterator[FailureAnnotation]:
    """Find results that went out without the check the user had asked for (MAST 3.2).

    Sees a task that names who is to check, or wants a check before the end, in a run in which that
    agent never ran, or in which no agent, tool or message has to do with checking; less sure where
    tools were called more than once, for the second call may have been the check. Cannot see
    whether a check that was made was complete.
    """
    task, final = talk.task, talk.final
    if task is None or final is None or not talk.ended or final.index <= task.index:
        return
    asked = _ASKED.search(task.text)
    if asked is None:
        return
    who = (asked["who"] or "").lower()
    agents = {agent.name.lower() for agent in talk.trace.agents}
    if any(who and who in name for name in agents):
        return
    done = [name for name in agents if _CHECKS.search(name)]
    done += [span.tool or span.name for span in talk.tools if _CHECKS.search(span.tool or "")]
    said = (s for s in talk.said if s.sender != USER)
    if done or any(_CHECKS.search(s.text) for s in said):
        return
    yield mode_found(
        talk.trace,
        "3.2",
        message=final.message,
        agent=final.sender,
        evidence=quote(task.text, asked.start(), asked.end()),
        explanation="The task asks for a check before the end, and the run makes none.",
        confidence=0.75 if len(talk.tools) < 2 else 0.45,
        severity="high",
    )


def approved_what_failed(talk: Talk) -> Iterator[FailureAnnotation]:
    """Find approvals by an agent whose own last test had failed (MAST 3.3).

    Sees an approving message whose sender's last tool call answered with failed tests or an error.
    Cannot see an approval that is wrong about the matter itself.
    """
    calls: dict[str | None, list[Span]] = {}
    for span in sorted(talk.tools, key=lambda span: span.end_ns):
        calls.setdefault(talk.trace.agent_of(span), []).append(span)
    for said in talk.said:
        mine = calls.get(said.sender, [])
        upto = bisect_right(mine, said.message.sent_at, key=lambda span: span.end_ns)
        if not upto or not approves(said.text):
            continue
        result = signs.tool_error(mine[upto - 1]) or mine[upto - 1].output or ""
        if failed := _TESTS_FAILED.search(result[:8000]):
            yield mode_found(
                talk.trace,
                "3.3",
                message=said.message,
                agent=said.sender,
                evidence=quote(result, failed.start(), failed.end()),
                explanation=f"{said.sender} approves although its own last check failed.",
                confidence=0.85,
                severity="high",
            )
            return


def ended_too_early(talk: Talk) -> Iterator[FailureAnnotation]:
    """Find runs whose last word to the user announces work instead of giving a result (MAST 3.1).

    Sees a short last message that promises to do something, asks to wait or says what remains, in a
    run that ended without an error. Cannot see an answer that looks complete and is not; a question
    back to the user is no end.
    """
    final = talk.final
    if final is None or not talk.ended or talk.task is None or final.index <= talk.task.index:
        return
    text = final.text.strip()
    found = _PROMISES.search(text[-600:])
    if not found or len(text) > 800 or text.endswith("?") or final.index != talk.said[-1].index:
        return
    yield mode_found(
        talk.trace,
        "3.1",
        message=final.message,
        agent=final.sender,
        evidence=quote(text),
        explanation=f"The run ends with {final.sender} announcing what it has yet to do.",
        confidence=0.65,
        severity="high",
    )
