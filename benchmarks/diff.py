"""What comparing two runs of 5,000 messages takes, alike and unlike, against reading them alone.

Half of the messages of the second run are said otherwise, or by somebody else, so that few can be
aligned by their neighbours. The baseline is what decoding both runs from JSON takes, which every
answer of the server has to do anyway. Prints JSON lines.

    python benchmarks/diff.py [--messages 5000] [--rounds 5]
"""

import argparse
import json
import random
import statistics
import sys
import time
from collections.abc import Callable
from functools import partial

import msgspec

from agenttrace.messages import content_hash
from agenttrace.models import Message, Trace
from agenttrace_server.diff import Run, compare

TARGET_SECONDS = 2.0
AGENTS = ["supervisor", "researcher", "analyst", "critic", "writer", "user"]
WORDS = ["the", "audited", "accounts", "of", "third", "quarter", "agree", "with", "ledger", "but"]


def conversation(messages: int, seed: int, changed: float) -> Trace:
    """Return a run whose messages differ from those of every other seed in a share of `changed`."""
    same, other = random.Random(0), random.Random(seed)
    said = []
    for place in range(messages):
        pair = same.sample(AGENTS, 2)
        text = " ".join(same.choices(WORDS, k=60))
        if other.random() < changed:
            text = " ".join(other.choices(WORDS, k=60))
            pair = other.sample(AGENTS, 2) if other.random() < 0.5 else pair
        said.append(
            Message(
                message_id=str(place),
                trace_id=str(seed),
                span_id="s",
                sender=pair[0],
                recipient=pair[1],
                content=text,
                content_hash=content_hash(text),
                sent_at=place,
            )
        )
    return Trace(str(seed), messages=tuple(said))


def median(rounds: int, work: Callable[[], object]) -> float:
    """Return the processor seconds a piece of work takes, the median of the rounds."""
    taken = []
    for _ in range(rounds):
        before = time.process_time()
        work()
        taken.append(time.process_time() - before)
    return statistics.median(taken)


def decoded(texts: list[bytes]) -> list[list[Message]]:
    """Return the messages of each run from their JSON."""
    return [msgspec.json.decode(text, type=list[Message]) for text in texts]


def main() -> int:
    """Measure and print; return 1 if a target is missed."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--messages", type=int, default=5000)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    missed = False
    for changed in (0.0, 0.5, 1.0):
        left = Run(conversation(options.messages, 1, 0.0))
        right = Run(conversation(options.messages, 2, changed))
        texts = [msgspec.json.encode(run.trace.messages) for run in (left, right)]
        decoding = median(options.rounds, partial(decoded, texts))
        taken = median(options.rounds, partial(compare, left, right))
        ok = taken < TARGET_SECONDS
        missed |= not ok
        line = {
            "name": f"diff of {options.messages:,} messages, {changed:.0%} said otherwise",
            "value": round(taken, 3),
            "unit": "s",
            "baseline": round(decoding, 3),
            "ratio": round(taken / decoding, 1),
            "target": f"< {TARGET_SECONDS:g}",
            "ok": ok,
        }
        print(json.dumps(line), flush=True)
    return int(missed)


if __name__ == "__main__":
    sys.exit(main())
