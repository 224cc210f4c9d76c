"""Tell what joining needs to know of a trace: what it shares with other fragments of its run."""

from collections.abc import Iterable, Iterator

import msgspec

from agenttrace import semconv
from agenttrace.chat import as_text
from agenttrace.inference import TRANSFER, recipient_of, slug
from agenttrace.models import Span

# Ids that frameworks give to their steps, and by which a step names the one it is part of.
_STEP_IDS = frozenset({"gen_ai.task.id", "gen_ai.task.parent.id", "event_id", "parent_event_id"})
_UNIQUE = 16
"""Shorter ids than this are somebody's counter, not unique."""

MOST_KEYS = 2000
"""At most so many ids of one kind are kept of a trace; a run has few that others refer to."""


class SpanFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What joining needs to know of a span; times are Unix nanoseconds.

    `process` says in which process it was recorded; `announces` that it does no more than make an
    agent known; `begins_run` that it is the root of a whole run, `opens` which agent it is a run
    of where it is a root; `hands_to` whom it hands over to.
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
    causes: tuple[str, ...] = ()
    """The messages that those sent in the span answer."""
    agent: str | None = None
    announces: bool = False
    begins_run: bool = False
    opens: str | None = None
    hands_to: tuple[str, ...] = ()
    replay: str | None = None


class Fragment(msgspec.Struct):
    """One trace: the facts of its spans taken together.

    `is_whole` says that it has the root of a whole run, `opened` which agents' runs its roots are.
    """

    trace_id: str
    start_ns: int
    end_ns: int
    processes: set[str] = set()
    sessions: set[str] = set()
    steps: set[str] = set()
    links: set[str] = set()
    messages: set[str] = set()
    causes: set[str] = set()
    agents: set[str] = set()
    opened: set[str] = set()
    hands_to: set[str] = set()
    replays: set[str] = set()
    only_announces: bool = True
    is_whole: bool = False

    @property
    def key(self) -> tuple[int, str]:
        """What fragments are put in order by."""
        return self.start_ns, self.trace_id

    @property
    def awaits(self) -> set[str]:
        """The agents (as `slug` writes them) it hands over to that do not run in it."""
        return self.hands_to - {slug(agent) for agent in self.agents}

    def add(self, fact: SpanFacts) -> None:
        """Take in the facts of one more span."""
        self.start_ns = min(self.start_ns, fact.start_ns)
        self.end_ns = max(self.end_ns, fact.end_ns)
        self.processes.add(fact.process)
        for into, ids in (
            (self.steps, fact.steps),
            (self.links, fact.links),
            (self.messages, fact.messages),
            (self.causes, fact.causes),
            (self.hands_to, fact.hands_to),
        ):
            if ids:
                into.update(ids)
        if fact.session:
            self.sessions.add(fact.session)
        if fact.agent:
            self.agents.add(fact.agent)
        if fact.opens:
            self.opened.add(fact.opens)
        if fact.replay:
            self.replays.add(fact.replay)
        self.only_announces &= fact.announces
        self.is_whole |= fact.begins_run


def facts_of(span: Span) -> SpanFacts:
    """Return what joining needs to know of a span."""
    attributes = span.attributes
    announces = attributes.get(semconv.GEN_AI_OPERATION_NAME) == "create_agent"
    announced = as_text(attributes.get(semconv.GEN_AI_AGENT_NAME)) if announces else None
    resource = span.scope.resource
    process = resource.get("service.instance.id") or resource.get("process.pid") or ""
    is_root = span.parent_id is None
    opens = span.agent if is_root and span.kind == "agent" else None
    steps = () if _STEP_IDS.isdisjoint(attributes) else map(attributes.get, sorted(_STEP_IDS))
    return SpanFacts(
        trace_id=span.trace_id,
        span_id=span.span_id,
        parent_id=span.parent_id,
        start_ns=span.start_ns,
        end_ns=span.end_ns,
        process=f"{span.scope.service_name}/{process}",
        session=span.session,
        steps=tuple(filter(_is_unique, (as_text(step) or "" for step in steps))),
        # Elsewhere links mean anything (batches, retries); in agent frameworks, a message's way.
        links=tuple(link.trace_id for link in span.links) if span.framework else (),
        messages=tuple(_said(span, semconv.MESSAGE_ID)),
        causes=tuple(_said(span, semconv.MESSAGE_CAUSED_BY)),
        agent=announced or span.agent,
        announces=announces,
        begins_run=is_root and (span.kind == "workflow" or (span.kind == "agent" and not opens)),
        opens=opens,
        hands_to=tuple(_hands_to(span)),
        replay=as_text(attributes.get(semconv.AGENTTRACE_REPLAY_ID)),
    )


def fragments(facts: Iterable[SpanFacts]) -> list[Fragment]:
    """Return a fragment for each trace that the facts are of, in order of their first spans."""
    found: dict[str, Fragment] = {}
    for fact in facts:
        one = found.get(fact.trace_id)
        if one is None:
            one = found[fact.trace_id] = Fragment(fact.trace_id, fact.start_ns, fact.end_ns)
        one.add(fact)
    return sorted(found.values(), key=lambda fragment: fragment.key)


def bounded(fragment: Fragment) -> Fragment:
    """Return the fragment with no more of each kind of id than are kept of a trace."""
    sets = {
        name: set(_some(value))
        for name in fragment.__struct_fields__
        if isinstance(value := getattr(fragment, name), set) and len(value) > MOST_KEYS
    }
    return msgspec.structs.replace(fragment, **sets) if sets else fragment


def keys_of(fragment: Fragment) -> set[str]:
    """Return the keys by which a fragment is found; see `wanted_by`."""
    keys = {f"step:{step}" for step in _some(fragment.steps)}
    keys |= {f"link:{target}" for target in _some(fragment.links)}
    keys |= {f"message:{message}" for message in _some(fragment.messages | fragment.causes)}
    keys |= {f"session:{session}" for session in _some(fragment.sessions)}
    kind = "announced" if fragment.only_announces else "agent"
    return keys | {f"{kind}:{place}" for place in _some(_places(fragment))}


def wanted_by(fragment: Fragment) -> set[str]:
    """Return the keys of the fragments that may belong with this one."""
    keys = {key for key in keys_of(fragment) if not key.startswith(("link:", "agent:", "announ"))}
    kind = "agent" if fragment.only_announces else "announced"
    places = {f"{kind}:{place}" for place in _some(_places(fragment))}
    return keys | places | {f"link:{fragment.trace_id}"}


def _places(fragment: Fragment) -> set[str]:
    """Which agents are in it, and in which processes."""
    return {f"{process}/{agent}" for process in fragment.processes for agent in fragment.agents}


def _some(values: set[str]) -> list[str]:
    return sorted(values)[:MOST_KEYS]


def _is_unique(text: str) -> bool:
    return len(text) >= _UNIQUE


def _said(span: Span, key: str) -> Iterator[str]:
    for event in span.events:
        if event.name == semconv.MESSAGE_EVENT:
            said = as_text(event.attributes.get(key)) or ""
            if _is_unique(said):
                yield said


def _hands_to(span: Span) -> Iterator[str]:
    if span.kind == "handoff" and (recipient := recipient_of(span)):
        yield slug(recipient)
    if span.kind == "tool" and (target := TRANSFER.match(span.tool or "")):
        yield slug(target[1])
    for event in span.events:
        if event.name == semconv.MESSAGE_EVENT:
            told = event.attributes
            recipient = as_text(told.get(semconv.MESSAGE_RECIPIENT))
            if told.get(semconv.MESSAGE_TYPE) == "handoff" and recipient:
                yield slug(recipient)
