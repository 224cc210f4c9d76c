"""Which traces are fragments of one run: the contract, and the values that go in and out of it."""

from collections.abc import Sequence
from typing import Protocol

import msgspec


class TracePart(msgspec.Struct, frozen=True, kw_only=True):
    """A trace that was joined to others, because of `reason`, which it shares with `joined_to`.

    The first part is joined to none. `apart` says that a person took it out again.
    """

    trace_id: str
    name: str
    joined_to: str | None
    reason: str | None
    apart: bool
    start_ns: int
    span_count: int


class JoinedRows(msgspec.Struct, frozen=True):
    """The rows of a skeleton in which a joined part begins, and why it was joined to another."""

    trace_id: str
    joined_to: str | None
    reason: str | None
    rows: list[int]


class Joins(Protocol):
    """Tells which traces were joined, takes them apart and puts them together.

    A joined trace has an id of its own and reads like any other; what it was joined from can still
    be read under the old ids. Joining itself happens when an analysis is saved.
    """

    def parts(self, trace_id: str) -> tuple[TracePart, ...]:
        """Return the parts of a joined trace in start order, and those that were taken out of it.

        For one of the parts the answer is the same; for any other trace it is empty.
        """

    def split(self, trace_id: str) -> tuple[str, ...]:
        """Undo a join, or take one part out of it; return the traces that now stand alone.

        Later analyses do not join them again; only `join` does.
        """

    def join(self, trace_id: str, others: Sequence[str] = ()) -> str | None:
        """Undo a `split` of a trace, or join it with `others` whatever they have in common.

        Return the id of the joined trace, or None where nothing belongs with it. Raises
        `TraceNotFound`.
        """
