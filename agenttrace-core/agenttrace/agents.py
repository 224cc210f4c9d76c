"""Find the agents of a trace: the named participants that ran, and what their spans add up to."""

from agenttrace.accounting import counted
from agenttrace.models import USER, Agent, Span, Trace


def find_agents(trace: Trace) -> tuple[Agent, ...]:
    """Return the agents that ran, in order of appearance.

    Spans, errors and times are those of the spans an agent owns (`Trace.agent_of`), tokens and cost
    those of its model calls that count (`accounting`).
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
        _agent(name, trace, spans, calls.get(name, ()))
        for name, spans in owned.items()
        if name != USER or any(span.kind == "agent" for span in spans)
    ]
    return tuple(sorted(agents, key=lambda agent: agent.first_ns))


def _agent(
    name: str, trace: Trace, spans: list[Span], calls: list[Span] | tuple[Span, ...]
) -> Agent:
    named = [span for span in spans if span.agent == name]
    costs = [span.cost_usd for span in calls if span.cost_usd is not None]
    # Its own runs know best which framework it is of; its model calls may only know LangChain.
    frameworks = sorted((s for s in named if s.framework), key=lambda s: s.kind != "agent")
    return Agent(
        name=name,
        trace_id=trace.trace_id,
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
        busy_ns=_busy_ns(trace, spans),
    )


def _busy_ns(trace: Trace, spans: list[Span]) -> int:
    """How long the spans that have no children took, given all in start order."""
    busy = until = 0
    for span in spans:
        begun = max(span.start_ns, until)
        if span.end_ns > begun and not trace.children(span.span_id):
            busy += span.end_ns - begun
            until = span.end_ns
    return busy
