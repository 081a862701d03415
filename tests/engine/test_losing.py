"""How an engine that is cut off from its run, or from the database, notices it, and what it does no more."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from tests.engine.conftest import Clock, OpenWorld, World
from vai.domain.events import Event
from vai.domain.status import RunStatus
from vai.ports import Outcome, RunChange, StoreUnavailable


async def _until(true: Callable[[], bool]) -> None:
    """Give way until it is so."""
    async with asyncio.timeout(30):
        while not true():  # noqa: ASYNC110 - nobody tells of it
            await asyncio.sleep(0.005)


async def test_who_reports_late_is_refused_once_and_lets_go(
    open_world: OpenWorld, clock: Clock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = tmp_path / "gate"
    work = {"key": "one", "kind": "until_there", "definition": {"path": str(gate)}}
    async with open_world(renew_seconds=3600, poll_seconds=3600) as paused:
        run_id = await paused.start([work])
        await paused.until(run_id, lambda event: event.type == "step.log")
        clock.ahead += 60_000  # its lease is over, as if it had been stopped in the middle
        async with open_world() as other:
            await other.until(run_id, lambda event: event.type == "step.interrupted")
            commit, commits = paused.store.commit, itertools.count()

            async def counted(change: RunChange) -> Outcome:
                next(commits)
                return await commit(change)

            monkeypatch.setattr(paused.store, "commit", counted)
            gate.touch()
            await _until(lambda: paused.engine.runs_held == 0)
            assert (paused.engine.runs_lost, next(commits)) == (1, 1)
            assert (await other.end(run_id)).status is RunStatus.COMPLETED
            assert (await other.types(run_id)).count("step.completed one") == 1


async def test_lines_that_are_refused_tell_that_the_run_is_lost(
    open_world: OpenWorld, clock: Clock, tmp_path: Path
) -> None:
    """While the step is at work, so that it ends when the first line of it is too late."""
    gate = tmp_path / "gate"
    async with open_world(renew_seconds=3600, poll_seconds=3600) as paused:
        run_id = await paused.start([{"key": "one", "kind": "speak_when_there", "definition": {"path": str(gate)}}])
        await paused.until(run_id, lambda event: event.type == "step.log")
        clock.ahead += 60_000
        async with open_world() as other:
            await other.until(run_id, lambda event: event.type == "step.interrupted")
            assert paused.engine.steps_at_work == 1
            gate.touch()
            await _until(lambda: paused.engine.runs_held == 0)
            assert paused.engine.runs_lost == 1
            assert (await other.runs.cancel(other.who, run_id)).id == run_id
            assert (await other.end(run_id)).status is RunStatus.CANCELLED


async def test_lines_whose_commit_landed_unheard_are_not_stored_again(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vai.engine.driver._RETRY_SECONDS", 0.01)
    commit, cut_off = world.store.commit, []

    async def unheard(change: RunChange) -> Outcome:
        outcome = await commit(change)
        if not cut_off and _lines(change.events):
            cut_off.append(change)
            raise StoreUnavailable("The connection was lost.")
        return outcome

    monkeypatch.setattr(world.store, "commit", unheard)
    run_id = await world.start(
        [{"key": "a", "kind": "chatty", "definition": {"lines": 3}}, {"key": "b", "kind": "noop", "dependsOn": ["a"]}]
    )
    assert (await world.end(run_id)).status is RunStatus.COMPLETED
    types = await world.types(run_id)
    assert cut_off
    assert (types.count("step.log a"), types.count("step.progress a")) == (3, 1)


async def test_lines_of_a_commit_that_was_cut_off_before_it_landed_are_stored_with_its_next_try(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vai.engine.driver._RETRY_SECONDS", 0.01)
    commit, cut_off = world.store.commit, []

    async def refused_once(change: RunChange) -> Outcome:
        if not cut_off and _lines(change.events):
            cut_off.append(change)
            raise StoreUnavailable("The connection was lost.")
        return await commit(change)

    monkeypatch.setattr(world.store, "commit", refused_once)
    run_id = await world.start([{"key": "a", "kind": "chatty", "definition": {"lines": 3}}])
    assert (await world.end(run_id)).status is RunStatus.COMPLETED
    assert cut_off
    assert (await world.types(run_id)).count("step.log a") == 3


def _lines(events: Sequence[Event]) -> list[Event]:
    return [event for event in events if event.type == "step.log"]
