import msgspec
import pytest
from langgraph.graph import END, START, MessagesState, StateGraph
from langgraph.graph.state import CompiledStateGraph

import agenttrace
from agenttrace.jobs import Job, Target
from agenttrace.models import Checkpoint, Instrumentor
from agenttrace.plugins import load_plugins
from agenttrace.replayables import Replayable, framework_of, replayables


def graph() -> CompiledStateGraph:
    builder = StateGraph(MessagesState)
    builder.add_node("only", lambda state: {})
    builder.add_edge(START, "only")
    builder.add_edge("only", END)
    return builder.compile()


def unannotated():  # type: ignore[no-untyped-def]
    return graph()


async def slow():  # type: ignore[no-untyped-def]
    return graph()


def resume(state, replay):  # type: ignore[no-untyped-def]
    return state


@pytest.fixture(scope="module")
def instrumentors() -> list[Instrumentor]:
    return [found for _, found in load_plugins().each("agenttrace_instrumentor")]


def test_what_was_made_replayable_is_found_by_its_name_and_stays_what_it_was() -> None:
    first, second = object(), object()

    assert agenttrace.replayable("a bot", first) is first
    agenttrace.replayable("a bot", second)

    assert replayables()["a bot"].target is second


def test_a_name_and_a_target_are_needed() -> None:
    with pytest.raises(ValueError, match="needs a name"):
        agenttrace.replayable(" ", object())
    with pytest.raises(TypeError, match="pass the graph"):
        agenttrace.replayable("a bot", None)


@pytest.mark.parametrize("make", [graph, unannotated, slow])
def test_a_factory_is_of_the_framework_of_what_it_makes(
    make: object, instrumentors: list[Instrumentor]
) -> None:
    assert framework_of(Replayable("a bot", make), instrumentors) == "langgraph"


def test_a_compiled_graph_is_langgraphs(instrumentors: list[Instrumentor]) -> None:
    assert framework_of(Replayable("a bot", graph()), instrumentors) == "langgraph"


def test_a_function_with_parameters_is_the_users_own_way_to_resume(
    instrumentors: list[Instrumentor],
) -> None:
    assert framework_of(Replayable("a bot", resume), instrumentors) == "agenttrace"
    assert framework_of(Replayable("a bot", resume, "mine"), instrumentors) == "mine"


def test_what_nobody_knows_is_of_no_framework(instrumentors: list[Instrumentor]) -> None:
    assert framework_of(Replayable("a bot", object()), instrumentors) is None


def test_a_job_is_the_same_after_a_journey_as_json() -> None:
    checkpoint = Checkpoint(checkpoint_id="c", trace_id="t", span_id="s", framework="mine")
    job = Job(
        replay_id="r",
        attempt=1,
        target="a bot",
        checkpoint=checkpoint,
        edits=({"path": "a.b", "value": [1]},),
        live_tools="all",
        recording=msgspec.Raw(b'{"answers":[]}'),
    )

    assert msgspec.json.decode(msgspec.json.encode(job), type=Job) == job
    assert msgspec.json.encode(Target("a", "b")) == b'{"name":"a","framework":"b"}'
