"""Group commit: what is submitted is durable when its future is done, or refused by name."""

import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from pathlib import Path

import pytest
from msgspec.structs import replace

from agenttrace.errors import StoreUnavailable
from agenttrace.models import RawSpan, SpanEvent
from agenttrace.plugins import Plugins, load_plugins
from agenttrace_server.decode import LogEvent
from agenttrace_server.ingest import GROUP_SPANS, Ingest, IngestFull
from agenttrace_server.reading import make_ready
from agenttrace_server.rejected import Rejected
from agenttrace_server.store import Store, TraceQuery
from agenttrace_server.store.batch import Batch
from agenttrace_server.store.sql import SqlStore, open_store
from support.stored import START_NS, opened, span, span_id, trace_id

T = trace_id()


class GatedStore(SqlStore):
    """A real store whose writes wait until the gate is open, and fail while it is away."""

    def __init__(self, url: str) -> None:
        opened = open_store(url)
        super().__init__(opened._database)
        self.gate = threading.Event()
        self.gate.set()
        self.away = False
        self.batches: list[int] = []

    def write_batch(self, batch: Batch) -> None:
        self.gate.wait(30)
        if self.away:
            raise StoreUnavailable("away")
        self.batches.append(len(batch))
        super().write_batch(batch)


@pytest.fixture(scope="module")
def plugins() -> Plugins:
    return load_plugins()


@pytest.fixture
def gated(tmp_path: Path) -> Iterator[GatedStore]:
    store = GatedStore(f"sqlite:///{tmp_path / 'db'}")
    yield store
    store.gate.set()
    store.close()


def raw(number: int, **fields: object) -> RawSpan:
    given = span(number, **fields)  # type: ignore[arg-type]
    return RawSpan(*(getattr(given, name) for name in RawSpan.__struct_fields__))


def batch(*spans: RawSpan) -> Batch:
    return make_ready(spans, load_plugins(), 1).batch


def raws(count: int, trace: int = 1) -> Batch:
    return batch(*(raw(n, parent=None if n == 1 else 1, trace=trace) for n in range(1, count + 1)))


def outcome(future: "Future[tuple[Rejected, ...]]") -> tuple[Rejected, ...]:
    return future.result(30)


def test_a_finished_future_means_the_spans_are_stored(store: Store, plugins: Plugins) -> None:
    ingest = Ingest(store, plugins)

    assert outcome(ingest.submit(raws(10))) == ()

    assert store.summary(T).span_count == 10  # type: ignore[union-attr]
    ingest.close()


def test_spans_are_normalised_by_the_plugins(store: Store, plugins: Plugins) -> None:
    ingest = Ingest(store, plugins)
    attributes = {"gen_ai.operation.name": "chat", "gen_ai.usage.input_tokens": 7}

    outcome(ingest.submit(batch(raw(1, attributes=attributes))))

    stored = store.span(T, span_id(1))
    assert stored is not None
    assert (stored.kind, stored.tokens_in) == ("llm", 7)
    ingest.close()


def test_nothing_is_done_at_once(store: Store, plugins: Plugins) -> None:
    ingest = Ingest(store, plugins)

    assert outcome(ingest.submit(batch())) == outcome(ingest.submit_events([])) == ()
    ingest.close()


def test_what_waits_is_written_together(gated: GatedStore, plugins: Plugins) -> None:
    ingest = Ingest(gated, plugins)
    gated.gate.clear()
    first = ingest.submit(raws(1))
    while ingest._jobs:
        time.sleep(0.001)
    rest = [ingest.submit(raws(10, trace=n)) for n in range(2, 22)]
    gated.gate.set()
    wait([first, *rest], 30)

    assert gated.batches == [1, 200]
    ingest.close()


def test_groups_are_bounded(gated: GatedStore, plugins: Plugins) -> None:
    ingest = Ingest(gated, plugins)
    gated.gate.clear()
    spans = raws(GROUP_SPANS // 2 + 1)
    futures = [ingest.submit(spans) for _ in range(3)]
    gated.gate.set()
    wait(futures, 60)

    assert max(gated.batches) <= len(spans)
    ingest.close()


def test_many_threads_submit_at_once(store: Store, plugins: Plugins) -> None:
    ingest = Ingest(store, plugins)

    with ThreadPoolExecutor(8) as pool:
        futures = pool.map(lambda n: ingest.submit(raws(5, trace=n)), range(1, 41))
        assert {outcome(future) for future in futures} == {()}

    page = store.traces(TraceQuery(limit=100))
    assert (page.total, {s.span_count for s in page.items}) == (40, {5})
    ingest.close()


def test_a_span_that_cannot_be_stored_costs_only_itself(store: Store, plugins: Plugins) -> None:
    ingest = Ingest(store, plugins)
    with_bad = raws(20)
    for number, name in ((50, "first"), (51, "second")):
        [good] = batch(raw(number, name=name)).incoming.values()
        with_bad.add(replace(good, row=(*good.row[:13], 2**70, *good.row[14:])))  # its tokens
    futures = [ingest.submit(with_bad), ingest.submit(raws(20, trace=2))]

    refused, fine = map(outcome, futures)

    assert fine == ()
    assert [(one.trace_id, one.span_id) for one in refused] == [(T, span_id(50)), (T, span_id(51))]
    assert [one.name for one in refused] == ["first", "second"]
    assert refused[1].service_name == "shop"
    assert "cannot be stored" in refused[1].reason
    assert store.summary(T).span_count == 20  # type: ignore[union-attr]
    assert store.summary(trace_id(2)).span_count == 20  # type: ignore[union-attr]
    ingest.close()


def test_a_store_that_is_away_is_told_to_everybody_and_may_come_back(
    gated: GatedStore, plugins: Plugins
) -> None:
    ingest = Ingest(gated, plugins)
    gated.away = True
    with pytest.raises(StoreUnavailable):
        outcome(ingest.submit(raws(3)))

    gated.away = False
    assert outcome(ingest.submit(raws(3))) == ()
    assert gated.summary(T).span_count == 3  # type: ignore[union-attr]
    ingest.close()


@pytest.mark.parametrize("bound", [{"most_spans": 25}, {"most_bytes": 2500}])
def test_a_full_queue_refuses_more_until_there_is_room(
    gated: GatedStore, plugins: Plugins, bound: dict[str, int]
) -> None:
    ingest = Ingest(gated, plugins, **bound)
    gated.gate.clear()
    taken = [ingest.submit(raws(1), 100)]
    while ingest._jobs:
        time.sleep(0.001)
    taken += [ingest.submit(raws(10, trace=n), 1000) for n in (2, 3)]

    with pytest.raises(IngestFull, match="send it again"):
        ingest.submit(raws(10, trace=4), 1000)
    with pytest.raises(IngestFull):
        ingest.submit(raws(30, trace=4), 10_000)

    gated.gate.set()
    wait(taken, 30)
    assert outcome(ingest.submit(raws(10, trace=4), 1000)) == ()
    assert gated.traces(TraceQuery()).total == 4
    ingest.close()


def test_one_request_alone_may_be_larger_than_the_queue(store: Store, plugins: Plugins) -> None:
    ingest = Ingest(store, plugins, most_spans=5, most_bytes=5)

    assert outcome(ingest.submit(raws(50), 5000)) == ()
    ingest.close()


def test_closing_writes_what_waits_and_refuses_more(gated: GatedStore, plugins: Plugins) -> None:
    ingest = Ingest(gated, plugins)
    gated.gate.clear()
    futures = [ingest.submit(raws(5, trace=n)) for n in range(1, 6)]
    closing = threading.Thread(target=ingest.close)
    closing.start()
    gated.gate.set()
    closing.join(30)

    assert all(future.done() for future in futures)
    assert gated.traces(TraceQuery()).total == 5
    with pytest.raises(IngestFull, match="shutting down"):
        ingest.submit(raws(1))


CHAT = {"gen_ai.operation.name": "chat"}


def said(number: int, text: str, time_ns: int = START_NS) -> LogEvent:
    """A log event that belongs to a span, with the prompt of a model call."""
    name = "gen_ai.user.message"
    return LogEvent(T, span_id(number), name, time_ns, {"content": text})


@pytest.mark.parametrize("order", ["before", "after", "together"])
def test_log_events_join_their_span_whenever_they_come(
    store: Store, plugins: Plugins, order: str
) -> None:
    ingest = Ingest(store, plugins)
    event, chat = said(1, "What is the weather?"), raw(1, attributes=CHAT)
    if order == "before":
        outcome(ingest.submit_events([event]))
        outcome(ingest.submit(batch(chat)))
    elif order == "after":
        outcome(ingest.submit(batch(chat)))
        outcome(ingest.submit_events([event]))
    else:
        wait([ingest.submit(batch(chat)), ingest.submit_events([event])], 30)

    stored = store.span(T, span_id(1))
    assert stored is not None
    assert [e.name for e in stored.events] == ["gen_ai.user.message"]
    assert "What is the weather?" in str(stored.input)
    assert store.summary(T).span_count == 1  # type: ignore[union-attr]
    assert store.kept_events([(T, span_id(1))]) == {}
    ingest.close()


def test_log_events_that_come_again_are_there_once(store: Store, plugins: Plugins) -> None:
    ingest = Ingest(store, plugins)
    first, second = said(1, "one", START_NS), said(1, "two", START_NS + 1)
    for _ in range(2):
        outcome(ingest.submit_events([second, first, second]))
        outcome(ingest.submit(batch(raw(1, attributes=CHAT))))

    stored = store.span(T, span_id(1))
    assert stored is not None
    assert [e.attributes["content"] for e in stored.events] == ["one", "two"]
    ingest.close()


def test_log_events_wait_for_their_span_over_a_restart(tmp_path: Path, plugins: Plugins) -> None:
    url = f"sqlite:///{tmp_path / 'db'}"
    with opened(url) as store:
        ingest = Ingest(store, plugins)
        outcome(ingest.submit_events([said(1, "hello"), said(2, "others")]))
        ingest.close()

    with opened(url) as store:
        ingest = Ingest(store, plugins)
        outcome(ingest.submit(batch(raw(1, attributes=CHAT))))
        assert len(store.span(T, span_id(1)).events) == 1  # type: ignore[union-attr]
        assert list(store.kept_events([(T, span_id(2))])) == [(T, span_id(2))]
        ingest.close()


def test_an_event_the_span_has_already_is_not_added(store: Store, plugins: Plugins) -> None:
    ingest = Ingest(store, plugins)
    event = SpanEvent("gen_ai.user.message", START_NS, {"content": "hi"})
    chat = replace(raw(1, attributes=CHAT), events=(event,))
    outcome(ingest.submit(batch(chat)))

    outcome(ingest.submit_events([said(1, "hi")]))

    assert store.span(T, span_id(1)).events == (event,)  # type: ignore[union-attr]
    ingest.close()
