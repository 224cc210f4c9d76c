"""Carry the current trace to other processes and take it up there, in W3C trace context."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from opentelemetry import context, propagate

VARIABLES = ("traceparent", "tracestate", "baggage")


def trace_headers() -> dict[str, str]:
    """Return the HTTP headers (`traceparent` …) that continue the current span elsewhere.

    Works for anything that carries text: a queue message, a job's metadata.
    """
    headers: dict[str, str] = {}
    propagate.inject(headers)
    return headers


@contextmanager
def continue_trace(headers: Mapping[str, str] | Mapping[bytes, bytes]) -> Iterator[None]:
    """Make spans within the `with` block children of the span that `headers` came from.

    Header names are taken in any case, and bytes as ASGI has them; without usable headers the
    block starts a trace as usual.
    """
    carrier = {_text(name).lower(): _text(value) for name, value in headers.items()}
    token = context.attach(propagate.extract(carrier))
    try:
        yield
    finally:
        context.detach(token)


def _text(value: str | bytes) -> str:
    return value.decode("latin-1") if isinstance(value, bytes) else value


def child_environment(environment: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return environment variables for a child process whose spans belong under the current one.

    They are this process's own (or `environment`) with `TRACEPARENT` set; `instrument()` in the
    child reads it: `subprocess.run([...], env=agenttrace.child_environment())`.
    """
    variables = dict(os.environ if environment is None else environment)
    for name in VARIABLES:
        variables.pop(name.upper(), None)
    return variables | {name.upper(): value for name, value in trace_headers().items()}


def environment_context() -> None:
    """Make the span that `TRACEPARENT` names the current one of this thread, if it is set."""
    carrier = {name: os.environ[name.upper()] for name in VARIABLES if name.upper() in os.environ}
    if "traceparent" in carrier:
        context.attach(propagate.extract(carrier))
