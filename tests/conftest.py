"""Fixtures that tests of several rooms share."""

from collections.abc import Iterator

import pytest

from tests.postgres import create_database, drop_database, postgres_server
from tests.temporal_server import temporal_server


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """The URL of a running PostgreSQL server."""
    with postgres_server() as url:
        yield url


@pytest.fixture(scope="session")
def temporal(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a running Temporal server."""
    with temporal_server(tmp_path_factory.mktemp("temporal")) as address:
        yield address


@pytest.fixture
def postgres_url(postgres: str) -> Iterator[str]:
    """The URL of an empty database."""
    url = create_database(postgres)
    yield url
    drop_database(postgres, url)
