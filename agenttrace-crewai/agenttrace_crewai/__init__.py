"""AgentTrace plugin for CrewAI: what it answers to which hook."""

from collections.abc import Iterable

from agenttrace.hookspecs import hookimpl
from agenttrace.models import Executor, Instrumentor, Message, Normalizer, Scope, Trace
from agenttrace_crewai import normalizer


@hookimpl
def agenttrace_normalizer(scope: Scope) -> Normalizer | None:
    """Read the CrewAI spans of CrewAI itself, OpenInference and OpenLLMetry."""
    return normalizer.for_scope(scope)


@hookimpl
def agenttrace_messages(trace: Trace) -> Iterable[Message]:
    """Tell what CrewAI agents said to each other in runs that others recorded."""
    return normalizer.messages(trace)


@hookimpl
def agenttrace_instrumentor() -> Instrumentor:
    """Capture crews, flows and single agents of this process."""
    from agenttrace_crewai.capture import INSTRUMENTOR

    return INSTRUMENTOR


@hookimpl
def agenttrace_executor(framework: str) -> Executor | None:
    """Run crews and flows again from their checkpoints."""
    if framework != "crewai":
        return None
    from agenttrace_crewai.executor import execute

    return execute
