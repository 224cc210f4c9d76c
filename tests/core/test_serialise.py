import dataclasses
import datetime
import decimal
import enum
import json
import pathlib
import types
import uuid
from collections import OrderedDict, UserDict, deque, namedtuple
from typing import Any

import msgspec
import pydantic
import pytest
from hypothesis import given
from hypothesis import strategies as st
from langchain_core.messages import AIMessage, HumanMessage, SystemMessage, ToolMessage

from agenttrace.serialise import Lazy, cut, snapshot, to_text


class Colour(enum.Enum):
    RED = "red"


@dataclasses.dataclass
class Point:
    x: int
    y: "Any" = None


class Model(pydantic.BaseModel):
    name: str
    hidden: str = pydantic.Field("no", exclude=True)
    secret: pydantic.SecretStr = pydantic.SecretStr("hunter2")


class Custom(pydantic.BaseModel):
    a: int = 1

    @pydantic.model_serializer
    def as_text(self) -> dict[str, str]:
        return {"custom": "form"}


class Struct(msgspec.Struct):
    a: int


class WithToDict:
    def to_dict(self) -> dict[str, int]:
        return {"a": 1}


class Broken:
    def __repr__(self) -> str:
        raise RuntimeError("no repr")


class BrokenDict(UserDict[str, int]):
    def __getitem__(self, key: str) -> int:
        raise KeyError(key)


Pair = namedtuple("Pair", "left right")


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("plain text", "plain text"),
        (None, "null"),
        (True, "true"),
        (42, "42"),
        (2**80, str(2**80)),
        (float("nan"), "nan"),
        ({"a": [1, 2.5, None]}, '{"a":[1,2.5,null]}'),
        ({1: "int", None: "none", (1, 2): "tuple"}, '{"1":"int","None":"none","(1, 2)":"tuple"}'),
        ({Colour.RED: Colour.RED}, '{"red":"red"}'),
        ((1, "a"), '[1,"a"]'),
        ({"only"}, '["only"]'),
        (deque([1, 2]), "[1,2]"),
        (OrderedDict(b=1), '{"b":1}'),
        (UserDict(b=1), '{"b":1}'),
        (types.MappingProxyType({"b": 1}), '{"b":1}'),
        (types.SimpleNamespace(b=1), '{"b":1}'),
        (Pair(1, 2), '{"left":1,"right":2}'),
        (Point(1, Point(2)), '{"x":1,"y":{"x":2,"y":null}}'),
        (Struct(3), '{"a":3}'),
        (WithToDict(), '{"a":1}'),
        (Custom(), '{"custom":"form"}'),
        (b"text in bytes", "text in bytes"),
        (b"\xff\x00", "<2 bytes: ff 00>"),
        (datetime.datetime(2026, 1, 2, 3, 4), "2026-01-02T03:04:00"),
        (uuid.UUID(int=1), "00000000-0000-0000-0000-000000000001"),
        (decimal.Decimal("1.10"), "1.10"),
        (pathlib.PurePosixPath("/a/b"), "/a/b"),
        (ValueError("bad"), "ValueError: bad"),
        (len, "len"),
        (json.dumps, "json.dumps"),
        (Point, f"{__name__}.Point"),
        ("lone surrogate \ud800", "lone surrogate ?"),
    ],
)
def test_every_kind_of_value_has_a_form(value: Any, text: str) -> None:
    assert to_text(value) == text


def test_chat_messages_become_role_content_and_tool_calls() -> None:
    call = {"name": "search", "args": {"q": "x"}, "id": "1", "type": "tool_call"}
    messages = [
        SystemMessage("be brief"),
        HumanMessage("hi", name="ann"),
        AIMessage("", tool_calls=[call]),
        ToolMessage("found", tool_call_id="1"),
    ]

    assert json.loads(to_text(messages)) == [
        {"role": "system", "content": "be brief"},
        {"role": "user", "content": "hi", "name": "ann"},
        {"role": "assistant", "content": "", "tool_calls": [call]},
        {"role": "tool", "content": "found", "tool_call_id": "1"},
    ]


def test_a_model_shows_its_fields_but_not_those_it_excludes() -> None:
    assert json.loads(to_text(Model(name="x"))) == {"name": "x", "secret": "**********"}


class Array:
    """An array like NumPy's, as far as this matters."""

    dtype = "float32"

    def __init__(self, *numbers: float) -> None:
        self.numbers = numbers
        self.shape = () if len(numbers) == 1 else (len(numbers),)

    def item(self) -> float:
        return self.numbers[0]

    def to_dict(self) -> dict[int, float]:
        raise AssertionError("this may be a million rows")

    def __repr__(self) -> str:
        return f"array of {len(self.numbers)}"


def test_arrays_are_not_dumped_whole() -> None:
    assert to_text([Array(1.5), Array(1, 2)]) == '[1.5,"array of 2"]'


def test_cycles_and_great_depth_are_marked() -> None:
    cycle: list[Any] = [1]
    cycle.append({"again": cycle})
    deep: list[Any] = []
    for _ in range(5000):
        deep = [deep]

    assert to_text(cycle) == '[1,{"again":"<cycle: list>"}]'
    assert "<deeper than 64: list>" in to_text(deep)


def test_the_same_object_twice_is_no_cycle() -> None:
    shared = {"a": 1}

    assert to_text([shared, shared]) == '[{"a":1},{"a":1}]'


@pytest.mark.parametrize("value", [Broken(), {"x": Broken()}, BrokenDict(a=1)])
def test_what_raises_is_named_instead(value: Any) -> None:
    assert "[not serialised: " in to_text(value)


def test_a_lazy_value_is_made_when_it_is_needed() -> None:
    made: list[int] = []

    lazy = Lazy(lambda: made.append(1) or {"a": 1})
    assert made == []

    assert to_text([lazy]) == '[{"a":1}]'
    assert to_text(Lazy(lambda: 1 / 0)) == "[not serialised: ZeroDivisionError: division by zero]"


def test_long_text_is_cut_and_says_so() -> None:
    assert cut("a" * 11, 10) == "a" * 10 + "… [truncated: 1 more characters]"
    assert to_text("a" * 100, 10).startswith("aaaaaaaaaa… [truncated: 90")


def test_what_is_cut_off_a_structure_leaves_json() -> None:
    value = {"rows": [{"n": n, "text": "x" * 50} for n in range(1000)], "after": 1}

    cut_value = json.loads(to_text(value, 2000))

    assert cut_value["rows"][0] == {"n": 0, "text": "x" * 50}
    assert "more]" in cut_value["rows"][-1]
    assert len(to_text(value, 2000)) < 3000


def test_the_work_on_a_huge_container_is_bounded() -> None:
    class Counting(list[int]):
        seen = 0

        def __iter__(self) -> Any:
            for item in super().__iter__():
                type(self).seen += 1
                yield item

    to_text(Counting(range(1_000_000)), 1000)

    assert Counting.seen < 2000


def test_a_snapshot_does_not_see_later_changes() -> None:
    state: dict[str, Any] = {"messages": [{"role": "user", "content": ["hi"]}], "n": {1}}
    kept = snapshot(state)

    state["messages"].append("later")
    state["messages"][0]["content"].append("later")
    state["n"].add(2)
    state["new"] = 1

    assert kept == {"messages": [{"role": "user", "content": ["hi"]}], "n": [1]}


PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=30,
)


@given(PLAIN.filter(lambda value: not isinstance(value, str)))
def test_plain_values_come_back_from_json(value: Any) -> None:
    text = to_text(value)

    def comparable(item: Any) -> Any:
        if isinstance(item, float) and item in (float("inf"), float("-inf")):
            return str(item)
        if isinstance(item, int) and not isinstance(item, bool) and not -(2**63) <= item < 2**64:
            return str(item)
        if isinstance(item, list):
            return [comparable(each) for each in item]
        if isinstance(item, dict):
            return {key: comparable(each) for key, each in item.items()}
        return item

    expected = comparable(value)
    assert text == expected if isinstance(expected, str) else json.loads(text) == expected


@given(st.lists(PLAIN | st.binary(), max_size=5), st.integers(0, 200))
def test_however_little_may_be_kept_the_rest_is_json(value: Any, limit: int) -> None:
    text = to_text([value], limit)

    assert isinstance(json.loads(text), list)
    text.encode()
