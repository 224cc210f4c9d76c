"""`migrate`: move a database to another version of the schema, and see where it is."""

from typing import Annotated

import msgspec
import typer

from agenttrace_server.cli.configuration import DatabaseURL, read_settings, require_writable
from agenttrace_server.cli.terminal import (
    Format,
    FormatOption,
    say,
    write_json,
    write_line,
    write_table,
)

migrate = typer.Typer(no_args_is_help=True, help="Bring a database's schema up to date, or back.")


def add_to(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.add_typer(migrate, name="migrate")


@migrate.command(epilog="Example: agenttrace migrate up")
def up(
    revision: Annotated[str, typer.Argument(help="How far.")] = "head",
    database_url: DatabaseURL = None,
) -> None:
    """Migrate up; a new database gets every table."""
    from agenttrace_server.store import schema

    url = _writable(database_url)
    schema.upgrade(url, revision)
    say(f"The database is at revision {schema.current(url)}")


@migrate.command(epilog="Example: agenttrace migrate down base --yes")
def down(
    revision: Annotated[str, typer.Argument(help="How far; `base` takes away every table.")],
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    database_url: DatabaseURL = None,
) -> None:
    """Migrate down; what the newer tables and columns held is lost."""
    from agenttrace_server.store import schema

    url = _writable(database_url)
    if not yes:
        typer.confirm(f"Go down to {revision} and lose what is newer?", abort=True, err=True)
    schema.downgrade(url, revision)
    say(f"The database is at revision {schema.current(url) or 'none: it has no tables'}")


@migrate.command(epilog="Example: agenttrace migrate current")
def current(database_url: DatabaseURL = None) -> None:
    """Say which revision a database is at."""
    from agenttrace_server.store import schema

    found = schema.current(_writable(database_url))
    write_line(found or "none")
    if found != schema.HEAD:
        say(f"This version of AgentTrace needs {schema.HEAD}: agenttrace migrate up")


@migrate.command(epilog="Example: agenttrace migrate history")
def history(form: FormatOption = Format.text) -> None:
    """List every revision, oldest first."""
    from agenttrace_server.store import schema

    revisions = schema.history()
    if form is Format.json:
        write_json([msgspec.structs.asdict(revision) for revision in revisions])
        return
    write_table(
        ("revision", "follows", "what"),
        ((r.revision, r.down or "", r.message) for r in revisions),
    )


def _writable(database_url: str | None) -> str:
    settings = read_settings(database_url=database_url)
    require_writable(settings)
    return settings.database_url
