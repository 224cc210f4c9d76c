"""A real recording tells the same, in whatever pieces it comes and however often it is analysed."""

import random
from pathlib import Path

import pytest

from agenttrace.models import RawSpan
from agenttrace.normalize import normalize
from agenttrace.plugins import load_plugins
from agenttrace_server.store import Store, TraceQuery
from support import captures
from support.stored import opened, settle

PLUGINS = load_plugins()

Told = list[tuple[list[str], list[tuple[str, str, str, str]], int, int, int]]


def told(store: Store, pieces: list[list[RawSpan]]) -> Told:
    """For each run shown once all pieces have come: its agents, messages, spans and tokens."""
    for piece in pieces:
        store.write(normalize(piece, PLUGINS))
        settle(store, PLUGINS)
    shown = store.traces(TraceQuery()).items
    found = [
        (
            [agent.name for agent in store.agents(one.trace_id)],
            [(m.sender, m.recipient, m.type, m.content) for m in store.messages(one.trace_id)],
            one.span_count,
            one.tokens_in,
            one.tokens_out,
        )
        for one in shown
    ]
    for one in shown:
        assert store.delete(one.trace_id)
    return sorted(found)


@pytest.mark.parametrize("name", captures.TRACES)
def test_a_recording_tells_the_same_in_pieces(name: str, tmp_path: Path) -> None:
    raws = captures.load(name)
    shuffled = random.Random(name).sample(raws, len(raws))
    size = max(1, len(raws) // 8)

    with opened(f"sqlite:///{tmp_path / 'traces.db'}") as store:
        whole = told(store, [raws])
        assert whole
        for how, given in (("as it came", raws), ("shuffled", shuffled), ("reversed", raws[::-1])):
            pieces = [given[start : start + size] for start in range(0, len(given), size)]
            assert told(store, [*pieces, pieces[0]]) == whole, how
