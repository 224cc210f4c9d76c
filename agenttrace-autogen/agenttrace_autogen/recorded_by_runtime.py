"""What AutoGen's own runtime spans tell about group chats: every message, and who is asked."""

from typing import Any

from agenttrace.chat import as_text, parse
from agenttrace.models import USER, Span, Trace
from agenttrace_autogen.names import bare
from agenttrace_autogen.recorded_chats import Asked, Begun, Chat, Json, Spoken, dicts, is_chat


def chats(trace: Trace) -> dict[str, Chat]:
    """Return, by team id, what the runtime's spans of a trace tell."""
    found: dict[str, Chat] = {}
    heard: set[str] = set()
    for span in trace.spans:
        if not span.scope.name.startswith("autogen ") or span.session is None:
            continue
        chat = found.setdefault(span.session, Chat(span.session))
        kind = span.attributes.get("messaging.message.type")
        if kind == "GroupChatRequestPublish":
            name = str(span.attributes.get("messaging.destination")).partition(".(")[0]
            chat.asked.append(Asked(span.start_ns, bare(name)))
        elif kind == "GroupChatTermination":
            chat.ended = span.start_ns
        elif span.name.startswith("autogen process "):
            _handled(trace, span, chat, heard)
    return found


def _handled(trace: Trace, span: Span, chat: Chat, heard: set[str]) -> None:
    """A member or the manager handles a message: the first of them to do so tells what it was."""
    attributes = span.attributes
    recipient = bare(attributes.get("recipient_agent_type"))
    is_member = attributes.get("recipient_agent_class") == "ChatAgentContainer"
    content = parse(attributes.get("message"))
    if not isinstance(content, dict):
        return
    if is_member:
        chat.participants.setdefault(recipient)
    else:
        chat.manager = recipient
    if not content.keys() & {"messages", "response", "result", "error"}:
        return
    if not is_member and "error" not in content:
        chat.manager_turns.append(span.start_ns)
    starts = "messages" in content
    if starts and is_member and chat.manager is not None:
        return
    key = f"{'start' if starts else _envelope(span)}/{chat.team_id}"
    if key not in heard:
        heard.add(key)
        _first_handled(trace, span, chat, content)


def _first_handled(trace: Trace, span: Span, chat: Chat, content: Json) -> None:
    created = _created(trace, span)
    sender = trace.parent(created) if created is not None else None
    span_id = sender.span_id if sender is not None else span.span_id
    if "error" in content:
        chat.failed = True
    elif "messages" in content:
        chat.caller = _caller(trace, span)
        chat.begun += [Begun(span.start_ns, m, span_id) for m in dicts(content["messages"])]
    else:
        name = str(content.get("name"))
        message, usage = _chat_message(content)
        if message is not None:
            chat.manager_speaks |= name == chat.manager or _is_manager(span, name)
            # Delivery comes late: an orchestrator has asked somebody to speak by then.
            at = created.start_ns if created is not None else span.start_ns
            chat.spoken.append(Spoken(at, name, message, span_id, usage))


def _is_manager(span: Span, name: str) -> bool:
    sender = as_text(span.attributes.get("sender_agent_type"))
    cls = span.attributes.get("sender_agent_class")
    return sender is not None and bare(sender) == name and cls != "ChatAgentContainer"


def _envelope(span: Span) -> str:
    context = parse(span.attributes.get("message_context"))
    return str(context.get("message_id")) if isinstance(context, dict) else span.span_id


def _chat_message(content: Json) -> tuple[Json | None, tuple[Any, ...]]:
    """The chat message of an agent's response, or the last one of a team's, and what it took."""
    response, result = content.get("response"), content.get("result")
    if isinstance(response, dict) and isinstance(response.get("chat_message"), dict):
        inner = dicts(response.get("inner_messages"))
        return response["chat_message"], tuple(m.get("models_usage") for m in inner)
    if isinstance(result, dict):
        chat = [m for m in dicts(result.get("messages")) if is_chat(m)]
        return (chat[-1] if chat else None), ()
    return None, ()


def _created(trace: Trace, span: Span) -> Span | None:
    """Where a handled message was created, if that is in this trace: links lead there."""
    found = (trace.by_id.get(link.span_id) for link in span.links)
    return next((created for created in found if created is not None), None)


def _caller(trace: Trace, span: Span) -> str:
    """Who started a team: the member of another one in whose turn this happens, else the user."""
    others = (a for a in trace.ancestors(span) if a.session != span.session)
    return next((other.agent for other in others if other.agent), USER)
