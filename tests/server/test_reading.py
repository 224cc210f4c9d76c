"""Large bodies are read in processes of their own, and nothing else is different."""

import json
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agenttrace.errors import InvalidPayload, StoreUnavailable
from agenttrace.models import RawSpan
from agenttrace.plugins import Plugins, load_plugins
from agenttrace_server.decode import JSON, PROTOBUF
from agenttrace_server.encode import encode_json, encode_protobuf
from agenttrace_server.reading import Read, read
from agenttrace_server.reading.process import LARGE, Readers
from support import captures
from support.server import running_server
from support.strategies import raw_spans

PLUGIN = """
from agenttrace import genai, hookimpl

def read(raw):
    print("a plugin that prints")
    return genai.read(raw)

@hookimpl
def agenttrace_normalizer(scope):
    return read if scope.name == "loud" else None
"""


@pytest.fixture(scope="module")
def plugins() -> Plugins:
    return load_plugins()


@pytest.fixture(scope="module")
def readers(plugins: Plugins) -> Iterator[Readers]:
    readers = Readers(plugins, 1, processes=1)
    started(readers)
    yield readers
    readers.close()


def started(readers: Readers) -> int:
    """Wait until the one process is up; return its id."""
    readers.read(large(), JSON)
    [reader] = readers._all
    while not reader.is_up:
        assert reader._process.poll() is None
        time.sleep(0.01)
    return reader._process.pid


def large(name: str = "span", scope: str = "") -> bytes:
    """A request of one span, long enough for a process."""
    span = {
        "traceId": "1" * 32,
        "spanId": "2" * 16,
        "name": name,
        "startTimeUnixNano": 1,
        "attributes": [{"key": "text", "value": {"stringValue": "x" * LARGE}}],
    }
    scopes = [{"scope": {"name": scope}, "spans": [span]}]
    return json.dumps({"resourceSpans": [{"scopeSpans": scopes}]}).encode()


def padded(body: bytes) -> bytes:
    """The same JSON, long enough for a process."""
    return body + b" " * LARGE


def content(found: Read) -> tuple[object, ...]:
    refused = [(one.reason, one.trace_id, one.span_id, one.name) for one in found.rejected]
    return found.batch.incoming, found.batch.scopes, found.count, refused


@pytest.mark.parametrize("name", captures.TRACES)
def test_a_process_reads_what_this_one_reads(name: str, readers: Readers, plugins: Plugins) -> None:
    body = padded(captures.body(name))

    assert content(readers.read(body, JSON)) == content(read(body, JSON, plugins, 1))


@settings(deadline=None, max_examples=30)
@given(st.lists(raw_spans, min_size=1, max_size=3))
def test_whatever_is_in_a_span_comes_back_from_a_process(
    readers: Readers, plugins: Plugins, raws: list[RawSpan]
) -> None:
    for body, form in (padded(encode_json(raws)), JSON), (encode_protobuf(raws * 300), PROTOBUF):
        assert content(readers.read(body, form)) == content(read(body, form, plugins, 1))


def test_text_that_no_database_can_hold_is_mended_on_the_way(readers: Readers) -> None:
    found = readers.read(large().replace(b'"span"', rb'"\ud800 span"'), JSON)

    [span] = found.batch.incoming.values()
    assert span.name == "\ufffd span"


def test_a_body_that_is_no_request_is_said_to_be_none(readers: Readers, plugins: Plugins) -> None:
    body = b"no JSON" * LARGE

    with pytest.raises(InvalidPayload) as there:
        readers.read(body, JSON)
    with pytest.raises(InvalidPayload) as here:
        read(body, JSON, plugins, 1)
    assert str(there.value) == str(here.value)


def test_a_process_that_is_killed_costs_what_it_was_reading(plugins: Plugins) -> None:
    readers = Readers(plugins, 1, processes=1)
    os.kill(started(readers), signal.SIGKILL)

    with pytest.raises(StoreUnavailable, match="send it again"):
        readers.read(large(), JSON)

    assert readers.read(large(), JSON).count == 1
    started(readers)
    assert readers.read(large(), JSON).count == 1
    readers.close()


def test_what_a_plugin_prints_is_no_answer(
    tmp_path: Path, plugins: Plugins, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "agenttrace_loud.py").write_text(PLUGIN)
    info = tmp_path / "agenttrace_loud-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: agenttrace-loud\nVersion: 1\n")
    (info / "entry_points.txt").write_text("[agenttrace]\nloud = agenttrace_loud\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    readers = Readers(plugins, 1, processes=1)
    started(readers)

    assert readers.read(large("a", "loud"), JSON).count == 1
    assert readers.read(large("b", "loud"), JSON).count == 1
    readers.close()


def test_the_processes_end_with_a_server_that_is_killed() -> None:
    with running_server() as server:
        answer = server.client.post("/v1/traces", content=large(), headers={"content-type": JSON})
        assert answer.status_code == 200
        children = children_of(server.pid)
        assert len(children) >= 2  # the analysis, and what reads

        server.kill()

        while any(Path(f"/proc/{pid}").exists() for pid in children):
            time.sleep(0.01)


def children_of(pid: int) -> list[int]:
    lists = Path(f"/proc/{pid}/task").glob("*/children")
    return [int(child) for listed in lists for child in listed.read_text().split()]
