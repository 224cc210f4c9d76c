"""What each instrumentation's dump of one small crew tells, beside what our own capture tells.

The crew: Researcher adds 1 and 2 with a tool ("three"); Writer asks Researcher "is it 3?" and
writes "poem of three". Two dumps are of a flow that lets it work twice.
"""

import subprocess
import sys

import pytest

from agenttrace.agents import find_agents
from agenttrace.messages import find_messages
from agenttrace.models import Trace
from agenttrace.normalize import normalize
from agenttrace.plugins import load_plugins
from support.captures import load

GIVES_TASK = ("user", "Researcher", "task", "add 1 and 2")
HANDS_ON = ("Researcher", "Writer", "task", "three")
ASKS = ("Writer", "Researcher", "question", "is it 3?\n\nsum")
ANSWERS = ("Researcher", "Writer", "answer", "three")
RESULT = ("Writer", "user", "result", "poem of three")

CREW = [GIVES_TASK, HANDS_ON, ASKS, ANSWERS]

TELLS = {
    "crewai-openinference-1.1.21-flow": [*CREW, *CREW, RESULT],
    "crewai-openinference-1.1.21-event-listener-flow": [*CREW, *CREW, RESULT],
    "crewai-1.15.30-native-tracesession": [GIVES_TASK, HANDS_ON, ASKS, ANSWERS, RESULT],
    "crewai-openinference-1.1.21": [GIVES_TASK, HANDS_ON, RESULT],
    # Says that Researcher ran inside Writer's turn, not what was said.
    "crewai-traceloop-0.62.4": [
        GIVES_TASK,
        HANDS_ON,
        ("Writer", "Researcher", "task", ""),
        ("Researcher", "Writer", "result", ""),
        RESULT,
    ],
}


def read(name: str) -> Trace:
    plugins = load_plugins()
    spans = sorted(normalize(load(name), plugins), key=lambda s: s.start_ns)
    trace = Trace(spans[0].trace_id, tuple(spans))
    return Trace(
        trace.trace_id, trace.spans, find_agents(trace), tuple(find_messages(trace, plugins))
    )


@pytest.mark.parametrize("name", TELLS)
def test_the_same_agents_whoever_recorded(name: str) -> None:
    assert {a.name for a in read(name).agents} == {"Researcher", "Writer"}


@pytest.mark.parametrize("name", TELLS)
def test_the_messages_the_dump_can_tell(name: str) -> None:
    trace = read(name)

    assert [(m.sender, m.recipient, m.type, m.content) for m in trace.messages] == TELLS[name]


def test_what_openllmetry_does_not_say_is_marked_inferred() -> None:
    trace = read("crewai-traceloop-0.62.4")

    inferred = [(m.sender, m.recipient) for m in trace.messages if m.provenance == "inferred"]
    assert inferred == [
        ("Researcher", "Writer"),
        ("Writer", "Researcher"),
        ("Researcher", "Writer"),
    ]


def test_native_spans_know_tools_models_and_tokens() -> None:
    trace = read("crewai-1.15.30-native-tracesession")

    assert [s.tool for s in trace.spans if s.kind == "tool"] == ["add", "ask_question_to_coworker"]
    calls = [s for s in trace.spans if s.kind == "llm"]
    assert len(calls) == 5
    assert {(s.model, s.tokens_in, s.tokens_out) for s in calls} == {("fake-1", 10, 5)}


def test_a_coworker_that_has_no_span_of_its_own_is_an_agent_all_the_same() -> None:
    trace = read("crewai-openinference-1.1.21-hierarchical")

    assert {a.name: a.tools for a in trace.agents} == {"Crew Manager": (), "Researcher": ("add",)}
    assert [(m.sender, m.recipient, m.type, m.content) for m in trace.messages] == [
        ("user", "Crew Manager", "task", "make a poem"),
        ("Crew Manager", "Researcher", "task", "add 1 and 2\n\nsum"),
        ("Researcher", "Crew Manager", "result", "three"),
        ("Crew Manager", "user", "result", "Final: poem of three"),
    ]


def test_openinferences_event_listener_knows_tools_models_and_tokens() -> None:
    trace = read("crewai-openinference-1.1.21-event-listener-flow")

    assert {a.name: (a.tools, a.tokens_in, a.tokens_out) for a in trace.agents} == {
        "Researcher": (("add",), 11 + 12 + 14 + 15 + 17 + 18 + 20 + 21, 8 * 3),
        "Writer": (("ask_question_to_coworker",), 13 + 16 + 19 + 22, 4 * 3),
    }


def test_reading_needs_no_crewai() -> None:
    code = "import sys, agenttrace_crewai.normalizer; print('crewai' in sys.modules)"

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "False"
