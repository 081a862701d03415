"""How things stand in the store, what is told of its transactions, and its trouble."""

import logging
import sqlite3

import pytest

from tests.storage.samples import NOW, Clock, accept, add_tenant, schedule
from vai.domain.status import RunStatus
from vai.ports import Store, StoreUnavailable, Transaction
from vai.storage.outage import Outage

SECOND = 1_000


async def test_waiting_runs_are_counted_with_the_one_that_waits_longest(store: Store, clock: Clock) -> None:
    tenant = await add_tenant(store)
    first = await accept(store, tenant)
    await accept(store, tenant)
    await store.register_engine("engine", 600)
    before = await store.standing()
    assert (before.waiting, before.longest_waiting, before.waiting_since) == (2, first.id, first.updated_at)
    assert before.runs == {RunStatus.PENDING: 2}
    assert await store.claim("engine", 10)
    after = await store.standing()
    assert (after.waiting, after.waiting_since) == (0, None)
    assert [(engine.id, engine.runs_held, engine.is_live) for engine in after.engines] == [("engine", 2, True)]


async def test_runs_that_others_drive_do_not_wait_for_engines(store: Store) -> None:
    await accept(store, await add_tenant(store))
    assert (await store.standing(["dag"])).waiting == 1
    assert (await store.standing(["local"])).waiting == 0


async def test_late_schedules_are_counted(store: Store, clock: Clock) -> None:
    tenant = await add_tenant(store)
    record = await store.automation(tenant.id, tenant.automation_id)
    assert record is not None
    late, paused = schedule(tenant, next_due_at=NOW - 60_000), schedule(tenant, "b", next_due_at=NOW, is_paused=True)
    await store.save_versions(record, [], [late, paused])
    standing = await store.standing()
    assert (standing.overdue, standing.overdue_since) == (1, NOW - 60_000)
    await store.advance_trigger(late, clock() + 2**40, None)
    assert (await store.standing()).overdue == 0


async def test_an_expired_engine_is_not_live(store: Store) -> None:
    await store.register_engine("gone", 0)
    assert [engine.is_live for engine in (await store.standing()).engines] == [False]


async def test_every_transaction_is_told(store: Store) -> None:
    heard: list[Transaction] = []
    store.on_transaction.append(heard.append)
    await accept(store, await add_tenant(store))
    assert heard
    assert all(one.jobs >= 1 and one.seconds > 0 and not one.failed for one in heard)


def test_trouble_is_told_once_and_so_is_its_end(caplog: pytest.LogCaptureFixture) -> None:
    outage = Outage()
    with caplog.at_level(logging.DEBUG):
        outage.over()
        for _ in range(3):
            reason = StoreUnavailable("It does not answer.")
            assert outage.noted(reason) is reason
        assert outage.since is not None
        outage.noted(sqlite3.IntegrityError("not a matter of the database"))
        outage.over()
        outage.over()
    assert outage.since is None
    assert [record.message.split(" ")[3] for record in caplog.records] == ["be", "be"]
    assert "It does not answer." in caplog.records[0].message
