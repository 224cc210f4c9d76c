"""What classifying takes: a span of ordinary traces, and whether long ones stay linear.

A supervisor gives work to three agents with models and tools, in messages of sixty words. The
baseline is what normalizing the same spans takes. Prints JSON lines; figures are processor time.

    python benchmarks/classify_cost.py [--rounds 5]
"""

import argparse
import json
import random
import statistics
import sys
import time
from collections.abc import Callable
from functools import partial

from agenttrace.models import Trace
from agenttrace.normalize import normalize
from agenttrace.plugins import Plugins, load_plugins
from agenttrace.testing import Node, agent, derive, llm, message, raw_spans, tool, workflow
from agenttrace_server.analyse.decisive import find_suspects
from agenttrace_server.analyse.pipeline import find_failures

ORDINARY = 60
"""Spans of an ordinary trace."""
LONG = 10_000
SPANS_A_TURN = 4
WORKERS = ("researcher", "analyst", "critic")
SENTENCES = (
    "The audited accounts show revenue of {} million for the year, after {} million before.",
    "I have read the press release of {} February and noted its figures in the table below.",
    "Please compare the growth with the average of the industry, which the survey of {} gives.",
    "The first search returned {} results, most of them from newspapers and analysts.",
    "Note {} explains that the acquisition is not consolidated before November.",
    "Next, we should find out how many employees work in each of the {} regions.",
    "The table lists the products by name, price and weight; the heaviest one has {} kg.",
    "According to the handbook, an order is shipped within {} days unless the client objects.",
    "That leaves {} open questions, of which the second one matters most to the reader.",
    "The function takes a path and returns {} rows; an error is raised if the file is missing.",
    "All {} steps of the plan are done, so the writer can begin with the summary.",
    "Thank you, this is what I needed; I will check item {} against the ledger now.",
)


def told(spans: int, seed: int = 0) -> Node:
    """Return a run of about so many spans."""
    rng = random.Random(seed)

    def words(sentences: int) -> str:
        told = rng.choices(SENTENCES, k=sentences)
        return " ".join(one.format(rng.randrange(500), rng.randrange(500)) for one in told)

    def turn(name: str) -> Node:
        said = [{"role": "system", "content": words(6)}, {"role": "user", "content": words(15)}]
        return agent(
            name,
            llm(words(4), input=said),
            tool("search", input=f'{{"q": "{words(1)}"}}', output=words(10)),
            llm(words(4), input=said),
            sends=message("supervisor" if name in WORKERS else rng.choice(WORKERS), words(4)),
        )

    turns = [
        turn("supervisor" if number % 2 == 0 else rng.choice(WORKERS))
        for number in range(spans // SPANS_A_TURN)
    ]
    asked = message("supervisor", words(4), sender="user")
    return workflow("run", asked, *turns, agent("supervisor", sends=message("user", words(2))))


def classify(plugins: Plugins, *traces: Trace) -> None:
    """Do what the analysis of a trace does to find failures and what decided them."""
    for trace in traces:
        find_suspects(trace, find_failures(trace, plugins))


def median(rounds: int, work: Callable[[], object]) -> float:
    """Return the processor seconds a piece of work takes, the median of the rounds."""
    taken = []
    for _ in range(rounds):
        before = time.process_time()
        work()
        taken.append(time.process_time() - before)
    return statistics.median(taken)


def main() -> int:
    """Measure and report; fail if a target is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    plugins = load_plugins()

    ordinary = [raw_spans(told(ORDINARY, seed)) for seed in range(50)]
    traces = [derive(normalize(raws, plugins), plugins) for raws in ordinary]
    number = sum(len(trace.spans) for trace in traces)
    classify(plugins, *traces)
    a_span = median(rounds, partial(classify, plugins, *traces)) / number * 1e6
    baseline = median(rounds, lambda: [normalize(r, plugins) for r in ordinary]) / number * 1e6

    def of(spans: int) -> float:
        trace = derive(normalize(raw_spans(told(spans)), plugins), plugins)
        return median(rounds, partial(classify, plugins, trace))

    long, half = of(LONG), of(LONG // 2)
    figures = (
        ("classify: a span of ordinary traces", a_span, "µs", 50.0, baseline),
        ("classify: a trace of 10,000 spans", long, "s", 2.0, None),
        ("classify: 10,000 spans over 5,000", long / half, "times", 2.5, None),
    )
    missed = False
    for name, value, unit, target, beside in figures:
        figure = {"name": name, "value": round(value, 3), "unit": unit, "target": f"<= {target}"}
        figure |= {"ok": value <= target}
        if beside is not None:
            figure |= {"baseline": round(beside, 3)}
        print(json.dumps(figure, ensure_ascii=False))
        missed |= value > target
    return missed


if __name__ == "__main__":
    sys.exit(main())
