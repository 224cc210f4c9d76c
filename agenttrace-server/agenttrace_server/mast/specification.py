"""MAST category 1: what was specified, and done otherwise, again, or without end."""

import re
from collections.abc import Iterator
from typing import Final

from agenttrace.models import USER, FailureAnnotation
from agenttrace_server.mast import signs
from agenttrace_server.mast.finding import quote
from agenttrace_server.mast.hinted import Hinted
from agenttrace_server.mast.memory import conversation_reset
from agenttrace_server.mast.modes import mode_found
from agenttrace_server.mast.objections import asked, prompted
from agenttrace_server.mast.talk import Said, Talk

_FELL_SHORT: Final = re.compile(
    r"\berror|\bfail|\bunable\b|(?:could|can?|did)(?: ?not|n['’]t)\b|timed? ?out|exception"
    r"|unavailable|try again|not found|no results?\b|incomplete|\bmissing\b|rate limit",
    re.IGNORECASE,
)
_WAITS: Final = re.compile(
    r"poll|wait|status|sleep|ping|health|progress|screenshot|observe|now\b|time\b|\bnext\b|random"
    r"|read_?inbox|listen|heartbeat",
    re.IGNORECASE,
)
_PENDING: Final = re.compile(
    r"\b(?:pending|running|queued|in progress|processing|not ready|still|waiting|scheduled)\b",
    re.IGNORECASE,
)
_LIMIT: Final = re.compile(
    r"GraphRecursionError|recursion limit|max(?:imum)?[ _](?:number of )?"
    r"(?:turns?|iterations?|rounds?|steps|consecutive auto.?repl\w+|messages)"
    r"(?: \(?\d+\)?)?(?: (?:was |has been |have been |were )?(?:reached|exceeded|hit))",
    re.IGNORECASE,
)
_DONE: Final = Hinted(
    {
        r"\bTERMINATE\b": ("terminate",),
        r"\bFINAL ANSWER\b": ("final answer",),
        r"\\boxed\{": ("\\boxed{",),
        r"<promise>": ("<promise>",),
        r"\b(?:is|are|has been|have been|was|were) (?:now |all |fully |successfully )*"
        r"(?:completed?|finished|done)\b": ("complete", "finished", "done"),
        r"\b[Aa]ll done\b|\b[Tt]hat['’]s (?:all|it|everything)\b": ("all done", "that's", "that’s"),
    },
    re.NOFLAG,
)
_DONE_WITHIN: Final = 8000
_FEWEST_AFTER: Final = 3
_BUSY: Final = 0.2
_MANY: Final = 12
_MUCH: Final = 0.25
_EMPTY_TALK: Final = re.compile(
    r"thank|you['’]re welcome|good ?bye|\bbye\b|have a (?:great|nice|good)|let me know if"
    r"|feel free to|glad (?:I|to)|happy to (?:help|work)|(?:great|good|nice|excellent) (?:work|job)"
    r"|well done|\bperfect\b|anytime|see you|appreciate|pleasure|take care|\bcheers\b|TERMINATE"
    r"|\bcontinue\b|keep (?:going|solving)|anything else",
    re.IGNORECASE,
)


def step_repetition(talk: Talk) -> Iterator[FailureAnnotation]:
    """Find work that was given out or done again though it had been done (MAST 1.3).

    Sees a message that says the same to the same agent as an earlier one that was answered, where
    the second answer brings nothing the first had not. An answer that fell short may be asked for
    again, and one that differs shows that asking again was of use. What follows from a repetition
    is part of it: one finding counts them all. Where a quarter of a long run is repetition, some of
    it was without need whatever the answers were; less surely so where the run only started over
    (2.1) and nobody said the same three times on end. Cannot see work repeated in other words.
    """
    repeats = talk.repeats
    again = {later.index for _, later in repeats}
    if repeats_itself(talk):
        first, later = repeats[0]
        yield mode_found(
            talk.trace,
            "1.3",
            message=later.message,
            agent=later.sender,
            evidence=quote(later.text),
            explanation=(
                f"{len(again)} of the {len(talk.said)} messages repeat what their sender had "
                f"already said; the first repetition is {later.sender}'s."
            ),
            confidence=0.8 if talk.stuck or not any(conversation_reset(talk)) else 0.45,
        )
        return
    for first, later in repeats:
        sure = _repeated_task(talk, first, later, again)
        if not sure:
            continue
        number = sum(index >= later.index for index in again)
        more = "message repeats an earlier one" if number == 2 else "messages repeat earlier ones"
        follows = f"; {number - 1} later {more} too" if number > 1 else ""
        yield mode_found(
            talk.trace,
            "1.3",
            message=later.message,
            agent=later.sender,
            evidence=quote(later.text),
            explanation=(
                f"{later.sender} sends {later.message.recipient} the same message again although "
                f"it had been answered, and nothing new comes of it{follows}."
            ),
            confidence=sure,
        )
        return


def repeats_itself(talk: Talk) -> bool:
    """Say whether so much is said again that it is no longer a second look."""
    return len(talk.repeats) >= max(_MANY, _MUCH * len(talk.said))


def _repeated_task(talk: Talk, first: Said, later: Said, again: set[int]) -> float:
    """Return how sure it is that `later` repeats work that `first` had got done."""
    if len(later.words) < 4 or later.message.recipient == later.sender:
        return 0.0
    # A question asks for the same again, an objection for something else.
    same = later.words == first.words
    if asked(talk, later.index) or (not same and prompted(talk, later.index)):
        return 0.0
    before, after = talk.answer(first), talk.answer(later)
    if before is None or before.index > later.index or _FELL_SHORT.search(before.text):
        return 0.0
    if after is None:
        return 0.45
    return 0.9 if after.index in again else 0.0


def repeated_calls(talk: Talk) -> Iterator[FailureAnnotation]:
    """Find tool calls that one agent makes twice in one run for the same answer (MAST 1.3).

    Sees the same tool with the same input and the same answer again, and no other tool in between
    that could have changed anything. Waiting for something is no repetition: tools that poll by
    their name, and answers that say something is still under way, do not count. Errors are faults.
    Cannot see the same call in another form, nor one made again after another.
    """
    last: dict[str | None, tuple[str, str, str]] = {}
    seen: set[tuple[str | None, str, str]] = set()
    for span in talk.tools:
        run = talk.run_of(span)
        name = span.tool or span.name
        did = (name, " ".join((span.input or "").split()), " ".join((span.output or "").split()))
        same, last[run] = last.get(run) == did, did
        key = (talk.trace.agent_of(span), did[0], did[1])
        if (
            same
            and key not in seen
            and len(did[1]) > 2
            and did[2]
            and not signs.tool_error(span)
            and not _WAITS.search(name)
            and not _PENDING.search(did[2][:400])
        ):
            seen.add(key)
            yield mode_found(
                talk.trace,
                "1.3",
                span=span,
                evidence=quote(span.input or name),
                explanation=f"{name}, called again with the same input, gives the same answer.",
                confidence=0.75,
                severity="low",
            )


def unaware_of_the_end(talk: Talk) -> Iterator[FailureAnnotation]:
    """Find runs that do not see that they should stop (MAST 1.5).

    Sees a run that a limit on its turns or steps cut off, and agents that go on with courtesies or
    calls to continue after one said that the task was done. Less sure: an agent that says the same
    three times on end, up to the end, to one that keeps answering that it cannot. Cannot see an end
    that only the meaning of an answer would tell.
    """
    for span in signs.origins(talk.trace):
        error = signs.error_text(span)
        if found := _LIMIT.search(error):
            yield mode_found(
                talk.trace,
                "1.5",
                span=span,
                evidence=quote(error, found.start(), found.end()),
                explanation="The run did not come to an end by itself: a limit cut it off.",
                confidence=0.85,
                severity="high",
            )
            return
    yield from _urged_on(talk)
    if not (ended := _went_on(talk)):
        return
    said, found, idle, number = ended
    yield mode_found(
        talk.trace,
        "1.5",
        message=idle.message,
        agent=idle.sender,
        evidence=quote(said.text, found.start(), found.end()),
        explanation=(
            f"{said.sender} said it was done, and the {number} messages that follow bring "
            "nothing new."
        ),
        confidence=0.75,
    )


def _went_on(talk: Talk) -> tuple[Said, re.Match[str], Said, int] | None:
    """Return the first end after which hardly anything is new, and what idly follows it."""
    ended = None
    first: Said | None = None
    number = busy = 0
    for said in reversed(talk.said):
        if first and number >= _FEWEST_AFTER and busy <= _BUSY * number and said.sender != USER:
            found = _DONE.search(said.text[:_DONE_WITHIN])
            ended = (said, found, first, number) if found else ended
        if said.message.recipient != USER:
            number += 1
            idle = _idle(talk, said)
            first = said if idle else first
            busy += not idle
            if busy > _BUSY * len(talk.said):
                break
    return ended


def _urged_on(talk: Talk) -> Iterator[FailureAnnotation]:
    for run in talk.stuck:
        last = run[-1].index
        answers = [one for one in talk.said[run[0].index : last] if one.sender != run[0].sender]
        # One other agent answers each time, and hardly anything comes after.
        alone = {one.sender for one in answers} - {USER}
        if len(alone) != 1 or len(answers) != len(run) - 1 or len(talk.said) - last > 2:
            continue
        if all(signs.ADMITS.search(one.text[:3000]) for one in answers):
            yield mode_found(
                talk.trace,
                "1.5",
                message=run[-1].message,
                agent=run[-1].sender,
                evidence=quote(run[-1].text),
                explanation=(
                    f"{run[-1].sender} says the same thing {len(run)} times in a row, and "
                    f"{answers[-1].sender} answers each time that it cannot do it."
                ),
                confidence=0.45,
            )
            return


def _idle(talk: Talk, later: Said) -> bool:
    if len(later.words) < 40 and (_EMPTY_TALK.search(later.text) or not later.words):
        return True
    return not talk.new_words(later)
