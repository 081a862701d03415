"""Triggers: written with versions, found when they are due, moved on by one alone."""

import asyncio
from typing import Any

import pytest
from msgspec.structs import replace

from tests.storage.samples import NOW, Clock, Tenant, add_tenant, new_id, schedule, version, webhook
from vai.ports import AutomationRecord, Fired, TriggerRecord
from vai.storage.store import SqlStore


async def save(store: SqlStore, tenant: Tenant, *triggers: TriggerRecord, **more: Any) -> AutomationRecord:
    record = await store.automation(tenant.id, tenant.automation_id)
    assert record is not None
    assert await store.save_versions(record, more.get("versions", []), triggers)
    return record


async def test_they_are_replaced_and_known_ones_keep_what_they_did(store: SqlStore, tenant: Tenant) -> None:
    kept, gone = schedule(tenant, "a"), schedule(tenant, "b")
    await save(store, tenant, kept, gone)
    assert await store.triggers(tenant.id, tenant.automation_id) == [kept, gone]
    await store.advance_trigger(kept, NOW + 60_000, Fired(NOW, "run", "reason"))
    await store.set_paused(replace(kept, next_due_at=NOW + 60_000), True, NOW + 60_000)
    later = replace(kept, version_id="v2", config={"schedule": "0 * * * *"}, next_due_at=NOW + 5, updated_at=NOW + 1)
    new = schedule(tenant, "c")
    await save(store, tenant, later, new)
    told = {"is_paused": True, "last_due_at": NOW, "last_run_id": "run", "last_error": "reason"}
    assert await store.triggers(tenant.id, tenant.automation_id) == [replace(later, **told), new]
    await save(store, tenant)
    assert await store.triggers(tenant.id, tenant.automation_id) == []


async def test_nothing_is_written_when_the_versions_are_refused(store: SqlStore, tenant: Tenant) -> None:
    record = await save(store, tenant, schedule(tenant, "a"))
    second_active = version(record, 2)
    assert not await store.save_versions(record, [second_active], [schedule(tenant, "b")])
    assert [one.key for one in await store.triggers(tenant.id, tenant.automation_id)] == ["a"]


async def test_those_due_are_found_the_longest_first(store: SqlStore, tenant: Tenant, clock: Clock) -> None:
    other = await add_tenant(store)
    early, late = schedule(tenant, "early", next_due_at=NOW - 5), schedule(other, "late", next_due_at=NOW)
    paused = schedule(tenant, "paused", next_due_at=NOW - 9, is_paused=True)
    called, future = schedule(tenant, "called", next_due_at=None), schedule(tenant, "future", next_due_at=NOW + 1)
    await save(store, other, late)
    assert await store.next_trigger_due() == NOW
    await save(store, tenant, early, paused, called, future)
    assert await store.due_triggers(NOW, 10) == [early, late]
    assert await store.due_triggers(NOW, 1) == [early]
    assert await store.next_trigger_due() == NOW - 5
    await store.set_paused(paused, False, NOW - 7)
    assert [one.key for one in await store.due_triggers(NOW, 10)] == ["paused", "early", "late"]


async def test_one_alone_moves_it_on(store: SqlStore, other_store: SqlStore, tenant: Tenant) -> None:
    trigger = schedule(tenant)
    await save(store, tenant, trigger)
    moves = [
        one.advance_trigger(trigger, NOW + 60_000, Fired(NOW, f"run {i}")) for i, one in enumerate([store, other_store])
    ]
    assert sorted(await asyncio.gather(*moves)) == [False, True]
    assert not await store.advance_trigger(trigger, NOW + 1, None)
    (found,) = await store.triggers(tenant.id, tenant.automation_id)
    assert (found.next_due_at, found.last_due_at) == (NOW + 60_000, NOW)
    assert await store.advance_trigger(found, None, None)
    assert await store.next_trigger_due() is None


async def test_a_reason_is_told_until_the_next_run(store: SqlStore, tenant: Tenant) -> None:
    trigger = schedule(tenant)
    await save(store, tenant, trigger)
    await store.advance_trigger(trigger, NOW + 1, Fired(NOW, "run"))
    await store.advance_trigger(replace(trigger, next_due_at=NOW + 1), NOW + 2, Fired(NOW + 1, None, "busy"))
    found = await store.trigger(tenant.id, trigger.id)
    assert found is not None
    assert (found.last_due_at, found.last_run_id, found.last_error) == (NOW + 1, "run", "busy")
    await store.advance_trigger(found, NOW + 3, Fired(NOW + 2, "next"))
    found = await store.trigger(tenant.id, trigger.id)
    assert found is not None
    assert (found.last_run_id, found.last_error) == ("next", None)


async def test_they_go_with_their_automation(store: SqlStore, tenant: Tenant) -> None:
    await save(store, tenant, schedule(tenant))
    assert await store.delete_automation(tenant.id, tenant.automation_id)
    assert await store.due_triggers(NOW, 10) == []


async def test_a_stranger_changes_none(store: SqlStore, tenant: Tenant) -> None:
    trigger = schedule(tenant)
    await save(store, tenant, trigger)
    await store.set_paused(replace(trigger, tenant_id=new_id()), True, None)
    assert await store.trigger(tenant.id, trigger.id) == trigger


@pytest.mark.parametrize("key", ["a", "b"])
async def test_a_key_is_of_one_trigger(store: SqlStore, tenant: Tenant, key: str) -> None:
    record = await save(store, tenant, schedule(tenant, "a"))
    is_same = key == "a"
    rivals = [schedule(tenant, "a"), schedule(tenant, key)]
    assert await store.save_versions(record, [], rivals) is not is_same


async def test_a_webhook_is_found_by_its_path_in_its_organization(store: SqlStore, tenant: Tenant) -> None:
    other = await add_tenant(store)
    mine, theirs = webhook(tenant, "orders"), webhook(other, "orders")
    await save(store, tenant, mine, schedule(tenant, "x", address="due"))
    await save(store, other, theirs)
    assert await store.webhook(tenant.id, "orders") == mine
    assert await store.webhook(other.id, "orders") == theirs
    for path in ("order", "due"):
        assert await store.webhook(tenant.id, path) is None
    await store.tell_trigger(replace(mine, tenant_id=other.id), Fired(NOW, "stolen"))
    await store.tell_trigger(mine, Fired(NOW, "run"))
    await store.tell_trigger(mine, Fired(NOW + 1, None, "reason"))
    told = await store.webhook(tenant.id, "orders")
    assert told == replace(mine, last_due_at=NOW + 1, last_run_id="run", last_error="reason")


async def test_a_path_is_of_one_webhook_and_may_be_exchanged(store: SqlStore, tenant: Tenant) -> None:
    first, second = webhook(tenant, "a"), webhook(tenant, "b")
    record = await save(store, tenant, first, second)
    await save(store, tenant, replace(first, address="b"), replace(second, address="a"))
    found = await store.webhook(tenant.id, "b")
    assert found is not None
    assert found.id == first.id
    assert not await store.save_versions(record, [], [first, replace(second, address="a")])
