"""Turn what a node wrote into messages: who it handed on to, and what it said.

LangGraph's own writes are the evidence: a node that hands on writes `branch:to:<node>`, joins
`join:<nodes>:<node>`, sends `Send` packets, and nothing of the kind where its branch ends. So edges
static and conditional, `Command(goto=…)`, `Send` and deferred nodes are all read in one way, and
nothing is guessed from timing.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from langgraph.pregel._io import map_command
from langgraph.types import Command, Send
from opentelemetry.trace import Span

from agenttrace import payload, semconv
from agenttrace.models import USER, MessageType
from agenttrace.serialise import Lazy, snapshot
from agenttrace_langgraph.runs import NOTHING, Graph, Inbox, Node, Received
from agenttrace_langgraph.speech import asked, said, speaks

Writes = Sequence[tuple[str, Any]]

SENDS = "__pregel_tasks"
START = "__start__"
INTERRUPT = "__interrupt__"
_STATE = frozenset({"__root__", "__end__"})


class _Once:
    """A function without arguments whose first answer is kept."""

    __slots__ = ("answer", "make")

    def __init__(self, make: Callable[[], Any]) -> None:
        self.make: Callable[[], Any] | None = make
        self.answer: Any = None

    def __call__(self) -> Any:
        if self.make is not None:
            self.answer, self.make = self.make(), None
        return self.answer


def open_graph(graph: Graph, given: Any = None) -> None:
    """Let the caller's task reach the first nodes; `given` is what a team as a node was asked.

    LangGraph's hidden start node writes what was put in and where to go first.
    """
    graph.inboxes[START] = Inbox(Received(None, None, "task", given), graph.caller)


def start(graph: Graph, task: Any) -> None:
    """Send the first messages, when the start node wrote what was put in."""
    asked_for = graph.inboxes[START].received
    content = asked_for.content or Lazy(lambda: asked(graph.inputs))
    for target, argument in _routes(graph, task.writes):
        deliver(
            graph,
            graph.span,
            graph.caller,
            target,
            "task",
            _argument(argument) if argument is not None else content,
            graph.received,
            packet=argument,
        )


def begin_directly(graph: Graph, tasks: Iterable[Any]) -> None:
    """Send the first messages of a graph without a start node, or after `Command(goto=…)`."""
    inputs = graph.inputs
    if isinstance(inputs, Command):
        kind: MessageType = "handoff"
        content = Lazy(lambda: said(inputs.update))
    else:
        kind, content = "task", Lazy(lambda: asked(inputs))
    for task in tasks:
        if task.name in graph.shape.silent or task.writes:
            continue
        deliver(graph, graph.span, graph.caller, task.name, kind, content, graph.received)


def begins_directly(graph: Graph, tasks: Sequence[Any]) -> bool:
    """Whether the first tasks were started by the input itself, not by a start node or a resume."""
    if isinstance(graph.inputs, Command) and graph.outer is None:
        return graph.inputs.resume is None
    resuming = graph.loop.config.get("configurable", {}).get("__pregel_resuming")
    return not resuming and all(task.name != START for task in tasks)


def hand_on_unseen(graph: Graph, task: Any) -> None:
    """Send what a node said that did not run: its writes came from a cache or an earlier run."""
    if task.name in graph.shape.silent:
        return
    inbox = inbox_of(graph, task.name, task)
    agent = inbox.agent if task.name in graph.shape.tools else graph.name_of(task.name)
    node = Node(
        run_id=graph.run_id,
        root=graph.root,
        span=graph.span,
        context=graph.context,
        key=graph.key,
        agent=agent,
        received=inbox.received,
        owns=False,
        graph=graph,
        name=task.name,
        task_id=task.id,
        before=snapshot(task.input, 1),
        pushed=task.path[0] == "__pregel_push",
        wraps=task.name in graph.shape.graphs,
    )
    hand_on(node, list(task.writes), frozenset())


def hand_on(node: Node, writes: Writes, goto: frozenset[str], *, by_tool: bool = False) -> None:
    """Send what a node said to whoever comes next: other agents, or the graph's caller."""
    graph = node.graph
    agent, received = node.speaks_for or (node.agent, node.received)
    if agent is None:
        return
    update = {channel: snapshot(value, 1) for channel, value in writes if _is_state(channel)}
    routes = list(_routes(graph, writes))
    places = frozenset(target for target, _ in routes)
    content = _content(node, update, places, received)
    if node.owns:
        payload.defer(node.span, semconv.AGENTTRACE_OUTPUT, content)
    if not routes:
        _end_branch(node, agent, received, update, content)
    for target, argument in routes:
        kind = (
            "handoff"
            if by_tool or (node.name in graph.shape.tools and target in goto)
            else _type(node, target, received, target in goto, argument is not None)
        )
        words = content if argument is None else _argument(argument)
        deliver(graph, node.span, agent, target, kind, words, received, packet=argument)


def deliver(
    graph: Graph,
    span: Span,
    sender: str,
    target: str,
    kind: MessageType,
    content: Any,
    cause: Received,
    packet: Any = None,
) -> None:
    """Put a message for the node `target` in its inbox; nothing is said to a tool or to oneself."""
    if target in graph.shape.silent:
        return
    if target in graph.shape.tools:
        inbox = Inbox(cause, sender)
    elif (recipient := graph.name_of(target)) == sender:
        inbox = Inbox(cause)
    else:
        message_id = payload.message(
            span,
            sender=sender,
            recipient=recipient,
            content=content,
            type=kind,
            caused_by=cause.message_id,
        )
        inbox = Inbox(Received(message_id, sender, kind, content))
    if packet is None:
        graph.inboxes[target] = inbox
    else:
        graph.sent[id(packet)] = inbox


def inbox_of(graph: Graph, name: str, task: Any) -> Inbox:
    """Return what waits for a task: what was sent to it alone, else what was sent to its node."""
    if task is not None and task.path and task.path[0] == "__pregel_push":
        packet = graph.sent.get(id(task.input))
        if packet is not None:
            return packet
    return graph.inboxes.get(name) or Inbox(NOTHING)


def restore(graph: Graph, tasks: Iterable[Any]) -> None:
    """In a replay: put what the first nodes answer in their inboxes, as if it had been sent."""
    waiting, graph.restored = graph.restored or {}, None
    for task in tasks:
        if task.path[0] != "__pregel_push" and task.name in waiting:
            graph.inboxes[task.name] = waiting[task.name]
        elif task.path[0] == "__pregel_push" and task.id in waiting:
            graph.sent[id(task.input)] = waiting[task.id]


def close_graph(graph: Graph, outputs: Any) -> None:
    """Answer the caller where no node did so: one agent's answer, or an end without words."""
    if graph.single:
        agent, received = graph.agent, graph.received
    elif graph.ended and not graph.answered:
        agent, received = graph.ended
    else:
        return
    if agent and agent != graph.caller:
        inputs, outputs = snapshot(graph.inputs, 1), snapshot(outputs, 1)
        payload.message(
            graph.span,
            sender=agent,
            recipient=graph.caller,
            content=Lazy(lambda: said(outputs, inputs, last=True)),
            type="result",
            caused_by=received.message_id,
        )


def ask_user(
    span: Span,
    agent: str | None,
    interrupts: Iterable[Any],
    asked_before: set[str],
    cause: Received,
) -> None:
    """Record the questions of `interrupt(…)`, each once however many graphs it passes through."""
    for interrupt in interrupts:
        key = getattr(interrupt, "id", None) or str(id(interrupt))
        if key not in asked_before:
            asked_before.add(key)
            payload.message(
                span,
                sender=agent or "workflow",
                recipient=USER,
                content=interrupt.value,
                type="question",
                caused_by=cause.message_id,
            )


def answer_agent(run: Graph | Node, answer: Any) -> None:
    """Record that the user answered an agent's question."""
    if run.agent is None:
        return
    message_id = payload.message(
        run.span, sender=USER, recipient=run.agent, content=answer, type="answer"
    )
    run.received = Received(message_id, None, "answer", snapshot(answer))


def take_answer(node: Node) -> None:
    """Give a node the answer it waited for, once nothing inside it has taken it."""
    answer, node.answer = node.answer, None
    answer_agent(node, answer)


def answer_of(resume: Any, task: Any, pending: Iterable[tuple[str, str, Any]]) -> Any:
    """Return what the user answered to a task's question: the value, or its part of a map."""
    if not isinstance(resume, Mapping):
        return resume
    ids = [
        interrupt.id
        for task_id, channel, value in pending
        if task_id == task.id and channel == INTERRUPT
        for interrupt in (value if isinstance(value, (list, tuple)) else (value,))
    ]
    answers = [resume[key] for key in ids if key in resume]
    if not answers:
        return None if ids and _is_map(resume) else resume
    return answers[0] if len(answers) == 1 else answers


def goto_of(outputs: Any) -> frozenset[str]:
    """Return the nodes that `Command`s in a node's return value name."""
    found = outputs if isinstance(outputs, (list, tuple)) else (outputs,)
    names: list[str] = []
    for command in found:
        if isinstance(command, Command):
            goto = command.goto
            names += [
                place
                for place in (goto if isinstance(goto, (list, tuple)) else (goto,))
                if isinstance(place, str)
            ]
    return frozenset(names)


def writes_of(command: Any) -> list[tuple[str, Any]]:
    """Return what a `Command` from inside a subgraph writes where it takes effect."""
    here = Command(update=command.update, goto=command.goto)
    return [(channel, value) for _, channel, value in map_command(here)]


def _routes(graph: Graph, writes: Writes) -> Iterator[tuple[str, Any]]:
    """Yield each node that is to run next, and its own argument where it was sent one."""
    triggered: Mapping[str, Sequence[str]] = graph.loop.trigger_to_nodes if graph.loop else {}
    seen: set[str] = set()
    for channel, value in writes:
        if channel == SENDS:
            if isinstance(value, Send):
                yield value.node, value.arg
        else:
            for target in triggered.get(channel, ()):
                if target not in seen:
                    seen.add(target)
                    yield target, None


def _is_state(channel: str) -> bool:
    if channel in _STATE:
        return True
    return not channel.startswith(("branch:to:", "join:", "__"))


def _argument(argument: Any) -> Lazy:
    argument = snapshot(argument, 1)
    return Lazy(lambda: asked(argument))


def _content(
    node: Node, update: Mapping[str, Any], places: frozenset[str], received: Received
) -> Lazy:
    """Return what a node said; a node that only decides said what its model said, or passes on."""
    before, last, words = node.before, node.wraps, node.words

    def content() -> Any:
        spoken = said(update, before, last=last, routes=places)
        if spoken is None and words is not None:
            spoken = words()
        if spoken is None and isinstance(received.content, Lazy):
            return received.content.make()
        return received.content if spoken is None else spoken

    return Lazy(_Once(content))  # it is the message, the sender's output, the recipient's input


def _end_branch(
    node: Node, agent: str, received: Received, update: Mapping[str, Any], content: Lazy
) -> None:
    graph = node.graph
    if not speaks(update) or said(update, node.before, last=node.wraps) is None:
        graph.ended = (agent, received)
        return
    graph.answered = True
    if agent != graph.caller:
        payload.message(
            node.span,
            sender=agent,
            recipient=graph.caller,
            content=content,
            type="result",
            caused_by=received.message_id,
        )


def _type(
    node: Node,
    target: str,
    received: Received,
    by_command: bool,
    sent: bool,
) -> MessageType:
    graph = node.graph
    gave = received.type != "result" and received.sender == graph.name_of(target)
    if by_command:
        return "result" if gave and graph.shape.leads(target, node.name) else "handoff"
    if gave or (not sent and (node.pushed or _joins(node, target))):
        return "result"
    if received.sender is None and node.name in graph.shape.after.get(target, ()):
        return "result"  # resumed: who gave the task is in an earlier trace
    return "task"


def _joins(node: Node, target: str) -> bool:
    """Whether several of the nodes running now go on to `target`."""
    before = node.graph.shape.before.get(target)
    if not before or len(before) < 2 or node.graph.loop is None:
        return False
    running = {task.name for task in node.graph.loop.tasks.values()}
    return len(before & running) > 1


def _is_map(resume: Mapping[str, Any]) -> bool:
    return all(isinstance(key, str) and len(key) == 32 for key in resume)
