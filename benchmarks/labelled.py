"""Labelled runs as traces: records of any framework, read like any other input.

A record is a JSON object with `id`, `task` and `steps` (`index`, `agent`, `to`, `role`, `content`,
`tool_calls`); whatever else it has is not looked at here.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from agenttrace import semconv
from agenttrace.models import USER, RawSpan, Scope, SpanEvent, Trace
from agenttrace.normalize import normalize
from agenttrace.plugins import Plugins
from agenttrace.testing import derive

_STEP_NS = 1_000_000_000
_SCOPE = Scope("agenttrace", "1")
_USERS = {"user", "human"}

Record = dict[str, Any]


def records(folder: Path) -> Iterator[tuple[str, Record]]:
    """Yield each record of each `*.jsonl` file with the name of its file."""
    for path in sorted(folder.glob("*.jsonl")):
        with path.open(encoding="utf-8") as lines:
            for line in lines:
                if line.strip():
                    yield path.stem, json.loads(line)


def trace_of(record: Record, plugins: Plugins) -> Trace:
    """Return a record as a trace; step 7 is the message with the id `step-7`."""
    return derive(normalize(list(_raws(record)), plugins), plugins)


def step_of(message_id: str | None) -> int | None:
    """Return the record's own index of the step a message stands for."""
    head, _, number = (message_id or "").partition("step-")
    return int(number) if not head and number.lstrip("-").isdigit() else None


def names_of(record: Record) -> dict[int, str]:
    """Return, for each step's index, who took it, as the record itself spells the name."""
    steps = record.get("steps") or []
    return {_index(step, place): _spelt(step) for place, step in enumerate(steps)}


def _raws(record: Record) -> Iterator[RawSpan]:
    steps = record.get("steps") or []
    trace_id = "c" * 32
    end = (len(steps) + 2) * _STEP_NS
    root = {semconv.AGENTTRACE_KIND: "workflow", semconv.AGENTTRACE_INPUT: record.get("task") or ""}
    first = steps[0] if steps else {}
    if record.get("task") and _name(first) != USER:
        asked = _message(USER, _name(first) or "agent", str(record["task"]), "task", USER)
        events: tuple[SpanEvent, ...] = (SpanEvent(semconv.MESSAGE_EVENT, _STEP_NS // 2, asked),)
    else:
        events = ()
    yield RawSpan(trace_id, "f" * 16, "run", 1, end, attributes=root, events=events, scope=_SCOPE)
    caller = "agent"
    for place, step in enumerate(steps):
        at = (place + 1) * _STEP_NS
        name = _name(step) or "agent"
        text = _text(step)
        said: dict[str, Any] = {semconv.AGENTTRACE_OUTPUT: text}
        events = ()
        if step.get("role") == "tool":
            tool = step.get("name") or name
            said |= {semconv.AGENTTRACE_KIND: "tool", semconv.GEN_AI_TOOL_NAME: tool}
            said[semconv.GEN_AI_AGENT_NAME] = caller
        else:
            caller = name if name != USER else caller
            said |= {semconv.AGENTTRACE_KIND: "other" if name == USER else "agent"}
            if name != USER:
                said[semconv.GEN_AI_AGENT_NAME] = name
            if step.get("role") != "system":
                to = _recipient(steps, place, name)
                event = _message(name, to, text, "task", f"step-{_index(step, place)}")
                events = (SpanEvent(semconv.MESSAGE_EVENT, at + _STEP_NS // 2, event),)
        yield RawSpan(
            trace_id,
            f"{place + 1:016x}",
            f"step of {name}",
            at,
            at + _STEP_NS - 1,
            parent_id="f" * 16,
            attributes=said,
            events=events,
            scope=_SCOPE,
        )


def _message(sender: str, to: str, text: str, kind: str, message_id: str) -> dict[str, Any]:
    return {
        semconv.MESSAGE_ID: message_id,
        semconv.MESSAGE_SENDER: sender,
        semconv.MESSAGE_RECIPIENT: to,
        semconv.MESSAGE_TYPE: kind,
        semconv.MESSAGE_CONTENT: text,
    }


def _index(step: Record, place: int) -> int:
    index = step.get("index")
    return index if isinstance(index, int) else place


def _spelt(step: Record) -> str:
    return str(step.get("agent") or step.get("name") or step.get("role") or "")


def _name(step: Record) -> str:
    name = _spelt(step)
    return USER if name.lower() in _USERS else name


def _text(step: Record) -> str:
    calls = step.get("tool_calls") or []
    text = str(step.get("content") or "")
    told = [call if isinstance(call, str) else json.dumps(call) for call in calls]
    return "\n".join([text, *(call for call in told if call not in text)]).strip()


def _recipient(steps: list[Record], place: int, name: str) -> str:
    if to := steps[place].get("to"):
        return USER if str(to).lower() in _USERS else str(to)
    for later in steps[place + 1 : place + 8]:
        other = _name(later)
        if other and other != name and later.get("role") not in ("tool", "system"):
            return other
    return USER
