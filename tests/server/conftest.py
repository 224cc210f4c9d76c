"""The store contract runs against every database."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from agenttrace_server.store import Store
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
