"""Cancel, in every state that a run can be in."""

from collections.abc import Callable

import pytest

from tests.domain.world import BEGINNING, FLAKY, World, a_run, step
from vai.domain import commands as c
from vai.domain.graph import RetryPolicy
from vai.domain.refusals import AlreadyResolved
from vai.domain.status import OnInterrupt, RunStatus, StepStatus

PATIENT = RetryPolicy(max_attempts=5, initial_seconds=60)


def backing_off() -> World:
    world = a_run(step("a", retry=PATIENT), step("b", "a")).start()
    world.fail("a", error=FLAKY)
    return world


def sleeping() -> World:
    world = a_run(step("a"), step("b", "a")).start()
    world.report(c.Waits("a", 1, BEGINNING + 60_000))
    return world


def waiting_for_a_child() -> World:
    world = a_run(step("a"), step("b", "a")).start()
    world.report(c.AwaitsChild("a", 1, "child"))
    return world


def waiting_for_a_person() -> World:
    world = a_run(step("a"), step("b", "a")).start()
    world.report(c.AwaitsDecision("a", 1, "decision"))
    return world


def asked_whether_it_happened() -> World:
    world = a_run(step("a", on_interrupt=OnInterrupt.ASK), step("b", "a")).start()
    world.do(c.TakeOver())
    return world


def handed_back() -> World:
    world = a_run(step("a"), step("b", "a")).start()
    world.do(c.HandBack())
    return world


def not_begun() -> World:
    return a_run(step("a"), step("b", "a"))


def retried() -> World:
    world = a_run(step("a"), step("b", "a")).start()
    world.fail("a")
    world.do(c.Retry())
    return world


IDLE = [
    *(backing_off, sleeping, waiting_for_a_child, waiting_for_a_person),
    *(asked_whether_it_happened, handed_back, not_begun, retried),
]


@pytest.mark.parametrize("situation", IDLE, ids=lambda situation: situation.__name__)
def test_a_run_with_nothing_at_work_is_cancelled_at_once(situation: Callable[[], World]) -> None:
    world = situation()
    world.do(c.Cancel("someone"))
    assert world.state.status is RunStatus.CANCELLED
    assert world.where(StepStatus.CANCELLED) == {"a", "b"}
    assert world.state.completed_at == world.state.cancel_requested_at == world.now


@pytest.mark.parametrize("situation", IDLE, ids=lambda situation: situation.__name__)
def test_nothing_wakes_a_cancelled_run(situation: Callable[[], World]) -> None:
    world = situation()
    decision = world.step("a").decision_id
    world.do(c.Cancel())
    assert world.state.due_at() is None
    assert world.wait(3_600_000) == ()
    assert world.do(c.TakeOver()) == world.do(c.Start()) == world.do(c.HandBack()) == ()
    assert world.do(c.FinishChild("a", "child")) == ()
    if decision is not None:
        with pytest.raises(AlreadyResolved):
            world.do(c.Decide("a", decision, True))


def test_a_run_at_work_starts_nothing_more_and_ends_when_its_actions_have_stopped() -> None:
    world = a_run(step("a"), step("b"), step("c", "a")).start()
    world.do(c.Cancel("someone"))
    assert world.state.status is RunStatus.RUNNING
    assert world.statuses() == {"a": "running", "b": "running", "c": "cancelled"}
    world.now += 400
    world.stop("a")
    assert world.state.status is RunStatus.RUNNING
    world.complete("b")
    assert world.state.status is RunStatus.CANCELLED
    assert world.statuses() == {"a": "cancelled", "b": "completed", "c": "cancelled"}
    assert world.state.cancel_requested_at == BEGINNING
    assert world.state.completed_at == BEGINNING + 400


def test_an_action_that_fails_because_it_was_stopped_is_not_tried_again() -> None:
    world = a_run(step("a", retry=PATIENT)).start()
    world.do(c.Cancel())
    world.fail("a", error=FLAKY)
    assert world.step("a").status is StepStatus.FAILED
    assert world.state.status is RunStatus.CANCELLED


@pytest.mark.parametrize(
    "report",
    [c.Waits("a", 1, BEGINNING + 9), c.AwaitsChild("a", 1, "child"), c.AwaitsDecision("a", 1, "decision")],
    ids=lambda report: type(report).__name__,
)
def test_a_wait_that_begins_while_the_run_is_cancelled_is_cancelled_too(report: c.Report) -> None:
    world = a_run(step("a")).start()
    world.do(c.Cancel())
    world.report(report)
    assert world.state.status is RunStatus.CANCELLED


def test_cancelling_twice_is_cancelling_once() -> None:
    world = a_run(step("a")).start()
    assert len(world.do(c.Cancel("first"))) == 1
    world.now += 10
    assert world.do(c.Cancel("second")) == ()
    assert world.state.cancel_requested_at == BEGINNING


@pytest.mark.parametrize("outcome", ["completed", "failed", "cancelled"])
def test_cancelling_a_final_run_returns_it_unchanged(outcome: str) -> None:
    world = a_run(step("a")).start()
    {"completed": world.complete, "failed": world.fail, "cancelled": lambda _: world.do(c.Cancel())}[outcome]("a")
    world.stop("a")
    before = world.state
    assert before.status.value == outcome
    assert world.do(c.Cancel()) == ()
    assert world.state is before


def test_a_cancelled_run_whose_engine_is_gone_ends_with_the_next_one() -> None:
    world = a_run(step("a"), step("b")).start()
    world.do(c.Cancel())
    world.do(c.TakeOver())
    assert world.state.status is RunStatus.CANCELLED
    assert world.where(StepStatus.CANCELLED) == {"a", "b"}


def test_a_run_that_is_failing_fast_can_be_cancelled() -> None:
    world = a_run(step("bad"), step("busy"), fail_fast=True).start()
    world.fail("bad")
    world.do(c.Cancel())
    world.stop("busy")
    assert world.state.status is RunStatus.CANCELLED
