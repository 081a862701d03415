"""An engine whose commit meets a conflict: each started try works at most once, whoever started it."""

from __future__ import annotations

import asyncio
import itertools
from pathlib import Path

import pytest

from tests.engine.conftest import Clock, OpenWorld, World
from vai.domain.status import RetryMode, RunStatus
from vai.ports import Conflict, Outcome, RunChange


def _works(ledger: Path) -> list[str]:
    return [line.split(maxsplit=1)[1] for line in ledger.read_text().splitlines()]


async def test_what_another_engine_began_is_not_begun_again_when_taking_over_meets_a_conflict(
    open_world: OpenWorld, clock: Clock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger = tmp_path / "ledger"
    step = {"key": "one", "kind": "tell", "definition": {"ledger": str(ledger), "seconds": 0.3}}
    async with open_world(renew_seconds=3600) as gone:
        run_id = await gone.start([step])
        await gone.until(run_id, lambda e: e.type == "step.started")
        clock.ahead += 60_000  # its lease is over while its step is at work
        async with open_world() as other:
            commit, calls = other.store.commit, itertools.count()

            async def once_too_late(change: RunChange) -> Outcome:
                return await commit(change) if next(calls) else Conflict()

            monkeypatch.setattr(other.store, "commit", once_too_late)
            assert (await other.end(run_id)).status is RunStatus.COMPLETED
            types = await other.types(run_id)
    assert types.count("step.interrupted one") == 1
    assert sorted(_works(ledger)) == ["one 1 1", "one 1 2"]


async def test_what_was_ended_to_be_handed_back_is_not_begun_again_when_that_meets_a_conflict(
    open_world: OpenWorld, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger = tmp_path / "ledger"
    step = {"key": "one", "kind": "tell", "definition": {"ledger": str(ledger), "seconds": 30}}
    async with open_world() as world:
        run_id = await world.start([step])
        await world.until(run_id, lambda e: e.type == "step.started")
        commit, calls = world.store.commit, itertools.count()

        async def once_too_late(change: RunChange) -> Outcome:
            return await commit(change) if next(calls) else Conflict()

        monkeypatch.setattr(world.store, "commit", once_too_late)
    async with open_world(engine=False) as after:
        types = await after.types(run_id)
    assert types.count("step.interrupted one") == 1
    assert len(_works(ledger)) <= 1


async def test_what_another_engine_began_is_interrupted_when_the_run_comes_back_before_its_end_was_heard(
    open_world: OpenWorld, clock: Clock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    step = {"key": "one", "kind": "tell", "definition": {"ledger": str(tmp_path / "ledger"), "seconds": 0.3}}
    async with open_world(poll_seconds=3600) as first, open_world(lease_seconds=1, renew_seconds=3600) as second:
        commit, told = first.store.commit, asyncio.Event()

        async def end_unheard(change: RunChange) -> Outcome:
            outcome = await commit(change)
            if not change.release or told.is_set():
                return outcome
            await told.wait()  # the answer is lost; what is sent again is refused
            return Conflict()

        monkeypatch.setattr(first.store, "commit", end_unheard)
        run_id = await first.start([step])
        await first.end(run_id)
        seen = await _retried_by(second, run_id)
        await second.until(run_id, lambda e: e.type == "step.started", after=seen)
        clock.ahead += 2_000  # the second engine's lease is over, the first one's is not
        assert await first.store.claim_run(first.engine.id, run_id)
        told.set()
        assert (await first.end(run_id, after=seen)).status is RunStatus.COMPLETED
        types = await first.types(run_id)
    assert types.count("step.interrupted one") == 1
    assert sorted(_works(tmp_path / "ledger")) == ["one 1 1", "one 2 1", "one 2 2"]


async def test_what_another_engine_began_is_interrupted_when_the_run_comes_back_before_the_first_one_looked(
    open_world: OpenWorld, clock: Clock, tmp_path: Path
) -> None:
    """While its driver waits for a timer, the run is cancelled, retried, begun elsewhere, lost, and claimed again."""
    work = {"key": "one", "kind": "tell", "definition": {"ledger": str(tmp_path / "ledger"), "seconds": 0.3}}
    pause = {"key": "pause", "kind": "wait", "definition": {"seconds": 8}}
    async with open_world(poll_seconds=3600) as first, open_world(lease_seconds=1, renew_seconds=3600) as second:
        other = await first.start([{"key": "any", "kind": "noop"}])
        await first.end(other)
        run_id = await first.start([work, pause])
        await first.until(run_id, lambda e: e.type == "step.completed")
        await second.runs.cancel(second.who, run_id)  # SQLite tells other processes nothing
        seen = await _retried_by(second, run_id)
        await second.until(run_id, lambda e: e.type == "step.started" and e.step_key == "one", after=seen)
        clock.ahead += 2_000
        assert await first.store.claim_run(first.engine.id, run_id)
        await _retried_by(first, other)  # for which the first engine looks, also after what it holds
        async with asyncio.timeout(5):
            await first.until(run_id, lambda e: e.type == "step.completed" and e.step_key == "one", after=seen)
        types = await first.types(run_id)
    assert types.count("step.interrupted one") == 1
    assert sorted(_works(tmp_path / "ledger")) == ["one 1 1", "one 2 1", "one 2 2"]


async def _retried_by(world: World, run_id: str) -> int:
    """Take the whole run up again through this process; the number of the last event before."""
    record = await world.runs.get(world.who, run_id)
    await world.runs.retry(world.who, run_id, RetryMode.FULL, None)
    return record.event_seq
