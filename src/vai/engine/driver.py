"""Drives one run: takes in what its steps report, lets the state machine decide, commits, and executes what starts.

Reports that come while a commit is under way gather, and are decided together when it has landed.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from vai.domain import commands as c
from vai.domain import events as e
from vai.domain.decide import Transition, transition
from vai.domain.graph import ExpressionFailed, StepSpec
from vai.domain.state import RunState, StepError
from vai.domain.status import RunStatus
from vai.execution import Execution, Journal, StepContext
from vai.ports import Actions, Clock, Conflict, Outcome, RunChange, RunStore, StoreUnavailable
from vai.runs import Door, Hold, Loaded, NotFound, change_of, resolved

_log = logging.getLogger("vai.engine")

JOURNAL_SECONDS = 0.1  # how long lines gather before they are committed by themselves
PARK_MS = 10_000  # a run that waits longer than this, with nothing at work, is put down and picked up when due
_RETRY_SECONDS = 1.0  # between attempts while the database cannot be written
_LAST_SECONDS = 6.0  # for what is at work to end when the run is handed back; a killed child is reaped in less


class LeaseLost(Exception):
    """Another engine drives the run now, or it is gone."""


@dataclass(frozen=True, slots=True)
class Tools:
    """What an engine gives its drivers. `owner` is the lease owner in whose name they write."""

    owner: str
    store: RunStore
    door: Door
    actions: Actions
    clock: Clock
    labels: frozenset[str] = frozenset()  # the `runsOn` labels whose steps are executed here


class Driver:
    """One run in the hands of this engine, from the claim to its end, its parking, or the loss of the lease."""

    def __init__(self, tools: Tools, loaded: Loaded) -> None:
        self._tools = tools
        self._owner = tools.owner
        self._state = loaded.state
        self._version = loaded.version
        self._inbox: list[c.Report] = []
        self._executions: dict[str, Execution] = {}
        self._wake = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self._journal = Journal(tools.clock, self._note_entry)
        self._journal_timer: asyncio.TimerHandle | None = None
        self._due_timer: asyncio.TimerHandle | None = None
        self._stale = False
        self._draining = False
        self._handing_back = False
        self.is_lost = False  # another engine took the run while this one drove it

    @property
    def executing(self) -> int:
        """How many steps are at work here."""
        return len(self._executions)

    @property
    def ended_a_child(self) -> bool:
        """True when the run is final, and a step of another run waits for it."""
        return self._state.context.is_child and self._state.status.is_final

    # --- what others tell it -------------------------------------------------------------------------------

    def others_committed(self) -> None:
        """Somebody else changed the run: load it afresh before the next decision."""
        self._stale = True
        self._wake.set()

    def version_seen(self, version: int) -> None:
        """The store has this version of the run: load it afresh if it is newer than ours.

        A commit of ours may have landed without being told yet; loading for nothing does no harm.
        """
        if version > self._version:
            self.others_committed()

    def drain(self) -> None:
        """Start nothing more; end when nothing is at work."""
        self._draining = True
        self._wake.set()

    def hand_back(self) -> None:
        """End now: what is at work is interrupted, and the run is free for another engine."""
        self._handing_back = True
        self._wake.set()

    def abandon(self) -> None:
        """End at once and write nothing: the lease is gone."""
        for execution in self._executions.values():
            execution.abandon()

    # --- the loop ------------------------------------------------------------------------------------------

    async def drive(self) -> None:
        """Drive the run until it ends, parks, is handed back, or the lease is lost."""
        command: c.Command = c.Start() if self._state.status is RunStatus.PENDING else c.TakeOver()
        if self._draining:  # claimed while the engine was being stopped
            command = c.HandBack()
        try:
            while True:
                over = await self._step(command)
                if over:
                    return
                await self._something_to_do()
                command = await self._next_command()
        except LeaseLost:
            self.is_lost = True
            _log.info("run %s is not driven here any more", self._state.id)
        finally:
            self._clear_timers()
            self.abandon()

    async def _step(self, command: c.Command) -> bool:
        """Decide and commit one command; True when this driver has nothing left to do."""
        if self._stale:
            await self._reload()
            self._account_for_what_runs(command)
        decided = transition(self._state, command, self._tools.clock())
        lines = self._journal.take()
        release = isinstance(command, c.HandBack) or self._may_rest(decided.state)
        if release or decided.events:
            if await self._commit(command, decided, lines, release=release):
                return True
        elif lines:
            await self._append(lines)
        self._follow_state()
        return False

    def _may_rest(self, state: RunState) -> bool:
        """True when the run is final, or waits so long that it need not be held."""
        if state.status.is_final:
            return True
        if self._executions or state.executing:
            return False
        if self._draining:
            return True
        due = state.due_at()
        return due is None or due - self._tools.clock() > PARK_MS

    async def _next_command(self) -> c.Command:
        reports, self._inbox = tuple(self._inbox), []
        if not self._handing_back or reports:
            return c.Advance(reports, may_start=not (self._draining or self._handing_back))
        # What is at work must have ended before the run is free, or two engines would run one step.
        await self._end_executions()
        return c.HandBack()

    async def _end_executions(self) -> None:
        tasks = [execution.task for execution in self._executions.values()]
        self.abandon()
        self._executions.clear()
        if tasks:
            # Not `gather`, and not for ever: an action may swallow even its cancellation.
            await asyncio.wait(tasks, timeout=_LAST_SECONDS)

    async def _something_to_do(self) -> None:
        if not self._inbox and not self._stale and not self._handing_back:
            await self._wake.wait()
        self._wake.clear()

    # --- commits -------------------------------------------------------------------------------------------

    async def _commit(self, command: c.Command, decided: Transition, lines: list[e.Event], *, release: bool) -> bool:
        """Make the transition durable and then act on it. When somebody was faster, decide again on what is now:
        whether the run is let go, which is the answer, is then decided again too."""
        while True:
            change = change_of(decided, lines, Hold(self._owner, self._version, release), self._tools.clock())
            outcome, was_cut_off = await self._written(change)
            if not isinstance(outcome, Conflict):
                break
            if was_cut_off:
                lines = []  # it may have landed unheard, with them: lines are told once or not at all
            await self._reload()
            self._account_for_what_runs(command, decided)
            decided = transition(self._state, command, self._tools.clock())
            release = isinstance(command, c.HandBack) or self._may_rest(decided.state)
            if not (decided.events or lines or release):
                return False
        self._state, self._version = decided.state, outcome.version
        self._act(decided.events)
        return release

    async def _written(self, change: RunChange) -> tuple[Outcome, bool]:
        """Commit, and wait for the database as long as it takes: what was reported must not be lost. With the outcome,
        whether an earlier try may have landed without an answer."""
        was_cut_off = False
        while True:
            try:
                return await self._tools.store.commit(change), was_cut_off
            except StoreUnavailable as reason:
                was_cut_off = True
                _log.debug("run %s waits for the database: %s", self._state.id, reason)
                await asyncio.sleep(_RETRY_SECONDS)

    async def _append(self, lines: list[e.Event]) -> None:
        try:
            kept = await self._tools.store.append(self._state.id, self._owner, self._state.attempt, lines)
        except StoreUnavailable as reason:
            _log.warning("run %s lost %d log lines: %s", self._state.id, len(lines), reason)
            return
        if not kept:
            # Either the lease is gone or the run moved on: loading tells which.
            self._stale = True
            self._wake.set()

    async def _reload(self) -> None:
        self._stale = False
        try:
            loaded = await self._load()
        except NotFound as gone:
            raise LeaseLost from gone
        if loaded.lease_owner != self._owner:
            raise LeaseLost
        self._state, self._version = loaded.state, loaded.version
        self._follow_state()

    def _account_for_what_runs(self, command: c.Command, refused: Transition | None = None) -> None:
        """After loading afresh: take up steps that are started but not at work here.

        Those that the refused change starts have been started by it: it had landed although the database, being cut
        off in the middle of it, could not say so. They are executed. Others were started by another engine: the run
        was let go (by a change of ours that landed unheard, or by its end and a retry), claimed there, lost, and
        claimed here again before this driver looked. They are interrupted.
        """
        if isinstance(command, c.TakeOver | c.HandBack):
            return  # these interrupt all that is at work, and nothing is at work here
        reported = (*getattr(command, "reports", ()), *self._inbox)
        known = {(report.key, report.attempt, report.try_number) for report in reported}
        ours = _started_by(refused) if refused else set()
        for step in self._state.steps.values():
            tried = (step.key, self._state.attempt, step.tries)
            if not step.is_executing or step.key in self._executions or tried in known:
                continue
            if tried in ours:
                self._execute(step.key, resolved(self._state, step.key))
            else:
                self._receive(c.Interrupted(step.key, step.tries, attempt=self._state.attempt))

    async def _load(self) -> Loaded:
        while True:
            try:
                return await self._tools.door.load(self._state.id)
            except StoreUnavailable as reason:
                _log.debug("run %s waits for the database: %s", self._state.id, reason)
                await asyncio.sleep(_RETRY_SECONDS)

    # --- acting on what is durable -------------------------------------------------------------------------

    def _act(self, events: Sequence[e.Event]) -> None:
        for event in events:
            if isinstance(event, e.StepStarted):
                self._execute(event.key, resolved(self._state, event.key))

    def _execute(self, key: str, definition: Any) -> None:
        spec = self._state.graph.steps[key]
        context = StepContext(self._state, spec, self._journal, self._loop, self._tools.door)
        error = self._why_not(spec, definition)
        if error is not None:
            self._receive(c.Failed(key, context.try_number, error, attempt=context.attempt))
            return
        action = self._tools.actions.get(spec.kind)
        self._executions[key] = Execution(action, spec, definition, context, self._receive)

    def _why_not(self, spec: StepSpec, definition: Any) -> StepError | None:
        """Why the step cannot be executed here, if it cannot."""
        if isinstance(definition, ExpressionFailed):
            return StepError("expression_failed", str(definition), False, definition.details)
        if spec.runs_on is None or spec.runs_on in self._tools.labels:
            return None
        message = (
            f"The step runs on {spec.runs_on!r}, and the engine that drives its run does not have that label. "
            f"Start every engine with VAI_WORKER_LABELS={spec.runs_on}, or let Temporal carry dag runs."
        )
        return StepError("no_worker", message)

    def _receive(self, report: c.Report) -> None:
        self._executions.pop(report.key, None)
        self._journal.close_step(report.key)
        self._inbox.append(report)
        self._wake.set()

    def _follow_state(self) -> None:
        """Ask what is at work to stop if the run stops, and be awake when the run is due."""
        if self._state.is_stopping:
            for execution in self._executions.values():
                execution.stop()
        if self._due_timer is not None:
            self._due_timer.cancel()
            self._due_timer = None
        due = self._state.due_at() if not self._draining else None
        if due is not None:
            seconds = max(0, due - self._tools.clock()) / 1000
            self._due_timer = self._loop.call_later(seconds, self._wake.set)

    def _note_entry(self) -> None:
        if self._journal_timer is None:
            self._journal_timer = self._loop.call_later(JOURNAL_SECONDS, self._flush)

    def _flush(self) -> None:
        self._journal_timer = None
        self._wake.set()

    def _clear_timers(self) -> None:
        for timer in (self._journal_timer, self._due_timer):
            if timer is not None:
                timer.cancel()


def _started_by(change: Transition) -> set[tuple[str, int, int]]:
    """The executions that a transition starts: key, attempt, try."""
    starts = (event for event in change.events if isinstance(event, e.StepStarted))
    return {(event.key, change.state.attempt, event.try_number) for event in starts}
