"""Each mode of MAST in real runs of LangGraph, AutoGen and CrewAI on scripted models."""

import pytest

from agenttrace.models import Trace
from agenttrace.plugins import load_plugins
from agenttrace_server.analyse.pipeline import find_failures
from agenttrace_server.mast.modes import MODES
from support.mast_told import TELLERS, Story
from support.mast_told_stories import NEAR_MISSES, SHOWN, WENT_WELL


def shown(trace: Trace) -> set[str]:
    return {one.mode for one in find_failures(trace, load_plugins()) if one.confidence >= 0.5}


def runs(table: dict[str, list[Story]]) -> list[object]:
    return [
        pytest.param(mode, teller, story, id=f"{mode}-{number}-{teller}")
        for mode, stories in table.items()
        for number, story in enumerate(stories)
        for teller in story.tellers
    ]


@pytest.mark.parametrize(("mode", "teller", "story"), runs(SHOWN))
def test_a_real_run_that_shows_a_mode_is_shown_with_it(
    mode: str, teller: str, story: Story
) -> None:
    trace = TELLERS[teller](story)

    assert {span.framework for span in trace.spans} == {teller}
    assert mode in shown(trace)


@pytest.mark.parametrize(("mode", "teller", "story"), runs(NEAR_MISSES))
def test_a_real_run_that_nearly_shows_a_mode_is_shown_nothing(
    mode: str, teller: str, story: Story
) -> None:
    assert shown(TELLERS[teller](story)) == set()


@pytest.mark.parametrize("teller", TELLERS)
@pytest.mark.parametrize("number", range(len(WENT_WELL)))
def test_a_real_run_that_went_well_has_no_finding_at_all(number: int, teller: str) -> None:
    assert list(find_failures(TELLERS[teller](WENT_WELL[number]), load_plugins())) == []


def test_every_framework_tells_six_runs_of_each_mode_on_either_side() -> None:
    for table in (SHOWN, NEAR_MISSES):
        assert set(table) == set(MODES)
        for stories in table.values():
            told = [teller for story in stories for teller in story.tellers]
            assert set(told) == set(TELLERS)
            assert len(told) >= 6
