"""Hear from PostgreSQL that another process changed a trace, instead of asking again and again."""

import threading
import time

import psycopg
from sqlalchemy.engine import URL

from agenttrace.errors import StoreUnavailable
from agenttrace_server.store.postgres import CHANNEL


class Notices:
    """One connection that listens; it is opened when first asked, and again after it broke."""

    def __init__(self, url: URL) -> None:
        self._url = url.set(drivername="postgresql").render_as_string(hide_password=False)
        self._connection: psycopg.Connection | None = None
        self._lock = threading.Lock()
        self._closed = False

    def wait(self, seconds: float) -> None:
        """Return when a change was committed since the last call, at the latest after `seconds`.

        At once where it has just begun to listen. Raises `StoreUnavailable`.
        """
        with self._lock:
            try:
                if self._connection is None:
                    self._connection = psycopg.connect(
                        self._url, autocommit=True, connect_timeout=10
                    )
                    self._connection.execute(f"LISTEN {CHANNEL}")
                    return
                for _ in self._connection.notifies(timeout=seconds, stop_after=1):
                    return
            except (psycopg.Error, OSError) as error:
                self._drop()
                if self._closed:
                    time.sleep(seconds)
                    return
                raise StoreUnavailable(f"Cannot listen to the database: {error}") from error

    def close(self) -> None:
        """Listen no more; who waits is let go."""
        self._closed = True
        if connection := self._connection:
            connection.close()

    def _drop(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()
