"""Fixtures that tests of several rooms share."""

from collections.abc import Iterator

import pytest

from tests.postgres import create_database, drop_database, postgres_server


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """The URL of a running PostgreSQL server."""
    with postgres_server() as url:
        yield url


@pytest.fixture
def postgres_url(postgres: str) -> Iterator[str]:
    """The URL of an empty database."""
    url = create_database(postgres)
    yield url
    drop_database(postgres, url)
