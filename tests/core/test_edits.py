"""Edits change exactly what they name, and say what is there where they do not fit."""

import copy
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agenttrace.edits import Edit, apply_edits, json_type, steps_of
from agenttrace.errors import EditError

LEAVES = st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=4)
STATES = st.recursive(
    LEAVES,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3)
    ),
    max_leaves=12,
)


def places(state: Any, before: tuple[str, ...] = ()) -> list[tuple[tuple[str, ...], Any]]:
    """Every place of a state, with what is there."""
    items = (
        state.items()
        if isinstance(state, dict)
        else enumerate(state)
        if isinstance(state, list)
        else ()
    )
    inner = [place for key, value in items for place in places(value, (*before, str(key)))]
    return [(before, state), *inner]


def pointer(steps: tuple[str, ...]) -> str:
    return "".join("/" + step.replace("~", "~0").replace("/", "~1") for step in steps)


@given(st.data())
def test_an_edit_changes_one_place_and_nothing_else(data: st.DataObject) -> None:
    state = data.draw(STATES)
    steps, old = data.draw(st.sampled_from(places(state)))
    new = data.draw(STATES.filter(lambda v: old is None or json_type(v) == json_type(old)))
    before = copy.deepcopy(state)

    changed = apply_edits(state, [Edit(pointer(steps), new)])

    assert state == before
    found = dict(places(changed))
    assert found[steps] == new
    for place, value in places(state):
        related = place[: len(steps)] == steps or steps[: len(place)] == place
        assert related or found[place] == value


@given(st.data())
def test_an_edit_that_changes_the_type_is_refused(data: st.DataObject) -> None:
    state = data.draw(STATES)
    steps, old = data.draw(st.sampled_from(places(state)))
    new = data.draw(STATES)

    if old is None or json_type(old) == json_type(new):
        apply_edits(state, [Edit(pointer(steps), new)])
    else:
        with pytest.raises(EditError, match="the new value is"):
            apply_edits(state, [Edit(pointer(steps), new)])


@given(STATES, st.text(max_size=8), STATES)
def test_no_path_makes_it_fail_in_another_way(state: Any, path: str, value: Any) -> None:
    with suppress(EditError):
        apply_edits(state, [Edit(path, value)])


@pytest.mark.parametrize(
    "path", ["/messages/-1/content", "messages.1.content", "messages/1/content"]
)
def test_a_path_may_be_a_pointer_or_dotted(path: str) -> None:
    state = {"messages": [{"content": "a"}, {"content": "b"}]}

    changed = apply_edits(state, [Edit(path, "new")])

    assert changed == {"messages": [{"content": "a"}, {"content": "new"}]}


def test_a_pointer_escapes_slashes() -> None:
    assert steps_of("/a~1b/~01") == ["a/b", "~1"]


def test_edits_follow_one_another_and_may_add() -> None:
    changed = apply_edits(
        {"parts": []}, [Edit("parts/-", {"n": 1}), Edit("parts/0/n", 2), Edit("more", None)]
    )

    assert changed == {"parts": [{"n": 2}], "more": None}


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("messages/5/content", "messages has 1 items, and '5' is none of them"),
        ("mesages/0", "the state has no 'mesages'; it has count, messages"),
        ("count/x", "count is a number (3)"),
        ("messages/x/y", "messages has 1 items"),
    ],
)
def test_what_is_not_there_is_told_with_what_is(path: str, words: str) -> None:
    with pytest.raises(EditError) as caught:
        apply_edits({"messages": ["hi"], "count": 3}, [Edit(path, "x")])

    assert words in str(caught.value)


def test_a_framework_can_say_what_its_values_stand_for() -> None:
    state = {"message": {"$class": "Message", "value": {"content": "old"}}}

    def inside(value: Any) -> Any:
        return value["value"] if isinstance(value, dict) and "$class" in value else value

    changed = apply_edits(state, [Edit("message/content", "new")], inside)

    assert changed == {"message": {"$class": "Message", "value": {"content": "new"}}}
