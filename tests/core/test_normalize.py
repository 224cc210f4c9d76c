import logging
from typing import Any

import pytest

from agenttrace.hookspecs import hookimpl
from agenttrace.models import Normalizer, RawSpan, Scope, Span
from agenttrace.normalize import normalize
from agenttrace.plugins import Plugins
from agenttrace.testing import raw_span


class Reads:
    """A plugin that reads one scope with one function, and counts how often it is asked."""

    def __init__(self, scope: str, normalizer: Any) -> None:
        self.scope, self.normalizer, self.asked = scope, normalizer, 0

    @hookimpl
    def agenttrace_normalizer(self, scope: Scope) -> Normalizer | None:
        self.asked += 1
        return self.normalizer if scope.name == self.scope else None


def planner(raw: RawSpan) -> Span:
    return Span.of(raw, kind="agent", agent="planner")


def plugins_with(*plugins: object) -> Plugins:
    found = Plugins()
    for number, plugin in enumerate(plugins):
        found.register(plugin, f"plugin {number}")
    return found


def test_a_span_is_read_by_the_plugin_of_its_scope() -> None:
    raws = [raw_span("one", scope="mine"), raw_span("two", scope="other")]

    one, two = normalize(raws, plugins_with(Reads("mine", planner)))

    assert (one.kind, one.agent) == ("agent", "planner")
    assert (two.kind, two.agent) == ("other", None)


def test_what_no_plugin_reads_is_read_by_the_conventions() -> None:
    raw = raw_span(scope="unknown", attributes={"gen_ai.operation.name": "chat"})

    [span] = normalize([raw], Plugins())

    assert span.kind == "llm"


def test_every_span_comes_back_in_its_place() -> None:
    raws = [raw_span(str(n), scope=f"scope {n % 3}") for n in range(20)]

    spans = normalize(raws, plugins_with(Reads("scope 1", planner)))

    assert [span.span_id for span in spans] == [raw.span_id for raw in raws]


def test_a_plugin_is_asked_once_for_a_scope() -> None:
    plugin = Reads("mine", planner)
    plugins = plugins_with(plugin)

    for _ in range(5):
        normalize([raw_span(scope="mine"), raw_span(scope="other")], plugins)

    assert plugin.asked == 2


def test_a_new_version_of_a_scope_is_asked_about_again() -> None:
    plugin = Reads("mine", planner)

    normalize([raw_span(scope=Scope("mine", v)) for v in ("1", "2", "1")], plugins_with(plugin))

    assert plugin.asked == 2


def raises(raw: RawSpan) -> Span:
    raise RuntimeError("cannot read")


def other_ids(raw: RawSpan) -> Span:
    return Span.of(raw_span("another"))


@pytest.mark.parametrize(
    "normalizer", [raises, other_ids, lambda raw: None, lambda raw: raw, lambda: None]
)
def test_a_bad_answer_costs_the_answer_and_not_the_span(
    normalizer: Any, caplog: pytest.LogCaptureFixture
) -> None:
    raws = [
        raw_span(str(n), scope="mine", attributes={"gen_ai.operation.name": "chat"})
        for n in range(3)
    ]

    spans = normalize(raws, plugins_with(Reads("mine", normalizer)))

    assert [span.kind for span in spans] == ["llm"] * 3
    assert len([r for r in caplog.records if r.levelno == logging.ERROR]) == 1


def test_a_plugin_that_answers_with_no_function_is_passed_over() -> None:
    [span] = normalize([raw_span(scope="mine")], plugins_with(Reads("mine", "planner")))

    assert span.kind == "other"


def test_nothing_gives_nothing() -> None:
    assert normalize([], Plugins()) == []
