"""From the first step to the last: statuses, times, what is skipped and why."""

import itertools

import pytest

from tests.domain.graphs import Raises, Says
from tests.domain.world import BEGINNING, BROKEN, World, a_run, run_when_holds, step
from vai.domain import commands as c
from vai.domain import events as e
from vai.domain.readiness import why_skip
from vai.domain.state import Result, StepState
from vai.domain.status import RunStatus, RunWhen, SkipReason, StepStatus


def types(events: tuple[e.Event, ...]) -> list[str]:
    return [event.type for event in events]


def test_an_accepted_run_is_pending_until_an_engine_begins_it() -> None:
    world = a_run(step("a"))
    assert world.state.status is RunStatus.PENDING
    assert (world.state.started_at, world.state.completed_at, world.state.due_at()) == (None, None, None)
    assert types(world.do(c.Start())) == ["run.started", "step.started"]
    assert world.state.status is RunStatus.RUNNING


def test_only_a_pending_run_is_begun() -> None:
    world = a_run(step("a")).start()
    assert world.do(c.Start()) == ()
    world.complete("a")
    assert world.do(c.Start()) == ()


def test_a_step_starts_when_the_last_of_what_it_needs_has_ended() -> None:
    world = a_run(step("a"), step("b"), step("c", "a", "b")).start()
    assert world.executing() == ["a", "b"]
    assert types(world.complete("a")) == ["step.completed"]
    assert types(world.complete("b")) == ["step.completed", "step.started"]
    assert types(world.complete("c")) == ["step.completed", "run.completed"]


def test_what_completed_and_what_starts_next_are_one_change() -> None:
    world = a_run(step("a"), *(step(f"b{i}", "a") for i in range(8)), step("z", *(f"b{i}" for i in range(8))))
    world.start()
    assert types(world.complete("a")) == ["step.completed"] + ["step.started"] * 8
    assert types(world.complete(*(f"b{i}" for i in range(8)))) == ["step.completed"] * 8 + ["step.started"]


def test_the_times_of_a_run_are_those_of_its_first_start_and_its_end() -> None:
    world = a_run(step("a"), step("b", "a"))
    world.now += 70
    world.start()
    world.now += 200
    world.complete("a")
    assert world.state.completed_at is None
    world.now += 30
    world.complete("b")
    assert (world.state.started_at, world.state.completed_at) == (BEGINNING + 70, BEGINNING + 300)
    assert (world.step("b").started_at, world.step("b").completed_at) == (BEGINNING + 270, BEGINNING + 300)


def test_nothing_ends_before_it_began_though_the_next_engines_clock_is_behind() -> None:
    world = a_run(step("a")).start()
    world.now -= 5_000
    world.complete("a")
    assert world.step("a").completed_at == world.state.completed_at == BEGINNING


def test_a_run_without_steps_completes_at_once() -> None:
    assert types(a_run().do(c.Start())) == ["run.started", "run.completed"]


def test_a_failed_step_skips_what_needs_it_and_lets_the_rest_go_on() -> None:
    world = a_run(step("bad"), step("next", "bad"), step("after", "next"), step("other"), step("last", "other"))
    world.start()
    world.fail("bad")
    assert world.where(StepStatus.SKIPPED) == {"next", "after"}
    assert world.step("after").skip_reason is SkipReason.UPSTREAM_FAILED
    assert world.state.status is RunStatus.RUNNING
    world.complete("other")
    world.complete("last")
    assert world.state.status is RunStatus.FAILED
    assert world.state.error is not None
    assert world.state.error.failed_steps == ("bad",)
    assert world.state.error.message == "Step bad failed: It broke."


def test_fail_fast_cancels_the_rest_at_once_and_asks_what_is_at_work_to_stop() -> None:
    world = a_run(step("bad"), step("busy"), step("next", "bad"), step("after", "busy"), fail_fast=True).start()
    world.fail("bad")
    assert world.where(StepStatus.CANCELLED) == {"next", "after"}
    assert (world.state.stopping, world.executing()) == ("fail_fast", ["busy"])
    world.stop("busy")
    assert world.state.status is RunStatus.FAILED
    assert world.step("busy").status is StepStatus.CANCELLED


def test_fail_fast_has_nothing_to_stop_when_the_last_step_fails() -> None:
    world = a_run(step("a"), fail_fast=True).start()
    assert types(world.fail("a")) == ["step.failed", "run.failed"]


def test_what_completes_while_the_run_stops_is_completed_all_the_same() -> None:
    world = a_run(step("bad"), step("busy"), fail_fast=True).start()
    world.fail("bad")
    world.complete("busy", result=Result(7))
    assert world.step("busy").result == Result(7)
    assert world.state.status is RunStatus.FAILED


def test_a_step_whose_condition_is_false_is_skipped_and_the_run_completes() -> None:
    world = a_run(step("a"), step("b", "a", condition=Says(False)), step("c", "b"), step("d", "a")).start()
    world.complete("a")
    assert world.step("b").skip_reason is SkipReason.CONDITION
    assert world.step("c").skip_reason is SkipReason.UPSTREAM_SKIPPED
    world.complete("d")
    assert world.state.status is RunStatus.COMPLETED


def test_a_condition_that_cannot_be_evaluated_fails_the_step() -> None:
    world = a_run(step("a", condition=Raises())).start()
    error = world.step("a").error
    assert error is not None
    assert (error.type, error.retryable) == ("expression_failed", False)
    assert error.details == {
        "expression": "steps.x.result.rows > 0",
        "reason": "no such key: rows",
        "names": ["input", "steps"],
    }
    assert world.state.status is RunStatus.FAILED


def test_a_condition_sees_what_the_same_report_has_brought() -> None:
    seen = []
    condition = lambda state: not seen.append(state.steps["a"].result)  # noqa: E731
    world = a_run(step("a"), step("b", "a", condition=condition)).start()
    world.complete("a", result=Result(41))
    assert set(seen) == {Result(41)}


def test_a_condition_is_asked_once_in_an_attempt() -> None:
    asked = []
    world = a_run(step("a", condition=lambda state: not asked.append(state)))
    world.start()
    asked.clear()
    world.do(c.TakeOver())
    assert world.step("a").tries == 2
    assert asked == []


OUTCOMES = {
    "completed": (StepStatus.COMPLETED, None),
    "failed": (StepStatus.FAILED, None),
    "cancelled": (StepStatus.CANCELLED, None),
    "skipped by its condition": (StepStatus.SKIPPED, SkipReason.CONDITION),
    "skipped by a branch": (StepStatus.SKIPPED, SkipReason.BRANCH_NOT_TAKEN),
    "skipped after a failure": (StepStatus.SKIPPED, SkipReason.UPSTREAM_FAILED),
}
PAIRS = list(itertools.combinations_with_replacement(OUTCOMES, 2))


@pytest.mark.parametrize("run_when", RunWhen)
@pytest.mark.parametrize("outcomes", PAIRS, ids=" and ".join)
def test_run_when_over_every_pair_of_outcomes(run_when: RunWhen, outcomes: tuple[str, str]) -> None:
    needed = [StepState(name, OUTCOMES[name][0], skip_reason=OUTCOMES[name][1]) for name in outcomes]
    reason = why_skip(run_when, needed)
    assert (reason is None) == run_when_holds(run_when, needed)
    harm = any("fail" in name or name == "cancelled" for name in outcomes)
    if reason is not None and run_when is not RunWhen.ANY_FAILED:
        assert reason is (SkipReason.UPSTREAM_FAILED if harm else SkipReason.UPSTREAM_SKIPPED)


def test_a_handler_of_failures_runs_after_one_and_is_skipped_without() -> None:
    steps = [step("a"), step("alarm", "a", run_when=RunWhen.ANY_FAILED)]
    failing, well = a_run(*steps).start(), a_run(*steps).start()
    failing.fail("a")
    assert failing.executing() == ["alarm"]
    failing.complete("alarm")
    assert failing.state.status is RunStatus.FAILED
    well.complete("a")
    assert well.step("alarm").skip_reason is SkipReason.RUN_WHEN
    assert well.state.status is RunStatus.COMPLETED


def branching() -> World:
    return a_run(
        step("choose"),
        step("left", "choose"),
        step("right", "choose"),
        step("beyond", "right"),
        step("join", "left", "beyond", run_when=RunWhen.NONE_FAILED),
    ).start()


def test_a_branch_not_taken_is_skipped_with_all_behind_it_and_the_join_goes_on() -> None:
    world = branching()
    world.complete("choose", skips=("right",))
    assert (world.step("right").skip_reason, world.step("right").skipped_by) == (
        SkipReason.BRANCH_NOT_TAKEN,
        "choose",
    )
    assert world.step("beyond").skip_reason is SkipReason.UPSTREAM_SKIPPED
    world.complete("left")
    assert world.executing() == ["join"]


@pytest.mark.parametrize("name", ["nobody", "choose", "other"])
def test_a_step_skips_only_what_hangs_on_it(name: str) -> None:
    world = a_run(step("choose"), step("first"), step("other", "first")).start()
    assert types(world.complete("choose", skips=(name,))) == ["step.completed"]


@pytest.mark.parametrize(
    "stale",
    [
        c.Completed("a", 2),
        c.Completed("a", 1, attempt=2),
        c.Failed("a", 0, BROKEN),
        c.Completed("later", 0),
        c.Completed("nobody", 1),
    ],
    ids=["a later try", "another attempt", "an earlier try", "one that has not begun", "an unknown step"],
)
def test_a_report_of_an_execution_that_is_not_at_work_changes_nothing(stale: c.Report) -> None:
    world = a_run(step("a"), step("later", "a")).start()
    assert world.report(stale) == ()


def test_a_report_counts_once() -> None:
    world = a_run(step("a"), step("b")).start()
    report = c.Completed("a", 1, Result(1))
    assert types(world.report(report, report, c.Failed("a", 1, BROKEN))) == ["step.completed"]
    assert world.report(report) == ()


def test_an_action_that_stops_unasked_has_failed() -> None:
    world = a_run(step("a")).start()
    world.stop("a")
    error = world.step("a").error
    assert error is not None
    assert error.type == "stopped"


def test_an_engine_that_is_being_stopped_takes_reports_in_and_starts_nothing() -> None:
    world = a_run(step("a"), step("b", "a")).start()
    assert types(world.do(c.Advance((c.Completed("a", 1),), may_start=False))) == ["step.completed"]
    assert world.state.due_at() == BEGINNING, "the next engine finds it due"
    assert types(world.do(c.Advance())) == ["step.started"]
