"""Where a failed run went wrong."""

from collections.abc import Sequence

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
    named = _named(failures, suspects)
    if named is not None:
        suspects = [named, *(one for one in suspects if not _same(one, named))]
    shown = [one for one in failures if thresholds.show(one)]
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


def _named(failures: Sequence[FailureAnnotation], suspects: Sequence[Suspect]) -> Suspect | None:
    """Return the step of the failure that a person called decisive."""
    by_person = (f for f in failures if f.decisive and f.review == "confirmed" and f.agent)
    failure = next(by_person, None)
    if failure is None or failure.agent is None:
        return None
    at = Suspect(
        agent=failure.agent,
        span_id=failure.span_id,
        message_id=failure.message_id,
        score=1.0,
        reasons=(NAMED,),
        quote=failure.evidence,
    )
    return next(
        (
            Suspect(
                agent=one.agent,
                span_id=one.span_id,
                message_id=one.message_id,
                score=1.0,
                reasons=(NAMED, *one.reasons),
                quote=one.quote,
            )
            for one in suspects
            if _same(one, at)
        ),
        at,
    )


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
