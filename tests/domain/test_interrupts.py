"""What becomes of a run whose engine dies, or hands it back."""

import pytest

from tests.domain.world import BEGINNING, a_run, step
from vai.domain import commands as c
from vai.domain import events as e
from vai.domain.ids import interrupt_decision_id
from vai.domain.interrupts import MAX_INTERRUPTS
from vai.domain.state import Result
from vai.domain.status import OnInterrupt, RunStatus, StepStatus


def types(events: tuple[e.Event, ...]) -> list[str]:
    return [event.type for event in events]


def test_what_was_at_work_is_run_again_by_the_next_engine() -> None:
    world = a_run(step("a"), step("b", "a")).start()
    first = world.step("a")
    assert types(world.do(c.TakeOver())) == ["step.interrupted", "step.started"]
    again = world.step("a")
    assert (again.tries, again.interrupts, again.action_run_id) == (2, 1, first.action_run_id)


def test_a_late_result_of_the_lost_execution_is_refused() -> None:
    world = a_run(step("a")).start()
    world.do(c.TakeOver())
    assert world.report(c.Completed("a", 1, Result("late"))) == ()
    world.complete("a", result=Result("new"))
    assert world.step("a").result == Result("new")


def test_what_completed_before_is_not_run_again() -> None:
    world = a_run(step("a"), step("b", "a")).start()
    world.complete("a")
    world.do(c.TakeOver())
    assert world.step("a").tries == 1
    assert world.executing() == ["b"]


def test_taking_over_a_run_that_had_not_begun_begins_it() -> None:
    world = a_run(step("a"))
    assert types(world.do(c.TakeOver())) == ["run.started", "step.started"]


def test_a_step_that_its_engine_dies_of_again_and_again_fails() -> None:
    world = a_run(step("a")).start()
    for _ in range(MAX_INTERRUPTS - 1):
        world.do(c.TakeOver())
        assert world.step("a").status is StepStatus.RUNNING
    world.do(c.TakeOver())
    error = world.step("a").error
    assert error is not None
    assert (error.type, world.state.status) == ("interrupted", RunStatus.FAILED)


def test_what_must_not_run_twice_fails_when_it_is_interrupted() -> None:
    world = a_run(step("once", on_interrupt=OnInterrupt.FAIL), step("next", "once"), step("other")).start()
    world.do(c.TakeOver())
    assert world.statuses() == {"once": "failed", "next": "skipped", "other": "running"}


def test_handing_a_run_back_leaves_nothing_at_work_and_starts_nothing() -> None:
    world = a_run(step("a"), step("b"), step("c", "b")).start()
    world.complete("b")
    assert types(world.do(c.HandBack())) == ["step.interrupted"] * 2
    assert world.statuses() == {"a": "pending", "b": "completed", "c": "pending"}
    assert (world.state.status, world.state.executing) == (RunStatus.RUNNING, 0)


def test_a_run_that_was_handed_back_is_due_at_once() -> None:
    world = a_run(step("a")).start()
    assert world.state.due_at() is None
    world.now += 500
    world.do(c.HandBack())
    assert world.state.due_at() == BEGINNING
    world.do(c.TakeOver())
    assert (world.step("a").tries, world.state.due_at()) == (2, None)


def test_handing_back_a_run_in_which_nothing_is_at_work_changes_nothing() -> None:
    assert a_run(step("a")).do(c.HandBack()) == ()


# --- one step alone, whose worker is gone ------------------------------------------------------------------


@pytest.mark.parametrize("reason", ["engine_lost", "engine_stopped"])
def test_a_step_that_reports_an_interrupt_runs_again_and_leaves_the_others_at_work(reason: str) -> None:
    world = a_run(step("a"), step("b")).start()
    assert types(world.report(c.Interrupted("a", 1, reason=reason))) == ["step.interrupted", "step.started"]
    assert (world.step("a").tries, world.step("a").interrupts, world.step("b").tries) == (2, 1, 1)
    assert world.report(c.Interrupted("a", 1)) == (), "the report of an execution that is over"


def test_a_step_that_its_workers_die_of_again_and_again_fails() -> None:
    world = a_run(step("a"), step("b")).start()
    for number in range(1, MAX_INTERRUPTS + 1):
        world.report(c.Interrupted("a", number))
    assert world.statuses() == {"a": "failed", "b": "running"}


def test_stopping_workers_does_not_count_against_a_step() -> None:
    world = a_run(step("a")).start()
    for number in range(1, MAX_INTERRUPTS + 2):
        world.report(c.Interrupted("a", number, reason="engine_stopped"))
    assert world.step("a").tries == MAX_INTERRUPTS + 2


def test_an_interrupted_step_of_a_run_that_stops_is_cancelled() -> None:
    world = a_run(step("a")).start()
    world.do(c.Cancel())
    world.report(c.Interrupted("a", 1))
    assert world.statuses() == {"a": "cancelled"}


# --- onInterrupt: ask --------------------------------------------------------------------------------------


@pytest.mark.parametrize("command", [c.TakeOver(), c.HandBack()], ids=["engine lost", "engine stopped"])
def test_a_person_is_asked_whether_it_happened(command: c.Command) -> None:
    world = a_run(step("pay", on_interrupt=OnInterrupt.ASK), step("next", "pay")).start()
    world.do(command)
    found = world.step("pay")
    assert (found.status, world.state.status) == (StepStatus.AWAITING_APPROVAL, RunStatus.AWAITING_APPROVAL)
    assert found.decision_id == interrupt_decision_id(world.state.id, found)


def test_if_it_had_happened_the_step_is_completed_and_not_run_again() -> None:
    world = a_run(step("pay", on_interrupt=OnInterrupt.ASK), step("next", "pay")).start()
    world.do(c.TakeOver())
    world.do(c.Decide("pay", world.step("pay").decision_id or "", True, "someone", fields={"receipt": 7}))
    assert (world.step("pay").status, world.step("pay").tries) == (StepStatus.COMPLETED, 1)
    world.do(c.Advance())
    assert world.executing() == ["next"]


def test_if_it_had_not_happened_the_step_runs_again() -> None:
    world = a_run(step("pay", on_interrupt=OnInterrupt.ASK)).start()
    world.do(c.TakeOver())
    world.do(c.Decide("pay", world.step("pay").decision_id or "", False, "someone"))
    assert (world.step("pay").status, world.state.status) == (StepStatus.PENDING, RunStatus.RUNNING)
    assert types(world.do(c.Advance())) == ["step.started"]
    assert world.step("pay").tries == 2


def test_every_interrupt_is_a_question_of_its_own() -> None:
    world = a_run(step("pay", on_interrupt=OnInterrupt.ASK)).start()
    questions = []
    for _ in range(2):
        world.do(c.TakeOver())
        questions.append(world.step("pay").decision_id or "")
        world.do(c.Decide("pay", questions[-1], False))
        world.do(c.Advance())
    assert len(set(questions)) == 2


def test_polite_stops_do_not_count_against_a_step() -> None:
    """A rolling restart interrupts a long step each time; it is not the step's fault."""
    world = a_run(step("a")).start()
    for _ in range(MAX_INTERRUPTS + 2):
        world.do(c.HandBack())
        world.do(c.TakeOver())
    world.do(c.TakeOver())
    assert (world.step("a").status, world.step("a").losses) == (StepStatus.RUNNING, 1)
    assert world.step("a").interrupts == MAX_INTERRUPTS + 3
    for _ in range(MAX_INTERRUPTS - 1):
        world.do(c.TakeOver())
    error = world.step("a").error
    assert error is not None
    assert error.message == f"Its engine went away in the middle of it {MAX_INTERRUPTS} times."
