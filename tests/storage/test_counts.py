"""Lists of runs: their order, their filters, and totals that always equal what is there."""

import asyncio
import random
from functools import partial
from typing import Any

import pytest

from tests.storage.samples import (
    Tenant,
    accept,
    add_tenant,
    automation,
    change,
    land,
    new_id,
    step,
    version,
)
from vai.domain.status import RunStatus, StepStatus
from vai.ports import ActionRunFilter, RunFilter
from vai.storage.store import SqlStore


async def ids(store: SqlStore, **query: Any) -> tuple[list[str], int]:
    page = await store.runs(RunFilter(**query))
    return [run.id for run in page.items], page.total


async def test_runs_are_listed_newest_first_and_filtered(store: SqlStore, tenant: Tenant) -> None:
    runs = [await accept(store, tenant) for _ in range(6)]
    moved = (RunStatus.COMPLETED, RunStatus.FAILED, RunStatus.COMPLETED)
    for run, status in zip(runs, moved, strict=False):
        await land(store, change(run, status=status))
    newest = [run.id for run in reversed(runs)]
    assert await ids(store, tenant_id=tenant.id) == (newest, 6)
    assert await ids(store, tenant_id=tenant.id, limit=2, offset=3) == (newest[3:5], 6)
    assert await ids(store, tenant_id=tenant.id, limit=0) == ([], 6)
    assert await ids(store, tenant_id=tenant.id, offset=6) == ([], 6)
    completed = [runs[2].id, runs[0].id]
    for automation_id in (None, tenant.automation_id):
        where = {"tenant_id": tenant.id, "automation_id": automation_id}
        assert await ids(store, **where, statuses=[RunStatus.COMPLETED]) == (completed, 2)
        both = [RunStatus.COMPLETED, RunStatus.FAILED, RunStatus.FAILED]
        assert await ids(store, **where, statuses=both, limit=2) == ([runs[2].id, runs[1].id], 3)
        assert await ids(store, **where, statuses=both, limit=2, offset=2) == ([runs[0].id], 3)
        assert await ids(store, **where, statuses=[RunStatus.CANCELLED]) == ([], 0)


@pytest.mark.parametrize("listed", ["runs", "action runs", "automations"])
async def test_a_page_and_its_total_are_of_one_moment(
    store: SqlStore, tenant: Tenant, listed: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever lands between the two reads."""
    loop, land_one = asyncio.get_running_loop(), partial(accept_with_a_step, store, tenant)
    statements, name = store._run_lists, "run_page" if listed == "runs" else "action_run_page"
    if listed == "automations":
        statements, name, land_one = store._automation_sql, "page", partial(add_automation, store, tenant)
    await land_one()
    page = getattr(statements, name)

    def late(*filters: Any) -> Any:
        # On the reading thread, after the total was read.
        asyncio.run_coroutine_threadsafe(land_one(), loop).result(30)
        return page(*filters)

    monkeypatch.setattr(statements, name, late)
    found = await {
        "runs": lambda: store.runs(RunFilter(tenant.id)),
        "action runs": lambda: store.action_runs(ActionRunFilter(tenant.id)),
        "automations": lambda: store.automations(tenant.id, [], 10, 0),
    }[listed]()
    assert len(found.items) == found.total > 0


async def accept_with_a_step(store: SqlStore, tenant: Tenant) -> None:
    run = await accept(store, tenant)
    await land(store, change(run, steps=[step(new_id(), status=StepStatus.RUNNING, action_run_id=new_id())]))


async def add_automation(store: SqlStore, tenant: Tenant) -> None:
    record = automation(tenant.id, new_id())
    await store.create_automation(record, version(record))


async def test_the_latest_run_of_each_automation(store: SqlStore, tenant: Tenant) -> None:
    assert await store.latest_runs(tenant.id, [tenant.automation_id]) == {}
    runs = [await accept(store, tenant) for _ in range(3)]
    latest = await store.latest_runs(tenant.id, [tenant.automation_id, "none"])
    assert latest == {tenant.automation_id: runs[-1]}


@pytest.mark.parametrize("seed", range(3))
async def test_totals_equal_the_rows_after_any_history(store: SqlStore, other_store: SqlStore, seed: int) -> None:
    chance = random.Random(seed)
    tenants = [await add_tenant(store) for _ in range(2)]
    open_runs: list[Any] = []
    for _ in range(60):
        by = chance.choice([store, other_store])
        if not open_runs or chance.random() < 0.5:
            open_runs.append(await accept(by, chance.choice(tenants)))
            continue
        run = chance.choice(open_runs)
        current = await store.run(run.tenant_id, run.id)
        assert current is not None
        # Half of these are refused, and must not be counted.
        version = current.version - chance.randint(0, 1)
        await by.commit(change(run, version=version, status=chance.choice(list(RunStatus))))
    for tenant in tenants:
        everything = (await store.runs(RunFilter(tenant.id, limit=1000))).items
        for status in RunStatus:
            listed = sum(run.status is status for run in everything)
            assert (await store.runs(RunFilter(tenant.id, [status]))).total == listed
        assert (await store.runs(RunFilter(tenant.id))).total == len(everything)


async def test_deleted_runs_are_not_counted(store: SqlStore, tenant: Tenant) -> None:
    run = await accept(store, tenant)
    await land(store, change(run, status=RunStatus.COMPLETED))
    assert await store.delete_automation(tenant.id, tenant.automation_id)
    assert (await store.runs(RunFilter(tenant.id))).total == 0
