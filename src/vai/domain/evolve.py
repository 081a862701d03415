"""`evolve`: what an event makes of a run. The only place where a status is assigned.

`evolve` folds events over one working copy (`Draft`), so that a batch costs one copy of the steps.
"""

from collections.abc import Callable, Iterable
from typing import Any

import msgspec

from vai.domain import events as e
from vai.domain.graph import Graph
from vai.domain.state import Fan, Instant, Result, RunError, RunState, StepError, StepState, counted
from vai.domain.status import RunStatus, StepStatus

_replace = msgspec.structs.replace


class Draft(msgspec.Struct):
    """A run under change: its steps are a private copy, and the sums follow each `put` and `finish`."""

    origin: RunState
    graph: Graph
    steps: dict[str, StepState]
    status: RunStatus
    attempt: int
    started_at: Instant | None
    completed_at: Instant | None
    attempt_started_at: Instant | None
    cancel_requested_at: Instant | None
    stopping: str | None
    error: RunError | None
    unfinished: int
    awaiting: int
    expiring: int
    executing: int
    timed: int
    free: int

    @classmethod
    def of(cls, state: RunState) -> "Draft":
        """A working copy of `state`."""
        return cls(
            state, state.graph, dict(state.steps), state.status, state.attempt, state.started_at, state.completed_at,
            state.attempt_started_at, state.cancel_requested_at, state.stopping, state.error,
            state.unfinished, state.awaiting, state.expiring, state.executing, state.timed, state.free,
        )  # fmt: skip

    @property
    def is_stopping(self) -> bool:
        """True when nothing more may start."""
        return self.cancel_requested_at is not None or self.stopping is not None

    def freeze(self) -> RunState:
        """The value that the changes made."""
        return RunState(
            self.origin.id, self.graph, self.origin.context, self.steps, self.status, self.attempt,
            self.started_at, self.completed_at, self.attempt_started_at, self.cancel_requested_at,
            self.stopping, self.error, self.unfinished, self.awaiting, self.expiring, self.executing, self.timed,
            self.free,
        )  # fmt: skip

    def put(self, step: StepState) -> None:
        """Replace a step that goes on, and keep the sums."""
        self._count(self.steps[step.key], -1)
        self.steps[step.key] = step
        self._count(step, 1)

    def finish(self, step: StepState) -> None:
        """Replace a step that has just ended, keep the sums, and count it off for all that waits for it."""
        steps, key = self.steps, step.key
        self._count(steps[key], -1)
        self.unfinished -= 1
        steps[key] = step
        for down in self.graph.dependents[key]:
            waiting = steps[down]
            steps[down] = _replace(waiting, unmet=waiting.unmet - 1)
            if waiting.unmet == 1 and waiting.status is StepStatus.PENDING:
                self.free += 1
        parent = self.graph.steps[key].parent
        if parent is not None:
            self._count_off(parent, step)

    def _count_off(self, parent: str, ended: StepState) -> None:
        """An element of a forEach step has ended: the first of those that were held for its sake may start."""
        step = self.steps[parent]
        fan = step.fan
        assert fan is not None  # noqa: S101 - for the type alone
        was_held = ended.unmet == 1
        self.steps[ended.key] = _replace(ended, unmet=0)
        held = fan.held - was_held
        self.steps[parent] = _replace(step, fan=_replace(fan, unfinished=fan.unfinished - 1, held=held))
        if not was_held and step.status is StepStatus.RUNNING:
            self.release(parent)

    def release(self, parent: str) -> None:
        """Let the first held element of a forEach step start, if there is one."""
        step = self.steps[parent]
        fan = step.fan
        if fan is None or fan.held == 0:
            return
        element = self.graph.elements[parent][fan.order[-fan.held]]
        self.steps[element] = _replace(self.steps[element], unmet=0)
        self.free += 1
        self.steps[parent] = _replace(step, fan=_replace(fan, held=fan.held - 1))

    def _count(self, step: StepState, by: int) -> None:
        """Where a step counts that is not final; each counts once at most, but for one that awaits approval in time."""
        status = step.status
        if status is StepStatus.RUNNING:
            if step.wake_at is not None:
                self.timed += by
            elif step.is_executing:
                self.executing += by
        elif status is StepStatus.AWAITING_APPROVAL:
            self.awaiting += by
            if step.wake_at is not None:
                self.expiring += by
        elif step.next_attempt_at is not None:
            self.timed += by
        elif step.unmet == 0:
            self.free += by


def evolve(state: RunState, events: Iterable[e.Event]) -> RunState:
    """The state after `events`. Pure: `state` is left as it was."""
    draft = Draft.of(state)
    for event in events:
        apply(draft, event)
    return draft.freeze()


def apply(draft: Draft, event: e.Event) -> None:
    """Work one event into the draft."""
    handler = HANDLERS.get(type(event))
    if handler is not None:
        handler(draft, event)


def _run_started(draft: Draft, event: e.RunStarted) -> None:
    draft.status = RunStatus.RUNNING
    draft.attempt_started_at = event.at


def _run_awaiting_approval(draft: Draft, _: e.RunAwaitingApproval) -> None:
    draft.status = RunStatus.AWAITING_APPROVAL


def _run_resumed(draft: Draft, _: e.RunResumed) -> None:
    draft.status = RunStatus.RUNNING


def _run_cancel_requested(draft: Draft, event: e.RunCancelRequested) -> None:
    draft.cancel_requested_at = event.at


def _run_stopping(draft: Draft, event: e.RunStopping) -> None:
    draft.stopping = event.reason


def _run_completed(draft: Draft, event: e.RunCompleted) -> None:
    _end_run(draft, event, RunStatus.COMPLETED)


def _run_failed(draft: Draft, event: e.RunFailed) -> None:
    _end_run(draft, event, RunStatus.FAILED)
    draft.error = event.error


def _run_cancelled(draft: Draft, event: e.RunCancelled) -> None:
    _end_run(draft, event, RunStatus.CANCELLED)


def _end_run(draft: Draft, event: e.Event, status: RunStatus) -> None:
    draft.status = status
    # The clocks of two engines can differ: nothing ends before it began.
    draft.completed_at = max(event.at, draft.started_at or event.at)


def _run_retried(draft: Draft, event: e.RunRetried) -> None:
    draft.status = RunStatus.PENDING
    draft.attempt = event.attempt
    draft.completed_at = draft.attempt_started_at = draft.cancel_requested_at = None
    draft.stopping = draft.error = None
    rerun = set(event.rerun)
    for key in event.rerun:
        if key in draft.graph.elements and rerun.isdisjoint(draft.graph.elements[key]):
            _collapse(draft, key)
    for key in event.rerun:
        is_element = draft.graph.steps[key].parent is not None
        fan = draft.steps[key].fan if key in draft.graph.elements else None
        draft.steps[key] = StepState(key, attempt=event.attempt, unmet=int(is_element), fan=fan)
    # The count is also kept in steps that stay as they are: a skipped branch can hang on what runs again.
    for key in draft.graph.downstream(event.rerun):
        spec, step = draft.graph.steps[key], draft.steps[key]
        if spec.parent is None:
            unmet = sum(not draft.steps[up].status.is_final for up in spec.depends_on)
            draft.steps[key] = _replace(step, unmet=unmet, fan=_fan_of(draft, key, released=0))
    draft.unfinished = len(event.rerun)
    draft.free = sum(draft.steps[key].unmet == 0 for key in event.rerun)


def _collapse(draft: Draft, key: str) -> None:
    """The step runs again over elements that are found anew: those there are belong to earlier attempts."""
    for element in draft.graph.elements[key]:
        del draft.steps[element]
    draft.graph = draft.graph.collapsed(key)


def _fan_of(draft: Draft, key: str, *, released: int) -> Fan | None:
    step = draft.steps[key]
    if step.fan is None:
        return None
    return counted(step.fan, step.attempt, draft.graph.elements[key], draft.steps, released)


def _step_expanded(draft: Draft, event: e.StepExpanded) -> None:
    """Elements that are known already, of which a retry runs some again, stay as they are."""
    key, step = event.key, draft.steps[event.key]
    if draft.started_at is None:
        draft.started_at = event.at
    if step.fan is None:
        draft.graph = draft.graph.expanded(key, event.count)
        for element in draft.graph.elements[key]:
            draft.steps[element] = StepState(element, attempt=step.attempt, unmet=1)
        draft.unfinished += event.count
        found = [] if event.elements is msgspec.UNSET else event.elements
        step = _replace(step, fan=Fan(found, step.attempt))
    draft.put(_replace(step, status=StepStatus.RUNNING, started_at=event.at))
    draft.steps[key] = _replace(draft.steps[key], fan=_fan_of(draft, key, released=0))
    for _ in range(draft.graph.steps[key].max_parallel):
        draft.release(key)


def _step_started(draft: Draft, event: e.StepStarted) -> None:
    step = draft.steps[event.key]
    if draft.started_at is None:
        draft.started_at = event.at
    if step.next_attempt_at is None:
        draft.free -= 1
    else:
        draft.timed -= 1
    draft.executing += 1
    draft.steps[event.key] = _replace(
        step,
        status=StepStatus.RUNNING,
        action_run_id=event.action_run_id,
        started_at=event.at if step.started_at is None else step.started_at,
        tries=event.try_number,
        next_attempt_at=None,
        error=None,
    )


def _step_completed(draft: Draft, event: e.StepCompleted) -> None:
    _end(draft, event, StepStatus.COMPLETED, event.result, None)


def _step_failed(draft: Draft, event: e.StepFailed) -> None:
    result = None if event.result is msgspec.UNSET else event.result
    _end(draft, event, StepStatus.FAILED, result, event.error)


def _step_cancelled(draft: Draft, event: e.StepCancelled) -> None:
    _end(draft, event, StepStatus.CANCELLED, None, draft.steps[event.key].error)


def _step_skipped(draft: Draft, event: e.StepSkipped) -> None:
    _end(draft, event, StepStatus.SKIPPED, None, None)
    step = draft.steps[event.key]
    draft.steps[event.key] = _replace(step, skip_reason=event.reason, skipped_by=event.by)


def _end(draft: Draft, event: e.StepEvent, status: StepStatus, result: Result | None, error: StepError | None) -> None:
    step = draft.steps[event.key]
    begun, at = step.started_at, event.at
    # The clocks of two engines can differ: nothing ends before it began.
    completed_at = at if begun is None or begun < at else begun
    ended = _replace(
        step,
        status=status,
        completed_at=completed_at,
        result=result,
        error=error,
        awaits=None,
        wake_at=None,
        on_expire=None,
        next_attempt_at=None,
    )
    draft.finish(ended)


def _step_retry_scheduled(draft: Draft, event: e.StepRetryScheduled) -> None:
    step = draft.steps[event.key]
    draft.put(
        _replace(
            step,
            status=StepStatus.PENDING,
            error=event.error,
            next_attempt_at=event.next_attempt_at,
            result=None,
            child_run_id=None,
            awaits=None,
            wake_at=None,
        )
    )


def _step_interrupted(draft: Draft, event: e.StepInterrupted) -> None:
    step = draft.steps[event.key]
    losses = step.losses + (event.reason == "engine_lost")
    draft.put(_replace(step, status=StepStatus.PENDING, interrupts=step.interrupts + 1, losses=losses))


def _step_waiting(draft: Draft, event: e.StepWaiting) -> None:
    draft.put(_replace(draft.steps[event.key], wake_at=event.until, result=event.result))


def _step_awaiting_event(draft: Draft, event: e.StepAwaitingEvent) -> None:
    draft.put(_replace(draft.steps[event.key], awaits=event.wait, wake_at=event.until))


def _step_event_received(draft: Draft, event: e.StepEventReceived) -> None:
    """The step's end is the next event."""


def _step_child_started(draft: Draft, event: e.StepChildStarted) -> None:
    draft.put(_replace(draft.steps[event.key], child_run_id=event.child_run_id))


def _step_child_ended(draft: Draft, event: e.StepChildEnded) -> None:
    """What that means for the step is the next event."""


def _step_awaiting_approval(draft: Draft, event: e.StepAwaitingApproval) -> None:
    step, question = draft.steps[event.key], event.question
    draft.put(
        _replace(
            step,
            status=StepStatus.AWAITING_APPROVAL,
            decision_id=event.decision_id,
            wake_at=question.expires_at,
            on_expire=None if question.expires_at is None else question.on_expire,
        )
    )


def _step_decided(draft: Draft, event: e.StepDecided) -> None:
    draft.put(_replace(draft.steps[event.key], status=StepStatus.PENDING, wake_at=None, on_expire=None))


HANDLERS: dict[type[e.Event], Callable[[Draft, Any], None]] = {
    e.RunStarted: _run_started,
    e.RunAwaitingApproval: _run_awaiting_approval,
    e.RunResumed: _run_resumed,
    e.RunCancelRequested: _run_cancel_requested,
    e.RunStopping: _run_stopping,
    e.RunCompleted: _run_completed,
    e.RunFailed: _run_failed,
    e.RunCancelled: _run_cancelled,
    e.RunRetried: _run_retried,
    e.StepStarted: _step_started,
    e.StepExpanded: _step_expanded,
    e.StepCompleted: _step_completed,
    e.StepFailed: _step_failed,
    e.StepSkipped: _step_skipped,
    e.StepCancelled: _step_cancelled,
    e.StepRetryScheduled: _step_retry_scheduled,
    e.StepInterrupted: _step_interrupted,
    e.StepWaiting: _step_waiting,
    e.StepAwaitingEvent: _step_awaiting_event,
    e.StepEventReceived: _step_event_received,
    e.StepChildStarted: _step_child_started,
    e.StepChildEnded: _step_child_ended,
    e.StepAwaitingApproval: _step_awaiting_approval,
    e.StepDecided: _step_decided,
}
"""What each event does to a draft. Events without an entry change nothing."""
