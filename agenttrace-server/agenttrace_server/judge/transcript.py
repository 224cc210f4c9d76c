"""A run as the numbered steps that a model reads, in windows it can take in."""

import hashlib
import re
from collections.abc import Iterator, Sequence

import msgspec

from agenttrace.models import USER, Message, Span, Trace
from agenttrace_server.mast.talk import Talk

LONGEST = 8_000
"""Characters of one step that are shown; of a longer one its beginning and its end."""
SHORTEST_QUOTE = 12
"""Characters a quote needs, unless the whole step is shorter: a word or two are everywhere."""

_SPACE = re.compile(r"\s+")


class Step(msgspec.Struct, frozen=True):
    """One message, or what one tool gave back."""

    head: str
    body: str
    message: Message | None = None
    span: Span | None = None

    def quotes(self, quote: str) -> bool:
        """Say whether the quote is in this step, however its white space is written.

        What the user said proves nothing against an agent.
        """
        if self.message is not None and self.message.sender == USER:
            return False
        said, wanted = _plain(self.body), _plain(quote)
        return wanted in said and len(wanted) >= min(SHORTEST_QUOTE, max(len(said), 1))


class Transcript(msgspec.Struct, frozen=True):
    """The steps of a trace in the order they happened; `task` is what the user asked for."""

    trace_id: str
    task: str
    steps: tuple[Step, ...]

    def line(self, number: int) -> str:
        """Return a step as it is shown, its number first."""
        step = self.steps[number]
        return f"[{number}] {step.head}: {_clipped(step.body)}"

    def hash(self, *more: str) -> str:
        """Return what stands for all of the transcript, and for what else decides an answer."""
        digest = hashlib.sha256()
        for text in (*more, *(f"{step.head}: {step.body}" for step in self.steps)):
            digest.update(hashlib.sha256(text.encode("utf-8", "replace")).digest())
        return digest.hexdigest()

    def windows(self, characters: int) -> Iterator[range]:
        """Yield the steps in runs of at most so many characters, or of one step.

        Each begins with steps of the one before, up to a fifth of it, so that what lies across
        two is seen whole.
        """
        start = end = 0
        while end < len(self.steps):
            room = characters - sum(len(self.line(n)) for n in range(start, end))
            first = end
            while end < len(self.steps) and (end == first or room >= len(self.line(end))):
                room -= len(self.line(end))
                end += 1
            yield range(start, end)
            start, kept = end, characters // 5
            while start > first + 1 and kept >= len(self.line(start - 1)):
                start -= 1
                kept -= len(self.line(start))


def transcript(trace: Trace) -> Transcript:
    """Return what was said in a trace and what tools gave back."""
    talk = Talk(trace)
    placed = [(said.message.sent_at, _said(said.message)) for said in talk.said]
    placed += [(span.end_ns, _called(span)) for span in talk.tools]
    placed.sort(key=lambda one: one[0])
    task = talk.task.text if talk.task else ""
    return Transcript(trace.trace_id, task, tuple(step for _, step in placed))


def find(steps: Sequence[Step], quote: str, near: int) -> int | None:
    """Return the number of the step with this quote: the one named, else the nearest, else None."""
    if 0 <= near < len(steps) and steps[near].quotes(quote):
        return near
    holding = [number for number, step in enumerate(steps) if step.quotes(quote)]
    return min(holding, key=lambda number: abs(number - near), default=None)


def _said(message: Message) -> Step:
    head = f"{message.sender} to {message.recipient} ({message.type})"
    return Step(head, message.content, message=message)


def _called(span: Span) -> Step:
    tool = span.tool or span.name
    if span.error:
        return Step(f"tool {tool} failed", span.error, span=span)
    return Step(f"tool {tool} gave back", span.output or "", span=span)


def _clipped(text: str) -> str:
    if len(text) <= LONGEST:
        return text
    half = LONGEST // 2
    return f"{text[:half]} … ({len(text) - 2 * half} characters left out) … {text[-half:]}"


def _plain(text: str) -> str:
    return _SPACE.sub(" ", text).strip()
