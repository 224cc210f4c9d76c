"""Operational faults: what broke in the plumbing of a run, told from errors and calls alone.

Where a run got over an error, by a retry or another way, there is nothing to find. Source of the
names: AgentTrace's own taxonomy, beside MAST's fourteen modes.
"""

import re
from collections.abc import Iterator

from agenttrace import chat
from agenttrace.models import Classifier, FailureAnnotation, Severity, Span, Trace
from agenttrace_server.mast import signs
from agenttrace_server.mast.calls import (
    Later,
    by_caller,
    error_runs,
    last_errors,
    last_of_each_agent,
    storm,
)
from agenttrace_server.mast.finding import finding, quote
from agenttrace_server.mast.waiting import CLASSIFIER, deadlocks, unanswered_messages

STORM = 5
"""Failed calls of one thing, in a row, from which on it is a storm."""

_PLAN = re.compile(r"(?<![a-z])plan(?:s|ner|ning)?(?![a-z])")
_BAD_PLAN = re.compile(r"\b(?:invalid|incomplete)\b", re.IGNORECASE)
_CAMEL = re.compile(r"(?<=[a-z])(?=[A-Z])")


def tool_errors_ignored(trace: Trace) -> Iterator[FailureAnnotation]:
    """Find failed tool calls after which the agent answered as if nothing had happened.

    Sees a call that failed, was not tried again and not replaced by another tool, in an agent that
    itself ended well, whose next words contain nothing that could refer to a failure. Cannot see an
    answer that mentions a failure and is wrong all the same; languages whose words for failure it
    does not know are left alone.
    """
    later = Later(trace)
    for span in signs.outermost(trace, "tool"):
        error = signs.tool_error(span)
        said = later.next_words(span) if error else None
        if not error or said is None or signs.ADMITS.search(said) or not _mostly_ascii(said):
            continue
        yield _fault(
            trace,
            "tool_error_ignored",
            "tool",
            span,
            error,
            f"{span.tool or span.name} failed, and the next answer speaks as if it had not: "
            f"“{said.strip()[:120]}”",
            severity="high",
            confidence=0.75 if signs.failed(span) else 0.6,
        )


def tool_errors_repeated(trace: Trace) -> Iterator[FailureAnnotation]:
    """Find tools that an agent called again after an error, the same way, and that failed again.

    Sees two failed calls in a row with the same input, or three with any, that no success follows.
    Cannot see calls that differ in form only. Five and more are a retry storm instead.
    """
    for calls in by_caller(trace, signs.outermost(trace, "tool")):
        errors = last_errors(calls)
        same = len(errors) > 1 and len({_input(span) for span, _ in errors[-2:]}) == 1
        if (same or len(errors) >= 3) and len(storm(errors)) < STORM:
            last, error = errors[-1]
            yield _fault(
                trace,
                "tool_error_repeated",
                "tool",
                last,
                error,
                f"{last.tool or last.name} failed {len(errors)} times in a row"
                f"{', called with the same input' if same else ''}, and never worked after that.",
                confidence=0.9,
            )


def retry_storms(trace: Trace) -> Iterator[FailureAnnotation]:
    """Find calls that were repeated over and over while they failed.

    Sees five or more failed calls of one tool or model by one agent in a row, less than 30 seconds
    apart. Cannot see retries inside a client that makes one span of all of them.
    """
    spans = [*signs.outermost(trace, "tool"), *signs.outermost(trace, "llm")]
    for calls in by_caller(trace, spans):
        for errors in error_runs(calls):
            close = storm(errors)
            if len(close) >= STORM:
                last, error = close[-1]
                yield _fault(
                    trace,
                    "retry_storm",
                    "infrastructure",
                    last,
                    error,
                    f"{last.tool or last.model or last.name} was called {len(close)} times in a "
                    "row while it failed.",
                    severity="high",
                )


def llm_errors(trace: Trace) -> Iterator[FailureAnnotation]:
    """Find model calls that failed, and answers that the model or its provider refused.

    Sees calls that ended in an error and answers that begin as refusals do or were stopped by a
    content filter, where no later call of that agent worked. Cannot see a refusal in other words or
    languages. What has a name of its own (timeout, context overflow, output that does not parse) is
    found under that.
    """
    for span in last_of_each_agent(trace, signs.outermost(trace, "llm")):
        if signs.failed(span):
            error = signs.error_text(span)
            named = (signs.TIMEOUT, signs.OVERFLOW, signs.UNPARSABLE)
            if not any(sign.search(error) for sign in named):
                yield _fault(
                    trace,
                    "llm_error",
                    "llm",
                    span,
                    error,
                    f"The call to {span.model or 'the model'} failed, and no later call worked.",
                    severity="high",
                )
        elif refused := _refusal(span):
            yield _fault(
                trace,
                "llm_refusal",
                "llm",
                span,
                refused,
                f"{span.model or 'The model'} refused to answer.",
                confidence=0.85,
            )


def invalid_outputs(trace: Trace) -> Iterator[FailureAnnotation]:
    """Find model output that was to have a structure and has not.

    Sees parsing and validation errors outside of tools, and tool calls whose arguments are no JSON,
    where no later call of that agent worked. Cannot see output that parses and means nothing.
    """
    later = Later(trace)
    for span in signs.origins(trace):
        error = signs.error_text(span)
        found = signs.UNPARSABLE.search(error)
        if found and not _inside_tool(trace, span) and not later.worked(span):
            yield _fault(
                trace,
                "invalid_structured_output",
                "llm",
                span,
                quote(error, found.start(), found.end()),
                "What the model wrote does not have the structure that was asked for.",
                confidence=0.85,
            )
    for span in last_of_each_agent(trace, signs.outermost(trace, "llm")):
        for call in signs.tool_calls(span):
            arguments = call.get("arguments")
            if isinstance(arguments, str) and arguments.strip() and _broken_json(arguments):
                yield _fault(
                    trace,
                    "invalid_structured_output",
                    "llm",
                    span,
                    str(call.get("name") or arguments),
                    f"The model calls {call.get('name')} with arguments that are no valid JSON.",
                    confidence=0.85,
                )
                break


def timeouts(trace: Trace) -> Iterator[FailureAnnotation]:
    """Find what took too long and was given up.

    Sees errors that say so, where they began, unless the same was done again with success. Cannot
    see slowness that nobody limited.
    """
    yield from _errors_that_say(
        trace,
        signs.TIMEOUT,
        "timeout",
        "infrastructure",
        "Waiting for {what} took too long and was given up.",
    )


def context_overflows(trace: Trace) -> Iterator[FailureAnnotation]:
    """Find model calls whose input did not fit the model's context window.

    Sees the providers' errors, unless a later call of that agent worked. Cannot see what a
    framework cut off silently to make it fit.
    """
    yield from _errors_that_say(
        trace,
        signs.OVERFLOW,
        "context_overflow",
        "llm",
        "The input is too long for the context window of {what}.",
    )


def planning_errors(trace: Trace) -> Iterator[FailureAnnotation]:
    """Find plans that failed because they were invalid or incomplete.

    Sees spans in error whose name has the word plan and whose message has one of these words,
    unless a later span of that name worked. Cannot see a bad plan that nothing checked.
    """
    later = Later(trace)
    for span in trace.spans:
        if not signs.failed(span):
            continue
        words = _CAMEL.sub(" ", span.name).lower().replace("_", " ")
        if not _PLAN.search(words):
            continue
        texts = (span.status_message, span.error or "")
        bad = next((text for text in texts if _BAD_PLAN.search(text)), None)
        if bad and not later.worked(span):
            yield _fault(
                trace,
                "planning_error",
                "reasoning",
                span,
                bad,
                "The plan was refused as invalid or incomplete.",
                severity="high",
                confidence=0.9,
            )


def unhandled_errors(trace: Trace) -> Iterator[FailureAnnotation]:
    """Find the error that ended the run, where it is none of the others.

    Sees where an error began that went all the way up. Cannot see runs that hide their errors.
    """
    named = (signs.TIMEOUT, signs.OVERFLOW, signs.UNPARSABLE)
    planning = {failure.span_id for failure in planning_errors(trace)}
    for span in signs.origins(trace):
        error = signs.error_text(span)
        if (
            span.kind != "llm"
            and span.span_id not in planning
            and _ended_the_run(trace, span)
            and not any(sign.search(error) for sign in named)
        ):
            yield _fault(
                trace,
                "unhandled_error",
                "execution",
                span,
                error,
                f"{_what(span)} failed with an error that nothing caught, and the run ended.",
                severity="high",
            )


FAULTS: tuple[Classifier, ...] = (
    tool_errors_ignored,
    tool_errors_repeated,
    retry_storms,
    llm_errors,
    invalid_outputs,
    timeouts,
    context_overflows,
    planning_errors,
    unhandled_errors,
    unanswered_messages,
    deadlocks,
)


def _fault(
    trace: Trace,
    name: str,
    category: str,
    span: Span,
    evidence: str,
    explanation: str,
    *,
    severity: Severity = "medium",
    confidence: float = 0.95,
) -> FailureAnnotation:
    return finding(
        trace,
        name,
        category=category,
        subcategory=name,
        classifier=CLASSIFIER,
        span=span,
        evidence=quote(evidence),
        explanation=explanation,
        severity=severity,
        confidence=confidence,
        decisive=_ended_the_run(trace, span),
    )


def _ended_the_run(trace: Trace, span: Span) -> bool:
    """Say whether the span's error went all the way up."""
    return all(signs.failed(above) for above in (span, *trace.ancestors(span)))


def _errors_that_say(
    trace: Trace, sign: re.Pattern[str], name: str, category: str, explanation: str
) -> Iterator[FailureAnnotation]:
    later = Later(trace)
    seen: set[tuple[str | None, str]] = set()
    for span in signs.origins(trace):
        error = signs.error_text(span)
        found = sign.search(error)
        key = (trace.agent_of(span), span.name)
        if found and key not in seen and not later.worked(span):
            seen.add(key)
            evidence = quote(error, found.start(), found.end())
            told = explanation.format(what=_what(span))
            yield _fault(trace, name, category, span, evidence, told, severity="high")


def _what(span: Span) -> str:
    """Return what a developer calls what the span stands for."""
    if span.kind == "llm":
        return span.model or "the model"
    return span.tool or (span.agent if span.kind == "agent" else None) or span.name


def _refusal(span: Span) -> str | None:
    reasons = span.attributes.get("gen_ai.response.finish_reasons")
    for reason in reasons if isinstance(reasons, (list, tuple)) else (reasons,):
        if reason in ("content_filter", "refusal", "safety", "SAFETY"):
            return str(reason)
    said = signs.answer(span).lstrip(" \"'*\n")
    return said if signs.REFUSAL.match(said) and not signs.tool_calls(span) else None


def _inside_tool(trace: Trace, span: Span) -> bool:
    return span.kind == "tool" or any(above.kind == "tool" for above in trace.ancestors(span))


def _broken_json(text: str) -> bool:
    return chat.parse(text) is text


def _input(span: Span) -> str:
    return " ".join((span.input or "").split())


def _mostly_ascii(text: str) -> bool:
    return sum(character.isascii() for character in text) >= 0.9 * len(text)
