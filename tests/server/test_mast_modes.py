"""Each mode of MAST, in every framework: runs that show it, and near misses that do not."""

import re
import sys
import time
from functools import cache
from typing import Final

import msgspec
import pytest

from agenttrace.models import Scope, Trace
from agenttrace.plugins import Plugins, load_plugins
from agenttrace.testing import Node, build, tool
from agenttrace_server.analyse.pipeline import find_failures
from agenttrace_server.mast.classify import RULES, modes
from agenttrace_server.mast.faults import FAULTS
from agenttrace_server.mast.modes import MODES
from support import captures
from support.mast_near_misses import NEAR_MISSES
from support.mast_shown import SHOWN
from support.mast_stories import role

FRAMEWORKS: Final = ("langgraph", "autogen", "crewai")


@cache
def plugins() -> Plugins:
    return load_plugins()


def recorded_by(framework: str, node: Node) -> Node:
    """Return the spans as the plugin of a framework exports them: its scope, its normalizer."""
    return msgspec.structs.replace(
        node,
        scope=Scope(f"agenttrace.{framework}", "1"),
        children=tuple(
            recorded_by(framework, child) if isinstance(child, Node) else child
            for child in node.children
        ),
    )


def shown(trace: Trace) -> set[str]:
    return {failure.mode for failure in modes(trace) if failure.confidence >= 0.5}


def runs(table: dict[str, list[Node]]) -> list[object]:
    return [
        pytest.param(framework, mode, node, id=f"{mode}-{number}-{framework}")
        for mode, nodes in table.items()
        for number, node in enumerate(nodes)
        for framework in FRAMEWORKS
    ]


@pytest.mark.parametrize(("framework", "mode", "node"), runs(SHOWN))
def test_a_run_that_shows_a_mode_is_shown_with_it(framework: str, mode: str, node: Node) -> None:
    trace = build(recorded_by(framework, node), plugins=plugins())

    assert {span.framework for span in trace.spans} == {framework}
    assert mode in shown(trace)


@pytest.mark.parametrize(("framework", "mode", "node"), runs(NEAR_MISSES))
def test_a_near_miss_of_a_mode_is_not_shown_with_it(framework: str, mode: str, node: Node) -> None:
    assert mode not in shown(build(recorded_by(framework, node), plugins=plugins()))


def test_every_mode_has_six_runs_that_show_it_and_six_near_misses() -> None:
    assert set(SHOWN) == set(NEAR_MISSES) == set(MODES)
    assert all(len(nodes) >= 6 for table in (SHOWN, NEAR_MISSES) for nodes in table.values())


def test_a_role_of_prohibitions_without_end_takes_no_longer_than_its_length() -> None:
    began = time.process_time()
    node = role("never use " * 20_000, tool("search", output="done"))
    assert shown(build(node, plugins=plugins())) == set()

    assert time.process_time() - began < 5


@pytest.mark.parametrize("name", captures.TRACES)
def test_a_recorded_run_that_worked_is_shown_nothing(name: str) -> None:
    for trace in captures.traces(name, plugins()):
        assert [failure.mode for failure in find_failures(trace, plugins())] == []


@pytest.mark.parametrize("rule", [*RULES, *FAULTS], ids=lambda rule: rule.__name__)
def test_a_rule_says_what_it_sees_what_it_cannot_and_where_it_comes_from(rule: object) -> None:
    told = " ".join((rule.__doc__ or "").split())
    module = sys.modules[rule.__module__].__doc__ or ""

    assert "Sees " in told
    assert "annot see" in told
    assert re.search(r"MAST [123]\.\d|Source|\d{4}\)", told) or "Source" in module
