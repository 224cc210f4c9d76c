"""Read a run as a conversation: who said what to whom, in words that can be compared."""

import re
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from typing import Final

from agenttrace import chat
from agenttrace.models import USER, Message, Span, Trace
from agenttrace_server.mast import signs

LONGEST: Final = 3_000
"""Characters of a text that are compared: what comes after says little more, and costs."""

_WORD: Final = re.compile(r"\d+(?:[.,]\d+)*|[^\W\d_]+")
_STOP: Final = frozenset(
    _WORD.findall(
        "a an and are as at be been but by can did do does for from had has have he her his "
        "how i if in into is it its let may me my no not of on or our out she should so some "
        "than that the their them then there these they this to too up us was we were what "
        "when which who will with would you your also all any more about after before over "
        "please here just now "
    )
)
_LOOK_BACK: Final = 12
_ON_END: Final = 3


def words(text: str) -> list[str]:
    """Return the words and numbers of a text, in lower case."""
    return _WORD.findall(text[:LONGEST].lower())


def telling(found: Iterable[str]) -> frozenset[str]:
    """Return the words that carry meaning: no function words, none of one or two letters."""
    return frozenset(w for w in frozenset(found) - _STOP if len(w) > 2 or w[0].isdigit())


class Said:
    """A message and its words."""

    __slots__ = ("bag", "hearers", "index", "lowered", "message", "numbers", "text", "words")

    def __init__(self, index: int, message: Message) -> None:
        self.index = index
        self.message = message
        self.text = message.content
        self.lowered = self.text[:LONGEST].lower()
        self.words = _WORD.findall(self.lowered)
        self.bag = frozenset(self.words)
        self.numbers = frozenset(word for word in self.bag if word[0].isdigit())
        self.hearers = {message.recipient, *message.audience} - {message.sender, USER}

    @property
    def sender(self) -> str:
        """Who said it."""
        return self.message.sender


def alike(one: Said, other: Said) -> bool:
    """Say whether two messages say the same: nine words of ten, and the same numbers."""
    if not one.bag or one.numbers != other.numbers:
        return False
    if one.words == other.words:
        return True
    lengths = len(one.words), len(other.words)
    if max(lengths) - min(lengths) > 0.15 * max(lengths):
        return False
    shared = len(one.bag & other.bag)
    return shared >= 0.9 * (len(one.bag) + len(other.bag) - shared)


class Talk:
    """A trace's messages in order, and what the rules ask of them. Built in linear time."""

    def __init__(self, trace: Trace) -> None:
        self.trace = trace
        messages = _once(_anew(trace))
        self.said = [Said(index, message) for index, message in enumerate(messages)]
        self.speakers = {said.sender for said in self.said} - {USER}

    @cached_property
    def task(self) -> Said | None:
        """What the user asked for: their first message."""
        return next((said for said in self.said if said.sender == USER), None)

    @cached_property
    def final(self) -> Said | None:
        """The last thing the user got, else the last thing an agent said."""
        told = [said for said in self.said if said.sender != USER and said.text.strip()]
        to_user = [said for said in told if said.message.recipient == USER]
        return next(reversed(to_user or told), None)

    @cached_property
    def tools(self) -> list[Span]:
        """The tool calls, each once, in start order."""
        return list(signs.outermost(self.trace, "tool"))

    @cached_property
    def prompts(self) -> dict[str, str]:
        """The system prompt of each agent's first model call that has one."""
        prompts: dict[str, str] = {}
        for span in self.trace.spans:
            agent = self.trace.agent_of(span) if span.kind == "llm" and span.input else None
            if agent is not None and agent not in prompts:
                system = (m["content"] for m in chat.read(span.input) if m["role"] == "system")
                prompts[agent] = str(next(system, ""))
        return prompts

    @cached_property
    def ended(self) -> bool:
        """Say whether the whole run is there and did not end in an error."""
        roots = [span for span in self.trace.roots if span.parent_id is None and span.end_ns]
        return bool(roots) and not signs.root_failed(self.trace)

    @cached_property
    def first_use(self) -> dict[str, int]:
        """The index of the message in which each word was first used."""
        first: dict[str, int] = {}
        for said in reversed(self.said):
            first.update(dict.fromkeys(said.bag, said.index))
        return first

    @cached_property
    def last_use(self) -> dict[str, int]:
        """The index of the message in which each word was last used."""
        last: dict[str, int] = {}
        for said in self.said:
            last.update(dict.fromkeys(said.bag, said.index))
        return last

    def new_words(self, said: Said) -> frozenset[str]:
        """Return the telling words nobody had used before this message."""
        return self._new_words.get(said.index, frozenset())

    @cached_property
    def _new_words(self) -> dict[int, frozenset[str]]:
        """The telling words that each message was the first to use."""
        found: dict[int, list[str]] = {}
        for word, index in self.first_use.items():
            found.setdefault(index, []).append(word)
        return {index: telling(new) for index, new in found.items()}

    def after(self, said: Said) -> Iterator[Said]:
        """Yield what was said later."""
        return (self.said[index] for index in range(said.index + 1, len(self.said)))

    def reaction(self, said: Said) -> Said | None:
        """Return what one of its hearers said next; anyone, if those it was sent to never speak."""
        hearers = said.hearers & self.speakers
        if not hearers:
            return next((s for s in self.after(said) if s.sender not in (said.sender, USER)), None)
        spoken = [self._next_turn(name, said.index) for name in hearers]
        return min((s for s in spoken if s), key=lambda s: s.index, default=None)

    def _next_turn(self, name: str, index: int) -> Said | None:
        """Return what an agent says first after the message at an index."""
        turns = self.turns[name]
        place = bisect_right(turns, index)
        return self.said[turns[place]] if place < len(turns) else None

    @cached_property
    def turns(self) -> dict[str, list[int]]:
        """The indexes of what each one says."""
        turns: dict[str, list[int]] = {}
        for said in self.said:
            turns.setdefault(said.sender, []).append(said.index)
        return turns

    def answer(self, said: Said) -> Said | None:
        """Return what the recipient of a task said to its sender next."""
        recipient, sender = said.message.recipient, said.sender
        for later in self.after(said):
            if later.sender == recipient and later.message.recipient == sender:
                return later
            if later.sender == sender and later.message.recipient == recipient:
                return None
        return None

    @cached_property
    def repeats(self) -> list[tuple[Said, Said]]:
        """Each message by an agent that says the same to the same as one of its last did.

        What agents say to each other after the user has spoken, the user may have asked for.
        """
        found = []
        asked = 0
        recent: dict[tuple[str, str, int], list[Said]] = {}
        for said in self.said:
            if said.sender == USER:
                asked += 1
                continue
            recipient = said.message.recipient
            since = 0 if recipient == USER else asked
            before = recent.setdefault((said.sender, recipient, since), [])
            same = next((b for b in reversed(before) if alike(b, said)), None)
            if same is not None:
                found.append((same, said))
            before.append(said)
            del before[:-_LOOK_BACK]
        return found

    @cached_property
    def stuck(self) -> list[list[Said]]:
        """The turns in which an agent says the same three times or more on end, whoever answers."""
        runs: dict[str, list[Said]] = {}
        found: list[list[Said]] = []
        for said in self.said:
            run = runs.get(said.sender)
            if run is not None and alike(run[-1], said):
                run.append(said)
                continue
            runs[said.sender] = [said]
            if run is not None:
                found.append(run)
        found += runs.values()
        return [
            run
            for run in found
            if len(run) >= _ON_END and run[0].sender != USER and len(run[0].words) >= _ON_END
        ]

    def run_of(self, span: Span) -> str | None:
        """Return the id of the agent's run that a span lies in."""
        above = (a for a in self.trace.ancestors(span) if a.kind == "agent")
        return next((a.span_id for a in above), None)


def _anew(trace: Trace) -> list[Message]:
    """Return a trace's messages without what a step is handed once more beside something new.

    A crew gives each task what came of all tasks before it: nobody says that again.
    """
    steps: dict[tuple[str, str], list[Message]] = {}
    for message in trace.messages:
        steps.setdefault((message.span_id, message.recipient), []).append(message)
    heard: Counter[tuple[str, str]] = Counter()
    again: set[str] = set()
    for (span_id, _), given in steps.items():
        span = trace.by_id.get(span_id)
        own = (USER, trace.agent_of(span) if span else None)
        copies: Counter[tuple[str, str]] = Counter()
        known = set()
        for message in given:
            what = (message.sender, message.content_hash)
            copies[what] += 1
            if message.sender not in own and copies[what] <= heard[what]:
                known.add(message.message_id)
        if len(known) < len(given):
            again |= known
        for what, number in copies.items():
            heard[what] = max(heard[what], number)
    return [message for message in trace.messages if message.message_id not in again]


def _once(messages: Sequence[Message]) -> Iterator[Message]:
    """Yield messages without the copies that one broadcast makes, one for each who hears it."""
    last: Message | None = None
    for message in messages:
        copied = (
            last is not None
            and message.sender == last.sender != USER
            and message.content_hash == last.content_hash
            and message.span_id == last.span_id
            and message.sent_at - last.sent_at < 10_000_000
            and message.recipient != last.recipient
        )
        last = message
        if not copied or message.recipient == USER:
            yield message
