"""Why a run is not moving, told while it is not."""

from __future__ import annotations

from pathlib import Path

from tests.behaviour.shapes import step
from tests.behaviour.test_calls import call, child_of, publish
from tests.behaviour.test_concurrency import Keyed
from tests.behaviour.worlds import OpenWorld
from tests.engine.conftest import World
from vai.domain.state import Instant
from vai.domain.status import RunStatus


async def reasons(world: World, run_id: str) -> dict[str | None, tuple[str, Instant | None]]:
    """The sentence and the end of each reason, by its step."""
    found = await world.runs.explain(world.who, run_id)
    return {reason.step_key: (reason.sentence, reason.until) for reason in found.reasons}


async def test_steps_say_what_they_wait_for(world: World) -> None:
    retry = {"maxAttempts": 2, "initialSeconds": 3_600, "jitter": False}
    steps = [
        *(step("waits", "wait", definition={"seconds": 3_600}), step("after", "noop", "waits")),
        *(step("fails", "fail", retry=retry), step("works", "until_stopped")),
        step("fan", "until_stopped", forEach=[1, 2], maxParallel=1),
    ]
    run_id = await world.start(steps)
    for kind, key in (("step.waiting", "waits"), ("step.retry_scheduled", "fails"), ("step.log", "fan[0]")):
        await world.until(run_id, lambda event, kind=kind, key=key: (event.type, event.step_key) == (kind, key))
    found = await reasons(world, run_id)
    assert found["waits"][0] == "It waits for a point in time."
    assert found["waits"][1] is not None
    assert found["after"] == ("It waits for waits.", None)
    assert found["fails"][0].startswith("It is tried again after: ")
    assert found["fails"][1] is not None
    assert found["works"][0] == "It is at work."
    assert found["fan"][0] == "It waits for 2 of its 2 elements."
    assert "maxParallel lets 1 elements" in found["fan[1]"][0]
    await world.runs.cancel(world.who, run_id)
    await world.end(run_id)
    assert list(await reasons(world, run_id)) == [None]


async def test_a_run_in_the_line_names_who_is_under_way(world: World, tmp_path: Path) -> None:
    keyed = await Keyed.of(world, tmp_path)
    first, second, third = [await keyed.start(str(number)) for number in range(3)]
    await keyed.begun(first)
    sentence, _ = (await reasons(world, third.id))[None]
    assert "'orders-eu'" in sentence
    assert first.id in sentence
    assert "1 more before it" in sentence
    for name, run in (("0", first), ("1", second), ("2", third)):
        assert await keyed.let_end(run, name) is RunStatus.COMPLETED


async def test_a_child_is_named(world: World) -> None:
    await publish(world, "child", step("work", "until_stopped"))
    run_id = await world.start([call("child")])
    child = await child_of(world, run_id)
    assert (await reasons(world, run_id))["call"][0] == f"It waits for the run {child}."
    await world.runs.cancel(world.who, run_id)
    await world.end(child)


async def test_a_run_that_nobody_takes_says_so(open_world: OpenWorld) -> None:
    async with open_world(engine=False) as world:
        run_id = await world.start([step("a", "noop")])
        (reason,) = (await world.runs.explain(world.who, run_id)).reasons
        assert reason.sentence in ("No engine is alive that could drive it.", "It waits for Temporal to take it up.")
        assert reason.advice is not None
