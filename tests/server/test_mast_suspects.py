"""Where a failed run went wrong: the steps ranked, in each of the three shapes a run can have."""

from typing import Any

from agenttrace.models import Trace
from agenttrace.testing import agent, build, message, tool, workflow
from agenttrace_server.mast.features import features
from agenttrace_server.mast.shapes import shape_of
from agenttrace_server.mast.suspects import rank, weights
from agenttrace_server.mast.talk import Talk
from support.teams import says, talk

TASK = "Which of the three hotels in Lisbon is the cheapest, and what does a night cost there?"
CODE = "Let us fetch it.\n```python\nprint(prices['Mar'])\n```"


def peers(*turns: tuple[str, str]) -> Trace:
    return talk(("user", "planner", TASK), *((who, "team", text) for who, text in turns))


def led(works: int, **about: Any) -> Trace:
    order = "Look up the price of a night in hotel number {} in Lisbon, please."
    turns = [("user", "lead", TASK), ("lead", "lead", f"The facts and the plan for it: {TASK}")]
    for number in range(works):
        turns.append(("lead", "surfer", order.format(number)))
        page = " ".join(f"{word}{'abcdefghij'[number % 10]}" for word in ("room", "map", "review"))
        turns.append(("surfer", "lead", f"I visited page {number}: {page} {page.upper()}."))
        turns.append(("lead", "lead", f"Progress after page {number}: the price is not known yet."))
    return talk(*turns, ("lead", "user", "The Mar is the cheapest one."), **about)


def dialog(*turns: Any) -> Trace:
    return build(workflow("run", *turns))


def asks(text: str) -> Any:
    return message("clerk", text, sender="user")


def test_the_shape_of_a_run_is_told_from_who_speaks_after_whom() -> None:
    flat = peers(("planner", CODE), ("coder", "exitcode: 0\nCode output: 80"), ("critic", "Yes."))
    clerk = dialog(asks("Cancel it."), says("clerk", "user", "Which one?"), asks("The Mar."))

    assert shape_of(Talk(flat)).kind == "peers"
    assert shape_of(Talk(flat)).machines == {"coder"}
    alone = peers(
        ("planner", "Look."),
        *[("coder", CODE), ("runner", "exitcode: 0")] * 2,
        ("coder", "So."),
        ("coder", "80."),
    )

    assert shape_of(Talk(alone)).kind == "peers"
    assert (shape_of(Talk(led(3))).kind, shape_of(Talk(led(3))).lead) == ("led", "lead")
    assert shape_of(Talk(clerk)).kind == "dialog"


def test_among_peers_the_code_that_first_fails_is_suspected() -> None:
    trace = peers(
        ("planner", "Hold on, I will now start to gather what we need for it."),
        ("coder", CODE),
        ("runner", "exitcode: 1\nCode output: Traceback (most recent call last) KeyError: Mar"),
        ("planner", "Thank you, let me verify that shortly, please wait for it."),
        ("critic", "Everyone agrees. TERMINATE"),
    )

    first = rank(trace)[0]

    assert (first.agent, first.message.content) == ("coder", CODE)
    assert "the first error follows it" in first.reasons


def test_among_peers_a_brief_that_leaves_the_task_out_is_more_suspect_than_one_that_has_it() -> (
    None
):
    def share(brief: str) -> float:
        trace = peers(("planner", brief * 12), ("coder", "Please share the script with us first."))
        return next(one.score for one in rank(trace) if one.agent == "planner")

    assert share("Fix the script that says: unknown language. ") > share(
        f"Please find out: {TASK} "
    )


def test_a_short_run_under_a_lead_went_wrong_at_its_last_work_and_a_long_one_early() -> None:
    short, long = rank(led(2))[0], rank(led(30))[0]

    assert (short.agent, long.agent) == ("surfer", "surfer")
    assert short.message.content.startswith("I visited page 1")
    assert long.message.content.startswith("I visited page 0")
    assert "the run never recovered from this early step" in long.reasons


def test_a_run_of_a_thousand_pieces_of_work_is_ranked_too() -> None:
    first = rank(led(1000))[0]

    assert (first.agent, first.message.content[:16]) == ("surfer", "I visited page 0")


def test_a_run_under_a_lead_that_broke_off_went_wrong_where_it_did() -> None:
    first = rank(led(1, error="BadRequestError: filtered"))[0]

    assert first.message.content == "The Mar is the cheapest one."
    assert "the run broke off here" in first.reasons


def test_with_a_user_the_change_that_is_refused_is_suspected() -> None:
    trace = dialog(
        asks("Cancel my booking of the Mar."),
        agent("clerk", message("user", "It is booked for Friday."), tool("get_booking")),
        asks("Yes, cancel it."),
        agent(
            "clerk",
            message("user", "I cancel it now."),
            tool("cancel_booking", output="Error: it cannot be cancelled"),
        ),
        asks("And now?"),
        agent("clerk", message("user", "I am sorry.")),
    )

    assert rank(trace)[0].message.content == "I cancel it now."


def test_with_a_user_a_change_they_have_not_agreed_to_is_suspected() -> None:
    trace = dialog(
        asks("Where do I sleep on Friday?"),
        agent("clerk", message("user", "You sleep in the Mar."), tool("get_booking")),
        asks("The Sol is nearer to the station."),
        agent("clerk", message("user", "I have moved you to the Sol."), tool("change_booking")),
        asks("Then move the dinner as well."),
        agent("clerk", message("user", "Shall I move it to seven at the Sol?")),
        asks("Yes, go ahead."),
        agent("clerk", message("user", "It is moved."), tool("change_dinner")),
    )

    first = rank(trace)[0]

    assert first.message.content == "I have moved you to the Sol."
    assert "it changes something that its user has not agreed to" in first.reasons


def test_under_a_lead_work_whose_findings_all_orders_go_through_is_more_suspect() -> None:
    def share(*found: str) -> float:
        turns = [("user", "lead", TASK), ("lead", "surfer", "List the hotels by the river.")]
        turns.append(("surfer", "lead", f"The page shows {', '.join(found)} and more below."))
        for number in range(6):
            turns.append(("lead", "surfer", f"Look at price {number}: Alba, Bela, Cinza, Duna."))
            turns.append(("surfer", "lead", f"I have looked, page {number} has no price on it."))
        return next(one.score for one in rank(talk(*turns)) if "more below" in one.message.content)

    assert share("Alba", "Bela", "Cinza", "Duna") > share("Eco", "Foz", "Gala", "Horta")


def test_scores_are_shares_and_agents_are_those_who_spoke() -> None:
    ranked = rank(led(4))

    assert abs(sum(one.score for one in ranked) - 1) < 1e-9
    assert {one.agent for one in ranked} == {"lead", "surfer"}
    assert rank(build(workflow("run"))) == []


def test_every_weight_belongs_to_a_feature_of_its_shape() -> None:
    traces = {"peers": peers(("planner", CODE), ("critic", "No.")), "led": led(2)}
    traces["dialog"] = dialog(asks("Hi."), says("clerk", "user", "Hi!"), asks("Bye."))

    for kind, trace in traces.items():
        told, rows = features(Talk(trace))
        assert told == kind
        assert set(weights()[kind]) <= {name for row in rows for name in row}
