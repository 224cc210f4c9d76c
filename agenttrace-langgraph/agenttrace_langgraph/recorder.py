# ruff: noqa: ARG002 - LangChain names the arguments of its callbacks
"""Follow LangChain's callbacks and LangGraph's loop, and hand each event to who records it."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextvars import ContextVar, Token
from functools import partial, wraps
from logging import getLogger
from typing import Any, TypeAlias, TypeVar
from uuid import UUID

from langchain_core.callbacks import BaseCallbackHandler
from langgraph.errors import GraphInterrupt
from opentelemetry import context as otel
from opentelemetry.trace import SpanKind

from agenttrace import payload, semconv
from agenttrace_langgraph import answers, calls, checkpoints, graphs, turns
from agenttrace_langgraph.runs import Graph, Node, Run
from agenttrace_langgraph.shape import HIDDEN
from agenttrace_langgraph.spans import Spans, remember_input, remember_output
from agenttrace_langgraph.speech import first_line, system_prompt

log = getLogger("agenttrace.langgraph")

_F = TypeVar("_F", bound=Callable[..., Any])
Outside: TypeAlias = "tuple[otel.Context, Token[Call | None] | None]"


class Call:
    """A call of a graph: who started it is told by the first callback that comes while inside.

    While the graph works its span is current; while its consumer does, what was before.
    """

    __slots__ = ("pregel", "run", "taken")

    def __init__(self, pregel: Any) -> None:
        self.pregel = pregel
        self.run: Graph | None = None
        self.taken = False

    def enter(self) -> Outside:
        """Let the graph work; what this returns is for `leave`."""
        before = otel.get_current()
        if self.run is not None:
            otel.attach(self.run.context)
        return before, None if self.taken else calling.set(self)

    def leave(self, outside: Outside) -> None:
        """Let the consumer work."""
        before, token = outside
        if token is not None:
            calling.reset(token)
        otel.attach(before)


calling: ContextVar[Call | None] = ContextVar("agenttrace_langgraph_calling", default=None)


def quietly(method: _F) -> _F:
    """Keep what goes wrong in recording out of the app, and say so once."""
    said_so = False

    @wraps(method)
    def guarded(*args: Any, **kwargs: Any) -> Any:
        nonlocal said_so
        try:
            return method(*args, **kwargs)
        except Exception:
            if not said_so:
                said_so = True
                log.exception("Recording a LangGraph run failed in %s", method.__name__)
            return None

    return guarded  # type: ignore[return-value]


class Recorder(BaseCallbackHandler):
    """One handler for every run of the process; which runs are open is all it keeps.

    Parents are found by the run ids LangChain gives, never by thread or task, so it does not matter
    where a callback comes from. It runs inline: the current span must change in the app's own
    context.
    """

    run_inline = True
    raise_error = False

    def __init__(self) -> None:
        self.spans = Spans()

    def sizes(self) -> dict[str, int]:
        """Return how many entries each per-run map has: 0 when nothing is running."""
        return {"runs": len(self.spans.runs)}

    # LangGraph's loop

    @quietly
    def ticked(self, loop: Any) -> None:
        """A super-step is about to run, or there is nothing left to run."""
        graph = self._graph_of(loop)
        if graph is None:
            return
        first = graph.loop is None
        graph.loop = loop
        graph.ran.clear()
        tasks = list(loop.tasks.values()) if hasattr(loop, "tasks") else []
        if graph.restored is not None:
            turns.restore(graph, tasks)
        checkpoints.record(graph, tasks, first=first)
        if not graph.greeted:
            graphs.greet(graph)
        if first and not graph.single and turns.begins_directly(graph, tasks):
            turns.begin_directly(graph, tasks)

    @quietly
    def stepped(self, loop: Any) -> None:
        """A super-step has run; its writes are about to be applied."""
        graph = self._graph_of(loop)
        if graph is None:
            return
        graph.resumed_with = None
        if graph.single:
            return
        graph.resume = None
        for task in loop.tasks.values():
            if task.name == turns.START:
                turns.start(graph, task)
            elif task.writes and task.id not in graph.ran and task.path[-1] is not True:
                turns.hand_on_unseen(graph, task)

    def _graph_of(self, loop: Any) -> Graph | None:
        run = self.spans.parent(getattr(loop.manager, "run_id", None))
        return run if isinstance(run, Graph) else None

    # Graphs, nodes and what they are made of

    @quietly
    def on_chain_start(
        self,
        serialized: Any,
        inputs: Any,
        *,
        run_id: UUID,
        parent_run_id: UUID | None = None,
        tags: Sequence[str] | None = None,
        metadata: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        """Open a graph, a node or a task; anything else is folded into what it is part of."""
        metadata, tags, name = metadata or {}, tags or (), kwargs.get("name")
        parent = self.spans.parent(parent_run_id)
        call = calling.get()
        if call is not None and not call.taken:
            call.taken = True
            call.run = graphs.start_graph(
                self.spans, call.pregel, parent, run_id, inputs, metadata, name
            )
            return
        if parent is None:
            self._start_chain(run_id, inputs, name or "chain")
            return
        namespace = metadata.get("langgraph_checkpoint_ns") or ""
        if (
            isinstance(parent, Graph)
            and parent.run_id == parent_run_id
            and any(tag.startswith("graph:step:") for tag in tags)
        ):
            if parent.single or HIDDEN in tags or not namespace:
                self.spans.fold(run_id, parent)
            else:
                graphs.start_node(self.spans, parent, run_id, inputs, metadata, namespace)
        elif namespace != parent.namespace and _is_task(metadata):
            graphs.start_task(self.spans, parent, run_id, inputs, metadata, namespace)
        else:
            self.spans.fold(run_id, parent)

    def _start_chain(self, run_id: UUID, inputs: Any, name: str) -> None:
        """Open a LangChain chain that runs outside any graph: a whole of its own."""
        run: Run = self.spans.open(
            run_id,
            None,
            f"invoke_workflow {name}",
            {
                semconv.GEN_AI_OPERATION_NAME: "invoke_workflow",
                semconv.GEN_AI_WORKFLOW_NAME: name,
            },
        )
        run.conclude = lambda outputs, _: remember_output(run, outputs)
        remember_input(run, inputs)
        self.spans.attach(run)

    @quietly
    def on_chain_end(self, outputs: Any, *, run_id: UUID, **kwargs: Any) -> None:
        """Close it."""
        self.spans.end(run_id, outputs, None)

    @quietly
    def on_chain_error(self, error: BaseException, *, run_id: UUID, **kwargs: Any) -> None:
        """Close it; control flow is no error."""
        self.spans.end(run_id, None, error)

    # Model calls

    @quietly
    def on_chat_model_start(
        self,
        serialized: Any,
        messages: Iterable[Iterable[Any]],
        *,
        run_id: UUID,
        parent_run_id: UUID | None = None,
        metadata: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        """Open a chat model's call."""
        flat = [message for batch in messages for message in batch]
        self._start_model("chat", flat, run_id, parent_run_id, metadata or {}, kwargs)

    @quietly
    def on_llm_start(
        self,
        serialized: Any,
        prompts: Sequence[str],
        *,
        run_id: UUID,
        parent_run_id: UUID | None = None,
        metadata: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        """Open a text completion model's call."""
        self._start_model("text_completion", prompts, run_id, parent_run_id, metadata or {}, kwargs)

    def _start_model(
        self,
        operation: str,
        messages: Sequence[Any],
        run_id: UUID,
        parent_run_id: UUID | None,
        metadata: Mapping[str, Any],
        kwargs: Mapping[str, Any],
    ) -> None:
        parameters = kwargs.get("invocation_params") or {}
        model = calls.model_of(metadata, parameters)
        run: Run = self.spans.open(
            run_id,
            self._working(parent_run_id),
            f"{operation} {model}" if model else operation,
            calls.request_attributes(operation, model, metadata),
            span_kind=SpanKind.CLIENT,
        )
        calls.defer_request(run.span, messages, parameters)
        answers.ask_model(self.spans, run, messages, parameters, model or "")
        speaker = run.speaker
        if speaker is not None and not speaker.has_role and operation == "chat":
            speaker.has_role = True
            if role := first_line(system_prompt(messages)):
                speaker.span.set_attribute(semconv.AGENTTRACE_AGENT_ROLE, role)
        self.spans.attach(run)

    @quietly
    def on_llm_new_token(self, token: Any, *, run_id: UUID, **kwargs: Any) -> None:
        """Let whoever consumes the stream go on outside the call: its request has been made."""
        run = self.spans.runs.get(run_id)
        if run is not None and run.attached:
            self.spans.detach(run)

    @quietly
    def on_llm_end(self, response: Any, *, run_id: UUID, **kwargs: Any) -> None:
        """Close a model's call."""
        run = self.spans.runs.get(run_id)
        if run is None:
            return
        try:
            messages = calls.finish_call(run.span, response)
            if messages:
                answers.keep_messages(run, messages)
                if run.speaker is not None:
                    run.speaker.words = partial(calls.words_of, messages[0])
        finally:
            self.spans.close(run, None)

    @quietly
    def on_llm_error(self, error: BaseException, *, run_id: UUID, **kwargs: Any) -> None:
        """Close a model's call that failed or was left."""
        self.spans.end(run_id, None, error)

    # Tools and retrievers

    @quietly
    def on_tool_start(
        self,
        serialized: Mapping[str, Any] | None,
        input_str: str,
        *,
        run_id: UUID,
        parent_run_id: UUID | None = None,
        inputs: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        """Open a tool's call."""
        parent = self._working(parent_run_id)
        about = serialized or {}
        name = about.get("name") or kwargs.get("name") or "tool"
        attributes = {
            semconv.GEN_AI_OPERATION_NAME: "execute_tool",
            semconv.GEN_AI_TOOL_NAME: name,
        }
        if call_id := kwargs.get("tool_call_id"):
            attributes[semconv.GEN_AI_TOOL_CALL_ID] = call_id
        if description := about.get("description"):
            attributes["gen_ai.tool.description"] = description
        if isinstance(parent, Node) and parent.agent and not parent.owns:
            # A tool node has no span of its own to say for whom it works.
            attributes[semconv.GEN_AI_AGENT_NAME] = parent.agent
        run: Run = self.spans.open(run_id, parent, f"execute_tool {name}", attributes)
        run.tool = name
        given = inputs if inputs is not None else input_str
        payload.defer(run.span, semconv.GEN_AI_TOOL_CALL_ARGUMENTS, given)
        try:
            answers.ask_tool(self.spans, run, name, given, kwargs.get("tool_call_id"))
        finally:
            self.spans.attach(run)

    @quietly
    def on_tool_end(self, output: Any, *, run_id: UUID, **kwargs: Any) -> None:
        """Close a tool's call."""
        run = self.spans.runs.get(run_id)
        if run is None:
            return
        try:
            calls.finish_tool(run.span, output)
            answers.keep_result(run, output)
        finally:
            self.spans.close(run, None)

    @quietly
    def on_tool_error(self, error: BaseException, *, run_id: UUID, **kwargs: Any) -> None:
        """Close a tool's call that failed or asked the user."""
        run = self.spans.runs.get(run_id)
        if run is not None and isinstance(error, GraphInterrupt):
            answers.keep_question(run, error)
        self.spans.end(run_id, None, error)

    @quietly
    def on_retriever_start(
        self,
        serialized: Mapping[str, Any] | None,
        query: str,
        *,
        run_id: UUID,
        parent_run_id: UUID | None = None,
        **kwargs: Any,
    ) -> None:
        """Open a retriever's call."""
        name = kwargs.get("name") or (serialized or {}).get("name") or "retriever"
        run: Run = self.spans.open(
            run_id,
            self._working(parent_run_id),
            f"retrieval {name}",
            {
                semconv.GEN_AI_OPERATION_NAME: "retrieval",
                semconv.AGENTTRACE_KIND: "retriever",
            },
        )
        run.conclude = lambda documents, _: remember_output(run, documents)
        remember_input(run, query)
        self.spans.attach(run)

    @quietly
    def on_retriever_end(self, documents: Any, *, run_id: UUID, **kwargs: Any) -> None:
        """Close a retriever's call."""
        self.spans.end(run_id, documents, None)

    @quietly
    def on_retriever_error(self, error: BaseException, *, run_id: UUID, **kwargs: Any) -> None:
        """Close a retriever's call that failed."""
        self.spans.end(run_id, None, error)

    def _working(self, run_id: UUID | None) -> Run | None:
        """Return the run that makes a call; if it had waited for the user's answer, it has it."""
        run = self.spans.parent(run_id)
        if isinstance(run, Node) and run.answer is not None:
            turns.take_answer(run)
        return run


def _is_task(metadata: Mapping[str, Any]) -> bool:
    """Whether this is a task that a functional workflow called, not one sent by `Send`."""
    path = metadata.get("langgraph_path")
    return (
        isinstance(path, (tuple, list))
        and path[:1] in ((graphs.PUSH,), [graphs.PUSH])
        and (path[-1] is True)
    )
