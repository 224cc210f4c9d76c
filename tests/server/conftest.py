"""The store contract runs against every database."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from agenttrace_server.store import Store
from support.stored import DATABASES, opened


@pytest.fixture(params=DATABASES)
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The URL of an empty database."""
    with DATABASES[request.param](tmp_path) as url:
        yield url


@pytest.fixture
def store(database_url: str) -> Iterator[Store]:
    """An empty store."""
    with opened(database_url) as store:
        yield store
