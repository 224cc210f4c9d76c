"""Tell calls of models and tools apart, keep what they answered, and give that answer again.

What a call's answer depends on is worked out by the same functions when a run is recorded and when
it is replayed, from the same callbacks; so the two cannot disagree.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextvars import ContextVar
from typing import Any
from weakref import WeakKeyDictionary

from langchain_core.messages import (
    AIMessage,
    AIMessageChunk,
    BaseMessage,
    RemoveMessage,
    ToolMessage,
)
from langchain_core.messages.tool import tool_call_chunk
from langchain_core.tools import BaseTool
from langgraph.errors import GraphBubbleUp, GraphInterrupt
from langgraph.store.base import BaseStore
from langgraph.types import Command, interrupt

from agenttrace import payload
from agenttrace.errors import ReplayError, ReplayStopped
from agenttrace.replay import Replay, current, input_hash
from agenttrace.serialise import Lazy, snapshot
from agenttrace.values import recorded_error
from agenttrace_langgraph import calls, state
from agenttrace_langgraph.runs import Decision, Run
from agenttrace_langgraph.spans import Spans, graph_around

tool_input: ContextVar[tuple[BaseTool, Any] | None] = ContextVar(
    "agenttrace_langgraph_tool_input", default=None
)
"""The tool about to run and all it was given: its callbacks are not told what was injected."""

_ASKED_WITH = ("tools", "functions", "tool_choice", "response_format", "stop")
_EXACT = f'{{"format":"{state.FORMAT}","value":'
_ASKED = "__agenttrace_asked__"
_HANDOFF = "__handoff_destination"
"""Metadata by which LangGraph's swarm and supervisor mark their handoff tools."""
_HANDOFF_NAMES = ("transfer_to_", "transfer_back_to_", "handoff_to_", "hand_off_to_")


_COUNTED = {"remaining_steps", "is_last_step"}
"""What LangGraph counts and gives with a state; it counts anew where a run is taken up again."""

_given: WeakKeyDictionary[Replay, set[str]] = WeakKeyDictionary()
"""Which answers each replay has given, by the spans they were given in."""


def ask_model(
    spans: Spans, run: Run, messages: Sequence[Any], parameters: Mapping[str, Any], model: str
) -> None:
    """Note what a model is asked; in a replay, decide where its answer comes from."""
    kept = list(messages)
    asked_with = {key: parameters[key] for key in _ASKED_WITH if parameters.get(key)}
    given = Lazy(lambda: {"messages": calls.plain_messages(kept), **asked_with})
    cause = run.received.content
    payload.called(run.span, given, name=model, agent=run.agent, cause=cause)
    replay = current(run.context)
    if replay is not None:
        _decide(spans, run, replay, lambda: replay.llm(run.agent or "", model, given, cause))


def ask_tool(spans: Spans, run: Run, name: str, given: Any, tool_call_id: str | None) -> None:
    """Note what a tool is given; in a replay, decide whether it runs."""
    tool, whole = tool_input.get() or (None, None)
    if tool is not None and tool.name == name:
        tool_input.set(None)
        given = whole
    else:
        tool = None
    if isinstance(given, Mapping):
        # Copied now: LangChain adds the call's id to it later.
        kept = {key: snapshot(value) for key, value in given.items() if key != "tool_call_id"}
        identity: Any = Lazy(lambda: dict(_identifying(kept)))
    else:
        identity = given
    graph = graph_around(run)
    if graph is not None and graph.resumed_with is not None:
        # The tool may be where the user was asked: then it depends on the answer.
        identity = {"given": identity, "resumed_with": snapshot(graph.resumed_with)}
    cause = run.received.content
    payload.called(run.span, identity, name=name, agent=run.agent, cause=cause)
    replay = current(run.context)
    if replay is not None:
        ask = replay.steering if tool is not None and is_handoff(tool) else replay.tool
        _decide(
            spans, run, replay, lambda: ask(run.agent or "", name, identity, cause), tool_call_id
        )


def _decide(
    spans: Spans, run: Run, replay: Replay, ask: Any, tool_call_id: str | None = None
) -> None:
    try:
        answer = ask()
        replay.stamp(run.span, "live" if answer is None else "recorded")
        given = _given.setdefault(replay, set())
        again = answer is not None and answer.span_id in given
        if answer is not None:
            given.add(answer.span_id)
        decision = Decision(answer, None, tool_call_id, again)
    except ReplayError as error:
        decision = Decision(None, error)
    except BaseException as error:
        # Nothing may run that was not looked up.
        spans.decide(run, Decision(None, ReplayStopped(f"A call could not be looked up: {error}")))
        raise
    spans.decide(run, decision)


def _identifying(given: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Yield what a tool's answer depends on: of what LangGraph injects, the state and context."""
    for name, value in given.items():
        if type(value).__name__ == "ToolRuntime":
            yield name, {"state": _uncounted(value.state), "context": value.context}
        elif not isinstance(value, BaseStore):
            yield name, _uncounted(value)


def _uncounted(state: Any) -> Any:
    if not isinstance(state, Mapping) or not _COUNTED & state.keys():
        return state
    return {name: value for name, value in state.items() if name not in _COUNTED}


def is_handoff(tool: BaseTool) -> bool:
    """Whether a tool only says who goes on: by LangGraph's mark, or by its name and its type."""
    if _HANDOFF in (tool.metadata or {}):
        return True
    if not tool.name.startswith(_HANDOFF_NAMES):
        return False
    function = getattr(tool, "func", None) or getattr(tool, "coroutine", None)
    returns = getattr(function, "__annotations__", {}).get("return")
    return returns is None or returns is Command or "Command" in str(returns)


# What was answered, to be answered again


def keep_messages(run: Run, messages: Sequence[Any]) -> None:
    """Keep what a model answered, exactly."""
    kept = list(messages)
    payload.answered(run.span, None, lambda: state.dump_value(kept, run.root.spelled))


def keep_result(run: Run, output: Any) -> None:
    """Keep what a tool answered, exactly where its text alone would not bring it back."""
    if isinstance(output, ToolMessage) and _is_plain(output, run.tool):
        payload.answered(run.span, output.content)
    elif isinstance(output, str):
        payload.answered(run.span, output)
    else:
        payload.answered(run.span, None, lambda: state.dump_value(output))


def keep_question(run: Run, error: GraphInterrupt) -> None:
    """Keep what a tool asked the user, for the replay to ask in its place."""
    questions = [each.value for each in error.args[0]] if error.args else []
    payload.answered(run.span, None, lambda: _question(questions))


def _question(questions: list[Any]) -> str | None:
    return state.dump_value({_ASKED: questions[0]}) if len(questions) == 1 else None


def _is_plain(message: ToolMessage, tool: str | None) -> bool:
    return (
        type(message) is ToolMessage
        and isinstance(message.content, str)
        and message.artifact is None
        and message.status == "success"
        and message.name == tool
        and not message.additional_kwargs
        and not message.response_metadata
    )


def recorded_messages(decision: Decision) -> list[Any]:
    """Return the messages (or texts) a model answered; raise what it raised."""
    answer = decision.answer
    assert answer is not None
    if answer.error is not None:
        raise recorded_error(answer)
    found: list[Any] = state.load_value(answer.output)
    if decision.again:  # a message with an id the state has already would replace that one
        for message in found:
            if isinstance(message, BaseMessage):
                message.id = None
    return found


def whole_message(message: Any) -> AIMessage:
    """Return a model's message as it comes when nothing is streamed."""
    if isinstance(message, AIMessageChunk):
        fields = {
            key: value
            for key, value in message.model_dump(exclude={"type", "chunk_position"}).items()
            if key in AIMessage.model_fields
        }
        return AIMessage(**fields)
    if isinstance(message, AIMessage):
        return message
    return AIMessage(message.content if isinstance(message, BaseMessage) else str(message))


def chunk_of(message: Any) -> AIMessageChunk:
    """Return a model's message as the only chunk of a stream."""
    if isinstance(message, AIMessageChunk):
        return message
    whole = whole_message(message)
    calls_made = [
        tool_call_chunk(
            name=call["name"], args=json.dumps(call["args"]), id=call["id"], index=index
        )
        for index, call in enumerate(whole.tool_calls)
    ]
    fields: dict[str, Any] = {
        "content": whole.content,
        "additional_kwargs": whole.additional_kwargs,
        "response_metadata": whole.response_metadata,
        "name": whole.name,
        "id": whole.id,
        "usage_metadata": whole.usage_metadata,
        "tool_call_chunks": calls_made,
    }
    if "chunk_position" in AIMessageChunk.model_fields:
        fields["chunk_position"] = "last"
    return AIMessageChunk(**fields)


def recorded_result(tool: BaseTool, decision: Decision, given: Any) -> Any:
    """Return what a tool's function returned, such that the tool makes of it what it had made.

    `given` is what the function is called with now, the state included that LangGraph injects.
    """
    answer = decision.answer
    assert answer is not None
    if answer.error is not None:
        raise recorded_error(answer)
    text = answer.output
    if text.startswith(_EXACT):
        old, new = answer.tool_call_id, decision.tool_call_id
        if old and new and old != new:
            text = text.replace(json.dumps(old), json.dumps(new))
        value = state.load_value(text)
        if isinstance(value, dict) and value.keys() == {_ASKED}:
            interrupt(value[_ASKED])
            raise ReplayStopped(f"The tool {tool.name!r} asked the user, and was answered now")
        _adopt_ids(value, given)
    else:
        value = text
    pair = tool.response_format == "content_and_artifact"
    if pair and isinstance(value, ToolMessage) and value.status == "success":
        return value.content, value.artifact
    return (value, None) if pair else value


def _adopt_ids(value: Any, given: Any) -> None:
    """Give messages that a tool passes on from the state it was given the ids they have now.

    With their recorded ids they would be added to the conversation a second time.
    """
    here: dict[str, list[str | None]] = {}
    for message in _messages_in(given):
        here.setdefault(_words_of(message), []).append(message.id)
    if not here:
        return
    passed_on = list(_messages_in(value))
    removed = [message for message in passed_on if isinstance(message, RemoveMessage)]
    now: dict[str | None, str | None] = {}
    for message in passed_on:
        ids = here.get(_words_of(message))
        if ids and message.id is not None:
            now[message.id] = message.id = ids.pop(0)
    for message in removed:
        message.id = now.get(message.id) or message.id


def _words_of(message: BaseMessage) -> str:
    return input_hash([message])


def _messages_in(value: Any, depth: int = 6) -> Iterator[BaseMessage]:
    if isinstance(value, BaseMessage):
        yield value
    elif depth and isinstance(value, Mapping):
        for item in value.values():
            yield from _messages_in(item, depth - 1)
    elif depth and isinstance(value, (list, tuple)):
        for item in value:
            yield from _messages_in(item, depth - 1)
    elif depth and isinstance(value, Command):
        yield from _messages_in(value.update, depth - 1)
    elif depth and type(value).__name__ == "ToolRuntime":
        yield from _messages_in(value.state, depth - 1)


def refused(error: ReplayError) -> ReplayError:
    """Return the error so that LangGraph lets it through: no node or tool node handles it."""
    if isinstance(error, GraphBubbleUp):
        return error
    kind = type(error)
    through = type(kind.__name__, (kind, GraphBubbleUp), {"__module__": kind.__module__})
    made: ReplayError = through(*error.args)
    return made
