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
