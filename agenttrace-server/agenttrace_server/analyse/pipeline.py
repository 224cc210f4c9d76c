"""Derive everything from one trace: a pure function from spans to an analysis."""

import logging
from collections.abc import Callable
from itertools import islice
from typing import TypeVar

import msgspec

from agenttrace.accounting import Accounting, account, used
from agenttrace.agents import find_agents
from agenttrace.fragments import Fragment, facts_of, fragments
from agenttrace.messages import find_checkpoints, find_messages
from agenttrace.models import Agent, Checkpoint, Classifier, FailureAnnotation, Message, Trace
from agenttrace.plugins import Plugins
from agenttrace_server.analyse.decisive import find_suspects
from agenttrace_server.analyse.graph import build_graph
from agenttrace_server.analyse.merging import merge
from agenttrace_server.store import Analysis, Suspect

log = logging.getLogger("agenttrace.analyse")

T = TypeVar("T")

NO_GRAPH = build_graph((), (), (), {})
MOST_FINDINGS = 200
"""At most so many failures of one classifier are kept for one trace: nobody reads on."""


def analyse(trace: Trace, plugins: Plugins) -> Analysis:
    """Return what can be derived from the spans of `trace`; what it already carries is not used.

    A stage that raises costs its own result, a classifier that raises its own findings; both are
    logged.
    """
    trace = Trace(trace.trace_id, trace.spans)
    agents: tuple[Agent, ...] = _guarded("agents", trace, lambda: find_agents(trace), ())
    trace = Trace(trace.trace_id, trace.spans, agents)
    messages: tuple[Message, ...] = _guarded(
        "messages", trace, lambda: find_messages(trace, plugins), ()
    )
    checkpoints: tuple[Checkpoint, ...] = _guarded(
        "checkpoints", trace, lambda: find_checkpoints(trace), ()
    )
    trace = Trace(trace.trace_id, trace.spans, agents, messages, checkpoints)
    failures = find_failures(trace, plugins)
    decisive: tuple[Suspect, ...] = _guarded(
        "decisive steps", trace, lambda: find_suspects(trace, failures), ()
    )
    graph = _guarded(
        "graph",
        trace,
        lambda: build_graph(agents, messages, failures, trace.by_id),
        NO_GRAPH,
    )
    owners = {span.span_id: owner for span in trace.spans if (owner := trace.agent_of(span))}
    models = used(trace)
    return Analysis(
        agents=agents,
        messages=messages,
        checkpoints=checkpoints,
        failures=failures,
        graph=graph,
        owners=owners,
        decisive=decisive,
        accounting=_guarded("accounting", trace, lambda: account(trace), Accounting()),
        used=models,
        fragment=_guarded("fragment", trace, lambda: _fragment(trace), None),
    )


def _fragment(trace: Trace) -> Fragment | None:
    """Return by what the trace is found by others of its run; nothing of what is joined already."""
    if any(span.trace_id != trace.trace_id for span in trace.spans):
        return None
    return next(iter(fragments(map(facts_of, trace.spans))), None)


def find_failures(trace: Trace, plugins: Plugins) -> tuple[FailureAnnotation, ...]:
    """Return what every plugin's classifiers find, each annotation id once: the first one stays.

    What several say of the same place is one finding that names them all.
    """
    found: dict[str, FailureAnnotation] = {}
    for plugin, classifiers in plugins.each("agenttrace_classifiers"):
        try:
            for classifier in classifiers:
                _ask(plugin, classifier, trace, plugins, found)
        except Exception:  # noqa: BLE001 - the list itself may be a generator that raises
            plugins.complain(plugin, "agenttrace_classifiers")
    return merge(found.values())


def _ask(
    plugin: str,
    classifier: Classifier,
    trace: Trace,
    plugins: Plugins,
    found: dict[str, FailureAnnotation],
) -> None:
    try:
        for failure in islice(classifier(trace), MOST_FINDINGS):
            checked = msgspec.convert(failure, FailureAnnotation)
            if checked.trace_id == trace.trace_id:
                found.setdefault(checked.annotation_id, checked)
    except Exception:  # noqa: BLE001 - a raising classifier costs only its own findings
        plugins.complain(plugin, f"classifier {getattr(classifier, '__name__', classifier)!s}")


def _guarded(stage: str, trace: Trace, derive: Callable[[], T], otherwise: T) -> T:
    try:
        return derive()
    except Exception:
        log.exception("Could not derive the %s of trace %s", stage, trace.trace_id)
        return otherwise
