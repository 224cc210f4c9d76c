"""The rule classifier: what it answers to the hooks.

Each classifier is a pure function from a trace to what it found there, with a docstring that says
what it sees, what it cannot see and where the rule comes from.
"""

from collections.abc import Iterable

from agenttrace.hookspecs import hookimpl
from agenttrace.models import Classifier


@hookimpl
def agenttrace_classifiers() -> Iterable[Classifier]:
    """Find MAST's failure modes and operational faults."""
    # Imported when asked: a program that only records loads every plugin, and classifies nothing.
    from agenttrace_server.mast.classify import modes
    from agenttrace_server.mast.faults import FAULTS

    return (*FAULTS, modes)
