"""Concurrency keys, whoever drives the runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.behaviour.shapes import step
from tests.engine.conftest import World
from vai.automations import NewAutomation
from vai.domain.status import RetryMode, RunStatus
from vai.ports import RunRecord
from vai.runs import InvalidInput, KeyBusy, StartRun

WAITS = step("wait", "until_file", definition={"path": "{{ input.path }}"})


class Keyed:
    """An automation with a concurrency key, whose runs last until their file is there."""

    def __init__(self, world: World, folder: Path, automation_id: str) -> None:
        self._world = world
        self._folder = folder
        self._id = automation_id

    @classmethod
    async def of(cls, world: World, folder: Path, **rule: Any) -> Keyed:
        config = {"concurrency": {"key": "orders-{{ input.region }}", **rule}, "steps": [WAITS]}
        view = await world.automations.create(world.who, NewAutomation("keyed", config))
        await world.automations.publish(world.who, view.record.id, 1)
        return cls(world, folder, view.record.id)

    async def start(self, name: str, region: str = "eu", **more: Any) -> RunRecord:
        given = {"region": region, "path": str(self._folder / name)}
        return (await self._world.runs.start(self._world.who, StartRun(self._id, input=given, **more))).run

    async def begun(self, run: RunRecord) -> None:
        await self._world.until(run.id, lambda event: event.type == "step.started")

    async def let_end(self, run: RunRecord, name: str) -> RunStatus:
        (self._folder / name).touch()
        return (await self._world.end(run.id)).status

    async def status(self, run: RunRecord) -> RunStatus:
        return (await self._world.runs.get(self._world.who, run.id)).status


async def test_one_waits_for_the_other_and_another_key_does_not(world: World, tmp_path: Path) -> None:
    keyed = await Keyed.of(world, tmp_path)
    first, second, elsewhere = await keyed.start("1"), await keyed.start("2"), await keyed.start("3", "us")
    assert [run.concurrency_key for run in (first, elsewhere)] == ["orders-eu", "orders-us"]
    await keyed.begun(first)
    await keyed.begun(elsewhere)
    assert await keyed.status(second) is RunStatus.PENDING
    assert await keyed.let_end(first, "1") is RunStatus.COMPLETED
    await keyed.begun(second)
    assert await keyed.let_end(second, "2") is RunStatus.COMPLETED
    assert await keyed.let_end(elsewhere, "3") is RunStatus.COMPLETED


async def test_a_run_in_the_line_is_cancelled_at_once(world: World, tmp_path: Path) -> None:
    keyed = await Keyed.of(world, tmp_path)
    first, second, third = [await keyed.start(str(n)) for n in range(3)]
    await keyed.begun(first)
    assert (await world.runs.cancel(world.who, second.id)).status is RunStatus.CANCELLED
    await keyed.let_end(first, "0")
    await keyed.begun(third)
    assert await keyed.let_end(third, "2") is RunStatus.COMPLETED
    assert "run.started" not in await world.types(second.id)


async def test_a_newer_run_has_the_older_one_cancelled(world: World, tmp_path: Path) -> None:
    keyed = await Keyed.of(world, tmp_path, onConflict="cancel_running")
    first = await keyed.start("1")
    await keyed.begun(first)
    second = await keyed.start("2")
    await keyed.begun(second)
    assert await keyed.status(first) is RunStatus.CANCELLED
    assert await keyed.let_end(second, "2") is RunStatus.COMPLETED


async def test_skip_tells_which_run_is_under_way(world: World, tmp_path: Path) -> None:
    keyed = await Keyed.of(world, tmp_path, onConflict="skip")
    first = await keyed.start("1")
    with pytest.raises(KeyBusy) as refused:
        await keyed.start("2")
    assert refused.value.run_id == first.id
    await keyed.let_end(first, "1")
    assert (await keyed.start("1")).status is RunStatus.PENDING


async def test_a_retried_run_waits_for_its_turn(world: World, tmp_path: Path) -> None:
    keyed = await Keyed.of(world, tmp_path)
    first = await keyed.start("1")
    await keyed.let_end(first, "1")
    (tmp_path / "1").unlink()
    second = await keyed.start("2")
    await keyed.begun(second)
    retried = await world.runs.retry(world.who, first.id, RetryMode.FULL, None)
    assert retried.status is RunStatus.PENDING
    seen = len(await world.types(first.id))
    await keyed.let_end(second, "2")
    await world.until(first.id, lambda event: event.type == "step.started", after=seen)
    await keyed.let_end(first, "1")


async def test_a_key_given_with_the_start_comes_first(world: World, tmp_path: Path) -> None:
    keyed = await Keyed.of(world, tmp_path)
    run = await keyed.start("1", concurrency_key="mine")
    assert run.concurrency_key == "mine"
    await keyed.let_end(run, "1")


async def test_a_key_that_cannot_be_had_is_told_before_anything_is_stored(world: World) -> None:
    config = {"concurrency": {"key": "{{ input.region }}"}, "steps": [step("a", "noop")]}
    view = await world.automations.create(world.who, NewAutomation("keyed", config))
    await world.automations.publish(world.who, view.record.id, 1)
    for run_input, reason in (({}, "input has no 'region'"), ({"region": [1]}, "A key has to be text or a number")):
        with pytest.raises(InvalidInput, match=reason):
            await world.runs.start(world.who, StartRun(view.record.id, input=run_input))
    keyless = await world.runs.start(world.who, StartRun(view.record.id, input={"region": None}))
    assert keyless.run.concurrency_key is None
    assert (await world.end(keyless.run.id)).status is RunStatus.COMPLETED
