"""How sure a restart, a repetition and an agent that urges another on are."""

from agenttrace.models import Trace
from agenttrace_server.mast.classify import modes
from support.mast_stories import ASK, DONE, PLAN, PRICES
from support.teams import talk

WORK = (
    ("planner", "coder", PLAN),
    ("coder", "planner", PRICES),
    ("coder", "planner", "The Sol has a pool, which its price includes."),
    ("coder", "planner", "The Rio is closed in winter."),
    ("planner", "coder", "Their stars decide between them, it seems."),
)
ELSE = ("coder", "planner", "Porto has hotels too: Douro, Ribeira and Foz.")


def sure(trace: Trace) -> dict[str, float]:
    return {failure.mode: failure.confidence for failure in modes(trace)}


def test_an_opening_said_again_after_a_turn_of_its_own_is_a_restart_whatever_follows() -> None:
    found = sure(talk(ASK, *WORK, ("planner", "coder", PLAN), ELSE, DONE))

    assert found["2.1"] >= 0.5


def test_a_restart_in_other_words_is_not_sure_enough_to_be_shown() -> None:
    again = "First list the hotels with their rooms, then fetch the price of each night."
    found = sure(talk(ASK, *WORK, ("planner", "coder", again), ELSE, DONE))

    assert 0 < found["2.1"] < 0.5


def test_an_opening_that_is_said_again_because_the_user_spoke_is_no_restart() -> None:
    asked = ("user", "planner", "Please do it once more, for the winter.")
    found = sure(talk(ASK, *WORK, asked, ("planner", "coder", PLAN), ELSE, DONE))

    assert "2.1" not in found


def test_what_only_a_restart_repeats_is_the_restart_s_and_not_a_step_done_again() -> None:
    course = [("planner", "coder", PLAN), ("coder", "planner", PRICES)]
    for number in ("one", "two", "three", "four", "five", "six"):
        course.append(("planner", "coder", f"Look into what guests say of hotel {number}."))
        course.append(("coder", "planner", f"Guests of hotel {number} are content with it."))

    found = sure(talk(ASK, *course, *course, DONE))

    assert found["2.1"] >= 0.5
    assert found["1.3"] < 0.5


def test_urging_on_one_who_cannot_is_found_and_not_shown_unasked() -> None:
    urged = ("planner", "coder", "Continue. Please keep solving the problem.")
    stuck = [("coder", "planner", f"I can't: the {one} is missing.") for one in ("key", "page")]

    found = sure(talk(ASK, urged, stuck[0], urged, stuck[1], urged, stuck[0]))
    helped = sure(talk(ASK, urged, ELSE, urged, ("coder", "planner", PRICES), urged, ELSE))

    assert 0 < found["1.5"] < 0.5
    assert "1.5" not in helped
