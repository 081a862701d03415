"""Automations that call automations, whoever drives their runs."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tests.behaviour.shapes import step
from tests.behaviour.worlds import OpenWorld
from tests.engine.conftest import World
from vai.automations import NewAutomation
from vai.domain.status import RetryMode, RunStatus, StepStatus
from vai.runs import StartRun


async def publish(world: World, name: str, *steps: dict[str, Any], **config: Any) -> str:
    """An automation that may be started; its id."""
    view = await world.automations.create(world.who, NewAutomation(name, {"steps": list(steps), **config}))
    await world.automations.publish(world.who, view.record.id, 1)
    return view.record.id


def call(automation: str, key: str = "call", **more: Any) -> dict[str, Any]:
    definition = {"automation": automation, **more.pop("definition", {})}
    return step(key, "call_automation", definition=definition, **more)


async def child_of(world: World, run_id: str, key: str = "call") -> str:
    """The id of the run that the step waits for."""
    await world.until(run_id, lambda event: event.type == "step.child_started" and event.step_key == key)
    child_run_id: str = (await world.step(run_id, key)).child_run_id
    return child_run_id


ADDS = step("sum", "add", definition={"a": "{{ input.n }}", "b": 1})


@pytest.mark.parametrize("by", ["name", "slug", "id"])
async def test_a_child_gets_its_input_and_its_result_comes_back(world: World, by: str) -> None:
    automation_id = await publish(world, "Add One", ADDS)
    named = {"name": "Add One", "slug": "add-one", "id": automation_id}[by]
    asked = {"input": {"n": "{{ input.start }}"}}
    after = step("after", "add", definition={"a": "{{ steps.call.result.outputs.sum.value }}", "b": 0})
    run_id = await world.start([call(named, definition=asked), after], {"start": 41})
    assert (await world.end(run_id)).status is RunStatus.COMPLETED
    found = await world.step(run_id, "call")
    assert found.result.value == {
        "runId": found.child_run_id,
        "status": "completed",
        "outputs": {"sum": {"value": 42}},
    }
    child = await world.runs.get(world.who, found.child_run_id)
    assert (child.parent_run_id, child.parent_step_key) == (run_id, "call")
    assert (child.trigger_type, child.trigger_source_type, child.trigger_source_id) == ("event", "automation", run_id)
    assert (await world.step(run_id, "after")).result.value == {"value": 42}


async def test_a_failure_comes_up_and_is_tried_again_with_a_new_child(world: World, tmp_path: Path) -> None:
    await publish(world, "fails", step("odd", "odd", definition={"path": str(tmp_path), "fail": True}))
    retry = {"maxAttempts": 2, "initialSeconds": 0.01, "on": ["child_failed"]}
    run_id = await world.start([call("fails", retry=retry)])
    run = await world.end(run_id)
    assert run.status is RunStatus.FAILED
    types = Counter(await world.types(run_id))
    assert (types["step.child_started call"], types["step.retry_scheduled call"]) == (2, 1)
    error = (await world.step(run_id, "call")).error
    assert (error.type, "not mended" in error.message) == ("child_failed", True)
    (tmp_path / "mended").touch()
    await world.runs.retry(world.who, run_id, RetryMode.FROM_FAILED, None)
    assert (await world.end(run_id, after=len(await world.types(run_id)))).status is RunStatus.COMPLETED


async def test_cancel_goes_down(world: World) -> None:
    await publish(world, "grandchild", step("wait", "until_stopped"))
    await publish(world, "child", call("grandchild"))
    run_id = await world.start([call("child")])
    child = await child_of(world, run_id)
    grandchild = await child_of(world, child)
    await world.until(grandchild, lambda event: event.type == "step.log")
    await world.runs.cancel(world.who, run_id)
    ends = [(await world.end(each)).status for each in (run_id, child, grandchild)]
    assert ends == [RunStatus.CANCELLED] * 3


async def test_a_child_that_somebody_cancels_fails_its_step(world: World) -> None:
    await publish(world, "child", step("wait", "until_stopped"))
    run_id = await world.start([call("child"), step("beside", "noop")])
    child = await child_of(world, run_id)
    await world.runs.cancel(world.who, child)
    assert (await world.end(run_id)).status is RunStatus.FAILED
    assert (await world.step(run_id, "call")).error.type == "child_cancelled"
    assert (await world.step(run_id, "beside")).status is StepStatus.COMPLETED


async def test_a_circle_ends(world: World) -> None:
    circle = await publish(world, "circle", call("circle"))
    run_id = (await world.runs.start(world.who, StartRun(circle))).run.id
    run = await world.end(run_id)
    assert run.status is RunStatus.FAILED
    assert run.error is not None
    assert "in a circle" in run.error.message
    assert (await world.runs.list(world.who, (), 100, 0, circle)).total == 8


@pytest.mark.parametrize(
    "asked, error",
    [
        ({"automation": "nobody"}, "not_startable"),
        ({"automation": "strict", "version": 7}, "not_startable"),
        ({"automation": "strict", "input": {"n": "one"}}, "invalid_input"),
    ],
)
async def test_what_cannot_be_started_fails_the_step(world: World, asked: dict[str, Any], error: str) -> None:
    inputs = {"type": "object", "properties": {"n": {"type": "integer"}}}
    await publish(world, "strict", step("a", "noop"), inputs=inputs)
    run_id = await world.start([step("call", "call_automation", definition=asked)])
    await world.end(run_id)
    assert (await world.step(run_id, "call")).error.type == error


async def test_a_child_under_its_parents_key_does_not_wait_for_it(world: World) -> None:
    one = {"concurrency": {"key": "the same"}}
    await publish(world, "child", step("a", "noop"), **one)
    parent = await publish(world, "parent", call("child"), **one)
    run_id = (await world.runs.start(world.who, StartRun(parent))).run.id
    assert (await world.end(run_id)).status is RunStatus.COMPLETED


async def test_each_element_may_call(world: World) -> None:
    await publish(world, "add", ADDS)
    fan = call("add", forEach=[1, 2, 3], definition={"input": {"n": "{{ item }}"}})
    run_id = await world.start([fan])
    assert (await world.end(run_id)).status is RunStatus.COMPLETED
    items = (await world.step(run_id, "call")).result.value["items"]
    assert [item["outputs"]["sum"]["value"] for item in items] == [2, 3, 4]


async def test_a_child_ends_while_nobody_drives_and_its_parent_goes_on_later(open_world: OpenWorld) -> None:
    async with open_world() as first:
        await publish(first, "child", step("wait", "wait", definition={"seconds": 0.2}))
        run_id = await first.start([call("child")])
        child = await child_of(first, run_id)
    async with open_world() as second:
        assert (await second.end(run_id)).status is RunStatus.COMPLETED
        assert (await second.runs.get(second.who, child)).status is RunStatus.COMPLETED
        assert Counter(await second.types(run_id))["step.child_started call"] == 1
