"""Trace and span ids that stay unique when the program seeds `random`."""

import os

from opentelemetry.sdk.trace.id_generator import IdGenerator


class UrandomIds(IdGenerator):
    """Ids from the operating system.

    The SDK's own come from `random`: a script that calls `random.seed(0)` makes the same trace id
    at every run, and all its runs would be one trace.
    """

    def generate_span_id(self) -> int:
        """Return 64 random bits, not all zero."""
        return int.from_bytes(os.urandom(8)) or 1

    def generate_trace_id(self) -> int:
        """Return 128 random bits, not all zero."""
        return int.from_bytes(os.urandom(16)) or 1

    def is_trace_id_random(self) -> bool:
        """Return True: W3C's random-trace-id flag holds."""
        return True
