"""A replay's calls are answered from the record of the run it repeats, and from nothing else."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from agenttrace import genai, identity, payload, semconv, stamps
from agenttrace.errors import ReplayCancelled, ReplayStopped
from agenttrace.models import RawSpan, Scope, Trace
from agenttrace.replay import Answer, Recording, Replay, current, input_hash

AGENTS = ("planner", "coder", "critic")


def answer(agent: str, asked: Any, output: str, *, cause: str = "", kind: str = "llm") -> Answer:
    return Answer(
        kind=kind,  # type: ignore[arg-type]
        agent=agent,
        name="m",
        input_hash=input_hash(asked),
        output=output,
        span_id=output,
        cause=cause,
    )


def replay(*answers: Answer, **more: Any) -> Replay:
    return Replay("r1", "t1", Recording(answers), **more)


CALLS = st.lists(
    st.tuples(st.sampled_from(AGENTS), st.integers(0, 2), st.sampled_from(["", "c1", "c2"])),
    max_size=25,
)


@given(CALLS, st.randoms(use_true_random=False))
def test_any_schedule_gives_each_agent_the_same_answers(calls: list, random: Any) -> None:
    recorded = [answer(a, n, f"#{i}", cause=c) for i, (a, n, c) in enumerate(calls)]
    recording = Recording(tuple(recorded))
    waiting = {agent: [r for r in recorded if r.agent == agent] for agent in AGENTS}
    got: dict[str, list[str]] = {agent: [] for agent in AGENTS}

    while left := [agent for agent in AGENTS if waiting[agent]]:
        agent = random.choice(left)
        call = waiting[agent].pop(0)
        taken = recording.take("llm", agent, "m", call.input_hash, call.cause)
        got[agent].append(taken.output if taken else "live")

    assert got == {agent: [r.output for r in recorded if r.agent == agent] for agent in AGENTS}


@given(CALLS, CALLS, st.sampled_from(AGENTS), st.randoms(use_true_random=False))
def test_an_agent_that_diverges_leaves_the_others_their_answers(
    calls: list, other: list, diverging: str, random: Any
) -> None:
    recorded = [answer(a, n, f"#{i}", cause=c) for i, (a, n, c) in enumerate(calls)]
    recording = Recording(tuple(recorded))
    faithful = [r for r in recorded if r.agent != diverging]
    odd = [(diverging, n, c) for _, n, c in other]

    got = []
    for turn in random.sample(range(len(faithful) + len(odd)), len(faithful) + len(odd)):
        if turn < len(odd):
            agent, asked, cause = odd[turn]
            recording.take("llm", agent, "m", input_hash(asked), cause)
    for call in faithful:
        got.append(recording.take("llm", call.agent, "m", call.input_hash, call.cause))

    assert got == faithful


@given(CALLS, st.integers(0, 5))
def test_calls_with_another_cause_take_no_answers_from_those_they_belong_to(
    calls: list, strangers: int
) -> None:
    recorded = [answer(a, n, f"#{i}", cause=c) for i, (a, n, c) in enumerate(calls)]
    recording = Recording(tuple(recorded))
    for call in recorded[:strangers]:
        recording.take("llm", call.agent, "m", call.input_hash, "new cause")

    assert [recording.take("llm", *c.key[1:], c.cause) for c in recorded] == recorded


def test_an_identical_call_beyond_the_record_is_not_answered() -> None:
    recording = Recording((answer("a", "hi", "1"), answer("a", "hi", "2")))

    taken = [recording.take("llm", "a", "m", input_hash("hi")) for _ in range(3)]

    assert [t and t.output for t in taken] == ["1", "2", None]


def test_threads_share_the_answers_without_one_given_twice() -> None:
    recording = Recording(tuple(answer("a", "hi", str(n)) for n in range(500)))

    with ThreadPoolExecutor(8) as pool:
        taken = list(
            pool.map(lambda _: recording.take("llm", "a", "m", input_hash("hi")), range(500))
        )

    assert sorted(int(t.output) for t in taken if t) == list(range(500))


def test_a_recording_goes_through_json() -> None:
    recording = Recording((answer("a", "hi", "1"),), restored=3)

    back = msgspec.json.decode(msgspec.json.encode(recording), type=Recording)

    assert back == recording
    assert back.take("llm", "a", "m", input_hash("hi")) == recording.answers[0]


CALL = {"name": "search", "args": {}}


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"a": 1, "b": [1, 2]}, {"b": (1, 2), "a": 1}),
        (
            [{"role": "user", "content": "x", "id": "1"}],
            [{"role": "user", "content": "x", "id": "2"}],
        ),
        (object(), object()),
        (
            [
                {"role": "assistant", "content": "", "tool_calls": [CALL | {"id": "a"}]},
                {"role": "tool", "content": "r", "tool_call_id": "a"},
            ],
            [
                {"role": "assistant", "content": "", "tool_calls": [CALL | {"id": "b"}]},
                {"role": "tool", "content": "r", "tool_call_id": "b"},
            ],
        ),
    ],
)
def test_inputs_that_mean_the_same_have_one_hash(one: Any, other: Any) -> None:
    assert input_hash(one) == input_hash(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("a", "b"),
        ({"id": 1}, {"id": 2}),
        ("x" * 300_000 + "a", "x" * 300_000 + "b"),
        (
            [{"role": "tool", "content": "", "tool_call_id": i} for i in ("a", "b")],
            [{"role": "tool", "content": "", "tool_call_id": i} for i in ("a", "a")],
        ),
    ],
)
def test_inputs_that_differ_have_two(one: Any, other: Any) -> None:
    assert input_hash(one) != input_hash(other)


# --- from spans


@pytest.fixture
def exporter() -> tuple[Any, InMemorySpanExporter]:
    found = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(found))
    return provider.get_tracer("test"), found


def recording_of(exported: InMemorySpanExporter, *, redact: Any = None, limit: int = 1000) -> Any:
    spans = []
    for ended in exported.get_finished_spans():
        span = payload.materialise(ended, redact, limit)
        raw = RawSpan(
            f"{span.context.trace_id:032x}",
            f"{span.context.span_id:016x}",
            span.name,
            span.start_time,
            span.end_time,
            attributes=dict(span.attributes or {}),
            scope=Scope("test"),
        )
        spans.append(genai.read(raw))
    return Recording.of(Trace("t", tuple(spans)))


def call_tool(tracer: Any, result: Any, exact: Any = None) -> None:
    with tracer.start_as_current_span("execute_tool search") as span:
        span.set_attribute(semconv.GEN_AI_OPERATION_NAME, "execute_tool")
        span.set_attribute(semconv.GEN_AI_TOOL_NAME, "search")
        payload.called(span, {"q": "tides"}, agent="coder", cause="look it up")
        payload.defer(span, semconv.GEN_AI_TOOL_CALL_RESULT, result)
        payload.answered(span, result, exact)


def test_a_captured_call_can_be_answered(exporter: Any) -> None:
    tracer, exported = exporter
    call_tool(tracer, "high at noon")

    (found,) = recording_of(exported).answers

    assert found.key == ("tool", "coder", "search", input_hash({"q": "tides"}))
    assert (found.output, found.complete) == ("high at noon", True)
    assert found.cause == identity.cause_hash("look it up")


def test_what_was_redacted_answers_nothing(exporter: Any) -> None:
    tracer, exported = exporter
    call_tool(tracer, "the key is 123")

    (found,) = recording_of(exported, redact=lambda _, t: t.replace("123", "***")).answers

    assert not found.complete


def test_a_long_output_is_kept_whole_for_replays(exporter: Any) -> None:
    tracer, exported = exporter
    call_tool(tracer, "x" * 5_000)

    (found,) = recording_of(exported).answers

    assert (len(found.output), found.complete) == (5_000, True)


def test_an_output_beyond_all_measure_answers_nothing(exporter: Any) -> None:
    tracer, exported = exporter
    call_tool(tracer, "x" * 50_000)

    assert not recording_of(exported).answers[0].complete


def test_the_frameworks_own_form_goes_before_the_text(exporter: Any) -> None:
    tracer, exported = exporter
    call_tool(tracer, "text", lambda: '{"exact": true}')

    (found,) = recording_of(exported).answers

    assert (found.output, found.complete) == ('{"exact": true}', True)


def test_an_output_that_has_no_form_answers_nothing(exporter: Any) -> None:
    tracer, exported = exporter
    call_tool(tracer, "text", lambda: 1 / 0)

    assert not recording_of(exported).answers[0].complete


# --- the modes


def test_a_changed_model_call_runs_live_and_a_known_one_does_not() -> None:
    going = replay(answer("a", "hi", "recorded"))

    assert going.llm("a", "m", "hi").output == "recorded"
    assert going.llm("a", "m", "hello") is None
    assert going.counts == {"restored": 0, "recorded": 1, "live": 1}


def test_a_live_replay_asks_every_model_anew() -> None:
    going = replay(answer("a", "hi", "recorded"), mode="live")

    assert going.llm("a", "m", "hi") is None


def test_a_tool_that_is_not_in_the_record_stops_the_replay_there() -> None:
    going = replay(answer("a", "x", "recorded", kind="tool"))

    with pytest.raises(ReplayStopped, match=r"another input than in the record.*--live-tools m"):
        going.tool("a", "m", "y")
    with pytest.raises(ReplayStopped):
        going.llm("a", "m", "anything after that")


@pytest.mark.parametrize("live", ["all", {"m"}, ["all"]])
def test_a_tool_runs_only_where_it_may(live: Any) -> None:
    going = replay(answer("a", "x", "recorded", kind="tool"), live_tools=live)

    assert going.tool("a", "m", "x") is None
    assert going.counts["live"] == 1


def test_a_recorded_tool_does_not_run_in_a_live_replay() -> None:
    going = replay(answer("a", "x", "recorded", kind="tool"), mode="live")

    assert going.tool("a", "m", "x").output == "recorded"


def test_a_cancelled_replay_goes_no_further() -> None:
    going = replay(answer("a", "hi", "recorded"))
    going.cancel()

    with pytest.raises(ReplayCancelled, match="r1 was cancelled"):
        going.llm("a", "m", "hi")


def test_progress_is_told_after_every_call() -> None:
    told: list[Any] = []
    going = replay(answer("a", "hi", "recorded"), progress=told.append)
    going.llm("a", "m", "hi")
    going.llm("a", "m", "ho")

    assert [(t["recorded"], t["live"]) for t in told] == [(1, 0), (1, 1)]


# --- stamps


def test_spans_of_a_replay_say_so_and_where_they_come_from(
    exporter: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    tracer, exported = exporter
    provider = tracer.span_processor
    monkeypatch.setattr(stamps.trace, "get_tracer_provider", lambda: _Provider(provider))
    going = replay()

    def stamped_call(name: str, tier: Any) -> None:
        with tracer.start_as_current_span(name) as span:
            going.stamp(span, tier)

    with going.active():
        assert current() is going
        with tracer.start_as_current_span("root"):
            with tracer.start_as_current_span("quiet agent"):
                stamped_call("call 1", "recorded")
            with tracer.start_as_current_span("busy agent"):
                stamped_call("call 2", "live")
                stamped_call("call 3", "recorded")
    with tracer.start_as_current_span("after"):
        assert current() is None

    ended = exported.get_finished_spans()
    tiers = {s.name: s.attributes.get(semconv.AGENTTRACE_REPLAY_TIER) for s in ended}
    assert tiers == {
        "root": "live",
        "quiet agent": "recorded",
        "call 1": "recorded",
        "busy agent": "live",
        "call 2": "live",
        "call 3": "recorded",
        "after": None,
    }
    root = next(s for s in ended if s.name == "root")
    assert root.attributes[semconv.AGENTTRACE_REPLAY_ID] == "r1"
    assert root.attributes[semconv.AGENTTRACE_REPLAY_SOURCE_TRACE_ID] == "t1"


class _Provider:
    """Stands for the provider whose tracer the test has: OpenTelemetry allows one per process."""

    def __init__(self, processor: Any) -> None:
        self._active_span_processor = processor

    def add_span_processor(self, processor: Any) -> None:
        self._active_span_processor.add_span_processor(processor)


def test_hashing_a_long_conversation_takes_no_recursion() -> None:
    deep: Any = "x"
    for _ in range(500):
        deep = [deep]

    assert identity.input_hash(deep)
