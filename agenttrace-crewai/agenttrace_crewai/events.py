"""Say what each CrewAI event is as a span: its name, its attributes, what came of it.

Facts about CrewAI's 1.15 events are from its `crewai.events.types` modules.
"""

from collections.abc import Callable, Mapping
from typing import Any

from agenttrace import semconv

Described = tuple[str, dict[str, Any], Any]
"""Span name, attributes known at once, and the input to serialise later (None: there is none)."""

FRAMEWORK = "crewai"


def text(value: object) -> str:
    """A role or name as people read it: YAML leaves line ends behind."""
    return " ".join(str(value or "").split())


def role_of(agent: Any) -> str:
    """The name of an agent: its role."""
    return text(getattr(agent, "role", None)) or "agent"


def describe(event: Any, source: Any) -> Described:
    """Return how the span that this event of this source starts looks."""
    reader = _STARTS.get(event.type, _other)
    name, attributes, payload = reader(event)
    if event.type == "crew_kickoff_started":
        attributes["crewai.crew.id"] = str(getattr(source, "id", ""))
        attributes["crewai.crew.process"] = getattr(source, "process", None)
    attributes[semconv.AGENTTRACE_FRAMEWORK] = FRAMEWORK
    return name, attributes, payload


def _crew(event: Any) -> Described:
    name = text(event.crew_name) or "crew"
    attributes = {
        semconv.GEN_AI_OPERATION_NAME: "invoke_workflow",
        semconv.GEN_AI_WORKFLOW_NAME: name,
    }
    return f"invoke_workflow {name}", attributes, getattr(event, "inputs", None)


def _task(event: Any) -> Described:
    task = event.task
    name = text(getattr(task, "name", None)) or text(getattr(task, "description", ""))[:60]
    attributes = {
        semconv.AGENTTRACE_KIND: "other",
        "crewai.task.id": str(getattr(task, "id", "")),
        "crewai.task.key": getattr(task, "key", None),
        "crewai.task.name": text(getattr(task, "name", None)) or None,
        "crewai.task.expected_output": getattr(task, "expected_output", None),
        "crewai.task.agent": role_of(task.agent) if getattr(task, "agent", None) else None,
    }
    return f"task {name}", attributes, getattr(task, "description", None)


def _agent(event: Any) -> Described:
    agent = event.agent
    role = role_of(agent)
    attributes = {
        semconv.GEN_AI_OPERATION_NAME: "invoke_agent",
        semconv.GEN_AI_AGENT_NAME: role,
        semconv.GEN_AI_AGENT_ID: str(getattr(agent, "id", "")),
        semconv.AGENTTRACE_AGENT_ROLE: text(getattr(agent, "goal", None)) or None,
    }
    return f"invoke_agent {role}", attributes, event.task_prompt


def _lite_agent(event: Any) -> Described:
    info = event.agent_info
    role = text(info.get("role")) or "agent"
    attributes = {
        semconv.GEN_AI_OPERATION_NAME: "invoke_agent",
        semconv.GEN_AI_AGENT_NAME: role,
        semconv.GEN_AI_AGENT_ID: str(info.get("id") or ""),
        semconv.AGENTTRACE_AGENT_ROLE: text(info.get("goal")) or None,
    }
    return f"invoke_agent {role}", attributes, event.messages


def _llm(event: Any) -> Described:
    name, attributes = llm_call(None, event.model)
    attributes |= {
        "gen_ai.request.temperature": event.temperature,
        "gen_ai.request.top_p": event.top_p,
        "gen_ai.request.max_tokens": event.max_tokens,
        "gen_ai.request.seed": event.seed,
    }
    return name, attributes, event.messages


def llm_call(llm: Any, model: str | None = None) -> tuple[str, dict[str, Any]]:
    """Return name and attributes of a call to this model."""
    model = str(model or getattr(llm, "model", "") or "") or None
    # A user's own model class inherits the default "openai", whatever it talks to.
    known = type(llm).__module__.startswith("crewai.")
    provider = getattr(llm, "provider", None) if known else None
    attributes: dict[str, Any] = {
        semconv.GEN_AI_OPERATION_NAME: "chat",
        semconv.GEN_AI_REQUEST_MODEL: model,
        semconv.GEN_AI_PROVIDER_NAME: provider if isinstance(provider, str) else None,
        semconv.AGENTTRACE_FRAMEWORK: FRAMEWORK,
    }
    return f"chat {model}" if model else "chat", attributes


def _tool(event: Any) -> Described:
    attributes = {
        semconv.GEN_AI_OPERATION_NAME: "execute_tool",
        semconv.GEN_AI_TOOL_NAME: event.tool_name,
        "crewai.tool.run_attempts": getattr(event, "run_attempts", None) or None,
    }
    return f"execute_tool {event.tool_name}", attributes, event.tool_args


def _mcp_tool(event: Any) -> Described:
    attributes = {
        semconv.GEN_AI_OPERATION_NAME: "execute_tool",
        semconv.GEN_AI_TOOL_NAME: event.tool_name,
        **called_over_mcp(event),
    }
    return f"execute_tool {event.tool_name}", attributes, event.tool_args


def called_over_mcp(event: Any) -> dict[str, str]:
    """What is known of a tool because an MCP server runs it."""
    return {
        "mcp.method.name": "tools/call",
        "crewai.mcp.server": str(event.server_name),
        # What the server calls it; the model knows it by a longer name.
        "crewai.mcp.tool": str(event.tool_name),
    }


def _flow(event: Any) -> Described:
    attributes = {
        semconv.GEN_AI_OPERATION_NAME: "invoke_workflow",
        semconv.GEN_AI_WORKFLOW_NAME: event.flow_name,
    }
    return f"invoke_workflow {event.flow_name}", attributes, event.inputs


def _method(event: Any) -> Described:
    attributes = {semconv.AGENTTRACE_KIND: "other", "crewai.flow.method": event.method_name}
    return f"{event.flow_name}.{event.method_name}", attributes, event.params or None


def _search(event: Any) -> Described:
    what = event.type.removesuffix("_started").replace("_", " ")
    query = getattr(event, "query", None) or getattr(event, "task_prompt", None)
    # CrewAI looks things up for an agent before that agent's turn begins.
    role = text(getattr(event, "agent_role", None)) or None
    return what, {semconv.AGENTTRACE_KIND: "retriever", semconv.GEN_AI_AGENT_NAME: role}, query


def _a2a(event: Any) -> Described:
    attributes = {
        semconv.AGENTTRACE_KIND: "handoff",
        "crewai.a2a.endpoint": getattr(event, "endpoint", None),
    }
    return remote_agent(event), attributes, getattr(event, "task_description", None)


def _other(event: Any) -> Described:
    what = event.type.removesuffix("_started").replace("_", " ")
    attributes = {
        semconv.AGENTTRACE_KIND: "other",
        "crewai.guardrail.name": getattr(event, "guardrail_name", None),
        "crewai.guardrail.retry_count": getattr(event, "retry_count", None),
    }
    return what, attributes, getattr(event, "value", None)


def remote_agent(event: Any) -> str:
    """The name of the agent at the other end of an A2A event."""
    card = getattr(event, "agent_card", None) or {}
    name = getattr(event, "a2a_agent_name", None) or card.get("name")
    return text(name or getattr(event, "endpoint", None) or "remote agent")


_STARTS: Mapping[str, Callable[[Any], Described]] = {
    "crew_kickoff_started": _crew,
    "crew_train_started": _crew,
    "crew_test_started": _crew,
    "task_started": _task,
    "agent_execution_started": _agent,
    "lite_agent_execution_started": _lite_agent,
    "llm_call_started": _llm,
    "tool_usage_started": _tool,
    "mcp_tool_execution_started": _mcp_tool,
    "flow_started": _flow,
    "method_execution_started": _method,
    "memory_query_started": _search,
    "memory_retrieval_started": _search,
    "knowledge_query_started": _search,
    "knowledge_search_query_started": _search,
    "a2a_delegation_started": _a2a,
    "a2a_conversation_started": _a2a,
}


def outcome(event: Any) -> Any:
    """Return what the step that this event ends gave back, or None."""
    for name in ("output", "response", "result", "results", "final_result", "memory_content"):
        value = getattr(event, name, None)
        if value is not None:
            return getattr(value, "raw", value)
    return getattr(event, "retrieved_knowledge", None) or getattr(event, "plan", None)


def failure(event: Any) -> str | None:
    """Return what went wrong in the step that this event ends, or None if nothing did."""
    error = getattr(event, "error", None)
    if event.type.endswith(("_failed", "_error")):
        return str(error) or "failed"
    if error and event.type.startswith("a2a_"):
        return str(error)
    reported = getattr(event, "failure", None)
    return str(getattr(reported, "message", None) or reported) if reported else None


def usage(reported: Mapping[str, Any] | None) -> dict[str, int]:
    """Return token counts under their GenAI names from any provider's usage mapping."""
    counts = reported or {}
    sent = counts.get("prompt_tokens") or counts.get("input_tokens")
    made = counts.get("completion_tokens") or counts.get("output_tokens")
    named = {semconv.GEN_AI_USAGE_INPUT_TOKENS: sent, semconv.GEN_AI_USAGE_OUTPUT_TOKENS: made}
    return {name: count for name, count in named.items() if isinstance(count, int)}
