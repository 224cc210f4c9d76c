"""Read OTLP requests out of files: JSON, JSON lines, arrays of requests, protobuf; gzip or not."""

import gzip
import json
import sys
import zlib
from collections.abc import Iterator
from pathlib import Path

import msgspec

from agenttrace.errors import InvalidPayload

JSON = "application/json"
PROTOBUF = "application/x-protobuf"

_GZIP_MAGIC = b"\x1f\x8b"
_PROTOBUF_SUFFIXES = {".pb", ".binpb", ".bin", ".proto", ".protobuf", ".otlp"}


class Request(msgspec.Struct, frozen=True):
    """One body to send; whether it holds logs instead of spans; which part of the file it is."""

    body: bytes
    content_type: str
    is_logs: bool = False
    where: str = ""


def read_requests(path: Path) -> Iterator[Request]:
    """Yield every OTLP request of a file (`-`: standard input) in order.

    Raises `InvalidPayload` where it cannot be read; whether it is OTLP is not looked at.
    """
    data = _unpacked(_read(path))
    if not data.strip():
        raise InvalidPayload("the file is empty")
    if not _is_json(data, path):
        yield Request(data, PROTOBUF)
        return
    documents = _documents(data.removeprefix(b"\xef\xbb\xbf").strip())
    for number, document in enumerate(documents, start=1):
        yield from _requests(document, f"line {number}: " if len(documents) > 1 else "")


def _read(path: Path) -> bytes:
    try:
        return sys.stdin.buffer.read() if str(path) == "-" else path.read_bytes()
    except OSError as error:
        raise InvalidPayload(f"cannot read it: {error.strerror or error}") from None


def _unpacked(data: bytes) -> bytes:
    if not data.startswith(_GZIP_MAGIC):
        return data
    try:
        return gzip.decompress(data)
    except (OSError, EOFError, zlib.error) as error:
        raise InvalidPayload(f"broken gzip: {error}") from None


def _is_json(data: bytes, path: Path) -> bool:
    """A protobuf request may begin like JSON (its first bytes are `\\n` and a length)."""
    suffix = Path(path.name.lower().removesuffix(".gz")).suffix
    if suffix in _PROTOBUF_SUFFIXES:
        return False
    text = data.removeprefix(b"\xef\xbb\xbf").strip()
    looks = text[:1] in b"{[" and text[-1:] in b"}]"
    return looks or suffix in (".json", ".jsonl", ".ndjson")


def _documents(text: bytes) -> list[bytes]:
    """One document, or one per line where the first line is complete on its own."""
    first, _, rest = text.partition(b"\n")
    if not rest.strip():
        return [text]
    try:
        json.loads(first)
    except ValueError:
        return [text]
    return [line for line in text.splitlines() if line.strip()]


def _requests(document: bytes, where: str) -> Iterator[Request]:
    """Split an array of requests; what is no JSON is left for the decoder to complain about."""
    if document.startswith(b"["):
        try:
            items = json.loads(document)
        except ValueError:
            items = None
        if items is not None:
            for item in items:
                yield from _requests(json.dumps(item).encode(), where)
            return
    is_logs = b'"resourceLogs"' in document and b'"resourceSpans"' not in document
    yield Request(document, JSON, is_logs, where)
