"""Patterns that are tried only where one of their words is miss nothing by that."""

import importlib
import pkgutil
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agenttrace_server import mast
from agenttrace_server.mast.hinted import Hinted

MODULES = [
    importlib.import_module(f"{mast.__name__}.{m.name}")
    for m in pkgutil.iter_modules(mast.__path__)
]
ALL = [
    (f"{module.__name__.rpartition('.')[2]}.{name}", value)
    for module in MODULES
    for name, value in vars(module).items()
    if isinstance(value, Hinted)
]
CHARACTERS = st.characters(max_codepoint=127, include_characters="’…")


def test_there_are_such_patterns() -> None:
    assert len(ALL) >= 6


@pytest.mark.parametrize(
    ("hinted", "alternative"),
    [
        pytest.param(hinted, alternative, id=f"{name}-{number}")
        for name, hinted in ALL
        for number, alternative in enumerate(hinted.alternatives)
    ],
)
def test_whatever_an_alternative_matches_is_found(hinted: Hinted, alternative: str) -> None:
    pattern = re.compile(alternative, hinted.pattern.flags)

    @settings(max_examples=120, deadline=None, derandomize=True)
    @given(st.from_regex(pattern, alphabet=CHARACTERS))
    def check(text: str) -> None:
        assert any(word in text.lower() for word in hinted.alternatives[alternative])
        assert hinted.search(text)

    check()
