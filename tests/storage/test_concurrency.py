"""Concurrency keys: who is held back, whose turn it is, and that the limit holds whoever accepts and ends runs."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from typing import Any

import msgspec
import pytest

from tests.storage.samples import NOW, Tenant, accept, add_tenant, change, land, new_run
from vai.domain.status import RunStatus
from vai.ports import Busy, Created, RunRecord, StoredEvent
from vai.storage.store import SqlStore


@pytest.fixture
async def engine(store: SqlStore) -> str:
    """An engine that lives for a minute."""
    await store.register_engine("engine", 60)
    return "engine"


class Line:
    """Runs of one key, by number, in a store."""

    def __init__(self, store: SqlStore, tenant: Tenant, key: str = "eu") -> None:
        self._store = store
        self._tenant = tenant
        self._key = key
        self.runs: list[RunRecord] = []

    async def add(self, limit: int = 1, on_conflict: str = "queue", **more: Any) -> RunRecord:
        options = {"concurrency_key": self._key, "concurrency_limit": limit, "on_conflict": on_conflict}
        run = await accept(self._store, self._tenant, **options, **more)
        self.runs.append(run)
        return run

    async def end(self, number: int, status: RunStatus = RunStatus.COMPLETED) -> None:
        run = self.runs[number]
        found = await self._store.run(self._tenant.id, run.id)
        assert found is not None
        await land(self._store, change(run, version=found.version, status=status, release=True))

    async def turns(self, engine: str) -> list[int]:
        """The runs that an engine may take now; it has them from then on."""
        ids = [run.id for run in self.runs]
        return sorted(ids.index(run_id) for run_id in await self._store.claim(engine, 100))


async def test_the_limit_holds_and_turns_come_in_order(store: SqlStore, tenant: Tenant, engine: str) -> None:
    line = Line(store, tenant)
    for _ in range(5):
        await line.add(limit=2)
    assert await line.turns(engine) == [0, 1]
    assert await line.turns(engine) == []
    await line.end(1)
    assert await line.turns(engine) == [2]
    await line.end(0)
    await line.end(2)
    assert await line.turns(engine) == [3, 4]


async def test_keys_and_organizations_do_not_wait_for_one_another(store: SqlStore, tenant: Tenant, engine: str) -> None:
    other = await add_tenant(store)
    lines = [Line(store, tenant), Line(store, tenant, "us"), Line(store, other)]
    for line in lines:
        await line.add()
        await line.add()
    first = {line.runs[0].id for line in lines}
    assert set(await store.claim(engine, 100)) == first


@pytest.mark.parametrize("status", [RunStatus.COMPLETED, RunStatus.FAILED, RunStatus.CANCELLED])
async def test_however_a_run_ends_the_next_has_its_turn(
    store: SqlStore, tenant: Tenant, engine: str, status: RunStatus
) -> None:
    line = Line(store, tenant)
    await line.add()
    await line.add()
    await line.turns(engine)
    await line.end(0, status)
    assert await line.turns(engine) == [1]


async def test_a_cancelled_run_in_the_line_never_begins_and_lets_no_other_pass(
    store: SqlStore, tenant: Tenant, engine: str
) -> None:
    line = Line(store, tenant)
    for _ in range(3):
        await line.add()
    assert await line.turns(engine) == [0]
    await line.end(1, RunStatus.CANCELLED)
    assert await line.turns(engine) == []
    await line.end(0)
    assert await line.turns(engine) == [2]


async def test_a_lowered_limit_lets_nobody_pass_and_a_raised_one_orphans_nobody(
    store: SqlStore, tenant: Tenant, engine: str
) -> None:
    line = Line(store, tenant)
    for limit in (3, 3, 3, 1, 3):
        await line.add(limit=limit)
    assert await line.turns(engine) == [0, 1, 2]
    await line.end(0)
    await line.end(1)
    assert await line.turns(engine) == [], "the next one wants to be alone"
    await line.end(2)
    assert await line.turns(engine) == [3, 4], "and is, but for one whose limit is higher"


async def test_a_retried_run_stands_at_the_end_of_the_line(
    store: SqlStore,
    tenant: Tenant,
    engine: str,
) -> None:
    line = Line(store, tenant)
    await line.add()
    await line.turns(engine)
    await line.end(0, RunStatus.FAILED)
    await line.add()
    await line.add()
    assert await line.turns(engine) == [1]
    found = await store.run(tenant.id, line.runs[0].id)
    assert found is not None
    retried = change(line.runs[0], version=found.version, status=RunStatus.PENDING, attempt=2)
    await land(store, msgspec.structs.replace(retried, now=NOW + 1))
    assert await line.turns(engine) == []
    await line.end(1)
    assert await line.turns(engine) == [2]
    await line.end(2)
    assert await line.turns(engine) == [0]


async def test_skip_accepts_nothing_while_others_are_under_way(store: SqlStore, tenant: Tenant) -> None:
    line = Line(store, tenant)
    first = await line.add(on_conflict="skip", key="the first")
    rule = {"concurrency_key": "eu", "on_conflict": "skip"}
    assert await store.create_run(new_run(tenant, **rule)) == Busy(first.id)
    again = await store.create_run(new_run(tenant, **rule, key="the first"))
    assert isinstance(again, Created)
    assert (again.run.id, again.is_new) == (first.id, False)
    await line.end(0)
    assert isinstance(await store.create_run(new_run(tenant, **rule)), Created)


async def test_older_runs_give_way_to_one_that_asks_for_it(store: SqlStore, tenant: Tenant, engine: str) -> None:
    line = Line(store, tenant)
    for _ in range(3):
        await line.add(limit=2)
    assert await store.giving_way() == []
    await line.add(limit=2, on_conflict="cancel_running")
    # With a limit of two the newest two stay.
    assert sorted(await store.giving_way()) == sorted(run.id for run in line.runs[:2])
    await line.turns(engine)
    for number in (0, 1):
        await line.end(number, RunStatus.CANCELLED)
    assert await store.giving_way() == []
    assert await line.turns(engine) == [2, 3]


async def test_who_listens_hears_whose_turn_it_is(store: SqlStore, tenant: Tenant, engine: str) -> None:
    line = Line(store, tenant)
    await line.add()
    await line.add()
    await line.turns(engine)
    heard: asyncio.Queue[str] = asyncio.Queue()

    def listen(run_id: str, status: RunStatus | None, events: Sequence[StoredEvent]) -> None:
        if status is RunStatus.PENDING and not events:
            heard.put_nowait(run_id)

    store.on_commit.append(listen)
    await line.end(0)
    assert await asyncio.wait_for(heard.get(), 10) == line.runs[1].id


async def test_the_limit_holds_while_two_processes_accept_and_end_runs(
    store: SqlStore, other_store: SqlStore, tenant: Tenant
) -> None:
    """Nobody but the database decides: what one process lets go another may take at once."""
    await store.register_engine("one", 60)
    await other_store.register_engine("two", 60)
    keys, limits, total = ["a", "b", "c"], {"a": 1, "b": 2, "c": 3}, 90
    under_way: dict[str, set[str]] = {key: set() for key in keys}
    runs: dict[str, RunRecord] = {}
    ended: list[str] = []

    async def accept_some(by: SqlStore, seed: int) -> None:
        chance = random.Random(seed)
        for _ in range(total // 2):
            key = chance.choice(keys)
            run = await accept(by, tenant, concurrency_key=key, concurrency_limit=limits[key])
            runs[run.id] = run

    async def drive(by: SqlStore, engine: str) -> None:
        while len(ended) < total:
            for run_id in await by.claim(engine, 100):
                found = await by.run(tenant.id, run_id)
                assert found is not None
                assert found.concurrency_key is not None
                under_way[found.concurrency_key].add(run_id)
                assert len(under_way[found.concurrency_key]) <= limits[found.concurrency_key]
                wanted = change(found, status=RunStatus.COMPLETED, lease_owner=engine)
                under_way[found.concurrency_key].discard(run_id)
                await land(by, wanted)
                ended.append(run_id)

    await asyncio.gather(
        *(accept_some(store, 1), accept_some(other_store, 2)), *(drive(store, "one"), drive(other_store, "two"))
    )
    assert sorted(ended) == sorted(runs)
