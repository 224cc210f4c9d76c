"""Spans to store, and the databases to store them in."""

import os
import random
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from agenttrace.models import Scope, Span, Trace
from agenttrace.plugins import Plugins
from agenttrace_server.analyse.pipeline import analyse
from agenttrace_server.store import Store
from agenttrace_server.store.sql import open_store
from support import postgres

START_NS = 1_700_000_000_000_000_000
SECOND = 1_000_000_000
SCOPE = Scope("tests", "1", resource={"service.name": "shop"})


def trace_id(number: int = 1) -> str:
    """The id of the trace with this number."""
    return f"{number:032x}"


def span_id(number: int) -> str:
    """The id of the span with this number."""
    return f"{number:016x}"


def span(number: int, parent: int | None = None, *, trace: int = 1, **fields: Any) -> Span:
    """A span that starts `number` milliseconds after the first and lasts one second."""
    start = fields.pop("start_ns", START_NS + number * 1_000_000)
    return Span(
        trace_id(trace),
        span_id(number),
        fields.pop("name", f"step {number}"),
        start,
        fields.pop("end_ns", start + SECOND),
        None if parent is None else span_id(parent),
        scope=fields.pop("scope", SCOPE),
        **fields,
    )


def llm(
    number: int,
    parent: int | None,
    tokens_in: int | None = 10,
    tokens_out: int | None = 5,
    **more: Any,
) -> Span:
    """A model call that reports what it used."""
    more = {"model": "gpt-4o", "cost_usd": 0.25} | more
    return span(number, parent, kind="llm", tokens_in=tokens_in, tokens_out=tokens_out, **more)


def random_trace(number: int, size: int, seed: int = 0) -> list[Span]:
    """A trace of `size` spans: a workflow, and beneath it agents, models and tools at random."""
    chance = random.Random(f"{seed}/{number}")
    spans = [span(1, trace=number, kind="workflow", framework="langgraph", session=f"s{number}")]
    for place in range(2, size + 1):
        parent = chance.randrange(1, place)
        kind = chance.choice(["agent", "llm", "tool", "other"])
        fields: dict[str, Any] = {"kind": kind, "trace": number}
        if kind == "agent":
            fields["agent"] = chance.choice(["planner", "coder", "critic"])
        if kind == "llm":
            fields |= {"model": "gpt-4o", "tokens_in": place, "tokens_out": 1}
        if chance.random() < 0.1:
            fields |= {"status": "error", "error": "Error: no"}
        text = chance.choice(["look it up", "write it down", "check it"])
        spans.append(span(place, parent, input=text, attributes={"input.value": text}, **fields))
    return spans


def shuffled(spans: Sequence[Span], seed: int) -> list[Span]:
    """The same spans in another order."""
    mixed = list(spans)
    random.Random(seed).shuffle(mixed)
    return mixed


@contextmanager
def database(kind: str, folder: Path, *, empty: bool = False) -> Iterator[str]:
    """The URL of a database of its own; `empty` if it must not have our tables yet."""
    if kind != "sqlite":
        with postgres.postgres_url(empty=empty, plain=kind == "plain") as url:
            yield url
    else:
        yield f"sqlite:///{folder / 'traces.db'}"


DATABASES = ["sqlite", *(["postgres"] if postgres.is_available() else [])]
"""The kinds of database that the store's contract is tested on here."""
WITH_PLAIN = [*DATABASES, *(["plain"] if postgres.is_plain_too() else [])]
"""The same, and where `postgres` has TimescaleDB one that has not."""


@contextmanager
def opened(url: str) -> Iterator[Store]:
    """The store of a URL, closed in the end."""
    store = open_store(url)
    try:
        yield store
    finally:
        store.close()


def settle(store: Store, plugins: Plugins) -> None:
    """Analyse until nothing is due: a join is analysed as soon as its parts are."""
    while claims := store.claim(100, 0.0):
        spans = store.spans([claimed.trace_id for claimed in claims])
        store.save_all(
            [
                (claimed, analyse(Trace(claimed.trace_id, spans[claimed.trace_id]), plugins))
                for claimed in claims
                if claimed.trace_id in spans
            ]
        )


def killed_writer(url: str, seed: int) -> str:
    """A program that writes traces for ever and says on standard output which are acknowledged."""
    return f"""
import sys
sys.path.insert(0, {os.path.dirname(os.path.dirname(__file__))!r})
from support.stored import random_trace
from agenttrace_server.store.sql import open_store
store = open_store({url!r})
number = {seed * 1_000_000}
while True:
    number += 1
    store.write(random_trace(number, 20))
    print(number, flush=True)
"""
