"""Turn decoded spans into AgentTrace spans, with the function that each scope's plugin gives."""

import weakref
from collections.abc import Sequence
from typing import Any

from agenttrace import genai
from agenttrace.models import Normalizer, RawSpan, Scope, Span
from agenttrace.plugins import Plugins

_Key = tuple[str, str, str]

# Ask the hook once per scope: per span it costs microseconds and grows with every plugin.
_chosen: weakref.WeakKeyDictionary[Plugins, dict[_Key, tuple[str, Normalizer]]] = (
    weakref.WeakKeyDictionary()
)

# Scopes are the senders' to name: past this many, start over rather than grow without end.
_MOST_SCOPES = 10_000


def normalize(raws: Sequence[RawSpan], plugins: Plugins) -> list[Span]:
    """Return one span per raw span, in the same order.

    Which plugin reads a scope is asked once for its (name, version, service). A plugin that raises,
    or answers with anything but a span of the same ids, costs its answer, never the span: that is
    then read by `genai`.
    """
    chosen = _chosen.setdefault(plugins, {})
    spans: list[Span] = []
    last: Scope | None = None
    plugin: str = "genai"
    read: Normalizer = genai.read
    for raw in raws:
        if raw.scope is not last:
            last = raw.scope
            plugin, read = _choose(last, plugins, chosen)
        try:
            span = read(raw)
            if _is_for(span, raw):
                spans.append(span)
                continue
            raise TypeError(f"A normalizer must return a Span of the same ids, not {span!r:.200}")
        except Exception:  # noqa: BLE001 - whatever a plugin does costs only its own answer
            plugins.complain(plugin, "agenttrace_normalizer")
        spans.append(_fallback(raw))
    return spans


def _choose(
    scope: Scope, plugins: Plugins, chosen: dict[_Key, tuple[str, Normalizer]]
) -> tuple[str, Normalizer]:
    key = (scope.name, scope.version, scope.service_name)
    found = chosen.get(key)
    if found is None:
        if len(chosen) >= _MOST_SCOPES:
            chosen.clear()
        answers = plugins.each("agenttrace_normalizer", scope=scope)
        found = chosen[key] = next(
            ((name, read) for name, read in answers if callable(read)), ("genai", genai.read)
        )
    return found


def _is_for(span: Any, raw: RawSpan) -> bool:
    return isinstance(span, Span) and span.span_id == raw.span_id and span.trace_id == raw.trace_id


def _fallback(raw: RawSpan) -> Span:
    try:
        return genai.read(raw)
    except Exception:  # noqa: BLE001 - a value nobody thought of must not cost the span
        return Span.of(raw)
