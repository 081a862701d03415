"""The same store twice: every test of the conformance suite runs on SQLite and on PostgreSQL."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.postgres import create_database, drop_database
from tests.storage.samples import Clock, Tenant, add_tenant
from vai.storage import open_store
from vai.storage.store import SqlStore


@pytest.fixture(scope="session")
def migrated_postgres(postgres: str) -> str:
    """The name of a migrated database to copy."""

    async def migrate() -> str:
        url = create_database(postgres)
        store = open_store(url, clock=Clock())
        await store.open()
        await store.close()
        return url

    url = asyncio.run(migrate())
    return url.split("?")[0].rsplit("/", 1)[1]


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The URL of a database without tenants."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path}/vai.db"
        return
    server = request.getfixturevalue("postgres")
    url = create_database(server, request.getfixturevalue("migrated_postgres"))
    yield url
    drop_database(server, url)


@pytest.fixture
def clock() -> Clock:
    """A clock that stands still until it is turned."""
    return Clock()


@pytest.fixture
async def store(database_url: str, clock: Clock) -> AsyncIterator[SqlStore]:
    """An open store."""
    store = open_store(database_url, clock=clock)
    assert isinstance(store, SqlStore)
    await store.open()
    yield store
    await store.close()


@pytest.fixture
async def other_store(database_url: str, clock: Clock, store: SqlStore) -> AsyncIterator[SqlStore]:
    """A second store on the same database, as another process would have it."""
    other = open_store(database_url, clock=clock)
    assert isinstance(other, SqlStore)
    await other.open()
    yield other
    await other.close()


@pytest.fixture
async def tenant(store: SqlStore) -> Tenant:
    """A tenant with a published automation."""
    return await add_tenant(store)
