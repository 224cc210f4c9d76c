from hypothesis import given, settings
from hypothesis import strategies as st

from agenttrace.accounting import counted
from agenttrace.agents import find_agents
from agenttrace.messages import find_messages
from agenttrace.models import Span, Trace
from agenttrace.plugins import load_plugins
from agenttrace.testing import raw_span

PLUGINS = load_plugins()

_names = st.sampled_from(["planner", "coder", "critic", "user", "Billing Desk"])
_texts = st.none() | st.sampled_from(
    ["go", "a text long enough to flow", '{"x": "a text long enough to flow"}']
)
_ids = st.integers(1, 8).map(lambda number: f"{number:016x}")


@st.composite
def odd_traces(draw: st.DrawFn) -> Trace:
    """Traces with orphans, loops, several roots, clocks that disagree, and two views of one run."""
    spans = []
    for span_id in draw(st.lists(_ids, unique=True, max_size=8)):
        start = draw(st.integers(0, 20))
        raw = raw_span(
            "span",
            span_id=span_id,
            parent_id=draw(st.none() | _ids),
            start_ns=start,
            end_ns=draw(st.integers(max(0, start - 3), 25)),
            scope=draw(st.sampled_from(["agenttrace", "theirs"])),
        )
        spans.append(
            Span.of(
                raw,
                kind=draw(
                    st.sampled_from(["workflow", "agent", "llm", "tool", "handoff", "other"])
                ),
                agent=draw(st.none() | _names),
                tool=draw(st.none() | st.sampled_from(["search", "transfer_to_billing_desk"])),
                input=draw(_texts),
                output=draw(_texts),
                tokens_in=draw(st.none() | st.integers(0, 9)),
                error=draw(st.none() | st.just("ValueError: no")),
            )
        )
    return Trace("ab" * 16, tuple(sorted(spans, key=lambda span: span.start_ns)))


@settings(max_examples=150, deadline=None)
@given(odd_traces())
def test_whatever_the_trace_messages_make_sense(trace: Trace) -> None:
    messages = find_messages(trace, PLUGINS)

    assert len({m.message_id for m in messages}) == len(messages)
    assert [m.sent_at for m in messages] == sorted(m.sent_at for m in messages)
    earlier: set[str] = set()
    for message in messages:
        assert message.sender != message.recipient
        assert message.sender
        assert message.recipient
        assert message.span_id in trace.by_id
        assert message.caused_by is None or message.caused_by in earlier
        assert message.provenance == "inferred"
        assert 0 < message.confidence < 1
        assert message.content_hash
        earlier.add(message.message_id)


@settings(max_examples=100, deadline=None)
@given(odd_traces())
def test_the_same_trace_always_tells_the_same(trace: Trace) -> None:
    again = Trace(trace.trace_id, trace.spans)

    assert find_messages(trace, PLUGINS) == find_messages(again, PLUGINS)
    assert find_agents(trace) == find_agents(again)


@settings(max_examples=100, deadline=None)
@given(odd_traces())
def test_no_token_is_counted_twice(trace: Trace) -> None:
    agents = find_agents(trace)

    assert sum(agent.tokens_in for agent in agents) <= sum(
        span.tokens_in or 0 for span in counted(trace)
    )
    assert sum(agent.spans for agent in agents) <= len(trace.spans)
    assert len({agent.name for agent in agents}) == len(agents)
