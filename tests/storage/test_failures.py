"""A database that cannot be used: one sentence for each waiter, and the writer goes on once it can."""

import asyncio
import contextlib
import os
import sqlite3
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import psycopg
import pytest

from tests.storage.samples import Clock, Tenant, accept, change, held_writer, land, log, step
from vai.domain.state import Result
from vai.ports import StoreUnavailable, Transaction
from vai.storage import open_store
from vai.storage.store import SqlStore

on_sqlite = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
on_postgres = pytest.mark.parametrize("database_url", ["postgres"], indirect=True)


@on_sqlite
async def test_a_full_disk_refuses_the_batch_and_harms_nothing(store: SqlStore, tenant: Tenant) -> None:
    runs = [await accept(store, tenant) for _ in range(3)]

    def limit_to(pages: str) -> asyncio.Future[object]:
        # SQLite's own limit of the file's size: the error is the one of a full disk.
        return store._call(lambda c: c.execute(f"PRAGMA max_page_count={pages}").fetchall())

    pages = await store._call(lambda c: c.execute("PRAGMA page_count").fetchall()[0][0])
    await limit_to(pages)
    tried: list[Transaction] = []
    store.on_transaction.append(tried.append)
    large = step(result=Result("x" * 500_000))
    async with held_writer(store):
        jobs = [asyncio.ensure_future(store.commit(change(run, steps=[large], events=[log()]))) for run in runs]
        await asyncio.sleep(0)
    answers = await asyncio.gather(*jobs, return_exceptions=True)
    assert [str(answer) for answer in answers if isinstance(answer, StoreUnavailable)] == 3 * [
        f"The disk that holds {store._db.path} is full; free some space and try again."  # type: ignore[attr-defined]
    ]
    # Together, in one transaction: what the database cannot take now it takes of none of them.
    assert [one.jobs for one in tried if one.failed] == [3]
    assert [len(await store.events(run.id)) for run in runs] == [1, 1, 1]
    await limit_to("1000000")
    for run in runs:
        await land(store, change(run, steps=[large], events=[log()]))


@on_sqlite
async def test_another_process_that_keeps_writing_is_named(store: SqlStore, tenant: Tenant) -> None:
    run = await accept(store, tenant)
    await store._call(lambda c: c.execute("PRAGMA busy_timeout=20").fetchall())
    path = store._db.path  # type: ignore[attr-defined]
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreUnavailable, match="Another process has been writing"):
            await store.commit(change(run))
        assert (await store.run(tenant.id, run.id)) == run  # readers are not in its way
        other.execute("ROLLBACK")
    await land(store, change(run))


@on_postgres
async def test_a_server_that_cuts_every_connection_is_connected_again(
    store: SqlStore, tenant: Tenant, database_url: str
) -> None:
    await store.register_engine("me", 60)
    run = await accept(store, tenant, lease_owner="me")
    heard: list[str] = []
    store.on_commit.append(lambda run_id, status, events: heard.append(run_id))
    with psycopg.connect(database_url, autocommit=True) as admin:
        admin.execute(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
    # Nothing was under way: nobody needs to notice.
    await land(store, change(run, lease_owner="me"))
    assert heard == [run.id]
    assert (await store.run(tenant.id, run.id)) is not None
    async with asyncio.timeout(20):
        while not store._db.describe()["listening"]:
            await store.check()
    # The engine's lock is taken again with its next renewal; nobody claimed its runs meanwhile.
    assert await store.renew("me", 60)
    await store.register_engine("other", 60)
    assert not await store.claim_run("other", run.id)


@pytest.mark.parametrize("database_url", ["sqlite", "postgres"], indirect=True)
async def test_a_closed_store_refuses(database_url: str, clock: Clock) -> None:
    store = open_store(database_url, clock=clock)
    await store.open()
    await store.close()
    with pytest.raises(StoreUnavailable, match="closed"):
        await store.organization("any")
    with pytest.raises(StoreUnavailable, match="closed"):
        await store.create_organization("a", "a", "a", 0)


@pytest.mark.parametrize("content, sentence", [(b"no database at all" * 100, "is not a SQLite database")])
async def test_a_file_that_is_no_database(tmp_path: Path, content: bytes, sentence: str) -> None:
    path = tmp_path / "vai.db"
    path.write_bytes(content)
    with pytest.raises(StoreUnavailable, match=sentence):
        await open_store(f"sqlite:///{path}", clock=Clock()).open()
    assert path.read_bytes() == content


async def test_a_directory_that_cannot_be(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StoreUnavailable, match="cannot be used"):
        await open_store(f"sqlite:///{tmp_path}/file/vai.db", clock=Clock()).open()


@pytest.mark.skipif(os.geteuid() == 0, reason="the superuser may write everywhere")
def test_a_directory_that_may_not_be_written(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(StoreUnavailable, match="cannot be opened"):
        asyncio.run(open_store(f"sqlite:///{tmp_path}/vai.db", clock=Clock()).open())


async def test_a_server_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(StoreUnavailable, match="does not answer") as caught:
        await open_store(f"postgresql://me:secret@/vai?host={tmp_path}", clock=Clock()).open()
    assert "secret" not in str(caught.value)


@pytest.mark.postgres
async def test_a_database_that_is_not_there(postgres: str) -> None:
    url = urlunsplit(urlsplit(postgres)._replace(path="/nowhere"))
    with pytest.raises(StoreUnavailable, match="There is no database 'nowhere'"):
        await open_store(url, clock=Clock()).open()


@pytest.mark.parametrize(
    "url",
    [
        "mysql://localhost/vai",
        "postgresql://me:secret@[host/vai",
        "sqlite://",
        "sqlite:///a.db?synchronous=MAYBE",
        "sqlite:///:memory:",
        "vai.db",
    ],
)
def test_a_url_that_is_none(url: str) -> None:
    with pytest.raises(ValueError) as caught:
        open_store(url, clock=Clock())
    assert "secret" not in str(caught.value)


@on_sqlite
@pytest.mark.parametrize("level, number", [("FULL", 2), ("NORMAL", 1)])
async def test_synchronous_is_full_unless_asked(database_url: str, clock: Clock, level: str, number: int) -> None:
    store = open_store(database_url + ("" if level == "FULL" else f"?synchronous={level}"), clock=clock)
    await store.open()
    assert isinstance(store, SqlStore)
    assert await store._call(lambda c: c.execute("PRAGMA synchronous").fetchall()) == [(number,)]
    assert (await store.check())["synchronous"] == level
    await store.close()
