"""A PostgreSQL for tests: the one that is named, or one of our own while the tests run.

`AGENTTRACE_TEST_DATABASE_URL` names a server on which databases may be made. Without it, where
PostgreSQL is installed, its own programs make a cluster in a temporary folder, which ends with the
tests.
"""

import atexit
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from itertools import count
from pathlib import Path

import psycopg
from sqlalchemy.engine import URL, make_url

from agenttrace_server.store import schema
from support.ports import free_port

_numbers = count(1)


def is_available() -> bool:
    """Whether tests can have a PostgreSQL here."""
    return bool(os.environ.get("AGENTTRACE_TEST_DATABASE_URL")) or _programs() is not None


@contextmanager
def postgres_url(*, empty: bool = False) -> Iterator[str]:
    """The URL of a database of its own: with our tables in it, or with nothing."""
    template = "template0" if empty else _template()
    name = f"agenttrace_test_{os.getpid()}_{next(_numbers)}"
    _run(f"CREATE DATABASE {name} TEMPLATE {template}")
    try:
        yield _server().set(database=name).render_as_string(hide_password=False)
    finally:
        _run(f"DROP DATABASE {name} WITH (FORCE)")


@lru_cache(maxsize=1)
def _template() -> str:
    name = f"agenttrace_template_{os.getpid()}"
    _run(f"CREATE DATABASE {name} TEMPLATE template0")
    atexit.register(_run, f"DROP DATABASE {name} WITH (FORCE)")
    schema.upgrade(_server().set(database=name).render_as_string(hide_password=False))
    # A template in use cannot be copied, and TimescaleDB's own workers visit every database.
    _run(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")
    _run(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'")
    return name


def _run(statement: str) -> None:
    url = _server().set(drivername="postgresql").render_as_string(hide_password=False)
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(statement.encode())


@lru_cache(maxsize=1)
def _server() -> URL:
    """A server's URL, with a database to connect to."""
    if named := os.environ.get("AGENTTRACE_TEST_DATABASE_URL"):
        return make_url(named)
    programs = _programs()
    assert programs is not None
    folder = Path(tempfile.mkdtemp(prefix="agenttrace-pg-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    # PostgreSQL refuses to run as root, as which CI often runs.
    user = "postgres" if os.geteuid() == 0 else None
    if user:
        shutil.chown(folder, user)
    data, port = folder / "data", free_port()

    def run(program: str, *arguments: str) -> None:
        subprocess.run(
            [programs / program, "-D", data, *arguments],
            user=user,
            cwd=folder,
            check=True,
            stdout=subprocess.DEVNULL,
        )

    run("initdb", "--auth=trust", "--username=agenttrace", "--encoding=UTF8", "--no-sync")
    # Its files are thrown away in any case, so it need not wait for the disk.
    settings = "-c listen_addresses=127.0.0.1 -c fsync=off -c max_connections=200"
    options = f"-p {port} -k {folder} {settings}"
    run("pg_ctl", "start", "--wait", f"--log={folder / 'log'}", f"--options={options}")
    atexit.register(run, "pg_ctl", "stop", "--mode=immediate")
    return URL.create("postgresql", "agenttrace", None, "127.0.0.1", port, "postgres")


@lru_cache(maxsize=1)
def _programs() -> Path | None:
    """The folder of PostgreSQL's programs, the newest version's."""
    folders = sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    on_path = shutil.which("initdb")
    if on_path:
        folders.append(Path(on_path).parent)
    return next((f for f in folders if (f / "initdb").exists() and (f / "pg_ctl").exists()), None)
