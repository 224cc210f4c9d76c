"""AgentTrace for LangGraph: record runs, and read those that others recorded."""

from collections.abc import Iterable

from agenttrace.hookspecs import hookimpl
from agenttrace.models import Executor, Instrumentor, Message, Normalizer, Scope, Trace
from agenttrace_langgraph import capture, foreign, normalizer


@hookimpl
def agenttrace_normalizer(scope: Scope) -> Normalizer | None:
    """Return the function that reads this scope's spans, or None if it is not ours."""
    return normalizer.normalizer_of(scope)


@hookimpl
def agenttrace_messages(trace: Trace) -> Iterable[Message]:
    """Return the messages of LangGraph runs that another instrumentation recorded."""
    return foreign.messages(trace)


@hookimpl
def agenttrace_executor(framework: str) -> Executor | None:
    """Return what runs LangGraph's graphs again from a checkpoint."""
    if framework != normalizer.FRAMEWORK:
        return None
    from agenttrace_langgraph.executor import run_again  # imports LangGraph

    return run_again


@hookimpl
def agenttrace_instrumentor() -> Instrumentor:
    """Return what captures LangGraph runs in this process."""
    return capture.LangGraphInstrumentor()
