"""Infer messages from how agents' runs lie in each other, where nothing else tells them."""

import hashlib
import re
from bisect import bisect_left, insort
from collections import deque
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Final, TypeAlias

import msgspec

from agenttrace import chat, semconv
from agenttrace.chat import as_text
from agenttrace.models import USER, Message, MessageType, Span, Trace
from agenttrace.nesting import depths, is_agent, nearest, runs

# How sure an inferred message is. A span that states a handoff is nearly a recording. That an agent
# ran inside another is certain, that its input is what it was told is likely. That what one agent
# put out turns up in what the next took in is strong. That the first agent of a workflow got the
# workflow's input is a guess.
STATED: Final = 0.95
OUTERMOST: Final = 0.9
NESTED: Final = 0.8
FLOWS: Final = 0.75
NOTED: Final = 0.7
IN_WORKFLOW: Final = 0.7
WITHOUT_CONTENT: Final = 0.25

_SDK: Final = "agenttrace"
_CAPTURES: Final = "agenttrace."

Runs: TypeAlias = Sequence[tuple[Span, Span | None]]
"""Each run of an agent, with the agent run it happened in (see `nesting.runs`)."""

_DOWN: Final = frozenset(("task", "handoff", "question", "broadcast"))
_UP: Final = frozenset(("result", "answer", "handoff", "broadcast"))

# Shorter texts turn up in others by chance; and looking further back costs, and says less.
_SHORTEST_FLOW: Final = 12
_FURTHEST_FLOW: Final = 16


def infer(trace: Trace, told: Sequence[Message]) -> list[Message]:
    """Return the messages that `told` leaves out, in an order in which they may have been sent."""
    heard = _Heard(told)
    found = _handoffs(trace, heard)
    heard.add(found)
    complete = _complete(trace, told)
    untold = [(run, outer) for run, outer in runs(trace) if run.scope.name not in complete]
    in_runs = _with_callers(trace, _with_what_its_calls_say(trace, untold))
    for rule in (_nested, _noted, _flows, _with_user):
        more = rule(trace, in_runs, heard)
        heard.add(more)
        found += more
    return _in_order(trace, found)


def _complete(trace: Trace, told: Sequence[Message]) -> set[str]:
    """Return the scopes whose runs need no inferring: a capture, or a plugin, tells all of theirs.

    With the SDK's own spans people tell the messages they think of, and leave the others out.
    """
    spans = (trace.by_id.get(message.span_id) for message in told)
    return {span.scope.name for span in spans if span is not None} - {"", _SDK}


def _with_what_its_calls_say(trace: Trace, in_runs: Runs) -> Runs:
    """Fill in what runs were asked and answered, where only their model calls tell.

    Where we recorded the run ourselves, what is missing was never there.
    """
    silent = {
        run.span_id
        for run, _ in in_runs
        if (run.input is None or run.output is None) and not _ours(run)
    }
    if not silent:
        return in_runs
    own = {run.span_id for run, _ in in_runs}
    run_of = nearest(trace, lambda span: span.span_id in own)
    calls: dict[str, list[Span]] = {}
    for span in trace.spans:
        run = run_of[span.span_id]
        if span.kind == "llm" and run is not None and run.span_id in silent:
            calls.setdefault(run.span_id, []).append(span)
    return [(_filled(run, calls.get(run.span_id, [])), outer) for run, outer in in_runs]


def _with_callers(trace: Trace, in_runs: Runs) -> Runs:
    """Put runs into the run whose tool they were, where the spans only lie beside each other."""
    beside = [run for run, outer in in_runs if outer is None]
    tools = deque(span for span in trace.spans if span.kind == "tool")
    if len(beside) < 2 or not tools:
        return in_runs
    run_of = nearest(trace, is_agent)
    called: dict[str, Span | None] = {}
    going: list[Span] = []
    for run in beside:
        going = [tool for tool in going if tool.end_ns >= run.start_ns]
        while tools and tools[0].start_ns <= run.start_ns:
            going.append(tools.popleft())
        calling = [tool for tool in going if tool.end_ns >= run.end_ns and _called(tool, run)]
        if calling and run_of[calling[-1].span_id] is not run:
            called[run.span_id] = run_of[calling[-1].span_id]
    return [(run, outer or called.get(run.span_id)) for run, outer in in_runs]


def _called(tool: Span, run: Span) -> bool:
    """Whether what the tool was given and gave back is what the run was asked and answered."""
    asked, answered = (run.input or "").strip(), (run.output or "").strip()
    same = bool(answered) and (tool.output or "").strip() == answered
    return same and _holds(tool.input or "", asked)


def _ours(span: Span) -> bool:
    return span.scope.name == _SDK or span.scope.name.startswith(_CAPTURES)


def _filled(run: Span, calls: list[Span]) -> Span:
    if not calls:
        return run
    first, last = calls[0], max(calls, key=lambda call: call.end_ns)
    return msgspec.structs.replace(
        run,
        input=run.input or _last_of(first.input, "user"),
        output=run.output or _last_of(last.output, "assistant"),
    )


def _last_of(said: str | None, role: str) -> str | None:
    """The last thing that one role said; text that is no list of messages is that of any role."""
    messages = chat.read(said)
    if not messages:
        return said
    return next((m["content"] for m in reversed(messages) if m["role"] == role), "") or None


def _asked(span: Span) -> str | None:
    """What a run was asked: of a whole conversation it was given, what the user said last."""
    return span.input if _ours(span) else _last_of(span.input, "user") or span.input


def _answered(span: Span) -> str | None:
    """What a run answered: of all that it said, the last."""
    return span.output if _ours(span) else _last_of(span.output, "assistant") or span.output


class _Heard:
    """Who was told something and who answered, and when: what needs no inferring."""

    def __init__(self, messages: Iterable[Message]) -> None:
        self._told_at: dict[str, list[int]] = {}
        self._last_answered: dict[str, int] = {}
        self._pairs: set[tuple[str, str]] = set()
        self.user_asked = False
        self.user_answered = False
        self.add(messages)

    def add(self, messages: Iterable[Message]) -> None:
        for message in messages:
            at = message.sent_at
            self._pairs.add((message.sender, message.recipient))
            self.user_asked |= message.sender == USER
            self.user_answered |= message.recipient == USER
            if message.type in _DOWN:
                for name in (message.recipient, *message.audience):
                    insort(self._told_at.setdefault(name, []), at)
            if message.type in _UP:
                latest = self._last_answered.get(message.sender, at)
                self._last_answered[message.sender] = max(at, latest)

    def told(self, run: Span, since: int = 0) -> bool:
        """Whether somebody told the run's agent what to do, since a time and before it ended."""
        times = self._told_at.get(run.agent or "", [])
        place = bisect_left(times, since)
        return place < len(times) and times[place] <= run.end_ns

    def answered(self, run: Span, outer: str) -> bool:
        """Whether the run's agent gave an answer, to the one above it or at all, since it began."""
        at = self._last_answered.get(run.agent or "")
        return (run.agent, outer) in self._pairs or (at is not None and at >= run.start_ns)

    def talked(self, sender: str, recipient: str) -> bool:
        return (sender, recipient) in self._pairs


def _handoffs(trace: Trace, heard: _Heard) -> list[Message]:
    """A message for each span that states a handoff, or calls a tool like `transfer_to_coder`."""
    stating = [s for s in trace.spans if s.kind == "handoff" or TRANSFER.match(s.tool or "")]
    if not stating:
        return []
    agents = {slug(span.agent): span.agent for span in trace.spans if span.agent}
    outer_tool = nearest(trace, lambda span: span.kind in ("tool", "handoff"))
    begun = [run for run, _ in runs(trace)]
    found = []
    for span in stating:
        if span.kind == "handoff":
            sender, recipient = _parties(trace, span, agents.values())
            recipient = recipient or _begins_next(begun, span, sender)
        elif span.kind == "tool" and (target := TRANSFER.match(span.tool or "")):
            outer = outer_tool[span.span_id]
            if outer is not None and outer.tool == span.tool:
                continue  # seen twice
            sender, recipient = trace.agent_of(span), agents.get(slug(target[1]))
            if recipient is None and target[1] == "agent":
                recipient = _named_in(span, agents) or _begins_next(begun, span, sender)
        else:
            continue
        if not sender or not recipient or sender == recipient or heard.talked(sender, recipient):
            continue
        content = span.output if span.input in (None, "{}") else span.input
        if content in (None, sender, recipient):  # OpenInference puts the names of the two here
            content = _arguments(trace, span, recipient)
        found.append(_message(span, sender, recipient, "handoff", content, STATED, span.end_ns))
    return found


def _named_in(handoff: Span, agents: Mapping[str, str]) -> str | None:
    """Whom a tool that hands over to any agent was given."""
    given = chat.parse(handoff.input)
    texts = given.values() if isinstance(given, dict) else ()
    return next((agents[slug(t)] for t in texts if isinstance(t, str) and slug(t) in agents), None)


def _arguments(trace: Trace, handoff: Span, recipient: str) -> str | None:
    """What a model gave with the call by which it handed over, which the calls beside it tell."""
    beside = trace.children(handoff.parent_id) if handoff.parent_id else ()
    calls = [span for span in beside if span.kind == "llm" and span.end_ns <= handoff.end_ns]
    for message in chat.read(calls[-1].output) if calls else ():
        for call in message.get("tool_calls", ()):
            target = TRANSFER.match(call["name"])
            if target and slug(target[1]) == slug(recipient) and call["arguments"]:
                return chat.as_text(call["arguments"])
    return None


def _begins_next(begun: Sequence[Span], handoff: Span, sender: str | None) -> str | None:
    """Whom a handoff was to that does not say so: the agent whose run begins next."""
    place = bisect_left(begun, handoff.start_ns, key=lambda run: run.start_ns)
    return next((run.agent for run in begun[place:] if run.agent != sender), None)


TRANSFER: Final = re.compile(r"(?:transfer|handoff|hand_off|delegate)(?:_back)?_to_(.+)")
"""How tools are called by which an agent hands over to another."""


def slug(name: str) -> str:
    """Return an agent's name as tools have it in theirs."""
    return re.sub(r"\W+", "_", name.strip().lower())


def recipient_of(span: Span) -> str | None:
    """Return whom a handoff span says it hands to."""
    for _, target in semconv.HANDOFFS:
        if recipient := as_text(span.attributes.get(target)):
            return recipient
    _, found, recipient = span.name.partition("handoff to ")
    return recipient if found else None


def _parties(trace: Trace, span: Span, agents: Collection[str]) -> tuple[str | None, str | None]:
    for source, name in semconv.HANDOFFS:
        if target := as_text(span.attributes.get(name)):
            stated = as_text(span.attributes.get(source))
            # A graph's node that works for an agent, like its tools, is not who hands over.
            return (stated if stated in agents else None) or trace.agent_of(span) or stated, target
    return trace.agent_of(span), recipient_of(span)


def _nested(trace: Trace, in_runs: Runs, heard: _Heard) -> list[Message]:
    """A task for each run inside another agent's run, and its result."""
    found = []
    for run, outer in in_runs:
        if outer is None or outer.agent is None or run.agent is None:
            continue
        task = None
        if not heard.told(run):
            during = run.parent_id if run.parent_id in trace.by_id else run.span_id
            task = _message(
                run,
                outer.agent,
                run.agent,
                "task",
                _asked(run),
                NESTED,
                run.start_ns,
                during=during,
            )
            found.append(task)
        if run.error is None and not heard.answered(run, outer.agent):
            cause = task.message_id if task else None
            found.append(
                _message(
                    run,
                    run.agent,
                    outer.agent,
                    "result",
                    _answered(run),
                    NESTED,
                    run.end_ns,
                    caused_by=cause,
                )
            )
    return found


def _noted(trace: Trace, in_runs: Runs, heard: _Heard) -> list[Message]:
    """A task for each run of which the instrumentation noted the agent before it."""
    names = {span.agent for span in trace.spans if span.agent}
    found = []
    for run, _ in in_runs:
        before = as_text(run.attributes.get("graph.node.parent_id"))
        if before is None or before == run.agent or before not in names or run.agent is None:
            continue
        if not heard.told(run):
            found.append(_message(run, before, run.agent, "task", _asked(run), NOTED, run.start_ns))
    return found


def _flows(_: Trace, in_runs: Runs, heard: _Heard) -> list[Message]:
    """A task for each run whose input holds what runs beside it had put out before, or the reverse.

    Only outermost runs: one inside another agent's run was told by that agent.
    """
    found = []
    beside: list[tuple[Span, str]] = []
    # What was told to an earlier run of an agent inside another was not told to this one.
    ended: dict[str | None, int] = {}
    for run, outer in in_runs:
        if outer is not None:
            ended[run.agent] = run.end_ns
            continue
        if run.agent and run.input and not heard.told(run, ended.get(run.agent, 0)):
            for earlier, said in beside[-_FURTHEST_FLOW:]:
                if earlier.agent in (None, run.agent) or earlier.end_ns > run.start_ns:
                    continue
                if earlier.agent and _flows_into(said, run.input):
                    found.append(
                        _message(run, earlier.agent, run.agent, "task", said, FLOWS, run.start_ns)
                    )
        beside.append((run, _answered(run) or ""))
    return found


def _flows_into(output: str, given: str) -> bool:
    output, given = output.strip(), given.strip()
    if min(len(output), len(given)) < _SHORTEST_FLOW:
        return False
    return given in output or _holds(given, output)


def _holds(given: str, text: str) -> bool:
    # Arguments are JSON: there the same text is written with its quotes and newlines escaped.
    return text in given or msgspec.json.encode(text).decode()[1:-1] in given


def _with_user(trace: Trace, in_runs: Runs, heard: _Heard) -> list[Message]:
    """What the user asked for and got: input and output of each root in which agents ran."""
    if heard.user_asked and heard.user_answered:
        return []
    has_root = any(span.parent_id is None for span in trace.spans)
    roots = {span.span_id for span in trace.roots if span.parent_id is None or not has_root}
    root_of = nearest(trace, lambda span: span.span_id in roots)
    outermost: dict[str, list[Span]] = {}
    for run, outer in in_runs:
        root = run if run.span_id in roots else root_of[run.span_id]
        if outer is None and root is not None and run.agent != USER:
            outermost.setdefault(root.span_id, []).append(run)
    found = []
    for root_id, inside in outermost.items():
        root = trace.by_id[root_id]
        if root.scope.name.startswith(_CAPTURES):
            continue  # whatever the user said is recorded; a resumed run begins without a word
        first, last = inside[0], max(inside, key=lambda run: run.end_ns)
        sure = OUTERMOST if first.span_id == root_id else IN_WORKFLOW
        task, result = _asked(root) or _asked(first), _answered(root) or _answered(last)
        if not heard.user_asked and task and first.agent:
            found.append(_message(root, USER, first.agent, "task", task, sure, root.start_ns))
        if not heard.user_answered and result and last.agent and root.error is None:
            found.append(_message(root, last.agent, USER, "result", result, sure, root.end_ns))
    return found


def _in_order(trace: Trace, messages: Iterable[Message]) -> list[Message]:
    """Tasks from the outside in and results from the inside out, as calls are made and return."""
    depth = depths(trace)

    def key(message: Message) -> tuple[int, bool, int]:
        deep = depth.get(message.span_id, 0)
        is_result = message.type == "result"
        if USER in (message.sender, message.recipient):
            deep = -1
        return message.sent_at, is_result, -deep if is_result else deep

    return sorted(messages, key=key)


def _message(
    span: Span,
    sender: str,
    recipient: str,
    kind: MessageType,
    content: str | None,
    confidence: float,
    sent_at: int,
    *,
    during: str | None = None,
    caused_by: str | None = None,
) -> Message:
    key = f"{span.trace_id}/{span.span_id}/{kind}/{sender}/{recipient}"
    return Message(
        message_id=hashlib.sha256(key.encode("utf-8", "replace")).hexdigest()[:16],
        trace_id=span.trace_id,
        span_id=during or span.span_id,
        sender=sender,
        recipient=recipient,
        type=kind,
        content=content or "",
        sent_at=sent_at,
        caused_by=caused_by,
        provenance="inferred",
        confidence=confidence if content else round(confidence - WITHOUT_CONTENT, 2),
    )
