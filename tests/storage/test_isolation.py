"""No tenant sees anything of another, whatever it asks for."""

from collections.abc import Awaitable, Callable

import pytest
from msgspec.structs import replace

from tests.storage.samples import (
    NOW,
    Tenant,
    accept,
    add_tenant,
    automation,
    change,
    land,
    new_id,
    schedule,
    step,
    version,
)
from vai.domain.state import Result
from vai.ports import ActionRunFilter, ApiKeyRecord, ConnectionRecord, DataKeyRecord, Page, RunFilter
from vai.storage.store import SqlStore

ARTIFACT, ACTION_RUN, RUN, KEY, CONNECTION, TRIGGER = (new_id() for _ in range(6))
THEIRS = ConnectionRecord(CONNECTION, "", "CRM", "crm", "http", {}, "sealed", ["token"], "active", None, None, NOW, NOW)
EMPTY = Page([], 0)

Read = Callable[[SqlStore, Tenant, str], Awaitable[object]]

READS: dict[str, tuple[Read, object]] = {
    "run": (lambda s, t, me: s.run(me, RUN), None),
    "runs": (lambda s, t, me: s.runs(RunFilter(me)), EMPTY),
    "runs of an automation": (lambda s, t, me: s.runs(RunFilter(me, automation_id=t.automation_id)), EMPTY),
    "steps": (lambda s, t, me: s.steps(me, RUN), []),
    "action run": (lambda s, t, me: s.action_run(me, ACTION_RUN), None),
    "action runs": (lambda s, t, me: s.action_runs(ActionRunFilter(me)), EMPTY),
    "action runs of a run": (lambda s, t, me: s.action_runs(ActionRunFilter(me, run_id=RUN)), EMPTY),
    "artifact": (lambda s, t, me: s.artifact(me, ARTIFACT), None),
    "artifact content": (lambda s, t, me: s.artifact_content(me, ARTIFACT), None),
    "automation": (lambda s, t, me: s.automation(me, t.automation_id), None),
    "automation by name": (lambda s, t, me: s.automation_by_name(me, "nightly"), None),
    "automations": (lambda s, t, me: s.automations(me, [], 10, 0), EMPTY),
    "versions": (lambda s, t, me: s.versions(me, t.automation_id), []),
    "summaries": (lambda s, t, me: s.version_summaries(me, [t.automation_id]), {}),
    "latest runs": (lambda s, t, me: s.latest_runs(me, [t.automation_id]), {}),
    "connection": (lambda s, t, me: s.connection(me, CONNECTION), None),
    "connections": (lambda s, t, me: s.connections(me, 10, 0), EMPTY),
    "connections by slug": (lambda s, t, me: s.connections_named(me, "slug", "crm"), []),
    "connections by provider": (lambda s, t, me: s.connections_named(me, "provider", "http"), []),
    "update connection": (lambda s, t, me: s.update_connection(replace(THEIRS, tenant_id=me), NOW), False),
    "delete connection": (lambda s, t, me: s.delete_connection(me, CONNECTION), False),
    "trigger": (lambda s, t, me: s.trigger(me, TRIGGER), None),
    "triggers": (lambda s, t, me: s.triggers(me, t.automation_id), []),
    "data key": (lambda s, t, me: s.data_key(me), None),
    "api keys": (lambda s, t, me: s.api_keys(me), []),
    "revoke key": (lambda s, t, me: s.revoke_api_key(me, KEY, NOW), False),
}


@pytest.fixture
async def owner(store: SqlStore, tenant: Tenant) -> Tenant:
    """A tenant that has one of everything."""
    run = await accept(store, tenant, id=RUN)
    preview = Result("preview", truncated=True, artifact_id=ARTIFACT)
    await land(store, change(run, steps=[step(action_run_id=ACTION_RUN, result=preview, artifact="[]")]))
    key = ApiKeyRecord(KEY, tenant.id, "ci", "vai_", "hash", "admin", "api_key", None, None, NOW, None, None)
    await store.create_api_key(key)
    await store.create_connection(replace(THEIRS, tenant_id=tenant.id))
    record = await store.automation(tenant.id, tenant.automation_id)
    assert record is not None
    await store.save_versions(record, [], [schedule(tenant, id=TRIGGER)])
    await store.create_data_key(DataKeyRecord(tenant.id, "master", "sealed", NOW))
    return tenant


@pytest.mark.parametrize("name", READS)
async def test_another_tenant_sees_nothing(store: SqlStore, owner: Tenant, name: str) -> None:
    read, nothing = READS[name]
    assert await read(store, owner, new_id()) == nothing
    assert await read(store, owner, owner.id) != nothing


async def test_another_tenant_changes_nothing(store: SqlStore, owner: Tenant) -> None:
    stranger = await add_tenant(store)
    mine = await store.automation(owner.id, owner.automation_id)
    versions = await store.versions(owner.id, owner.automation_id)
    theirs = automation(stranger.id, "stolen", id=owner.automation_id)
    await store.update_automation(theirs)
    await store.save_versions(theirs, [version(theirs, id=owner.version_id, config={"stolen": True})])
    await store.delete_automation(stranger.id, owner.automation_id)
    assert await store.automation(owner.id, owner.automation_id) == mine
    assert await store.versions(owner.id, owner.automation_id) == versions
