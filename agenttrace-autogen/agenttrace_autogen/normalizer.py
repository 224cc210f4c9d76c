"""Read AutoGen and ag2 runs that other instrumentations recorded, without importing either.

What each convention can tell (read off their dumps):

- AutoGen's runtime (scope `autogen SingleThreadedAgentRuntime`): every message with its content,
  who got it and who was asked to speak next; no model calls. A run is dozens of traces.
- AutoGen's GenAI spans (scope `autogen-core`): who ran and which tools, no content.
- OpenInference: who ran in what order and which tools with arguments and results; what was said
  only inside its input and output texts; model calls for OpenAI clients alone.
- ag2: see `agenttrace_autogen.ag2`.
"""

from collections.abc import Iterable

import msgspec

from agenttrace import genai, semconv
from agenttrace.chat import as_text
from agenttrace.models import Message, Normalizer, RawSpan, Scope, Span, Trace
from agenttrace_autogen import ag2, recorded_chats, recorded_runtimes
from agenttrace_autogen.names import bare, team_of
from agenttrace_autogen.recorded_runtimes import said_in

FRAMEWORK = "autogen"
OURS = "agenttrace.autogen"

_DEFAULT_DESCRIPTION = "An agent that provides assistance with ability to use tools."


def for_scope(scope: Scope) -> Normalizer | None:
    """Return the reader for spans of this scope, or None if it is about neither framework."""
    name = scope.name
    if name == OURS:
        return genai.read
    if name == "autogen-core":
        return read_gen_ai
    if name.startswith("autogen "):
        return read_runtime
    if name.startswith("openinference.instrumentation.autogen"):
        return read_openinference
    if name == ag2.SCOPE:
        return ag2.read
    return None


def messages(trace: Trace) -> Iterable[Message]:
    """Tell the messages of runs that others recorded; nothing where our capture has told them."""
    names = {span.scope.name for span in trace.spans}
    if OURS in names:
        return
    if any(name.startswith(("autogen", "openinference.instrumentation.autogen")) for name in names):
        yield from recorded_chats.messages(trace)
        yield from recorded_runtimes.messages(trace)
    if ag2.SCOPE in names:
        yield from ag2.messages(trace)


def read_gen_ai(raw: RawSpan) -> Span:
    """Read a span that AutoGen writes for an agent or a tool."""
    span = genai.read(raw)
    description = as_text(raw.attributes.get(semconv.GEN_AI_AGENT_DESCRIPTION))
    return msgspec.structs.replace(
        span,
        framework=FRAMEWORK,
        agent_role=None if description == _DEFAULT_DESCRIPTION else description,
        session=team_of(raw.attributes.get(semconv.GEN_AI_AGENT_ID)) or span.session,
    )


def read_runtime(raw: RawSpan) -> Span:
    """Read a span of the runtime: a message being created, sent, published or handled.

    Only handling is an agent's work, and only where the agent is neither a member of a team (its
    turns have spans of their own) nor a manager that just passes turns.
    """
    attributes = raw.attributes
    recipient = as_text(attributes.get("recipient_agent_type"))
    cls = as_text(attributes.get("recipient_agent_class")) or ""
    destination = as_text(attributes.get("messaging.destination"))
    span = Span.of(raw, framework=FRAMEWORK, session=team_of(recipient) or team_of(destination))
    error = genai.read(raw).error
    if not raw.name.startswith("autogen process ") or recipient is None or is_plumbing(cls):
        return msgspec.structs.replace(span, error=error)
    return msgspec.structs.replace(
        span, kind="agent", agent=bare(recipient), input=said_in(attributes), error=error
    )


def read_openinference(raw: RawSpan) -> Span:
    """Read a span of OpenInference: a team's run, an agent's turn, a tool or model call."""
    span = msgspec.structs.replace(genai.read(raw), framework=FRAMEWORK)
    kind = raw.attributes.get("openinference.span.kind")
    if kind == "CHAIN" and raw.name.endswith(".run_stream"):
        return msgspec.structs.replace(
            span,
            kind="workflow",
            agent=None,
            input=recorded_chats.task_of(raw) or span.input,
            output=recorded_chats.answer_of(raw) or span.output,
            session=as_text(raw.attributes.get("team_id")),
        )
    if kind == "AGENT":
        return msgspec.structs.replace(span, input=recorded_chats.heard_by(raw) or span.input)
    return span


def is_plumbing(cls: str) -> bool:
    """Whether an agent class only carries a team's messages and turns around."""
    return cls == "ChatAgentContainer" or cls.endswith(("GroupChatManager", "GraphFlowManager"))
