import logging
from collections.abc import Iterable, Iterator
from typing import Any

import msgspec
import pytest

from agenttrace import semconv
from agenttrace.hookspecs import hookimpl
from agenttrace.messages import content_hash, find_checkpoints, find_messages
from agenttrace.models import Message, Scope, SpanEvent, Trace
from agenttrace.plugins import Plugins
from agenttrace.testing import (
    agent,
    build,
    checkpoint,
    handoff,
    llm,
    message,
    span,
    tool,
    workflow,
)


def said(trace: Trace) -> list[tuple[str, str, str, str]]:
    return [(m.sender, m.recipient, m.type, m.content) for m in trace.messages]


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


class TestNesting:
    def test_a_run_inside_a_run_is_a_task_and_its_result(self) -> None:
        trace = build(
            agent(
                "planner",
                tool("ask_coder", agent("coder", input="write it", output="done"), input="{}"),
                input="go",
                output="all done",
            )
        )

        assert said(trace) == [
            ("user", "planner", "task", "go"),
            ("planner", "coder", "task", "write it"),
            ("coder", "planner", "result", "done"),
            ("planner", "user", "result", "all done"),
        ]
        task, result = trace.messages[1:3]
        assert {m.provenance for m in trace.messages} == {"inferred"}
        assert task.confidence == result.confidence == 0.8
        assert trace.by_id[task.span_id].tool == "ask_coder"
        assert trace.by_id[result.span_id].agent == "coder"

    def test_every_run_gets_its_own(self) -> None:
        trace = build(agent("a", agent("b", input="1"), agent("b", input="2")))

        assert [m.content for m in trace.messages if m.type == "task"] == ["1", "2"]
        assert len({m.message_id for m in trace.messages}) == len(trace.messages) == 4

    def test_without_content_it_is_less_sure(self) -> None:
        trace = build(agent("a", agent("b")))

        assert [(m.content, m.confidence) for m in trace.messages] == [("", 0.55), ("", 0.55)]

    def test_who_failed_gave_no_result(self) -> None:
        trace = build(agent("a", agent("b", input="x", error="ValueError: no")))

        assert [m.type for m in trace.messages] == ["task"]

    def test_two_views_of_the_same_run_are_no_conversation(self) -> None:
        trace = build(agent("a", agent("b", agent("b", input="x"), input="x", output="y")))

        assert pairs(trace) == [("a", "b"), ("b", "a")]

    def test_an_observed_message_makes_inferring_needless(self) -> None:
        trace = build(
            agent(
                "a",
                message("b", "do it"),
                agent("b", message("a", "did it", type="result"), input="do it", output="did it"),
            )
        )

        assert [m.provenance for m in trace.messages] == ["observed", "observed"]

    def test_who_passed_work_on_still_answers_whoever_asked(self) -> None:
        trace = build(
            agent("boss", agent("lead", agent("coder", output="c"), sends="coder", output="done"))
        )

        assert ("lead", "boss", "result", "done") in said(trace)
        assert ("boss", "lead") in pairs(trace)

    def test_an_agent_that_got_an_answer_was_not_thereby_given_its_task(self) -> None:
        trace = build(
            agent("boss", agent("lead", message("lead", "r", type="result", sender="coder")))
        )

        assert ("boss", "lead") in pairs(trace)


class TestHandoffs:
    def test_a_span_that_states_a_handoff_is_one(self) -> None:
        trace = build(
            workflow("run", agent("triage", handoff("billing", input="refund")), agent("billing"))
        )

        [found] = [m for m in trace.messages if m.type == "handoff"]
        assert (found.sender, found.recipient, found.content) == ("triage", "billing", "refund")
        assert found.confidence == 0.95

    @pytest.mark.parametrize(
        "attributes",
        [
            {"gen_ai.handoff.from_agent": "triage", "gen_ai.handoff.to_agent": "billing"},
            {
                "gen_ai.agent.handoff.source.name": "triage",
                "gen_ai.agent.handoff.target.name": "billing",
            },
            {"langgraph.command.source_node": "triage", "langgraph.command.goto_node": "billing"},
        ],
    )
    def test_who_hands_over_to_whom_may_be_in_attributes(self, attributes: dict[str, str]) -> None:
        trace = build(workflow("run", span("over", kind="handoff", attributes=attributes)))

        assert pairs(trace) == [("triage", "billing")]

    def test_a_transfer_tool_is_a_handoff_to_the_agent_it_names(self) -> None:
        call = tool("transfer_to_billing_desk", output="Transferred")
        trace = build(workflow("run", agent("triage", call), agent("Billing Desk")))

        assert ("triage", "Billing Desk", "handoff", "Transferred") in said(trace)

    def test_a_transfer_tool_seen_twice_is_one_handoff(self) -> None:
        call = tool("transfer_to_billing", tool("transfer_to_billing"))
        trace = build(workflow("run", agent("triage", call), agent("billing")))

        assert pairs(trace).count(("triage", "billing")) == 1

    @pytest.mark.parametrize("given", ['{"agent_name": "billing"}', None])
    def test_a_tool_that_hands_over_to_any_agent_names_it_or_means_the_next(
        self, given: str | None
    ) -> None:
        call = tool("transfer_to_agent", input=given)
        others = [agent("billing")] if given is None else [agent("stock"), agent("billing")]
        trace = build(workflow("run", agent("triage", call), *others))

        assert pairs(trace) == [("triage", "billing")]

    def test_a_transfer_to_nobody_in_the_trace_is_only_a_tool_call(self) -> None:
        trace = build(workflow("run", agent("triage", tool("transfer_to_savings_account"))))

        assert pairs(trace) == []

    def test_a_handoff_that_was_told_is_not_told_again(self) -> None:
        trace = build(
            workflow(
                "run",
                agent("triage", message("billing", "x", type="handoff"), handoff("billing")),
                agent("billing"),
            )
        )

        assert pairs(trace).count(("triage", "billing")) == 1


class TestGraphAndFlow:
    def test_the_agent_an_instrumentation_noted_before_it_gave_the_task(self) -> None:
        noted = {"graph.node.parent_id": "writer"}
        trace = build(
            workflow("run", agent("writer"), agent("critic", input="check", attributes=noted))
        )

        assert ("writer", "critic", "task", "check") in said(trace)

    def test_a_noted_agent_that_is_none_is_ignored(self) -> None:
        trace = build(agent("writer", attributes={"graph.node.parent_id": "start"}))

        assert pairs(trace) == []

    def test_what_one_put_out_and_the_next_took_in_was_a_message(self) -> None:
        plan = 'first the tests,\nthen "the code"'
        trace = build(
            workflow(
                "pipeline",
                agent("planner", input="go", output=plan),
                agent("coder", input={"plan": plan}, output="print('hello world')"),
                agent("reviewer", input="Review: print('hello world')", output="fine"),
                input="go",
                output="fine",
            )
        )

        assert pairs(trace) == [
            ("user", "planner"),
            ("planner", "coder"),
            ("coder", "reviewer"),
            ("reviewer", "user"),
        ]
        assert [m.confidence for m in trace.messages] == [0.7, 0.75, 0.75, 0.7]

    def test_what_an_earlier_run_inside_another_was_told_was_not_told_to_a_later_one(self) -> None:
        trace = build(
            workflow(
                "run",
                agent("triage", agent("refund", input="refund it"), output="All is refunded."),
                agent("refund", input="Check: All is refunded."),
            )
        )

        assert ("triage", "refund", "task", "All is refunded.") in said(trace)

    def test_of_a_whole_conversation_the_message_is_what_was_said_last(self) -> None:
        given = [
            {"role": "system", "content": "You refund."},
            {"role": "user", "content": "Refund order 17"},
        ]
        answered = [
            {"role": "assistant", "content": "", "tool_calls": [{"name": "look_up"}]},
            {"role": "tool", "content": "30 euros"},
            {"role": "assistant", "content": "Refunded"},
        ]
        run = agent("refund", input=given, output=answered, scope=Scope("somebody.else"))
        trace = build(agent("triage", run, scope=Scope("somebody.else")))

        assert said(trace) == [
            ("triage", "refund", "task", "Refund order 17"),
            ("refund", "triage", "result", "Refunded"),
        ]

    def test_several_outputs_in_one_input_are_several_messages(self) -> None:
        trace = build(
            workflow(
                "fan in",
                agent("one", output="the first half"),
                agent("two", output="the second half"),
                agent("join", input="the first half + the second half"),
            )
        )

        assert ("one", "join") in pairs(trace)
        assert ("two", "join") in pairs(trace)

    def test_a_short_word_in_common_is_chance(self) -> None:
        trace = build(workflow("w", agent("one", output="yes"), agent("two", input="yes or no?")))

        assert pairs(trace) == []


class TestUser:
    def test_a_workflow_takes_the_task_in_and_gives_the_result_out(self) -> None:
        trace = build(
            workflow("run", agent("a", output="x"), agent("b"), input="go", output="done")
        )

        assert said(trace) == [("user", "a", "task", "go"), ("b", "user", "result", "done")]

    def test_without_input_and_output_nothing_is_made_up(self) -> None:
        assert build(workflow("run", agent("a"))).messages == ()

    def test_what_the_user_was_observed_to_say_is_enough(self) -> None:
        trace = build(
            workflow("run", message("a", "go", sender="user"), agent("a", output="x"), input="go")
        )

        assert pairs(trace) == [("user", "a"), ("a", "user")]
        assert [m.provenance for m in trace.messages] == ["observed", "inferred"]

    def test_a_run_that_failed_gave_the_user_nothing(self) -> None:
        trace = build(agent("a", input="go", output="partly", error="ValueError: no"))

        assert pairs(trace) == [("user", "a")]

    def test_the_root_may_live_in_another_process(self) -> None:
        trace = build(agent("a", input="go", output="done"))
        [orphan] = trace.spans
        orphan = msgspec.structs.replace(orphan, parent_id="ff" * 8)

        found = find_messages(Trace(trace.trace_id, (orphan,)), Plugins())

        assert [(m.sender, m.recipient) for m in found] == [("user", "a"), ("a", "user")]


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
