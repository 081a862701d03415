"""Who drives which run: what can be claimed, by whom, and what becomes of a dead engine's runs."""

import asyncio
import sys

import pytest

from tests.storage.samples import NOW, Clock, Tenant, accept, change, land, step
from vai.domain.status import RunStatus
from vai.ports import Conflict, Landed
from vai.storage.store import SqlStore

ENGINE = """
import asyncio, sys
from vai.storage import open_store

async def main():
    store = open_store(sys.argv[1], clock=lambda: int(sys.argv[2]))
    await store.open()
    await store.register_engine("doomed", 3600)
    print(*await store.claim("doomed", 10), flush=True)
    await asyncio.Event().wait()

asyncio.run(main())
"""


@pytest.fixture
async def engine(store: SqlStore) -> str:
    """An engine that lives for a minute."""
    await store.register_engine("engine", 60)
    return "engine"


async def test_two_engines_share_the_runs(store: SqlStore, other_store: SqlStore, tenant: Tenant, engine: str) -> None:
    await other_store.register_engine("other", 60)
    runs = [(await accept(store, tenant)).id for _ in range(30)]
    claims = await asyncio.gather(
        *(by.claim(name, 4) for _ in range(4) for by, name in ((store, engine), (other_store, "other")))
    )
    claims += [await store.claim(engine, 100)]
    assert sorted(run_id for claim in claims for run_id in claim) == sorted(runs)


async def test_the_oldest_are_claimed_first_and_their_version_moves(
    store: SqlStore, tenant: Tenant, engine: str
) -> None:
    runs = [await accept(store, tenant) for _ in range(4)]
    assert await store.claim(engine, 3) == [run.id for run in runs[:3]]
    assert await store.claim(engine, 3) == [runs[3].id]
    # Whoever read the run before the claim does not change it any more.
    assert isinstance(await store.commit(change(runs[0])), Conflict)
    claimed = change(runs[0], version=runs[0].version + 1, lease_owner=engine)
    assert isinstance(await store.commit(claimed), Landed)


@pytest.mark.parametrize(
    "status, state, is_claimable",
    [
        (RunStatus.PENDING, {}, True),
        (RunStatus.RUNNING, {}, False),
        (RunStatus.RUNNING, {"executing": 1}, True),
        (RunStatus.RUNNING, {"due_at": NOW}, True),
        (RunStatus.RUNNING, {"due_at": 2**42}, False),
        (RunStatus.AWAITING_APPROVAL, {}, False),
        (RunStatus.AWAITING_APPROVAL, {"cancel_requested_at": NOW}, True),
        (RunStatus.COMPLETED, {}, False),
        (RunStatus.CANCELLED, {"cancel_requested_at": NOW, "due_at": NOW}, False),
    ],
)
async def test_what_can_be_claimed(
    store: SqlStore,
    tenant: Tenant,
    engine: str,
    status: RunStatus,
    state: dict[str, int],
    is_claimable: bool,
) -> None:
    run = await accept(store, tenant)
    await land(store, change(run, status=status, **state))
    due = await store.next_due()
    assert (due is not None and due <= NOW) == is_claimable
    assert (due is not None) == (is_claimable or ("due_at" in state and not status.is_final))
    assert await store.claim_run(engine, run.id) == is_claimable
    assert not await store.claim_run(engine, run.id)


@pytest.mark.parametrize("served", [("local",), ("dag",), ("local", "dag")])
async def test_an_engine_claims_what_it_serves(
    store: SqlStore, tenant: Tenant, engine: str, served: tuple[str, ...]
) -> None:
    runs = {name: (await accept(store, tenant, orchestrator_type=name)).id for name in ("local", "dag")}
    for name, run_id in runs.items():
        other = [one for one in served if one != name]
        assert not other or not await store.claim_run(engine, run_id, other[:1])
        assert (await store.next_due((name,))) == NOW
    assert await store.claim(engine, 10, served) == [runs[name] for name in served]
    assert [await store.next_due((name,)) for name in runs] == [None if name in served else NOW for name in runs]


async def test_runs_that_nobody_holds_are_listed_in_turn(store: SqlStore, tenant: Tenant, engine: str) -> None:
    first, second, third = [await accept(store, tenant) for _ in range(3)]
    await accept(store, tenant, orchestrator_type="local")
    await accept(store, tenant, lease_owner=engine)
    over = await accept(store, tenant)
    await land(store, change(over, status=RunStatus.COMPLETED))
    await land(store, change(second, due_at=2**42))
    assert await store.unheld("dag", NOW - 1, "", 10) == []
    found = await store.unheld("dag", NOW, "", 2)
    assert [(run.run_id, run.version, run.is_pending, run.is_due) for run in found] == [
        (first.id, 1, True, True),
        (second.id, 2, False, False),
    ]
    assert (found[0].tenant_id, found[0].automation_id) == (tenant.id, tenant.automation_id)
    assert [run.run_id for run in await store.unheld("dag", NOW, second.id, 2)] == [third.id]


async def test_one_run_is_looked_up_if_nobody_holds_it(store: SqlStore, tenant: Tenant, engine: str) -> None:
    run, held = await accept(store, tenant), await accept(store, tenant, lease_owner=engine)
    found = await store.unheld_run("dag", run.id)
    assert found is not None
    assert found.run_id == run.id
    assert await store.unheld_run("local", run.id) is None
    assert await store.unheld_run("dag", held.id) is None
    await land(store, change(run, status=RunStatus.COMPLETED))
    assert await store.unheld_run("dag", run.id) is None


async def test_a_release_makes_a_due_run_claimable_again(store: SqlStore, tenant: Tenant, engine: str) -> None:
    run = await accept(store, tenant, lease_owner=engine)
    assert await store.next_due() is None
    kept = await land(store, change(run, lease_owner=engine, executing=1))
    assert await store.claim(engine, 1) == []
    await land(store, change(run, version=kept.version, lease_owner=engine, executing=1, release=True))
    assert await store.claim(engine, 1) == [run.id]


async def test_an_expired_engine_loses_its_runs_and_learns_it(
    store: SqlStore, other_store: SqlStore, tenant: Tenant
) -> None:
    await store.register_engine("late", -1)  # expired from the beginning, on any clock
    run = await accept(store, tenant)
    assert await store.claim("late", 1) == [run.id]
    assert await store.renew("late", -1)  # nobody has declared it dead yet
    await other_store.register_engine("other", 60)
    assert await other_store.claim("other", 1) == [run.id]
    assert not await store.renew("late", 60)
    assert await store.claim("late", 1) == []
    late = change(run, version=run.version + 2, lease_owner="late", steps=[step()])
    assert isinstance(await store.commit(late), Conflict)
    assert not await store.append(run.id, "late", 1, [])


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_leases_run_on_the_given_clock(
    store: SqlStore, other_store: SqlStore, tenant: Tenant, clock: Clock
) -> None:
    await store.register_engine("first", 15)
    await other_store.register_engine("second", 60)
    run = await accept(store, tenant, lease_owner="first")
    clock.turn(14)
    assert await store.renew("first", 15)
    clock.turn(14)
    assert not await other_store.claim_run("second", run.id)
    clock.turn(2)
    assert await other_store.claim_run("second", run.id)


async def test_retiring_gives_everything_back_and_tells(store: SqlStore, tenant: Tenant, engine: str) -> None:
    runs = [await accept(store, tenant, lease_owner=engine) for _ in range(2)]
    heard: list[str] = []
    store.on_commit.append(lambda run_id, status, events: heard.append(run_id))
    await store.retire_engine(engine)
    assert sorted(heard) == [run.id for run in runs]
    assert not await store.renew(engine, 60)
    await store.register_engine("next", 60)
    assert await store.claim("next", 10) == [run.id for run in runs]


async def test_an_engine_that_is_not_registered_claims_nothing(store: SqlStore, tenant: Tenant) -> None:
    run = await accept(store, tenant)
    assert await store.claim("nobody", 1) == []
    assert not await store.claim_run("nobody", run.id)


@pytest.mark.process
async def test_a_killed_engine_is_taken_over_at_once(
    store: SqlStore, tenant: Tenant, engine: str, database_url: str
) -> None:
    run = await accept(store, tenant)
    process = await asyncio.create_subprocess_exec(
        sys.executable, *("-c", ENGINE, database_url, str(NOW)), stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    try:
        assert (await process.stdout.readline()).decode().split() == [run.id]
        assert not await store.claim_run(engine, run.id)  # it lives, and its lease is an hour long
    finally:
        process.kill()
    await process.communicate()
    # The server may take a moment to notice that a session ended; its lease would take an hour.
    async with asyncio.timeout(20):
        while not await store.claim_run(engine, run.id):
            pass
