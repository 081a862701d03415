"""A command at work: what every decision is made of. Events are worked in as they are emitted."""

from vai.domain import events as e
from vai.domain.evolve import HANDLERS, Draft
from vai.domain.graph import ExpressionFailed, StepSpec
from vai.domain.ids import action_run_id
from vai.domain.readiness import why_skip
from vai.domain.state import Instant, RunError, StepError, StepState
from vai.domain.status import RunStatus, SkipReason, StepStatus


class Deciding:
    """One command at work on a draft: each event sees the ones before it.

    `drives` is True for the commands of whoever drives the run: only those start steps, because a step that a
    bystander had started would look as if an engine were at work on it. The others leave what they set free to
    the driver's next command.
    """

    def __init__(self, draft: Draft, now: Instant) -> None:
        self.draft = draft
        self.now = now
        self.drives = False
        self.events: list[e.Event] = []
        self._ready: list[str] = []

    def emit(self, event: e.Event) -> None:
        """Record an event and work it into the draft."""
        self.events.append(event)
        HANDLERS[type(event)](self.draft, event)

    def end(self, event: e.StepEvent) -> None:
        """Record the event that ends a step, and note what waited for it."""
        self.emit(event)
        self._ready.extend(self.draft.graph.dependents[event.key])

    def drive(self) -> None:
        """Let this command start steps: those that are free, also when others have set them free."""
        self.drives = True
        if self.draft.free:
            self._ready.extend(key for key, step in self.draft.steps.items() if step.is_free)

    def note(self, key: str) -> None:
        """The step may be free: look at it when moving what is free."""
        self._ready.append(key)

    def fail(self, key: str, error: StepError) -> None:
        """End a step as failed; with failFast, and the run with it."""
        self.end(e.StepFailed(self.now, key, error))
        if self.draft.graph.fail_fast and not self.draft.is_stopping:
            self.stop("fail_fast")

    def stop(self, reason: str) -> None:
        """Start nothing more, because the run is going to fail; when all has ended already, let it be."""
        if self.draft.unfinished:
            self.emit(e.RunStopping(self.now, reason))
            self.cancel_idle()

    def cancel(self, key: str) -> None:
        """End a step as cancelled, for the reason that the run stops."""
        self.end(e.StepCancelled(self.now, key, self.draft.stopping or "cancelled"))

    def cancel_idle(self) -> None:
        """Cancel every step that is not at work; the ones at work report when they have stopped."""
        for step in list(self.draft.steps.values()):
            if not step.status.is_final and not step.is_executing:
                self.cancel(step.key)

    def start(self, step: StepState) -> None:
        """Let the next execution of the step begin."""
        run_id, attempt = self.draft.origin.id, self.draft.attempt
        known = step.action_run_id or action_run_id(run_id, step.key, attempt, self.now)
        self.emit(e.StepStarted(self.now, step.key, known, step.tries + 1))

    def settle(self) -> None:
        """Move what is free, then let the run follow its steps: end, wait for a person, or go on."""
        if self.drives:
            self._move()
        draft = self.draft
        if draft.status.is_final or draft.attempt_started_at is None:
            return
        if draft.unfinished == 0:
            self._finish()
        elif draft.awaiting and _only_people_can_move(draft):
            if draft.status is RunStatus.RUNNING:
                self.emit(e.RunAwaitingApproval(self.now))
        elif draft.status is RunStatus.AWAITING_APPROVAL:
            self.emit(e.RunResumed(self.now))

    def _move(self) -> None:
        """Start, skip or fail every step that is free, and whatever that sets free in turn."""
        for key in self._ready:  # grows on the way
            step = self.draft.steps[key]
            # What was noted may wait for others still, be noted twice, or have been skipped or cancelled since.
            if step.is_free:
                self._place(step)

    def _place(self, step: StepState) -> None:
        # What has begun once in this attempt goes on: its condition was an answer for the whole attempt.
        if step.tries:
            self.start(step)
            return
        try:
            reason = self._why_skip(self.draft.graph.steps[step.key])
        except ExpressionFailed as failure:
            self.fail(step.key, StepError("expression_failed", str(failure), False, failure.details))
            return
        if reason is None:
            self.start(step)
        else:
            self.end(e.StepSkipped(self.now, step.key, reason))

    def _why_skip(self, spec: StepSpec) -> SkipReason | None:
        if spec.depends_on:
            reason = why_skip(spec.run_when, list(map(self.draft.steps.__getitem__, spec.depends_on)))
            if reason is not None:
                return reason
        if spec.condition is None or spec.condition(self.draft.freeze()):
            return None
        return SkipReason.CONDITION

    def _finish(self) -> None:
        draft = self.draft
        failed = tuple(key for key, step in draft.steps.items() if step.status is StepStatus.FAILED)
        if draft.cancel_requested_at is not None:
            self.emit(e.RunCancelled(self.now))
        elif draft.stopping == "timeout":
            message = f"The run took longer than {draft.graph.timeout_seconds:g} s."
            self.emit(e.RunFailed(self.now, RunError("timeout", message, failed)))
        elif failed:
            self.emit(e.RunFailed(self.now, RunError("step_failed", _failure(draft, failed), failed)))
        else:
            self.emit(e.RunCompleted(self.now))


def _only_people_can_move(draft: Draft) -> bool:
    if draft.executing or draft.timed or draft.free:
        return False
    # What is running and neither at work nor timed waits for another run.
    return not any(step.status is StepStatus.RUNNING for step in draft.steps.values())


def _failure(draft: Draft, failed: tuple[str, ...]) -> str:
    error = draft.steps[failed[0]].error
    reason = error.message if error else "no reason was given"
    others = f" (and {len(failed) - 1} more)" if len(failed) > 1 else ""
    return f"Step {failed[0]} failed{others}: {reason}"
