"""Bring a database's tables to the version this server needs, and refuse any other."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
from sqlalchemy import Connection, inspect, text

from agenttrace.errors import SchemaError
from agenttrace_server.store.database import Database
from agenttrace_server.tables import Row

if TYPE_CHECKING:
    from alembic.config import Config

HEAD = "0007"
"""The newest migration, so that opening a database in order costs no import of Alembic."""


class Revision(msgspec.Struct, frozen=True):
    """One migration; `down` is the one before it, None for the first."""

    revision: str
    down: str | None
    message: str


def migrations_folder() -> Path:
    """Where the migrations are: in the installed package, or beside it in a checkout."""
    package = Path(__file__).parents[1]
    for folder in (package / "migrations", package.parents[1] / "migrations"):
        if (folder / "env.py").is_file():
            return folder
    raise SchemaError(
        "The migrations are missing from this installation; reinstall agenttrace-server"
    )


def upgrade(database_url: str, revision: str = "head") -> None:
    """Migrate up to a revision; a new database gets every table.

    Raises `SchemaError` where the tables are newer than this server, or half migrated.
    """
    with _connected(database_url) as database, database.write() as connection:
        _checked(connection)
        _run(connection, "upgrade", revision)


def downgrade(database_url: str, revision: str = "base") -> None:
    """Migrate down to a revision, or with `-1` by one; what newer tables held is lost."""
    with _connected(database_url) as database, database.write() as connection:
        _checked(connection)
        _run(connection, "downgrade", revision)


def current(database_url: str) -> str | None:
    """Return the revision a database is at, or None where it has no tables of ours.

    Raises `SchemaError` where the database is half migrated.
    """
    with _connected(database_url) as database, database.read() as connection:
        return revision_of(connection)


def history() -> list[Revision]:
    """Return every migration, oldest first."""
    from alembic.script import ScriptDirectory

    scripts = ScriptDirectory.from_config(_config()).walk_revisions()
    return [
        Revision(script.revision, _down(script.down_revision), script.doc or "")
        for script in reversed(list(scripts))
    ]


def check(database_url: str) -> None:
    """Return if this server can use the database; else raise `SchemaError` saying what to do."""
    found = current(database_url)
    if found != HEAD:
        raise SchemaError(
            f"The database is at revision {found or 'none'}, this server needs {HEAD}; "
            "run: agenttrace migrate up"
        )


def prepare(database: Database) -> None:
    """Make or migrate the tables of a database that a store is about to use.

    Raises `SchemaError` where they are newer than this server, or half migrated.
    """
    with database.read() as connection:
        if _checked(connection) == HEAD:
            return
    with database.write() as connection:
        if _checked(connection) != HEAD:
            _run(connection, "upgrade", "head")


def revision_of(connection: Connection) -> str | None:
    """Return the revision of the database, or None where there is nothing of ours in it."""
    tables = set(inspect(connection).get_table_names())
    revisions: list[str] = []
    if "alembic_version" in tables:
        revisions = list(
            connection.execute(text("SELECT version_num FROM alembic_version")).scalars()
        )
    if not revisions and not tables & Row.metadata.tables.keys():
        return None
    if len(revisions) != 1:
        raise SchemaError(
            "The database is half migrated: it has tables of AgentTrace but no single revision; "
            "restore a backup, or use another database"
        )
    return revisions[0]


def _checked(connection: Connection) -> str | None:
    """Return the revision of the database, which this server knows; raises `SchemaError`."""
    found = revision_of(connection)
    if found is None or found == HEAD:
        missing = Row.metadata.tables.keys() - set(inspect(connection).get_table_names())
        if found and missing:
            raise SchemaError(
                f"The database is half migrated: {', '.join(sorted(missing))} missing; "
                "restore a backup, or use another database"
            )
        return found
    if found not in {known.revision for known in history()}:
        raise SchemaError(
            f"The database is at revision {found}, which this server does not know: a newer "
            "AgentTrace made it; upgrade agenttrace-server, or use another database"
        )
    return found


def _run(connection: Connection, direction: str, revision: str) -> None:
    from alembic import command
    from alembic.util.exc import CommandError

    config = _config()
    config.attributes["connection"] = connection
    try:
        getattr(command, direction)(config, revision)
    except CommandError as error:
        raise SchemaError(f"Cannot migrate to {revision!r}: {error}") from error


@lru_cache(maxsize=1)
def _folder() -> str:
    return str(migrations_folder())


def _config() -> "Config":
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", _folder().replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    return config


def _down(revision: str | tuple[str, ...] | list[str] | None) -> str | None:
    return revision if isinstance(revision, str) or revision is None else revision[0]


@contextmanager
def _connected(database_url: str) -> Iterator[Database]:
    database = Database(database_url)
    try:
        yield database
    finally:
        database.close()
