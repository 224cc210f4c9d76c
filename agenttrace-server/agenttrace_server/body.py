"""Undo the content encoding of a request body, within a limit on what comes out."""

import zlib

from agenttrace.errors import InvalidPayload

_WINDOW = {"gzip": 31, "x-gzip": 31, "zlib": 15, "deflate": 15}


class TooLarge(InvalidPayload):
    """The body is larger than the limit, before or after decompression."""


class UnknownEncoding(InvalidPayload):
    """The content encoding is none that this server can undo."""


def encoding_of(header: str) -> str:
    """Return the one encoding of a Content-Encoding header, `identity` for none.

    Raises `UnknownEncoding`.
    """
    named = [name.strip().lower() for name in header.split(",")]
    applied = [name for name in named if name not in ("", "identity", "none")]
    if not applied:
        return "identity"
    if len(applied) > 1 or applied[0] not in _WINDOW:
        raise UnknownEncoding(
            f"Content encoding {header!r} is not supported; send gzip, deflate, zlib or none"
        )
    return applied[0]


def decompress(body: bytes, encoding: str, limit: int) -> bytes:
    """Return the body as it was before it was encoded.

    Never makes more than `limit` bytes of it. Raises `TooLarge`, and `InvalidPayload` where it is
    garbled, cut off, or followed by anything else.
    """
    if encoding == "identity":
        return body
    window = _WINDOW[encoding]
    # What HTTP calls deflate has a zlib header; some clients leave it out, as the name suggests.
    if encoding == "deflate" and not _has_zlib_header(body):
        window = -15
    parts: list[bytes] = []
    room = limit
    rest = body
    while rest or not parts:
        member = zlib.decompressobj(window)
        try:
            part = member.decompress(rest, room + 1)
        except zlib.error as error:
            raise InvalidPayload(f"The body is no valid {encoding}: {error}") from None
        if len(part) > room:
            raise TooLarge(f"The body is larger than {limit} bytes when decompressed")
        if not member.eof:
            raise InvalidPayload(f"The body is cut off: its {encoding} data does not end")
        parts.append(part)
        room -= len(part)
        rest = member.unused_data
        if window == 31:
            # A gzip file may have several members, and padding behind them.
            rest = rest if rest.strip(b"\0") else b""
        elif rest:
            raise InvalidPayload(f"{len(rest)} bytes follow the {encoding} data")
        if rest and not rest.startswith(b"\x1f\x8b"):
            raise InvalidPayload(f"{len(rest)} bytes follow the {encoding} data")
    return parts[0] if len(parts) == 1 else b"".join(parts)


def _has_zlib_header(body: bytes) -> bool:
    return len(body) >= 2 and body[0] & 0x0F == 8 and int.from_bytes(body[:2], "big") % 31 == 0
