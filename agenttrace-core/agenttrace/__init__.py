"""AgentTrace: who said what to whom, which agent broke the run, and what if.

Importing this loads nothing but this file; each name below is loaded when it is first used.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from agenttrace.edits import Edit
    from agenttrace.errors import (
        AgentTraceError,
        CheckpointNotFound,
        EditError,
        FailureNotFound,
        InvalidPayload,
        NoExecutor,
        PluginError,
        ReplayCancelled,
        ReplayError,
        ReplayStopped,
        ServerError,
        SpanNotFound,
        StoreUnavailable,
        TraceNotFound,
    )
    from agenttrace.exporter import OTLPExporter
    from agenttrace.hookspecs import hookimpl
    from agenttrace.models import (
        Agent,
        Checkpoint,
        Executor,
        FailureAnnotation,
        Instrumentor,
        Message,
        RawSpan,
        Scope,
        Span,
        SpanEvent,
        SpanLink,
        Trace,
    )
    from agenttrace.propagation import child_environment, continue_trace, trace_headers
    from agenttrace.replay import Answer, Recording, Replay
    from agenttrace.replayables import replayable
    from agenttrace.sdk import flush, instrument, uninstrument
    from agenttrace.tracer import AgentTracer

_HOME = {
    name: module
    for module, names in {
        "edits": "Edit",
        "errors": (
            "AgentTraceError CheckpointNotFound EditError FailureNotFound InvalidPayload "
            "NoExecutor PluginError ReplayCancelled ReplayError ReplayStopped ServerError "
            "SpanNotFound StoreUnavailable TraceNotFound"
        ),
        "exporter": "OTLPExporter",
        "hookspecs": "hookimpl",
        "models": (
            "Agent Checkpoint Executor FailureAnnotation Instrumentor Message RawSpan Scope Span "
            "SpanEvent SpanLink Trace"
        ),
        "propagation": "child_environment continue_trace trace_headers",
        "replay": "Answer Recording Replay",
        "replayables": "replayable",
        "sdk": "flush instrument uninstrument",
        "tracer": "AgentTracer",
    }.items()
    for name in names.split()
}

__all__ = [
    "Agent",
    "AgentTraceError",
    "AgentTracer",
    "Answer",
    "Checkpoint",
    "CheckpointNotFound",
    "Edit",
    "EditError",
    "Executor",
    "FailureAnnotation",
    "FailureNotFound",
    "Instrumentor",
    "InvalidPayload",
    "Message",
    "NoExecutor",
    "OTLPExporter",
    "PluginError",
    "RawSpan",
    "Recording",
    "Replay",
    "ReplayCancelled",
    "ReplayError",
    "ReplayStopped",
    "Scope",
    "ServerError",
    "Span",
    "SpanEvent",
    "SpanLink",
    "SpanNotFound",
    "StoreUnavailable",
    "Trace",
    "TraceNotFound",
    "child_environment",
    "continue_trace",
    "flush",
    "hookimpl",
    "instrument",
    "replayable",
    "trace_headers",
    "uninstrument",
]


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import PackageNotFoundError, version  # 40 ms

        try:
            return version("agenttrace-core")
        except PackageNotFoundError:
            return "0+unknown"
    home = _HOME.get(name)
    if home is None:
        raise AttributeError(f"module 'agenttrace' has no attribute {name!r}")
    value = getattr(import_module(f"agenttrace.{home}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__, "__version__"})
