"""What becomes of a step when an execution of it reports, or its time has come."""

from collections.abc import Callable
from typing import Any

from vai.domain import commands as c
from vai.domain import events as e
from vai.domain.answers import expire
from vai.domain.backoff import may_retry, next_attempt_at
from vai.domain.deciding import Deciding
from vai.domain.interrupts import interrupt
from vai.domain.state import EventWait, Result, StepError, StepState, run_limit_at
from vai.domain.status import OnTimeout, SkipReason, StepStatus


def take_report(deciding: Deciding, report: c.Report) -> None:
    """Take in one report. One of an execution that is over (interrupted, killed, an earlier try) changes nothing."""
    step = deciding.draft.steps.get(report.key)
    if step is None or not step.is_executing or step.tries != report.try_number:
        return
    if report.attempt is None or report.attempt == step.attempt:
        _REPORTS[type(report)](deciding, step, report)


def take_due(deciding: Deciding) -> None:
    """Take in all that is due by now. The run's limit comes before backoffs: at the limit nothing starts any more."""
    draft, now = deciding.draft, deciding.now
    if not (draft.timed or draft.expiring) and draft.graph.timeout_seconds is None:
        return
    again = []
    for key in list(draft.steps) if draft.timed or draft.expiring else ():
        step = draft.steps[key]  # as it is now: what ended before may have stopped the run
        if step.is_expiring and (step.wake_at or 0) <= now:
            expire(deciding, step)
        elif step.awaits is not None and step.wake_at is not None and step.wake_at <= now:
            _give_up_waiting(deciding, step, step.awaits)
        elif step.wake_at is not None and step.wake_at <= now:
            deciding.end(e.StepCompleted(now, step.key, step.result or Result()))
        elif step.next_attempt_at is not None and step.next_attempt_at <= now:
            again.append(step)
    limit_at = run_limit_at(draft)
    if limit_at is not None and limit_at <= now:
        deciding.stop("timeout")
    if not draft.is_stopping:
        for step in again:
            deciding.start(step)


def _completed(deciding: Deciding, step: StepState, report: c.Completed) -> None:
    deciding.end(e.StepCompleted(deciding.now, step.key, report.result))
    if report.skips:
        _skip_branches(deciding, step.key, report.skips)


def _skip_branches(deciding: Deciding, by: str, keys: tuple[str, ...]) -> None:
    # Whatever does not wait for the branch may have started already: whether it is skipped would be a race.
    below = deciding.draft.graph.downstream([by])
    for key in keys:
        if key in below and deciding.draft.steps[key].status is StepStatus.PENDING:
            deciding.end(e.StepSkipped(deciding.now, key, SkipReason.BRANCH_NOT_TAKEN, by))


def _failed(deciding: Deciding, step: StepState, report: c.Failed) -> None:
    fail_or_try_again(deciding, step, report.error, report.retry_after_seconds)


def fail_or_try_again(
    deciding: Deciding, step: StepState, error: StepError, retry_after_seconds: float | None = None
) -> None:
    """End the step as failed, or let it be tried again by its policy."""
    now, draft = deciding.now, deciding.draft
    policy = draft.graph.steps[step.key].retry
    failures = step.tries - step.interrupts
    if draft.is_stopping or not may_retry(policy, error, failures):
        deciding.fail(step.key, error)
        return
    seed = f"{draft.origin.id}:{step.key}:{draft.attempt}"
    due = next_attempt_at(policy, failures, seed, retry_after_seconds, now)
    deciding.emit(e.StepRetryScheduled(now, step.key, error, due))


def _stopped(deciding: Deciding, step: StepState, _: c.Stopped) -> None:
    if deciding.draft.is_stopping:
        deciding.cancel(step.key)
    else:
        error = StepError("stopped", "The action stopped itself although nobody had asked it to.")
        deciding.fail(step.key, error)


def _interrupted(deciding: Deciding, step: StepState, report: c.Interrupted) -> None:
    interrupt(deciding, step.key, report.reason)
    deciding.note(step.key)


def _waits(deciding: Deciding, step: StepState, report: c.Waits) -> None:
    _suspend(deciding, e.StepWaiting(deciding.now, step.key, report.until, report.result))


def _awaits_child(deciding: Deciding, step: StepState, report: c.AwaitsChild) -> None:
    _suspend(deciding, e.StepChildStarted(deciding.now, step.key, report.child_run_id))


def _awaits_event(deciding: Deciding, step: StepState, report: c.AwaitsEvent) -> None:
    since = deciding.draft.attempt_started_at if report.since is None else report.since
    wait = EventWait(report.event_type, since or deciding.now, report.match, report.names, report.on_timeout)
    _suspend(deciding, e.StepAwaitingEvent(deciding.now, step.key, wait, report.until))


def _give_up_waiting(deciding: Deciding, step: StepState, wait: EventWait) -> None:
    if wait.on_timeout is OnTimeout.COMPLETE:
        deciding.end(e.StepCompleted(deciding.now, step.key, Result({"event": None, "timedOut": True})))
    else:
        fail_or_try_again(deciding, step, StepError("timeout", f"No event {wait.event_type} came in time.", True))


def _awaits_decision(deciding: Deciding, step: StepState, report: c.AwaitsDecision) -> None:
    _suspend(deciding, e.StepAwaitingApproval(deciding.now, step.key, report.decision_id, report.question))


def _suspend(deciding: Deciding, event: e.StepEvent) -> None:
    deciding.emit(event)
    # The wait began while the run was being stopped: nobody would ever wake it.
    if deciding.draft.is_stopping:
        deciding.cancel(event.key)


_REPORTS: dict[type[c.Report], Callable[[Deciding, StepState, Any], None]] = {
    c.Completed: _completed,
    c.Failed: _failed,
    c.Stopped: _stopped,
    c.Interrupted: _interrupted,
    c.Waits: _waits,
    c.AwaitsChild: _awaits_child,
    c.AwaitsEvent: _awaits_event,
    c.AwaitsDecision: _awaits_decision,
}
