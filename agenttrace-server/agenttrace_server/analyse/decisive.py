"""Where a failed run went wrong: its likeliest steps, ranked, with reasons."""

from collections.abc import Iterable, Sequence

from agenttrace.models import FailureAnnotation, Trace
from agenttrace_server.mast import signs
from agenttrace_server.mast.suspects import rank
from agenttrace_server.shown import Thresholds
from agenttrace_server.store import Suspect

KEPT = 10
"""Steps that are kept of a ranking: what comes after is no better than a guess."""
QUOTE_LENGTH = 240
_GRAVE = ("high", "critical")


def find_suspects(trace: Trace, failures: Sequence[FailureAnnotation]) -> tuple[Suspect, ...]:
    """Return the steps that may have decided the failure, the likeliest first.

    None for a trace that neither ended in an error nor has a finding: it costs as much as all rules
    together, and in a run that worked it means nothing.
    """
    if not failures and not signs.root_failed(trace):
        return ()
    return suspects_of(trace)


def suspects_of(trace: Trace) -> tuple[Suspect, ...]:
    """Return the ranking of a trace that is known to have failed."""
    return tuple(
        Suspect(
            agent=one.agent,
            span_id=one.message.span_id or None,
            message_id=one.message.message_id,
            score=round(one.score, 4),
            reasons=tuple(one.reasons),
            quote=one.message.content.strip()[:QUOTE_LENGTH],
        )
        for one in rank(trace)[:KEPT]
    )


def has_failed(
    ended_in_error: bool, failures: Iterable[FailureAnnotation], thresholds: Thresholds
) -> bool:
    """Say whether a run failed: it ended in an error, or a grave or confirmed finding is shown."""
    return ended_in_error or any(
        thresholds.show(one) and (one.severity in _GRAVE or one.review == "confirmed")
        for one in failures
    )
