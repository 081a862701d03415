"""Steps that wait for a person, or for another run."""

from typing import Any

import pytest

from tests.domain.world import BEGINNING, BROKEN, World, a_run, step
from vai.domain import commands as c
from vai.domain import events as e
from vai.domain.graph import RetryPolicy
from vai.domain.questions import Question
from vai.domain.refusals import AlreadyResolved
from vai.domain.state import EventWait, Result
from vai.domain.status import OnExpire, OnTimeout, RunStatus, StepStatus


def types(events: tuple[e.Event, ...]) -> list[str]:
    return [event.type for event in events]


def at_the_gate(*others: str) -> World:
    world = a_run(step("gate"), step("next", "gate"), *(step(key) for key in others)).start()
    world.report(c.AwaitsDecision("gate", 1, "decision"))
    return world


def test_a_run_waits_for_a_person_when_nothing_else_can_move_it() -> None:
    world = at_the_gate()
    assert world.state.status is RunStatus.AWAITING_APPROVAL
    assert (world.step("gate").status, world.step("gate").decision_id) == (StepStatus.AWAITING_APPROVAL, "decision")
    assert world.state.due_at() is None


def test_a_run_with_something_else_at_work_is_running() -> None:
    world = at_the_gate("other")
    assert world.state.status is RunStatus.RUNNING
    assert types(world.complete("other")) == ["step.completed", "run.awaiting_approval"]


def test_a_yes_completes_the_step_and_leaves_what_follows_to_the_engine() -> None:
    world = at_the_gate()
    world.now += 10
    decided = world.do(c.Decide("gate", "decision", True, "id", "someone", "fine", {"amount": 3}))
    assert types(decided) == ["step.decided", "step.completed", "run.resumed"]
    value = {"outcome": "approved", "by": "id", "byName": "someone", "reason": "fine", "fields": {"amount": 3}}
    value["decidedAt"] = "2023-11-14T22:13:20.010Z"
    assert world.step("gate").result == Result(value)
    assert world.step("next").status is StepStatus.PENDING, "no engine is at work on it yet"
    assert world.state.due_at() == BEGINNING, "so that an engine takes it up at once"
    assert types(world.do(c.Advance())) == ["step.started"]


def test_a_no_fails_the_step() -> None:
    world = at_the_gate()
    world.do(c.Decide("gate", "decision", False, "id", "someone", "too much"))
    error = world.step("gate").error
    assert error is not None
    assert (error.type, error.message) == ("rejected", "too much")
    world.do(c.Advance())
    assert (world.step("next").status, world.state.status) == (StepStatus.SKIPPED, RunStatus.FAILED)


def test_the_last_decision_ends_the_run() -> None:
    world = a_run(step("gate")).start()
    world.report(c.AwaitsDecision("gate", 1, "decision"))
    assert types(world.do(c.Decide("gate", "decision", True)))[-1] == "run.completed"


@pytest.mark.parametrize("key, decision_id", [("gate", "another"), ("next", "decision"), ("nobody", "decision")])
def test_only_the_open_decision_of_a_step_can_be_taken(key: str, decision_id: str) -> None:
    world = at_the_gate()
    with pytest.raises(AlreadyResolved):
        world.do(c.Decide(key, decision_id, True))


def test_a_decision_is_taken_once() -> None:
    world = at_the_gate()
    world.do(c.Decide("gate", "decision", True))
    with pytest.raises(AlreadyResolved):
        world.do(c.Decide("gate", "decision", False))


def test_a_wait_for_a_person_outlives_its_engine() -> None:
    world = at_the_gate()
    assert world.do(c.HandBack()) == world.do(c.TakeOver()) == ()
    assert world.state.status is RunStatus.AWAITING_APPROVAL


def waiting_for_a_child() -> World:
    world = a_run(step("call"), step("next", "call")).start()
    world.report(c.AwaitsChild("call", 1, "child"))
    return world


def test_a_run_that_waits_for_another_is_running_with_nothing_at_work() -> None:
    world = waiting_for_a_child()
    assert (world.state.status, world.state.executing, world.state.due_at()) == (RunStatus.RUNNING, 0, None)
    assert world.do(c.TakeOver()) == ()


def test_a_run_that_waits_for_a_person_and_for_another_run_does_not_wait_for_the_person_alone() -> None:
    world = a_run(step("gate"), step("call")).start()
    world.report(c.AwaitsDecision("gate", 1, "decision"), c.AwaitsChild("call", 1, "child"))
    assert world.state.status is RunStatus.RUNNING
    events = types(world.do(c.FinishChild("call", "child")))
    assert events == ["step.child_ended", "step.completed", "run.awaiting_approval"]


def test_the_end_of_the_other_run_completes_the_step() -> None:
    world = waiting_for_a_child()
    world.do(c.FinishChild("call", "child", Result("theirs")))
    assert world.step("call").result == Result("theirs")
    assert world.executing() == []
    world.do(c.Advance())
    assert world.executing() == ["next"]


def test_the_failure_of_the_other_run_is_tried_again_by_the_steps_policy() -> None:
    again = RetryPolicy(max_attempts=2, initial_seconds=1, jitter=False, on=(BROKEN.type,))
    world = a_run(step("call", retry=again)).start()
    world.report(c.AwaitsChild("call", 1, "child"))
    world.do(c.FinishChild("call", "child", error=BROKEN))
    assert (world.step("call").status, world.step("call").child_run_id) == (StepStatus.PENDING, None)
    world.wait(1_000)
    assert world.executing() == ["call"]


def test_the_failure_of_the_other_run_fails_the_step() -> None:
    world = waiting_for_a_child()
    world.do(c.FinishChild("call", "child", error=BROKEN))
    assert world.step("call").error == BROKEN


@pytest.mark.parametrize("key, child", [("call", "another"), ("next", "child"), ("nobody", "child")])
def test_the_end_of_a_run_that_the_step_does_not_wait_for_changes_nothing(key: str, child: str) -> None:
    assert waiting_for_a_child().do(c.FinishChild(key, child)) == ()


def test_the_other_run_ends_once() -> None:
    world = waiting_for_a_child()
    world.do(c.FinishChild("call", "child"))
    assert world.do(c.FinishChild("call", "child", error=BROKEN)) == ()


def until(rule: OnExpire, *others: str, **options: bool) -> World:
    world = a_run(step("gate"), step("next", "gate"), *(step(key) for key in others), **options).start()
    world.report(c.AwaitsDecision("gate", 1, "decision", Question(expires_at=BEGINNING + 500, on_expire=rule)))
    return world


def test_a_run_that_waits_for_a_person_in_time_is_due_at_the_expiry_and_waits_for_a_person_all_the_same() -> None:
    world = until(OnExpire.FAIL)
    assert world.state.status is RunStatus.AWAITING_APPROVAL
    assert world.state.due_at() == world.step("gate").wake_at == BEGINNING + 500
    assert world.wait(499) == ()


@pytest.mark.parametrize(
    ("rule", "status", "error_type"),
    [
        (OnExpire.APPROVE, "completed", None),
        (OnExpire.REJECT, "failed", "rejected"),
        (OnExpire.FAIL, "failed", "expired"),
    ],
)
def test_a_decision_that_nobody_takes_in_time_ends_by_its_rule(
    rule: OnExpire, status: str, error_type: str | None
) -> None:
    world = until(rule)
    assert types(world.wait(500))[:1] == ["step.decided"]
    gate = world.step("gate")
    assert (gate.status, gate.error and gate.error.type, gate.wake_at) == (status, error_type, None)
    assert world.step("next").status is (StepStatus.SKIPPED if error_type else StepStatus.RUNNING)


def test_an_answer_that_comes_too_late_is_not_taken() -> None:
    world = until(OnExpire.REJECT)
    world.now += 500
    (decided, *_) = world.do(c.Decide("gate", "decision", True, "someone"))
    assert isinstance(decided, e.StepDecided)
    assert (decided.outcome, decided.by) == ("expired", None)
    assert world.step("gate").status is StepStatus.FAILED


def test_an_expiry_that_stops_the_run_leaves_what_it_has_cancelled_alone() -> None:
    world = until(OnExpire.FAIL, "sleeps", fail_fast=True)
    world.report(c.Waits("sleeps", 1, BEGINNING + 500))
    world.wait(500)
    assert (world.step("sleeps").status, world.state.status) == (StepStatus.CANCELLED, RunStatus.FAILED)


def test_a_person_decides_before_the_expiry() -> None:
    world = until(OnExpire.FAIL)
    world.do(c.Decide("gate", "decision", True))
    assert world.state.due_at() == BEGINNING, "only because the next step is free"
    world.do(c.Advance())
    assert world.wait(1_000) == ()


def waiting_for_payment(**options: Any) -> World:
    world = a_run(step("pay", **options), step("next", "pay")).start()
    world.report(c.AwaitsEvent("pay", 1, "payment", until=BEGINNING + 1_000))
    return world


def received(world: World, attempt: int = 1, since: int | None = None) -> tuple[e.Event, ...]:
    since = BEGINNING if since is None else since
    return world.do(c.ReceiveEvent("pay", attempt, since, "e1", Result({"event": {"id": "e1"}})))


def test_a_step_waits_for_an_event_of_its_attempt_and_completes_with_it() -> None:
    world = waiting_for_payment()
    assert (world.step("pay").status, world.state.status) == (StepStatus.RUNNING, RunStatus.RUNNING)
    assert world.step("pay").awaits == EventWait("payment", BEGINNING)
    assert world.state.due_at() == BEGINNING + 1_000
    assert types(received(world)) == ["step.event_received", "step.completed"]
    assert world.step("pay").result == Result({"event": {"id": "e1"}})
    assert types(world.do(c.Advance())) == ["step.started"], "what follows is started by the engine"
    assert received(world) == (), "one event is enough"


@pytest.mark.parametrize("attempt, since", [(2, BEGINNING), (1, BEGINNING - 1)])
def test_an_event_found_for_another_wait_is_left_alone(attempt: int, since: int) -> None:
    world = waiting_for_payment()
    assert received(world, attempt, since) == ()
    assert world.step("pay").status is StepStatus.RUNNING


def test_an_event_that_does_not_come_in_time_fails_the_step() -> None:
    world = waiting_for_payment()
    assert types(world.wait(999)) == []
    assert types(world.wait(1)) == ["step.failed", "step.skipped", "run.failed"]
    error = world.step("pay").error
    assert error is not None
    assert (error.type, error.message) == ("timeout", "No event payment came in time.")


def test_waiting_is_tried_again_where_the_policy_says_so() -> None:
    world = waiting_for_payment(retry=RetryPolicy(max_attempts=2, jitter=False, on=("timeout",)))
    assert types(world.wait(1_000)) == ["step.retry_scheduled"]
    assert world.step("pay").awaits is None
    assert received(world) == (), "it waits for nothing between two tries"
    world.wait(60_000)
    assert world.step("pay").is_executing


def test_a_step_may_go_on_without_the_event() -> None:
    world = a_run(step("pay"), step("next", "pay")).start()
    world.report(c.AwaitsEvent("pay", 1, "payment", until=BEGINNING + 1, on_timeout=OnTimeout.COMPLETE))
    assert types(world.wait(1)) == ["step.completed", "step.started"]
    assert world.step("pay").result == Result({"event": None, "timedOut": True})


def test_a_cancelled_run_waits_for_no_event() -> None:
    world = waiting_for_payment()
    assert types(world.do(c.Cancel()))[-1] == "run.cancelled"
    assert received(world) == ()


def test_a_retry_waits_anew_and_for_events_of_the_new_attempt() -> None:
    world = waiting_for_payment()
    world.do(c.Cancel())
    world.now += 50
    world.do(c.Retry())
    world.start()
    world.report(c.AwaitsEvent("pay", world.step("pay").tries, "payment"))
    assert world.step("pay").awaits == EventWait("payment", BEGINNING + 50)
    assert types(received(world, 2, BEGINNING + 50)) == ["step.event_received", "step.completed"]
