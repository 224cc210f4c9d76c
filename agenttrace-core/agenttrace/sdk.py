"""Switch recording on and off in this process, and give captures their tracer."""

import atexit
import logging
import os
import sys
import threading
from collections.abc import Iterable, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from opentelemetry import trace
from opentelemetry.util.types import Attributes

from agenttrace.models import Instrumentor

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
    from opentelemetry.sdk.trace.export import SpanExporter

    from agenttrace.imports import ImportWatch
    from agenttrace.payload import Redact
    from agenttrace.processor import SpanQueue

log = logging.getLogger("agenttrace")

VALUE_LIMIT = 256 * 1024
QUEUE_SPANS = 16384


class Recording:
    """What one `instrument()` has set up, so that `uninstrument()` can undo it."""

    def __init__(self, provider: "TracerProvider", queue: "SpanQueue") -> None:
        self.provider = provider
        self.queue = queue
        self.instrumentors: dict[str, Instrumentor] = {}
        self.watches: dict[str, ImportWatch] = {}


_lock = threading.RLock()
_active: Recording | None = None
_tracers: tuple[object, dict[object, trace.Tracer]] = (None, {})


def instrument(
    endpoint: str | None = None,
    service_name: str | None = None,
    frameworks: Iterable[str] | None = None,
    *,
    headers: Mapping[str, str] | None = None,
    redact: "Redact | None" = None,
    value_limit: int = VALUE_LIMIT,
    queue_size: int = QUEUE_SPANS,
    exporter: "SpanExporter | None" = None,
    tracer_provider: "TracerProvider | None" = None,
) -> None:
    """Record this process's agent runs and send them to an AgentTrace server.

    Joins the process's OpenTelemetry TracerProvider, or sets one if there is none, and has every
    installed plugin capture its framework as soon as the program imports it. Calling it again adds
    frameworks and changes nothing else. Never raises, except ValueError for an endpoint that is no
    URL.

    `endpoint` is the server's URL (`OTEL_EXPORTER_OTLP_ENDPOINT`, else http://127.0.0.1:4318);
    `service_name` names the application (`OTEL_SERVICE_NAME`, else the script's name);
    `frameworks` limits what is captured, `[]` being nothing but what you record yourself;
    `redact(name, text)` returns the text of an attribute that may leave the process, and takes the
    place of `agenttrace.redact.redact_secrets`; `value_limit` is the characters a value keeps,
    `queue_size` the spans that wait while the server is down. `exporter` takes the spans instead of
    the server; `tracer_provider` is joined instead of the process's own.
    """
    global _active
    wanted = {frameworks} if isinstance(frameworks, str) else frameworks
    with _lock:
        if os.environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
            log.warning(
                "OTEL_SDK_DISABLED=true: nothing is recorded. Unset it; if it is there to keep "
                "CrewAI from phoning home, set CREWAI_DISABLE_TELEMETRY=true instead"
            )
            return
        if _active is None:
            from agenttrace.exporter import Foreign, OTLPExporter
            from agenttrace.processor import SpanQueue
            from agenttrace.threads import carry_context_into_threads

            delivery: OTLPExporter | Foreign
            if exporter is None or isinstance(exporter, OTLPExporter):
                delivery = exporter or OTLPExporter(
                    endpoint, headers, redact=redact, value_limit=value_limit
                )
            else:
                delivery = Foreign(exporter, redact, value_limit)
            provider = tracer_provider or _provider(service_name)
            if doubles := exporters_to(provider, delivery.target):
                log.warning(
                    "%s sends every span to %s as well, without what AgentTrace adds: remove it",
                    doubles[0], delivery.target,
                )  # fmt: skip
            queue = SpanQueue(delivery, queue_size)
            provider.add_span_processor(queue)
            _active = Recording(provider, queue)
            carry_context_into_threads()
            _continue_parents_trace()
            _finish_with_multiprocessing()
        elif endpoint or exporter or tracer_provider:
            log.warning(
                "Already recording; call agenttrace.uninstrument() before changing where to"
            )
        _capture(_active, None if wanted is None else set(wanted))


def uninstrument() -> None:
    """Stop recording, deliver what was recorded, and leave everything as it was before.

    A TracerProvider that `instrument()` set stays, without our processor: OpenTelemetry has no way
    to unset it, and the next `instrument()` joins it.
    """
    global _active
    with _lock:
        recording, _active = _active, None
        if recording is None:
            return
        from agenttrace.threads import leave_threads_alone

        for watch in recording.watches.values():
            watch.stop()
        leave_threads_alone()
        for framework, instrumentor in reversed(recording.instrumentors.items()):
            try:
                instrumentor.uninstrument()
            except Exception:  # one plugin must not keep the others from being undone
                log.exception("Capturing %s could not be undone", framework)
        remove_processor(recording.provider, recording.queue)
    recording.queue.shutdown()


def flush(timeout: float = 10.0) -> bool:
    """Deliver what has been recorded; return whether all of it arrived within `timeout` seconds.

    Gives up after two seconds on a server that does not answer. Happens by itself at exit.
    """
    recording = _active
    return recording is None or recording.queue.force_flush(int(timeout * 1000))


def tracer(scope: str, version: str | None = None, attributes: Attributes = None) -> trace.Tracer:
    """Return the tracer of the active provider for a capture's scope.

    It records nothing before `instrument()` unless the program has set a provider of its own. Ask
    each time rather than keep it: the provider changes with `instrument()`. Costs 0.3 µs.
    """
    global _tracers
    recording = _active
    provider = trace.get_tracer_provider() if recording is None else recording.provider
    if isinstance(provider, trace.ProxyTracerProvider):
        return provider.get_tracer(scope, version, attributes=attributes)
    owner, known = _tracers
    if owner is not provider:
        known = {}
        _tracers = provider, known
    key = (scope, version, tuple(attributes.items()) if attributes else None)
    found = known.get(key)
    if found is None:
        found = known[key] = provider.get_tracer(scope, version, attributes=attributes)
    return found


def recording() -> Recording | None:
    """Return what is set up now, None before `instrument()` and after `uninstrument()`."""
    return _active


def exporters_to(provider: Any, url: str) -> list[str]:
    """Return the names of other OTLP exporters in a provider that send to the same URL."""
    found = []
    for each in getattr(getattr(provider, "_active_span_processor", None), "_span_processors", ()):
        batch = getattr(each, "_batch_processor", None)
        exporter = getattr(each, "span_exporter", None) or getattr(batch, "_exporter", None)
        target = getattr(exporter, "target", None) or getattr(exporter, "_endpoint", None)
        if isinstance(target, str) and _place(target) == _place(url):
            found.append(type(exporter).__qualname__)
    return found


def _place(url: str) -> str:
    return url.replace("//localhost", "//127.0.0.1").rstrip("/")


def _provider(service_name: str | None) -> "TracerProvider":
    from opentelemetry.sdk.trace import TracerProvider

    current: Any = trace.get_tracer_provider()
    if callable(getattr(current, "add_span_processor", None)):
        if service_name:
            log.warning("Joined an existing TracerProvider: its own service.name stays")
        joined: TracerProvider = current
        return joined
    from agenttrace.ids import UrandomIds

    made = TracerProvider(
        resource=_resource(service_name), id_generator=UrandomIds(), shutdown_on_exit=False
    )
    if isinstance(current, trace.ProxyTracerProvider):
        trace.set_tracer_provider(made)
    else:
        log.warning(
            "The process's TracerProvider (%s) takes no span processors: AgentTrace records "
            "agents with a provider of its own; other spans stay with yours",
            type(current).__qualname__,
        )
    return made


def _resource(service_name: str | None) -> Any:
    from opentelemetry.sdk.resources import SERVICE_NAME, Resource

    found = Resource.create({SERVICE_NAME: service_name} if service_name else {})
    if str(found.attributes.get(SERVICE_NAME, "")).startswith("unknown_service"):
        script = sys.argv[0] if sys.argv else ""  # "" or "-c" where there is none
        name = Path(script).stem if script and not script.startswith("-") else "python"
        return found.merge(Resource({SERVICE_NAME: name}))
    return found


def _capture(recording: Recording, wanted: set[str] | None) -> None:
    from agenttrace.imports import ImportWatch
    from agenttrace.plugins import load_plugins

    if wanted is not None and not wanted:
        return
    known = set()
    for plugin, instrumentor in load_plugins().each("agenttrace_instrumentor"):
        framework = instrumentor.framework
        known.add(framework)
        if framework in recording.watches or (wanted is not None and framework not in wanted):
            continue
        packages = getattr(instrumentor, "modules", None) or (instrumentor.module,)
        if not _installed(instrumentor.module):
            continue

        def start(
            plugin: str = plugin, framework: str = framework, plugs: Instrumentor = instrumentor
        ) -> None:
            _instrument(recording, plugin, framework, plugs)

        watch = ImportWatch([package.partition(".")[0] for package in packages], start)
        recording.watches[framework] = watch
        watch.start()
    for name in sorted((wanted or set()) - known):
        log.warning("No installed plugin captures %r; try: pip install agenttrace-%s", name, name)


def _instrument(
    recording: Recording, plugin: str, framework: str, instrumentor: Instrumentor
) -> None:
    with _lock:
        if recording is not _active and _active is not None:
            return
        try:
            instrumentor.instrument()
        except Exception:  # a plugin that fails costs only itself
            log.exception("Plugin %r cannot capture %s; going on without it", plugin, framework)
        else:
            recording.instrumentors[framework] = instrumentor


def _installed(module: str) -> bool:
    try:
        return module in sys.modules or find_spec(module) is not None
    except (ImportError, ValueError):
        return False


def remove_processor(provider: Any, processor: "SpanProcessor") -> None:
    """Take a span processor out of a provider again, which OpenTelemetry has no way for."""
    several: Any = getattr(provider, "_active_span_processor", None)
    processors = getattr(several, "_span_processors", None)
    if isinstance(processors, tuple):
        with several._lock:
            several._span_processors = tuple(
                each for each in several._span_processors if each is not processor
            )


def _continue_parents_trace() -> None:
    """Be part of the trace of the process that started this one, if it passed that on."""
    from agenttrace.propagation import environment_context

    if not trace.get_current_span().get_span_context().is_valid:
        environment_context()


def _finish_with_multiprocessing() -> None:
    """Deliver at the end of a multiprocessing child too: those skip atexit."""
    if hasattr(os, "register_at_fork") and not _fork_hook:
        _fork_hook.append(True)
        os.register_at_fork(after_in_child=_after_fork)
    processes = sys.modules.get("multiprocessing.process")
    if processes is not None and processes.parent_process() is not None:
        _finalize_at_end()


_fork_hook: list[bool] = []


def _after_fork() -> None:
    util = sys.modules.get("multiprocessing.util")
    if util is not None:
        # multiprocessing forgets the parent's finalizers after this, and runs after-forkers then.
        util.register_after_fork(_lock_owner, _finalize_at_end)


class _Owner:
    """Something that lives for ever, which is what register_after_fork() wants."""


_lock_owner = _Owner()


def _finalize_at_end(_owner: object = None) -> None:
    util: Any = sys.modules["multiprocessing.util"]
    util.Finalize(None, _at_exit, exitpriority=0)


def _at_exit() -> None:
    if _active is not None:
        _active.queue.shutdown()


# Registered at import: handlers of libraries imported later run before, and may still end spans.
atexit.register(_at_exit)
