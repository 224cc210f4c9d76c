import os
import threading
from collections.abc import Iterator

import pytest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF
from opentelemetry.trace import Tracer

from agenttrace import OTLPExporter, payload, processor
from agenttrace.processor import SpanQueue
from support.collector import Collector, attributes, collector
from support.ports import free_port


@pytest.fixture(autouse=True)
def _no_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give up on a server that is down sooner than for a user."""
    monkeypatch.setattr(processor, "PATIENCE", 0.3)
    monkeypatch.setattr(processor, "LONGEST_PAUSE", 0.1)


class Pipeline:
    """A provider whose spans go through a queue to a URL."""

    def __init__(self, url: str, size: int = 1000, delay: float = 0.01) -> None:
        self.queue = SpanQueue(OTLPExporter(url, timeout=5.0), size=size, delay=delay)
        self.provider = TracerProvider(shutdown_on_exit=False)
        self.provider.add_span_processor(self.queue)
        self.tracer: Tracer = self.provider.get_tracer("test")

    def spans(self, count: int, name: str = "span") -> None:
        for number in range(count):
            self.tracer.start_span(f"{name} {number}").end()


@pytest.fixture
def pipeline(receiver: Collector) -> Iterator[Pipeline]:
    made = Pipeline(receiver.url, size=5000)
    yield made
    made.provider.shutdown()


def test_spans_arrive_without_being_asked_for(receiver: Collector, pipeline: Pipeline) -> None:
    pipeline.spans(3)

    assert [span.name for span in receiver.wait_for(3)] == ["span 0", "span 1", "span 2"]


def test_a_flush_returns_when_all_has_arrived(receiver: Collector, pipeline: Pipeline) -> None:
    pipeline.spans(1500)

    assert pipeline.provider.force_flush() is True
    assert len(receiver.spans) == 1500
    assert pipeline.queue.waiting == 0
    assert pipeline.provider.force_flush() is True


def test_what_was_recorded_while_the_server_was_down_arrives_when_it_is_back() -> None:
    port = free_port()
    pipeline = Pipeline(f"http://127.0.0.1:{port}")
    pipeline.spans(700)
    assert pipeline.provider.force_flush() is False

    with collector(port) as receiver:
        arrived = receiver.wait_for(700)
        pipeline.provider.shutdown()

    assert sorted(span.name for span in arrived) == sorted(f"span {n}" for n in range(700))
    assert pipeline.queue.lost == 0


def test_payloads_are_those_of_the_time_also_when_the_server_is_down() -> None:
    port = free_port()
    pipeline = Pipeline(f"http://127.0.0.1:{port}")
    state = {"step": 1}
    with pipeline.tracer.start_as_current_span("a") as span:
        payload.defer(span, "state", state)
    state["step"] = 2

    with collector(port) as receiver:
        [arrived] = receiver.wait_for(1)
        pipeline.provider.shutdown()

    assert attributes(arrived) == {"state": '{"step":1}'}


def test_a_full_queue_drops_and_counts_and_says_so_once(caplog: pytest.LogCaptureFixture) -> None:
    pipeline = Pipeline("http://127.0.0.1:1", size=50)
    pipeline.spans(80)
    pipeline.provider.shutdown()

    assert pipeline.queue.lost == 80
    assert pipeline.queue.delivered == 0
    drops = [r for r in caplog.records if "queue of 50 spans is full" in r.message]
    assert len(drops) == 1
    [summary] = [r.message for r in caplog.records if "AgentTrace lost" in r.message]
    assert summary.startswith("AgentTrace lost 80 of 80 spans: http://127.0.0.1:1/v1/traces")


def test_a_server_that_is_down_is_told_about_once(caplog: pytest.LogCaptureFixture) -> None:
    pipeline = Pipeline("http://127.0.0.1:1")
    for _ in range(3):
        pipeline.spans(2)
        pipeline.provider.force_flush()
    pipeline.provider.shutdown()

    told = [r.message for r in caplog.records if "does not take spans" in r.message]
    assert len(told) == 1
    assert "agenttrace serve" in told[0]


def test_refused_spans_are_lost_with_the_servers_reason_and_the_next_go_on(
    receiver: Collector, pipeline: Pipeline, caplog: pytest.LogCaptureFixture
) -> None:
    receiver.answers = [(400, {}, b"no such project")]
    pipeline.spans(1, "refused")
    pipeline.provider.force_flush()
    pipeline.spans(1, "taken")
    pipeline.provider.force_flush()

    assert [span.name for span in receiver.spans] == ["taken 0"]
    assert pipeline.queue.lost == 1
    assert "no such project" in caplog.text


def test_503_keeps_the_batch_and_the_order(receiver: Collector, pipeline: Pipeline) -> None:
    receiver.answers = [(503, {}, b""), (503, {}, b"")]
    pipeline.spans(5)

    assert [span.name for span in receiver.wait_for(5)] == [f"span {n}" for n in range(5)]


def test_a_batch_too_large_is_split(receiver: Collector, pipeline: Pipeline) -> None:
    receiver.bytes_limit = 1500
    pipeline.spans(100)

    assert pipeline.provider.force_flush() is True
    assert len(receiver.spans) == 100
    assert len(receiver.requests) >= 4


def test_a_slow_server_holds_up_nobody(receiver: Collector, pipeline: Pipeline) -> None:
    receiver.gate.clear()
    pipeline.spans(1)
    pipeline.spans(600)
    assert pipeline.queue.waiting == 601

    receiver.gate.set()
    assert pipeline.provider.force_flush() is True
    assert len(receiver.spans) == 601


def test_an_exit_waits_while_a_slow_server_makes_progress(
    receiver: Collector, pipeline: Pipeline
) -> None:
    receiver.answers = [(503, {"Retry-After": "0"}, b""), *[(200, {}, b"")] * 3]
    pipeline.spans(2000)

    pipeline.provider.shutdown()

    assert len(receiver.spans) == 2000
    assert pipeline.queue.lost == 0


def test_an_exit_ends_when_a_server_takes_a_request_and_says_nothing(
    receiver: Collector, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(processor, "STALL", 0.3)
    pipeline = Pipeline(receiver.url)
    receiver.gate.clear()
    pipeline.spans(1)

    pipeline.provider.shutdown()

    assert "AgentTrace lost 1 of 1 spans" in caplog.text


def test_a_second_wait_for_the_same_lost_spans_is_spared(monkeypatch: pytest.MonkeyPatch) -> None:
    pipeline = Pipeline("http://127.0.0.1:1")
    pipeline.spans(1)
    assert pipeline.provider.force_flush() is False
    monkeypatch.setattr(processor, "PATIENCE", 3600.0)
    monkeypatch.setattr(processor, "STALL", 3600.0)

    pipeline.provider.shutdown()

    assert pipeline.queue.closed


def test_after_shutdown_spans_are_left_alone(receiver: Collector, pipeline: Pipeline) -> None:
    pipeline.provider.shutdown()
    pipeline.spans(3)
    pipeline.provider.shutdown()

    assert receiver.spans == []
    assert pipeline.queue.lost == 0


def test_spans_that_are_not_sampled_are_not_sent(receiver: Collector) -> None:
    queue = SpanQueue(OTLPExporter(receiver.url), delay=0.01)
    provider = TracerProvider(sampler=ALWAYS_OFF, shutdown_on_exit=False)
    provider.add_span_processor(queue)
    provider.get_tracer("t").start_span("a").end()

    provider.shutdown()

    assert receiver.requests == []


def test_every_span_of_many_threads_arrives_once(receiver: Collector) -> None:
    pipeline = Pipeline(receiver.url, size=100_000)
    threads = [threading.Thread(target=pipeline.spans, args=(250, f"thread {n}")) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    pipeline.provider.shutdown()

    names = [span.name for span in receiver.spans]
    assert len(names) == 2000
    assert len(set(names)) == 2000


def test_spans_that_a_payload_makes_while_it_is_serialised_do_not_go_round_for_ever(
    receiver: Collector, pipeline: Pipeline
) -> None:
    def traced() -> str:
        with pipeline.tracer.start_as_current_span("from within"):
            return "made"

    with pipeline.tracer.start_as_current_span("a") as span:
        payload.defer(span, "x", payload.Lazy(traced))

    assert pipeline.provider.force_flush() is True
    assert [span.name for span in receiver.spans] == ["a"]


def test_our_own_requests_make_no_spans(receiver: Collector, pipeline: Pipeline) -> None:
    from opentelemetry.instrumentation.utils import is_instrumentation_enabled

    seen: list[bool] = []
    with pipeline.tracer.start_as_current_span("a") as span:
        payload.defer(span, "x", payload.Lazy(lambda: seen.append(is_instrumentation_enabled())))
    pipeline.provider.force_flush()

    assert seen == [False]
    assert is_instrumentation_enabled()


def test_an_exporter_that_breaks_does_not_end_the_thread(
    receiver: Collector, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    pipeline = Pipeline(receiver.url)
    send = pipeline.queue.delivery.send
    broken = [True]

    def sometimes(batch: object) -> object:
        if broken.pop() if broken else False:
            raise RuntimeError("a bug")
        return send(batch)  # type: ignore[arg-type]

    monkeypatch.setattr(pipeline.queue.delivery, "send", sometimes)
    pipeline.spans(1, "first")
    pipeline.queue.force_flush(500)
    pipeline.spans(1, "second")
    pipeline.provider.shutdown()

    assert "a bug" in caplog.text
    assert "second 0" in receiver.named


def test_the_traces_that_began_here_are_known(receiver: Collector, pipeline: Pipeline) -> None:
    with pipeline.tracer.start_as_current_span("root") as root:
        pipeline.spans(2)

    assert list(pipeline.queue.traces) == [root.get_span_context().trace_id]


def test_only_the_newest_traces_are_remembered(pipeline: Pipeline) -> None:
    pipeline.spans(processor.REMEMBERED_TRACES + 10)

    assert len(pipeline.queue.traces) == processor.REMEMBERED_TRACES


def test_nothing_is_held_once_it_has_been_delivered(pipeline: Pipeline) -> None:
    for _ in range(20):
        pipeline.spans(100)
        pipeline.provider.force_flush()

    assert len(pipeline.queue._queue) == 0
    assert len(pipeline.queue._held) == 0
    assert (pipeline.queue._held_spans, pipeline.queue._held_bytes) == (0, 0)


def test_a_forked_child_sends_its_own_spans_and_not_the_parents(receiver: Collector) -> None:
    pipeline = Pipeline(receiver.url, delay=60.0)
    pipeline.spans(3, "parent")
    child = os.fork()
    if child == 0:
        pipeline.spans(2, "child")
        delivered = pipeline.provider.force_flush()
        os._exit(0 if delivered and len(pipeline.queue.traces) == 2 else 1)
    _, status = os.waitpid(child, 0)
    pipeline.provider.shutdown()

    assert status == 0
    names = sorted(span.name for span in receiver.spans)
    assert names == ["child 0", "child 1", "parent 0", "parent 1", "parent 2"]


def test_another_exporter_in_the_provider_gets_every_span_too(receiver: Collector) -> None:
    from agenttrace.testing import InMemoryExporter

    pipeline = Pipeline(receiver.url)
    other = InMemoryExporter()
    pipeline.provider.add_span_processor(SimpleSpanProcessor(other))
    with pipeline.tracer.start_as_current_span("a") as span:
        payload.defer(span, "input", "text")
    pipeline.provider.shutdown()

    assert attributes(receiver.spans[0]) == {"input": "text"}
    assert other.raw_spans()[0].attributes == {"input": "text"}


def test_a_span_without_a_context_is_ignored(pipeline: Pipeline) -> None:
    pipeline.queue.on_end(ReadableSpan("no context"))

    assert pipeline.queue.waiting == 0
