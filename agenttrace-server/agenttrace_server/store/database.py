"""Reach a database: short reads, one write at a time, and one kind of error when it is away."""

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

from sqlalchemy import Connection, Engine, create_engine, event, exc
from sqlalchemy.engine import URL, make_url
from sqlalchemy.pool import QueuePool

from agenttrace.errors import StoreUnavailable

BUSY_SECONDS = 15
"""How long a write waits for another process's write before it gives up."""

_SQLITE_AWAY = {
    sqlite3.SQLITE_BUSY: "it is locked by another process",
    sqlite3.SQLITE_LOCKED: "it is locked by another process",
    sqlite3.SQLITE_FULL: "the disk is full",
    sqlite3.SQLITE_READONLY: "it is read-only",
    sqlite3.SQLITE_IOERR: "the disk cannot be read or written",
    sqlite3.SQLITE_CANTOPEN: "the file cannot be opened",
    sqlite3.SQLITE_PERM: "the file may not be opened",
    sqlite3.SQLITE_NOTADB: "the file is not an SQLite database",
    sqlite3.SQLITE_CORRUPT: "the file is damaged",
    sqlite3.SQLITE_PROTOCOL: "it is locked by another process",
}


class Database:
    """One database, through a pool of connections for reading and one (SQLite) for writing."""

    def __init__(self, database_url: str, read_url: str | None = None) -> None:
        self.url = _checked(database_url)
        self.is_sqlite = self.url.get_backend_name() == "sqlite"
        self._errors: tuple[type[Exception], ...] = (exc.SQLAlchemyError, sqlite3.Error)
        if self.is_sqlite:
            _make_folder(self.url)
            self.writer = _sqlite_engine(self.url, writes=True)
            self.reader = _sqlite_engine(self.url, writes=False)
        else:
            from psycopg import Error  # costs a third of a second to import

            self._errors += (Error,)
            self.writer = _postgres_engine(self.url)
            self.reader = self.writer
        self.replica = self.reader
        if read_url and not self.is_sqlite:
            self.replica = _postgres_engine(_checked(read_url))
        self._writing = threading.Lock()

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """One snapshot of the database; raises `StoreUnavailable`."""
        with self._available(), self.reader.begin() as connection:
            yield connection

    @contextmanager
    def query(self) -> Iterator[Connection]:
        """Like `read`, but of the replica where there is one, which MAY lag behind."""
        with self._available(), self.replica.begin() as connection:
            yield connection

    @property
    def has_replica(self) -> bool:
        """Whether another database answers queries."""
        return self.replica is not self.reader

    def pool(self) -> tuple[int, int]:
        """Return how many connections are in use, and how many there may be."""
        engines = {id(engine): engine for engine in (self.reader, self.writer, self.replica)}
        pools = [cast(QueuePool, engine.pool) for engine in engines.values()]
        return (
            sum(pool.checkedout() for pool in pools),
            sum(pool.size() + pool._max_overflow for pool in pools),
        )

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """One transaction, durable when the block is left; raises `StoreUnavailable`."""
        with self._available(), self._turn(), self.writer.begin() as connection:
            yield connection

    def close(self) -> None:
        """Close every connection."""
        self.replica.dispose()
        self.reader.dispose()
        self.writer.dispose()

    @contextmanager
    def _turn(self) -> Iterator[None]:
        """Threads of one process queue here: SQLite itself would make them poll for the lock."""
        if not self.is_sqlite:
            yield
            return
        if not self._writing.acquire(timeout=2 * BUSY_SECONDS):
            raise StoreUnavailable(f"Cannot write {self._name()}: another write takes too long")
        try:
            yield
        finally:
            self._writing.release()

    @contextmanager
    def _available(self) -> Iterator[None]:
        try:
            yield
        except self._errors as error:
            if reason := _why_away(error):
                raise StoreUnavailable(f"Cannot use {self._name()}: {reason}") from error
            raise

    def _name(self) -> str:
        return f"the database {self.url.render_as_string(hide_password=True)}"


def _checked(database_url: str) -> URL:
    try:
        url = make_url(database_url)
    except exc.ArgumentError:
        raise StoreUnavailable(
            f"{database_url!r} is no database URL; write sqlite:///file.db or postgresql://…"
        ) from None
    backend = url.get_backend_name()
    if backend == "sqlite":
        if url.database in (None, "", ":memory:"):
            raise StoreUnavailable(
                "A database in memory cannot be shared with the analysis; name a file: sqlite:///file.db"
            )
        return url.set(drivername="sqlite+pysqlite")
    if backend in ("postgresql", "postgres"):
        return url.set(drivername="postgresql+psycopg")
    raise StoreUnavailable(f"{backend!r} is not supported; write sqlite:///… or postgresql://…")


def _make_folder(url: URL) -> None:
    folder = Path(str(url.database)).expanduser().parent
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StoreUnavailable(f"Cannot make the folder {folder}: {error.strerror}") from error


def _sqlite_engine(url: URL, *, writes: bool) -> Engine:
    engine = create_engine(
        url.set(database=str(Path(str(url.database)).expanduser())),
        connect_args={
            "timeout": BUSY_SECONDS,
            "check_same_thread": False,
            "cached_statements": 256,
        },
        pool_size=1 if writes else 8,
        max_overflow=0 if writes else 56,
        pool_timeout=2 * BUSY_SECONDS,
    )

    @event.listens_for(engine, "connect")
    def _set_up(connection: sqlite3.Connection, _record: Any) -> None:
        connection.isolation_level = None  # we say BEGIN ourselves: the driver's own is too late
        for pragma in (
            "journal_mode = WAL",
            # FULL syncs the log at every commit, so that what was acknowledged outlives a power
            # cut and not only a crash; group commit makes many requests share that sync.
            "synchronous = FULL",
            "foreign_keys = ON",
            f"cache_size = {-65_536 if writes else -16_384}",
            # Pages that change again and again are copied to the file once in 16 MB, not in 4.
            "wal_autocheckpoint = 4000",
            "mmap_size = 268435456",
            "temp_store = MEMORY",
            "journal_size_limit = 67108864",
        ):
            connection.execute(f"PRAGMA {pragma}").close()

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    return engine


def _postgres_engine(url: URL) -> Engine:
    return create_engine(
        url,
        pool_size=20,
        max_overflow=10,
        pool_timeout=2 * BUSY_SECONDS,
        pool_pre_ping=True,
        connect_args={"connect_timeout": 10},
    )


def _why_away(error: BaseException) -> str | None:
    """Why the database cannot be used now, or None where the fault is in what was asked of it."""
    if isinstance(error, exc.TimeoutError):
        return "every connection is in use"
    cause = getattr(error, "orig", None) or error
    if isinstance(cause, sqlite3.Error):
        code = getattr(cause, "sqlite_errorcode", None)
        return _SQLITE_AWAY.get(code & 0xFF) if code is not None else None
    # Both the wrapped errors and the driver's own, as COPY raises them, have these names.
    names = {kind.__name__ for kind in type(cause).__mro__}
    if names & {"OperationalError", "InterfaceError", "ReadOnlySqlTransaction"}:
        return str(cause).strip().split("\n")[0] or type(cause).__name__
    return None
