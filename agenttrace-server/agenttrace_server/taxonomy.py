"""The kinds of failure AgentTrace has names for: MAST's modes and operational faults.

MAST: Cemri et al. 2025, "Why Do Multi-Agent LLM Systems Fail?" (arXiv 2503.13657); the meanings are
in our own words. A classifier, a rule or a person may use any other name beside these.
"""

from typing import Final

import msgspec

from agenttrace_server.mast.modes import CATEGORIES, MODES


class Mode(msgspec.Struct, frozen=True):
    """One kind of failure: its code or name, where it belongs, and what it means."""

    mode: str
    category: str
    subcategory: str
    meaning: str


_MEANINGS: Final = {
    "1.1": "a constraint or requirement that the task states is broken",
    "1.2": "an agent acts outside the role it was given",
    "1.3": "work that is finished is done again without need",
    "1.4": "recent context is lost, and an agent falls back to an older state",
    "1.5": "an agent does not see that the work is over, and goes on",
    "2.1": "the conversation starts again unprompted, and progress is lost",
    "2.2": "an agent acts on unclear or missing data instead of asking",
    "2.3": "the conversation drifts away from what was asked",
    "2.4": "an agent knows something the others need, and does not pass it on",
    "2.5": "what another agent said is disregarded",
    "2.6": "an agent does something other than what it reasoned",
    "3.1": "the run ends before its goal, or an exchange it needs, is done",
    "3.2": "the outcome is not checked, or only in part",
    "3.3": "the outcome is checked, but wrongly or without criticism",
}

_FAULTS: Final = {
    "tool_error_ignored": ("tool", "a tool failed, and the agent went on as if it had not"),
    "tool_error_repeated": ("tool", "a tool was called again after an error, and failed again"),
    "llm_error": ("llm", "a model call failed, and nothing made up for it"),
    "llm_refusal": ("llm", "a model declined to answer"),
    "invalid_structured_output": ("llm", "a model's answer did not have the form asked for"),
    "context_overflow": ("llm", "the input did not fit into the model's context"),
    "timeout": ("infrastructure", "something took too long and was given up"),
    "retry_storm": ("infrastructure", "a call was repeated over and over while it failed"),
    "unanswered_message": ("coordination", "an agent was asked and never answered"),
    "deadlock": ("coordination", "agents waited for each other in a circle"),
    "planning_error": ("reasoning", "a plan was invalid or incomplete"),
    "unhandled_error": ("execution", "the run ended in an error that nothing else explains"),
}

KNOWN: Final[tuple[Mode, ...]] = (
    *(Mode(m, CATEGORIES[m[0]], name, _MEANINGS[m]) for m, name in MODES.items()),
    *(Mode(name, category, name, meaning) for name, (category, meaning) in _FAULTS.items()),
)

_BY_MODE: Final = {known.mode: known for known in KNOWN}


def mode_of(mode: str) -> Mode:
    """Return what is known of a mode; one nobody knows has its own name and no category."""
    return _BY_MODE.get(mode) or Mode(mode, "other", mode, "")
