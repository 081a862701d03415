"""The log of organizations, and steps that wait for an event of it, on both databases."""

from __future__ import annotations

import uuid
from typing import Any

import msgspec
import pytest

from tests.storage.samples import NOW, Clock, Tenant, accept, add_tenant, change, land, new_id, step
from vai.domain import events as e
from vai.domain.state import EventWait, RunError
from vai.domain.status import DecisionStatus, StepStatus
from vai.ports import ApiKeyRecord, EventFilter, TenantEvent
from vai.ports.current import current_actor
from vai.storage.store import SqlStore


def told(tenant: Tenant, event_type: str = "order.paid", **fields: Any) -> TenantEvent:
    known = {"resource_type": None, "resource_id": None, "actor_type": "user", "actor_id": "me", "occurred_at": NOW}
    known |= {"correlation_id": "c", "causation_id": None, "payload": {"order": 7}}
    return TenantEvent(**{"id": new_id(), "tenant_id": tenant.id, "event_type": event_type, **known, **fields})


async def types(store: SqlStore, tenant: Tenant, **chosen: Any) -> list[str]:
    page = await store.tenant_events(EventFilter(tenant.id, **chosen))
    assert page.total >= len(page.items)
    return [event.event_type for event in reversed(page.items)]


async def test_an_event_comes_back_as_it_was_told(store: SqlStore, tenant: Tenant) -> None:
    event = told(tenant, payload={"text": "\0 and 💡", "list": [1, None]}, resource_type="order", resource_id="7")
    assert await store.add_event(event, None) == event
    assert await store.tenant_event(tenant.id, event.id) == event
    assert (await store.tenant_events(EventFilter(tenant.id, event_type="order.paid"))).items == [event]


async def test_a_key_makes_an_event_count_once_within_its_organization(store: SqlStore, tenant: Tenant) -> None:
    other = await add_tenant(store)
    first = await store.add_event(told(tenant), "key")
    assert await store.add_event(told(tenant, payload="again"), "key") == first
    theirs = await store.add_event(told(other), "key")
    assert theirs.tenant_id == other.id
    assert await store.add_event(told(tenant), None) != first


async def test_lists_filter_page_and_count(store: SqlStore, tenant: Tenant) -> None:
    events = [
        await store.add_event(told(tenant, f"order.{word}", occurred_at=NOW + i, resource_id=str(i % 2)), None)
        for i, word in enumerate(["paid", "sent", "paid"])
    ]
    assert await types(store, tenant, event_type="order.paid") == ["order.paid", "order.paid"]
    assert await types(store, tenant, resource_id="1") == ["order.sent"]
    assert await types(store, tenant, since=NOW + 1, until=NOW + 2) == ["order.sent"]
    page = await store.tenant_events(EventFilter(tenant.id, correlation_id="c", limit=1, offset=1))
    assert (page.items, page.total) == ([events[1]], 3)
    assert (await store.tenant_events(EventFilter(tenant.id, correlation_id="c", limit=0))).total == 3
    counts = await store.count_events(tenant.id, NOW, NOW + 2)
    assert ("order.paid", 1) in counts.by_event_type
    assert counts.total == sum(count for _, count in counts.by_event_type)
    assert counts.by_actor_type[0][1] >= counts.by_actor_type[-1][1]


async def test_what_a_run_does_is_in_the_log_in_its_order(store: SqlStore, tenant: Tenant) -> None:
    run = await accept(store, tenant)
    question = e.StepAwaitingApproval(NOW, "gate", new_id())
    decided = e.StepDecided(NOW, "gate", question.decision_id, DecisionStatus.REJECTED, by="nobody-known")
    error = RunError("step_failed", "\0 broke", ("gate",))
    await land(store, change(run, events=[e.RunStarted(NOW), question, decided, e.RunFailed(NOW, error)]))
    page = await store.tenant_events(EventFilter(tenant.id, correlation_id=run.id))
    told = list(reversed(page.items))
    assert [event.event_type for event in told] == [
        *("automation.triggered", "decision.requested", "decision.rejected", "automation.failed"),
    ]
    assert [event.resource_id for event in told] == [run.id, *[question.decision_id] * 2, run.id]
    assert {uuid.UUID(event.id).version for event in told} == {7}
    assert (told[2].actor_type, told[2].actor_id) == ("system", "nobody-known")
    assert told[3].payload["data"]["error"]["message"].endswith(" broke")
    assert told[3].payload["automationId"] == tenant.automation_id
    assert all(event.occurred_at == NOW for event in told[1:])


async def test_who_cancels_is_told_by_their_key(store: SqlStore, tenant: Tenant) -> None:
    key = ApiKeyRecord(new_id(), tenant.id, "ci", "vai_", "hash", "admin", "api_key", None, None, NOW, None, None)
    await store.create_api_key(key)
    run = await accept(store, tenant)
    await land(store, change(run, events=[e.RunCancelRequested(NOW, key.id)]))
    (event,) = (await store.tenant_events(EventFilter(tenant.id, event_type="automation.cancel_requested"))).items
    assert (event.actor_type, event.actor_id) == ("api_key", key.id)


async def test_a_child_shares_the_correlation_of_the_run_that_waits_for_it(store: SqlStore, tenant: Tenant) -> None:
    parent = await accept(store, tenant)
    child = await accept(store, tenant, parent_run_id=parent.id, parent_step_key="call", parent_attempt=1)
    grandchild = await accept(store, tenant, parent_run_id=child.id, parent_step_key="call", parent_attempt=1)
    page = await store.tenant_events(EventFilter(tenant.id, correlation_id=parent.id))
    assert {event.resource_id for event in page.items} == {parent.id, child.id, grandchild.id}
    causes = {event.resource_id: event.causation_id for event in page.items}
    assert causes == {parent.id: None, child.id: parent.id, grandchild.id: child.id}


async def test_a_change_that_is_refused_is_not_in_the_log(store: SqlStore, tenant: Tenant) -> None:
    before = await types(store, tenant)
    assert not await store.delete_connection(tenant.id, new_id())
    assert not await store.revoke_api_key(tenant.id, new_id(), NOW)
    assert await types(store, tenant) == before


async def test_the_log_tells_who_defined_what(store: SqlStore) -> None:
    token = current_actor.set(("user", "someone"))
    tenant = await add_tenant(store)
    current_actor.reset(token)
    page = await store.tenant_events(EventFilter(tenant.id))
    assert {event.event_type for event in page.items} == {"automation.created", "automation.published"} or {
        event.event_type for event in page.items
    } == {"automation.created"}
    assert {(event.actor_type, event.actor_id) for event in page.items} == {("user", "someone")}


# --- steps that wait ---------------------------------------------------------------------------------------------


async def waiting(store: SqlStore, tenant: Tenant, *keys: str, event_type: str = "order.paid") -> str:
    """A run with steps that wait for an event; its id."""
    run = await accept(store, tenant)
    wait = EventWait(event_type, NOW, "event.payload.order == input", {"input": 7})
    writes = [step(key, status=StepStatus.RUNNING, awaits=wait) for key in keys]
    await land(store, change(run, steps=writes))
    return run.id


async def test_events_are_pending_until_they_are_settled(store: SqlStore, tenant: Tenant, clock: Clock) -> None:
    await store.settle_events([event.id for event in await store.pending_events(100)])
    events = [await store.add_event(told(tenant), None) for _ in range(3)]
    assert await store.pending_events(2) == events[:2]
    await store.settle_events([event.id for event in events[:2]])
    assert await store.pending_events(100) == events[2:]
    await store.settle_events([])
    assert await store.pending_events(100) == events[2:]


async def test_the_steps_that_wait_for_a_type_are_found_in_pages(store: SqlStore, tenant: Tenant) -> None:
    runs = sorted([await waiting(store, tenant, "a", "b"), await waiting(store, tenant, "a")])
    await waiting(store, tenant, "a", event_type="order.sent")
    await waiting(store, await add_tenant(store), "a")
    found, last = [], None
    while steps := await store.awaiting_steps(tenant.id, "order.paid", last, 2):
        found += [(one.run_id, one.key) for one in steps]
        assert all(one.wait.names == {"input": 7} for one in steps)
        last = steps[-1]
    assert len(found) == 3
    assert found == sorted(found)
    assert {run_id for run_id, _ in found} == set(runs)


async def test_a_step_looks_back_once_and_waits_no_more_when_it_has_ended(store: SqlStore, tenant: Tenant) -> None:
    run = await accept(store, tenant)
    wait = EventWait("order.paid", NOW)
    await land(store, change(run, steps=[step("a", status=StepStatus.RUNNING, awaits=wait)]))
    (one,) = await store.looking_back(10)
    assert (one.tenant_id, one.run_id, one.attempt, one.key, one.wait) == (tenant.id, run.id, 1, "a", wait)
    await store.looked_back(one)
    assert await store.looking_back(10) == []
    assert await store.awaiting_steps(tenant.id, "order.paid", None, 10) == [one]
    run = msgspec.structs.replace(run, version=run.version + 1)
    await land(store, change(run, steps=[step("a", status=StepStatus.COMPLETED)]))
    assert await store.awaiting_steps(tenant.id, "order.paid", None, 10) == []


async def test_events_since_a_time_come_in_their_order(store: SqlStore, tenant: Tenant) -> None:
    events = [await store.add_event(told(tenant, occurred_at=NOW + i), None) for i in range(4)]
    await store.add_event(told(await add_tenant(store), occurred_at=NOW + 9), None)
    assert await store.events_since(tenant.id, "order.paid", NOW + 1, "", 2) == events[1:3]
    assert await store.events_since(tenant.id, "order.paid", NOW + 1, events[2].id, 9) == events[3:]


@pytest.mark.parametrize("many", [1, 100, 101])
async def test_many_are_settled_together(store: SqlStore, tenant: Tenant, many: int) -> None:
    await store.settle_events([event.id for event in await store.pending_events(1000)])
    ids = [(await store.add_event(told(tenant), None)).id for _ in range(many)]
    await store.settle_events(ids)
    assert await store.pending_events(1000) == []


async def test_old_events_are_removed_in_pieces_but_for_those_that_are_pending(store: SqlStore, tenant: Tenant) -> None:
    await store.settle_events([event.id for event in await store.pending_events(1000)])
    old, new, also = (str(uuid.UUID(f"{at:012x}70008000{i:012x}")) for i, at in enumerate([NOW - 9, NOW, NOW - 9]))
    theirs = await store.add_event(told(await add_tenant(store), id=also), None)
    for event_id in (old, new):
        await store.add_event(told(tenant, "order.old", id=event_id), None)
    assert await store.remove_events(tenant.id, NOW) == 0, "nobody was told of it yet"
    await store.settle_events([old, new])
    assert await store.remove_events(tenant.id, NOW) == 1
    assert await store.remove_events(tenant.id, NOW) == 0
    (left,) = (await store.tenant_events(EventFilter(tenant.id, event_type="order.old"))).items
    assert left.id == new
    assert await store.tenant_event(theirs.tenant_id, theirs.id) == theirs
