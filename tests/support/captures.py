"""Real spans of code that nobody here wrote."""

from pathlib import Path

import msgspec

from agenttrace.fragments import facts_of
from agenttrace.joins import join_traces
from agenttrace.models import RawSpan, Trace
from agenttrace.normalize import normalize
from agenttrace.plugins import Plugins, load_plugins
from agenttrace.testing import derive
from agenttrace_server.decode import JSON, decode

FOLDER = Path(__file__).parent.parent / "captures"

NAMES = tuple(sorted(path.stem for path in FOLDER.glob("*.json")))
LOGS = ("otel-proto_events", "otel-proto_logs")
TRACES = tuple(name for name in NAMES if name not in LOGS)


def body(name: str) -> bytes:
    """Return a capture's file as it is."""
    return (FOLDER / f"{name}.json").read_bytes()


def load(name: str) -> list[RawSpan]:
    """Return a capture's spans; none of them may be refused."""
    decoded = decode(body(name), JSON)
    assert not decoded.rejected
    return decoded.spans


def traces(name: str, plugins: Plugins | None = None) -> list[Trace]:
    """Return a capture's traces in order of their first span, with what is found in them."""
    plugins = plugins or load_plugins()
    by_trace: dict[str, list[RawSpan]] = {}
    for raw in sorted(load(name), key=lambda raw: raw.start_ns):
        by_trace.setdefault(raw.trace_id, []).append(raw)
    return [derive(normalize(raws, plugins), plugins) for raws in by_trace.values()]


def joined(raws: list[RawSpan], plugins: Plugins) -> list[Trace]:
    """Return the runs that spans make up, their fragments joined, with what is found in them."""
    found = []
    for group in join_traces(map(facts_of, normalize(raws, plugins))):
        parts = [raw for raw in raws if raw.trace_id in group]
        whole = [msgspec.structs.replace(raw, trace_id=group[0]) for raw in parts]
        found.append(derive(normalize(whole, plugins), plugins))
    return found
