import logging
from collections.abc import Iterable, Iterator
from typing import Any

import msgspec
import pytest

from agenttrace import semconv
from agenttrace.hookspecs import hookimpl
from agenttrace.messages import content_hash, find_checkpoints, find_messages
from agenttrace.models import Message, SpanEvent, Trace
from agenttrace.plugins import Plugins
from agenttrace.testing import (
    agent,
    build,
    checkpoint,
    llm,
    message,
    span,
    workflow,
)
from support.recorded import said


def pairs(trace: Trace) -> list[tuple[str, str]]:
    return [(m.sender, m.recipient) for m in trace.messages]


class Tells:
    """A plugin whose answer is whatever a function gives."""

    def __init__(self, tell: Any) -> None:
        self.tell = tell

    @hookimpl
    def agenttrace_messages(self, trace: Trace) -> Iterable[Message]:
        return self.tell(trace)


def plugins_that(tell: Any) -> Plugins:
    plugins = Plugins()
    plugins.register(Tells(tell), "tells")
    return plugins


def told(trace: Trace, **changed: Any) -> Message:
    plain = {"message_id": "m1", "trace_id": "", "span_id": trace.spans[0].span_id}
    return Message(**{**plain, "sender": "planner", "recipient": "coder", **changed})


class TestObserved:
    def test_a_recorded_message_is_taken_as_it_is(self) -> None:
        trace = build(
            agent(
                "planner",
                message("coder", "write it", type="question", message_id="m1", audience=["critic"]),
            ),
            agent("coder"),
        )

        [found] = [m for m in trace.messages if m.provenance == "observed"]
        assert (found.message_id, found.sender, found.recipient) == ("m1", "planner", "coder")
        assert (found.type, found.content, found.audience) == ("question", "write it", ("critic",))
        assert (found.span_id, found.confidence) == ("0000000000000001", 1.0)
        assert found.content_hash == content_hash("write it")

    def test_without_an_id_it_gets_one_that_stays_the_same(self) -> None:
        story = workflow("run", message("coder", "a"), message("coder", "b"))

        first, again = build(story), build(story)

        ids = [m.message_id for m in first.messages]
        assert len(set(ids)) == len(ids)
        assert ids == [m.message_id for m in again.messages]

    def test_without_a_sender_the_agent_at_work_sent_it(self) -> None:
        event = SpanEvent(semconv.MESSAGE_EVENT, 5, {semconv.MESSAGE_RECIPIENT: "coder"})
        trace = build(agent("planner", span("step")))
        inner = msgspec.structs.replace(trace.spans[1], events=(event,))
        trace = Trace(trace.trace_id, (trace.spans[0], inner))

        assert [m.sender for m in find_messages(trace, Plugins())] == ["planner"]

    @pytest.mark.parametrize(
        "attributes",
        [
            {},
            {semconv.MESSAGE_SENDER: "a"},
            {semconv.MESSAGE_RECIPIENT: ""},
            {semconv.MESSAGE_SENDER: None, semconv.MESSAGE_RECIPIENT: "b"},
        ],
    )
    def test_without_a_recipient_or_any_sender_it_is_no_message(self, attributes: Any) -> None:
        trace = build(workflow("run"))
        event = SpanEvent(semconv.MESSAGE_EVENT, 5, attributes)
        trace = Trace(trace.trace_id, (msgspec.structs.replace(trace.spans[0], events=(event,)),))

        assert find_messages(trace, Plugins()) == ()

    def test_an_unknown_type_is_a_task_and_any_content_becomes_text(self) -> None:
        attributes = {
            semconv.MESSAGE_SENDER: "a",
            semconv.MESSAGE_RECIPIENT: "b",
            semconv.MESSAGE_TYPE: ["odd"],
            semconv.MESSAGE_CONTENT: {"x": [1]},
            semconv.MESSAGE_AUDIENCE: "c",
        }
        trace = build(workflow("run"))
        event = SpanEvent(semconv.MESSAGE_EVENT, 0, attributes)
        trace = Trace(trace.trace_id, (msgspec.structs.replace(trace.spans[0], events=(event,)),))

        [found] = find_messages(trace, Plugins())
        assert (found.type, found.content, found.audience) == ("task", '{"x":[1]}', ("c",))
        assert found.sent_at == trace.spans[0].start_ns

    def test_a_message_recorded_twice_is_one(self) -> None:
        trace = build(
            agent("planner", message("coder", "x", message_id="m1")),
            agent("coder", message("coder", "x", message_id="m1", sender="planner")),
        )

        assert [m.message_id for m in trace.messages].count("m1") == 1


class TestPlugins:
    def test_what_a_plugin_tells_counts_like_a_recording(self) -> None:
        trace = build(
            agent("planner", agent("coder", input="x", output="y")),
            plugins=plugins_that(lambda trace: [told(trace, content="x")]),
        )

        assert ("planner", "coder", "task", "x") in said(trace)
        assert pairs(trace).count(("planner", "coder")) == 1

    def test_what_it_left_out_is_filled_in(self) -> None:
        trace = build(
            workflow("run"),
            plugins=plugins_that(lambda trace: [told(trace, message_id="", content="x")]),
        )

        [found] = trace.messages
        assert found.trace_id == trace.trace_id
        assert found.sent_at == trace.spans[0].start_ns
        assert found.content_hash == content_hash("x")
        assert found.message_id

    @pytest.mark.parametrize("answer", [5, [5], [None], "text"])
    def test_nonsense_costs_only_itself(
        self, answer: Any, caplog: pytest.LogCaptureFixture
    ) -> None:
        trace = build(agent("planner"), plugins=plugins_that(lambda _: answer))

        assert trace.messages == ()
        assert any(record.levelno == logging.ERROR for record in caplog.records)

    def test_what_an_iterator_told_before_it_raised_still_counts(self) -> None:
        def tell(trace: Trace) -> Iterator[Message]:
            yield told(trace)
            raise RuntimeError("lost the thread")

        trace = build(agent("planner"), plugins=plugins_that(tell))

        assert pairs(trace) == [("planner", "coder")]

    def test_a_message_to_nobody_is_refused(self) -> None:
        trace = build(agent("a"), plugins=plugins_that(lambda t: [told(t, recipient="")]))

        assert trace.messages == ()


class TestCausesAndTokens:
    def test_a_message_is_caused_by_the_last_its_sender_had_received(self) -> None:
        trace = build(
            agent(
                "boss",
                agent("one", input="1", output="r1"),
                agent("two", input="2", output="r2"),
                input="go",
                output="done",
            )
        )

        at = {m.message_id: n for n, m in enumerate(trace.messages)}
        assert pairs(trace) == [
            ("user", "boss"),
            ("boss", "one"),
            ("one", "boss"),
            ("boss", "two"),
            ("two", "boss"),
            ("boss", "user"),
        ]
        assert [at.get(m.caused_by or "") for m in trace.messages] == [None, 0, 1, 2, 3, 4]

    def test_a_cause_that_was_recorded_stays(self) -> None:
        trace = build(
            agent(
                "a",
                message("b", "1", message_id="m1", caused_by="elsewhere"),
                message("b", "2", message_id="m2"),
                message("a", "3", message_id="m3", sender="b", caused_by="m1"),
            )
        )

        assert [m.caused_by for m in trace.messages] == ["elsewhere", None, "m1"]

    def test_who_hears_a_broadcast_may_act_on_it(self) -> None:
        trace = build(
            agent("a", message("b", message_id="m1", audience=["b", "c"])),
            agent("c", message("d", message_id="m2")),
        )

        assert [m.caused_by for m in trace.messages] == [None, "m1"]

    def test_a_message_took_the_tokens_its_sender_used_since_it_last_spoke(self) -> None:
        trace = build(
            agent(
                "a",
                llm("x", tokens=(10, 5)),
                llm("x", tokens=(1, 1)),
                message("b", "1"),
                message("b", "2"),
                llm("x", tokens=(2, 2)),
                message("b", "3"),
            )
        )

        assert [m.tokens for m in trace.messages] == [17, None, 4]

    def test_messages_come_in_the_order_they_were_sent(self) -> None:
        trace = build(agent("a", agent("b", message("c", "x")), message("d", "y"), input="go"))

        assert [m.sent_at for m in trace.messages] == sorted(m.sent_at for m in trace.messages)


class TestContentHash:
    @pytest.mark.parametrize(
        ("one", "other"),
        [
            ("write  it\n", "write it"),
            ('{"a": 1, "b": [1, 2]}', '{"b":[1,2],"a":1}'),
            ("é", "é"),
        ],
    )
    def test_the_same_words_have_the_same_hash(self, one: str, other: str) -> None:
        assert content_hash(one) == content_hash(other)

    def test_other_words_have_another(self) -> None:
        found = {content_hash(text) for text in ("a", "b", "", "A", "{", '{"a":1}', '{"a":2}')}

        assert len(found) == 7


class TestCheckpoints:
    def test_they_come_as_recorded_in_the_order_they_were_made(self) -> None:
        trace = build(
            workflow(
                "run",
                checkpoint("one", {"x": 1}, checkpoint_id="c1"),
                agent("a", checkpoint("two", checkpoint_id="c2", why_not="a tool is running")),
                framework="mine",
            )
        )

        one, two = trace.checkpoints
        assert (one.checkpoint_id, one.label, one.state) == ("c1", "one", '{"x":1}')
        assert (one.framework, one.resumable, one.why_not) == ("mine", True, None)
        assert (two.resumable, two.why_not) == (False, "a tool is running")
        assert one.created_at < two.created_at

    def test_without_a_state_there_is_nothing_to_resume(self) -> None:
        event = SpanEvent(semconv.CHECKPOINT_EVENT, 0, {semconv.CHECKPOINT_LABEL: 5})
        trace = build(workflow("run"))
        trace = Trace(trace.trace_id, (msgspec.structs.replace(trace.spans[0], events=(event,)),))

        [found] = find_checkpoints(trace)
        assert (found.resumable, found.why_not) == (False, "Its state was not recorded")
        assert found.checkpoint_id
        assert found.created_at == trace.spans[0].start_ns
