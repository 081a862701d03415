"""One run driven by hand. Every command that goes through it is checked against what must hold always."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import msgspec

from vai.domain import commands as c
from vai.domain import events as e
from vai.domain.decide import Transition, decide, transition
from vai.domain.events import data_of, event_of
from vai.domain.evolve import evolve
from vai.domain.graph import Graph, StepSpec
from vai.domain.interrupts import MAX_INTERRUPTS
from vai.domain.refusals import Refusal
from vai.domain.state import RunContext, RunState, StepError, StepState, initial_state, restore_state
from vai.domain.status import RunStatus, RunWhen, SkipReason, StepStatus

RUN_ID = "01890a5d-ac96-774b-bcce-b302099a8057"
BEGINNING = 1_700_000_000_000
DRIVING = (c.Start, c.Advance, c.TakeOver)
BROKEN = StepError("broken", "It broke.")
FLAKY = StepError("timeout", "It took too long.", retryable=True)


def a_run(*steps: StepSpec, **options: Any) -> "World":
    """A run of these steps."""
    return World(Graph.of(steps, **options))


def step(key: str, *depends_on: str, **options: Any) -> StepSpec:
    """A step that needs these others."""
    return StepSpec(key, "noop", depends_on=depends_on, **options)


class World:
    """A run, its history, and a clock that is turned by hand."""

    def __init__(self, graph: Graph) -> None:
        self.initial = self.state = initial_state(RUN_ID, graph, RunContext("tenant", "automation", BEGINNING))
        self.now = BEGINNING
        self.history: list[e.Event] = []

    # --- what a test does --------------------------------------------------------------------------------

    def do(self, command: c.Command) -> tuple[e.Event, ...]:
        """Apply a command, with all checks. Raises the refusal when it is refused."""
        before, steps = self.state, dict(self.state.steps)
        answer = ask(before, command, self.now)
        assert before.steps == steps, "deciding changed the state it was given"
        assert ask(before, command, self.now) == answer, "the same question, another answer"
        if isinstance(answer, Refused):
            raise answer.refusal
        events, after = answer
        assert decide(before, command, self.now) == events
        self._check_events(command, events, after)
        self.state = after
        self.history += events
        check_state(after)
        self._check_moves(command)
        return events

    def start(self) -> "World":
        """Begin the run."""
        self.do(c.Start())
        return self

    def report(self, *reports: c.Report) -> tuple[e.Event, ...]:
        """Let executions report."""
        return self.do(c.Advance(reports))

    def complete(self, *keys: str, **options: Any) -> tuple[e.Event, ...]:
        """Let these executions complete."""
        return self.report(*(c.Completed(key, self.step(key).tries, **options) for key in keys))

    def fail(self, *keys: str, error: StepError = BROKEN, **options: Any) -> tuple[e.Event, ...]:
        """Let these executions fail."""
        return self.report(*(c.Failed(key, self.step(key).tries, error, **options) for key in keys))

    def stop(self, *keys: str) -> tuple[e.Event, ...]:
        """Let these executions report that they have stopped."""
        return self.report(*(c.Stopped(key, self.step(key).tries) for key in keys))

    def wait(self, milliseconds: int) -> tuple[e.Event, ...]:
        """Turn the clock, and let the run see it."""
        self.now += milliseconds
        return self.do(c.Advance())

    # --- what a test asks --------------------------------------------------------------------------------

    def step(self, key: str) -> StepState:
        """A step as it is now."""
        return self.state.steps[key]

    def where(self, status: StepStatus) -> set[str]:
        """The steps in a status."""
        return {key for key, step in self.state.steps.items() if step.status is status}

    def executing(self) -> list[str]:
        """The steps whose action is at work."""
        return [key for key, step in self.state.steps.items() if step.is_executing]

    def statuses(self) -> dict[str, str]:
        """Every step's status."""
        return {key: step.status.value for key, step in self.state.steps.items()}

    def replayed(self) -> RunState:
        """The state that the history alone gives."""
        return evolve(self.initial, self.history)

    # --- what must hold always ---------------------------------------------------------------------------

    def _check_events(self, command: c.Command, events: Iterable[e.Event], after: RunState) -> None:
        state = self.state
        for event in events:
            assert event.at == self.now
            assert event_of(event.type, event.at, event.step_key, data_of(event)) == event
            if isinstance(event, e.StepStarted):
                assert isinstance(command, DRIVING), "only what drives a run starts steps"
                assert getattr(command, "may_start", True)
                check_start(state, event.key)
            state = evolve(state, [event])
            if isinstance(event, e.StepInterrupted) and event.reason == "engine_lost":
                end = after.steps[event.key]
                assert end.losses < MAX_INTERRUPTS or end.status.is_final
        assert state == after

    def _check_moves(self, command: c.Command) -> None:
        """No run is dead, and it waits for a person exactly when only a person can move it."""
        state = self.state
        goes_on = isinstance(command, c.TakeOver) or (isinstance(command, c.Advance) and command.may_start)
        if goes_on and state.attempt_started_at is not None:
            assert not state.free, "what drives a run leaves nothing free"
        if state.status.is_final or state.status is RunStatus.PENDING:
            return
        children = any(s.status is StepStatus.RUNNING and s.awaits_others for s in state.steps.values())
        moves = bool(state.executing or state.timed or state.free or children)
        assert moves == (state.status is RunStatus.RUNNING)
        assert moves or state.awaiting
        if state.free or state.timed or state.expiring:
            assert state.due_at() is not None


@dataclass(frozen=True)
class Refused:
    """A refusal as a value: two are equal when they are of one kind and say the same."""

    refusal: Refusal = field(compare=False)
    kind: type[Refusal]
    message: str


def ask(state: RunState, command: c.Command, now: int) -> Transition | Refused:
    """What the state machine answers."""
    try:
        return transition(state, command, now)
    except Refusal as refusal:
        return Refused(refusal, type(refusal), refusal.message)


def check_state(state: RunState) -> None:
    """What holds in every state, whatever led to it."""
    assert restore_state(state) == state, "the sums are those of the steps"
    all_final = all(step.status.is_final for step in state.steps.values())
    assert state.status.is_final == (state.completed_at is not None)
    assert all_final or not state.status.is_final
    assert (state.error is not None) == (state.status is RunStatus.FAILED)
    if state.completed_at is not None and state.started_at is not None:
        assert state.started_at <= state.completed_at
    assert set(state.steps) == set(state.graph.steps)
    for key, found in state.steps.items():
        check_step(key, found)
        if found.fan is not None:
            check_fan(state, found)
        elif state.is_stopping and not found.status.is_final:
            assert found.is_executing, "a run that stops waits for nothing but the actions at work"


def check_fan(state: RunState, parent: StepState) -> None:
    """What holds for a step that runs over elements."""
    assert parent.fan is not None
    elements = [state.steps[key] for key in state.graph.elements[parent.key]]
    assert len(elements) == len(parent.fan.elements)
    limit = state.graph.steps[parent.key].max_parallel
    begun = [
        step for step in elements if not step.status.is_final and (step.status is not StepStatus.PENDING or step.tries)
    ]
    assert len(begun) <= limit, "no more elements are under way than maxParallel allows"
    if parent.status is StepStatus.RUNNING:
        waiting = [step for step in elements if not step.status.is_final]
        assert waiting, "it ends with the last of its elements"
        assert sum(step.unmet == 0 for step in waiting) == min(limit, len(waiting)), "and no fewer"
    elif parent.status.is_final:
        assert all(step.status.is_final for step in elements)
    if parent.status is StepStatus.COMPLETED:
        assert parent.result is not None
        assert parent.result.value["items"] == [step.result.value if step.result else None for step in elements]
    assert (parent.status is StepStatus.FAILED) <= any(step.status is StepStatus.FAILED for step in elements)


def check_step(key: str, found: StepState) -> None:
    """What holds for every step, whatever led to it."""
    assert found.key == key
    assert found.status.is_final == (found.completed_at is not None)
    if found.completed_at is not None and found.started_at is not None:
        assert found.started_at <= found.completed_at
    assert (found.skip_reason is not None) == (found.status is StepStatus.SKIPPED)
    assert (found.skipped_by is not None) == (found.skip_reason is SkipReason.BRANCH_NOT_TAKEN)
    assert (found.status is StepStatus.COMPLETED) <= (found.result is not None and found.error is None)
    has_result = found.result is not None
    assert (found.status is StepStatus.FAILED) <= (found.error is not None and has_result == bool(found.fan))
    assert found.losses <= found.interrupts <= found.tries
    assert (found.tries > 0) == (found.action_run_id is not None)
    assert found.fan is not None or (found.started_at is not None) == (found.tries > 0)


def check_start(state: RunState, key: str) -> None:
    """A step starts when all it needs is final and its `runWhen` holds, in a run that goes on."""
    found = state.steps[key]
    needed = [state.steps[up] for up in state.graph.steps[key].depends_on]
    assert not state.is_stopping
    assert not state.status.is_final
    assert state.status is not RunStatus.PENDING
    assert found.status is StepStatus.PENDING
    assert all(up.status.is_final for up in needed)
    assert run_when_holds(state.graph.steps[key].run_when, needed)


def run_when_holds(run_when: RunWhen, needed: list[StepState]) -> bool:
    """`runWhen` said once more, in other words than the state machine's."""
    if not needed:
        return True
    good = {up.key for up in needed if up.status is StepStatus.COMPLETED}
    harmless = {
        up.key for up in needed if up.status is StepStatus.SKIPPED and up.skip_reason is not SkipReason.UPSTREAM_FAILED
    }
    bad = {up.key for up in needed} - good - harmless
    return {
        RunWhen.ALL_SUCCEEDED: not bad and not harmless,
        RunWhen.NONE_FAILED: not bad,
        RunWhen.ALL_DONE: True,
        RunWhen.ANY_FAILED: bool(bad),
        RunWhen.ANY_SUCCEEDED: bool(good),
    }[run_when]


def without_count(found: StepState) -> StepState:
    """A step but for the count that follows from the others, and the elements it keeps."""
    return msgspec.structs.replace(found, unmet=0, fan=None)
