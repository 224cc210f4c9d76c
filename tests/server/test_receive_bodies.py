"""Bodies of OTLP over HTTP: compressed, garbled, too large, bombs, against a real server."""

import gzip
import zlib
from collections.abc import Iterator

import pytest

from support.receiver import (
    LIMIT,
    PROTOBUF,
    Receiver,
    body,
    message,
    served,
    status_of,
    stored_id,
    talk,
)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Receiver]:
    with served(tmp_path_factory.mktemp("bodies")) as server:
        yield server


def _gzip(data: bytes) -> bytes:
    """Compress without the time in it: these bytes name tests, the same in every process."""
    return gzip.compress(data, mtime=0)


def _raw_deflate(data: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-15)
    return packer.compress(data) + packer.flush()


ENCODINGS = {
    "gzip": gzip.compress,
    "x-gzip": gzip.compress,
    "GZIP": gzip.compress,
    "deflate": zlib.compress,
    "Deflate": _raw_deflate,
    "zlib": zlib.compress,
    "identity": bytes,
    "": bytes,
}


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_a_body_may_be_compressed(server: Receiver, encoding: str) -> None:
    request = message(20, "word " * 50)
    content = ENCODINGS[encoding](request.SerializeToString())

    response = server.post(content, content_encoding=encoding)

    assert response.status_code == 200, status_of(response)
    assert server.store.summary(stored_id(request)).span_count == 20  # type: ignore[union-attr]


def test_a_gzip_body_may_have_several_members_and_padding(server: Receiver) -> None:
    request = message(20)
    data = request.SerializeToString()
    content = gzip.compress(data[:100]) + gzip.compress(data[100:]) + b"\0" * 20

    assert server.post(content, content_encoding="gzip").status_code == 200
    assert server.store.summary(stored_id(request)).span_count == 20  # type: ignore[union-attr]


@pytest.mark.parametrize("encoding", ["br", "zstd", "gzip, gzip", "gzip, br", "snappy"])
def test_another_encoding_is_not_supported(server: Receiver, encoding: str) -> None:
    response = server.post(gzip.compress(body()), content_encoding=encoding)

    assert response.status_code == 415
    assert "gzip" in status_of(response).message


@pytest.mark.parametrize(
    ("content", "encoding"),
    [
        (b"not gzip", "gzip"),
        (b"", "gzip"),
        (_gzip(body(50))[:-9], "gzip"),
        (_gzip(body(50))[:40], "gzip"),
        (_gzip(body()) + b"garbage", "gzip"),
        (_gzip(body()) + _gzip(body())[:10], "gzip"),
        (zlib.compress(body()) + b"garbage", "deflate"),
        (zlib.compress(body()) + b"\0", "zlib"),
        (_raw_deflate(body()) + b"garbage", "deflate"),
        (b"not zlib", "zlib"),
        (b"\xff\xff\xff", "deflate"),
        (zlib.compress(body(50))[:-6], "zlib"),
        (_gzip(body())[:-8] + b"\0" * 8, "gzip"),
    ],
)
def test_a_garbled_compressed_body_is_a_bad_request(
    server: Receiver, content: bytes, encoding: str
) -> None:
    before = server.count()

    response = server.post(content, content_encoding=encoding)

    assert response.status_code == 400
    assert status_of(response).code == 3
    assert encoding in status_of(response).message
    assert server.count() == before


def test_a_body_as_large_as_the_limit_is_taken(server: Receiver) -> None:
    data = body(1, "x" * (LIMIT - len(body()) - 20))
    assert LIMIT - 20 < len(data) <= LIMIT

    assert server.post(data).status_code == 200
    assert server.post(gzip.compress(data), content_encoding="gzip").status_code == 200


def test_a_larger_body_is_refused_before_it_is_read(server: Receiver) -> None:
    head = (
        f"POST /v1/traces HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: {PROTOBUF}\r\n"
        f"Content-Length: {LIMIT + 1}\r\n\r\n"
    )

    assert talk(server, head.encode()).startswith(b"HTTP/1.1 413 ")


def test_a_larger_body_in_chunks_is_refused(server: Receiver) -> None:
    def chunks() -> Iterator[bytes]:
        for _ in range(LIMIT // 100_000 + 2):
            yield b"\0" * 100_000

    response = server.client.post(
        "/v1/traces", content=chunks(), headers={"content-type": PROTOBUF}
    )

    assert response.status_code == 413
    assert str(LIMIT) in status_of(response).message


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "zlib"])
def test_a_decompression_bomb_is_refused(server: Receiver, encoding: str) -> None:
    bomb = ENCODINGS[encoding](b"\0" * (200 * LIMIT))
    assert len(bomb) < LIMIT / 4

    response = server.post(bomb, content_encoding=encoding)

    assert response.status_code == 413
    assert "decompressed" in status_of(response).message


def test_a_bomb_of_many_members_is_refused(server: Receiver) -> None:
    bomb = gzip.compress(b"\0" * (LIMIT // 2)) * 50

    assert server.post(bomb, content_encoding="gzip").status_code == 413
