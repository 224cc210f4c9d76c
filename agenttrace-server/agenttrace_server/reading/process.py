"""Read large bodies in processes of their own.

Reading is half of the work of taking spans in. Were it all done in the server's process, it would
take the interpreter lock from the thread that writes. `python -m agenttrace_server.reading.process
PROJECT_ID` reads bodies from its standard input until that ends, which is when the server is gone.
"""

import logging
import os
import struct
import subprocess
import sys
import threading
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from queue import SimpleQueue
from typing import IO

import msgspec

from agenttrace.errors import InvalidPayload, StoreUnavailable
from agenttrace.plugins import Plugins, load_plugins
from agenttrace_server import children, logs
from agenttrace_server.decode import JSON, PROTOBUF
from agenttrace_server.garbage import collect_less
from agenttrace_server.reading import Read, prepare, read
from agenttrace_server.rejected import Rejected
from agenttrace_server.store.batch import Batch, Incoming, ScopeText
from agenttrace_server.store.rows import scrubbed

log = logging.getLogger("agenttrace.receive")

LARGE = 64 * 1024
"""Bytes of a body that are worth the way to another process and back."""
MOST_PROCESSES = 4

_FORMS = (PROTOBUF, JSON)
_READ, _INVALID, _FAILED = range(3)
_HEAD = struct.Struct("<BQ")
"""The form of a body, or what an answer is, and how many bytes follow."""
_UP = b"u"
_PIPE_BYTES = 1024 * 1024
_MODULE = "agenttrace_server.reading.process"


class _Answer(msgspec.Struct, array_like=True):
    spans: list[Incoming]
    scopes: list[ScopeText]
    count: int
    rejected: list[Rejected]


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(_Answer).decode


class Readers:
    """Reads bodies for many threads at once, as many large ones as there are processes.

    These start with the first large body, and until one is up, bodies are read here.
    """

    def __init__(self, plugins: Plugins, project_id: int, processes: int | None = None) -> None:
        self._plugins = plugins
        self._project_id = project_id
        self._wanted = _spare_cores() if processes is None else processes
        self._all: list[_Reader] = []
        self._free: SimpleQueue[_Reader] = SimpleQueue()
        self._starting = threading.Lock()

    def read(self, body: bytes, form: str) -> Read:
        """Return the spans of a body.

        Raises `InvalidPayload`, and `StoreUnavailable` where the process that read it has died.
        """
        if len(body) >= LARGE and self._wanted:
            with self._one() as reader:
                if reader.is_up:
                    return reader.read(body, form)
        return read(body, form, self._plugins, self._project_id)

    def close(self) -> None:
        """End the processes."""
        with self._starting:
            self._wanted = 0
            for reader in self._all:
                reader.stop()

    @contextmanager
    def _one(self) -> Iterator["_Reader"]:
        with self._starting:
            while len(self._all) < self._wanted:
                self._all.append(_Reader(self._project_id))
                self._free.put(self._all[-1])
        reader = self._free.get()
        try:
            yield reader
        finally:
            self._free.put(reader)


class _Reader:
    """One process, which starts again when it has ended; used by one thread at a time."""

    def __init__(self, project_id: int) -> None:
        self._project_id = project_id
        self._start()

    def read(self, body: bytes, form: str) -> Read:
        try:
            kind, answer = self._ask(body, form)
        except (OSError, EOFError) as error:
            self.stop()
            self._start()
            raise StoreUnavailable(
                "The process that was reading the request has ended; send it again"
            ) from error
        if kind == _INVALID:
            raise InvalidPayload(answer.decode())
        if kind == _FAILED:
            raise RuntimeError(f"A request could not be read: {answer.decode()}")
        found = _decode(answer)
        batch = Batch(self._project_id, found.spans, found.scopes)
        return Read(batch, found.count, found.rejected)

    def stop(self) -> None:
        self._process.kill()
        self._process.wait()

    def _start(self) -> None:
        self.is_up = False
        self._process = children.start(_MODULE, str(self._project_id), stdout=subprocess.PIPE)
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._bodies, self._answers = self._process.stdin, self._process.stdout
        for pipe in (self._bodies, self._answers):
            _widen(pipe)
        threading.Thread(target=self._wait, args=(self._answers,), daemon=True).start()

    def _wait(self, answers: IO[bytes]) -> None:
        self.is_up = answers.read(1) == _UP and answers is self._answers

    def _ask(self, body: bytes, form: str) -> tuple[int, bytes]:
        self._bodies.write(_HEAD.pack(_FORMS.index(form), len(body)))
        self._bodies.write(body)
        self._bodies.flush()
        kind, size = _HEAD.unpack(_whole(self._answers, _HEAD.size))
        return kind, _whole(self._answers, size)


def _whole(pipe: IO[bytes], size: int) -> bytes:
    data = pipe.read(size)
    if len(data) < size:
        raise EOFError
    return data


def _widen(pipe: IO[bytes]) -> None:
    """Have a pipe take a whole body at once, where the system lets us."""
    if sys.platform == "linux":
        import fcntl

        try:
            fcntl.fcntl(pipe.fileno(), fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
        except OSError as error:
            log.debug("A pipe stays as it is: %s", error)


def _spare_cores() -> int:
    cores = len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1
    return min(MOST_PROCESSES, cores - 1)


def main() -> None:
    """Answer for each body with what it holds, until there are no more."""
    logs.set_up()
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a plugin prints must not get among the answers
    plugins = load_plugins()
    prepare()
    collect_less()
    answers.write(_UP)
    answers.flush()
    bodies = sys.stdin.buffer
    try:
        while len(head := bodies.read(_HEAD.size)) == _HEAD.size:
            form, size = _HEAD.unpack(head)
            kind, answer = _answer(bodies.read(size), _FORMS[form], plugins)
            answers.write(_HEAD.pack(kind, len(answer)))
            answers.write(answer)
            answers.flush()
    except BrokenPipeError:
        log.debug("The server is gone")


def _answer(body: bytes, form: str, plugins: Plugins) -> tuple[int, bytes]:
    try:
        found = read(body, form, plugins, int(sys.argv[1]))
    except InvalidPayload as error:
        return _INVALID, str(error).encode("utf-8", "replace")
    except Exception:  # noqa: BLE001 - the server answers for it
        return _FAILED, traceback.format_exc().encode("utf-8", "replace")
    spans, scopes = list(found.batch.incoming.values()), list(found.batch.scopes.values())
    answer = _Answer(spans, scopes, found.count, found.rejected)
    try:
        return _READ, _encode(answer)
    except UnicodeEncodeError:
        return _READ, _encode(scrubbed(answer))


if __name__ == "__main__":
    main()
