"""Tell the messages of LangGraph runs that another instrumentation recorded.

The rules are those of `turns`, on poorer evidence. Where a node's output is a `Command`, or the
edges were recorded, who it handed on to is known. Else whoever ran in the step before is the
sender, and if that does not leave one only, the message is marked as inferred.
"""

import ast
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from hashlib import sha256
from typing import Any

import msgspec

from agenttrace.chat import as_text, parse
from agenttrace.models import USER, Message, MessageType, Span, Trace
from agenttrace_langgraph.normalizer import FOREIGN, WORKFLOW_NODES
from agenttrace_langgraph.recorded import (
    Place,
    exception_text,
    is_agent,
    is_node_run,
    place_of,
    stopped_by,
    texts,
)
from agenttrace_langgraph.roles import is_tools
from agenttrace_langgraph.speech import asked, said

_EDGES = "gen_ai.workflow.edges"
_SEND = re.compile(r"^Send\(node='([^']+)'")
UNSURE = 0.8
"""Confidence where several nodes ran in the step before and no edges were recorded."""


class Heard(msgspec.Struct, frozen=True):
    """What an agent acts upon: a message's id, sender, type and content."""

    message_id: str | None = None
    sender: str | None = None
    type: MessageType = "task"
    content: Any = None


class Turn(msgspec.Struct):
    """The run of one node: an agent's turn, or a tool node's, whose agent is told later."""

    span: Span
    place: Place
    agent: str | None
    goto: tuple[str, ...] = ()
    sends: tuple[str, ...] = ()
    update: Any = None
    stopped: str | None = None
    heard: Heard = Heard()
    handed_on: bool = False
    wraps: bool = False


class Group(msgspec.Struct):
    """The turns of one run of a graph, in order; `edges` None where they were not recorded."""

    span: Span
    turns: list[Turn]
    outer: Turn | None = None
    edges: frozenset[tuple[str, str]] | None = None


def messages(trace: Trace) -> Iterable[Message]:
    """Return the messages between the agents of every foreign LangGraph run in the trace."""
    if not any(s.scope.name.startswith(FOREIGN) for s in trace.spans):
        return ()
    return _Reader(trace).messages()


class _Reader:
    def __init__(self, trace: Trace) -> None:
        self.trace = trace
        self.turns: dict[str, Turn] = {}
        self.inner: defaultdict[str, list[Group]] = defaultdict(list)
        self.found: list[Message] = []
        self.interrupts: set[str] = set()

    def messages(self) -> list[Message]:
        groups = self._groups()
        for group in groups:
            if group.outer is not None:
                self.inner[group.outer.span.span_id].append(group)
        for group in groups:
            if group.outer is None:
                self._tell(group)
        return self.found

    # Which runs there are

    def _groups(self) -> list[Group]:
        """Return the graph runs, outer ones first."""
        by_graph: dict[tuple[str, str], Group] = {}
        for span in self.trace.spans:
            place = place_of(span)
            if place is None or not is_node_run(_name(span), place):
                continue
            if place.node.startswith("__"):
                continue
            turn = self.turns[span.span_id] = _turn(span, place)
            graph, outer = self._around(span)
            if outer is not None:
                outer.wraps = True
            if turn.agent is None and not is_tools(place.node):
                continue
            key = (graph.span_id, "|".join(place.namespace.split("|")[:-1]))
            group = by_graph.get(key)
            if group is None:
                group = by_graph[key] = Group(graph, [], outer, self._edges(graph))
            group.turns.append(turn)
        groups = [g for g in by_graph.values() if any(t.agent for t in g.turns)]
        for group in groups:
            group.turns.sort(key=lambda turn: (turn.place.step, turn.span.start_ns))
        return groups

    def _around(self, span: Span) -> tuple[Span, Turn | None]:
        """Return the span of the graph a node ran in, and the turn that graph was a part of."""
        graph, last = None, span
        for above in self.trace.ancestors(span):
            if above.span_id in self.turns:
                return graph or above, self.turns[above.span_id]
            if graph is None:
                graph = above
            last = above
        return graph or last, None

    def _edges(self, graph: Span) -> frozenset[tuple[str, str]] | None:
        """Return the edges OpenLLMetry noted, on a span around or beside the graph's own."""
        parent = self.trace.parent(graph)
        beside = self.trace.children(parent.span_id) if parent is not None else ()
        for span in (graph, *([parent] if parent else ()), *beside):
            if WORKFLOW_NODES in span.attributes:
                pairs = (edge.split(" -> ", 1) for edge in texts(span.attributes.get(_EDGES)))
                return frozenset((pair[0], pair[1]) for pair in pairs if len(pair) == 2)
        return None

    # What was said in one of them

    def _tell(self, group: Group) -> None:
        caller = group.outer.agent if group.outer is not None else USER
        by_step: defaultdict[int, list[Turn]] = defaultdict(list)
        for turn in group.turns:
            by_step[turn.place.step].append(turn)
        before: list[Turn] = []
        for step in sorted(by_step):
            now = by_step[step]
            if not before:
                self._enter(group, now, caller or USER)
            for turn in now if before else ():
                self._arrive(group, turn, before)
            for turn in now:
                for inner in self.inner[turn.span.span_id]:
                    self._tell(inner)
                self._stop(turn)
            before = _waiting(before, now)
        for turn in group.turns:
            self._leave(group, turn, caller or USER)

    def _enter(self, group: Group, first: Sequence[Turn], caller: str) -> None:
        given = parse(group.span.input)
        outer = group.outer.heard if group.outer is not None else Heard()
        resume = given.get("resume") if isinstance(given, Mapping) and "goto" in given else None
        content: Any
        kind: MessageType
        for turn in first:
            if resume is not None:
                content, kind = resume, "answer"
            elif turn.place.pushed:
                content, kind = asked(parse(turn.span.input)), "task"
            else:
                content, kind = (asked(given) if outer.content is None else outer.content), "task"
            self._say(group.span, caller, turn, kind, content, outer, at_ns=group.span.start_ns)

    def _arrive(self, group: Group, turn: Turn, before: Sequence[Turn]) -> None:
        """Tell what led to a turn."""
        senders, sure = _senders(group, turn, before)
        for sender in senders:
            sender.handed_on = True
            if sender.agent is None:
                continue
            goes = turn.place.node in sender.goto
            sent = turn.place.pushed
            content = asked(parse(turn.span.input)) if sent else _words(sender, turn.place.node)
            if turn.agent is None:  # a tool node works for whoever called it
                turn.agent, turn.heard = sender.agent, sender.heard
            elif turn.agent == sender.agent:
                turn.heard = sender.heard
            else:
                kind = _type(group, sender, turn, goes, sent, len(senders) > 1)
                speaker = self._speaker(sender)
                self._say(
                    sender.span,
                    speaker.agent or sender.agent,
                    turn,
                    kind,
                    content,
                    speaker.heard,
                    at_ns=sender.span.end_ns,
                    sure=sure or goes,
                )

    def _speaker(self, turn: Turn) -> Turn:
        """Return who inside a turn gave the `Command` that it ended with."""
        if turn.stopped == "ParentCommand":
            for group in self.inner[turn.span.span_id]:
                for inner in group.turns:
                    if inner.agent is not None and inner.stopped == "ParentCommand":
                        return self._speaker(inner)
        return turn

    def _stop(self, turn: Turn) -> None:
        """Tell what an interrupted turn asked the user."""
        if turn.stopped not in ("GraphInterrupt", "NodeInterrupt") or turn.agent is None:
            return
        for key, question in _questions(exception_text(turn.span)):
            if key not in self.interrupts:  # else an agent inside has asked
                self.interrupts.add(key)
                self._add(
                    turn.span, turn.agent, USER, "question", question, turn.heard, turn.span.end_ns
                )

    def _leave(self, group: Group, turn: Turn, caller: str) -> None:
        """Tell where a turn's words went that no later turn took up."""
        if turn.agent is None or turn.handed_on or turn.stopped or turn.span.error:
            return
        for place in turn.goto:
            if place != "__end__" and place != turn.agent:
                self._add(
                    turn.span,
                    turn.agent,
                    place,
                    "handoff",
                    _words(turn, place),
                    turn.heard,
                    turn.span.end_ns,
                )
        content = _words(turn, "__end__")
        if any(place != "__end__" for place in turn.goto) or turn.agent == caller:
            return
        if content is None:
            content = said(parse(group.span.output), parse(group.span.input), last=True)
        if _broken_off(group.span):
            return
        self._add(turn.span, turn.agent, caller, "result", content, turn.heard, turn.span.end_ns)

    def _say(
        self,
        span: Span,
        sender: str,
        to: Turn,
        kind: MessageType,
        content: Any,
        cause: Heard,
        *,
        at_ns: int,
        sure: bool = True,
    ) -> None:
        if to.agent is None or sender == to.agent:
            return
        key = self._add(span, sender, to.agent, kind, content, cause, at_ns, sure, to.span.span_id)
        to.heard = Heard(key, sender if kind != "answer" else None, kind, content)

    def _add(
        self,
        span: Span,
        sender: str,
        recipient: str,
        kind: MessageType,
        content: Any,
        cause: Heard,
        at_ns: int,
        sure: bool = True,
        about: str = "",
    ) -> str:
        name = "\0".join((span.span_id, sender, recipient, kind, about))
        key = sha256(name.encode("utf-8", "replace")).hexdigest()[:16]
        self.found.append(
            Message(
                message_id=key,
                trace_id=span.trace_id,
                span_id=span.span_id,
                sender=sender,
                recipient=recipient,
                type=kind,
                content=as_text(content) or "",
                sent_at=at_ns,
                caused_by=cause.message_id,
                provenance="observed" if sure else "inferred",
                confidence=1.0 if sure else UNSURE,
            )
        )
        return key


def _turn(span: Span, place: Place) -> Turn:
    turn = Turn(span, place, place.node if is_agent(place) else None, stopped=stopped_by(span))
    output = parse(span.output)
    if turn.stopped == "ParentCommand":
        output = _command(exception_text(span)) or output
    outputs = output if isinstance(output, list) else [output]
    commands = [o for o in outputs if isinstance(o, Mapping) and {"update", "goto"} <= o.keys()]
    goto: list[str] = []
    for command in commands:
        places = command["goto"]
        goto += texts(places if isinstance(places, list) else [places])
    turn.sends = tuple(found[1] for p in goto if (found := _SEND.match(p)))
    turn.goto = tuple(p for p in goto if p and not _SEND.match(p))
    updates = [c["update"] for c in commands if c["update"] is not None]
    turn.update = (updates[0] if len(updates) == 1 else updates or None) if commands else output
    return turn


def _waiting(before: Sequence[Turn], now: Sequence[Turn]) -> list[Turn]:
    """Return the turns whose words may reach the next step: these, and those a join waits for."""
    kept = [turn for turn in before if not turn.handed_on and not turn.stopped]
    return [*kept, *now]


def _senders(group: Group, turn: Turn, before: Sequence[Turn]) -> tuple[list[Turn], bool]:
    """Return whose turns led to this one, and whether that is known for sure."""
    node = turn.place.node
    latest = max(t.place.step for t in before)
    ready = [t for t in before if t.stopped in (None, "ParentCommand")]
    for trigger in turn.place.triggers:
        if trigger.startswith("join:") and trigger.rsplit(":", 1)[1] == node:
            names = trigger.split(":", 1)[1].rsplit(":", 1)[0].split("+")
            joined = [t for t in ready if t.place.node in names]
            if joined:
                return joined, True
    last = [t for t in ready if t.place.step == latest]
    if turn.place.pushed:
        sending = [t for t in last if node in t.sends] or [t for t in last if not t.goto]
        return sending[:1] or last[:1], len(last) == 1
    chosen = [t for t in last if node in t.goto]
    if chosen:
        return chosen, True
    open_ = [t for t in last if not t.goto]
    if group.edges is not None:
        connected = [t for t in open_ if (t.place.node, node) in group.edges]
        connected = connected or [
            t for t in ready if not t.goto and (t.place.node, node) in group.edges
        ]
        if connected:
            return connected, True
    return open_ or last, len(last) == 1 or all(t.place.node == last[0].place.node for t in last)


def _type(
    group: Group, sender: Turn, to: Turn, by_command: bool, sent: bool, joins: bool
) -> MessageType:
    heard = sender.heard
    gave = heard.type != "result" and heard.sender == to.agent
    if by_command:
        return "result" if gave and _leads(group, to, sender) else "handoff"
    if gave or (not sent and (sender.place.pushed or joins)):
        return "result"
    return "task"


def _leads(group: Group, leader: Turn, other: Turn) -> bool:
    places: defaultdict[str, set[str]] = defaultdict(set)
    for source, target in group.edges or ():
        places[source].add(target)
    for turn in group.turns:
        places[turn.place.node].update(place for place in turn.goto if place != "__end__")
    agents = {place for place in places[leader.place.node] if not is_tools(place)}
    return len(agents) > 1 and places[other.place.node] == {leader.place.node}


def _words(turn: Turn, place: str) -> Any:
    content = said(turn.update, parse(turn.span.input), last=turn.wraps, routes=(place,))
    return content if content is not None or place == "__end__" else turn.heard.content


def _broken_off(graph: Span) -> bool:
    return graph.error is not None or stopped_by(graph) is not None


def _name(span: Span) -> str:
    task = span.attributes.get("gen_ai.task.name") or span.attributes.get("traceloop.entity.name")
    return str(task or span.name)


def _command(text: str) -> Mapping[str, Any] | None:
    """Return the `Command` that an exception's text shows, as far as it can be read."""
    call = _call(text, "Command")
    if call is None:
        return None
    fields = {word.arg: _literal(word.value) for word in call.keywords if word.arg}
    return {"update": fields.get("update"), "goto": fields.get("goto") or []}


def _questions(text: str) -> Iterator[tuple[str, Any]]:
    """Yield the id and the value of each interrupt that an exception's text shows."""
    try:
        tree = ast.parse(text.strip(), mode="eval")
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return
    for call in ast.walk(tree):
        if isinstance(call, ast.Call) and getattr(call.func, "id", "") == "Interrupt":
            fields = {word.arg: _literal(word.value) for word in call.keywords if word.arg}
            yield str(fields.get("id") or ast.unparse(call)), fields.get("value")


def _call(text: str, name: str) -> ast.Call | None:
    try:
        tree = ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
    return tree if isinstance(tree, ast.Call) and getattr(tree.func, "id", "") == name else None


def _literal(node: ast.expr) -> Any:
    """Return a literal's value; for messages in it what they say, for other calls their text."""
    if isinstance(node, ast.Dict):
        return {
            str(_literal(key)): _literal(value)
            for key, value in zip(node.keys, node.values, strict=True)
            if key is not None
        }
    if isinstance(node, (ast.List, ast.Tuple)):
        return [_literal(item) for item in node.elts]
    if isinstance(node, ast.Call):
        kind = getattr(node.func, "id", "")
        fields = {word.arg: _literal(word.value) for word in node.keywords if word.arg}
        if kind.endswith("Message"):
            return {"lc": 1, "id": [kind], "kwargs": fields}
        return ast.unparse(node)
    try:
        return ast.literal_eval(node)
    except (ValueError, TypeError):
        return ast.unparse(node)
