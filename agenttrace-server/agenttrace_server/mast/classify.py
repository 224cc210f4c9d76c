"""Ask every rule about one conversation, and mark the finding that decided it."""

import logging
from collections.abc import Callable, Iterable, Iterator
from typing import Final

import msgspec

from agenttrace.models import FailureAnnotation, Trace
from agenttrace_server.mast import (
    derailment,
    memory,
    misalignment,
    roles,
    saying,
    specification,
    unchecked,
    verification,
)
from agenttrace_server.mast.talk import Talk

log = logging.getLogger("agenttrace.mast")

Rule = Callable[[Talk], Iterator[FailureAnnotation]]

RULES: Final[tuple[Rule, ...]] = (
    roles.broken_requirement,
    roles.outside_role,
    specification.step_repetition,
    specification.repeated_calls,
    specification.unaware_of_the_end,
    memory.lost_history,
    memory.conversation_reset,
    saying.acted_on_placeholders,
    derailment.drifted_off,
    derailment.lost_in_circles,
    saying.withheld_warning,
    misalignment.ignored_input,
    saying.said_one_did_another,
    verification.ended_too_early,
    verification.published_unverified,
    verification.asked_check_missing,
    verification.approved_what_failed,
    unchecked.changed_after_the_last_run,
    unchecked.accepted_at_once,
)

_DECIDES: Final = (
    "2.5",
    "2.6",
    "1.1",
    "3.3",
    "2.1",
    "1.4",
    "2.3",
    "2.2",
    "1.5",
    "3.2",
    "3.1",
    "1.3",
)
_SURE: Final = 0.7


def modes(trace: Trace) -> Iterable[FailureAnnotation]:
    """Find MAST's modes. One rule that raises costs its own findings.

    The decisive one is the earliest sure finding that bears on the outcome: where the run took its
    turn, not where that showed.
    """
    talk = Talk(trace)
    found: list[FailureAnnotation] = []
    for rule in RULES:
        try:
            found.extend(rule(talk))
        except Exception:
            log.exception("The rule %s failed on trace %s", rule.__name__, trace.trace_id)
    decisive = _decisive(talk, found)
    return [
        msgspec.structs.replace(one, decisive=True) if one is decisive else one for one in found
    ]


def _decisive(talk: Talk, found: list[FailureAnnotation]) -> FailureAnnotation | None:
    when = {said.message.message_id: said.message.sent_at for said in talk.said}

    def key(one: FailureAnnotation) -> tuple[int, int]:
        span = talk.trace.by_id.get(one.span_id or "")
        at = when.get(one.message_id or "", span.start_ns if span else 0)
        return at, _DECIDES.index(one.mode) if one.mode in _DECIDES else len(_DECIDES)

    sure = [
        one for one in found if one.confidence >= _SURE and one.severity in ("high", "critical")
    ]
    return min(sure, key=key, default=None)
