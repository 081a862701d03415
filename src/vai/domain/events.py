"""What happened to a run, in the past tense. The stored events are the stream, the audit and the test oracle.

An event's wire form is `{type, stepKey, occurredAt, data}`; `data` holds the fields that only its type has.
"""

from typing import Any, ClassVar

import msgspec

from vai.domain.questions import Question
from vai.domain.state import EventWait, Instant, Result, RunError, StepError
from vai.domain.status import DecisionStatus, RetryMode, SkipReason


class Event(msgspec.Struct, frozen=True, rename="camel"):
    """Something that happened, and when."""

    type: ClassVar[str] = ""
    at: Instant

    @property
    def step_key(self) -> str | None:
        """The step it is about, or None when it is about the run."""
        return None


class StepEvent(Event, frozen=True):
    """Something that happened to one step."""

    key: str

    @property
    def step_key(self) -> str | None:
        """The step it is about."""
        return self.key


class RunCreated(Event, frozen=True):
    """The run was accepted."""

    type = "run.created"
    trigger_type: str = "manual"
    version_number: int = 1
    traceparent: str | msgspec.UnsetType = msgspec.UNSET  # the caller's place in its trace
    trigger: dict[str, Any] | msgspec.UnsetType = msgspec.UNSET  # what its trigger tells, such as dueAt


class RunStarted(Event, frozen=True):
    """An engine began the run, or the run's new attempt."""

    type = "run.started"


class RunAwaitingApproval(Event, frozen=True):
    """Nothing can move until a person decides."""

    type = "run.awaiting_approval"


class RunResumed(Event, frozen=True):
    """Something can move again."""

    type = "run.resumed"


class RunCancelRequested(Event, frozen=True):
    """Someone asked for the run's end; what is at work is being stopped."""

    type = "run.cancel_requested"
    by: str | None = None


class RunStopping(Event, frozen=True):
    """The run is going to fail and starts nothing more: `fail_fast`, or `timeout`."""

    type = "run.stopping"
    reason: str = "fail_fast"


class RunCompleted(Event, frozen=True):
    """Every step ended and none failed."""

    type = "run.completed"


class RunFailed(Event, frozen=True):
    """Every step ended, and at least one failed, or the run's time was over."""

    type = "run.failed"
    error: RunError


class RunCancelled(Event, frozen=True):
    """The run was cancelled, and nothing of it is at work any more."""

    type = "run.cancelled"


class RunRetried(Event, frozen=True):
    """A final run was taken up again as a new attempt; `rerun` lists the steps that run again."""

    type = "run.retried"
    attempt: int
    mode: RetryMode
    rerun: tuple[str, ...]
    from_step: str | None = None
    by: str | None = None


class StepStarted(StepEvent, frozen=True):
    """An action of the step may begin now: its `try_number`-th in this attempt of the run."""

    type = "step.started"
    action_run_id: str
    try_number: int = 1


class StepCompleted(StepEvent, frozen=True):
    """The step did what it should."""

    type = "step.completed"
    result: Result


class StepFailed(StepEvent, frozen=True):
    """The step failed for good."""

    type = "step.failed"
    error: StepError
    result: Result | msgspec.UnsetType = msgspec.UNSET  # what became of the elements of forEach that did not fail


class StepRetryScheduled(StepEvent, frozen=True):
    """The step failed and will be tried again at `next_attempt_at`."""

    type = "step.retry_scheduled"
    error: StepError
    next_attempt_at: Instant


class StepInterrupted(StepEvent, frozen=True):
    """The engine that ran the step died or was stopped; the step is pending again."""

    type = "step.interrupted"
    reason: str = "engine_lost"


class StepSkipped(StepEvent, frozen=True):
    """The step will not run in this attempt."""

    type = "step.skipped"
    reason: SkipReason
    by: str | None = None  # the step that took another branch


class StepCancelled(StepEvent, frozen=True):
    """The step was stopped, or was never begun, because the run stops."""

    type = "step.cancelled"
    reason: str = "cancelled"


class StepExpanded(StepEvent, frozen=True):
    """A forEach step began: it runs over so many elements, each a step of its own."""

    type = "step.expanded"
    count: int
    elements: list[Any] | msgspec.UnsetType = msgspec.UNSET  # not stored with the event


class StepWaiting(StepEvent, frozen=True):
    """The step waits for a point in time, without holding anything."""

    type = "step.waiting"
    until: Instant
    result: Result = Result()  # what the step will have answered when its time comes


class StepAwaitingEvent(StepEvent, frozen=True):
    """The step waits for an event, until a point in time if there is one."""

    type = "step.awaiting_event"
    wait: EventWait
    until: Instant | None = None


class StepEventReceived(StepEvent, frozen=True):
    """The event that the step waited for has occurred. The step's end follows."""

    type = "step.event_received"
    event_id: str


class StepChildStarted(StepEvent, frozen=True):
    """The step waits for another run."""

    type = "step.child_started"
    child_run_id: str


class StepChildEnded(StepEvent, frozen=True):
    """The run that the step waited for has ended. What that means for the step follows."""

    type = "step.child_ended"
    child_run_id: str


class StepAwaitingApproval(StepEvent, frozen=True):
    """The step waits for a person's decision."""

    type = "step.awaiting_approval"
    decision_id: str
    question: Question = Question()


class StepDecided(StepEvent, frozen=True):
    """A person decided, or nobody did in time (`expired`). What that means for the step follows; by itself the step
    is pending again."""

    type = "step.decided"
    decision_id: str
    outcome: DecisionStatus
    by: str | None = None
    by_name: str | None = None
    reason: str | None = None
    fields: dict[str, Any] = {}


class StepProgress(StepEvent, frozen=True):
    """How far an action is. Changes no state."""

    type = "step.progress"
    progress: dict[str, Any]


class StepLog(StepEvent, frozen=True):
    """A line an action logged. Changes no state."""

    type = "step.log"
    level: str
    message: str
    fields: dict[str, Any] = {}


class StepLogDropped(StepEvent, frozen=True):
    """The step's bound on progress and log events was reached; so many were dropped. Changes no state."""

    type = "step.log_dropped"
    count: int


EVENT_TYPES: dict[str, type[Event]] = {
    cls.type: cls
    for cls in (
        *(RunCreated, RunStarted, RunAwaitingApproval, RunResumed, RunCancelRequested, RunStopping),
        *(RunCompleted, RunFailed, RunCancelled, RunRetried),
        *(StepStarted, StepExpanded, StepCompleted, StepFailed, StepRetryScheduled, StepInterrupted, StepSkipped),
        *(
            StepCancelled,
            StepWaiting,
            StepAwaitingEvent,
            StepEventReceived,
            StepChildStarted,
            StepChildEnded,
            StepAwaitingApproval,
            StepDecided,
        ),
        *(StepProgress, StepLog, StepLogDropped),
    )
}

_encode = msgspec.json.Encoder().encode


def data_of(event: Event) -> bytes:
    """The JSON of the fields that only this type of event has."""
    raw = msgspec.to_builtins(event)
    raw.pop("at", None)
    raw.pop("key", None)
    return _encode(raw)


def event_of(event_type: str, at: Instant, step_key: str | None, data: bytes | str) -> Event:
    """The event whose stored parts these are: the inverse of `data_of`."""
    raw = msgspec.json.decode(data)
    raw["at"] = at
    if step_key is not None:
        raw["key"] = step_key
    return msgspec.convert(raw, EVENT_TYPES[event_type])
