"""Read the spans of LangGraph runs: our own capture's, and those of other instrumentations.

LangSmith, Langfuse and MLflow keep LangChain's run metadata as OpenInference does; OpenLIT keeps
none. What the two richest can tell, from their own recordings of one application:

| | OpenInference | OpenLLMetry |
|---|---|---|
| node, step, namespace | JSON text in `metadata` | `traceloop.association.properties.*` |
| who is an agent | by node name | by node name |
| edges | no: who ran in the step before | `gen_ai.workflow.edges` |
| `Command(goto=…)` | in the node's output | in the node's output, and a span `goto X` |
| `Send` | its argument, as the input of what it started | the same |
| interrupt, `Command` to a parent | an exception's text | an exception's text, marked as error |
| checkpoints | no | no |

Two participants of the same name in different teams have one name there: a span alone does not tell
that there is another.
"""

from typing import Any

import msgspec

from agenttrace import genai
from agenttrace.chat import as_text, parse
from agenttrace.models import Normalizer, RawSpan, Scope, Span
from agenttrace_langgraph.recorded import (
    Place,
    is_agent,
    is_node_run,
    place_of,
    stopped_by,
    texts,
)
from agenttrace_langgraph.roles import (
    DEFAULT_GRAPH_NAME,
    UNNAMED_AGENT,
    is_inside_agent,
    is_one_agent,
)
from agenttrace_langgraph.speech import asked, said

FRAMEWORK = "langgraph"
OWN = "agenttrace.langgraph"
OPENINFERENCE = "openinference.instrumentation.langchain"
OPENLLMETRY = "opentelemetry.instrumentation.langchain"
FOREIGN = (OPENINFERENCE, OPENLLMETRY, "langsmith", "langfuse", "mlflow")
"""How the scopes begin whose spans say which node of a graph they are of."""
OPENLIT = "openlit.instrumentation.langgraph"
WORKFLOW_NODES = "gen_ai.workflow.nodes"


def normalizer_of(scope: Scope) -> Normalizer | None:
    """Return the function that reads a scope's spans, or None if it is not LangGraph's."""
    if scope.name == OWN:
        return genai.read
    if scope.name.startswith(FOREIGN):
        return read
    return read_openlit if scope.name == OPENLIT else None


def read(raw: RawSpan) -> Span:
    """Read a span that another instrumentation recorded; what is not LangGraph's stays as it is."""
    span = genai.read(raw)
    if WORKFLOW_NODES in raw.attributes:
        return _with(raw, span, **_graph(raw, span))
    place = place_of(raw)
    if place is None:
        return span
    if span.kind in ("llm", "tool", "retriever", "handoff"):
        return _with(raw, span, agent=None)
    return _with(raw, span, **_run(raw, span, place))


def read_openlit(raw: RawSpan) -> Span:
    """Read a span of OpenLIT, which says `invoke_agent` of each node, also of those in an agent."""
    span = genai.read(raw)
    part = span.kind == "agent" and span.agent is not None and is_inside_agent(span.agent)
    return _with(raw, span, kind="other", agent=None) if part else _with(raw, span)


def _run(raw: RawSpan, span: Span, place: Place) -> dict[str, Any]:
    name = _node_name(raw)
    if not place.node:
        named = place.agent_name or (None if name == DEFAULT_GRAPH_NAME else name)
        if place.create_agent:
            return _lone_agent(span, named)
        return {"kind": "workflow", "agent": None}
    if is_node_run(name, place) and is_agent(place):
        return {"kind": "agent", "agent": place.node}
    if place.create_agent and name not in (place.node, "model", "tools") and _is_graph(raw, place):
        named = place.agent_name or (None if name == DEFAULT_GRAPH_NAME else name)
        return _lone_agent(span, named)
    return {"kind": "other", "agent": None}


def _lone_agent(span: Span, named: str | None) -> dict[str, Any]:
    """Read the graph of one agent: what it was asked and answered are the last messages."""
    given, gave = parse(span.input), parse(span.output)
    return {
        "kind": "agent",
        "agent": named or UNNAMED_AGENT,
        "input": as_text(asked(given)),
        "output": as_text(said(gave, given, last=True)) or span.output,
    }


def _is_graph(raw: RawSpan, place: Place) -> bool:
    """Whether this is an agent that a tool or a node runs, by the name it was given."""
    return place.outer == place.namespace and _node_name(raw) in (
        place.agent_name,
        DEFAULT_GRAPH_NAME,
    )


def _graph(raw: RawSpan, span: Span) -> dict[str, Any]:
    """Read OpenLLMetry's span around a graph, which it calls an agent whatever it is."""
    if raw.parent_id is None and is_one_agent(texts(raw.attributes[WORKFLOW_NODES])):
        named = None if span.agent == DEFAULT_GRAPH_NAME else span.agent
        return {"kind": "agent", "agent": named or UNNAMED_AGENT}
    return {"kind": "workflow", "agent": None}


def _node_name(raw: RawSpan) -> str:
    task = raw.attributes.get("gen_ai.task.name") or raw.attributes.get("traceloop.entity.name")
    return str(task or raw.name)


def _with(raw: RawSpan, span: Span, **meaning: Any) -> Span:
    if stopped_by(raw) is not None:  # control flow, which they take for an error
        meaning |= {"error": None, "status": "unset"}
    return msgspec.structs.replace(span, framework=FRAMEWORK, **meaning)
