"""The embedded engine on a real store, where it is not like every other: its lease. See also tests/behaviour."""

from __future__ import annotations

from tests.behaviour.shapes import step
from tests.engine.conftest import Clock, OpenWorld
from vai.domain.status import RunStatus


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
