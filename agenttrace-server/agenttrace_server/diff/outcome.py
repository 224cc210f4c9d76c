"""What a run came to, in the words a reader compares."""

from agenttrace import chat
from agenttrace.models import Trace


def outcome(trace: Trace) -> str | None:
    """Return what a run came to: the output of its first root span, else the last thing said."""
    root = next((span for span in trace.roots if span.parent_id is None), None)
    if root is not None and root.output is not None:
        return told(root.output)
    return trace.messages[-1].content if trace.messages else None


def told(output: str | None) -> str | None:
    """Return an output with the last message alone where it holds a whole conversation.

    What was said before is compared message by message, and ids of messages differ in every run.
    What else a state holds stands below, as JSON.
    """
    value = chat.parse(output)
    rest: dict[str, object] = {}
    if isinstance(value, dict) and isinstance(value.get("messages"), list):
        rest = {name: held for name, held in value.items() if name != "messages" and held}
        value = value["messages"]
    messages = chat.read(value) if isinstance(value, list) else []
    if not messages:
        return output
    last = messages[-1]
    words = last.get("content") or last.get("tool_calls")
    return "\n\n".join(filter(None, map(chat.as_text, (words, rest or None)))) or None
