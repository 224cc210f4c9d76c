"""Settings as the command line sees them: options first, then `AGENTTRACE_*`, then defaults."""

import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from agenttrace.errors import AgentTraceError, StoreUnavailable

if TYPE_CHECKING:
    from agenttrace_server.settings import Settings

DatabaseURL = Annotated[
    str | None,
    typer.Option(
        metavar="URL",
        help="Where traces are kept: sqlite:///FILE or postgresql://… "
        "(default: a file in your data folder, or AGENTTRACE_DATABASE_URL)",
    ),
]


def read_settings(**options: Any) -> "Settings":
    """Return the settings with every option that is not None on top of the environment."""
    from pydantic import ValidationError

    from agenttrace_server.settings import Settings

    given = {name: value for name, value in options.items() if value is not None}
    try:
        return Settings(**given)
    except ValidationError as error:
        problems = "; ".join(
            f"{_name(str(problem['loc'][0]), given)}: {problem['msg'].lower()}"
            for problem in error.errors()
        )
        raise AgentTraceError(f"wrong setting: {problems}") from None


def require_writable(settings: "Settings") -> None:
    """Raise `StoreUnavailable` if the folder of an SQLite database cannot be written."""
    file = database_file(settings.database_url)
    if file is None:
        return
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=file.parent):
            pass
        if file.exists() and not os.access(file, os.W_OK):
            raise PermissionError(13, "Permission denied")
    except OSError as error:
        raise StoreUnavailable(
            f"cannot write to {file.parent} ({error.strerror or error}); set AGENTTRACE_DATA_DIR "
            "to a folder you can write to, or pass --database-url sqlite:////path/to/agenttrace.db"
        ) from None


def database_file(database_url: str) -> Path | None:
    """Return the file of an SQLite URL, or None for any other database."""
    scheme, _, path = database_url.partition("///")
    if not scheme.startswith("sqlite") or path in ("", ":memory:"):
        return None
    return Path(path.partition("?")[0])


def _name(field: str, given: dict[str, Any]) -> str:
    if field in given:
        return "--" + field.replace("_", "-")
    return f"AGENTTRACE_{field.upper()}"
