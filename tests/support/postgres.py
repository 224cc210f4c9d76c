"""A PostgreSQL for tests, with TimescaleDB if there is one: named, or our own while they run.

`AGENTTRACE_TEST_DATABASE_URL` names a server on which databases may be made. Without it a cluster
is made in a temporary folder, which ends with the tests: by the programs in the Debian tree that
`AGENTTRACE_TEST_TREE` names, which has TimescaleDB (see `noxfile.py`), or by those of this system.
"""

import atexit
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from itertools import count
from pathlib import Path

import psycopg
from sqlalchemy.engine import URL, make_url

from agenttrace_server.store import schema
from support.cluster import THROWN_AWAY, Cluster

_numbers = count(1)


def is_available() -> bool:
    """Whether tests can have a PostgreSQL here."""
    named = bool(os.environ.get("AGENTTRACE_TEST_DATABASE_URL"))
    return named or tree() is not None or _programs() is not None


def is_plain_too() -> bool:
    """Whether tests can also have a PostgreSQL without TimescaleDB, beside one with it."""
    return tree() is not None and _programs() is not None


@contextmanager
def postgres_url(*, empty: bool = False, plain: bool = False) -> Iterator[str]:
    """The URL of a database of its own: with our tables in it, or with nothing."""
    template = "template0" if empty else _template(plain)
    name = f"agenttrace_test_{os.getpid()}_{next(_numbers)}"
    _run(f"CREATE DATABASE {name} TEMPLATE {template}", plain)
    try:
        yield _server(plain).set(database=name).render_as_string(hide_password=False)
    finally:
        _run(f"DROP DATABASE {name} WITH (FORCE)", plain)


@lru_cache
def _template(plain: bool) -> str:
    name = f"agenttrace_template_{os.getpid()}"
    _run(f"CREATE DATABASE {name} TEMPLATE template0", plain)
    atexit.register(_run, f"DROP DATABASE {name} WITH (FORCE)", plain)
    schema.upgrade(_server(plain).set(database=name).render_as_string(hide_password=False))
    # A template in use cannot be copied, and TimescaleDB's own workers visit every database.
    _run(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false", plain)
    _run(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'", plain)
    return name


def _run(statement: str, plain: bool) -> None:
    url = _server(plain).set(drivername="postgresql").render_as_string(hide_password=False)
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(statement.encode())


@lru_cache
def _server(plain: bool) -> URL:
    """A server's URL, with a database to connect to."""
    if named := os.environ.get("AGENTTRACE_TEST_DATABASE_URL"):
        return make_url(named)
    return own_cluster(plain=plain).url


def can_be_killed() -> bool:
    """Whether there can be a cluster of our own, to be stopped and killed."""
    return tree() is not None or _programs() is not None


def own_cluster(
    *, plain: bool = False, data: Path | None = None, settings: str = THROWN_AWAY
) -> Cluster:
    """Start another cluster; `data` is a folder for it, within the tree if there is one."""
    inside = None if plain else tree()
    if inside is not None:
        (programs,) = inside.glob("usr/lib/postgresql/*/bin")
        return Cluster(programs, inside, data, settings)
    found = _programs()
    assert found is not None
    return Cluster(found, None, data, settings)


def tree() -> Path | None:
    """A Debian with PostgreSQL and TimescaleDB, which only root can enter."""
    named = os.environ.get("AGENTTRACE_TEST_TREE")
    if not named or os.geteuid() != 0:
        return None
    found = list(Path(named).glob("usr/lib/postgresql/*/lib/timescaledb.so"))
    return Path(named) if found else None


@lru_cache(maxsize=1)
def _programs() -> Path | None:
    """The folder of PostgreSQL's programs, the newest version's."""
    folders = sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    on_path = shutil.which("initdb")
    if on_path:
        folders.append(Path(on_path).parent)
    return next((f for f in folders if (f / "initdb").exists() and (f / "pg_ctl").exists()), None)
