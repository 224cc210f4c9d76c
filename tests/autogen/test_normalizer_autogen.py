"""AutoGen runs that others recorded: what each convention can tell, and that we tell it."""

import msgspec
import pytest

from agenttrace.fragments import facts_of
from agenttrace.joins import join_traces
from agenttrace.models import Message, RawSpan, Scope, Trace
from agenttrace.normalize import normalize
from agenttrace.plugins import load_plugins
from agenttrace.testing import check_normalizer, derive, raw_span
from agenttrace_autogen import normalizer
from agenttrace_autogen.capture import INSTRUMENTOR
from support.autogen_apps import (
    planner_and_worker,
    selected_writer_and_critic,
    writer_and_critic,
)
from support.captures import NAMES, load, traces
from support.recorded import recorded, said

BUILTIN = "autogen-0.7.5-builtin-"
OPENINFERENCE = "autogen-openinference-agentchat-0.1.22-"
BOTH = "autogen-openinference-agentchat-0.1.22+builtin-"

# What each recording holds, read off its spans.
#            app, traces it is in, whether the final answer, tokens and tool results are in it
TABLE = {
    f"{BUILTIN}roundrobin-stream": ("chat", 23, True, True, False),
    f"{BUILTIN}early-exit": ("chat", 23, True, True, False),  # the run went on unwatched
    f"{BUILTIN}swarm": ("swarm", 26, True, True, False),
    f"{OPENINFERENCE}roundrobin-stream": ("chat", 3, True, True, False),
    # The result never came, so neither did the last message, nor what it took.
    f"{OPENINFERENCE}early-exit": ("chat", 3, False, True, False),
    f"{OPENINFERENCE}swarm": ("swarm", 3, True, True, True),
    f"{BOTH}roundrobin-stream": ("chat", 3, True, True, False),
    f"{BOTH}selector": ("selector", 3, True, True, False),
    f"{BOTH}swarm": ("swarm", 3, True, True, True),
}

APPS = {
    "chat": (writer_and_critic, "hi"),
    "swarm": (planner_and_worker, "do it"),
    "selector": (selected_writer_and_critic, "hi"),
}


def joined(name: str) -> Trace:
    """All traces of a recording as the one run they are."""
    plugins = load_plugins()
    whole = [msgspec.structs.replace(raw, trace_id="f" * 32) for raw in load(name)]
    return derive(normalize(whole, plugins), plugins)


async def captured(app: str) -> Trace:
    build, task = APPS[app]
    with recorded(INSTRUMENTOR) as run:
        await build().run(task=task)
        return run.trace


def test_the_table_has_every_recording() -> None:
    assert set(TABLE) == {name for name in NAMES if name.startswith("autogen-")}


@pytest.mark.parametrize("name", TABLE)
async def test_a_recording_shows_the_agents_and_messages_that_capture_shows(name) -> None:
    app, _, has_answer, has_tokens, _ = TABLE[name]
    trace, ours = joined(name), await captured(app)

    expected = said(ours) if has_answer else said(ours)[:-1]
    assert {a.name for a in trace.agents} == {a.name for a in ours.agents}
    assert {a.name: a.role for a in trace.agents} == {a.name: a.role for a in ours.agents}
    assert said(trace) == expected
    assert [m.audience for m in trace.messages] == [m.audience for m in ours.messages][
        : len(expected)
    ]
    assert {m.provenance for m in trace.messages} == {"observed"}
    if has_tokens:
        assert [m.tokens for m in trace.messages] == [m.tokens for m in ours.messages][
            : len(expected)
        ]


@pytest.mark.parametrize("name", TABLE)
def test_the_fragments_of_a_recording_tell_the_same_messages_without_being_joined(name) -> None:
    def keys(messages: list[Message]) -> list[tuple[str, str, str]]:
        ordered = sorted(messages, key=lambda m: m.sent_at)
        return [(m.message_id, m.sender, m.recipient) for m in ordered]

    parts = traces(name)

    assert len(parts) == TABLE[name][1]
    assert keys([m for part in parts for m in part.messages]) == keys(list(joined(name).messages))


@pytest.mark.parametrize("name", TABLE)
def test_a_recording_is_one_run(name) -> None:
    spans = normalize(load(name), load_plugins())

    assert [len(group) for group in join_traces(map(facts_of, spans))] == [TABLE[name][1]]


@pytest.mark.parametrize("name", TABLE)
def test_tools_show_with_what_the_recording_holds_of_them(name) -> None:
    app, *_, has_results = TABLE[name]
    trace = joined(name)

    tools = {tool for agent in trace.agents for tool in agent.tools}
    outputs = {s.tool: s.output for s in trace.spans if s.kind == "tool" and s.output}
    wanted = {"transfer_to_worker", "add", "transfer_to_planner"} if app == "swarm" else set()
    assert tools == wanted
    assert outputs.get("add") == ("3" if has_results else None)


def test_the_swarm_is_one_run_with_three_passes_between_its_agents() -> None:
    trace = joined(f"{BUILTIN}swarm")

    between = [m for m in trace.messages if "user" not in (m.sender, m.recipient)]
    assert [(m.sender, m.recipient, m.type) for m in between] == [
        ("planner", "worker", "handoff"),
        ("worker", "worker", "broadcast"),  # its tool's result; Swarm lets it go on
        ("worker", "planner", "handoff"),
    ]


def test_a_message_lies_on_the_senders_turn_where_that_is_in_the_trace() -> None:
    trace = joined(f"{BUILTIN}swarm")

    assert [trace.agent_of(trace.by_id[m.span_id]) for m in trace.messages[1:]] == [
        "planner",
        "worker",
        "worker",
        "planner",
    ]


def test_names_carry_no_team_id_and_its_plumbing_is_no_agent() -> None:
    for name in TABLE:
        trace = joined(name)
        assert not [a.name for a in trace.agents if "Manager" in a.name or "_" in a.name]
        assert {s.framework for s in trace.spans} == {"autogen"}
        assert len({s.session for s in trace.spans if s.session}) == 1


RUNTIME = Scope("autogen SingleThreadedAgentRuntime")


def process(span_id: str, recipient: str, message: str, **attributes: str) -> RawSpan:
    return raw_span(
        f"autogen process {recipient}.(default)-A",
        scope=RUNTIME,
        span_id=span_id * 16,
        start_ns=int(span_id) * 1000,
        attributes={
            "recipient_agent_type": recipient,
            "recipient_agent_class": "Coder",
            "message": message,
            **attributes,
        },
    )


def test_bare_core_programs_tell_their_messages() -> None:
    called = '{"sender":"None","topic_id":"None","is_rpc":true,"message_id":"1"}'
    published = '{"sender":"coder/default","topic_id":"t/default","is_rpc":false,"message_id":"2"}'
    answer = raw_span(
        "autogen ack",
        scope=RUNTIME,
        span_id="3" * 16,
        start_ns=3000,
        attributes={"sender_agent_type": "coder", "message": '{"text":"done"}'},
    )
    spans = [
        process("1", "coder", '{"content":"write it"}', message_context=called),
        process(
            "2",
            "reviewer",
            '{"code":"print()","lang":"py"}',
            message_context=published,
            sender_agent_type="coder",
        ),
        answer,
    ]
    plugins = load_plugins()

    trace = derive(normalize(spans, plugins), plugins)

    assert said(trace) == [
        ("user", "coder", "task", "write it"),
        ("coder", "reviewer", "broadcast", '{"code":"print()","lang":"py"}'),
        ("coder", "user", "result", "done"),
    ]
    assert [a.name for a in trace.agents] == ["coder", "reviewer"]


@pytest.mark.parametrize("name", [f"{BOTH}selector", f"{OPENINFERENCE}swarm"])
def test_odd_spans_cost_nothing(name) -> None:
    real: dict[str, list[RawSpan]] = {}
    for raw in load(name):
        real.setdefault(raw.scope.name, []).append(raw)

    for scope, raws in real.items():
        check_normalizer(normalizer.for_scope(Scope(scope)), raws[:8])


ODD_JSON = [
    '{"messages":5}',
    '{"messages":["x",null,{}]}',
    '{"messages":[{"id":1,"source":2,"content":{"a":1},"target":3,"created_at":"0000"}]}',
    '{"response":{"chat_message":{},"inner_messages":7},"name":null}',
    '{"response":{"chat_message":5}}',
    '{"result":{"messages":3}}',
    "{\"messages\":[\"id='1' source='a' created_at=datetime.datetime(0, 0)"
    " content='x' type='T'\"]}",
]


@pytest.mark.parametrize("odd", ODD_JSON)
@pytest.mark.parametrize("name", [f"{BUILTIN}swarm", f"{OPENINFERENCE}swarm"])
def test_odd_contents_cost_no_other_message(name, odd) -> None:
    plugins = load_plugins()
    for key in ("message", "input.value", "output.value"):
        bent = [
            msgspec.structs.replace(raw, attributes={**raw.attributes, key: odd})
            if key in raw.attributes
            else raw
            for raw in load(name)
        ]
        trace = Trace("f" * 32, tuple(normalize(bent, plugins)))
        assert all(isinstance(m, Message) for m in normalizer.messages(trace))


@pytest.mark.parametrize("odd", [None, "", "{", "[1]", '{"a":1}', 7, True, ["x"], {"k": "v"}])
@pytest.mark.parametrize("name", [f"{BUILTIN}swarm", f"{OPENINFERENCE}swarm"])
def test_odd_attributes_cost_no_other_message(name, odd) -> None:
    plugins = load_plugins()
    whole = [msgspec.structs.replace(raw, trace_id="f" * 32) for raw in load(name)]
    keys = sorted({key for raw in whole for key in raw.attributes})

    for key in keys:
        bent = [
            msgspec.structs.replace(raw, attributes={**raw.attributes, key: odd})
            if key in raw.attributes
            else raw
            for raw in whole
        ]
        trace = Trace("f" * 32, tuple(normalize(bent, plugins)))
        assert all(isinstance(m, Message) for m in normalizer.messages(trace))


def test_spans_of_others_are_left_to_others() -> None:
    assert normalizer.for_scope(Scope("my.app")) is None
    assert normalizer.for_scope(Scope("autogenerated")) is None


def test_broken_contents_cost_only_themselves() -> None:
    good = load(f"{BUILTIN}swarm")
    broken = [
        msgspec.structs.replace(raw, attributes={**raw.attributes, "message": "{not json"})
        if raw.attributes.get("message") and n % 7 == 0
        else raw
        for n, raw in enumerate(good)
    ]
    plugins = load_plugins()
    whole = [msgspec.structs.replace(raw, trace_id="f" * 32) for raw in broken]

    trace = derive(normalize(whole, plugins), plugins)

    assert len(trace.spans) == len(good)
    assert {a.name for a in trace.agents} == {"planner", "worker"}
