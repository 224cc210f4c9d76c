"""Write reviewed traces as labelled runs: what the evaluation and the trainer read.

One record is `{"id", "source", "framework", "task", "group", "steps", "labels"}`; a step is
`{"index", "agent", "to", "role", "content", "tool_calls", "name"}`. `labels.mast` says of each mode
of MAST whether people confirmed it (1), rejected it (0) or said nothing (null);
`labels.mistake_agent` and `mistake_step` are there where somebody named the decisive step;
`labels.findings` has every verdict.
"""

import hashlib
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from agenttrace.models import USER, FailureAnnotation, Span, Trace
from agenttrace_server.mast.modes import MODES
from agenttrace_server.mast.talk import Said, Talk
from agenttrace_server.store import BY_HAND, TraceSummary

Record = dict[str, Any]


def labelled(trace: Trace, summary: TraceSummary, failures: Sequence[FailureAnnotation]) -> Record:
    """Return a trace with what people decided about its failures."""
    talk = Talk(trace)
    steps = sorted(
        [*map(_said, talk.said), *map(_called, talk.tools)], key=lambda placed: placed[0]
    )
    records = [{"index": index, **step} for index, (_, step, _) in enumerate(steps)]
    at = {key: index for index, (_, _, keys) in enumerate(steps) for key in keys}
    task = talk.task.text if talk.task else ""
    group = hashlib.sha256(" ".join(task.split()).encode()).hexdigest()[:16]
    return {
        "id": f"agenttrace:{trace.trace_id}",
        "source": f"agenttrace:{summary.service_name}",
        "framework": ",".join(summary.frameworks),
        "task": task,
        "group": f"q:{group}",
        "steps": records,
        "labels": _labels([one for one in failures if one.review != "proposed"], at, records),
    }


Placed = tuple[int, Record, tuple[str, ...]]
"""When a step was, the step, and the ids of the message and spans it stands for."""


def _said(said: Said) -> Placed:
    message = said.message
    step: Record = {
        "agent": message.sender,
        "to": message.recipient,
        "role": "user" if message.sender == USER else "assistant",
        "content": message.content,
        "tool_calls": [],
        "name": message.sender,
    }
    return message.sent_at, step, (message.message_id, message.span_id)


def _called(span: Span) -> Placed:
    tool = span.tool or span.name
    step: Record = {
        "agent": tool,
        "to": None,
        "role": "tool",
        "content": span.error or span.output or "",
        "tool_calls": [],
        "name": tool,
    }
    return span.end_ns, step, (span.span_id,)


def _labels(
    reviewed: Sequence[FailureAnnotation], at: Mapping[str, int], steps: Sequence[Record]
) -> Record:
    labels: Record = {"mast": dict.fromkeys(MODES), "findings": []}
    marks: dict[str, int | None] = labels["mast"]
    for one in reviewed:
        if one.review == "rejected" and one.mode in marks:
            marks[one.mode] = marks[one.mode] or 0
        # A mode that was corrected was not there, unless another finding says that it was.
        if one.found_mode in marks:
            marks[one.found_mode] = marks[one.found_mode] or 0
    for one in reviewed:
        if one.review == "confirmed" and one.mode in marks:
            marks[one.mode] = 1
    for one in reviewed:
        step = _step(one, at)
        labels["findings"].append(_finding(one, step))
        if one.decisive and one.review == "confirmed" and step is not None:
            labels["mistake_agent"] = one.agent
            labels["mistake_step"] = _said_next(one, step, steps)
            labels["mistake_reason"] = one.comment or one.explanation
    return labels


def _step(one: FailureAnnotation, at: Mapping[str, int]) -> int | None:
    places = (at.get(place) for place in (one.message_id, one.span_id) if place)
    return next((place for place in places if place is not None), None)


def _said_next(one: FailureAnnotation, step: int, steps: Sequence[Record]) -> int:
    """Return the step at which the agent made the mistake: of a tool's, what it then said."""
    own = (number for number in range(step, len(steps)) if steps[number]["agent"] == one.agent)
    return next(own, step)


def _finding(one: FailureAnnotation, step: int | None) -> Record:
    when = one.reviewed_at and datetime.fromtimestamp(one.reviewed_at / 1e9, UTC).isoformat()
    return {
        "mode": one.mode,
        "category": one.category,
        "subcategory": one.subcategory,
        "agent": one.agent,
        "step": step,
        "severity": one.severity,
        "confidence": one.confidence,
        "classifier": [one.classifier, *one.also_by],
        "by_hand": one.classifier == BY_HAND,
        "found_mode": one.found_mode,
        "review": one.review,
        "reviewer": one.reviewer,
        "reviewed_at": when,
        "comment": one.comment,
        "decisive": one.decisive,
        "evidence": one.evidence,
    }
