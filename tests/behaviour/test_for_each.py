"""Steps over elements, whoever drives the run."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from tests.behaviour.shapes import step
from tests.behaviour.worlds import OpenWorld
from tests.engine.conftest import World
from vai.domain.status import RetryMode, RunStatus, StepStatus

NUMBERS = [{"n": i} for i in range(6)]


def adding(**more: object) -> dict[str, object]:
    return step("fan", "add", forEach="{{ input.items }}", definition={"a": "{{ item.n }}", "b": "{{ index }}"}, **more)


async def test_results_come_in_order_and_are_there_for_the_next(world: World) -> None:
    after = step("sum", "add", definition={"a": "{{ steps.fan.result.items[5].value }}", "b": 1})
    run_id = await world.start([adding(maxParallel=2), after], {"items": NUMBERS})
    assert (await world.end(run_id)).status is RunStatus.COMPLETED
    fan = await world.step(run_id, "fan")
    assert fan.result.value == {"items": [{"value": 2 * i} for i in range(6)], "count": 6}
    assert (await world.step(run_id, "sum")).result.value == {"value": 11}
    views = (await world.runs.steps(world.who, run_id)).steps
    assert [view.state.key for view in views] == ["fan", *(f"fan[{i}]" for i in range(6)), "sum"]
    assert [view.element_of for view in views[:3]] == [None, ("fan", 0), ("fan", 1)]


async def test_no_more_are_under_way_than_allowed(world: World) -> None:
    run_id = await world.start([adding(maxParallel=2)], {"items": NUMBERS})
    await world.end(run_id)
    under_way = most = 0
    for kind in await world.types(run_id):
        if "fan[" in kind:
            under_way += {"step.started": 1, "step.completed": -1}[kind.split()[0]]
            most = max(most, under_way)
    assert most == 2


async def test_a_retry_runs_only_the_failed_elements_again(world: World, tmp_path: Path) -> None:
    items = [{"fail": i in (1, 3)} for i in range(5)]
    fan = step("fan", "odd", forEach="input.items", definition={"path": str(tmp_path), "fail": "{{ item.fail }}"})
    run_id = await world.start([fan, step("after", "noop", "fan")], {"items": items})
    run = await world.end(run_id)
    assert run.status is RunStatus.FAILED
    assert run.error is not None
    assert run.error.failed_steps == ("fan",)
    (tmp_path / "mended").touch()
    await world.runs.retry(world.who, run_id, RetryMode.FROM_FAILED, None)
    assert (await world.end(run_id, after=len(await world.types(run_id)))).status is RunStatus.COMPLETED
    began = Counter(kind for kind in await world.types(run_id) if kind.startswith("step.started fan["))
    assert began == {f"step.started fan[{i}]": 1 + (i in (1, 3)) for i in range(5)}
    first = await world.runs.steps(world.who, run_id, attempt=1)
    assert [view.state.status for view in first.steps[1:6]].count(StepStatus.FAILED) == 2


async def test_elements_that_are_found_anew_leave_nothing_of_the_old_ones(world: World, tmp_path: Path) -> None:
    listed = step("list", "listed", definition={"path": str(tmp_path / "names")})
    fan = step("fan", "noop", forEach="steps.list.result.names")
    (tmp_path / "names").write_text("a b c d")
    run_id = await world.start([listed, fan])
    await world.end(run_id)
    (tmp_path / "names").write_text("a b")
    await world.runs.retry(world.who, run_id, RetryMode.FROM_STEP, "list")
    await world.end(run_id, after=len(await world.types(run_id)))
    keys = [[view.state.key for view in (await world.runs.steps(world.who, run_id, n)).steps] for n in (1, 2)]
    assert keys[0] == ["list", "fan", *(f"fan[{i}]" for i in range(4))]
    assert keys[1] == ["list", "fan", "fan[0]", "fan[1]"]


async def test_cancel_stops_the_elements_at_work_and_begins_no_other(world: World) -> None:
    fan = step("fan", "until_stopped", forEach=[1, 2, 3, 4], maxParallel=2)
    run_id = await world.start([fan])
    await world.until(run_id, lambda event: event.type == "step.log" and event.step_key == "fan[1]")
    await world.runs.cancel(world.who, run_id)
    assert (await world.end(run_id)).status is RunStatus.CANCELLED
    steps = (await world.runs.steps(world.who, run_id)).steps
    assert {view.state.status for view in steps} == {StepStatus.CANCELLED}
    assert [view.state.tries for view in steps[1:]] == [1, 1, 0, 0]


async def test_a_large_result_of_many_elements_is_kept_whole(world: World) -> None:
    fan = step("fan", "long_text", forEach=list(range(4)), definition={"length": 40_000})
    after = step("after", "add", definition={"a": "{{ size(steps.fan.result.items[3].value) }}", "b": 0})
    run_id = await world.start([fan, after])
    assert (await world.end(run_id)).status is RunStatus.COMPLETED
    found = (await world.step(run_id, "fan")).result
    assert found.truncated
    assert len(await world.content(found.artifact_id)) > 160_000
    assert (await world.step(run_id, "after")).result.value == {"value": 40_000}


async def test_what_drives_next_goes_on_with_the_elements_that_are_left(open_world: OpenWorld, tmp_path: Path) -> None:
    ledger = tmp_path / "ledger"
    tells = {"ledger": str(ledger), "seconds": 0.01}
    async with open_world() as first:
        fan = step("fan", "tell", forEach=list(range(30)), maxParallel=2, definition=tells)
        run_id = await first.start([fan])
        await first.until(run_id, lambda event: event.type == "step.completed" and event.step_key == "fan[4]")
    async with open_world() as second:
        assert (await second.end(run_id)).status is RunStatus.COMPLETED
        types = Counter(await second.types(run_id))
        begun = Counter(line.split()[1] for line in ledger.read_text().splitlines())
        assert set(begun) == {f"fan[{i}]" for i in range(30)}
        assert all(times <= 1 + types[f"step.interrupted {key}"] for key, times in begun.items())
        assert (await second.step(run_id, "fan")).result.value["count"] == 30
