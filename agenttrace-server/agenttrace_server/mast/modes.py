"""The fourteen modes of MAST: their names, and how a finding of one is written down.

Source: Cemri et al. 2025, "Why Do Multi-Agent LLM Systems Fail?" (arXiv 2503.13657).
"""

from typing import Final

from agenttrace.models import FailureAnnotation, Message, Severity, Span, Trace
from agenttrace_server.mast.finding import finding

CLASSIFIER: Final = "agenttrace.mast"

CATEGORIES: Final = {
    "1": "specification_and_system_design",
    "2": "inter_agent_misalignment",
    "3": "task_verification_and_termination",
}

MODES: Final = {
    "1.1": "disobey_task_specification",
    "1.2": "disobey_role_specification",
    "1.3": "step_repetition",
    "1.4": "loss_of_conversation_history",
    "1.5": "unaware_of_termination_conditions",
    "2.1": "conversation_reset",
    "2.2": "fail_to_ask_for_clarification",
    "2.3": "task_derailment",
    "2.4": "information_withholding",
    "2.5": "ignored_other_agents_input",
    "2.6": "reasoning_action_mismatch",
    "3.1": "premature_termination",
    "3.2": "no_or_incomplete_verification",
    "3.3": "incorrect_verification",
}


def mode_found(
    trace: Trace,
    mode: str,
    *,
    evidence: str,
    explanation: str,
    confidence: float,
    severity: Severity = "medium",
    message: Message | None = None,
    span: Span | None = None,
    agent: str | None = None,
) -> FailureAnnotation:
    """Return the annotation of a MAST mode such as `1.3`, under its names in the taxonomy."""
    return finding(
        trace,
        mode,
        category=CATEGORIES[mode[0]],
        subcategory=MODES[mode],
        classifier=CLASSIFIER,
        evidence=evidence,
        explanation=explanation,
        confidence=confidence,
        severity=severity,
        message=message,
        span=span,
        agent=agent,
    )
