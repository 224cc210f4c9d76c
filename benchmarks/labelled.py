"""Labelled runs as traces: records of any framework, read like any other input.

A record is a JSON object with `id`, `task` and `steps` (`index`, `agent`, `to`, `role`, `content`,
`tool_calls`); whatever else it has is not looked at here. Any of them may be missing or odd: what
cannot be read costs itself, not the record.
"""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from agenttrace import semconv
from agenttrace.models import USER, RawSpan, Scope, SpanEvent, Trace
from agenttrace.normalize import normalize
from agenttrace.plugins import Plugins
from agenttrace.testing import derive

_STEP_NS = 1_000_000_000
_LONGEST_NUMBER = 1000
"""So many digits are still a number: Python refuses to read a few thousand."""
_SCOPE = Scope("agenttrace", "1")
_USERS = {"user", "human"}

Record = dict[str, Any]


def records(folder: Path) -> Iterator[tuple[str, Record]]:
    """Yield each record of each `*.jsonl` file with the name of its file.

    A line that is no JSON object is no record: it is named on stderr and passed over.
    """
    for path in sorted(folder.glob("*.jsonl")):
        with path.open(encoding="utf-8-sig", errors="replace") as lines:
            for number, line in enumerate(lines, 1):
                record = _read(line)
                if isinstance(record, dict):
                    yield path.stem, record
                elif line.strip():
                    print(f"{path}:{number}: no JSON object, passed over", file=sys.stderr)


def _read(line: str) -> Any:
    try:
        return json.loads(line)
    except (ValueError, RecursionError):
        return None


def steps_of(record: Record) -> list[Record]:
    """Return a record's steps; one that is no object is a step in which nothing is known."""
    steps = record.get("steps")
    if not isinstance(steps, list):
        return []
    return [step if isinstance(step, dict) else {"content": step} for step in steps]


def index_of(step: Record, place: int) -> int:
    """Return a step's own index, else its place among the steps."""
    index = number_of(step.get("index"))
    return place if index is None else index


def number_of(value: object) -> int | None:
    """Return a whole number, written as such or as text, or None."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, str) and len(value) < _LONGEST_NUMBER:
        try:
            return int(value)
        except ValueError:
            return None
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def trace_of(record: Record, plugins: Plugins) -> Trace:
    """Return a record as a trace; step 7 is the message with the id `step-7`."""
    return derive(normalize(list(_raws(record)), plugins), plugins)


def step_of(message_id: str | None) -> int | None:
    """Return the record's own index of the step a message stands for."""
    head, _, number = (message_id or "").partition("step-")
    return None if head else number_of(number)


def names_of(record: Record) -> dict[int, str]:
    """Return, for each step's index, who took it, as the record itself spells the name."""
    return {index_of(step, place): _spelt(step) for place, step in enumerate(steps_of(record))}


def truth(record: Record) -> tuple[str, int] | None:
    """Return the decisive agent and the record's own index of the step, if the labels name them."""
    labels = record.get("labels")
    if not isinstance(labels, dict):
        return None
    # AgentRx counts steps from one, Who&When from zero.
    for agent, step, first in (
        ("mistake_agent", "mistake_step", 0),
        ("root_agent", "root_step", 1),
    ):
        if (number := number_of(labels.get(step))) is not None:
            return _as_spelt(record, labels.get(agent)), number - first
    return None


def _as_spelt(record: Record, name: object) -> str:
    """Return an agent's name as the steps spell it: labels are not careful with capitals."""
    names = {own.lower(): own for own in names_of(record).values()}
    return names.get(str(name).lower(), str(name))


def set_of(record: Record) -> str:
    """Return which set a record is of: its id without the last part, at most two parts of it."""
    return ":".join(str(record.get("id", "")).split(":")[:-1][:2])


def _raws(record: Record) -> Iterator[RawSpan]:
    steps, task = steps_of(record), _plain(record.get("task"))
    trace_id = "c" * 32
    end = (len(steps) + 2) * _STEP_NS
    root = {semconv.AGENTTRACE_KIND: "workflow", semconv.AGENTTRACE_INPUT: task}
    first = steps[0] if steps else {}
    if task and _name(first) != USER:
        asked = _message(USER, _name(first) or "agent", task, "task", USER)
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
            tool = _plain(step.get("name")) or name
            said |= {semconv.AGENTTRACE_KIND: "tool", semconv.GEN_AI_TOOL_NAME: tool}
            said[semconv.GEN_AI_AGENT_NAME] = caller
        else:
            caller = name if name != USER else caller
            said |= {semconv.AGENTTRACE_KIND: "other" if name == USER else "agent"}
            if name != USER:
                said[semconv.GEN_AI_AGENT_NAME] = name
            if step.get("role") != "system":
                to = _recipient(steps, place, name)
                event = _message(name, to, text, "task", f"step-{index_of(step, place)}")
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


def _spelt(step: Record) -> str:
    return _plain(step.get("agent") or step.get("name") or step.get("role"))


def _plain(value: Any) -> str:
    if isinstance(value, str):
        return value
    return "" if value is None else json.dumps(value)


def _name(step: Record) -> str:
    name = _spelt(step)
    return USER if name.lower() in _USERS else name


def _text(step: Record) -> str:
    calls = step.get("tool_calls") or []
    text = _plain(step.get("content"))
    told = [_plain(call) for call in (calls if isinstance(calls, list) else [calls])]
    return "\n".join([text, *(call for call in told if call not in text)]).strip()


def _recipient(steps: list[Record], place: int, name: str) -> str:
    if to := _plain(steps[place].get("to")):
        return USER if to.lower() in _USERS else to
    for later in steps[place + 1 : place + 8]:
        other = _name(later)
        if other and other != name and later.get("role") not in ("tool", "system"):
            return other
    return USER
