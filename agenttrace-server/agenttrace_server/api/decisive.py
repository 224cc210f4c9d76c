"""Where a failed run went wrong."""

from collections.abc import Sequence

import msgspec
from fastapi import APIRouter

from agenttrace.models import FailureAnnotation
from agenttrace_server.analyse.decisive import has_failed, suspects_of
from agenttrace_server.api.asked import StoreOf, ThresholdsOf, TraceId, found, problems
from agenttrace_server.api.findings import Decisive, SuspectAgent, SuspectStep
from agenttrace_server.mast.suspects import by_agent
from agenttrace_server.store import Store, Suspect

router = APIRouter(tags=["failures"])

NAMED = "a person named it"


@router.get("/traces/{trace_id}/decisive", operation_id="getDecisive", responses=problems(404))
def get_decisive(store: StoreOf, thresholds: ThresholdsOf, trace_id: TraceId) -> Decisive:
    """Return the steps that may have decided a failure, the likeliest first, with reasons."""
    summary = found(store, trace_id)
    failures = store.failures(summary.trace_id)
    if not has_failed(summary.status == "error", failures, thresholds):
        return Decisive(trace_id=summary.trace_id, failed=False, named=False, steps=[], agents=[])
    suspects = list(_suspects(store, summary.trace_id))
    shown = [one for one in failures if thresholds.show(one)]
    decisive = [one for one in shown if one.decisive and one.agent and one.review != "rejected"]
    named = next((one for one in decisive if one.review == "confirmed"), None)
    if named is not None:
        suspects = _led_by(named, NAMED, 1.0, suspects)
    elif decisive:
        sure = decisive[0]
        suspects = _led_by(sure, sure.explanation.rstrip("."), sure.confidence, suspects)
    agents = by_agent((one.agent, one.score) for one in suspects)
    return Decisive(
        trace_id=summary.trace_id,
        failed=True,
        named=named is not None,
        steps=[_step(one, shown) for one in suspects],
        agents=[SuspectAgent(agent=agent, score=round(score, 4)) for agent, score in agents],
    )


def _suspects(store: Store, trace_id: str) -> Sequence[Suspect]:
    """Return the stored ranking; one made now where a person says that a clean run failed."""
    stored = store.suspects(trace_id)
    if stored:
        return stored
    trace = store.trace(trace_id)
    return suspects_of(trace) if trace is not None else ()


def _led_by(
    failure: FailureAnnotation, why: str, sure: float, suspects: Sequence[Suspect]
) -> list[Suspect]:
    """Return the ranking that holds if the failure's step decided the run with likelihood `sure`.

    With the rest of the likelihood, what was ranked before still holds.
    """
    at = Suspect(
        agent=failure.agent or "",
        span_id=failure.span_id,
        message_id=failure.message_id,
        quote=failure.evidence,
    )
    known = next((one for one in suspects if _same(one, at)), at)
    led = msgspec.structs.replace(
        known, score=round(sure + (1 - sure) * known.score, 4), reasons=(why, *known.reasons)
    )
    others = [
        msgspec.structs.replace(one, score=round((1 - sure) * one.score, 4))
        for one in suspects
        if one is not known
    ]
    return sorted([led, *others], key=lambda one: -one.score)


def _same(one: Suspect, other: Suspect) -> bool:
    if one.message_id and other.message_id:
        return one.message_id == other.message_id
    return one.span_id is not None and one.span_id == other.span_id


def _step(one: Suspect, shown: Sequence[FailureAnnotation]) -> SuspectStep:
    here = [
        failure.annotation_id
        for failure in shown
        if (failure.message_id == one.message_id if failure.message_id else False)
        or (failure.message_id is None and failure.span_id and failure.span_id == one.span_id)
    ]
    return SuspectStep(
        agent=one.agent,
        span_id=one.span_id,
        message_id=one.message_id,
        score=one.score,
        reasons=list(one.reasons),
        quote=one.quote,
        failures=here,
    )
