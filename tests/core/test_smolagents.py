from agenttrace.models import Scope
from agenttrace.plugins import Plugins, load_plugins
from agenttrace.testing import agent, build, llm, span
from support import captures

TEAM = "You can also give tasks to team members.\nHere is a list of the team members"
TASK = (
    "New task:\nYou're a helpful agent named 'searcher'.\n"
    "You have been submitted this task by your manager.\n---\nTask:\nfind it\n---\nYou're helping"
)


def test_a_run_of_nothing_but_model_calls_still_tells_its_conversation() -> None:
    [trace] = captures.traces("agentprism_smol_deep_research.otlp")

    found = [(m.sender, m.recipient, m.type) for m in trace.messages]
    assert found == [
        ("user", "manager", "task"),
        ("manager", "search_agent", "task"),
        ("search_agent", "manager", "result"),
        ("manager", "user", "result"),
    ]
    asked, given, answered, _ = trace.messages
    assert asked.content == "what are the AI trends in 2025"
    assert given.content.startswith("Hello! Could you help me find authoritative resources")
    assert answered.content.startswith("### 1. Task outcome (short version):")
    assert [m.caused_by for m in trace.messages[1:]] == [m.message_id for m in trace.messages[:3]]
    assert {m.provenance for m in trace.messages} == {"inferred"}


def test_its_tokens_are_those_of_the_agents_that_used_them() -> None:
    [trace] = captures.traces("agentprism_smol_deep_research.otlp")

    # Read off the dump: the manager plans, calls its agent, and answers; the agent does as much.
    assert {a.name: (a.tokens_in, a.tokens_out) for a in trace.agents} == {
        "manager": (941 + 2711 + 6094, 1202 + 730 + 1394),
        "search_agent": (1453 + 2912 + 3841, 1410 + 490 + 1896),
    }


def test_agents_that_have_spans_speak_through_those() -> None:
    trace = build(
        agent("manager", agent("searcher", llm("x", input=TASK), input="find it")),
        plugins=load_plugins(),
    )

    assert [(m.sender, m.recipient) for m in trace.messages] == [
        ("manager", "searcher"),
        ("searcher", "manager"),
    ]


def test_a_manager_that_its_instrumentation_names_by_class_is_the_manager() -> None:
    said = {
        "openinference.span.kind": "AGENT",
        "agenttrace.kind": None,
        "smolagents.managed_agents.0.name": "searcher",
        "input.value": "go",
    }
    scope = Scope("openinference.instrumentation.smolagents")
    trace = build(span("CodeAgent.run", attributes=said, scope=scope))

    assert [found.name for found in trace.agents] == ["manager"]


def test_a_prompt_without_a_team_or_a_name_is_nobodys() -> None:
    trace = build(llm("x", input="You are a helpful agent"), plugins=Plugins())

    assert trace.agents == ()


def test_a_lone_managed_agent_answers_to_the_user() -> None:
    trace = build(llm("found", input=TASK), plugins=load_plugins())

    assert [(m.sender, m.recipient, m.content) for m in trace.messages] == [
        ("user", "searcher", "find it"),
        ("searcher", "user", "found"),
    ]


def test_a_prompt_with_a_team_is_the_managers() -> None:
    given = [{"role": "system", "content": TEAM}, {"role": "user", "content": "New task:\ngo"}]

    trace = build(llm("x", input=given), plugins=load_plugins())

    assert [(m.sender, m.recipient, m.content) for m in trace.messages] == [
        ("user", "manager", "go"),
        ("manager", "user", "x"),
    ]
