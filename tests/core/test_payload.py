import gc
import weakref
from collections.abc import Iterator
from typing import Any

import pytest
from opentelemetry.sdk.trace import ReadableSpan, SpanLimits, TracerProvider
from opentelemetry.sdk.trace.export import (
    BatchSpanProcessor,
    SimpleSpanProcessor,
    SpanExporter,
    SpanExportResult,
)
from opentelemetry.trace import INVALID_SPAN, Link, NonRecordingSpan, StatusCode, Tracer

from agenttrace import payload, semconv


class Keeping(SpanExporter):
    """Keeps spans as they come, and as they look materialised at export."""

    def __init__(self) -> None:
        self.raw: list[ReadableSpan] = []
        self.whole: list[ReadableSpan] = []

    def export(self, spans: Any) -> SpanExportResult:
        self.raw += spans
        self.whole += [payload.materialise(span) for span in spans]
        return SpanExportResult.SUCCESS


@pytest.fixture
def kept() -> Keeping:
    return Keeping()


@pytest.fixture
def tracer(kept: Keeping) -> Iterator[Tracer]:
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(kept))
    yield provider.get_tracer("test")
    provider.shutdown()


def test_a_deferred_value_becomes_an_attribute_at_export_only(
    tracer: Tracer, kept: Keeping
) -> None:
    made: list[int] = []
    with tracer.start_as_current_span("a") as span:
        payload.defer(span, "input", {"q": 1})
        payload.defer(span, "lazy", payload.Lazy(lambda: made.append(1) or "made"))
        assert made == []

    [whole] = kept.whole
    assert whole.attributes == {"input": '{"q":1}', "lazy": "made"}
    assert kept.raw[0].attributes == {}


def test_it_reaches_an_exporter_that_is_called_long_after_the_span_is_gone() -> None:
    keeping = Keeping()
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(keeping))
    span = provider.get_tracer("test").start_span("a")
    payload.defer(span, "input", [1])
    span.end()
    del span
    gc.collect()

    provider.shutdown()

    assert keeping.whole[0].attributes == {"input": "[1]"}


def test_nothing_is_kept_for_spans_that_never_end() -> None:
    tracer = TracerProvider(shutdown_on_exit=False).get_tracer("test")

    class Big:
        pass

    big = Big()
    gone = weakref.ref(big)
    span = tracer.start_span("never ended")
    payload.defer(span, "input", [big])
    payload.message(span, sender="a", recipient="b", content=big)
    del big, span
    gc.collect()

    assert gone() is None


def test_messages_and_checkpoints_become_events_in_the_order_of_time(
    tracer: Tracer, kept: Keeping
) -> None:
    with tracer.start_as_current_span("a") as span:
        first = payload.message(
            span, sender="planner", recipient="coder", content={"do": "it"}, audience=["x", "y"]
        )
        span.add_event("between")
        second = payload.message(
            span, sender="coder", recipient="planner", content="done", type="result",
            caused_by=first, message_id="given",
        )  # fmt: skip
        payload.checkpoint(
            span, checkpoint_id="c1", label="after", state=lambda: '{"s":1}', config={"t": 1},
            input="go",
        )  # fmt: skip

    message, between, answer, checkpoint = kept.whole[0].events
    assert message.name == semconv.MESSAGE_EVENT
    assert message.attributes == {
        semconv.MESSAGE_ID: first,
        semconv.MESSAGE_SENDER: "planner",
        semconv.MESSAGE_RECIPIENT: "coder",
        semconv.MESSAGE_TYPE: "task",
        semconv.MESSAGE_CONTENT: '{"do":"it"}',
        semconv.MESSAGE_AUDIENCE: ["x", "y"],
    }
    assert between.name == "between"
    assert second == "given"
    assert dict(answer.attributes or {})[semconv.MESSAGE_CAUSED_BY] == first
    assert checkpoint.name == semconv.CHECKPOINT_EVENT
    assert checkpoint.attributes == {
        semconv.CHECKPOINT_ID: "c1",
        semconv.CHECKPOINT_LABEL: "after",
        semconv.CHECKPOINT_STATE: '{"s":1}',
        semconv.CHECKPOINT_CONFIG: '{"t":1}',
        semconv.CHECKPOINT_INPUT: "go",
    }


def test_a_state_that_cannot_be_had_says_why_it_cannot_be_resumed(
    tracer: Tracer, kept: Keeping
) -> None:
    with tracer.start_as_current_span("a") as span:
        payload.checkpoint(span, checkpoint_id="1", label="", state=lambda: 1 / 0)
        payload.checkpoint(span, checkpoint_id="2", label="", state="x" * (payload.LIMIT * 17))
        payload.checkpoint(span, checkpoint_id="3", label="", state="x" * (payload.LIMIT * 15))

    broken, long, fine = (dict(event.attributes or {}) for event in kept.whole[0].events)
    assert "ZeroDivisionError" in broken[semconv.CHECKPOINT_WHY_NOT]
    assert "longer than" in long[semconv.CHECKPOINT_WHY_NOT]
    assert semconv.CHECKPOINT_WHY_NOT not in fine
    assert len(fine[semconv.CHECKPOINT_STATE]) == payload.LIMIT * 15


def test_a_group_chat_has_more_messages_than_a_span_may_have_events(kept: Keeping) -> None:
    provider = TracerProvider(shutdown_on_exit=False, span_limits=SpanLimits(max_events=2))
    provider.add_span_processor(SimpleSpanProcessor(kept))
    with provider.get_tracer("test").start_as_current_span("chat") as span:
        for number in range(300):
            payload.message(span, sender="a", recipient="b", content=str(number))

    assert len(kept.whole[0].events) == 300


def test_spans_that_record_nothing_take_payloads_in_silence() -> None:
    for span in (INVALID_SPAN, NonRecordingSpan(INVALID_SPAN.get_span_context())):
        payload.defer(span, "input", 1)
        payload.checkpoint(span, checkpoint_id="1", label="", state="")
        assert payload.message(span, sender="a", recipient="b", content="") != ""


def test_a_span_of_someone_elses_sdk_gets_the_text_at_once() -> None:
    class Foreign(NonRecordingSpan):
        def __init__(self) -> None:
            super().__init__(INVALID_SPAN.get_span_context())
            self.found: dict[str, Any] = {}

        def is_recording(self) -> bool:
            return True

        def set_attribute(self, key: str, value: Any) -> None:
            self.found[key] = value

        def add_event(self, name: str, attributes: Any = None, timestamp: Any = None) -> None:
            self.found[name] = attributes

    span = Foreign()
    payload.defer(span, "input", {"a": 1})
    payload.message(span, sender="a", recipient="b", content="hi", message_id="1")

    assert span.found["input"] == '{"a":1}'
    assert span.found[semconv.MESSAGE_EVENT][semconv.MESSAGE_CONTENT] == "hi"


def test_every_text_that_leaves_goes_through_the_hook(tracer: Tracer, kept: Keeping) -> None:
    seen: dict[str, str] = {}

    def redact(key: str, text: str) -> str:
        seen[key] = text
        return text.upper()

    parent = tracer.start_span("parent")
    link = Link(parent.get_span_context(), {"why": "link"})
    with tracer.start_as_current_span("name", links=[link], attributes={"a": "x"}) as span:
        span.set_attribute("list", ["y", "z"])
        span.set_attribute("number", 7)
        span.add_event("event", {"b": "w"})
        payload.defer(span, "deferred", {"c": "v"})
        span.record_exception(ValueError("failure"))
        span.set_status(StatusCode.ERROR, "ValueError: failure")

    whole = payload.materialise(kept.raw[0], redact)

    assert whole.name == "NAME"
    assert whole.status.description == "VALUEERROR: FAILURE"
    assert whole.attributes == {
        "a": "X", "list": ["Y", "Z"], "number": 7, "deferred": '{"C":"V"}'
    }  # fmt: skip
    assert whole.events[0].attributes == {"b": "W"}
    assert dict(whole.events[1].attributes or {})["exception.message"] == "FAILURE"
    assert whole.links[0].attributes == {"why": "LINK"}
    assert "service.name" in seen


@pytest.mark.parametrize("answer", [None, 1, ZeroDivisionError()])
def test_a_hook_that_fails_lets_nothing_through(tracer: Tracer, kept: Keeping, answer: Any) -> None:
    def redact(key: str, text: str) -> str:
        if isinstance(answer, Exception):
            raise answer
        return answer  # type: ignore[no-any-return]

    with tracer.start_as_current_span("a") as span:
        span.set_attribute("k", "private")

    whole = payload.materialise(kept.raw[0], redact)

    assert "private" not in str(whole.attributes)
    assert "redacted" in str(whole.attributes)


def test_everything_else_of_the_span_stays(tracer: Tracer, kept: Keeping) -> None:
    with tracer.start_as_current_span("a") as span:
        payload.defer(span, "x", 1)
    raw, whole = kept.raw[0], kept.whole[0]

    for name in ("context", "parent", "kind", "start_time", "end_time", "instrumentation_scope"):
        assert getattr(whole, name) == getattr(raw, name)
    assert whole.resource == raw.resource
    assert payload.materialise(whole).attributes == whole.attributes


def test_what_the_sdk_dropped_is_still_counted(kept: Keeping) -> None:
    limits = SpanLimits(max_span_attributes=1, max_events=1, max_links=1)
    provider = TracerProvider(shutdown_on_exit=False, span_limits=limits)
    provider.add_span_processor(SimpleSpanProcessor(kept))
    with provider.get_tracer("t").start_as_current_span("a") as span:
        span.set_attribute("a", 1)
        span.set_attribute("b", 1)
        span.add_event("a")
        span.add_event("b")

    whole = kept.whole[0]

    assert (whole.dropped_attributes, whole.dropped_events, whole.dropped_links) == (1, 1, 0)


def test_ids_are_unique_also_where_random_is_seeded() -> None:
    import random

    ids = set()
    for _ in range(3):
        random.seed(0)
        ids.add(payload.new_id())

    assert len(ids) == 3
