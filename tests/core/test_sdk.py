import subprocess
import sys
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor

import agenttrace
from agenttrace import hookimpl, plugins, sdk
from agenttrace.testing import InMemoryExporter
from support.collector import Collector, attributes


class Fake:
    """An instrumentor that remembers what was done to it."""

    def __init__(self, framework: str, module: str, error: Exception | None = None) -> None:
        self.framework = framework
        self.module = module
        self.error = error
        self.done: list[str] = []

    def instrument(self) -> None:
        self.done.append("on")
        if self.error:
            raise self.error

    def uninstrument(self) -> None:
        self.done.append("off")
        if self.error:
            raise self.error


class Plugin:
    """A plugin with one instrumentor."""

    def __init__(self, instrumentor: Fake) -> None:
        self.instrumentor = instrumentor

    @hookimpl
    def agenttrace_instrumentor(self) -> Fake:
        return self.instrumentor


@pytest.fixture
def install(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Install instrumentors as plugins, in place of those that are there."""

    def install(*instrumentors: Fake) -> None:
        class Point:
            dist = None

            def __init__(self, instrumentor: Fake) -> None:
                self.name = instrumentor.framework
                self.instrumentor = instrumentor

            def load(self) -> Plugin:
                return Plugin(self.instrumentor)

        points = [Point(instrumentor) for instrumentor in instrumentors]
        monkeypatch.setattr(plugins, "entry_points", lambda group: points)

    return install


@pytest.fixture(autouse=True)
def _off() -> Iterator[None]:
    yield
    agenttrace.uninstrument()


def on(provider: TracerProvider, **arguments: Any) -> InMemoryExporter:
    exporter = InMemoryExporter()
    agenttrace.instrument(tracer_provider=provider, exporter=exporter, **arguments)
    return exporter


def test_frameworks_that_are_there_are_captured_and_released(
    provider: TracerProvider, install: Any
) -> None:
    here, absent = Fake("one", "json"), Fake("two", "no_such_module")
    install(here, absent)

    on(provider)
    assert (here.done, absent.done) == (["on"], [])

    agenttrace.uninstrument()
    assert (here.done, absent.done) == (["on", "off"], [])


def test_a_framework_is_not_imported_only_to_be_captured(
    provider: TracerProvider, install: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(sys.modules, "this", raising=False)
    later = Fake("zen", "this")
    install(later)

    on(provider)
    assert "this" not in sys.modules
    assert later.done == []

    __import__("this")
    assert later.done == ["on"]


def test_only_the_frameworks_asked_for_are_captured(
    provider: TracerProvider, install: Any, caplog: pytest.LogCaptureFixture
) -> None:
    one, two = Fake("one", "json"), Fake("two", "json")
    install(one, two)

    on(provider, frameworks=["two", "three"])

    assert (one.done, two.done) == ([], ["on"])
    assert "pip install agenttrace-three" in caplog.text


def test_calling_it_again_adds_frameworks_and_captures_none_twice(
    provider: TracerProvider, install: Any, caplog: pytest.LogCaptureFixture
) -> None:
    one, two = Fake("one", "json"), Fake("two", "json")
    install(one, two)

    on(provider, frameworks="one")
    agenttrace.instrument()
    agenttrace.instrument(endpoint="http://elsewhere:1")

    assert (one.done, two.done) == (["on"], ["on"])
    assert "Already recording" in caplog.text
    assert len(provider._active_span_processor._span_processors) == 1


def test_a_plugin_that_raises_costs_only_itself(
    provider: TracerProvider, install: Any, caplog: pytest.LogCaptureFixture
) -> None:
    broken, fine = Fake("broken", "json", RuntimeError("no")), Fake("fine", "json")
    install(broken, fine)

    exporter = on(provider)
    agenttrace.AgentTracer("x").agent(print)("")
    agenttrace.uninstrument()

    assert fine.done == ["on", "off"]
    assert broken.done == ["on"]
    assert "Plugin 'broken' cannot capture broken" in caplog.text
    assert len(exporter.raw_spans()) == 1


def test_a_plugin_that_cannot_be_undone_does_not_keep_the_others(
    provider: TracerProvider, install: Any
) -> None:
    stubborn, fine = Fake("stubborn", "json"), Fake("fine", "json")
    install(fine, stubborn)
    on(provider)
    stubborn.error = RuntimeError("no")

    agenttrace.uninstrument()

    assert fine.done == ["on", "off"]


def test_many_threads_may_switch_it_on_at_once(provider: TracerProvider, install: Any) -> None:
    fake = Fake("one", "json")
    install(fake)
    exporter = InMemoryExporter()
    threads = [
        threading.Thread(
            target=agenttrace.instrument,
            kwargs={"tracer_provider": provider, "exporter": exporter},
        )
        for _ in range(10)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert fake.done == ["on"]
    assert len(provider._active_span_processor._span_processors) == 1


def test_uninstrument_delivers_and_takes_our_processor_out(provider: TracerProvider) -> None:
    other = InMemoryExporter()
    provider.add_span_processor(SimpleSpanProcessor(other))
    exporter = on(provider, frameworks=[])
    provider.get_tracer("theirs").start_span("a").end()

    agenttrace.uninstrument()
    provider.get_tracer("theirs").start_span("b").end()
    agenttrace.uninstrument()

    assert [span.name for span in exporter.raw_spans()] == ["a"]
    assert [span.name for span in other.raw_spans()] == ["a", "b"]
    assert sdk.recording() is None


def test_it_can_be_switched_on_again_with_another_provider(provider: TracerProvider) -> None:
    first = on(provider, frameworks=[])
    sdk.tracer("scope").start_span("first").end()
    agenttrace.uninstrument()
    second = on(TracerProvider(shutdown_on_exit=False), frameworks=[])
    sdk.tracer("scope").start_span("second").end()
    agenttrace.flush()

    assert [span.name for span in first.raw_spans()] == ["first"]
    assert [span.name for span in second.raw_spans()] == ["second"]


def test_tracers_are_the_same_object_each_time(provider: TracerProvider) -> None:
    on(provider, frameworks=[])

    assert sdk.tracer("scope") is sdk.tracer("scope")
    assert sdk.tracer("scope", "1.0") is not sdk.tracer("scope")


def test_without_instrument_nothing_is_recorded_and_nothing_fails() -> None:
    tracer = sdk.tracer("scope")
    with tracer.start_as_current_span("a") as span:
        assert agenttrace.flush() is True

    assert not span.is_recording() or trace.get_tracer_provider() is not None


def test_otel_sdk_disabled_is_obeyed_and_explained(
    monkeypatch: pytest.MonkeyPatch, install: Any, caplog: pytest.LogCaptureFixture
) -> None:
    fake = Fake("one", "json")
    install(fake)
    monkeypatch.setenv("OTEL_SDK_DISABLED", "TRUE")

    agenttrace.instrument()

    assert sdk.recording() is None
    assert fake.done == []
    assert "CREWAI_DISABLE_TELEMETRY=true" in caplog.text


def test_what_is_no_url_is_refused() -> None:
    with pytest.raises(ValueError, match="no http"):
        agenttrace.instrument("not a url")
    assert sdk.recording() is None


def python(code: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    import os

    kept = {k: v for k, v in os.environ.items() if not k.startswith(("OTEL_", "TRACEPARENT"))}
    return subprocess.run(
        [sys.executable, "-c", code],
        env={**kept, **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_a_process_without_a_provider_gets_one_and_delivers_at_exit(receiver: Collector) -> None:
    done = python(
        """
import agenttrace
agenttrace.instrument(service_name="my-app")
from opentelemetry import trace
trace.get_tracer("user").start_span("theirs").end()
agenttrace.AgentTracer("x").agent(len)("abc")
""",
        OTEL_EXPORTER_OTLP_ENDPOINT=receiver.url,
    )

    assert (done.returncode, done.stderr) == (0, "")
    assert set(receiver.named) == {"theirs", "invoke_agent len"}
    resource = attributes(receiver.requests[0].resource_spans[0].resource)
    assert resource["service.name"] == "my-app"


def test_a_provider_that_is_there_is_joined_and_keeps_its_own_exporters(
    receiver: Collector,
) -> None:
    done = python(
        """
from opentelemetry import trace
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import ConsoleSpanExporter, SimpleSpanProcessor
theirs = TracerProvider(resource=Resource({"service.name": "theirs"}), shutdown_on_exit=False)
theirs.add_span_processor(SimpleSpanProcessor(ConsoleSpanExporter()))
trace.set_tracer_provider(theirs)
import agenttrace
agenttrace.instrument(frameworks=[])
assert trace.get_tracer_provider() is theirs
agenttrace.AgentTracer("x").agent(len)("abc")
""",
        OTEL_EXPORTER_OTLP_ENDPOINT=receiver.url,
    )

    assert (done.returncode, done.stderr) == (0, "")
    assert "invoke_agent len" in done.stdout
    [part] = receiver.requests[0].resource_spans
    assert attributes(part.resource)["service.name"] == "theirs"


def test_a_provider_that_cannot_be_joined_is_left_alone(receiver: Collector) -> None:
    done = python(
        """
from opentelemetry import trace
class Theirs(trace.NoOpTracerProvider): pass
theirs = Theirs()
trace.set_tracer_provider(theirs)
import agenttrace
agenttrace.instrument(frameworks=[])
assert trace.get_tracer_provider() is theirs
agenttrace.AgentTracer("x").agent(len)("abc")
""",
        OTEL_EXPORTER_OTLP_ENDPOINT=receiver.url,
    )

    assert done.returncode == 0
    assert "(Theirs) takes no span processors" in done.stderr
    assert set(receiver.named) == {"invoke_agent len"}


@pytest.mark.parametrize(
    ("environment", "name"),
    [
        ({}, "python"),
        ({"OTEL_SERVICE_NAME": "named"}, "named"),
        ({"OTEL_RESOURCE_ATTRIBUTES": "service.name=by-resource"}, "by-resource"),
    ],
)
def test_the_service_is_named_by_the_environment_else_by_the_script(
    receiver: Collector, environment: dict[str, str], name: str
) -> None:
    python(
        "import agenttrace; agenttrace.instrument(frameworks=[])\n"
        "agenttrace.AgentTracer('x').agent(len)('abc')",
        OTEL_EXPORTER_OTLP_ENDPOINT=receiver.url,
        **environment,
    )

    resource = attributes(receiver.requests[0].resource_spans[0].resource)
    assert resource["service.name"] == name


def test_a_program_that_seeds_random_makes_another_trace_at_every_run(receiver: Collector) -> None:
    for _ in range(2):
        python(
            "import agenttrace, random; agenttrace.instrument(frameworks=[]); random.seed(0)\n"
            "agenttrace.AgentTracer('x').agent(len)('abc')",
            OTEL_EXPORTER_OTLP_ENDPOINT=receiver.url,
        )

    first, second = receiver.spans
    assert first.trace_id != second.trace_id


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_multiprocessing_children_deliver_at_their_end(receiver: Collector, method: str) -> None:
    done = python(
        f"""
import multiprocessing, runpy, sys, tempfile, pathlib
path = pathlib.Path(tempfile.mkdtemp()) / "program.py"
path.write_text('''
import agenttrace, multiprocessing
agenttrace.instrument(frameworks=[])
tracer = agenttrace.AgentTracer("x")
@tracer.agent
def work(n): return n
if __name__ == "__main__":
    context = multiprocessing.get_context("{method}")
    with tracer.workflow("run"):
        children = [context.Process(target=work, args=(n,)) for n in range(3)]
        for child in children: child.start()
        for child in children: child.join()
        work(99)
''')
sys.argv = [str(path)]
sys.path.insert(0, str(path.parent))
runpy.run_path(str(path), run_name="__main__")
""",
        OTEL_EXPORTER_OTLP_ENDPOINT=receiver.url,
    )

    assert done.returncode == 0, done.stderr
    names = sorted(span.name for span in receiver.spans)
    assert names == ["invoke_agent work"] * 4 + ["invoke_workflow run"]


def test_an_exit_with_no_server_says_what_was_lost(receiver: Collector) -> None:
    done = python(
        "import agenttrace; agenttrace.instrument('http://127.0.0.1:1', frameworks=[])\n"
        "agenttrace.AgentTracer('x').agent(len)('abc')"
    )

    assert done.returncode == 0
    assert "AgentTrace lost 1 of 1 spans" in done.stderr


def test_spans_that_end_in_exit_handlers_of_libraries_arrive(receiver: Collector) -> None:
    done = python(
        """
import agenttrace
agenttrace.instrument(frameworks=[])
import atexit
span = agenttrace.sdk.tracer("x").start_span("late")
atexit.register(span.end)
""",
        OTEL_EXPORTER_OTLP_ENDPOINT=receiver.url,
    )

    assert done.returncode == 0, done.stderr
    assert set(receiver.named) == {"late"}
