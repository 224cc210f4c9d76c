"""Open what a graph run consists of: the graph itself, its nodes, and functional tasks."""

from collections.abc import Mapping
from functools import partial
from typing import Any
from uuid import UUID

from langgraph.errors import ParentCommand
from langgraph.types import Command

from agenttrace import payload, replay, semconv
from agenttrace.models import USER
from agenttrace.serialise import Lazy, snapshot
from agenttrace_langgraph import turns
from agenttrace_langgraph.roles import (
    DEFAULT_GRAPH_NAME,
    UNNAMED_AGENT,
    is_inside_agent,
    path_of,
    task_of,
)
from agenttrace_langgraph.runs import NOTHING, Graph, Inbox, Node, Received, Run, resumed
from agenttrace_langgraph.shape import Shape, names_in, shape_of
from agenttrace_langgraph.spans import (
    STOPPED,
    Spans,
    caller,
    graph_around,
    remember_input,
    remember_output,
)
from agenttrace_langgraph.speech import asked, said

NODE = "agenttrace.langgraph.node"
STEP = "agenttrace.langgraph.step"
TASK = "agenttrace.langgraph.task_id"
NAMESPACE = "agenttrace.langgraph.checkpoint_ns"
CHECKPOINT = "agenttrace.langgraph.checkpoint_id"
PUSH = "__pregel_push"

Metadata = Mapping[str, Any]


def start_graph(
    spans: Spans,
    pregel: Any,
    parent: Run | None,
    run_id: UUID,
    inputs: Any,
    metadata: Metadata,
    run_name: str | None,
) -> Graph:
    """Open the run of a compiled graph.

    What a node runs is the node's own doing, unless it was given another name; an agent that a tool
    or a node calls under a name of its own is an agent by itself.
    """
    shape = shape_of(pregel)
    name = run_name or shape.name or DEFAULT_GRAPH_NAME
    given = None if name == DEFAULT_GRAPH_NAME else name
    single = shape.one_agent if parent is None else shape.one_agent_nested
    namespace = metadata.get("langgraph_checkpoint_ns") or ""
    fields: dict[str, Any] = {
        "shape": shape,
        "caller": caller() if parent is None else parent.agent or USER,
        "inputs": snapshot(inputs, 1),
        "single": single,
        "outer": parent,
        "namespace": namespace,
    }
    if isinstance(parent, Node):
        parent.wraps = True
        if _is_the_nodes_own(parent, given):
            graph = _fold(spans, parent, run_id, fields)
            _enter(graph, parent)
            return graph
    if single:
        agent = given or getattr(parent, "tool", None) or UNNAMED_AGENT
        label, key, shown = "invoke_agent", semconv.GEN_AI_AGENT_NAME, agent
    else:
        agent = None
        label, key, shown = "invoke_workflow", semconv.GEN_AI_WORKFLOW_NAME, name
    attributes = {semconv.GEN_AI_OPERATION_NAME: label, key: shown}
    going = replay.current()
    # A replay keeps the thread's name for the application, but is no part of that conversation.
    if (thread := metadata.get("thread_id")) and going is None:
        attributes[semconv.GEN_AI_CONVERSATION_ID] = str(thread)
    graph = spans.open(
        run_id,
        parent,
        f"{label} {shown}",
        attributes,
        kind=Graph,
        agent=agent,
        received=NOTHING if parent is None else parent.received,
        names=names_in(pregel) if parent is None else None,
        **fields,
    )
    remember_input(graph, inputs)
    if going is not None and parent is None and (before := resumed.get()) is not None:
        resumed.set(None)
        graph.restored = before.inboxes
        going.stamp(graph.span, "restored")
    _enter(graph, parent)
    return graph


def _is_the_nodes_own(node: Node, given: str | None) -> bool:
    return given is None or given in (node.name, node.agent) or node.name in node.graph.shape.graphs


def _fold(spans: Spans, node: Node, run_id: UUID, fields: Mapping[str, Any]) -> Graph:
    graph = Graph(
        run_id=run_id,
        root=node.root,
        span=node.span,
        context=node.context,
        key=node.key,
        agent=node.agent,
        received=node.received,
        path=node.path,
        owns=False,
        speaker=node.speaker,
        within=node.graph,
        **fields,
    )
    spans.keep(graph)
    return graph


def _enter(graph: Graph, parent: Run | None) -> None:
    """Note what the graph was asked and answered, and let an agent that stands alone hear it."""
    graph.conclude = partial(_leave_graph, graph)
    inputs = graph.inputs
    if isinstance(parent, Node):
        graph.resume, parent.answer = parent.answer, None
    elif isinstance(inputs, Command) and inputs.resume is not None:
        graph.resume = inputs.resume
    graph.resumed_with = graph.resume
    direct = isinstance(parent, Node) and parent.name in parent.graph.shape.graphs
    turns.open_graph(graph, graph.received.content if direct else None)
    if not graph.single:
        return
    if graph.owns:
        graph.speaker = graph
    asked_alone = graph.owns and graph.agent and graph.agent != graph.caller
    if graph.resume is not None or (asked_alone and inputs is not None):
        graph.greeted = False


def greet(graph: Graph) -> None:
    """Let a single agent hear what it is asked or answered, once the first checkpoint is made."""
    graph.greeted = True
    if graph.resume is not None:
        turns.answer_agent(graph, graph.resume)
        graph.resume = None
        return
    content = Lazy(partial(asked, graph.inputs))
    message_id = payload.message(
        graph.span,
        sender=graph.caller,
        recipient=graph.agent or UNNAMED_AGENT,
        content=content,
        caused_by=graph.received.message_id,
    )
    graph.received = Received(message_id, graph.caller, "task", content)


def _leave_graph(graph: Graph, outputs: Any, error: BaseException | None) -> None:
    status = getattr(graph.loop, "status", None)
    graph.loop = None
    if error is None:
        stopped = status in ("interrupt_before", "interrupt_after") or bool(
            graph.root.asked and graph.root.run_id == graph.run_id
        )
        if stopped:
            graph.span.set_attribute(STOPPED, "interrupt")
        else:
            turns.close_graph(graph, outputs)
        if graph.owns:
            remember_output(graph, outputs)
    elif isinstance(error, ParentCommand) and isinstance(graph.outer, Node):
        by = graph.command_by or (graph.agent, graph.received)
        graph.outer.speaks_for = by if by[0] else None


def start_node(
    spans: Spans, graph: Graph, run_id: UUID, inputs: Any, metadata: Metadata, namespace: str
) -> None:
    """Open the run of a node: an agent's turn, or, for a tool node, a part of its caller's."""
    name = str(metadata["langgraph_node"])
    task_id = task_of(namespace)
    task = graph.loop.tasks.get(task_id) if graph.loop is not None else None
    inbox = turns.inbox_of(graph, name, task)
    graph.ran.add(task_id)
    fields: dict[str, Any] = {
        "graph": graph,
        "name": name,
        "task_id": task_id,
        "before": snapshot(inputs, 1),
        "pushed": task is not None and task.path[0] == PUSH,
        "namespace": namespace,
    }
    if name in graph.shape.tools or name in graph.shape.silent:
        node = Node(
            run_id=run_id,
            root=graph.root,
            span=graph.span,
            context=graph.context,
            key=graph.key,
            agent=inbox.agent or _user_of(graph, name),
            received=inbox.received,
            owns=False,
            path=graph.path,
            within=graph,
            **fields,
        )
        spans.keep(node)
    else:
        path = (*graph.path, name)
        agent = graph.root.name_of(path)
        node = _open_agent(spans, graph, run_id, agent, inbox, path, fields, metadata)
    node.conclude = partial(_leave_node, node)
    if graph.resume is not None and task is not None and not task.writes:
        node.answer = turns.answer_of(graph.resume, task, graph.loop.checkpoint_pending_writes)


def _user_of(graph: Graph, tools: str) -> str | None:
    """Return the agent a tool node works for where no message tells: after a resume."""
    shape: Shape = graph.shape
    agents = [n for n in shape.participants if tools in shape.after.get(n, ())]
    agents = agents or list(shape.participants)
    return graph.name_of(agents[0]) if len(agents) == 1 else None


def _leave_node(node: Node, outputs: Any, error: BaseException | None) -> None:
    graph = node.graph
    if node.answer is not None:
        turns.take_answer(node)
    if isinstance(error, ParentCommand):
        command = error.args[0]
        if takes_effect(command, node):
            writes = turns.writes_of(command)
            turns.hand_on(node, writes, turns.goto_of(command), by_tool=True)
        else:
            graph.command_by = node.speaks_for or (node.agent, node.received)
    elif error is None:
        task = graph.loop.tasks.get(node.task_id) if graph.loop is not None else None
        writes = list(task.writes) if task is not None else []
        turns.hand_on(node, writes, turns.goto_of(outputs))


def takes_effect(command: Any, node: Node) -> bool:
    """Whether a `Command` to a graph further out is meant for the graph this node is in."""
    return command.graph in (node.namespace, "|".join(path_of(node.namespace)), node.name)


def start_task(
    spans: Spans, parent: Run, run_id: UUID, inputs: Any, metadata: Metadata, namespace: str
) -> None:
    """Open a task of a functional workflow: what calls it gives it work and gets the result."""
    name = str(metadata["langgraph_node"])
    graph = graph_around(parent)
    if graph is None or is_inside_agent(name):
        spans.fold(run_id, parent)
        return
    path = (*graph.path, name)  # tasks are functions: whoever calls one, it is the same
    agent = parent.root.name_of(path)
    task_id = task_of(namespace)
    task = graph.loop.tasks.get(task_id) if graph.loop is not None else None
    given = _arguments(task.input if task is not None else inputs)
    received = parent.received
    if parent.agent and parent.agent != agent:
        message_id = payload.message(
            parent.span,
            sender=parent.agent,
            recipient=agent,
            content=given,
            caused_by=received.message_id,
        )
        received = Received(message_id, parent.agent, "task", given)
    graph.ran.add(task_id)
    fields = {
        "graph": graph,
        "name": name,
        "task_id": task_id,
        "namespace": namespace,
    }
    node = _open_agent(spans, parent, run_id, agent, Inbox(received), path, fields, metadata)
    node.conclude = partial(_report, node, parent.agent)


def _report(node: Node, to: str | None, outputs: Any, error: BaseException | None) -> None:
    if error is not None or not to or not node.agent or to == node.agent:
        return
    outputs = snapshot(outputs, 1)
    content = Lazy(lambda: said(outputs, last=True))
    remember_output(node, content)
    payload.message(
        node.span,
        sender=node.agent,
        recipient=to,
        content=content,
        type="result",
        caused_by=node.received.message_id,
    )


def _arguments(given: Any) -> Any:
    """Return what a task was called with: one argument as it is, several as they were given."""
    if isinstance(given, tuple) and len(given) == 2 and isinstance(given[1], Mapping):
        positional, named = given
        if len(positional) == 1 and not named:
            only = snapshot(positional[0])
            return Lazy(lambda: asked(only))
        if not positional:
            return snapshot(dict(named))
        return snapshot([*positional, *([dict(named)] if named else [])])
    return snapshot(given)


def _open_agent(
    spans: Spans,
    parent: Run,
    run_id: UUID,
    agent: str,
    inbox: Inbox,
    path: tuple[str, ...],
    fields: Mapping[str, Any],
    metadata: Metadata,
) -> Node:
    attributes: dict[str, Any] = {
        semconv.GEN_AI_OPERATION_NAME: "invoke_agent",
        semconv.GEN_AI_AGENT_NAME: agent,
        NODE: fields["name"],
        TASK: fields["task_id"],
        NAMESPACE: fields["namespace"],
    }
    if (step := metadata.get("langgraph_step")) is not None:
        attributes[STEP] = step
    if checkpoint_id := fields["graph"].checkpoint_id:
        attributes[CHECKPOINT] = checkpoint_id
    if role := fields["graph"].shape.roles.get(fields["name"]):
        attributes[semconv.AGENTTRACE_AGENT_ROLE] = role
    node: Node = spans.open(
        run_id,
        parent,
        f"invoke_agent {agent}",
        attributes,
        kind=Node,
        agent=agent,
        received=inbox.received,
        path=path,
        **fields,
    )
    node.speaker = node
    if inbox.received.content is not None:
        remember_input(node, inbox.received.content)
    spans.attach(node)
    return node
