"""Stores on every database, and homes that commands run in."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from agenttrace_server.store import Store
from support.command import Home
from support.stored import DATABASES, WITH_PLAIN, database, opened


@pytest.fixture(params=DATABASES)
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The URL of a database without a trace."""
    with database(request.param, tmp_path) as url:
        yield url


@pytest.fixture(params=WITH_PLAIN)
def empty_database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The URL of a database without a table."""
    with database(request.param, tmp_path, empty=True) as url:
        yield url


@pytest.fixture
def store(database_url: str) -> Iterator[Store]:
    """An empty store."""
    with opened(database_url) as store:
        yield store


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """An empty home, in which no server runs."""
    return Home(tmp_path / "a home")


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    """A home in which a server runs: most commands mean the same there, and start faster."""
    home = Home(tmp_path_factory.mktemp("served"))
    with home.serving():
        yield home
