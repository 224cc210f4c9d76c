"""What agents must have said to each other, where nothing but their runs tells it."""

import msgspec
import pytest

from agenttrace.messages import find_messages
from agenttrace.models import Scope, Trace
from agenttrace.plugins import Plugins
from agenttrace.testing import (
    agent,
    build,
    handoff,
    message,
    span,
    tool,
    workflow,
)
from support.recorded import said


def pairs(trace: Trace) -> list[tuple[str, str]]:
    return [(m.sender, m.recipient) for m in trace.messages]


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
