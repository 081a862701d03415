"""Steps go to the workers that can do them: by label, and by kind."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tests.behaviour.shapes import step
from tests.behaviour.worlds import OpenWorld, opener
from tests.engine.conftest import Clock
from tests.temporal.conftest import Server
from tests.temporal.processes import workers
from vai.domain.status import RunStatus, StepStatus
from vai.temporal import TemporalSettings

pytestmark = pytest.mark.temporal


async def test_a_labelled_step_waits_for_a_worker_with_its_label(open_world: OpenWorld) -> None:
    async with open_world() as plain:
        run_id = await plain.start([step("one", "noop"), step("two", "noop", "one", runsOn="gpu")])
        await plain.until(run_id, lambda e: e.type == "step.started" and e.step_key == "two")
        other = await plain.start([step("one", "noop")])
        assert (await plain.end(other)).status is RunStatus.COMPLETED
        assert (await plain.step(run_id, "two")).status is StepStatus.RUNNING
        async with open_world(labels=("eu", "gpu")):
            assert (await plain.end(run_id)).status is RunStatus.COMPLETED


@pytest.mark.parametrize("labels", [(), ("eu", "gpu")])
async def test_on_the_embedded_engine_a_label_that_it_lacks_fails_the_step(
    tmp_path: Path, clock: Clock, labels: tuple[str, ...]
) -> None:
    async with opener(tmp_path, clock, None)(labels=labels) as world:
        run_id = await world.start([step("one", "noop", runsOn="gpu")])
        run = await world.end(run_id)
        assert (run.status is RunStatus.COMPLETED) == bool(labels)
        error = (await world.step(run_id, "one")).error
        assert labels or (error.type == "no_worker" and "VAI_WORKER_LABELS=gpu" in error.message)


async def test_a_step_goes_to_a_worker_that_knows_its_kind_and_may_do_it(
    open_world: OpenWorld, settings: TemporalSettings, tmp_path: Path
) -> None:
    """One worker knows the built-in kinds alone; another knows every kind, and is to do only one of them."""
    tell = step("tell", "tell", "w", definition={"ledger": str(tmp_path / "ledger")})
    plain = step("w", "wait", definition={"seconds": 0})
    picky = replace(settings, kinds=("tell",))
    async with open_world(engine=False) as idle, workers(tmp_path, settings, actions=()):
        run_id = await idle.start([plain, tell, step("noop", "noop", "w"), step("more", "tell", "tell", **_with(tell))])
        await idle.until(run_id, lambda e: e.type == "step.completed" and e.step_key == "w")
        async with workers(tmp_path, picky):
            await idle.until(run_id, lambda e: e.type == "step.completed" and e.step_key == "more")
            again = await idle.start([plain, tell])
            assert (await idle.end(again)).status is RunStatus.COMPLETED
            assert (await idle.step(run_id, "noop")).status is StepStatus.RUNNING
        async with open_world():
            assert (await idle.end(run_id)).status is RunStatus.COMPLETED
        assert "step.interrupted noop" not in await idle.types(run_id)


def _with(other: dict[str, object]) -> dict[str, object]:
    return {"definition": other["definition"]}


async def test_a_kind_that_no_worker_knows_waits_for_one_that_does(open_world: OpenWorld, server: Server) -> None:
    async with open_world(engine=False) as idle:
        run_id = await idle.start([step(f"s{i}", "noop") for i in range(5)])
        cancelled = await idle.start([step("one", "noop")])
        async with open_world(actions=()):
            await idle.until(run_id, lambda e: e.type == "step.started")
            await idle.until(cancelled, lambda e: e.type == "step.started")
            await idle.runs.cancel(idle.who, cancelled)
            assert (await idle.end(cancelled)).status is RunStatus.CANCELLED
            assert (await idle.runs.get(idle.who, run_id)).status is RunStatus.RUNNING
        async with open_world():
            assert (await idle.end(run_id)).status is RunStatus.COMPLETED
        types = await idle.types(run_id)
    assert [types.count(f"step.started s{i}") for i in range(5)] == [1] * 5


async def test_a_labelled_step_also_goes_to_a_worker_that_knows_its_kind(open_world: OpenWorld) -> None:
    async with open_world(labels=("gpu",), actions=()) as ignorant:
        async with open_world(engine=False) as idle:
            run_id = await idle.start([step("one", "noop", runsOn="gpu")])
        await ignorant.until(run_id, lambda e: e.type == "step.started")
        async with open_world() as plain:
            other = await plain.start([step("one", "noop")])
            assert (await plain.end(other)).status is RunStatus.COMPLETED
            assert (await plain.step(run_id, "one")).status is StepStatus.RUNNING
            async with open_world(labels=("gpu",)):
                assert (await plain.end(run_id)).status is RunStatus.COMPLETED
