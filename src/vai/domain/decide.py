"""`decide`: the events that follow from a command, or a refusal. Pure: no clock, no ids drawn, no I/O.

`transition` gives the events together with the state after them, because the engine needs both and deciding
works on that state anyway; `decide` and `evolve` are its two halves.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

from vai.domain import commands as c
from vai.domain import events as e
from vai.domain.answers import expire, take_answer
from vai.domain.deciding import Deciding
from vai.domain.evolve import Draft
from vai.domain.interrupts import interrupt
from vai.domain.refusals import AlreadyResolved
from vai.domain.reports import fail_or_try_again, take_due, take_report
from vai.domain.retry import plan_retry, rerun_keys
from vai.domain.state import Instant, Result, RunState
from vai.domain.status import RunStatus, StepStatus


class Transition(NamedTuple):
    """What follows from a command: nothing at all is a possible answer."""

    events: tuple[e.Event, ...]
    state: RunState


def decide(state: RunState, command: c.Command, now: Instant) -> tuple[e.Event, ...]:
    """The events that follow from `command`. Raises a `Refusal` when it does not fit the state."""
    return transition(state, command, now).events


def transition(state: RunState, command: c.Command, now: Instant) -> Transition:
    """The events that follow from `command` and the state after them. Raises a `Refusal`."""
    deciding = Deciding(Draft.of(state), now)
    _HANDLERS[type(command)](deciding, command)
    deciding.settle()
    if not deciding.events:
        return Transition((), state)
    return Transition(tuple(deciding.events), deciding.draft.freeze())


# --- commands of whoever drives the run --------------------------------------------------------------------


def _start(deciding: Deciding, _: c.Start) -> None:
    if deciding.draft.status is RunStatus.PENDING:
        deciding.emit(e.RunStarted(deciding.now))
        deciding.drive()


def _advance(deciding: Deciding, command: c.Advance) -> None:
    if deciding.draft.attempt_started_at is None or deciding.draft.status.is_final:
        return
    if command.may_start:
        # First, so that it looks for what others have set free; what this command sets free is noted as it happens.
        deciding.drive()
    for report in command.reports:
        take_report(deciding, report)
    if command.may_start:
        take_due(deciding)


def _take_over(deciding: Deciding, _: c.TakeOver) -> None:
    _start(deciding, c.Start())
    if not deciding.draft.status.is_final:
        _interrupt(deciding, "engine_lost")
        take_due(deciding)
        deciding.drive()


def _hand_back(deciding: Deciding, _: c.HandBack) -> None:
    if not deciding.draft.status.is_final:
        _interrupt(deciding, "engine_stopped")


def _interrupt(deciding: Deciding, reason: str) -> None:
    for step in list(deciding.draft.steps.values()):
        if step.is_executing:
            interrupt(deciding, step.key, reason)


# --- commands of people and of other runs: they free steps, but start none ---------------------------------


def _cancel(deciding: Deciding, command: c.Cancel) -> None:
    draft, now = deciding.draft, deciding.now
    if draft.status.is_final or draft.cancel_requested_at is not None:
        return
    deciding.emit(e.RunCancelRequested(now, command.by))
    deciding.cancel_idle()
    # One that has begun is ended by `settle`.
    if draft.attempt_started_at is None:
        deciding.emit(e.RunCancelled(now))


def _retry(deciding: Deciding, command: c.Retry) -> None:
    draft = deciding.draft
    plan = plan_retry(draft.origin, command.mode, command.step_key)
    attempt = draft.attempt + 1
    rerun = rerun_keys(plan, draft.graph)
    deciding.emit(e.RunRetried(deciding.now, attempt, command.mode, rerun, command.step_key, command.by))


def _decide(deciding: Deciding, command: c.Decide) -> None:
    step = deciding.draft.steps.get(command.key)
    if step is None or step.status is not StepStatus.AWAITING_APPROVAL or step.decision_id != command.decision_id:
        raise AlreadyResolved
    if step.wake_at is not None and step.wake_at <= deciding.now:
        expire(deciding, step)
    else:
        take_answer(deciding, step, command)


def _finish_child(deciding: Deciding, command: c.FinishChild) -> None:
    step = deciding.draft.steps.get(command.key)
    if step is None or step.status is not StepStatus.RUNNING or step.child_run_id != command.child_run_id:
        return
    deciding.emit(e.StepChildEnded(deciding.now, command.key, command.child_run_id))
    if command.error is None:
        deciding.end(e.StepCompleted(deciding.now, command.key, command.result or Result()))
    else:
        fail_or_try_again(deciding, step, command.error)


def _receive_event(deciding: Deciding, command: c.ReceiveEvent) -> None:
    step = deciding.draft.steps.get(command.key)
    # One that waits no more, or for another event, is left alone.
    if step is None or step.awaits is None or step.attempt != command.attempt or step.awaits.since != command.since:
        return
    deciding.emit(e.StepEventReceived(deciding.now, command.key, command.event_id))
    deciding.end(e.StepCompleted(deciding.now, command.key, command.result))


_HANDLERS: dict[type[c.Command], Callable[[Deciding, Any], None]] = {
    c.Start: _start,
    c.Advance: _advance,
    c.TakeOver: _take_over,
    c.HandBack: _hand_back,
    c.Cancel: _cancel,
    c.Retry: _retry,
    c.Decide: _decide,
    c.FinishChild: _finish_child,
    c.ReceiveEvent: _receive_event,
}
