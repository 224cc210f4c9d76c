"""What is remembered about a span that could not be stored."""

import msgspec


class Rejected(msgspec.Struct, frozen=True):
    """A span that was not stored, and why."""

    at_ns: int
    reason: str
    service_name: str = ""
    trace_id: str = ""
    span_id: str = ""
    name: str = ""


def rejected(
    at_ns: int, reason: object, service: str, trace_id: str = "", span_id: str = "", name: str = ""
) -> Rejected:
    """Return what is remembered of a refused span, cut to a size worth keeping."""
    return Rejected(at_ns, str(reason)[:500], service, trace_id[:64], span_id[:64], name[:200])
