"""Tell which traces are fragments of one run.

Instrumentations break runs apart: AutoGen's own makes 26 traces of one Swarm run, a handoff can
start a new trace, a thread can lose the context. What still ties the fragments together is, from
strongest to weakest:

1. a step of the framework (its own id of it) that both are or refer to;
2. a link from a span of one to a span of the other;
3. the same message in both, or one that is sent here and answered there;
4. an agent that is handed over to here and begins there, in the same session;
5. the same session (conversation, thread, team), and fragments that lie close in time. Alone, a
   session joins nothing that is whole: a conversation is many runs;
6. a trace that only announces an agent goes with the first run after it, in the same process, that
   the agent takes part in.

A shared message or session never makes two whole runs one, nor two runs that begin with the same
agent, whatever lies between them: that is how a chat of a thousand turns stays a thousand traces.
What a replay recorded is never joined to anything but its own.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Literal

import msgspec

from agenttrace.fragments import Fragment, SpanFacts, fragments
from agenttrace.inference import slug

CLOSE_NS = 1_000_000_000
"""Fragments of one session that lie no further apart than this belong together: one second."""

Reason = Literal["step", "link", "message", "handoff", "session", "announced", "by hand"]
"""Why a trace was joined to another."""

Tie = tuple[str, str]
"""Two trace ids."""


class Part(msgspec.Struct, frozen=True):
    """One trace of a run: to which other it was joined, and why. The first is joined to none."""

    trace_id: str
    joined_to: str | None = None
    reason: Reason | None = None


def join_traces(facts: Iterable[SpanFacts]) -> tuple[tuple[str, ...], ...]:
    """Return the trace ids in groups, one group for each run, in order of their first spans.

    A trace that belongs with no other is a group of its own. The order in which the facts are given
    makes no difference.
    """
    runs = join_fragments(fragments(facts))
    return tuple(tuple(part.trace_id for part in run) for run in runs)


def join_fragments(
    given: Iterable[Fragment], by_hand: Iterable[Tie] = ()
) -> tuple[tuple[Part, ...], ...]:
    """Return the parts of each run, and why each belongs to it; runs of one part are whole traces.

    `by_hand` are pairs that people joined: those belong together in any case.
    """
    ordered = sorted(given, key=lambda fragment: fragment.key)
    by_id = {fragment.trace_id: fragment for fragment in ordered}
    groups = _Groups(ordered)
    for one, other in by_hand:
        if one in by_id and other in by_id:
            groups.unite(one, other, "by hand")
    for one, other in _same(ordered, lambda fragment: fragment.steps):
        groups.unite_replay(one, other, "step")
    for fragment in ordered:
        for target in sorted(fragment.links & by_id.keys()):
            groups.unite_replay(target, fragment.trace_id, "link")
    for one, other in _answered(ordered):
        if _in_time(by_id[one], by_id[other]):
            groups.unite_replay(one, other, "message")
    for one, other in _same(ordered, lambda fragment: fragment.messages):
        if _sessions_agree(by_id[one], by_id[other]):
            groups.unite_weakly(one, other, "message")
    for one, other in _handed_over(ordered):
        groups.unite_replay(one, other, "handoff")
    for one, other in _close_in_session(ordered):
        groups.unite_weakly(one, other, "session")
    for one, other in _announced(by_id, groups):
        groups.unite_weakly(one, other, "announced")
    return groups.all()


def _same(ordered: Sequence[Fragment], values: Callable[[Fragment], set[str]]) -> Iterator[Tie]:
    """Pairs of traces that have something in common, each with the first that had it."""
    first: dict[str, str] = {}
    for fragment in ordered:
        for value in sorted(values(fragment)):
            earlier = first.setdefault(value, fragment.trace_id)
            if earlier != fragment.trace_id:
                yield earlier, fragment.trace_id


def _answered(ordered: Sequence[Fragment]) -> Iterator[Tie]:
    """Pairs of a trace in which a message was sent and one that only answers it."""
    sent: dict[str, str] = {}
    for fragment in ordered:
        for message in sorted(fragment.messages):
            sent.setdefault(message, fragment.trace_id)
    for fragment in ordered:
        for message in sorted(fragment.causes - fragment.messages):
            if message in sent and sent[message] != fragment.trace_id:
                yield sent[message], fragment.trace_id


def _in_time(sending: Fragment, answering: Fragment) -> bool:
    """Whether an answer can be of the same run: the next turn of a chat answers the last one too.

    A run that answers begins while the other goes on, or soon after; a mere part of one any time.
    """
    later = _is_run(sending) and _is_run(answering)
    return not later or answering.start_ns - sending.end_ns <= CLOSE_NS


def _sessions_agree(one: Fragment, other: Fragment) -> bool:
    """Whether a message in both can be the same sending: a task object may be used for two runs."""
    return not one.sessions or not other.sessions or bool(one.sessions & other.sessions)


def _handed_over(ordered: Sequence[Fragment]) -> Iterator[Tie]:
    """Pairs of a trace that hands over to an agent and the one of the session it begins in."""
    for session in _by_session(ordered):
        for place, earlier in enumerate(session):
            awaited = set(earlier.awaits)
            for later in session[place + 1 :] if awaited else ():
                begins = {slug(agent) for agent in later.opened}
                if later.start_ns - earlier.end_ns <= CLOSE_NS and begins & awaited:
                    awaited -= begins
                    yield earlier.trace_id, later.trace_id


def _close_in_session(ordered: Sequence[Fragment]) -> Iterator[Tie]:
    """Pairs of neighbours in a session, the closest first."""
    found: list[tuple[int, str, str]] = []
    for session in _by_session(ordered):
        latest: Fragment | None = None
        for fragment in session:
            if latest is not None and _belong_together(latest, fragment):
                apart = max(0, fragment.start_ns - latest.end_ns)
                found.append((apart, latest.trace_id, fragment.trace_id))
            if latest is None or fragment.end_ns >= latest.end_ns:
                latest = fragment
    # Sorting is stable: of those equally close the earlier ones come first.
    found.sort(key=lambda pair: pair[0])
    return ((one, other) for _, one, other in found)


def _by_session(ordered: Sequence[Fragment]) -> list[list[Fragment]]:
    by_session: dict[str, list[Fragment]] = {}
    for fragment in ordered:
        for session in fragment.sessions:
            by_session.setdefault(session, []).append(fragment)
    return [by_session[session] for session in sorted(by_session)]


def _belong_together(earlier: Fragment, later: Fragment) -> bool:
    if later.start_ns - earlier.end_ns > CLOSE_NS:
        return False
    # Two calls of a model or a tool that name no agent: as likely as not two turns of a chat.
    return all(_is_run(one) or one.agents for one in (earlier, later)) or _is_run(earlier)


def _is_run(fragment: Fragment) -> bool:
    return fragment.is_whole or bool(fragment.opened)


def _announced(by_id: dict[str, Fragment], groups: "_Groups") -> Iterator[Tie]:
    """Pairs of a trace that announces an agent and the run that the agent then takes part in."""
    announcing = [fragment for fragment in by_id.values() if fragment.only_announces]
    if not announcing:
        return
    runs = [[by_id[part.trace_id] for part in run] for run in groups.all()]
    runs = [run for run in runs if not all(fragment.only_announces for fragment in run)]
    taken: set[tuple[int, str]] = set()
    for fragment in sorted(announcing, key=lambda each: each.key, reverse=True):
        for index, run in enumerate(runs):
            if _runs_what(fragment, run) and not taken & {(index, a) for a in fragment.agents}:
                taken |= {(index, agent) for agent in fragment.agents}
                yield fragment.trace_id, run[0].trace_id
                break


def _runs_what(announcing: Fragment, run: Sequence[Fragment]) -> bool:
    return run[0].start_ns >= announcing.start_ns and any(
        part.processes & announcing.processes and part.agents & announcing.agents for part in run
    )


class _Groups:
    """Disjoint sets of fragments, with the ties that made them."""

    def __init__(self, ordered: Sequence[Fragment]) -> None:
        self._rank = {fragment.trace_id: rank for rank, fragment in enumerate(ordered)}
        self._parent = {fragment.trace_id: fragment.trace_id for fragment in ordered}
        self._ties: dict[str, list[tuple[str, Reason]]] = {}
        self._wholes = {f.trace_id: int(f.is_whole) for f in ordered}
        self._opened = {f.trace_id: set(f.opened) for f in ordered}
        self._replays = {f.trace_id: set(f.replays) for f in ordered}

    def find(self, trace_id: str) -> str:
        root = trace_id
        while self._parent[root] != root:
            root = self._parent[root]
        while self._parent[trace_id] != root:
            self._parent[trace_id], trace_id = root, self._parent[trace_id]
        return root

    def unite(self, one: str, other: str, reason: Reason) -> None:
        first, second = sorted((self.find(one), self.find(other)), key=self._rank.__getitem__)
        if first == second:
            return
        self._parent[second] = first
        self._wholes[first] += self._wholes[second]
        self._opened[first] |= self._opened[second]
        self._ties.setdefault(one, []).append((other, reason))
        self._ties.setdefault(other, []).append((one, reason))

    def unite_replay(self, one: str, other: str, reason: Reason) -> None:
        """Unite, unless one is of a replay that the other is not of."""
        if self._replays[one] == self._replays[other]:
            self.unite(one, other, reason)

    def unite_weakly(self, one: str, other: str, reason: Reason) -> None:
        """Unite, unless that would make two runs one."""
        first, second = self.find(one), self.find(other)
        both_whole = self._wholes[first] and self._wholes[second]
        if not both_whole and not self._opened[first] & self._opened[second]:
            self.unite_replay(one, other, reason)

    def all(self) -> tuple[tuple[Part, ...], ...]:
        groups: dict[str, list[str]] = {}
        for trace_id in self._rank:
            groups.setdefault(self.find(trace_id), []).append(trace_id)
        return tuple(tuple(self._parts(group)) for group in groups.values())

    def _parts(self, group: list[str]) -> list[Part]:
        """The parts in order, each with the tie by which it hangs on those before it."""
        found = {group[0]: Part(group[0])}
        reached = [group[0]]
        while reached:
            one = reached.pop()
            for other, reason in self._ties.get(one, ()):
                if other not in found:
                    found[other] = Part(other, one, reason)
                    reached.append(other)
        return [found[trace_id] for trace_id in group]
