"""An engine whose commit meets a conflict: each started try works at most once, whoever started it."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest

from tests.engine.conftest import Clock, OpenWorld
from vai.domain.status import RunStatus
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
