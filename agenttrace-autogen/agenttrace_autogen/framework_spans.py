"""Keep AutoGen's own spans from appearing next to ours: what they say, ours say better."""

import sys
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from opentelemetry import trace
from opentelemetry.trace import Span, get_current_span

from agenttrace import sdk
from agenttrace_autogen.patches import Patches

_GEN_AI_SPANS = ("trace_invoke_agent_span", "trace_create_agent_span", "trace_tool_span")


def install(patches: Patches) -> None:
    """Silence the runtime's message spans and the GenAI spans of agents, tools and workbenches.

    Only those that would go where ours go: a runtime that was given a tracer provider of its own,
    or a process whose provider is not the one recorded to, goes on as before. And
    `autogen_core.trace_*_span` stay for the app's own use.
    """
    from autogen_core._telemetry import TraceHelper, _genai

    patches.replace(TraceHelper, "trace_block", _silence_runtime)
    for name in _GEN_AI_SPANS:
        original = getattr(_genai, name)
        for module in _users(name, original):
            patches.replace(module, name, _silence)


def _users(name: str, function: Any) -> list[Any]:
    """The framework's modules that imported this function by name."""
    return [
        module
        for path, module in list(sys.modules.items())
        if path.startswith(("autogen_agentchat.", "autogen_core.tools.", "autogen_ext."))
        and vars(module).get(name) is function
    ]


def _silence_runtime(original: Callable[..., Any]) -> Callable[..., Any]:
    def trace_block(helper: Any, *args: Any, **kwargs: Any) -> AbstractContextManager[Span]:
        if _goes_where_ours_go(helper.tracer_provider):
            return nullcontext(get_current_span())
        block: AbstractContextManager[Span] = original(helper, *args, **kwargs)
        return block

    return trace_block


def _silence(original: Callable[..., Any]) -> Callable[..., Any]:
    def trace_span(*args: Any, **kwargs: Any) -> AbstractContextManager[Span]:
        tracer = kwargs.get("tracer")
        if tracer is None and _goes_where_ours_go(trace.get_tracer_provider()):
            return nullcontext(get_current_span())
        block: AbstractContextManager[Span] = original(*args, **kwargs)
        return block

    return trace_span


def _goes_where_ours_go(provider: Any) -> bool:
    recording = sdk.recording()
    ours = trace.get_tracer_provider() if recording is None else recording.provider
    if provider is ours:
        return True
    if isinstance(provider, trace.ProxyTracerProvider):  # asks the process's provider, once set
        provider = trace.get_tracer_provider()
    return provider is ours or isinstance(
        provider, (trace.ProxyTracerProvider, trace.NoOpTracerProvider)
    )
