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
from agenttrace.chat import as_text, parse
from agenttrace.models import Message, Normalizer, RawSpan, Scope, Span, Trace
from agenttrace_autogen import (
    ag2,
    recorded_by_openinference,
    recorded_by_runtime,
    recorded_chats,
    recorded_runtimes,
)
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
        yield from _chats(trace)
        yield from recorded_by_openinference.direct_messages(trace)
        yield from recorded_runtimes.messages(trace)
    if ag2.SCOPE in names:
        yield from ag2.messages(trace)


def _chats(trace: Trace) -> Iterable[Message]:
    """The messages of the teams; what the runtime tells of one is more than OpenInference does."""
    chats = recorded_by_runtime.chats(trace)
    for team_id, chat in recorded_by_openinference.chats(trace).items():
        known = chats.get(team_id)
        if known is None or not (known.spoken or known.begun):
            chats[team_id] = chat
    for chat in chats.values():
        yield from recorded_chats.tell(trace.trace_id, chat)


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

    Only handling is an agent's work; for members of a team only handling the request to speak, and
    never for a manager that just passes turns.
    """
    attributes = raw.attributes
    recipient = as_text(attributes.get("recipient_agent_type"))
    cls = as_text(attributes.get("recipient_agent_class")) or ""
    destination = as_text(attributes.get("messaging.destination"))
    span = Span.of(raw, framework=FRAMEWORK, session=team_of(recipient) or team_of(destination))
    error = genai.read(raw).error
    if not raw.name.startswith("autogen process ") or recipient is None or _carries(cls, raw):
        return msgspec.structs.replace(span, error=error)
    given = None if cls == "ChatAgentContainer" else said_in(attributes)
    return msgspec.structs.replace(
        span, kind="agent", agent=bare(recipient), input=given, error=error
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
            input=recorded_by_openinference.task_of(raw) or span.input,
            output=recorded_by_openinference.answer_of(raw) or span.output,
            session=as_text(raw.attributes.get("team_id")),
        )
    if kind == "AGENT":
        return msgspec.structs.replace(
            span, input=recorded_by_openinference.heard_by(raw) or span.input
        )
    return span


def _carries(cls: str, raw: RawSpan) -> bool:
    """Whether an agent class only carries a team's messages and turns around here."""
    if cls == "ChatAgentContainer":
        return not _asked_to_speak(raw)
    return cls.endswith(("GroupChatManager", "GraphFlowManager"))


def _asked_to_speak(raw: RawSpan) -> bool:
    context = parse(raw.attributes.get("message_context"))
    topic = as_text(context.get("topic_id")) if isinstance(context, dict) else None
    recipient = as_text(raw.attributes.get("recipient_agent_type"))
    return topic is not None and recipient is not None and topic.startswith(f"{recipient}/")
