"""Several processes on one PostgreSQL look at the same schedules, each with connections of its own."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest

from tests.engine.conftest import ACTIONS, Clock, World
from vai.automations import NewAutomation
from vai.engine import EngineSettings
from vai.storage import open_store
from vai.triggers import Schedules

pytestmark = pytest.mark.postgres
MINUTE = 60_000


@contextlib.asynccontextmanager
async def opened(url: str, clock: Clock) -> AsyncIterator[World]:
    store = open_store(url, clock=clock)
    await store.open()
    try:
        world = World(store, clock, EngineSettings(), [ACTIONS])
        world.runs.place = lambda _: None
        await world.begin()
        yield world
    finally:
        await store.close()


async def test_each_due_time_has_one_run(postgres_url: str) -> None:
    clock = Clock()
    async with opened(postgres_url, clock) as one, opened(postgres_url, clock) as two:
        triggers = [{"type": "schedule", "key": key, "schedule": "* * * * *", "catchUp": "all"} for key in ("a", "b")]
        view = await one.automations.create(one.who, NewAutomation("often", {"triggers": triggers, "steps": []}))
        await one.automations.publish(one.who, view.record.id, 1)
        first, _ = await one.store.triggers(one.who.tenant_id, view.record.id)
        assert first.next_due_at is not None
        clock.ahead += first.next_due_at + 9 * MINUTE - clock()
        lookers = [Schedules(world.store, world.runs, clock) for world in (one, two) for _ in range(2)]
        while (await two.store.next_trigger_due() or 0) <= clock():
            await asyncio.gather(*(looker.look() for looker in lookers))
        runs = (await one.runs.list(one.who, [], 1000, 0)).items
        told = []
        for run in runs:
            loaded = await one.store.load(run.id)
            assert loaded is not None
            told.append((loaded.trigger["key"], loaded.trigger["dueAt"]))
    assert len(told) == len(set(told)) == 20
