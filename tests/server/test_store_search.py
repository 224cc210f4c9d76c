"""Full text stays exact whatever happens to what it was made of."""

import random

import pytest

from agenttrace.models import Message
from agenttrace_server.store import Analysis, Claimed, Store, TraceQuery, search
from support.stored import START_NS, span, trace_id

WORDS = [f"word{number}x" for number in range(12)]
TRACES = (1, 2, 3)


@pytest.mark.parametrize("seed", range(4))
def test_a_search_finds_exactly_what_is_stored(
    store: Store, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    if seed % 2:
        monkeypatch.setattr(search, "FEW", -1)  # as if every word were common
    chance = random.Random(seed)
    spans: dict[int, dict[int, str]] = {}
    said: dict[int, dict[int, str]] = {}
    end = START_NS
    for _ in range(40):
        trace, number = chance.choice(TRACES), chance.randrange(1, 5)
        match chance.choice(("write", "write", "analyse", "index", "index", "delete")):
            case "write":
                end += 1  # what ends later replaces what was stored
                new = {n: chance.choice(WORDS) for n in range(1, number + 1)}
                store.write(
                    [span(n, trace=trace, name=word, end_ns=end) for n, word in new.items()]
                )
                spans[trace] = spans.get(trace, {}) | new
            case "analyse" if (summary := store.summary(trace_id(trace))) is not None:
                said[trace] = said.get(trace, {}) | {number: chance.choice(WORDS)}
                if chance.random() < 0.3:
                    said[trace].popitem()
                messages = tuple(message(trace, *one) for one in said[trace].items())
                claimed = Claimed(trace_id(trace), summary.version)
                store.save(claimed, Analysis(messages=messages))
            case "index":
                # There is nothing to analyse for hours yet, so it indexes.
                assert store.claim(10, 9999) == []
            case "delete" if chance.random() < 0.5:
                store.delete(trace_id(trace))
                spans.pop(trace, None)
                said.pop(trace, None)
        for word in WORDS:
            holding = {t for t in TRACES for m in (spans, said) if word in m.get(t, {}).values()}
            page = store.traces(TraceQuery(q=word))
            assert {int(item.trace_id, 16) for item in page.items} == holding, word


def test_long_traces_are_indexed_in_documents_that_know_every_place_of_a_word(store: Store) -> None:
    common = "the plan says what comes first, and who writes it down asks another one about it " * 5
    spans = [span(n, name=f"step{n}", input=common) for n in range(1, 400)]
    store.write([*spans, span(400, name="last", input="the pangolin rests")])

    for _ in ("fresh", "indexed"):
        assert store.traces(TraceQuery(q='"the pangolin rests"')).total == 1
        assert store.traces(TraceQuery(q='"pangolin the"')).total == 0
        store.claim(10, 9999)


def message(trace: int, number: int, content: str) -> Message:
    return Message(
        message_id=f"m{number}",
        trace_id=trace_id(trace),
        span_id="a",
        sender="planner",
        recipient="coder",
        content=content,
        sent_at=number,
    )
