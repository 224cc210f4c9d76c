"""AgentTrace plugin for AutoGen: what it answers to which hook."""

from collections.abc import Iterable

from agenttrace.hookspecs import hookimpl
from agenttrace.models import Executor, Instrumentor, Message, Normalizer, Scope, Trace
from agenttrace_autogen import normalizer


@hookimpl
def agenttrace_normalizer(scope: Scope) -> Normalizer | None:
    """Read the spans of AutoGen itself, of OpenInference's instrumentation of it, and of ag2."""
    return normalizer.for_scope(scope)


@hookimpl
def agenttrace_messages(trace: Trace) -> Iterable[Message]:
    """Tell what AutoGen agents said to each other in runs that others recorded."""
    return normalizer.messages(trace)


@hookimpl
def agenttrace_instrumentor() -> Instrumentor:
    """Capture the teams, agents and runtimes of this process."""
    from agenttrace_autogen.capture import INSTRUMENTOR

    return INSTRUMENTOR


@hookimpl
def agenttrace_executor(framework: str) -> Executor | None:
    """Run teams and agents again from their checkpoints."""
    if framework != "autogen":
        return None
    from agenttrace_autogen.executor import execute

    return execute
