"""A step that runs over the elements of a list."""

from typing import Any

import pytest

from tests.domain.graphs import Finds, FindsNothing, Says
from tests.domain.world import FLAKY, World, a_run, step
from vai.domain import commands as c
from vai.domain import events as e
from vai.domain.decide import transition
from vai.domain.gathering import INLINE_LIMIT_BYTES
from vai.domain.graph import RetryPolicy, StepSpec
from vai.domain.retry import PlannedAction, plan_retry
from vai.domain.state import Result
from vai.domain.status import OnInterrupt, RetryMode, RunStatus, RunWhen, StepStatus


def fan(count: int, key: str = "fan", *depends_on: str, at_once: int = 2, **options: Any) -> StepSpec:
    return step(key, *depends_on, for_each=Finds(count), max_parallel=at_once, **options)


def begun(count: int, *others: StepSpec, **options: Any) -> World:
    return a_run(fan(count, **options), *others).start()


def complete_all(world: World) -> None:
    while at_work := world.executing():
        world.complete(*at_work)


def test_its_elements_are_steps_of_which_so_many_are_under_way() -> None:
    world = begun(5)
    assert list(world.state.graph.steps) == ["fan", *(f"fan[{i}]" for i in range(5))]
    assert world.executing() == ["fan[0]", "fan[1]"]
    world.complete("fan[1]")
    assert world.executing() == ["fan[0]", "fan[2]"]
    world.complete("fan[0]", "fan[2]")
    assert world.executing() == ["fan[3]", "fan[4]"]
    assert world.step("fan").status is StepStatus.RUNNING


def test_results_are_gathered_in_the_order_of_the_elements() -> None:
    world = begun(3, step("after", "fan"), at_once=3)
    for key in ("fan[2]", "fan[0]", "fan[1]"):
        world.complete(key, result=Result({"of": key}))
    result = world.step("fan").result
    assert result is not None
    assert result.value == {"items": [{"of": f"fan[{i}]"} for i in range(3)], "count": 3}
    assert world.executing() == ["after"]


def test_no_elements_are_a_result_too() -> None:
    world = begun(0, step("after", "fan"))
    assert world.step("fan").status is StepStatus.COMPLETED
    assert world.executing() == ["after"]


def test_a_large_result_is_put_aside_under_an_id_that_follows_from_what_it_is() -> None:
    ids = set()
    for _ in range(2):
        world = begun(2)
        world.complete("fan[0]", "fan[1]", result=Result({"text": "x" * INLINE_LIMIT_BYTES}))
        result = world.step("fan").result
        assert result is not None
        assert result.truncated
        ids.add(result.artifact_id)
    assert len(ids) == 1


@pytest.mark.parametrize(
    "run_when, runs",
    [(RunWhen.ALL_SUCCEEDED, False), (RunWhen.ALL_DONE, True), (RunWhen.ANY_FAILED, True)],
)
def test_a_failing_element_leaves_the_others_alone_and_fails_the_step(run_when: RunWhen, *, runs: bool) -> None:
    world = begun(4, step("after", "fan", run_when=run_when))
    world.fail("fan[0]")
    complete_all(world)
    found = world.step("fan")
    assert found.error is not None
    assert (found.status, found.error.type) == (StepStatus.FAILED, "elements_failed")
    assert found.error.details == {"failed": ["fan[0]"], "failedCount": 1, "count": 4}
    assert found.result is not None
    assert [item is None for item in found.result.value["items"]] == [True, True, True, True]
    assert (world.step("after").tries == 1) == runs
    assert world.state.error is None or world.state.error.failed_steps == ("fan",)


def test_an_element_is_tried_again_by_the_steps_policy() -> None:
    world = begun(3, retry=RetryPolicy(max_attempts=2, jitter=False))
    world.fail("fan[0]", error=FLAKY)
    assert world.step("fan[0]").next_attempt_at is not None
    assert world.executing() == ["fan[1]"], "one that backs off still counts"
    world.wait(1_000)
    assert world.executing() == ["fan[0]", "fan[1]"]


def test_fail_fast_ends_the_other_elements() -> None:
    world = a_run(fan(5, at_once=3), fail_fast=True).start()
    world.fail("fan[1]")
    assert world.where(StepStatus.CANCELLED) == {"fan[3]", "fan[4]"}
    world.stop("fan[0]", "fan[2]")
    assert world.state.status is RunStatus.FAILED
    assert world.step("fan").status is StepStatus.CANCELLED
    assert world.state.error is not None
    assert world.state.error.failed_steps == ("fan[1]",)


def test_cancel_ends_it_with_the_last_element_at_work() -> None:
    world = begun(4)
    world.do(c.Cancel())
    assert world.step("fan").status is StepStatus.RUNNING
    world.stop("fan[0]", "fan[1]")
    assert world.state.status is RunStatus.CANCELLED
    assert world.step("fan").status is StepStatus.CANCELLED


def test_a_list_that_cannot_be_had_fails_the_step() -> None:
    world = a_run(step("fan", for_each=FindsNothing())).start()
    error = world.step("fan").error
    assert error is not None
    assert error.type == "expression_failed"


def test_a_condition_decides_about_the_step_as_a_whole() -> None:
    world = a_run(fan(3, condition=Says(False))).start()
    assert world.statuses() == {"fan": "skipped"}


def test_a_retry_runs_only_the_elements_again_that_failed() -> None:
    world = begun(5, step("after", "fan"))
    world.complete("fan[0]", result=Result({"n": 0}))
    world.fail("fan[1]", "fan[2]")
    complete_all(world)
    plan = {planned.key: planned for planned in plan_retry(world.state, RetryMode.FROM_FAILED, None)}
    assert [planned.action for planned in plan.values()] == [
        *(PlannedAction.RERUN, PlannedAction.REUSE, PlannedAction.RERUN, PlannedAction.RERUN),
        *(PlannedAction.REUSE, PlannedAction.REUSE, PlannedAction.RERUN),
    ]
    assert plan["fan"].reason == "its element fan[1] runs again"
    world.do(c.Retry(RetryMode.FROM_FAILED))
    world.start()
    assert world.executing() == ["fan[1]", "fan[2]"]
    world.complete("fan[2]", "fan[1]", result=Result({"n": 9}))
    result = world.step("fan").result
    assert result is not None
    assert [item and item["n"] for item in result.value["items"]] == [0, 9, 9, None, None]
    assert world.executing() == ["after"]


def test_a_retry_from_one_element_of_a_completed_step() -> None:
    world = begun(3)
    complete_all(world)
    world.do(c.Retry(RetryMode.FROM_STEP, "fan[1]"))
    world.start()
    assert world.executing() == ["fan[1]"]
    world.complete("fan[1]")
    assert world.state.status is RunStatus.COMPLETED


@pytest.mark.parametrize("command", [c.Retry(RetryMode.FULL), c.Retry(RetryMode.FROM_STEP, "up")])
def test_a_retry_of_what_it_needs_finds_the_elements_anew(command: c.Retry) -> None:
    world = a_run(step("up"), fan(3, "fan", "up")).start()
    complete_all(world)
    plan = {planned.key: planned for planned in plan_retry(world.state, command.mode, command.step_key)}
    assert all(planned.action is PlannedAction.RERUN for planned in plan.values())
    (event,) = world.do(command)
    assert isinstance(event, e.RunRetried)
    assert event.rerun == ("up", "fan")
    assert set(world.state.steps) == {"up", "fan"}
    world.start()
    complete_all(world)
    assert world.state.status is RunStatus.COMPLETED


def test_an_interrupted_element_runs_again_and_keeps_its_place() -> None:
    world = begun(4)
    world.do(c.HandBack())
    world.do(c.TakeOver())
    assert world.executing() == ["fan[0]", "fan[1]"]
    failing = begun(4, on_interrupt=OnInterrupt.FAIL)
    failing.do(c.TakeOver())
    assert failing.where(StepStatus.FAILED) == {"fan[0]", "fan[1]"}
    assert failing.executing() == ["fan[2]", "fan[3]"]


def test_ten_thousand_elements_may_all_end_at_once() -> None:
    world = a_run(fan(10_000, at_once=10_000)).start()
    reports = tuple(c.Completed(f"fan[{i}]", 1) for i in range(10_000))
    events, after = transition(world.state, c.Advance(reports), world.now)
    assert after.status is RunStatus.COMPLETED
    assert len(events) == 10_002
