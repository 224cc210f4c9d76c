"""Every attribute name AgentTrace writes or reads, in one place.

`GEN_AI_*` follow the OpenTelemetry GenAI conventions; `AGENTTRACE_*` are ours, for what no standard
has. `ALIASES` says under which names other conventions keep the same thing, best first.
"""

AGENTTRACE_FRAMEWORK = "agenttrace.framework"
AGENTTRACE_KIND = "agenttrace.kind"
AGENTTRACE_AGENT_ROLE = "agenttrace.agent.role"
AGENTTRACE_INPUT = "agenttrace.input"
AGENTTRACE_OUTPUT = "agenttrace.output"
AGENTTRACE_TRACER = "agenttrace.tracer"
"""Scope attribute: the name given to `AgentTracer`."""
AGENTTRACE_REPLAY_ID = "agenttrace.replay.id"
AGENTTRACE_REPLAY_SOURCE_TRACE_ID = "agenttrace.replay.source_trace_id"
AGENTTRACE_REPLAY_TIER = "agenttrace.replay.tier"
"""Where a span of a replay comes from: restored, recorded (answered from the record) or live."""

# What a replay needs in order to answer a model's or a tool's call from the record.
AGENTTRACE_INPUT_HASH = "agenttrace.input.hash"
"""Of the whole input, before it was capped and redacted: see `agenttrace.identity`."""
AGENTTRACE_CALL_AGENT = "agenttrace.call.agent"
"""Who made the call, as capture knew it when it was made."""
AGENTTRACE_CALL_NAME = "agenttrace.call.name"
"""The model or tool, as capture knew it when the call was made."""
AGENTTRACE_CALL_CAUSE = "agenttrace.call.cause"
"""Hash of what the agent was answering when it made the call."""
AGENTTRACE_OUTPUT_EXACT = "agenttrace.output.exact"
"""The output as the framework itself writes it, where the text alone would not bring it back."""
AGENTTRACE_OUTPUT_HASH = "agenttrace.output.hash"
"""Of the output before it was capped and redacted: if it no longer fits, it answers nothing."""
RECORDED_OUTPUTS = (
    AGENTTRACE_OUTPUT_EXACT,
    "gen_ai.output.messages",
    "gen_ai.tool.call.result",
    AGENTTRACE_OUTPUT,
)
"""Where a call's output is, the most exact first."""

MESSAGE_EVENT = "agenttrace.message"
MESSAGE_ID = "agenttrace.message.id"
MESSAGE_SENDER = "agenttrace.message.sender"
MESSAGE_RECIPIENT = "agenttrace.message.recipient"
MESSAGE_TYPE = "agenttrace.message.type"
MESSAGE_CONTENT = "agenttrace.message.content"
MESSAGE_CAUSED_BY = "agenttrace.message.caused_by"
MESSAGE_AUDIENCE = "agenttrace.message.audience"

CHECKPOINT_EVENT = "agenttrace.checkpoint"
CHECKPOINT_ID = "agenttrace.checkpoint.id"
CHECKPOINT_FRAMEWORK = "agenttrace.checkpoint.framework"
"""Who can resume it, where that is not the span's framework."""
CHECKPOINT_LABEL = "agenttrace.checkpoint.label"
CHECKPOINT_STATE = "agenttrace.checkpoint.state"
CHECKPOINT_CONFIG = "agenttrace.checkpoint.config"
CHECKPOINT_INPUT = "agenttrace.checkpoint.input"
CHECKPOINT_WHY_NOT = "agenttrace.checkpoint.why_not"

GEN_AI_OPERATION_NAME = "gen_ai.operation.name"
GEN_AI_PROVIDER_NAME = "gen_ai.provider.name"
GEN_AI_AGENT_ID = "gen_ai.agent.id"
GEN_AI_AGENT_NAME = "gen_ai.agent.name"
GEN_AI_AGENT_DESCRIPTION = "gen_ai.agent.description"
GEN_AI_WORKFLOW_NAME = "gen_ai.workflow.name"
GEN_AI_CONVERSATION_ID = "gen_ai.conversation.id"
GEN_AI_REQUEST_MODEL = "gen_ai.request.model"
GEN_AI_RESPONSE_ID = "gen_ai.response.id"
GEN_AI_RESPONSE_MODEL = "gen_ai.response.model"
GEN_AI_RESPONSE_FINISH_REASONS = "gen_ai.response.finish_reasons"
GEN_AI_SYSTEM_INSTRUCTIONS = "gen_ai.system_instructions"
GEN_AI_INPUT_MESSAGES = "gen_ai.input.messages"
GEN_AI_OUTPUT_MESSAGES = "gen_ai.output.messages"
GEN_AI_USAGE_INPUT_TOKENS = "gen_ai.usage.input_tokens"
GEN_AI_USAGE_OUTPUT_TOKENS = "gen_ai.usage.output_tokens"
GEN_AI_TOOL_NAME = "gen_ai.tool.name"
GEN_AI_TOOL_CALL_ID = "gen_ai.tool.call.id"
GEN_AI_TOOL_CALL_ARGUMENTS = "gen_ai.tool.call.arguments"
GEN_AI_TOOL_CALL_RESULT = "gen_ai.tool.call.result"
ERROR_TYPE = "error.type"

CONTEXT_CALLER = "agenttrace.caller"
"""Key in the OTel context (no attribute): the agent recorded by hand that is at work, and what it
was given."""
CONTEXT_AGENT = "agenttrace.agent"
"""Key in the OTel context (no attribute): the agent at work, so that a crew called by a graph knows
who called it."""

_OF_LANGCHAIN = {
    "llm": "llm",
    "embedding": "llm",
    "tool": "tool",
    "retriever": "retriever",
    "reranker": "retriever",
    "chain": "other",
}

# How a span says what it is, most specific first: (attribute, value in lower case) -> kind.
# `invoke_agent` comes after OpenLLMetry's own kinds, because it marks workflows and tasks so too.
KINDS: tuple[tuple[str, dict[str, str]], ...] = (
    (
        AGENTTRACE_KIND,
        {
            kind: kind
            for kind in ("workflow", "agent", "llm", "tool", "retriever", "handoff", "other")
        },
    ),
    ("traceloop.span.kind", {"workflow": "workflow", "task": "other", "handoff": "handoff"}),
    (
        GEN_AI_OPERATION_NAME,
        {
            "chat": "llm",
            "generate_content": "llm",
            "text_completion": "llm",
            "completion": "llm",
            "embeddings": "llm",
            "retrieval": "retriever",
            "create_agent": "other",
            "invoke_agent": "agent",
            "execute_tool": "tool",
            "execute_task": "other",
            "invoke_workflow": "workflow",
            "plan": "other",
            "goto": "handoff",
            "handoff": "handoff",
            "agent_handoff": "handoff",
            "transfer": "handoff",
            # Strands
            "invoke_swarm": "workflow",
            "invoke_graph": "workflow",
            "execute_event_loop_cycle": "other",
        },
    ),
    (
        "openinference.span.kind",
        {
            "llm": "llm",
            "embedding": "llm",
            "agent": "agent",
            "tool": "tool",
            "retriever": "retriever",
            "reranker": "retriever",
            "chain": "other",
            "guardrail": "other",
            "evaluator": "other",
            "prompt": "other",
        },
    ),
    ("traceloop.span.kind", {"agent": "agent", "tool": "tool"}),
    ("langsmith.span.kind", _OF_LANGCHAIN),
    ("langfuse.observation.type", _OF_LANGCHAIN | {"generation": "llm", "agent": "agent"}),
    ("mlflow.spanType", _OF_LANGCHAIN | {"chat_model": "llm", "agent": "agent"}),
    ("llm.request.type", {"chat": "llm", "completion": "llm", "embedding": "llm"}),
    (
        "ai.operationId",
        {
            "ai.generatetext.dogenerate": "llm",
            "ai.streamtext.dostream": "llm",
            "ai.generateobject.dogenerate": "llm",
            "ai.streamobject.dostream": "llm",
            "ai.embed.doembed": "llm",
            "ai.embedmany.doembed": "llm",
            "ai.toolcall": "tool",
        },
    ),
    ("mcp.method.name", {"tools/call": "tool"}),
)

# Attributes that only spans of one kind carry, for spans that do not say what they are.
KIND_HINTS: tuple[tuple[str, str], ...] = (
    ("pydantic_ai.all_messages", "agent"),
    ("all_messages_events", "agent"),
    ("smolagents.task", "agent"),
    (GEN_AI_TOOL_NAME, "tool"),
    ("tool.name", "tool"),
    (GEN_AI_INPUT_MESSAGES, "llm"),
    (GEN_AI_REQUEST_MODEL, "llm"),
    ("llm.model_name", "llm"),
    ("retrieval.documents.0.document.content", "retriever"),
)

# Where each field of a span is kept, best first.
ALIASES: dict[str, tuple[str, ...]] = {
    "agent": (GEN_AI_AGENT_NAME, "agent.name", "agent_name"),
    "agent_of_kind": ("graph.node.id", "graph.node.name", "traceloop.entity.name"),
    "agent_role": (AGENTTRACE_AGENT_ROLE, GEN_AI_AGENT_DESCRIPTION, "agent.description"),
    "model": (
        GEN_AI_REQUEST_MODEL,
        "llm.request.model_name",
        "llm.model_name",
        GEN_AI_RESPONSE_MODEL,
        "llm.response.model_name",
        "embedding.model_name",
        "llm.request.model",
        "ai.model.id",
        "model_name",
        "langfuse.observation.model.name",
        "mlflow.llm.model",
    ),
    "provider": (
        GEN_AI_PROVIDER_NAME,
        "gen_ai.system",
        "llm.provider",
        "llm.system",
        "llm.vendor",
        "ai.model.provider",
        "traceloop.association.properties.ls_provider",
        "langfuse.observation.metadata.ls_provider",
        "mlflow.llm.provider",
    ),
    "tokens_in": (
        GEN_AI_USAGE_INPUT_TOKENS,
        "gen_ai.usage.prompt_tokens",
        "llm.token_count.prompt",
        "llm.usage.prompt_tokens",
        "ai.usage.inputTokens",
        "ai.usage.promptTokens",
    ),
    "tokens_out": (
        GEN_AI_USAGE_OUTPUT_TOKENS,
        "gen_ai.usage.completion_tokens",
        "llm.token_count.completion",
        "llm.usage.completion_tokens",
        "ai.usage.outputTokens",
        "ai.usage.completionTokens",
    ),
    "cost_usd": ("gen_ai.usage.cost", "llm.cost.total", "operation.cost", "llm.usage.cost"),
    "session": (
        GEN_AI_CONVERSATION_ID,
        "session.id",
        "traceloop.association.properties.session_id",
        "traceloop.association.properties.thread_id",
        "langsmith.trace.session_id",
        "langfuse.session.id",
        "ai.telemetry.metadata.sessionId",
        "thread_id",
    ),
    "tool": (GEN_AI_TOOL_NAME, "tool.name", "ai.toolCall.name", "mcp.tool.name"),
    "tool_input": (
        GEN_AI_TOOL_CALL_ARGUMENTS,
        "tool_arguments",
        "ai.toolCall.args",
        "input.value",
        "traceloop.entity.input",
        "tool.parameters",
        "langfuse.observation.input",
        "mlflow.spanInputs",
        "gen_ai.prompt",
        "gcp.vertex.agent.tool_call_args",
    ),
    "tool_output": (
        GEN_AI_TOOL_CALL_RESULT,
        "tool_response",
        "ai.toolCall.result",
        "output.value",
        "traceloop.entity.output",
        "langfuse.observation.output",
        "mlflow.spanOutputs",
        "gen_ai.completion",
        "gcp.vertex.agent.tool_response",
    ),
    "input": (
        "traceloop.entity.input",
        "input.value",
        "ai.prompt",
        "ai.prompt.messages",
        "gen_ai.task.input",
        "gen_ai.retrieval.query.text",
        "smolagents.task",
        "langfuse.observation.input",
        "mlflow.spanInputs",
        "gen_ai.prompt",
    ),
    "output": (
        "final_result",
        "traceloop.entity.output",
        "output.value",
        "ai.response.text",
        "ai.response.object",
        "gen_ai.task.output",
        "gen_ai.retrieval.documents",
        "langfuse.observation.output",
        "mlflow.spanOutputs",
        "gen_ai.completion",
    ),
    # Values that hold a request or a response of a model, in a shape of the model's provider.
    "request": (
        "input.value",
        "ai.prompt.messages",
        "gen_ai.prompt",
        "request_data",
        "langfuse.observation.input",
        "mlflow.spanInputs",
        "gcp.vertex.agent.llm_request",
    ),
    "response": (
        "output.value",
        "gen_ai.completion",
        "response_data",
        "langfuse.observation.output",
        "mlflow.spanOutputs",
        "gcp.vertex.agent.llm_response",
    ),
    # A whole conversation: what was asked, everything in between, and what came out.
    "conversation": ("pydantic_ai.all_messages", "all_messages_events"),
    # Message events as one attribute instead of span events.
    "message_events": ("events",),
    "invocation": ("llm.invocation_parameters", "gen_ai.request.parameters"),
}

# Attributes that hold all counts of tokens at once, and what each is called there.
USAGES = ("langfuse.observation.usage_details", "mlflow.chat.tokenUsage")
IN_USAGE = {
    "tokens_in": ("input_tokens", "prompt_tokens", "input"),
    "tokens_out": ("output_tokens", "completion_tokens", "output"),
}

# Instrumentations whose attributes are JSON, so that text in them has quotes.
QUOTED = ("langfuse", "mlflow")

# Names that an instrumentation gives to what it has none for.
NO_NAMES = frozenset(("OpenAI Agent", "OpenAI Agents instrumentation"))

# The id that a model's provider gave to its answer: two spans with the same one are one call.
RESPONSE_IDS = (GEN_AI_RESPONSE_ID, "llm.response.id", "ai.response.id")

# Families of flattened messages: the family's prefix, then an index, then the field.
INPUT_FAMILIES = ("llm.input_messages", "gen_ai.prompt")
OUTPUT_FAMILIES = ("llm.output_messages", "gen_ai.completion")

# Where a handoff span says who hands to whom; sender and recipient.
HANDOFFS: tuple[tuple[str, str], ...] = (
    ("gen_ai.agent.handoff.source.name", "gen_ai.agent.handoff.target.name"),
    ("gen_ai.handoff.from_agent", "gen_ai.handoff.to_agent"),
    (GEN_AI_AGENT_NAME, "gen_ai.transfer.target.name"),
    ("langgraph.command.source_node", "langgraph.command.goto_node"),
)

# Whose spans they are, by how the instrumentation scope is called; the first part that fits counts.
SCOPE_FRAMEWORKS: tuple[tuple[str, str], ...] = (
    ("agenttrace.langgraph", "langgraph"),
    ("agenttrace.autogen", "autogen"),
    ("agenttrace.crewai", "crewai"),
    ("langgraph", "langgraph"),
    ("langchain", "langchain"),
    ("autogen", "autogen"),
    ("crewai", "crewai"),
    ("pydantic_ai", "pydantic-ai"),
    ("pydantic-ai", "pydantic-ai"),
    ("smolagents", "smolagents"),
    ("openai_agents", "openai-agents"),
    ("openai-agents", "openai-agents"),
    ("google_adk", "google-adk"),
    ("google.adk", "google-adk"),
    ("gcp.vertex.agent", "google-adk"),
    ("strands", "strands"),
    ("agent_framework", "agent-framework"),
    ("semantic_kernel", "semantic-kernel"),
    ("llama_index", "llamaindex"),
    ("llamaindex", "llamaindex"),
    ("haystack", "haystack"),
    ("dspy", "dspy"),
    ("agno", "agno"),
    ("beeai", "beeai"),
    ("ag2", "ag2"),
    ("mastra", "mastra"),
)

# Instrumentations that put their own framework where the model's provider belongs.
NOT_PROVIDERS = frozenset(
    ("agenttrace", "langgraph", "langchain", "autogen", "crewai", "pydantic-ai", "unknown")
)

# Exceptions by which a framework steers, not by which it fails.
CONTROL_FLOW = frozenset(
    (
        "GraphBubbleUp",
        "GraphInterrupt",
        "GraphDrained",
        "NodeInterrupt",
        "ParentCommand",
        "GeneratorExit",
        "StopIteration",
        "StopAsyncIteration",
        "CancelledError",
    )
)
