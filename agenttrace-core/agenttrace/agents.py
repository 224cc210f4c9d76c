"""Find the agents of a trace: the named participants that ran, and what their spans add up to."""

from agenttrace import semconv
from agenttrace.models import USER, Agent, Span, Trace
from agenttrace.nesting import nearest

# A model call ends where another actor begins: what an agent or tool calls below it is its own.
_OTHER_ACTORS = frozenset(("agent", "tool", "workflow", "handoff"))


def counted(trace: Trace) -> tuple[Span, ...]:
    """Return the `llm` spans whose tokens and cost count.

    One call seen by two instrumentations is one span in the other; the inner one counts if it says
    what it used, else the outer. What agents and workflows report is a roll-up and never counts,
    and what a replay answered from the record cost nothing.
    """
    outer = nearest(trace, _is_llm, stop=lambda span: span.kind in _OTHER_ACTORS)
    covered: set[str] = set()
    for span in trace.spans:
        if not _is_llm(span) or not _says_usage(span):
            continue
        above = outer[span.span_id]
        while above is not None and above.span_id not in covered:
            covered.add(above.span_id)
            above = outer[above.span_id]
    return tuple(
        span
        for span in trace.spans
        if _is_llm(span)
        and span.span_id not in covered
        and (_says_usage(span) or outer[span.span_id] is None)
    )


def find_agents(trace: Trace) -> tuple[Agent, ...]:
    """Return the agents that ran, in order of appearance.

    Spans, errors and times are those of the spans an agent owns (`Trace.agent_of`), tokens and cost
    those of its model calls that count (`counted`).
    """
    owned: dict[str, list[Span]] = {}
    for span in trace.spans:
        name = trace.agent_of(span)
        if name is not None:
            owned.setdefault(name, []).append(span)
    calls: dict[str, list[Span]] = {}
    for span in counted(trace):
        calls.setdefault(trace.agent_of(span) or "", []).append(span)
    agents = [
        _agent(name, trace.trace_id, spans, calls.get(name, ()))
        for name, spans in owned.items()
        if name != USER or any(span.kind == "agent" for span in spans)
    ]
    return tuple(sorted(agents, key=lambda agent: agent.first_ns))


def _agent(
    name: str, trace_id: str, spans: list[Span], calls: list[Span] | tuple[Span, ...]
) -> Agent:
    named = [span for span in spans if span.agent == name]
    costs = [span.cost_usd for span in calls if span.cost_usd is not None]
    # Its own runs know best which framework it is of; its model calls may only know LangChain.
    frameworks = sorted((s for s in named if s.framework), key=lambda s: s.kind != "agent")
    return Agent(
        name=name,
        trace_id=trace_id,
        framework=frameworks[0].framework if frameworks else None,
        role=next((span.agent_role for span in named if span.agent_role), None),
        models=tuple(dict.fromkeys(span.model for span in spans if span.model)),
        tools=tuple(dict.fromkeys(s.tool for s in spans if s.tool and s.kind == "tool")),
        spans=len(spans),
        errors=sum(span.error is not None for span in spans),
        tokens_in=sum(span.tokens_in or 0 for span in calls),
        tokens_out=sum(span.tokens_out or 0 for span in calls),
        cost_usd=sum(costs) if costs else None,
        first_ns=min(span.start_ns for span in spans),
        last_ns=max(span.end_ns for span in spans),
    )


def _is_llm(span: Span) -> bool:
    return span.kind == "llm" and span.attributes.get(semconv.AGENTTRACE_REPLAY_TIER) != "recorded"


def _says_usage(span: Span) -> bool:
    return bool(span.tokens_in or span.tokens_out or span.cost_usd)
