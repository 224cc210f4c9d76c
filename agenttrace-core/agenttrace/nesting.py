"""Find for every span of a trace its nearest ancestor of some sort, in linear time."""

from collections.abc import Callable

from agenttrace.models import Span, Trace

Predicate = Callable[[Span], bool]


def nearest(
    trace: Trace, wanted: Predicate, stop: Predicate | None = None
) -> dict[str, Span | None]:
    """Return, by span id, the nearest ancestor that is `wanted`; None where there is none.

    An ancestor at which `stop` holds ends the search, unless it is wanted itself. Parents that
    never arrived and spans that are their own ancestors end it too.
    """
    by_id = trace.by_id
    found: dict[str, Span | None] = {}
    for span in trace.spans:
        # Parents mostly come first, so the loop mostly ends in its first round.
        path: list[str] = []
        walk, answer = span, None
        while walk.span_id not in found:
            found[walk.span_id] = None
            path.append(walk.span_id)
            parent = by_id.get(walk.parent_id) if walk.parent_id else None
            if parent is None:
                break
            if wanted(parent):
                answer = parent
                break
            if stop is not None and stop(parent):
                break
            walk = parent
        else:
            answer = found[walk.span_id]
        if answer is not None:
            for span_id in path:
                found[span_id] = answer
    return found


def is_agent(span: Span) -> bool:
    """Whether the span is a run of a named agent."""
    return span.kind == "agent" and span.agent is not None


def runs(trace: Trace) -> list[tuple[Span, Span | None]]:
    """Return each run of an agent with the agent run it happened in, in start order.

    A run that two instrumentations saw is two spans of the same agent, one in the other; only the
    outer one is returned.
    """
    above = nearest(trace, is_agent)
    found = []
    for span in trace.spans:
        if is_agent(span):
            parent = above[span.span_id]
            if parent is None or parent.agent != span.agent:
                found.append((span, parent))
    return found


def depths(trace: Trace) -> dict[str, int]:
    """Return how many ancestors each span has, by span id."""
    by_id = trace.by_id
    found: dict[str, int] = {}
    for span in trace.spans:
        path: dict[str, None] = {}
        walk: Span | None = span
        while walk is not None and walk.span_id not in found and walk.span_id not in path:
            path[walk.span_id] = None
            walk = by_id.get(walk.parent_id) if walk.parent_id else None
        depth = found.get(walk.span_id, -1) if walk is not None else -1
        for span_id in reversed(path):
            depth += 1
            found[span_id] = depth
    return found
