"""What `doctor` looks at: each check returns what is wrong, with the line that mends it."""

import os
import sys
from collections.abc import Iterator, Mapping
from importlib.metadata import Distribution, PackageNotFoundError, distribution, entry_points
from importlib.util import find_spec
from typing import Any, Literal
from urllib.parse import urlsplit

import msgspec
from opentelemetry import trace

from agenttrace import health, sdk
from agenttrace.endpoint import resolve
from agenttrace.plugins import load_plugins


class Finding(msgspec.Struct, frozen=True):
    """One thing found: a problem, or a note about what may become one; `mend` is what to type."""

    check: str
    level: Literal["problem", "note"]
    what: str
    mend: str


PLUGINS = {"langgraph": "langgraph", "autogen_agentchat": "autogen", "crewai": "crewai"}
"""The plugin for each framework's module."""

FRAMEWORK_WORDS = {
    "langchain": "langgraph",
    "langgraph": "langgraph",
    "autogen": "autogen",
    "crewai": "crewai",
}
"""What in the name of another instrumentation tells which framework it captures."""

SERVERLESS = {
    "AWS_LAMBDA_FUNCTION_NAME": "AWS Lambda",
    "FUNCTIONS_WORKER_RUNTIME": "Azure Functions",
    "K_SERVICE": "Google Cloud Run",
    "VERCEL": "Vercel",
}


def server(url: str | None = None) -> Iterator[Finding]:
    """Does an AgentTrace server answer where spans are sent?"""
    try:
        target = resolve(url)
    except ValueError as error:
        mend = "export OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:4318"
        yield Finding("server", "problem", str(error), mend)
        return
    found = health.ask(target.url)
    if found.kind == "nothing":
        local = urlsplit(target.url).hostname in health.LOCAL
        mend = health.START_LINE if local else "export OTEL_EXPORTER_OTLP_ENDPOINT=<your server>"
        if local and find_spec("agenttrace_server") is None:
            mend = health.INSTALL_LINE
        yield Finding(
            "server", "problem", f"nothing answers at {target.url} ({found.reason})", mend
        )
    elif found.kind == "other":
        yield Finding(
            "server",
            "note",
            f"what answers at {target.url} is not AgentTrace ({found.reason}); a collector that "
            "passes spans on is fine",
            "export OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:4318",
        )
    elif found.reason:
        yield Finding(
            "server",
            "problem",
            f"the server at {target.url} is not well ({found.reason})",
            f"curl {target.url}/health",
        )


def environment(env: Mapping[str, str] = os.environ) -> Iterator[Finding]:
    """Do variables keep spans from being made or sent?"""
    if env.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        yield Finding(
            "environment",
            "problem",
            "OTEL_SDK_DISABLED=true switches all of OpenTelemetry off, AgentTrace included",
            "unset OTEL_SDK_DISABLED; export CREWAI_DISABLE_TELEMETRY=true",
        )
    if env.get("OTEL_TRACES_SAMPLER", "").strip().lower().endswith("always_off"):
        yield Finding(
            "environment",
            "problem",
            f"OTEL_TRACES_SAMPLER={env['OTEL_TRACES_SAMPLER']} drops every span",
            "unset OTEL_TRACES_SAMPLER",
        )
    protocol = env.get("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL") or env.get(
        "OTEL_EXPORTER_OTLP_PROTOCOL", ""
    )
    target = env.get("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT") or env.get(
        "OTEL_EXPORTER_OTLP_ENDPOINT", ""
    )
    if target and (protocol == "grpc" or target.rstrip("/").endswith(":4317")):
        yield Finding(
            "environment",
            "problem",
            f"{target} is a gRPC endpoint, and AgentTrace sends OTLP over HTTP",
            f"export OTEL_EXPORTER_OTLP_ENDPOINT={target.replace(':4317', ':4318')}",
        )
    for variable, platform in SERVERLESS.items():
        if env.get(variable):
            yield Finding(
                "flush",
                "note",
                f"{platform} freezes the process between requests, before spans are sent",
                "agenttrace.flush()  # at the end of each request",
            )


def installed() -> Iterator[Finding]:
    """Do the plugins load, is there one for each framework, and do versions fit?"""
    loaded = load_plugins()
    for plugin in loaded.infos:
        if plugin.error:
            yield Finding(
                "plugins",
                "problem",
                f"plugin {plugin.name!r} ({plugin.package} {plugin.version}) is broken: "
                f"{plugin.error}",
                f"pip install --upgrade {plugin.package}",
            )
    names = {plugin.name for plugin in loaded.infos}
    for module, plugin_name in PLUGINS.items():
        if find_spec(module) is not None and plugin_name not in names:
            yield Finding(
                "plugins",
                "problem",
                f"{module} is installed, and nothing captures it",
                f"pip install agenttrace-{plugin_name}",
            )
    packages = {plugin.package for plugin in loaded.infos if plugin.package}
    for package in sorted({"agenttrace-core", *packages}):
        yield from _conflicts(package)


def _conflicts(package: str) -> Iterator[Finding]:
    from packaging.requirements import Requirement

    for line in _requires(package):
        requirement = Requirement(line)
        marker = requirement.marker
        framework = marker is not None and "extra" in str(marker)
        if marker is not None and not framework and not marker.evaluate({"extra": ""}):
            continue
        found = _distribution(requirement.name)
        if found is None and not framework:
            yield Finding(
                "versions",
                "problem",
                f"{package} needs {requirement.name}, which is not installed",
                f"pip install '{requirement.name}{requirement.specifier}'",
            )
        elif found is not None and not requirement.specifier.contains(
            found.version, prereleases=True
        ):
            yield Finding(
                "versions",
                "problem",
                f"{requirement.name} {found.version} is installed; "
                f"{package} works with {requirement.specifier}",
                f"pip install '{requirement.name}{requirement.specifier}'",
            )


def _requires(package: str) -> list[str]:
    found = _distribution(package)
    return list(found.requires or ()) if found is not None else []


def _distribution(name: str) -> Distribution | None:
    try:
        return distribution(name)
    except PackageNotFoundError:
        return None


def rivals_installed() -> Iterator[Finding]:
    """Could something else capture the same frameworks, where it is switched on?"""
    groups = "opentelemetry_instrumentor", "openinference_instrumentor"
    points = [point for group in groups for point in entry_points(group=group)]
    packages = {
        point.dist.name if point.dist else point.module: _framework(point.value) for point in points
    }
    for package, framework in sorted(packages.items()):
        if framework is not None and _distribution(f"agenttrace-{framework}") is not None:
            yield Finding(
                "instrumentations",
                "note",
                f"{package} is installed and can capture {framework} too: fine as long as it is "
                "not switched on, else every call counts twice",
                f"pip uninstall {package}",
            )


def rivals_active() -> Iterator[Finding]:
    """Does something else capture, in this process, what AgentTrace captures?"""
    recording = sdk.recording()
    ours = set(recording.instrumentors) if recording else set()
    module: Any = sys.modules.get("opentelemetry.instrumentation.instrumentor")
    for kind in _subclasses(module.BaseInstrumentor) if module else ():
        framework = _framework(kind.__module__)
        if framework in ours and getattr(kind._instance, "is_instrumented_by_opentelemetry", False):
            rest = sorted(ours - {framework})
            yield Finding(
                "instrumentations",
                "problem",
                f"{kind.__module__} captures {framework} as well as AgentTrace: every call counts "
                "twice",
                f"remove {kind.__name__}().instrument(), or: "
                f"agenttrace.instrument(frameworks={rest})",
            )
    if "langgraph" in ours and os.environ.get("LANGSMITH_OTEL_ENABLED", "").lower() == "true":
        yield Finding(
            "instrumentations",
            "problem",
            "LANGSMITH_OTEL_ENABLED=true captures langgraph as well as AgentTrace: every call "
            "counts twice",
            "unset LANGSMITH_OTEL_ENABLED",
        )


def _subclasses(kind: Any) -> Iterator[Any]:
    for each in kind.__subclasses__():
        yield each
        yield from _subclasses(each)


def _framework(module: str) -> str | None:
    return next((name for word, name in FRAMEWORK_WORDS.items() if word in module.lower()), None)


def provider() -> Iterator[Finding]:
    """Do the process's spans reach AgentTrace?"""
    recording = sdk.recording()
    current: Any = trace.get_tracer_provider()
    set_by_program = not isinstance(current, trace.ProxyTracerProvider)
    if recording is None:
        what = "agenttrace.instrument() was not called in this process"
        if set_by_program:
            what = (
                f"the TracerProvider ({type(current).__module__}) has no AgentTrace processor: "
                "its spans go elsewhere"
            )
        mend = "import agenttrace; agenttrace.instrument()  # or: agenttrace run your_script.py"
        yield Finding("provider", "problem", what, mend)
        return
    if recording.queue.closed:
        yield Finding(
            "provider",
            "problem",
            "the TracerProvider was shut down while the program ran: later spans are lost",
            "remove the call of shutdown(), or call agenttrace.instrument() after it",
        )
    for exporter in sdk.exporters_to(recording.provider, recording.queue.delivery.target):
        yield Finding(
            "provider",
            "problem",
            f"{exporter} sends every span to AgentTrace as well, without messages and contents",
            f"remove BatchSpanProcessor({exporter}()), or: export OTEL_TRACES_EXPORTER=none",
        )
    if current is not recording.provider and not _reaches(current, recording.queue):
        yield Finding(
            "provider",
            "problem",
            f"the process's TracerProvider ({type(current).__module__}) is not the one AgentTrace "
            "joined: spans of other libraries do not reach it",
            "agenttrace.instrument()  # after the program has set its TracerProvider",
        )


def flushing() -> Iterator[Finding]:
    """Will what has been recorded be sent when the program ends?"""
    current: Any = trace.get_tracer_provider()
    recording = sdk.recording()
    processors = getattr(getattr(current, "_active_span_processor", None), "_span_processors", ())
    others = [p for p in processors if recording is None or p is not recording.queue]
    batching = [p for p in others if "Batch" in type(p).__name__]
    if batching and getattr(current, "_atexit_handler", True) is None and not _ours(current):
        yield Finding(
            "flush",
            "problem",
            f"{type(batching[0]).__name__} is never flushed: the TracerProvider was made with "
            "shutdown_on_exit=False",
            "trace.get_tracer_provider().shutdown()  # at the end of the program",
        )


def _ours(current: Any) -> bool:
    from agenttrace.ids import UrandomIds

    return isinstance(getattr(current, "id_generator", None), UrandomIds)


def _reaches(current: Any, queue: object) -> bool:
    several = getattr(current, "_active_span_processor", None)
    return queue in getattr(several, "_span_processors", ())
