"""Retry: what runs again, what is reused, what stays skipped; and that the plan says so beforehand."""

import pytest

from tests.domain.graphs import Says
from tests.domain.world import BEGINNING, FLAKY, World, a_run, step
from vai.domain import commands as c
from vai.domain import events as e
from vai.domain.graph import RetryPolicy
from vai.domain.refusals import NotFinal, NothingToRetry, Refusal, StepKeyNotAllowed, UnknownStep
from vai.domain.retry import plan_retry
from vai.domain.state import Result
from vai.domain.status import RetryMode, RunStatus, RunWhen, SkipReason, StepStatus


def plan(world: World, mode: RetryMode = RetryMode.FROM_FAILED, key: str | None = None) -> dict[str, str]:
    return {planned.key: planned.action.value for planned in plan_retry(world.state, mode, key)}


def retry(world: World, mode: RetryMode = RetryMode.FROM_FAILED, key: str | None = None) -> set[str]:
    """Retry, and what runs again."""
    (event,) = world.do(c.Retry(mode, key, "someone"))
    assert isinstance(event, e.RunRetried)
    return set(event.rerun)


def broken_in_the_middle() -> World:
    """extract ─ load ✗ ─ report, and beside them: other."""
    world = a_run(step("extract"), step("load", "extract"), step("report", "load"), step("other")).start()
    world.complete("extract", "other", result=Result("kept"))
    world.now += 1_000
    world.fail("load")
    return world


def completed() -> World:
    world = a_run(step("a"), step("b", "a"), step("c", "b"), step("d")).start()
    for keys in (["a", "d"], ["b"], ["c"]):
        world.complete(*keys, result=Result("first"))
    return world


def test_from_failed_runs_what_did_not_complete_and_keeps_the_rest() -> None:
    world = broken_in_the_middle()
    assert plan(world) == {"extract": "reuse", "load": "rerun", "report": "rerun", "other": "reuse"}
    assert retry(world) == {"load", "report"}
    assert (world.state.status, world.state.attempt) == (RunStatus.PENDING, 2)
    world.start()
    assert world.executing() == ["load"], "completed steps are not called again"
    world.complete("load")
    world.complete("report")
    assert world.state.status is RunStatus.COMPLETED
    assert [world.step(key).attempt for key in world.state.steps] == [1, 2, 2, 1]
    assert world.step("extract").result == Result("kept")


def test_a_retry_clears_the_end_and_keeps_the_beginning() -> None:
    world = broken_in_the_middle()
    assert world.state.completed_at == BEGINNING + 1_000
    retry(world)
    assert (world.state.started_at, world.state.completed_at, world.state.error) == (BEGINNING, None, None)


def test_a_failed_steps_output_is_invisible_in_the_new_attempt() -> None:
    world = a_run(step("a", retry=RetryPolicy(max_attempts=2, jitter=False))).start()
    world.fail("a", error=FLAKY)
    world.wait(1_000)
    world.fail("a", error=FLAKY)
    first = world.step("a")
    retry(world)
    world.start()
    again = world.step("a")
    assert (again.result, again.error, again.tries, again.attempt) == (None, None, 1, 2)
    assert again.action_run_id != first.action_run_id


def test_what_a_step_answered_before_is_invisible_to_the_steps_that_run_again() -> None:
    seen = []
    condition = lambda state: not seen.append(state.steps["a"].result)  # noqa: E731
    world = a_run(step("a"), step("b", "a", condition=condition, run_when=RunWhen.ALL_DONE)).start()
    world.complete("a", result=Result("first"))
    world.complete("b")
    seen.clear()
    retry(world, RetryMode.FROM_STEP, "a")
    world.start()
    assert world.step("a").result is None
    world.fail("a")
    assert set(seen) == {None}


def test_retrying_twice_makes_one_attempt() -> None:
    world = broken_in_the_middle()
    retry(world)
    with pytest.raises(NotFinal, match="The run is pending"):
        world.do(c.Retry())
    world.start()
    with pytest.raises(NotFinal, match="The run is running"):
        world.do(c.Retry())
    assert world.state.attempt == 2


def test_a_completed_run_can_be_retried_from_a_step() -> None:
    world = completed()
    assert plan(world, RetryMode.FROM_STEP, "b") == {"a": "reuse", "b": "rerun", "c": "rerun", "d": "reuse"}
    assert retry(world, RetryMode.FROM_STEP, "b") == {"b", "c"}
    world.start()
    assert world.executing() == ["b"]


def test_from_step_also_runs_what_did_not_complete_elsewhere() -> None:
    world = broken_in_the_middle()
    assert retry(world, RetryMode.FROM_STEP, "other") == {"other", "load", "report"}


def test_full_runs_everything() -> None:
    world = completed()
    assert retry(world, RetryMode.FULL) == {"a", "b", "c", "d"}


def test_a_cancelled_run_can_be_taken_up_again() -> None:
    world = a_run(step("a"), step("b", "a")).start()
    world.complete("a")
    world.do(c.Cancel())
    world.stop("b")
    assert retry(world) == {"b"}
    assert world.state.cancel_requested_at is None
    world.start()
    world.complete("b")
    assert world.state.status is RunStatus.COMPLETED


def test_a_run_that_was_cancelled_though_every_step_completed_has_only_its_end_to_retry() -> None:
    world = a_run(step("a")).start()
    world.do(c.Cancel())
    world.complete("a")
    assert world.state.status is RunStatus.CANCELLED
    assert retry(world) == set()
    world.start()
    assert world.state.status is RunStatus.COMPLETED


def test_a_step_that_its_condition_skipped_stays_skipped_and_the_join_is_not_run_again() -> None:
    world = a_run(
        *(step("a"), step("maybe", "a", condition=Says(False))),
        *(step("join", "a", "maybe", run_when=RunWhen.NONE_FAILED), step("bad", "a")),
    ).start()
    world.complete("a")
    world.complete("join")
    world.fail("bad")
    assert plan(world) == {"a": "reuse", "maybe": "skip", "join": "reuse", "bad": "rerun"}
    assert retry(world) == {"bad"}


def test_a_condition_is_asked_again_when_what_it_rests_on_runs_again() -> None:
    world = a_run(step("a"), step("maybe", "a", condition=Says(False)), step("bad")).start()
    world.complete("a")
    world.fail("bad")
    assert retry(world, RetryMode.FROM_STEP, "a") == {"a", "maybe", "bad"}


def test_a_branch_that_was_not_taken_stays_so_though_something_else_it_needs_runs_again() -> None:
    world = a_run(
        *(step("choose"), step("data"), step("left", "choose"), step("right", "choose", "data")),
        step("beyond", "right"),
    ).start()
    world.complete("choose", skips=("right",))
    world.complete("left")
    world.fail("data")
    assert plan(world) == {
        **{"choose": "reuse", "data": "rerun", "left": "reuse"},
        **{"right": "skip", "beyond": "skip"},
    }
    assert retry(world) == {"data"}
    world.start()
    world.complete("data")
    assert world.state.status is RunStatus.COMPLETED
    assert world.step("right").skip_reason is SkipReason.BRANCH_NOT_TAKEN


def test_a_branch_is_chosen_anew_when_what_chose_it_runs_again() -> None:
    world = a_run(step("choose"), step("left", "choose"), step("right", "choose")).start()
    world.complete("choose", skips=("right",))
    world.complete("left")
    assert retry(world, RetryMode.FROM_STEP, "choose") == {"choose", "left", "right"}
    world.start()
    world.complete("choose", skips=("left",))
    assert world.executing() == ["right"]


def test_a_choice_within_a_branch_not_taken_stands_with_it() -> None:
    """What chose `deep` is itself kept from running again by a branch that stands."""
    world = a_run(
        *(step("choose"), step("data"), step("off", "choose", "data")),
        step("inner", "off", run_when=RunWhen.ALL_DONE),
        *(step("deep", "inner", "data", run_when=RunWhen.ALL_DONE), step("bad", "data")),
    ).start()
    world.complete("choose", skips=("off",))
    world.complete("inner", skips=("deep",))
    world.complete("data")
    world.fail("bad")
    assert retry(world, RetryMode.FROM_STEP, "data") == {"data", "bad"}


def test_one_can_still_ask_for_a_branch_that_was_not_taken() -> None:
    world = a_run(step("choose"), step("left", "choose"), step("right", "choose")).start()
    world.complete("choose", skips=("right",))
    world.complete("left")
    assert retry(world, RetryMode.FROM_STEP, "right") == {"right"}
    world.start()
    assert world.executing() == ["right"]


def test_a_handler_of_failures_is_not_run_again_when_the_failure_is_mended() -> None:
    world = a_run(step("a"), step("alarm", "a", run_when=RunWhen.ANY_FAILED)).start()
    world.fail("a")
    world.complete("alarm")
    assert retry(world) == {"a", "alarm"}
    world.start()
    world.complete("a")
    assert world.step("alarm").skip_reason is SkipReason.RUN_WHEN
    assert world.state.status is RunStatus.COMPLETED


def test_what_a_failure_had_skipped_runs_when_it_is_mended() -> None:
    world = broken_in_the_middle()
    assert world.step("report").skip_reason is SkipReason.UPSTREAM_FAILED
    retry(world)
    world.start()
    world.complete("load")
    assert world.executing() == ["report"]


@pytest.mark.parametrize(
    "mode, key, refusal",
    [
        (RetryMode.FROM_STEP, None, UnknownStep),
        (RetryMode.FROM_STEP, "nobody", UnknownStep),
        (RetryMode.FROM_FAILED, "a", StepKeyNotAllowed),
        (RetryMode.FULL, "a", StepKeyNotAllowed),
        (RetryMode.FROM_FAILED, None, NothingToRetry),
    ],
)
def test_what_a_retry_of_a_completed_run_is_refused_for(
    mode: RetryMode, key: str | None, refusal: type[Refusal]
) -> None:
    world = completed()
    before = world.state
    with pytest.raises(refusal):
        plan_retry(world.state, mode, key)
    with pytest.raises(refusal):
        world.do(c.Retry(mode, key))
    assert world.state is before


def test_a_faulty_question_is_told_before_the_wrong_time() -> None:
    world = a_run(step("a")).start()
    with pytest.raises(UnknownStep, match=r"The run has no step 'nobody'\. Its steps: a\."):
        world.do(c.Retry(RetryMode.FROM_STEP, "nobody"))


def test_the_plan_gives_its_reasons() -> None:
    reasons = {
        planned.key: planned.reason for planned in plan_retry(broken_in_the_middle().state, RetryMode.FROM_FAILED, None)
    }
    assert reasons == {
        "extract": "it completed in attempt 1, and nothing it needs runs again",
        "load": "it did not complete (failed)",
        "report": "it did not complete (skipped)",
        "other": "it completed in attempt 1, and nothing it needs runs again",
    }
    reasons = {planned.key: planned.reason for planned in plan_retry(completed().state, RetryMode.FROM_STEP, "b")}
    assert reasons["b"] == "the retry starts from this step"
    assert reasons["c"] == "it needs b, which runs again"


def test_a_reused_step_tells_which_attempt_its_result_is_from() -> None:
    world = broken_in_the_middle()
    retry(world)
    world.start()
    world.complete("load")
    world.fail("report")
    attempts = {planned.key: planned.from_attempt for planned in plan_retry(world.state, RetryMode.FROM_FAILED, None)}
    assert attempts == {"extract": 1, "load": 2, "report": None, "other": 1}


def test_a_late_report_of_the_last_attempt_does_not_end_a_step_of_this_one() -> None:
    world = completed()
    retry(world, RetryMode.FULL)
    world.start()
    assert world.report(c.Completed("a", 1, Result("late"), attempt=1)) == ()
    assert world.step("a").status is StepStatus.RUNNING
