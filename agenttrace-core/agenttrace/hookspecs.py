"""The questions AgentTrace asks its plugins.

A hook says who does the work; the plain function or object it returns does it. Calling a hook costs
microseconds and grows with every plugin, so each is asked once per scope or trace, never per span.
"""

from collections.abc import Iterable

import pluggy

from agenttrace.models import Classifier, Executor, Instrumentor, Message, Normalizer, Scope, Trace

hookspec = pluggy.HookspecMarker("agenttrace")
hookimpl = pluggy.HookimplMarker("agenttrace")


@hookspec(firstresult=True)
def agenttrace_normalizer(scope: Scope) -> Normalizer | None:
    """Return the function that reads this scope's spans, or None if it is not yours."""


@hookspec
def agenttrace_messages(trace: Trace) -> Iterable[Message]:  # type: ignore[empty-body]
    """Return the inter-agent messages of this trace that only your framework's rules can tell."""


@hookspec
def agenttrace_classifiers() -> Iterable[Classifier]:  # type: ignore[empty-body]
    """Return the classifiers to run over every quiet trace."""


@hookspec(firstresult=True)
def agenttrace_executor(framework: str) -> Executor | None:
    """Return what replays this framework's checkpoints, or None."""


@hookspec
def agenttrace_instrumentor() -> Instrumentor | None:
    """Return what captures this framework's runs in this process."""
