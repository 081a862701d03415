"""The real state machine, its states numbered and its answers remembered; every new answer is checked.

Time stands still at `NOW`. When time passes (`later`), what was due in the future is due now.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import msgspec

from tests.domain.world import check_start, check_state
from tests.model.world import Order, Report, Try, Violation
from vai.domain import commands as c
from vai.domain import events as e
from vai.domain.decide import decide, transition
from vai.domain.evolve import evolve
from vai.domain.graph import Graph
from vai.domain.refusals import Refusal
from vai.domain.state import Instant, Result, RunContext, RunState, StepError, StepState, initial_state
from vai.domain.status import RetryMode, RunStatus, StepStatus
from vai.engine.driver import PARK_MS

NOW: Instant = 1_700_000_000_000
WAIT_MS = PARK_MS * 6  # a wait is long: the run is put down meanwhile
BROKEN = StepError("broken", "It broke.", retryable=True)
DECISION = "decision"


class Decision(NamedTuple):
    """What the state machine answers: the state after, whether anything happened, and what starts."""

    run: int
    is_change: bool
    started: tuple[Try, ...]


class Facts(NamedTuple):
    """What store, engines and people look at in a state of the run."""

    attempt: int
    is_final: bool
    is_pending: bool
    is_stopping: bool
    is_due: bool
    may_park: bool  # nothing is due soon
    is_claimable: bool  # if nobody holds it
    has_timers: bool  # in the future
    executing: tuple[Try, ...]
    asked: tuple[tuple[str, str], ...]  # steps that wait for a person, with the id of the decision


class Machine:
    """States of one run by number. `by_try` False makes it forget which try a report is of (a mutation)."""

    def __init__(self, graph: Graph, *, by_try: bool = True) -> None:
        self._graph = graph
        self._by_try = by_try
        self._states: list[RunState] = []
        self._numbers: dict[Any, int] = {}
        self._facts: list[Facts] = []
        self._answers: dict[tuple[int, Order], Decision | None] = {}
        self._later: dict[int, int] = {}
        self.initial = self._number(initial_state("run", graph, RunContext("tenant", "automation", NOW)))

    def facts(self, run: int) -> Facts:
        """What can be seen in the state."""
        return self._facts[run]

    @property
    def size(self) -> int:
        """How many states of the run have been seen."""
        return len(self._states)

    def decide(self, run: int, order: Order) -> Decision | None:
        """What the command makes of the state; None: it is refused. Raises Violation."""
        asked = (run, order)
        if asked not in self._answers:
            self._answers[asked] = self._decide(run, order)
        return self._answers[asked]

    def later(self, run: int) -> int:
        """The state as it looks when time has passed: every timer in it is due."""
        if run not in self._later:
            state = self._states[run]
            steps = {key: _due(step) for key, step in state.steps.items()}
            self._later[run] = self._number(msgspec.structs.replace(state, steps=steps))
        return self._later[run]

    def has_started(self, run: int, tried: Try) -> bool:
        """True when the state knows that this try was started."""
        step = self._states[run].steps[tried.key]
        return (step.attempt, step.tries) >= (tried.attempt, tried.number)

    def _number(self, state: RunState) -> int:
        steps = msgspec.msgpack.encode(list(state.steps.values()))
        rest = (state.attempt_started_at is None, state.cancel_requested_at is None, state.stopping)
        key = (state.status, state.attempt, *rest, steps)
        _check(check_state, state)
        if key not in self._numbers:
            self._numbers[key] = len(self._states)
            self._states.append(state)
            self._facts.append(_facts(state))
        return self._numbers[key]

    def _decide(self, run: int, order: Order) -> Decision | None:
        before, command = self._states[run], self._command(run, order)
        try:
            events, after = transition(before, command, NOW)
        except Refusal:
            return None
        if decide(before, command, NOW) != events or evolve(before, events) != after:
            raise Violation("decide, evolve and transition say the same")
        started, state = [], before
        for event in events:
            if isinstance(event, e.StepStarted):
                _check(check_start, state, event.key)
                _check(self._check_try, state.steps[event.key])
                started.append(Try(event.key, state.attempt, event.try_number))
            state = evolve(state, [event])
        self._check_reports(before, order, events)
        return Decision(self._number(after), bool(events), tuple(started))

    def _check_reports(self, before: RunState, order: Order, events: tuple[e.Event, ...]) -> None:
        """What is at work moves by a report of its very try, unless the run is taken over or handed back."""
        told = {report.of for report in order.reports}
        at_work = {key: Try(key, before.attempt, step.tries) for key, step in before.steps.items() if step.is_executing}
        for event in events if order.kind not in ("take_over", "hand_back") else ():
            if event.step_key in at_work and at_work[event.step_key] not in told:
                raise Violation("a step at work moves by a report of its very try")

    def _check_try(self, step: StepState) -> None:
        """A step starts again for an interrupt on record, or for a failure that its policy tries again."""
        failures = step.tries - step.interrupts
        assert 0 <= failures < self._graph.steps[step.key].retry.max_attempts, "a try more than there was reason for"

    def _command(self, run: int, order: Order) -> c.Command:
        simple: Mapping[str, c.Command] = {
            "start": c.Start(),
            "take_over": c.TakeOver(),
            "hand_back": c.HandBack(),
            "cancel": c.Cancel(),
        }
        if order.kind == "advance":
            return c.Advance(tuple(self._report(run, report) for report in order.reports), order.may_start)
        if order.kind == "retry":
            return c.Retry(RetryMode(order.mode), order.key)
        if order.kind == "decide":
            return c.Decide(order.key or "", order.decision_id, order.approved)
        return simple[order.kind]

    def _report(self, run: int, report: Report) -> c.Report:
        (key, attempt, number), outcome = report
        if not self._by_try:
            step = self._states[run].steps[key]
            attempt, number = step.attempt, step.tries
        reports: Mapping[str, c.Report] = {
            "completed": c.Completed(key, number, attempt=attempt),
            "failed": c.Failed(key, number, BROKEN, attempt=attempt),
            "interrupted": c.Interrupted(key, number, attempt=attempt),
            "stopped": c.Stopped(key, number, attempt=attempt),
            "waits": c.Waits(key, number, NOW + WAIT_MS, Result(), attempt=attempt),
            "asks": c.AwaitsDecision(key, number, DECISION, attempt=attempt),
        }
        return reports[outcome]


def _check(check: Any, *of: Any) -> None:
    try:
        check(*of)
    except AssertionError as failed:
        raise Violation(f"a rule of the state machine: {str(failed) or check.__name__}") from failed


def _facts(state: RunState) -> Facts:
    due_at, pending = state.due_at(), state.status is RunStatus.PENDING
    is_due = due_at is not None and due_at <= NOW
    steps = state.steps.values()
    at_once = pending or state.cancel_requested_at is not None or state.executing > 0
    return Facts(
        attempt=state.attempt,
        is_final=state.status.is_final,
        is_pending=pending,
        is_stopping=state.is_stopping,
        is_due=is_due,
        may_park=due_at is None or due_at - NOW > PARK_MS,
        is_claimable=not state.status.is_final and (at_once or is_due),
        has_timers=any(_due(step) is not step for step in steps),
        executing=tuple(Try(step.key, state.attempt, step.tries) for step in steps if step.is_executing),
        asked=tuple((s.key, s.decision_id or "") for s in steps if s.status is StepStatus.AWAITING_APPROVAL),
    )


def _due(step: StepState) -> StepState:
    """The step with its timer due; itself when it has none in the future."""
    wake, again = step.wake_at, step.next_attempt_at
    if max(wake or NOW, again or NOW) == NOW:
        return step
    return msgspec.structs.replace(step, wake_at=wake and NOW, next_attempt_at=again and NOW)
