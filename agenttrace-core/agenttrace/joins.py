"""Tell which traces are fragments of one run.

Instrumentations break runs apart: AutoGen's own makes 26 traces of one Swarm run, a handoff can
start a new trace, a thread can lose the context. What still ties the fragments together is, from
strongest to weakest:

1. a step of the framework (its own id of it) that both are or refer to;
2. a link from a span of one to a span of the other;
3. the same message in both, sent here and received there;
4. the same session (conversation, thread, team), and fragments that lie close in time. Alone, a
   session joins nothing that is whole: a conversation is many runs.
5. A trace that only announces an agent goes with the first run after it, in the same process, that
   the agent takes part in.
"""

from collections.abc import Iterable, Iterator, Sequence

import msgspec

from agenttrace import semconv
from agenttrace.chat import as_text
from agenttrace.models import Span

CLOSE_NS = 1_000_000_000
"""Fragments of one session that lie no further apart than this belong together: one second."""

# Ids that frameworks give to their steps, and by which a step names the one it is part of.
_STEP_IDS = ("gen_ai.task.id", "gen_ai.task.parent.id", "event_id", "parent_event_id")
_UNIQUE = 16
"""Shorter ids than this are somebody's counter, not unique."""

_MESSAGE_IDS = (semconv.MESSAGE_ID, semconv.MESSAGE_CAUSED_BY)


class SpanFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What joining needs to know of a span; times are Unix nanoseconds.

    `process` says in which process it was recorded; `announces` that it does no more than make an
    agent known; `begins_run` that it is the root of a whole run.
    """

    trace_id: str
    span_id: str
    parent_id: str | None = None
    start_ns: int = 0
    end_ns: int = 0
    process: str = ""
    session: str | None = None
    steps: tuple[str, ...] = ()
    links: tuple[str, ...] = ()
    """The trace ids that the span links to, where such a link means: this comes from that."""
    messages: tuple[str, ...] = ()
    agent: str | None = None
    announces: bool = False
    begins_run: bool = False


def facts_of(span: Span) -> SpanFacts:
    """Return what joining needs to know of a span."""
    attributes = span.attributes
    announces = attributes.get(semconv.GEN_AI_OPERATION_NAME) == "create_agent"
    announced = as_text(attributes.get(semconv.GEN_AI_AGENT_NAME)) if announces else None
    resource = span.scope.resource
    process = resource.get("service.instance.id") or resource.get("process.pid") or ""
    return SpanFacts(
        trace_id=span.trace_id,
        span_id=span.span_id,
        parent_id=span.parent_id,
        start_ns=span.start_ns,
        end_ns=span.end_ns,
        process=f"{span.scope.service_name}/{process}",
        session=span.session,
        steps=tuple(
            step for key in _STEP_IDS if len(step := as_text(attributes.get(key)) or "") >= _UNIQUE
        ),
        # Elsewhere links mean anything (batches, retries); in agent frameworks, a message's way.
        links=tuple(link.trace_id for link in span.links) if span.framework else (),
        messages=tuple(
            str(event.attributes[key])
            for event in span.events
            if event.name == semconv.MESSAGE_EVENT
            for key in _MESSAGE_IDS
            if event.attributes.get(key)
        ),
        agent=announced or span.agent,
        announces=announces,
        begins_run=span.parent_id is None and span.kind in ("workflow", "agent"),
    )


def join_traces(facts: Iterable[SpanFacts]) -> tuple[tuple[str, ...], ...]:
    """Return the trace ids in groups, one group for each run, in order of their first spans.

    A trace that belongs with no other is a group of its own. The order in which the facts are given
    makes no difference, and every pair is either joined or not whatever other traces there are:
    only the grouping is transitive.
    """
    fragments = {fragment.trace_id: fragment for fragment in _fragments(facts)}
    groups = _Groups(sorted(fragments, key=lambda trace_id: fragments[trace_id].key))
    for pair in _same(fragments, "steps"):
        groups.unite(*pair)
    for fragment in fragments.values():
        for target in fragment.links & fragments.keys():
            groups.unite(fragment.trace_id, target)
    for one, other in _same(fragments, "messages"):
        if _sessions_agree(fragments[one], fragments[other]):
            groups.unite(one, other)
    for one, other in _close_in_session(fragments.values()):
        groups.unite(one, other)
    for announcing, run in _announced(fragments, groups):
        groups.unite(announcing, run)
    return groups.all()


class _Fragment(msgspec.Struct):
    """One trace: its facts taken together."""

    trace_id: str
    start_ns: int
    end_ns: int
    processes: set[str] = set()
    sessions: set[str] = set()
    steps: set[str] = set()
    links: set[str] = set()
    messages: set[str] = set()
    agents: set[str] = set()
    only_announces: bool = True
    is_whole: bool = False

    @property
    def key(self) -> tuple[int, str]:
        return self.start_ns, self.trace_id


def _fragments(facts: Iterable[SpanFacts]) -> Iterable[_Fragment]:
    found: dict[str, _Fragment] = {}
    for fact in facts:
        one = found.get(fact.trace_id)
        if one is None:
            one = found[fact.trace_id] = _Fragment(fact.trace_id, fact.start_ns, fact.end_ns)
        one.start_ns = min(one.start_ns, fact.start_ns)
        one.end_ns = max(one.end_ns, fact.end_ns)
        one.processes.add(fact.process)
        one.steps.update(fact.steps)
        one.links.update(fact.links)
        one.messages.update(fact.messages)
        if fact.session:
            one.sessions.add(fact.session)
        if fact.agent:
            one.agents.add(fact.agent)
        one.only_announces &= fact.announces
        one.is_whole |= fact.begins_run
    return found.values()


def _same(fragments: dict[str, _Fragment], field: str) -> Iterator[tuple[str, str]]:
    """Pairs of traces that have something in common, each with the first that had it."""
    first: dict[str, str] = {}
    for fragment in sorted(fragments.values(), key=lambda each: each.key):
        for value in sorted(getattr(fragment, field)):
            earlier = first.setdefault(value, fragment.trace_id)
            if earlier != fragment.trace_id:
                yield earlier, fragment.trace_id


def _sessions_agree(one: _Fragment, other: _Fragment) -> bool:
    """Whether a message in both can be the same sending: a task object may be used for two runs."""
    if one.is_whole and other.is_whole:
        return False
    return not one.sessions or not other.sessions or bool(one.sessions & other.sessions)


def _close_in_session(fragments: Iterable[_Fragment]) -> Iterator[tuple[str, str]]:
    by_session: dict[str, list[_Fragment]] = {}
    for fragment in fragments:
        for session in fragment.sessions:
            by_session.setdefault(session, []).append(fragment)
    for session in sorted(by_session):
        ordered = sorted(by_session[session], key=lambda each: each.key)
        latest: _Fragment | None = None
        for fragment in ordered:
            if latest is not None and _belong_together(latest, fragment):
                yield latest.trace_id, fragment.trace_id
            if latest is None or fragment.end_ns >= latest.end_ns:
                latest = fragment


def _belong_together(earlier: _Fragment, later: _Fragment) -> bool:
    if earlier.is_whole and later.is_whole:
        return False
    return later.start_ns - earlier.end_ns <= CLOSE_NS


def _announced(fragments: dict[str, _Fragment], groups: "_Groups") -> Iterator[tuple[str, str]]:
    """Pairs of a trace that announces an agent and the run that the agent then takes part in."""
    announcing = [f for f in fragments.values() if f.only_announces]
    if not announcing:
        return
    runs = [[fragments[i] for i in group] for group in groups.all()]
    runs = [run for run in runs if not all(f.only_announces for f in run)]
    taken: set[tuple[int, str]] = set()
    for fragment in sorted(announcing, key=lambda each: each.key, reverse=True):
        for index, run in enumerate(runs):
            if _runs_what(fragment, run) and not taken & {(index, a) for a in fragment.agents}:
                taken |= {(index, agent) for agent in fragment.agents}
                yield fragment.trace_id, run[0].trace_id
                break


def _runs_what(announcing: _Fragment, run: Sequence[_Fragment]) -> bool:
    return run[0].start_ns >= announcing.start_ns and any(
        part.processes & announcing.processes and part.agents & announcing.agents for part in run
    )


class _Groups:
    """Disjoint sets of trace ids that keep the order the ids were given in."""

    def __init__(self, ordered: Sequence[str]) -> None:
        self._rank = {trace_id: rank for rank, trace_id in enumerate(ordered)}
        self._parent = {trace_id: trace_id for trace_id in ordered}

    def find(self, trace_id: str) -> str:
        root = trace_id
        while self._parent[root] != root:
            root = self._parent[root]
        while self._parent[trace_id] != root:
            self._parent[trace_id], trace_id = root, self._parent[trace_id]
        return root

    def unite(self, one: str, other: str) -> None:
        first, second = sorted((self.find(one), self.find(other)), key=self._rank.__getitem__)
        self._parent[second] = first

    def all(self) -> tuple[tuple[str, ...], ...]:
        groups: dict[str, list[str]] = {}
        for trace_id in self._rank:
            groups.setdefault(self.find(trace_id), []).append(trace_id)
        return tuple(tuple(group) for group in groups.values())
