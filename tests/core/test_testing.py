import subprocess
import sys
from typing import Any

import msgspec
import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.trace import StatusCode

from agenttrace import genai, payload
from agenttrace.models import RawSpan, Scope, Span
from agenttrace.testing import (
    InMemoryExporter,
    agent,
    build,
    check_normalizer,
    llm,
    message,
    raw_span,
    raw_spans,
    span,
    tool,
    workflow,
)


class TestBuilders:
    def test_the_same_story_gives_the_same_trace(self) -> None:
        story = workflow("run", agent("planner", llm("x"), sends="coder"), agent("coder"))

        assert build(story) == build(story)

    def test_spans_lie_in_each_other_and_follow_each_other(self) -> None:
        trace = build(workflow("run", agent("a", llm("x"), tool("t")), agent("b")))

        run, a, call, t, b = trace.spans
        assert [s.parent_id for s in trace.spans] == [
            None,
            run.span_id,
            a.span_id,
            a.span_id,
            run.span_id,
        ]
        assert run.start_ns < a.start_ns < call.start_ns < call.end_ns < t.start_ns
        assert t.end_ns < a.end_ns < b.start_ns < b.end_ns < run.end_ns

    def test_who_is_sent_something_has_it_as_its_input(self) -> None:
        sent = message("coder", "write it")
        trace = build(workflow("run", agent("planner", sends=sent), agent("coder")))

        assert trace.spans[2].input == "write it"

    def test_who_does_not_receive_never_saw_it(self) -> None:
        trace = build(agent("planner", sends="coder"), agent("coder", receives=False))

        assert trace.spans[1].input is None
        assert [(m.sender, m.recipient) for m in trace.messages] == [("planner", "coder")]

    def test_an_error_is_a_recorded_exception(self) -> None:
        [found] = build(tool("t", error="ValueError: no")).spans

        assert (found.status, found.error) == ("error", "ValueError: no")

    def test_durations_add_up(self) -> None:
        inner, outer = raw_spans(span("outer", span("inner", lasts_ms=50), lasts_ms=1))[::-1]

        assert inner.duration_ns >= 50_000_000
        assert outer.duration_ns > inner.duration_ns

    def test_values_become_text_and_anything_else_an_attribute(self) -> None:
        [found] = build(span("x", input={"a": 1}, attributes={"mine": 5})).spans

        assert found.input == '{"a":1}'
        assert found.attributes["mine"] == 5


class TestCheckNormalizer:
    def test_a_good_one_passes(self) -> None:
        check_normalizer(genai.read)

    def raises(self, raw: RawSpan) -> Span:
        return Span.of(raw, agent=raw.attributes["my.agent"])

    def other(self, raw: RawSpan) -> Span:
        return msgspec.structs.replace(genai.read(raw), span_id="0" * 16)

    def drops(self, raw: RawSpan) -> Span:
        return msgspec.structs.replace(genai.read(raw), attributes={})

    def changes(self, raw: RawSpan) -> Span:
        raw.attributes["seen"] = True  # type: ignore[index]
        return genai.read(raw)

    def wavers(self, raw: RawSpan) -> Span:
        self.count = getattr(self, "count", 0) + 1
        return msgspec.structs.replace(genai.read(raw), agent=str(self.count))

    def passes_on(self, raw: RawSpan) -> Span:
        return Span.of(raw, agent=raw.attributes.get("gen_ai.agent.name"))

    def miscounts(self, raw: RawSpan) -> Span:
        return Span.of(raw, tokens_in=-1)

    def misnames(self, raw: RawSpan) -> Span:
        return Span.of(raw, kind="step")

    @pytest.mark.parametrize(
        ("how", "said"),
        [
            ("raises", "It raised KeyError"),
            ("other", "It changed span_id"),
            ("drops", "It changed attributes"),
            ("changes", "It changed the span it was given"),
            ("wavers", "two answers"),
            ("passes_on", "agent is"),
            ("miscounts", "tokens_in is -1"),
            ("misnames", "'step' is no kind"),
        ],
    )
    def test_a_bad_one_is_told_what_it_did(self, how: str, said: str) -> None:
        with pytest.raises(AssertionError, match=said):
            check_normalizer(getattr(self, how))

    def test_no_span_is_no_answer(self) -> None:
        with pytest.raises(AssertionError, match="no Span"):
            check_normalizer(lambda raw: raw)  # type: ignore[arg-type, return-value]

    def test_given_spans_are_bent_too(self) -> None:
        def reads_own(raw: RawSpan) -> Span:
            mine: Any = raw.attributes.get("mine", "")
            return Span.of(raw, agent=mine.strip() or None)

        check_normalizer(reads_own)

        with pytest.raises(AssertionError, match="'mine'"):
            check_normalizer(reads_own, [raw_span(attributes={"mine": "x"})])


class TestInMemoryExporter:
    def test_it_keeps_spans_as_the_server_would_see_them(self) -> None:
        exporter = InMemoryExporter()
        provider = TracerProvider()
        provider.add_span_processor(SimpleSpanProcessor(exporter))
        tracer = provider.get_tracer("app", "1.2")

        about = {"gen_ai.operation.name": "invoke_agent", "gen_ai.agent.name": "planner"}
        with tracer.start_as_current_span("outer", attributes=about) as outer:
            payload.defer(outer, "agenttrace.input", {"x": 1})
            payload.message(outer, sender="planner", recipient="coder", content="write it")
            with tracer.start_as_current_span("inner", attributes={"list": ["a"]}) as inner:
                inner.set_status(StatusCode.ERROR, "boom")

        outer_raw, inner_raw = exporter.raw_spans()
        assert inner_raw.parent_id == outer_raw.span_id
        assert (inner_raw.status, inner_raw.status_message) == ("error", "boom")
        assert inner_raw.attributes == {"list": ["a"]}
        assert (outer_raw.scope.name, outer_raw.scope.version) == ("app", "1.2")
        [trace] = exporter.traces()
        assert trace.spans[0].input == '{"x":1}'
        said = [(m.sender, m.recipient, m.content) for m in trace.messages]
        assert ("planner", "coder", "write it") in said

        exporter.clear()
        assert exporter.traces() == []


def test_it_needs_no_test_framework() -> None:
    code = "import sys, agenttrace.testing; assert 'pytest' not in sys.modules"

    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_span_knows_the_scope_it_was_given() -> None:
    assert raw_span(scope="mine").scope == Scope("mine")
