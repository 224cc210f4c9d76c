import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.trace import get_current_span

from agenttrace.threads import carry_context_into_threads, leave_threads_alone


@pytest.fixture(autouse=True)
def _carried() -> Iterator[None]:
    carry_context_into_threads()
    yield
    leave_threads_alone()


def current() -> int:
    return get_current_span().get_span_context().span_id


def test_a_thread_starts_under_the_span_it_was_started_in(provider: TracerProvider) -> None:
    found: list[int] = []

    class Subclass(threading.Thread):
        def run(self) -> None:
            found.append(current())

    with provider.get_tracer("t").start_as_current_span("a") as span:
        threads = [threading.Thread(target=lambda: found.append(current())), Subclass()]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    assert found == [span.get_span_context().span_id] * 2
    assert all("run" not in vars(thread) for thread in threads)


def test_pool_tasks_run_under_the_span_they_were_submitted_in(provider: TracerProvider) -> None:
    tracer = provider.get_tracer("t")
    with ThreadPoolExecutor(1) as pool:
        with tracer.start_as_current_span("a") as first:
            under_first = pool.submit(current)
        with tracer.start_as_current_span("b") as second:
            under_second = list(pool.map(lambda _: current(), range(3)))
        outside = pool.submit(current)

    assert under_first.result() == first.get_span_context().span_id
    assert under_second == [second.get_span_context().span_id] * 3
    assert outside.result() == 0


def test_results_and_exceptions_of_pool_tasks_are_their_own(provider: TracerProvider) -> None:
    def fail(*, how: str) -> None:
        raise KeyError(how)

    with provider.get_tracer("t").start_as_current_span("a"), ThreadPoolExecutor(1) as pool:
        assert pool.submit(divmod, 7, 2).result() == (3, 1)
        with pytest.raises(KeyError, match="badly"):
            pool.submit(fail, how="badly").result()


def test_a_span_in_a_thread_does_not_change_the_one_outside(provider: TracerProvider) -> None:
    tracer = provider.get_tracer("t")
    with tracer.start_as_current_span("a") as span:
        thread = threading.Thread(target=lambda: tracer.start_span("b").end())
        thread.start()
        thread.join()

        assert get_current_span() is span


def test_undoing_it_leaves_threads_as_they_were() -> None:
    leave_threads_alone()
    start, submit = threading.Thread.start, ThreadPoolExecutor.submit

    carry_context_into_threads()
    carry_context_into_threads()
    assert threading.Thread.start is not start
    leave_threads_alone()

    assert threading.Thread.start is start
    assert ThreadPoolExecutor.submit is submit
