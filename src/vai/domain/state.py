"""A run with its steps as one frozen value."""

from collections.abc import Mapping, Sequence
from math import ceil
from typing import Any, Protocol

import msgspec

from vai.domain.graph import Graph
from vai.domain.status import OnExpire, OnTimeout, RunStatus, SkipReason, StepStatus

Instant = int
"""A point in time: milliseconds since 1970-01-01 UTC."""


class StepError(msgspec.Struct, frozen=True):
    """Why a step failed: `type` is a class of errors that retry policies name."""

    type: str
    message: str
    retryable: bool = False
    details: dict[str, Any] = {}


class RunError(msgspec.Struct, frozen=True, rename="camel"):
    """Why a run failed."""

    type: str
    message: str
    failed_steps: tuple[str, ...] = ()


class Result(msgspec.Struct, frozen=True, rename="camel"):
    """What a step answered. Over the inline limit `value` is a preview and the artifact has it whole."""

    value: Any = None
    truncated: bool = False
    artifact_id: str | None = None


class Fan(msgspec.Struct, frozen=True):
    """What a forEach step runs over. `unfinished`, `held` and `order` follow from its elements' steps."""

    elements: Sequence[Any]
    attempt: int  # of the run, in which they were found
    unfinished: int = 0  # elements that are not final
    held: int = 0  # of these, how many wait because of maxParallel: the last ones of `order`
    order: Sequence[int] = ()  # the elements that run in this attempt, by their place


class EventWait(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """What event a step waits for: one of this type that occurred since then, and for which `match` holds."""

    event_type: str
    since: Instant
    match: str | None = None  # an expression over `event` and `names`
    names: dict[str, Any] | None = None  # what else `match` names, as it was when the wait began
    on_timeout: OnTimeout = OnTimeout.FAIL


class StepState(msgspec.Struct, frozen=True):
    """One step of a run. `attempt` is the run's attempt that this record comes from."""

    key: str
    status: StepStatus = StepStatus.PENDING
    attempt: int = 1
    unmet: int = 0  # steps it depends on that are not final yet; for an element of forEach 1 while it is held
    action_run_id: str | None = None
    started_at: Instant | None = None
    completed_at: Instant | None = None
    result: Result | None = None
    error: StepError | None = None
    tries: int = 0  # executions begun in this attempt of the run
    interrupts: int = 0  # of these executions
    losses: int = 0  # interrupts because an engine died, which alone count against the step
    next_attempt_at: Instant | None = None  # backing off until then
    wake_at: Instant | None = None  # suspended on a timer until then, or awaits approval no longer than that
    decision_id: str | None = None
    on_expire: OnExpire | None = None  # what it means that nobody decides in time, while it awaits approval
    child_run_id: str | None = None
    awaits: EventWait | None = None
    skip_reason: SkipReason | None = None
    skipped_by: str | None = None  # the step that took another branch
    fan: Fan | None = None  # a forEach step whose elements are known

    @property
    def is_free(self) -> bool:
        """True when nothing holds it back but that its run is driven."""
        return self.status is StepStatus.PENDING and self.unmet == 0 and self.next_attempt_at is None

    @property
    def is_executing(self) -> bool:
        """True when an action of it is at work, not merely waited for."""
        is_waiting = self.wake_at is not None or self.awaits_others or self.fan is not None
        return self.status is StepStatus.RUNNING and not is_waiting

    @property
    def awaits_others(self) -> bool:
        """True when the end of another run, or an event, will move it."""
        return self.child_run_id is not None or self.awaits is not None

    @property
    def is_timed(self) -> bool:
        """True when a point in time will move it, and nothing else has to."""
        is_expiring = self.status is StepStatus.AWAITING_APPROVAL
        return not is_expiring and (self.wake_at is not None or self.next_attempt_at is not None)

    @property
    def is_expiring(self) -> bool:
        """True when it awaits approval, and no longer than until a point in time."""
        return self.status is StepStatus.AWAITING_APPROVAL and self.wake_at is not None


class RunContext(msgspec.Struct, frozen=True):
    """What a run was started with; never changes, and is what expressions may see of it."""

    tenant_id: str
    automation_id: str
    created_at: Instant
    input: Any = None
    payload: Any = None  # a webhook's body
    trigger: Mapping[str, Any] = {}  # type, sourceType, sourceId, and what the trigger tells
    traceparent: str | None = None  # the caller's place in its trace, as W3C Trace Context writes it
    concurrency_key: str | None = None
    is_child: bool = False  # a step of another run waits for it


class RunState(msgspec.Struct, frozen=True):
    """A run with its steps. `unfinished`, `executing` … are sums over `steps`, kept by `evolve`."""

    id: str
    graph: Graph
    context: RunContext
    steps: Mapping[str, StepState]
    status: RunStatus = RunStatus.PENDING
    attempt: int = 1
    started_at: Instant | None = None
    completed_at: Instant | None = None
    attempt_started_at: Instant | None = None
    cancel_requested_at: Instant | None = None
    stopping: str | None = None  # fail_fast or timeout: nothing more starts, the run will fail
    error: RunError | None = None
    unfinished: int = 0  # steps that are not final
    awaiting: int = 0  # steps in awaiting_approval
    expiring: int = 0  # of these, how many do so only until a point in time
    executing: int = 0  # steps whose action is at work
    timed: int = 0  # steps that a point in time will move
    free: int = 0  # steps that start as soon as the run is driven

    @property
    def is_stopping(self) -> bool:
        """True when nothing more may start."""
        return self.cancel_requested_at is not None or self.stopping is not None

    def due_at(self) -> Instant | None:
        """The next point in time that moves the run by itself: a timer, a backoff, an expiry, or its limit.

        A point in the past when steps are free that nobody has started: the run was handed back, or a person or
        another run has set them free.
        """
        if self.status.is_final or self.attempt_started_at is None:
            return None
        if self.free:
            return self.attempt_started_at
        steps = self.steps.values() if self.timed or self.expiring else ()
        due = [at for step in steps for at in (step.wake_at, step.next_attempt_at) if at is not None]
        limit_at = run_limit_at(self)
        if limit_at is not None:
            due.append(limit_at)
        return min(due, default=None)


class Limited(Protocol):
    """What the time limit of a run hangs on: a `RunState`, or a draft of one."""

    @property
    def graph(self) -> Graph: ...
    @property
    def attempt_started_at(self) -> Instant | None: ...
    @property
    def is_stopping(self) -> bool: ...


def run_limit_at(run: Limited) -> Instant | None:
    """When the attempt has taken too long; None without a limit, before it began, and once the run is stopping."""
    limit, begun = run.graph.timeout_seconds, run.attempt_started_at
    return None if limit is None or begun is None or run.is_stopping else begun + ceil(limit * 1000)


def restore_state(state: RunState) -> RunState:
    """`state` with its sums and counts of unmet dependencies computed from its steps: for a run just loaded."""
    steps = dict(state.steps)
    for key, spec in state.graph.steps.items():
        unmet = sum(not state.steps[up].status.is_final for up in spec.depends_on)
        steps[key] = msgspec.structs.replace(steps[key], unmet=unmet)
    for key, elements in state.graph.elements.items():
        _restore_fan(steps, key, elements, state.graph.steps[key].max_parallel)
    return msgspec.structs.replace(
        state,
        steps=steps,
        unfinished=sum(not step.status.is_final for step in steps.values()),
        awaiting=sum(step.status is StepStatus.AWAITING_APPROVAL for step in steps.values()),
        expiring=sum(step.is_expiring for step in steps.values()),
        executing=sum(step.is_executing for step in steps.values()),
        timed=sum(step.is_timed for step in steps.values()),
        free=sum(step.is_free for step in steps.values()),
    )


def _restore_fan(steps: dict[str, StepState], key: str, elements: Sequence[str], max_parallel: int) -> None:
    step = steps[key]
    if step.fan is None:
        raise ValueError(f"Step {key} has elements in the graph, and none in its state.")
    unfinished = [element for element in elements if not steps[element].status.is_final]
    released = max_parallel if step.status is StepStatus.RUNNING else 0
    for element in unfinished[released:]:
        steps[element] = msgspec.structs.replace(steps[element], unmet=1)
    steps[key] = msgspec.structs.replace(step, fan=counted(step.fan, step.attempt, elements, steps, released))


def counted(fan: Fan, attempt: int, elements: Sequence[str], steps: Mapping[str, StepState], released: int) -> Fan:
    """`fan` with what follows from its elements' steps, of which the first `released` unfinished ones may start."""
    order = tuple(i for i, element in enumerate(elements) if steps[element].attempt == attempt)
    unfinished = sum(not steps[element].status.is_final for element in elements)
    return msgspec.structs.replace(fan, unfinished=unfinished, held=max(0, unfinished - released), order=order)


def initial_state(run_id: str, graph: Graph, context: RunContext) -> RunState:
    """The state of a run that was accepted and has not begun."""
    steps = {key: StepState(key, unmet=len(spec.depends_on)) for key, spec in graph.steps.items()}
    free = sum(step.is_free for step in steps.values())
    return RunState(run_id, graph, context, steps, unfinished=len(steps), free=free)
