"""Automations, their versions, tenants and keys."""

import asyncio

import msgspec
import pytest

from tests.storage.samples import (
    NOW,
    Tenant,
    accept,
    automation,
    change,
    held_writer,
    land,
    new_id,
    step,
    version,
)
from vai.domain.events import RunCompleted
from vai.domain.state import Result
from vai.domain.status import RunStatus
from vai.ports import AlreadyExists, ApiKeyRecord, VersionsSummary
from vai.storage.store import SqlStore


async def test_an_automation_is_created_changed_and_listed(store: SqlStore, tenant: Tenant) -> None:
    record = automation(tenant.id, "hourly", description="d", status="draft", template_id="t")
    draft = version(record, status="draft")
    await store.create_automation(record, draft)
    assert await store.automation(tenant.id, record.id) == record
    assert await store.automation_by_name(tenant.id, "hourly") == record
    assert await store.version(draft.id) == draft
    changed = msgspec.structs.replace(record, name="every hour", status="archived", updated_at=NOW + 1)
    await store.update_automation(changed)
    assert await store.automation(tenant.id, record.id) == changed
    page = await store.automations(tenant.id, [], 10, 0)
    assert ([item.name for item in page.items], page.total) == (["every hour", "nightly"], 2)
    page = await store.automations(tenant.id, ["active", "draft"], 10, 0)
    assert ([item.name for item in page.items], page.total) == (["nightly"], 1)
    page = await store.automations(tenant.id, [], 1, 1)
    assert ([item.name for item in page.items], page.total) == (["nightly"], 2)


async def test_a_name_is_taken_once(store: SqlStore, tenant: Tenant) -> None:
    twice = automation(tenant.id)
    first = version(twice)
    with pytest.raises(AlreadyExists):
        await store.create_automation(twice, first)
    assert await store.version(first.id) is None


async def test_versions_are_published_together(store: SqlStore, tenant: Tenant) -> None:
    record = await store.automation(tenant.id, tenant.automation_id)
    assert record is not None
    (first,) = await store.versions(tenant.id, record.id)
    second = version(record, 2, "draft")
    assert await store.save_versions(record, [second])
    published = [
        msgspec.structs.replace(second, status="active", published_at=NOW),
        msgspec.structs.replace(first, status="archived"),
    ]
    assert await store.save_versions(record, published)
    assert await store.versions(tenant.id, record.id) == published


@pytest.mark.parametrize("status", ["draft", "active"])
async def test_somebody_was_faster(store: SqlStore, tenant: Tenant, status: str) -> None:
    record = await store.automation(tenant.id, tenant.automation_id)
    assert record is not None
    (first,) = await store.versions(tenant.id, record.id)
    rivals = [version(record, number, status) for number in (2, 3)]
    archived = msgspec.structs.replace(first, status="archived")
    async with held_writer(store):
        saves = [asyncio.ensure_future(store.save_versions(record, [archived, rival])) for rival in rivals]
        await asyncio.sleep(0)
    assert await asyncio.gather(*saves) == [True, False]
    assert await store.versions(tenant.id, record.id) == [rivals[0], archived]


async def test_the_summary_shows_the_draft_else_the_active_else_the_latest(store: SqlStore, tenant: Tenant) -> None:
    record = await store.automation(tenant.id, tenant.automation_id)
    assert record is not None

    async def summary() -> VersionsSummary:
        return (await store.version_summaries(tenant.id, [record.id, "none"]))[record.id]

    assert await summary() == VersionsSummary(1, 1, False, {"number": 1})
    await store.save_versions(record, [version(record, 2, "draft"), version(record, 3, "archived")])
    assert await summary() == VersionsSummary(3, 1, True, {"number": 2})
    await store.save_versions(
        record, [msgspec.structs.replace(v, status="archived") for v in await store.versions(tenant.id, record.id)]
    )
    assert await summary() == VersionsSummary(3, 0, False, {"number": 3})


async def test_an_automation_is_deleted_with_its_final_runs(store: SqlStore, tenant: Tenant) -> None:
    done, live = [await accept(store, tenant) for _ in range(2)]
    preview = Result("p", truncated=True, artifact_id=new_id())
    await land(
        store,
        change(
            done,
            status=RunStatus.COMPLETED,
            steps=[step(action_run_id=new_id(), result=preview, artifact="[]")],
        ),
    )
    assert not await store.delete_automation(tenant.id, tenant.automation_id)
    assert await store.steps(tenant.id, done.id)
    await land(store, change(live, status=RunStatus.CANCELLED))
    assert await store.delete_automation(tenant.id, tenant.automation_id)
    assert await store.automation(tenant.id, tenant.automation_id) is None
    assert await store.version(tenant.version_id) is None
    assert await store.run(tenant.id, done.id) is None
    assert await store.steps(tenant.id, done.id) == []
    assert await store.events(done.id) == []
    assert await store.artifact_content(tenant.id, preview.artifact_id or "") is None


def key(tenant: Tenant, name: str, **changes: object) -> ApiKeyRecord:
    record = ApiKeyRecord(
        new_id(), tenant.id, name, "vai_", f"hash of {name}", "admin", "api_key", None, None, NOW, None, None
    )
    return msgspec.structs.replace(record, **changes)


async def test_keys_are_found_by_hash_used_and_revoked(store: SqlStore, tenant: Tenant) -> None:
    first, second = key(tenant, "first"), key(tenant, "second")
    session = key(tenant, "session", kind="session", parent_id=first.id, expires_at=NOW + 9)
    for record in (first, second, session):
        await store.create_api_key(record)
    assert await store.api_key_by_hash(session.key_hash) == session
    assert await store.api_key_by_hash("unknown") is None
    assert await store.api_keys(tenant.id) == [second, first]
    await store.touch_api_key(second.id, NOW + 5)
    assert await store.api_key_by_hash(second.key_hash) == msgspec.structs.replace(second, last_used_at=NOW + 5)
    assert await store.revoke_api_key(tenant.id, first.id, NOW + 6)
    assert not await store.revoke_api_key(tenant.id, first.id, NOW + 7)
    # With a key go the sessions that were made from it.
    revoked = [await store.api_key_by_hash(record.key_hash) for record in (first, session, second)]
    assert [record and record.revoked_at for record in revoked] == [NOW + 6, NOW + 6, None]


async def test_a_session_made_while_its_key_was_being_revoked_is_not_good(store: SqlStore, tenant: Tenant) -> None:
    """Whoever opened it had read the key before."""
    parent = key(tenant, "parent")
    await store.create_api_key(parent)
    assert await store.revoke_api_key(tenant.id, parent.id, NOW + 6)
    late = key(tenant, "late", kind="session", parent_id=parent.id, expires_at=NOW + 9)
    await store.create_api_key(late)
    assert await store.api_key_by_hash(late.key_hash) == msgspec.structs.replace(late, revoked_at=NOW + 6)


async def test_organizations_are_found_by_id_and_slug(store: SqlStore) -> None:
    organization_id = new_id()
    await store.create_organization(organization_id, "Acme", "acme", NOW)
    expected = {"id": organization_id, "name": "Acme", "slug": "acme", "created_at": NOW}
    assert await store.organization(organization_id) == expected
    assert await store.organization_by_slug("acme") == expected
    assert await store.organization("none") is None
    with pytest.raises(AlreadyExists):
        await store.create_organization(new_id(), "Acme", "acme", NOW)


async def test_a_deletion_leaves_nothing_of_a_run_that_ends_beside_it(store: SqlStore, tenant: Tenant) -> None:
    run = await accept(store, tenant)
    ended = change(run, status=RunStatus.COMPLETED, steps=[step(action_run_id=new_id())], events=[RunCompleted(NOW)])
    async with held_writer(store):
        commit = asyncio.ensure_future(store.commit(ended))
        deletion = asyncio.ensure_future(store.delete_automation(tenant.id, tenant.automation_id))
        await asyncio.sleep(0)
    await commit
    is_deleted = await deletion
    left = [*await store.steps(tenant.id, run.id), *await store.events(run.id)]
    assert len(left) == (0 if is_deleted else 3)
