"""Accepting runs: idempotency keys, and the first engine's lease in the same commit."""

import asyncio

import pytest

from tests.storage.samples import Tenant, accept, add_tenant, held_writer, new_run
from vai.ports import RunFilter
from vai.storage.store import SqlStore


async def test_a_run_is_stored_as_it_was_accepted(store: SqlStore, tenant: Tenant) -> None:
    wanted = new_run(tenant, trigger_source_id="key-1", concurrency_key="eu", external_job_id="job")
    created = await store.create_run(wanted)
    assert created.is_new
    assert created.run.event_seq == 1
    assert await store.run(tenant.id, wanted.record.id) == created.run
    loaded = await store.load(wanted.record.id)
    assert loaded is not None
    assert (loaded.run, loaded.input, loaded.payload, loaded.config, loaded.steps, loaded.lease_owner) == (
        created.run,
        {"region": "eu"},
        None,
        {"number": 1},
        [],
        None,
    )


@pytest.mark.parametrize("together", [False, True], ids=["one after the other", "in one transaction"])
async def test_an_idempotency_key_makes_one_run(store: SqlStore, tenant: Tenant, together: bool) -> None:
    asked = [new_run(tenant, key="k") for _ in range(5)]
    if together:
        async with held_writer(store):
            jobs = [asyncio.ensure_future(store.create_run(new)) for new in asked]
            await asyncio.sleep(0)
        answers = await asyncio.gather(*jobs)
    else:
        answers = [await store.create_run(new) for new in asked]
    assert [answer.is_new for answer in answers] == [True, False, False, False, False]
    assert {answer.run.id for answer in answers} == {asked[0].record.id}
    assert {answer.idempotency_hash for answer in answers} == {"hash of k"}
    assert (await store.runs(RunFilter(tenant.id))).total == 1
    assert len(await store.events(asked[0].record.id)) == 1


async def test_an_idempotency_key_holds_over_processes(store: SqlStore, other_store: SqlStore, tenant: Tenant) -> None:
    asked = [(by, new_run(tenant, key=f"k{i % 5}")) for i in range(40) for by in (store, other_store)]
    answers = await asyncio.gather(*(by.create_run(new) for by, new in asked))
    assert sum(answer.is_new for answer in answers) == 5
    assert len({answer.run.id for answer in answers}) == 5
    assert (await store.runs(RunFilter(tenant.id))).total == 5


async def test_an_idempotency_key_is_the_automations_own(store: SqlStore, tenant: Tenant) -> None:
    another = await add_tenant(store)
    assert (await store.create_run(new_run(tenant, key="k"))).is_new
    assert (await store.create_run(new_run(another, key="k"))).is_new


async def test_the_run_of_a_key_can_be_looked_up(store: SqlStore, tenant: Tenant) -> None:
    first = await store.create_run(new_run(tenant, key="k"))
    found = await store.known_run(tenant.id, first.run.automation_id, "k")
    assert found is not None
    assert (found.run.id, found.is_new, found.idempotency_hash) == (first.run.id, False, "hash of k")
    assert await store.known_run(tenant.id, first.run.automation_id, "other") is None
    assert await store.known_run((await add_tenant(store)).id, first.run.automation_id, "k") is None


async def test_the_accepting_engine_may_hold_the_run_from_the_beginning(store: SqlStore, tenant: Tenant) -> None:
    await store.register_engine("here", 60)
    await store.register_engine("there", 60)
    run = await accept(store, tenant, lease_owner="here")
    loaded = await store.load(run.id)
    assert loaded is not None
    assert loaded.lease_owner == "here"
    assert not await store.claim_run("there", run.id)
    assert await store.claim("there", 10) == []
