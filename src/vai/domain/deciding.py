"""A command at work: what every decision is made of. Events are worked in as they are emitted."""

from collections.abc import Sequence

import msgspec

from vai.domain import events as e
from vai.domain.evolve import HANDLERS, Draft
from vai.domain.gathering import elements_error, gathered
from vai.domain.graph import ExpressionFailed, ForEach, StepSpec
from vai.domain.ids import action_run_id
from vai.domain.readiness import why_skip
from vai.domain.state import Fan, Instant, Result, RunError, StepError, StepState
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
        parent = self.draft.graph.steps[event.key].parent
        if parent is not None:
            self._element_ended(parent)

    def drive(self) -> None:
        """Let this command start steps: those that are free, also when others have set them free."""
        self.drives = True
        if self.draft.free:
            self._ready.extend(key for key, step in self.draft.steps.items() if step.is_free)

    def note(self, key: str) -> None:
        """The step may be free: look at it when moving what is free."""
        self._ready.append(key)

    def fail(self, key: str, error: StepError, result: Result | msgspec.UnsetType = msgspec.UNSET) -> None:
        """End a step as failed; with failFast, and the run with it."""
        self.end(e.StepFailed(self.now, key, error, result))
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
            # A forEach step that has begun ends with the last of its elements.
            if not step.status.is_final and not step.is_executing and not _is_running_fan(step):
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
        spec = self.draft.graph.steps[step.key]
        try:
            reason = None if step.fan else self._why_skip(spec)
            if reason is not None:
                self.end(e.StepSkipped(self.now, step.key, reason))
            elif spec.for_each is not None:
                self._expand(step, spec.for_each)
            else:
                self.start(step)
        except ExpressionFailed as failure:
            self.fail(step.key, StepError("expression_failed", str(failure), False, failure.details))

    def _expand(self, step: StepState, for_each: ForEach) -> None:
        """Begin a forEach step: its elements, or those of them that a retry runs again, are free to start."""
        elements = list(step.fan.elements) if step.fan else for_each(self.draft.freeze())
        self.emit(e.StepExpanded(self.now, step.key, len(elements), elements))
        if elements:
            self._ready.extend(self.draft.graph.elements[step.key])
        else:
            self.gather(step.key)

    def _element_ended(self, parent: str) -> None:
        step = self.draft.steps[parent]
        if step.fan is None or step.status is not StepStatus.RUNNING:
            return
        if step.fan.unfinished == 0:
            self.gather(parent)
        elif not self.draft.is_stopping:
            self._ready.extend(_last_released(self.draft.graph.elements[parent], step.fan))

    def gather(self, key: str) -> None:
        """End a forEach step whose elements have all ended, with their results in order."""
        elements = [self.draft.steps[element] for element in self.draft.graph.elements[key]]
        if self.draft.is_stopping and any(step.status is StepStatus.CANCELLED for step in elements):
            self.cancel(key)
            return
        name = f"{self.draft.origin.id}:{key}:{self.draft.attempt}"
        result = gathered(elements, name, self.now)
        error = elements_error(elements)
        if error is None:
            self.end(e.StepCompleted(self.now, key, result))
        else:
            self.fail(key, error, result)

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
        failed = _failed_steps(draft)
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
    return not any(step.status is StepStatus.RUNNING and step.awaits_others for step in draft.steps.values())


def _is_running_fan(step: StepState) -> bool:
    return step.fan is not None and step.status is StepStatus.RUNNING


def _last_released(elements: Sequence[str], fan: Fan) -> tuple[str, ...]:
    """The element that was held until now, if there was one."""
    place = len(fan.order) - fan.held - 1
    return () if place < 0 else (elements[fan.order[place]],)


def _failed_steps(draft: Draft) -> tuple[str, ...]:
    """A forEach step stands for its elements."""
    steps, specs = draft.steps, draft.graph.steps
    failed = [key for key, step in steps.items() if step.status is StepStatus.FAILED]
    parents = {key: specs[key].parent or "" for key in failed}
    return tuple(key for key in failed if parents[key] not in parents)


def _failure(draft: Draft, failed: tuple[str, ...]) -> str:
    error = draft.steps[failed[0]].error
    reason = error.message if error else "no reason was given"
    others = f" (and {len(failed) - 1} more)" if len(failed) > 1 else ""
    return f"Step {failed[0]} failed{others}: {reason}"
