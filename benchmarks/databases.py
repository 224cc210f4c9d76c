"""Empty databases to measure on: SQLite files, or on a PostgreSQL that syncs every commit."""

import argparse
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
from sqlalchemy.engine import URL, make_url

sys.path.append(str(Path(__file__).parents[1] / "tests"))

from support import postgres

SETTINGS = "-c shared_buffers=1GB -c max_wal_size=4GB"
"""What anyone sets who runs a PostgreSQL for more than a try."""


@contextmanager
def servers(named: str | None) -> Iterator[dict[str, URL | None]]:
    """Where databases can be made, by what it is called: SQLite, and a PostgreSQL if there is one.

    That is the named one, or one of our own while the block runs.
    """
    found: dict[str, URL | None] = {"SQLite": None}
    if named is not None:
        yield found | {_kind(make_url(named)): make_url(named)}
    elif postgres.can_be_killed():
        cluster = postgres.own_cluster(settings=SETTINGS)
        try:
            yield found | {_kind(cluster.url): cluster.url}
        finally:
            cluster.remove()
    else:
        yield found


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options that say which databases `chosen` gives."""
    parser.add_argument("--only", help="SQLite, PostgreSQL or TimescaleDB")
    parser.add_argument("--server", help="a PostgreSQL to make databases on: postgresql://…")


def chosen(options: argparse.Namespace) -> Iterator[tuple[str, URL | None]]:
    """Where databases can be made, one kind after the other, each with what it is called."""
    with servers(options.server) as found:
        for kind, server in found.items():
            if options.only in (None, kind):
                yield kind, server


@contextmanager
def database(server: URL | None, name: str = "bench") -> Iterator[str]:
    """The URL of an empty database, which is gone after the block."""
    if server is None:
        with tempfile.TemporaryDirectory() as folder:
            yield f"sqlite:///{folder}/{name}.db"
        return
    name = f"agenttrace_{name}_{os.getpid()}"
    with psycopg.connect(_plain(server), autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}".encode())
        try:
            yield server.set(database=name).render_as_string(hide_password=False)
        finally:
            connection.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())


def _kind(server: URL) -> str:
    with psycopg.connect(_plain(server)) as connection:
        has = b"SELECT count(*) FROM pg_available_extensions WHERE name = 'timescaledb'"
        (count,) = connection.execute(has).fetchone() or (0,)
    return "TimescaleDB" if count else "PostgreSQL"


def _plain(server: URL) -> str:
    return server.set(drivername="postgresql").render_as_string(hide_password=False)
