"""A PostgreSQL for tests, with TimescaleDB if there is one: named, or our own while they run.

`AGENTTRACE_TEST_DATABASE_URL` names a server on which databases may be made. Without it a cluster
is made in a temporary folder, which ends with the tests: by the programs in the Debian tree that
`AGENTTRACE_TEST_TREE` names, which has TimescaleDB (see `noxfile.py`), or by those of this system.
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
_INITDB = ("--auth=trust", "--username=agenttrace", "--encoding=UTF8", "--no-sync")
# Its files are thrown away in any case, so it need not wait for the disk.
_SETTINGS = "-c listen_addresses=127.0.0.1 -c fsync=off -c max_connections=200"


def is_available() -> bool:
    """Whether tests can have a PostgreSQL here."""
    named = bool(os.environ.get("AGENTTRACE_TEST_DATABASE_URL"))
    return named or _tree() is not None or _programs() is not None


def is_plain_too() -> bool:
    """Whether tests can also have a PostgreSQL without TimescaleDB, beside one with it."""
    return _tree() is not None and _programs() is not None


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
    tree = None if plain else _tree()
    return _cluster() if tree is None else _cluster_in(tree)


def _cluster() -> URL:
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

    run("initdb", *_INITDB)
    options = f"-p {port} -k {folder} {_SETTINGS}"
    run("pg_ctl", "start", "--wait", f"--log={folder / 'log'}", f"--options={options}")
    atexit.register(run, "pg_ctl", "stop", "--mode=immediate")
    return URL.create("postgresql", "agenttrace", None, "127.0.0.1", port, "postgres")


def _cluster_in(tree: Path) -> URL:
    """Start a cluster by the programs of another Debian, beside this one."""
    (programs,) = tree.glob("usr/lib/postgresql/*/bin")
    within = Path("/", programs.relative_to(tree))
    folder, port = f"/tmp/agenttrace-{os.getpid()}", free_port()
    atexit.register(shutil.rmtree, tree / folder[1:], ignore_errors=True)

    def run(program: str, *arguments: str) -> None:
        subprocess.run(
            ["chroot", "--userspec=postgres", tree, within / program, "-D", folder, *arguments],
            check=True,
            stdout=subprocess.DEVNULL,
        )

    run("initdb", *_INITDB)
    timescale = "-c shared_preload_libraries=timescaledb -c timescaledb.telemetry_level=off"
    options = f"-p {port} -k /tmp {_SETTINGS} {timescale}"
    run("pg_ctl", "start", "--wait", f"--log={folder}/log", f"--options={options}")
    atexit.register(run, "pg_ctl", "stop", "--mode=immediate")
    return URL.create("postgresql", "agenttrace", None, "127.0.0.1", port, "postgres")


def _tree() -> Path | None:
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
