"""Coverage-guided fuzzing: bytes that reach new lines of ours are kept and bent further.

    python tests/support/fuzzing.py decoders|edge CORPUS_FOLDER [libFuzzer options]

`decoders` takes bodies from decompression to the analysis and back to OTLP, `edge` sends requests
to a real server. It ends with an error, and leaves the bytes, as soon as anything raises what it
must not or an answer is the server's fault. `benchmarks/fuzz.py` runs it for long.
"""

import sys
import tempfile
from contextlib import suppress
from http.client import HTTPException, HTTPResponse
from pathlib import Path
from socket import SHUT_WR, create_connection
from typing import Any

import atheris

sys.path.insert(0, str(Path(__file__).parents[1]))

with atheris.instrument_imports(include=["agenttrace", "agenttrace_server"]):
    from agenttrace.errors import InvalidPayload
    from agenttrace.models import Trace
    from agenttrace.normalize import normalize
    from agenttrace_server.analyse import classifiers
    from agenttrace_server.analyse.pipeline import analyse
    from agenttrace_server.body import decompress, encoding_of
    from agenttrace_server.decode import JSON, PROTOBUF, decode, decode_logs
    from agenttrace_server.encode import encode_json, encode_protobuf
    from agenttrace_server.store.rows import decode_body, encode, encode_body
    from agenttrace_server.yaml_rules import RuleFile
    from support import captures, receiver

LIMIT = 100_000
ENCODINGS = ("identity", "gzip", "deflate", "zlib", "", "x-gzip", "gzip, br")
FORMS = (PROTOBUF, JSON)
METHODS = ("POST", "GET", "HEAD", "PUT", "DELETE", "OPTIONS", "PATCH")
PATHS = ("/v1/traces", "/v1/logs", "/api/traces?", "/api/traces/", "/api/replays", "/health", "/")
_plugins = classifiers.load(RuleFile(Path("no rules"), required=False), None)


def seeds(target: str) -> list[bytes]:
    """Inputs to begin with: small real bodies, each after the bytes that say how to read it."""
    as_protobuf, as_json = {
        "decoders": (bytes(2), bytes([1, 0])),
        "edge": (bytes(5), bytes([0, 0, 1, 0, 0])),
    }[target]
    names = ("otel-proto_trace", "otel-proto_logs", "jaeger_otlp2jaeger-out")
    return [
        as_protobuf + encode_protobuf(captures.load(names[0])),
        *(as_json + captures.body(name) for name in names),
    ]


def decoders(data: bytes) -> None:
    """Read a body as any signal in any form; what is accepted can be worked on and given back."""
    if len(data) < 2:
        return
    form = FORMS[data[0] % len(FORMS)]
    with suppress(InvalidPayload):
        encoding = encoding_of(ENCODINGS[data[1] % len(ENCODINGS)])
        body = decompress(data[2:], encoding, LIMIT)
        assert len(body) <= max(LIMIT, len(data)), "more came out than may"
        with suppress(InvalidPayload):
            events = [event.span_event for event in decode_logs(body, form).events]
            encode(events)
        found = decode(body, form).spans
        spans = normalize(found, _plugins)
        assert len(spans) == len(found), "a span was lost"
        for span in spans:
            decode_body(encode_body(span))
        for trace_id in {span.trace_id for span in spans}:
            whole = tuple(span for span in spans if span.trace_id == trace_id)
            analyse(Trace(trace_id, whole), _plugins)
        assert len(decode(encode_json(found), JSON).spans) == len(found)
        encode_protobuf(found)


class Edge:
    """Sends what the bytes say to a server of its own."""

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory()
        self._server = receiver.Receiver(Path(self._folder.name), max_body_bytes=LIMIT)

    def __call__(self, data: bytes) -> None:
        """Send one request; no answer at all is fine where it is no HTTP."""
        if len(data) < 5:
            return
        with create_connection(("127.0.0.1", self._server.port), timeout=60) as sock:
            sock.sendall(self._request(data))
            with suppress(OSError):
                sock.shutdown(SHUT_WR)
            answer = HTTPResponse(sock)
            with suppress(HTTPException, ConnectionError):
                answer.begin()
                assert answer.status < 500, (answer.status, answer.read())

    def _request(self, data: bytes) -> bytes:
        """Four bytes choose from the lists, the fifth says how many more go beyond the path."""
        lists = (METHODS, PATHS, FORMS, ENCODINGS)
        chosen = [listed[n % len(listed)] for listed, n in zip(lists, data, strict=False)]
        method, path, form, encoding = map(str.encode, chosen)
        more, body = data[5 : 5 + data[4]], data[5 + data[4] :]
        head = (
            b"%b %b%b HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: %d\r\n"
            b"Content-Type: %b\r\nContent-Encoding: %b\r\n\r\n"
        )
        return head % (method, path, more, len(body), form, encoding) + body


def main() -> None:
    """Fuzz until something is found or libFuzzer has had enough."""
    name, folder = sys.argv[1], Path(sys.argv[2])
    for number, seed in enumerate(seeds(name)):
        (folder / f"seed-{number}").write_bytes(seed)
    target: Any = decoders if name == "decoders" else Edge()
    atheris.Setup([sys.argv[0], str(folder), *sys.argv[3:]], target)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
