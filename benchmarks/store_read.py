"""How long reading takes: lists of many traces, skeleton and graph of one of 50,000 spans.

The baseline of a list is a query that groups the spans themselves, without a filter; that of the
skeleton and the graph is the same trace read whole, bodies included. A JSON line per figure.

    python benchmarks/store_read.py [--traces 60000] [--spans-per-trace 33] [--only TimescaleDB]
"""

import argparse
import gzip
import json
import random
import statistics
import time
from collections.abc import Callable
from contextlib import closing
from functools import partial
from typing import Any

import msgspec
from databases import add_options, chosen, database

from agenttrace.models import Agent, FailureAnnotation, Scope, Span, Trace
from agenttrace.plugins import Plugins
from agenttrace_server.analyse.pipeline import analyse
from agenttrace_server.garbage import collect_less
from agenttrace_server.store import Analysis, Claimed, TraceFilter, TraceQuery
from agenttrace_server.store.database import Database
from agenttrace_server.store.sql import SqlStore, open_store

START_NS = 1_700_000_000_000_000_000
SECOND = 1_000_000_000
WORDS = ("plan", "search", "read", "write", "check", "cite", "draft", "review", "figure", "claim")
AGENTS = ("planner", "researcher", "critic", "writer")


def fill(store: SqlStore, traces: int, spans_per_trace: int = 8) -> None:
    """Store many small traces of several services, agents and outcomes."""
    chance = random.Random(1)
    scopes = [Scope("bench", resource={"service.name": f"service-{n}"}) for n in range(10)]
    batch: list[Span] = []
    for number in range(1, traces + 1):
        batch += trace(f"{number:032x}", number, spans_per_trace, scopes[number % 10], chance)
        if len(batch) >= 4000 or number == traces:
            store.write(batch)
            batch = []
    for number in range(1, traces + 1, 4):
        trace_id = f"{number:032x}"
        agents = tuple(Agent(name, trace_id) for name in chance.sample(AGENTS, 2))
        failure = FailureAnnotation(
            annotation_id=trace_id,
            trace_id=trace_id,
            mode=chance.choice(["1.3", "2.4", "3.2"]),
            category="verification",
            subcategory="none",
            classifier="bench",
        )
        failures = (failure,) if number % 3 == 0 else ()
        store.save(Claimed(trace_id, 1), Analysis(agents=agents, failures=failures))


def index(store: SqlStore) -> None:
    """Index every word, which the store does by itself once no trace is due."""
    while store.claim(0, 0) or store._index_some():
        pass


def trace(trace_id: str, number: int, size: int, scope: Scope, chance: random.Random) -> list[Span]:
    """Return a trace of so many spans, each the child of any before it."""
    start = START_NS + number * SECOND
    spans = []
    for place in range(size):
        text = " ".join(chance.choices(WORDS, k=60))
        spans.append(
            Span(
                trace_id,
                f"{place + 1:016x}",
                chance.choice(("plan", "search", "chat gpt-4o", "write")),
                start + place * 1000,
                start + chance.randrange(SECOND),
                None if place == 0 else f"{chance.randrange(place) + 1:016x}",
                status="error" if place == 0 and number % 20 == 0 else "ok",
                attributes={"agenttrace.input": text, "n": place},
                scope=scope,
                kind=chance.choice(("agent", "llm", "tool")),
                framework=("langgraph", "autogen", "crewai")[number % 3],
                agent=chance.choice(AGENTS),
                model="gpt-4o",
                input=text,
                tokens_in=place,
                tokens_out=1,
            )
        )
    return spans


def measure(work: Callable[[], Any], times: int = 20) -> float:
    """Return the 95th percentile of the work's time, in milliseconds."""
    taken = []
    for _ in range(times):
        began = time.perf_counter()
        work()
        taken.append((time.perf_counter() - began) * 1000)
    return statistics.quantiles(taken, n=20)[18]


def report(
    name: str, value: float, unit: str, target: float, *, at_least: bool = False, **more: Any
) -> None:
    """Print one figure; the target is the most it may be, or the least."""
    sign, ok = (">=", value >= target) if at_least else ("<=", value <= target)
    print(
        json.dumps(
            {"name": name, "value": round(value, 3), "unit": unit, "target": f"{sign} {target:g}"}
            | more
            | {"ok": ok}
        ),
        flush=True,
    )


def lists(kind: str, url: str, store: SqlStore, traces: int) -> None:
    """The list of traces with each filter, its pages, its figures."""
    plain = Database(url)
    grouped = measure(lambda: _grouped(plain), 2)
    plain.close()
    queries = {
        "all": TraceQuery(),
        "service": TraceQuery(service="service-3"),
        "framework": TraceQuery(framework="crewai"),
        "agent": TraceQuery(agent="critic"),
        "status": TraceQuery(status="error"),
        "failure": TraceQuery(failure="1.3"),
        "since": TraceQuery(since_ns=START_NS + traces // 2 * SECOND),
        "text": TraceQuery(q="researcher cite"),
        "sorted by tokens": TraceQuery(sort="tokens"),
        "page 10,000 of 5": TraceQuery(offset=min(10_000, traces // 5) * 5 - 5, limit=5),
    }
    for name, query in queries.items():
        taken = measure(partial(store.traces, query))
        report(f"{kind}: list, {name}, p95", taken, "ms", 50, baseline=round(grouped, 1))
    everything = measure(lambda: store.stats(), 5)
    report(f"{kind}: figures of everything, p95", everything, "ms", 1000)
    day = TraceQuery(since_ns=START_NS + (traces - 5000) * SECOND).since_ns
    recent = measure(lambda: store.stats(TraceFilter(since_ns=day)), 5)
    report(f"{kind}: figures of 5,000 traces, p95", recent, "ms", 300)


def _grouped(plain: Database) -> None:
    """The baseline of the list: the spans themselves, grouped."""
    with plain.read() as connection:
        connection.exec_driver_sql(
            "SELECT trace_id, min(start_time) AS began, count(*) FROM spans "
            "GROUP BY trace_id ORDER BY began DESC LIMIT 50"
        ).all()


def giant(kind: str, store: SqlStore, size: int) -> None:
    """The skeleton and the graph of one large trace."""
    big = "ff" * 16
    spans = trace(big, 1, size, Scope("bench"), random.Random(2))
    for start in range(0, len(spans), 4096):
        store.write(spans[start : start + 4096])
    store.save(Claimed(big, 1), analyse(Trace(big, tuple(spans)), Plugins()))
    del spans
    collect_less()  # as the server does
    whole = measure(lambda: store.trace(big), 2)
    name = f"{kind}: skeleton of {size} spans"
    report(name, measure(lambda: store.columns(big), 5), "ms", 300, baseline=round(whole, 1))
    columns = msgspec.json.encode(store.columns(big))
    packed = len(gzip.compress(columns, 5)) / 1e6
    report(f"{name}, gzip", packed, "MB", 1, baseline=round(len(columns) / 1e6, 1))
    graph = measure(lambda: store.graph(big), 5)
    report(f"{kind}: graph of {size} spans", graph, "ms", 300, baseline=round(whole, 1))


def main() -> None:
    """Fill a store, ask it, report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--traces", type=int, default=20_000)
    parser.add_argument("--spans-per-trace", type=int, default=8)
    parser.add_argument("--spans", type=int, default=50_000)
    add_options(parser)
    options = parser.parse_args()
    for kind, server in chosen(options):
        with database(server) as url, closing(open_store(url)) as store:
            fill(store, options.traces, options.spans_per_trace)
            index(store)
            lists(kind, url, store, options.traces)
            giant(kind, store, options.spans)


if __name__ == "__main__":
    main()
