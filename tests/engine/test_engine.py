"""The embedded engine on a real store, where it is not like every other: its lease. See also tests/behaviour."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from tests.behaviour.shapes import step
from tests.engine.conftest import Clock, OpenWorld
from vai.automations import NewAutomation
from vai.domain.status import RunStatus
from vai.runs import StartRun


async def test_an_engine_taken_for_dead_cannot_write_and_its_run_goes_on_once(
    open_world: OpenWorld, clock: Clock
) -> None:
    async with open_world(renew_seconds=3600) as paused:
        run_id = await paused.start([step("one", "until_stopped"), step("two", "noop", "one")])
        await paused.until(run_id, lambda e: e.type == "step.log")
        clock.ahead += 60_000  # its lease is over, as if it had been stopped in the middle
        async with open_world() as other:
            await other.until(run_id, lambda e: e.type == "step.interrupted")
            await other.runs.cancel(other.who, run_id)
            assert (await other.end(run_id)).status is RunStatus.CANCELLED
            types = await other.types(run_id)
        assert types.count("step.interrupted one") == 1
        assert types.count("run.cancelled") == 1


async def test_an_engine_that_leaves_dag_runs_to_others_claims_nothing_because_of_them(
    open_world: OpenWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_world(engine=False, orchestrators=("local",), poll_seconds=3600) as world:
        claims: list[Sequence[str]] = []
        claim = world.store.claim

        async def counted(engine_id: str, limit: int, orchestrators: Sequence[str]) -> Sequence[str]:
            claims.append(await claim(engine_id, limit, orchestrators))
            return claims[-1]

        monkeypatch.setattr(world.store, "claim", counted)
        await world.engine.start()
        dag = [await world.start([step("one", "noop")]) for _ in range(3)]
        await world.runs.cancel(world.who, dag[0])
        # One of its own, accepted where no engine could take it: its commit is the only one that makes it look.
        new = NewAutomation("here", {"steps": [step("one", "noop")]}, orchestrator_type="local")
        automation = (await world.automations.create(world.who, new)).record.id
        await world.automations.publish(world.who, automation, 1)
        local = (await world.runs.start(world.who, StartRun(automation))).run.id
        assert (await world.end(local)).status is RunStatus.COMPLETED
        assert (await world.runs.get(world.who, dag[1])).status is RunStatus.PENDING
        await world.engine.stop()
    assert [found for found in claims if found] == [[local]]
    assert len(claims) <= 2  # the other is the look that every engine begins with


async def test_a_run_whose_kind_is_gone_fails_with_a_word_on_why(open_world: OpenWorld) -> None:
    async with open_world(engine=False) as before:
        run_id = await before.start([step("one", "noop")])
    async with open_world(actions=()) as after:
        assert (await after.end(run_id)).status is RunStatus.FAILED
        assert (await after.step(run_id, "one")).error.type == "unknown_kind"
