"""The pytest fixture `agenttrace`: record what a test's agents do, and assert on it.

    def test_the_coder_is_asked(agenttrace):
        app.invoke({"task": "write it"})

        assert agenttrace.messages("planner", "coder")
        agenttrace.assert_no_failures()

Everything stays in memory: no server, no network, nothing that reaches the exporters of an
OpenTelemetry the application has set up. Failures are found and shown by the settings a server
would have (`AGENTTRACE_CONFIDENCE_THRESHOLD`, `AGENTTRACE_RULES`).
"""

import os
from collections.abc import Collection, Iterator
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from agenttrace.models import FailureAnnotation, Message, Trace
    from agenttrace.plugins import Plugins
    from agenttrace.testing import InMemoryExporter
    from agenttrace_server.shown import Thresholds


class Recorded:
    """What the agents of a test have done so far; every question looks at all that has ended."""

    def __init__(
        self, exporter: "InMemoryExporter", plugins: "Plugins", thresholds: "Thresholds"
    ) -> None:
        self._exporter = exporter
        self._plugins = plugins
        self._thresholds = thresholds
        self._spans = -1
        self._traces: list[Trace] = []
        self._failures: list[FailureAnnotation] = []

    def __repr__(self) -> str:
        """Say who talked to whom: pytest shows this where an assertion fails."""
        pairs = dict.fromkeys(f"{one.sender} → {one.recipient}" for one in self.messages())
        return f"<recorded: {', '.join(pairs or self.agents) or 'no agent'}>"

    @property
    def traces(self) -> "list[Trace]":
        """The traces, in the order in which they began, with agents, messages and checkpoints."""
        self._look()
        return self._traces

    @property
    def agents(self) -> list[str]:
        """The names of the agents that took part, in order of appearance."""
        return list(dict.fromkeys(agent.name for trace in self.traces for agent in trace.agents))

    def messages(
        self, sender: str | None = None, recipient: str | None = None, type: str | None = None
    ) -> "list[Message]":
        """Return the messages, in order; those of a sender, to a recipient, of a type."""
        return [
            message
            for trace in self.traces
            for message in trace.messages
            if sender in (None, message.sender)
            and (recipient in (None, message.recipient) or recipient in message.audience)
            and type in (None, message.type)
        ]

    def failures(self, *, everything: bool = False) -> "list[FailureAnnotation]":
        """Return what went wrong; with `everything` also what is not sure enough to be shown."""
        self._look()
        return [one for one in self._failures if everything or self._thresholds.show(one)]

    def assert_no_failures(self, *, ignore: Collection[str] = ()) -> None:
        """Fail if something went wrong, but for these modes, and say what and where.

        A test in which no agent was recorded fails too: nothing was checked.
        """
        __tracebackhide__ = True
        if not self.traces:
            pytest.fail("No agent was recorded; is the framework's agenttrace plugin installed?")
        found = [one for one in self.failures() if not {one.mode, one.subcategory} & set(ignore)]
        if found:
            lines = [line for one in found for line in _lines(one)]
            number = f"{len(found)} failure{'s' if len(found) > 1 else ''}"
            pytest.fail("\n".join([number, *lines]), pytrace=False)

    def assert_agents(self, *names: str) -> None:
        """Fail unless each of these agents took part."""
        __tracebackhide__ = True
        missing = [name for name in names if name not in self.agents]
        if missing:
            pytest.fail(f"No {', '.join(missing)} among the agents: {', '.join(self.agents)}")

    def assert_message(self, sender: str, recipient: str, containing: str = "") -> None:
        """Fail unless one agent told another something that contains this text."""
        __tracebackhide__ = True
        if any(containing in one.content for one in self.messages(sender, recipient)):
            return
        told = [f"  {m.sender} → {m.recipient}: {m.content[:100]!r}" for m in self.messages()]
        pytest.fail("\n".join([f"No {containing!r} from {sender} to {recipient} among", *told]))

    def _look(self) -> None:
        from agenttrace.models import Trace
        from agenttrace.sdk import flush
        from agenttrace_server.analyse.pipeline import analyse

        flush()
        spans = len(self._exporter.raw_spans())
        if spans == self._spans:
            return
        self._spans, self._traces, self._failures = spans, [], []
        for trace in self._exporter.traces(self._plugins):
            found = analyse(trace, self._plugins)
            self._failures += found.failures
            self._traces.append(
                Trace(trace.trace_id, trace.spans, found.agents, found.messages, found.checkpoints)
            )


@pytest.fixture
def agenttrace() -> Iterator[Recorded]:
    """Record the agents of this test in memory; see `agenttrace_server.pytest_plugin.Recorded`."""
    # Not above: pytest loads this module in every run, used or not.
    from opentelemetry import trace
    from opentelemetry.sdk.resources import SERVICE_NAME, Resource
    from opentelemetry.sdk.trace import TracerProvider, sampling
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor

    from agenttrace import sdk
    from agenttrace.ids import UrandomIds
    from agenttrace.testing import InMemoryExporter
    from agenttrace_server.analyse import classifiers
    from agenttrace_server.settings import Settings
    from agenttrace_server.yaml_rules import RuleFile

    if os.environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        pytest.fail(
            "OTEL_SDK_DISABLED=true keeps agents from being recorded: unset it for this test"
        )
    settings = Settings()
    rules = RuleFile(settings.rule_file, required=settings.rules is not None)
    rules.load()
    exporter = InMemoryExporter()
    already = sdk.recording()
    if already is None:
        own = TracerProvider(
            sampler=sampling.ALWAYS_ON,
            resource=Resource.create({SERVICE_NAME: "pytest"}),
            id_generator=UrandomIds(),
            shutdown_on_exit=False,
        )
        sdk.instrument(exporter=exporter, tracer_provider=own)
    # What the application records by itself, with us or with other instrumentations, is heard too.
    others: Any = already.provider if already else trace.get_tracer_provider()
    listening = SimpleSpanProcessor(exporter)
    if hasattr(others, "add_span_processor"):
        others.add_span_processor(listening)
    yield Recorded(exporter, classifiers.load(rules), settings.thresholds)
    sdk.remove_processor(others, listening)
    if already is None:
        sdk.uninstrument()


def _lines(failure: "FailureAnnotation") -> Iterator[str]:
    name = failure.subcategory.replace("_", " ")
    mode = "" if failure.mode == failure.subcategory else f"{failure.mode} "
    yield f"{failure.severity}: {mode}{name} · {failure.agent or 'the whole run'}"
    yield f"  {failure.explanation}"
    if failure.evidence:
        yield f"  “{failure.evidence[:200]}”"
