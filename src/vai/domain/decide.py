"""`decide`: the events that follow from a command, or a refusal. Pure: no clock, no ids drawn, no I/O.

`transition` gives the events together with the state after them, because the engine needs both and deciding
works on that state anyway; `decide` and `evolve` are its two halves.
"""

from collections import deque
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from vai.domain import commands as c
from vai.domain import events as e
from vai.domain.backoff import may_retry, next_attempt_at
from vai.domain.evolve import Draft, apply
from vai.domain.graph import ExpressionFailed, StepSpec
from vai.domain.ids import action_run_id
from vai.domain.readiness import why_skip
from vai.domain.refusals import AlreadyResolved
from vai.domain.retry import plan_retry, rerun_keys
from vai.domain.state import Instant, Result, RunError, RunState, StepError, StepState
from vai.domain.status import OnInterrupt, RunStatus, SkipReason, StepStatus

MAX_INTERRUPTS = 3
"""A step whose engine dies this often in one attempt is taken to be the cause, and fails."""


class Transition(NamedTuple):
    """What follows from a command: nothing at all is a possible answer."""

    events: tuple[e.Event, ...]
    state: RunState


def decide(state: RunState, command: c.Command, now: Instant) -> tuple[e.Event, ...]:
    """The events that follow from `command`. Raises a `Refusal` when it does not fit the state."""
    return transition(state, command, now).events


def transition(state: RunState, command: c.Command, now: Instant) -> Transition:
    """The events that follow from `command` and the state after them. Raises a `Refusal`."""
    deciding = _Deciding(Draft.of(state), now)
    _HANDLERS[type(command)](deciding, command)
    if not deciding.events:
        return Transition((), state)
    deciding.settle()
    return Transition(tuple(deciding.events), deciding.draft.freeze())


class _Deciding:
    """One command at work: events are worked into the draft as they are emitted, so each sees the ones before."""

    def __init__(self, draft: Draft, now: Instant) -> None:
        self.draft = draft
        self.now = now
        self.events: list[e.Event] = []
        self.may_start = True
        self._ready: deque[str] = deque()

    def emit(self, event: e.Event) -> None:
        """Record an event; steps that it sets free are considered by `move`."""
        self.events.append(event)
        apply(self.draft, event)

    def end(self, event: e.StepEvent) -> None:
        """Record the event that ends a step, and note what waited for just that."""
        self.emit(event)
        for key in self.draft.graph.dependents[event.key]:
            step = self.draft.steps[key]
            if step.unmet == 0 and step.status is StepStatus.PENDING:
                self._ready.append(key)

    def consider(self, keys: Iterable[str]) -> None:
        """Look at these steps, whose dependencies are all final, in `move`."""
        self._ready.extend(keys)

    def move(self) -> None:
        """Start, skip or cancel every step that is free to be, and whatever that sets free in turn."""
        while self._ready:
            step = self.draft.steps[self._ready.popleft()]
            # A step can be noted twice, by two dependencies that end in one command.
            if step.status is StepStatus.PENDING and step.unmet == 0 and step.next_attempt_at is None:
                self._place(step)

    def _place(self, step: StepState) -> None:
        spec = self.draft.graph.steps[step.key]
        if self.draft.is_stopping:
            self.end(e.StepCancelled(self.now, step.key, self._stop_reason()))
            return
        if not self.may_start:
            return
        if step.tries == 0:
            reason, error = self._why_not(spec)
            if error is not None:
                self.fail(step.key, error)
                return
            if reason is not None:
                self.end(e.StepSkipped(self.now, step.key, reason))
                return
        self.start(step)

    def _why_not(self, spec: StepSpec) -> tuple[SkipReason | None, StepError | None]:
        reason = why_skip(spec.run_when, [self.draft.steps[key] for key in spec.depends_on])
        if reason is not None or spec.condition is None:
            return reason, None
        try:
            return (None if spec.condition(self.draft.freeze()) else SkipReason.CONDITION), None
        except ExpressionFailed as failure:
            return None, StepError("expression_failed", str(failure), False, failure.details)

    def start(self, step: StepState) -> None:
        """Let the next execution of the step begin."""
        run_id, attempt = self.draft.origin.id, self.draft.attempt
        known = step.action_run_id or action_run_id(run_id, step.key, attempt, self.now)
        self.emit(e.StepStarted(self.now, step.key, known, step.tries + 1))

    def fail(self, key: str, error: StepError) -> None:
        """End a step as failed; with failFast, and the run with it."""
        self.end(e.StepFailed(self.now, key, error))
        if self.draft.graph.fail_fast and not self.draft.is_stopping:
            self.stop("fail_fast")

    def stop(self, reason: str) -> None:
        """Start nothing more, because the run is going to fail."""
        self.emit(e.RunStopping(self.now, reason))
        self.cancel_idle()

    def cancel_idle(self) -> None:
        """Cancel every step that is not at work; the ones at work report when they have stopped."""
        for step in list(self.draft.steps.values()):
            if not step.status.is_final and not step.is_executing:
                self.end(e.StepCancelled(self.now, step.key, self._stop_reason()))

    def _stop_reason(self) -> str:
        return self.draft.stopping or "cancelled"

    def settle(self) -> None:
        """Move what is free, then let the run follow its steps: end, wait for a person, or go on."""
        self.move()
        draft = self.draft
        if draft.status.is_final or draft.attempt_started_at is None:
            return
        if draft.unfinished == 0:
            self._finish()
        elif _only_people_can_move(draft):
            if draft.status is RunStatus.RUNNING:
                self.emit(e.RunAwaitingApproval(self.now))
        elif draft.status is RunStatus.AWAITING_APPROVAL:
            self.emit(e.RunResumed(self.now))

    def _finish(self) -> None:
        draft = self.draft
        failed = tuple(k for k, step in draft.steps.items() if step.status is StepStatus.FAILED)
        if draft.cancel_requested_at is not None:
            self.emit(e.RunCancelled(self.now))
        elif draft.stopping == "timeout":
            limit = draft.graph.timeout_seconds
            self.emit(
                e.RunFailed(self.now, RunError("timeout", f"The run took longer than {limit:g} s.", failed))
            )
        elif failed:
            self.emit(e.RunFailed(self.now, RunError("step_failed", _failure(draft, failed), failed)))
        else:
            self.emit(e.RunCompleted(self.now))


def _only_people_can_move(draft: Draft) -> bool:
    if draft.awaiting == 0 or draft.executing:
        return False
    return not any(
        step.status is StepStatus.RUNNING or (step.status is StepStatus.PENDING and step.unmet == 0)
        for step in draft.steps.values()
    )


def _failure(draft: Draft, failed: tuple[str, ...]) -> str:
    error = draft.steps[failed[0]].error
    reason = error.message if error else "no reason was given"
    others = f" (and {len(failed) - 1} more)" if len(failed) > 1 else ""
    return f"Step {failed[0]} failed{others}: {reason}"


# --- commands of the engine --------------------------------------------------------------------------------


def _start(deciding: _Deciding, _: c.Start) -> None:
    draft = deciding.draft
    if draft.status is not RunStatus.PENDING:
        return
    deciding.emit(e.RunStarted(deciding.now))
    deciding.consider(_free_keys(draft))


def _advance(deciding: _Deciding, command: c.Advance) -> None:
    if deciding.draft.status.is_final:
        return
    deciding.may_start = command.may_start
    for report in command.reports:
        _take_report(deciding, report)
    if command.may_start:
        _take_due(deciding)


def _take_report(deciding: _Deciding, report: c.Report) -> None:
    step = deciding.draft.steps.get(report.key)
    # A report of an execution that is over (interrupted, killed, of an earlier try) changes nothing.
    if step is None or not step.is_executing or step.tries != report.try_number:
        return
    _REPORTS[type(report)](deciding, step, report)


def _completed(deciding: _Deciding, step: StepState, report: c.Completed) -> None:
    deciding.end(e.StepCompleted(deciding.now, step.key, report.result))
    _skip_branches(deciding, report.skips)


def _skip_branches(deciding: _Deciding, keys: tuple[str, ...]) -> None:
    for key in keys:
        step = deciding.draft.steps.get(key)
        if step is not None and step.status is StepStatus.PENDING:
            deciding.end(e.StepSkipped(deciding.now, key, SkipReason.BRANCH_NOT_TAKEN))


def _failed(deciding: _Deciding, step: StepState, report: c.Failed) -> None:
    now, draft = deciding.now, deciding.draft
    policy = draft.graph.steps[step.key].retry
    failures = step.tries - step.interrupts
    if draft.is_stopping or not may_retry(policy, report.error, failures):
        deciding.fail(step.key, report.error)
        return
    seed = f"{draft.origin.id}:{step.key}:{draft.attempt}"
    due = next_attempt_at(policy, failures, seed, report.retry_after_seconds, now)
    deciding.emit(e.StepRetryScheduled(now, step.key, report.error, due))


def _stopped(deciding: _Deciding, step: StepState, _: c.Stopped) -> None:
    if deciding.draft.is_stopping:
        deciding.end(e.StepCancelled(deciding.now, step.key, deciding.draft.stopping or "cancelled"))
    else:
        error = StepError("stopped", "The action stopped itself although nobody had asked it to.")
        deciding.fail(step.key, error)


def _waits(deciding: _Deciding, step: StepState, report: c.Waits) -> None:
    deciding.emit(e.StepWaiting(deciding.now, step.key, report.until, report.result))
    _cancel_if_stopping(deciding, step.key)


def _awaits_child(deciding: _Deciding, step: StepState, report: c.AwaitsChild) -> None:
    deciding.emit(e.StepChildStarted(deciding.now, step.key, report.child_run_id))
    _cancel_if_stopping(deciding, step.key)


def _awaits_decision(deciding: _Deciding, step: StepState, report: c.AwaitsDecision) -> None:
    deciding.emit(e.StepAwaitingApproval(deciding.now, step.key, report.decision_id))
    _cancel_if_stopping(deciding, step.key)


def _cancel_if_stopping(deciding: _Deciding, key: str) -> None:
    # The wait began while the run was being stopped: nobody would ever wake it.
    if deciding.draft.is_stopping:
        deciding.end(e.StepCancelled(deciding.now, key, deciding.draft.stopping or "cancelled"))


def _take_due(deciding: _Deciding) -> None:
    draft, now = deciding.draft, deciding.now
    for step in list(draft.steps.values()) if draft.timed else ():
        if step.wake_at is not None and step.wake_at <= now and step.status is StepStatus.RUNNING:
            deciding.end(e.StepCompleted(now, step.key, step.result or Result()))
        elif step.next_attempt_at is not None and step.next_attempt_at <= now and not draft.is_stopping:
            deciding.start(step)
    limit, begun = draft.graph.timeout_seconds, draft.attempt_started_at
    if limit is not None and begun is not None and not draft.is_stopping and now >= begun + limit * 1000:
        deciding.stop("timeout")


def _take_over(deciding: _Deciding, _: c.TakeOver) -> None:
    draft = deciding.draft
    if draft.status is RunStatus.PENDING:
        _start(deciding, c.Start())
        return
    if draft.status.is_final:
        return
    _interrupt(deciding, "engine_lost")
    deciding.consider(_free_keys(draft))
    deciding.move()
    _take_due(deciding)


def _hand_back(deciding: _Deciding, _: c.HandBack) -> None:
    deciding.may_start = False
    if not deciding.draft.status.is_final:
        _interrupt(deciding, "engine_stopped")


def _interrupt(deciding: _Deciding, reason: str) -> None:
    draft, now = deciding.draft, deciding.now
    for step in list(draft.steps.values()):
        if not step.is_executing:
            continue
        deciding.emit(e.StepInterrupted(now, step.key, reason))
        if draft.is_stopping:
            deciding.end(e.StepCancelled(now, step.key, draft.stopping or "cancelled"))
        elif draft.graph.steps[step.key].on_interrupt is OnInterrupt.FAIL:
            deciding.fail(step.key, StepError("interrupted", "Its engine went away in the middle of it."))
        elif reason == "engine_lost" and draft.steps[step.key].interrupts >= MAX_INTERRUPTS:
            message = f"Its engine went away in the middle of it {MAX_INTERRUPTS} times."
            deciding.fail(step.key, StepError("interrupted", message))


def _free_keys(draft: Draft) -> list[str]:
    return [k for k, s in draft.steps.items() if s.status is StepStatus.PENDING and s.unmet == 0]


# --- commands of people ------------------------------------------------------------------------------------


def _cancel(deciding: _Deciding, command: c.Cancel) -> None:
    draft, now = deciding.draft, deciding.now
    if draft.status.is_final or draft.cancel_requested_at is not None:
        return
    deciding.emit(e.RunCancelRequested(now, command.by))
    deciding.cancel_idle()
    if draft.unfinished == 0 and not draft.status.is_final:
        deciding.emit(e.RunCancelled(now))


def _retry(deciding: _Deciding, command: c.Retry) -> None:
    draft = deciding.draft
    plan = plan_retry(draft.origin, command.mode, command.step_key)
    attempt = draft.attempt + 1
    rerun = rerun_keys(plan)
    deciding.emit(e.RunRetried(deciding.now, attempt, command.mode, rerun, command.step_key, command.by))


def _decide(deciding: _Deciding, command: c.Decide) -> None:
    step = deciding.draft.steps.get(command.key)
    if (
        step is None
        or step.status is not StepStatus.AWAITING_APPROVAL
        or step.decision_id != command.decision_id
    ):
        raise AlreadyResolved
    now, outcome = deciding.now, "approved" if command.approved else "rejected"
    deciding.emit(e.StepDecided(now, command.key, command.decision_id, outcome, command.by, command.reason))
    if command.approved:
        value = {"outcome": outcome, "by": command.by, "reason": command.reason, "fields": command.fields}
        deciding.end(e.StepCompleted(now, command.key, Result(value)))
    else:
        deciding.fail(command.key, StepError("rejected", command.reason or "Rejected."))


def _finish_child(deciding: _Deciding, command: c.FinishChild) -> None:
    step = deciding.draft.steps.get(command.key)
    if step is None or step.status.is_final or step.child_run_id != command.child_run_id:
        return
    if command.error is None:
        deciding.end(e.StepCompleted(deciding.now, command.key, command.result or Result()))
    else:
        deciding.fail(command.key, command.error)


_REPORTS: dict[type[c.Report], Callable[[_Deciding, StepState, Any], None]] = {
    c.Completed: _completed,
    c.Failed: _failed,
    c.Stopped: _stopped,
    c.Waits: _waits,
    c.AwaitsChild: _awaits_child,
    c.AwaitsDecision: _awaits_decision,
}

_HANDLERS: dict[type[c.Command], Callable[[_Deciding, Any], None]] = {
    c.Start: _start,
    c.Advance: _advance,
    c.TakeOver: _take_over,
    c.HandBack: _hand_back,
    c.Cancel: _cancel,
    c.Retry: _retry,
    c.Decide: _decide,
    c.FinishChild: _finish_child,
}
