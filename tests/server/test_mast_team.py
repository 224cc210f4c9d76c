"""A team that fails as people know: what is found in it, where, and silence where it works."""

from agenttrace.models import FailureAnnotation, Trace
from agenttrace_server.mast.classify import modes
from support.teams import FIND, OBJECTION, failing_team, working_team


def found(trace: Trace) -> dict[str, FailureAnnotation]:
    return {failure.mode: failure for failure in modes(trace)}


def test_the_ignored_objection_the_repeated_task_and_the_unverified_answer_are_found() -> None:
    assert sorted(found(failing_team())) == ["1.3", "2.5", "3.2"]


def test_what_decided_the_failure_is_how_the_supervisor_took_the_objection() -> None:
    trace = failing_team()

    [decisive] = [failure for failure in modes(trace) if failure.decisive]

    reaction = [m for m in trace.messages if m.content == FIND][1]
    assert decisive.mode == "2.5"
    assert decisive.agent == "supervisor"
    assert decisive.message_id == reaction.message_id
    assert decisive.span_id == reaction.span_id


def test_evidence_is_a_literal_part_of_what_was_said() -> None:
    trace = failing_team()
    contents = [message.content for message in trace.messages]

    for failure in modes(trace):
        assert any(failure.evidence in content for content in contents)
    assert found(trace)["2.5"].evidence in OBJECTION


def test_findings_have_mast_s_names_and_the_same_ids_every_time() -> None:
    first, second = list(modes(failing_team())), list(modes(failing_team()))

    assert first == second
    assert {(f.category, f.subcategory) for f in first} == {
        ("specification_and_system_design", "step_repetition"),
        ("inter_agent_misalignment", "ignored_other_agents_input"),
        ("task_verification_and_termination", "no_or_incomplete_verification"),
    }


def test_a_team_that_listens_and_checks_again_gets_silence() -> None:
    assert list(modes(working_team())) == []
