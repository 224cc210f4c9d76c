"""Keep a trace's counts exact while its spans arrive in any order."""

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from agenttrace_server.store.batch import Incoming
from agenttrace_server.tables import TraceRow, table

TRACES = table(TraceRow)
KIND, STATUS, FAILED = 7, 8, 9
START, END, PARENT, NAME, FRAMEWORK, MODEL = 3, 4, 5, 6, 10, 12
TOKENS_IN, TOKENS_OUT, COST = 13, 14, 15
"""Positions in a row of `spans`."""


class TraceState(msgspec.Struct):
    """One row of `traces`, in the order of its columns, and how spans change it."""

    project_id: int
    trace_id: str
    name: str = ""
    service_name: str = ""
    services: str = "[]"
    frameworks: str = "[]"
    agents: str = "[]"
    status: str = "running"
    start_time: int = 2**63 - 1
    end_time: int = -(2**63)
    duration: int = 0
    span_count: int = 0
    error_count: int = 0
    message_count: int = 0
    failure_count: int = 0
    tokens_in: int = 0
    tokens_out: int = 0
    cost_usd: float | None = None
    session: str | None = None
    replay_of: str | None = None
    replay_id: str | None = None
    head_rank: int = 2
    head_time: int = 0
    head_span_id: str = ""
    version: int = 0
    analysed_version: int = 0
    cursor: int = 0
    written_at: int = 0
    dirty_since: int = 0
    claimed_until: int = 0
    part_of: str = ""
    parts: int = 0

    def add(self, row: Sequence[Any], service_name: str) -> None:
        """Count a span that was not counted before, all but its tokens."""
        start, end = row[START], row[END]
        self.span_count += 1
        self.error_count += row[FAILED]
        if start < self.start_time:
            self.start_time = start
        if end > self.end_time or start > self.end_time:
            self.end_time = max(start, end)
        rank = 0 if row[PARENT] is None else 1
        if (rank, start, row[2]) < (self.head_rank, self.head_time, self.head_span_id) or (
            self.head_rank == 2
        ):
            self.head_rank, self.head_time, self.head_span_id = rank, start, row[2]
            self.name, self.service_name = row[NAME], service_name
            self.status = "running" if rank else "error" if row[FAILED] else "ok"

    def note(self, span: Incoming) -> None:
        """Take over what only one or a few spans of a trace say."""
        if span.session and (self.session is None or span.session < self.session):
            self.session = span.session
        source, replay = span.replay_of, span.replay_id
        if source is not None and (self.replay_of is None or source < self.replay_of):
            self.replay_of = source
        if replay is not None and (self.replay_id is None or replay < self.replay_id):
            self.replay_id = replay

    def use(self, tokens_in: int | None, tokens_out: int | None, cost: float | None) -> None:
        """Add what a leaf LLM span used."""
        self.tokens_in += tokens_in or 0
        self.tokens_out += tokens_out or 0
        if cost is not None:
            self.cost_usd = (self.cost_usd or 0.0) + cost

    def unuse(self, tokens_in: int | None, tokens_out: int | None, cost: float | None) -> None:
        """Take back what an LLM span used that turned out to be no leaf."""
        self.tokens_in -= tokens_in or 0
        self.tokens_out -= tokens_out or 0
        if cost is not None and self.cost_usd is not None:
            self.cost_usd -= cost

    def row(self) -> tuple[Any, ...]:
        """Return the row, its duration brought up to date."""
        self.duration = max(0, self.end_time - self.start_time)
        return msgspec.structs.astuple(self)


def uses_tokens(row: Sequence[Any]) -> bool:
    """Whether a row of `spans` is an LLM call that says what it used."""
    return row[KIND] == "llm" and not (
        row[TOKENS_IN] is None and row[TOKENS_OUT] is None and row[COST] is None
    )


def leaves(parents: dict[str, str | None], users: Iterable[str]) -> set[str]:
    """Return which of `users` (LLM spans that report what they used) have no other one beneath.

    `parents` maps every span id to its parent's. An LLM span above another one (a client library
    recorded beneath a framework) reports the same tokens again.
    """
    found = set(users)
    above: set[str] = set()
    for user in found:
        seen = {user}
        walk = parents.get(user)
        while walk is not None and walk not in seen:
            if walk in found:
                above.add(walk)
                break
            seen.add(walk)
            walk = parents.get(walk)
    return found - above
