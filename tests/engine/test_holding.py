"""How an engine holds its runs: what it learns late, what it lets go of and when."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.engine.conftest import OpenWorld, World
from vai.domain.status import RetryMode, RunStatus
from vai.ports import Created, NewRun, Outcome, RunChange, StoreUnavailable
from vai.runs import Loaded, StartRun


async def test_a_run_whose_acceptance_the_database_could_not_tell_is_driven(
    open_world: OpenWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is ours in the database, and nobody was told."""
    async with open_world() as world, open_world(engine=False) as door:
        first = await world.start([{"key": "a", "kind": "noop"}])
        automation = (await world.end(first)).automation_id
        accepted: list[NewRun] = []

        async def cut_off(new: NewRun) -> Created:
            await door.store.create_run(new)  # lands, but this process does not hear of it
            accepted.append(new)
            raise StoreUnavailable("The connection was lost.")

        monkeypatch.setattr(world.store, "create_run", cut_off)
        with pytest.raises(StoreUnavailable):
            await world.runs.start(world.who, StartRun(automation))
        assert accepted[0].lease_owner == world.engine.id
        assert (await world.end(accepted[0].record.id)).status is RunStatus.COMPLETED


async def test_a_cancel_of_which_no_word_comes_is_noticed(open_world: OpenWorld) -> None:
    async with open_world() as world, open_world(engine=False) as door:
        run_id = await world.start([{"key": "a", "kind": "until_stopped"}])
        await world.until(run_id, lambda event: event.type == "step.log")
        await door.runs.cancel(door.who, run_id)  # SQLite tells other processes nothing
        assert (await world.end(run_id)).status is RunStatus.CANCELLED


async def test_an_engine_that_is_stopped_does_not_wait_for_a_run_that_only_waits(world: World) -> None:
    run_id = await world.start([{"key": "a", "kind": "wait", "definition": {"seconds": 8}}])
    await world.until(run_id, lambda event: event.type == "step.waiting")
    async with asyncio.timeout(5):
        await world.engine.stop(drain_seconds=60)
    loaded = await world.store.load(run_id)
    assert loaded is not None
    assert (loaded.run.status, loaded.lease_owner) == (RunStatus.RUNNING, None)


async def test_what_is_accepted_while_an_engine_is_stopped_is_free_for_others(world: World, tmp_path: Path) -> None:
    slow = {"kind": "tell", "definition": {"ledger": str(tmp_path / "ledger"), "seconds": 0.3}}
    at_work = await world.start([{"key": "a", **slow}])
    await world.until(at_work, lambda event: event.step_key == "a")
    stop = asyncio.create_task(world.engine.stop(drain_seconds=60))
    await asyncio.sleep(0)
    late = await world.start([{"key": "a", "kind": "noop"}])
    loaded = await world.store.load(late)
    assert loaded is not None
    assert loaded.lease_owner is None
    await stop
    assert await world.types(late) == ["run.created"]


async def test_a_run_is_handed_back_when_what_was_at_work_has_ended(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Or two engines would run one step."""
    ended = tmp_path / "ended"
    commit, had_ended = world.store.commit, []

    async def look(change: RunChange) -> Outcome:
        if change.release:
            had_ended.append(ended.exists())
        return await commit(change)

    monkeypatch.setattr(world.store, "commit", look)
    run_id = await world.start([{"key": "a", "kind": "slow_to_end", "definition": {"path": str(ended)}}])
    await world.until(run_id, lambda event: event.type == "step.log")
    await world.engine.stop(drain_seconds=0)
    assert had_ended == [True]


async def test_a_retry_that_comes_before_its_run_is_let_go_is_driven(
    open_world: OpenWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The engine claims the run again while the driver that had it is just ending, and takes it up at once."""
    async with open_world(poll_seconds=3600) as world:
        await _retried_while_it_ends(world, monkeypatch)


async def _retried_while_it_ends(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    commit, claim, claimed = world.store.commit, world.store.claim, asyncio.Event()

    async def tell(*asked: Any) -> Sequence[str]:
        runs = await claim(*asked)
        if runs:
            asyncio.get_running_loop().call_later(0.05, claimed.set)  # when the engine has taken it
        return runs

    async def end_late(change: RunChange) -> Outcome:
        outcome = await commit(change)
        if change.release and change.state.attempt == 1:
            await world.runs.retry(world.who, change.run_id, RetryMode.FULL, None)
            await claimed.wait()
        return outcome

    monkeypatch.setattr(world.store, "claim", tell)
    monkeypatch.setattr(world.store, "commit", end_late)
    run_id = await world.start([{"key": "a", "kind": "noop"}])
    await claimed.wait()
    await world.until(run_id, lambda event: event.type == "run.completed" and event.attempt == 2)


async def test_more_runs_than_one_claim_takes_are_all_taken_at_once(open_world: OpenWorld) -> None:
    async with open_world(engine=False) as door:
        first = await door.start([{"key": "a", "kind": "noop"}])
        automation = (await door.runs.get(door.who, first)).automation_id
        others = await asyncio.gather(*(door.runs.start(door.who, StartRun(automation)) for _ in range(100)))
        async with open_world(poll_seconds=3600) as world, asyncio.timeout(30):
            for run_id in (first, *(created.run.id for created in others)):
                assert (await world.end(run_id)).status is RunStatus.COMPLETED


async def test_a_run_that_could_not_be_loaded_is_taken_up_when_the_database_answers(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    load, refused = world.door.load, []

    async def refuse_once(run_id: str) -> Loaded:
        if not refused:
            refused.append(run_id)
            raise StoreUnavailable("The connection was lost.")
        return await load(run_id)

    monkeypatch.setattr(world.door, "load", refuse_once)
    run_id = await world.start([{"key": "a", "kind": "noop"}])
    async with asyncio.timeout(4):  # less than a run is put off for that cannot be driven
        assert (await world.end(run_id)).status is RunStatus.COMPLETED
    assert refused == [run_id]
