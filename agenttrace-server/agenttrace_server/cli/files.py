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
    """One body to send, and whether it holds logs instead of spans."""

    body: bytes
    content_type: str
    is_logs: bool = False


def read_requests(path: Path) -> Iterator[Request]:
    """Yield every OTLP request of a file (`-`: standard input) in order.

    Raises `InvalidPayload` where it cannot be read or is no OTLP; a bad line of JSON lines is
    reported after the good ones before it were given.
    """
    data = _unpacked(_read(path))
    if not data.strip():
        raise InvalidPayload("the file is empty")
    if not _is_json(data, path):
        yield Request(data, PROTOBUF)
        return
    documents = _documents(data.removeprefix(b"\xef\xbb\xbf").strip())
    for number, document in enumerate(documents, start=1):
        try:
            yield from _requests(document)
        except InvalidPayload as error:
            where = f"line {number}: " if len(documents) > 1 else ""
            raise InvalidPayload(f"{where}{error}") from None


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
    suffixes = {suffix.lower() for suffix in path.suffixes}
    if suffixes & _PROTOBUF_SUFFIXES:
        return False
    text = data.removeprefix(b"\xef\xbb\xbf").strip()
    looks = text[:1] in b"{[" and text[-1:] in b"}]"
    return looks or bool(suffixes & {".json", ".jsonl", ".ndjson"})


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


def _requests(document: bytes) -> Iterator[Request]:
    if document[:1] == b"[":
        try:
            items = json.loads(document)
        except ValueError as error:
            raise InvalidPayload(f"not JSON: {error}") from None
        for item in items:
            yield from _requests(json.dumps(item).encode())
        return
    is_logs = b'"resourceLogs"' in document and b'"resourceSpans"' not in document
    yield Request(document, JSON, is_logs)
