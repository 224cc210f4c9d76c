"""Make one finding of those in which several classifiers say the same of the same place."""

from collections.abc import Iterable

from msgspec.structs import replace

from agenttrace.models import FailureAnnotation

MOST_SURE = 0.99


def merge(found: Iterable[FailureAnnotation]) -> tuple[FailureAnnotation, ...]:
    """Return the findings, the same mode at the same message or span once, naming all who found it.

    The first stays as it is but for its confidence: two that find the same independently are surer
    than either.
    """
    merged: list[FailureAnnotation] = []
    places: dict[tuple[str, str], int] = {}
    for one in found:
        keys = [(one.mode, place) for place in (one.message_id, one.span_id) if place]
        at = next((places[key] for key in keys if key in places), None)
        if at is None or not _is_the_same(merged[at], one):
            for key in keys:
                places.setdefault(key, len(merged))
            merged.append(one)
            continue
        merged[at] = _both(merged[at], one)
    return tuple(merged)


def _is_the_same(first: FailureAnnotation, other: FailureAnnotation) -> bool:
    if first.classifier == other.classifier or other.classifier in first.also_by:
        return False
    # One span may send several messages: where both name one, it must be the same.
    return not (first.message_id and other.message_id) or first.message_id == other.message_id


def _both(first: FailureAnnotation, other: FailureAnnotation) -> FailureAnnotation:
    sure = 1 - (1 - first.confidence) * (1 - other.confidence)
    return replace(
        first,
        confidence=max(first.confidence, other.confidence, min(sure, MOST_SURE)),
        also_by=(*first.also_by, other.classifier),
        decisive=first.decisive or other.decisive,
        message_id=first.message_id or other.message_id,
        evidence=first.evidence or other.evidence,
    )
