"""Read the spans that others record of AutoGen and ag2 runs."""

from collections.abc import Iterable

from agenttrace.models import Message, Normalizer, Scope, Trace


def for_scope(scope: Scope) -> Normalizer | None:
    return None


def messages(trace: Trace) -> Iterable[Message]:
    return ()
