"""The locks that show which engines live: taken again when their session is cut, and missed before one is dead."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Iterator
from urllib.parse import urlsplit, urlunsplit

import psycopg
import pytest

from tests.storage.samples import Tenant, accept
from vai.storage.absences import Absences
from vai.storage.postgres_locks import EngineLocks
from vai.storage.store import SqlStore

on_postgres = pytest.mark.parametrize("database_url", ["postgres"], indirect=True)

HOLDERS = """
SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND objsubid = 1 AND granted
AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
"""


class Seconds:
    """A monotonic clock, turned by hand."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_an_engine_is_dead_when_it_was_missing_for_the_time_of_grace() -> None:
    clock, connection = Seconds(), object()
    absences = Absences(1.0, clock)
    assert absences.dead(connection, ["one", "two"]) == set()
    clock.now = 0.9
    assert absences.dead(connection, ["one"]) == set()
    assert absences.in_doubt
    clock.now = 1.0
    assert absences.dead(connection, ["one", "two"]) == {"one"}  # the other one was there meanwhile
    clock.now = 1.9
    assert absences.dead(connection, ["two"]) == set()
    clock.now = 2.0
    assert absences.dead(connection, ["two"]) == {"two"}
    assert not absences.in_doubt


def test_who_was_cut_off_begins_to_count_anew() -> None:
    clock, first, second = Seconds(), object(), object()
    absences = Absences(1.0, clock)
    assert absences.dead(first, ["one"]) == set()
    clock.now = 60.0
    assert absences.dead(second, ["one"]) == set()
    clock.now = 61.0
    assert absences.dead(second, ["one"]) == {"one"}


def test_without_a_time_of_grace_one_look_tells() -> None:
    assert Absences(0.0).dead(object(), ["one"]) == {"one"}


@pytest.fixture
def admin(postgres_url: str) -> Iterator[psycopg.Connection]:
    """A connection that looks at the locks."""
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        yield connection


@pytest.fixture
def locks(postgres_url: str) -> Iterator[EngineLocks]:
    """The locks of one process, which holds that of the engine `me`."""
    locks = EngineLocks(lambda: psycopg.connect(postgres_url, autocommit=True))
    locks.hold("me")
    yield locks
    locks.close()


def holders(admin: psycopg.Connection) -> set[int]:
    return {pid for (pid,) in admin.execute(HOLDERS).fetchall()}


def until_another_holds(admin: psycopg.Connection, than: int) -> None:
    deadline = time.monotonic() + 30
    while not holders(admin) - {than}:
        assert time.monotonic() < deadline


def until_none_holds(admin: psycopg.Connection) -> None:
    """The server ends a session, and lets go of its lock, a moment after the client closed it."""
    deadline = time.monotonic() + 30
    while holders(admin):
        assert time.monotonic() < deadline


def until_two_hold(admin: psycopg.Connection) -> None:
    deadline = time.monotonic() + 30
    while len(holders(admin)) < 2:
        assert time.monotonic() < deadline


@pytest.mark.postgres
def test_a_lock_whose_session_is_cut_is_taken_again_at_once(
    locks: EngineLocks, admin: psycopg.Connection, caplog: pytest.LogCaptureFixture
) -> None:
    (first,) = holders(admin)
    admin.execute("SELECT pg_terminate_backend(%s, 5000)", [first])
    until_another_holds(admin, first)
    assert locks.missing(admin, ["me", "other"]) == ["other"]
    locks.close()  # and what the thread told is told
    assert [record.getMessage() for record in caplog.records] == [
        "The session that shows that this engine lives was cut; it has a new one."
    ]
    until_none_holds(admin)


@pytest.mark.postgres
def test_a_lock_that_the_server_lost_without_a_word_is_taken_again(
    locks: EngineLocks, admin: psycopg.Connection, postgres_url: str
) -> None:
    (first,) = holders(admin)
    # Seen from another database there are no locks, as when the server gave up a session whose line is dead.
    with psycopg.connect(urlunsplit(urlsplit(postgres_url)._replace(path="/postgres")), autocommit=True) as blind:
        assert locks.missing(blind, ["other"]) == ["other"]
    until_another_holds(admin, first)


@pytest.mark.postgres
def test_a_lock_is_taken_again_once_there_is_a_connection(postgres_url: str, admin: psycopg.Connection) -> None:
    tries: list[bool] = []

    def connect() -> psycopg.Connection:
        tries.append(True)
        if 1 < len(tries) < 4:
            raise psycopg.OperationalError("no connection left")
        return psycopg.connect(postgres_url, autocommit=True)

    locks = EngineLocks(connect)
    locks.hold("me")
    try:
        (first,) = holders(admin)
        admin.execute("SELECT pg_terminate_backend(%s, 5000)", [first])
        until_another_holds(admin, first)
        assert len(tries) == 4
    finally:
        locks.close()


@pytest.mark.postgres
def test_who_is_let_go_is_not_held_again(locks: EngineLocks, admin: psycopg.Connection) -> None:
    locks.hold("other")
    locks.let_go("me")
    locks.let_go("me")
    deadline = time.monotonic() + 30
    while locks.missing(admin, ["me", "other"]) != ["me"]:  # the server takes a moment to end a session
        assert time.monotonic() < deadline


def test_locks_that_nobody_took_cost_nothing() -> None:
    open_files = len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else None
    locks = EngineLocks(lambda: pytest.fail("nobody asked for a connection"))
    assert locks.missing(None, []) == []  # type: ignore[arg-type]
    locks.close()
    if open_files is not None:
        assert len(os.listdir("/proc/self/fd")) == open_files


@on_postgres
async def test_the_runs_of_a_living_engine_stay_its_own_while_its_session_is_cut(
    store: SqlStore, other_store: SqlStore, tenant: Tenant, admin_of: psycopg.Connection
) -> None:
    await store.register_engine("me", 600)
    await other_store.register_engine("other", 600)
    run = await accept(store, tenant, lease_owner="me")
    for _ in range(3):
        for pid in holders(admin_of):
            admin_of.execute("SELECT pg_terminate_backend(%s, 5000)", [pid])
        assert not await other_store.claim_run("other", run.id)
        until_two_hold(admin_of)
    assert await store.held("me") == {run.id: 1}


@on_postgres
async def test_the_runs_of_a_dead_engine_are_free_soon_after_they_were_asked_for(
    store: SqlStore, other_store: SqlStore, tenant: Tenant
) -> None:
    """Without another claim: who drives runs hears of it."""
    await store.register_engine("dead", 600)
    await other_store.register_engine("other", 600)
    told: asyncio.Queue[str] = asyncio.Queue()
    other_store.on_commit.append(lambda run_id, status, events: told.put_nowait(run_id))
    run = await accept(store, tenant, lease_owner="dead")
    async with asyncio.timeout(30):
        assert await told.get() == run.id, "of its acceptance"
        store._db.let_go("dead")
        assert not await other_store.claim_run("other", run.id)
        assert await told.get() == run.id, "of its being free"
    assert await other_store.claim_run("other", run.id)


@on_postgres
async def test_who_was_taken_for_dead_lets_go_of_its_lock(
    store: SqlStore, other_store: SqlStore, admin_of: psycopg.Connection
) -> None:
    await store.register_engine("late", -1)
    await other_store.register_engine("other", 600)
    await other_store.claim("other", 1)
    assert not await store.renew("late", 600)
    assert len(holders(admin_of)) == 1


@pytest.fixture
def admin_of(database_url: str) -> Iterator[psycopg.Connection]:
    """A connection to the store's database that looks at the locks."""
    with psycopg.connect(database_url, autocommit=True) as connection:
        yield connection
