"""What time does to a run: backoffs, timers, and the run's own limit."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.domain.world import BEGINNING, BROKEN, FLAKY, a_run, step
from vai.domain import commands as c
from vai.domain.backoff import delay_ms, may_retry
from vai.domain.graph import RetryPolicy
from vai.domain.state import Result, StepError
from vai.domain.status import RunStatus, StepStatus

STEADY = RetryPolicy(max_attempts=3, initial_seconds=1, factor=2, jitter=False)


# --- backoffs ----------------------------------------------------------------------------------------------


def test_a_step_that_failed_is_tried_again_by_itself_when_its_backoff_is_over() -> None:
    world = a_run(step("a", retry=STEADY)).start()
    first = world.step("a")
    world.fail("a", error=FLAKY)
    assert (world.step("a").status, world.step("a").error) == (StepStatus.PENDING, FLAKY)
    assert world.state.due_at() == BEGINNING + 1_000
    assert world.wait(999) == ()
    world.wait(1)
    again = world.step("a")
    assert (again.status, again.tries, again.error) == (StepStatus.RUNNING, 2, None)
    assert (again.action_run_id, again.started_at) == (first.action_run_id, first.started_at)


def test_each_backoff_is_longer_and_the_last_failure_is_for_good() -> None:
    world = a_run(step("a", retry=STEADY)).start()
    for seconds in (1, 2):
        world.fail("a", error=FLAKY)
        assert world.step("a").next_attempt_at == world.now + seconds * 1_000
        world.wait(seconds * 1_000)
    world.fail("a", error=FLAKY)
    assert (world.step("a").status, world.step("a").tries) == (StepStatus.FAILED, 3)


def test_an_interrupt_is_no_failure() -> None:
    world = a_run(step("a", retry=RetryPolicy(max_attempts=2, jitter=False))).start()
    world.do(c.TakeOver())
    world.fail("a", error=FLAKY)
    assert world.step("a").next_attempt_at == BEGINNING + 1_000


def test_a_new_attempt_of_the_run_begins_its_backoffs_anew() -> None:
    world = a_run(step("a", retry=STEADY)).start()
    for seconds in (1, 2, 0):
        world.fail("a", error=FLAKY)
        world.wait(seconds * 1_000)
    world.do(c.Retry())
    world.start()
    world.fail("a", error=FLAKY)
    assert world.step("a").next_attempt_at == world.now + 1_000


def test_a_backoff_outlives_its_engine() -> None:
    world = a_run(step("a", retry=STEADY)).start()
    world.fail("a", error=FLAKY)
    assert world.do(c.HandBack()) == world.do(c.TakeOver()) == ()
    world.wait(1_000)
    assert world.step("a").tries == 2


def test_an_engine_that_is_being_stopped_leaves_what_is_due_to_the_next_one() -> None:
    world = a_run(step("a", retry=STEADY)).start()
    world.fail("a", error=FLAKY)
    world.now += 1_000
    assert world.do(c.Advance(may_start=False)) == ()
    world.do(c.TakeOver())
    assert world.step("a").tries == 2


def test_a_run_whose_step_backs_off_does_not_wait_for_a_person() -> None:
    world = a_run(step("a", retry=STEADY), step("gate")).start()
    world.report(c.AwaitsDecision("gate", 1, "decision"), c.Failed("a", 1, FLAKY))
    assert world.state.status is RunStatus.RUNNING


@pytest.mark.parametrize(
    "policy, error, failures, expected",
    [
        (RetryPolicy(max_attempts=3), FLAKY, 2, True),
        (RetryPolicy(max_attempts=3), FLAKY, 3, False),
        (RetryPolicy(max_attempts=3), BROKEN, 1, False),
        (RetryPolicy(max_attempts=3, on=("broken",)), BROKEN, 1, True),
        (RetryPolicy(max_attempts=3, on=("http_5xx",)), FLAKY, 1, False),
        (RetryPolicy(), FLAKY, 1, False),
    ],
)
def test_when_a_failure_may_be_tried_again(
    policy: RetryPolicy, error: StepError, failures: int, expected: bool
) -> None:
    assert may_retry(policy, error, failures) is expected


@given(
    policy=st.builds(
        RetryPolicy,
        initial_seconds=st.floats(0, 1e6),
        factor=st.floats(1, 1e12),
        max_seconds=st.floats(0, 1e6),
        jitter=st.booleans(),
    ),
    failures=st.integers(1, 10_000),
    asked=st.one_of(st.none(), st.floats(-5, 1e6)),
)
def test_a_backoff_is_bounded_by_its_policy_and_by_what_the_other_side_asked(
    policy: RetryPolicy, failures: int, asked: float | None
) -> None:
    delay = delay_ms(policy, failures, "seed", asked)
    assert delay == delay_ms(policy, failures, "seed", asked)
    assert delay >= (asked or 0) * 1_000, "never sooner than the other side asked"
    assert delay <= math.ceil(max(policy.max_seconds, asked or 0) * 1_000)


def test_jitter_takes_half_at_most_and_differs_from_step_to_step() -> None:
    policy = RetryPolicy(max_attempts=2, initial_seconds=10)
    delays = {delay_ms(policy, 1, f"run:{number}", None) for number in range(200)}
    assert len(delays) > 100
    assert 5_000 <= min(delays) < 6_000
    assert 9_000 < max(delays) <= 10_000


@pytest.mark.parametrize("asked", [math.inf, math.nan, 1e300])
def test_an_absurd_wait_is_cut_short_and_breaks_nothing(asked: float) -> None:
    world = a_run(step("a", retry=STEADY)).start()
    world.fail("a", error=FLAKY, retry_after_seconds=asked)
    due = world.state.due_at()
    assert due is not None
    assert due <= BEGINNING + 366 * 86_400_000


# --- timers ------------------------------------------------------------------------------------------------


def test_a_step_that_waits_holds_nothing_and_completes_when_its_time_has_come() -> None:
    world = a_run(step("a"), step("b", "a")).start()
    world.report(c.Waits("a", 1, BEGINNING + 5_000, Result("slept")))
    assert (world.state.executing, world.state.due_at()) == (0, BEGINNING + 5_000)
    assert world.wait(4_999) == ()
    world.wait(1)
    assert (world.step("a").status, world.step("a").result) == (StepStatus.COMPLETED, Result("slept"))
    assert world.executing() == ["b"]


@pytest.mark.parametrize("until", [0, BEGINNING - 1, BEGINNING])
def test_a_wait_that_is_over_already_completes_at_once(until: int) -> None:
    world = a_run(step("a")).start()
    world.report(c.Waits("a", 1, until))
    assert world.state.status is RunStatus.COMPLETED


def test_a_wait_that_began_while_its_engine_was_being_stopped_is_due_for_the_next_one() -> None:
    world = a_run(step("a")).start()
    world.do(c.Advance((c.Waits("a", 1, 0),), may_start=False))
    assert world.state.due_at() == 0
    world.do(c.TakeOver())
    assert world.state.status is RunStatus.COMPLETED


def test_a_run_is_due_when_the_first_of_its_timers_is() -> None:
    world = a_run(step("a"), step("b"), step("c", retry=STEADY), timeout_seconds=60).start()
    assert world.state.due_at() == BEGINNING + 60_000
    world.report(c.Waits("a", 1, BEGINNING + 9_000), c.Waits("b", 1, BEGINNING + 7_000))
    assert world.state.due_at() == BEGINNING + 7_000
    world.fail("c", error=FLAKY)
    assert world.state.due_at() == BEGINNING + 1_000


def test_a_wait_outlives_its_engine_and_is_no_interrupt() -> None:
    world = a_run(step("a")).start()
    world.report(c.Waits("a", 1, BEGINNING + 5_000))
    assert world.do(c.TakeOver()) == ()
    world.wait(5_000)
    assert world.state.status is RunStatus.COMPLETED


# --- the run's limit ---------------------------------------------------------------------------------------


def test_a_run_that_takes_too_long_is_stopped_and_has_failed() -> None:
    world = a_run(step("a"), step("b", "a"), timeout_seconds=1.5).start()
    assert world.wait(1_499) == ()
    world.wait(1)
    assert (world.state.stopping, world.statuses()) == ("timeout", {"a": "running", "b": "cancelled"})
    assert world.state.due_at() is None
    world.stop("a")
    assert world.state.status is RunStatus.FAILED
    assert world.state.error is not None
    assert (world.state.error.type, world.state.error.message) == ("timeout", "The run took longer than 1.5 s.")


def test_at_the_limit_nothing_starts_any_more() -> None:
    world = a_run(step("a", retry=STEADY), timeout_seconds=1).start()
    world.fail("a", error=FLAKY)
    assert world.state.due_at() == BEGINNING + 1_000
    world.wait(1_000)
    assert (world.step("a").status, world.step("a").tries) == (StepStatus.CANCELLED, 1)
    assert world.state.status is RunStatus.FAILED


def test_a_run_taken_over_after_its_limit_starts_nothing() -> None:
    world = a_run(step("a"), step("b", "a"), timeout_seconds=1).start()
    world.now += 5_000
    world.do(c.TakeOver())
    assert world.statuses() == {"a": "cancelled", "b": "cancelled"}
    assert world.state.status is RunStatus.FAILED


def test_a_run_whose_last_step_completes_at_the_limit_has_completed() -> None:
    world = a_run(step("a"), timeout_seconds=1).start()
    world.now += 1_000
    world.complete("a")
    assert world.state.status is RunStatus.COMPLETED


def test_a_limit_of_less_than_a_millisecond_comes_when_it_is_due() -> None:
    world = a_run(step("a"), timeout_seconds=0.0004).start()
    assert world.state.due_at() == BEGINNING + 1
    assert world.wait(0) == ()
    world.wait(1)
    assert world.state.stopping == "timeout"


def test_each_attempt_has_the_whole_limit() -> None:
    world = a_run(step("a"), timeout_seconds=1).start()
    world.wait(1_000)
    world.stop("a")
    world.do(c.Retry())
    assert world.state.due_at() is None
    world.now += 9_000
    world.start()
    assert world.state.due_at() == world.now + 1_000
