"""The migrations give exactly the tables, once, however many processes start together."""

import asyncio
import contextlib
import re
import sqlite3
import sys
from pathlib import Path

import psycopg
import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import create_engine, inspect

from tests.storage.samples import Clock, accept, add_tenant
from vai.ports import StoreUnavailable
from vai.storage import migrate, open_store
from vai.storage.tables import metadata

START = """
import asyncio, sys
from vai.storage import open_store

async def main():
    sys.stdin.readline()
    store = open_store(sys.argv[1], clock=lambda: 0)
    await store.open()
    await store.check()
    print("alembic" in sys.modules)
    await store.close()

asyncio.run(main())
"""


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def empty_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of a database in which nothing is yet."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/new/vai.db"
    url: str = request.getfixturevalue("postgres_url")
    return url


async def open_once(url: str) -> None:
    store = open_store(url, clock=Clock())
    await store.open()
    await store.close()


def alter(url: str, statement: str) -> None:
    if url.startswith("sqlite"):
        with contextlib.closing(sqlite3.connect(url.removeprefix("sqlite:///"), isolation_level=None)) as connection:
            connection.execute(statement)
    else:
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute(statement.encode())


async def test_the_newest_migration_gives_the_tables(empty_url: str) -> None:
    await open_once(empty_url)
    engine = create_engine(empty_url.replace("postgresql:", "postgresql+psycopg:"))
    with engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []
        # Checks are not part of that comparison.
        for table in metadata.tables.values():
            checks = {check["name"] for check in inspect(connection).get_check_constraints(table.name)}
            assert checks == {c.name for c in table.constraints if type(c).__name__ == "CheckConstraint"}
    engine.dispose()


def test_head_is_the_newest_migration() -> None:
    _, scripts = migrate.configuration()
    assert scripts.get_heads() == [migrate.HEAD]
    assert {script.revision for script in scripts.walk_revisions()} == migrate.KNOWN


@pytest.mark.process
async def test_processes_that_start_together_migrate_once(empty_url: str) -> None:
    processes = [
        await asyncio.create_subprocess_exec(
            sys.executable,
            *("-c", START, empty_url),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        for _ in range(4)
    ]
    answers = await asyncio.gather(*(process.communicate(b"go\n") for process in processes))
    assert [(process.returncode, error.decode()) for process, (_, error) in zip(processes, answers, strict=True)] == [
        (0, "")
    ] * 4
    assert b"True\n" in [output for output, _ in answers]


@pytest.mark.process
async def test_an_ordinary_start_does_not_load_the_migrations(empty_url: str) -> None:
    await open_once(empty_url)
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-c", START, empty_url),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    output, _ = await process.communicate(b"go\n")
    assert output == b"False\n"


async def test_a_newer_schema_is_left_alone(empty_url: str) -> None:
    await open_once(empty_url)
    alter(empty_url, "UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(StoreUnavailable, match=r"newer vai \(schema 9999\)"):
        await open_once(empty_url)


ADDITIONS = (
    "ALTER TABLE automation_runs ADD COLUMN of_a_newer_version TEXT",
    "CREATE TABLE of_a_newer_version (id TEXT)",
    "CREATE INDEX of_a_newer_version_too ON steps (tenant_id, status)",
)


async def test_a_newer_schema_that_only_adds_is_worked_with(empty_url: str) -> None:
    """Before it opens, and while it is open: a newer version may migrate beside it."""
    store = open_store(empty_url, clock=Clock())
    await store.open()
    tenant = await add_tenant(store)
    before = await accept(store, tenant)
    for statement in ADDITIONS:
        alter(empty_url, statement)
    alter(empty_url, "UPDATE alembic_version SET version_num = '9999_0001'")
    during = await accept(store, tenant)
    await store.close()
    again = open_store(empty_url, clock=Clock())
    await again.open()
    after = await accept(again, tenant)
    assert [await again.run(tenant.id, run.id) for run in (before, during, after)] == [before, during, after]
    await again.close()


async def test_a_newer_schema_that_needs_a_newer_version_is_left_alone(empty_url: str) -> None:
    await open_once(empty_url)
    alter(empty_url, "UPDATE alembic_version SET version_num = '9999_9998'")
    with pytest.raises(StoreUnavailable, match=r"newer vai \(schema 9999_9998\)"):
        await open_once(empty_url)


def test_every_migration_says_what_it_needs() -> None:
    _, scripts = migrate.configuration()
    for script in scripts.walk_revisions():
        assert re.fullmatch(r"\d{4}(_\d{4})?", script.revision), "see docs/deployment.md, Upgrades"


async def test_what_is_stored_is_there_after_the_next_start(empty_url: str) -> None:
    store = open_store(empty_url, clock=Clock())
    await store.open()
    tenant = await add_tenant(store)
    run = await accept(store, tenant)
    await store.close()
    again = open_store(empty_url, clock=Clock())
    await again.open()
    assert await again.run(tenant.id, run.id) == run
    await again.close()
