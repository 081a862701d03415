"""Engines remove what has been over for long, while people read it."""

import asyncio

import pytest

from tests.engine.conftest import Clock, OpenWorld, World
from vai.runs import NotFound, Retention

ADD = {"key": "sum", "kind": "add", "definition": {"a": 1, "b": 2}}
WEEK_MS = 7 * 86_400_000


async def until_gone(world: World, run_id: str) -> None:
    async with asyncio.timeout(30):
        while await world.store.run(world.who.tenant_id, run_id) is not None:  # noqa: ASYNC110
            await asyncio.sleep(0.01)


async def test_an_engine_removes_what_has_been_over_for_the_set_time(open_world: OpenWorld, clock: Clock) -> None:
    async with open_world(retention_days=7, tidy_seconds=0.01) as world:
        old = await world.start([ADD])
        await world.end(old)
        clock.ahead += WEEK_MS - 60_000
        young = await world.start([ADD])
        await world.end(young)
        assert (await world.runs.get(world.who, old)).id == old
        clock.ahead += 120_000
        await until_gone(world, old)
        assert (await world.runs.get(world.who, young)).id == young
        with pytest.raises(NotFound):
            await world.runs.steps(world.who, old)


async def test_without_the_setting_nothing_is_removed(open_world: OpenWorld, clock: Clock) -> None:
    async with open_world() as world:
        run_id = await world.start([ADD])
        await world.end(run_id)
        clock.ahead += 1000 * WEEK_MS
        await Retention(world.store, clock).look(0)
        assert (await world.runs.get(world.who, run_id)).id == run_id


async def test_a_stream_ends_whose_run_is_removed_before_its_first_event(world: World, clock: Clock) -> None:
    run_id = await world.start([ADD])
    await world.end(run_id)
    stream = await world.runs.follow(world.who, run_id, 0)
    clock.ahead += 1000
    pruned = await Retention(world.store, clock).prune(world.who, [], 0.5, dry_run=False)
    assert pruned.runs == 1
    async with asyncio.timeout(30):
        assert [batch async for batch in stream] == []
