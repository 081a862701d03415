"""The executing half of a run on Temporal: one activity is one execution of one step."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection
from typing import Any, TypeVar

import msgspec
from temporalio import activity

from vai.domain import commands as c
from vai.domain.graph import Graph, StepSpec
from vai.domain.state import RunContext, RunState, StepState
from vai.domain.status import StepStatus
from vai.execution import Execution, Journal, StepContext
from vai.ports import ActionRunRecord, Actions, ArtifactRecord, Clock, Store, StoreUnavailable
from vai.runs import Door, artifact_of, preview_of
from vai.temporal.messages import PASSED_ON, STEP, StepOrder, Told, told

_log = logging.getLogger("vai.temporal")

T = TypeVar("T")

JOURNAL_SECONDS = 0.1  # how long lines gather before they are committed
_RETRY_SECONDS = 1.0  # between attempts while the database does not answer
_LAST_SECONDS = 1.0  # between ending an action and going on without it
HEARTBEATS = 10  # in the time after whose silence a worker is taken for dead


class Steps:
    """The `step` activity of one process."""

    def __init__(self, store: Store, door: Door, actions: Actions, clock: Clock, kinds: Collection[str] = ()) -> None:
        """Steps of `kinds`, by default of all that this process knows and has what they need."""
        known = (action.kind for action in actions.all() if action.available)
        self.kinds = tuple(kind for kind in known if not kinds or kind in kinds)
        self._store = store
        self._door = door
        self._actions = actions
        self._clock = clock
        self._at_work: set[_AtWork] = set()

    @property
    def at_work(self) -> int:
        """How many steps are executed now."""
        return len(self._at_work)

    def hand_back(self) -> None:
        """End all that is at work, and report it as interrupted."""
        for at_work in tuple(self._at_work):
            at_work.hand_back("engine_stopped")

    @activity.defn(name=STEP)
    async def step(self, order: StepOrder) -> Told:
        """Execute the step and report what became of it, or pass it on if others do its kind."""
        if order.begin.kind not in self.kinds:
            return PASSED_ON
        beating = asyncio.create_task(_beat(order.heartbeat_seconds / HEARTBEATS))
        try:
            return told(await self._execute(order))
        finally:
            beating.cancel()

    async def _execute(self, order: StepOrder) -> c.Report:
        ref = order.begin.ref
        row = await _answered(lambda: self._store.action_run(order.tenant_id, order.begin.action_run_id))
        if row is None or not _is_expected(row, order):
            # It was started too late: the state machine has gone on without it, and will ignore this too.
            return c.Interrupted(ref.key, ref.try_number, attempt=ref.attempt)
        at_work = _AtWork(self._store, self._clock, order, row.step.state.interrupts)
        self._at_work.add(at_work)
        try:
            report = await at_work.run(self._actions, self._door, row.step.definition)
        finally:
            self._at_work.discard(at_work)
        return await self._put_aside(report, order)

    async def _put_aside(self, report: c.Report, order: StepOrder) -> c.Report:
        """The report with a result that is too large for a row replaced by a preview, and kept as an artifact."""
        if not isinstance(report, c.Completed | c.Waits) or report.result.artifact_id is None:
            return report
        result, content = report.result, artifact_of(report.result)
        artifact = ArtifactRecord(
            id=report.result.artifact_id,
            tenant_id=order.tenant_id,
            run_id=order.run_id,
            action_run_id=order.begin.action_run_id,
            kind="json",
            size_bytes=len(content.encode()),
            created_at=self._clock(),
        )
        await _answered(lambda: self._store.save_artifact(artifact, content))
        return msgspec.structs.replace(report, result=preview_of(result))


class _AtWork:
    """One execution: what it tells goes to the store in batches, what Temporal says of its end goes to it."""

    def __init__(self, store: Store, clock: Clock, order: StepOrder, interrupts: int) -> None:
        self._store = store
        self._order = order
        self._interrupts = interrupts
        self._loop = asyncio.get_running_loop()
        self._journal = Journal(clock, self._note_entry)
        self._timer: asyncio.TimerHandle | None = None
        self._flushing: asyncio.Task[None] | None = None
        self._report: asyncio.Future[c.Report] = self._loop.create_future()
        self._execution: Execution | None = None

    async def run(self, actions: Actions, door: Door, definition: Any) -> c.Report:
        """Execute until it reports; ask it to stop when Temporal does, and end it when nobody waits for it."""
        order, begin = self._order, self._order.begin
        spec = StepSpec(
            begin.ref.key, begin.kind, timeout_seconds=begin.timeout_seconds, grace_seconds=begin.grace_seconds
        )
        state = _alone(order, spec, self._interrupts)
        context = StepContext(state, spec, self._journal, self._loop, door)
        self._execution = Execution(actions.get(begin.kind), spec, definition, context, self._receive)
        report = await self._wait(self._execution)
        self._journal.close_step(begin.ref.key)
        await self._flush()
        return report

    def _receive(self, report: c.Report) -> None:
        if not self._report.done():
            self._report.set_result(report)

    async def _wait(self, execution: Execution) -> c.Report:
        while not self._report.done():
            try:
                await asyncio.shield(self._report)
            except asyncio.CancelledError:
                why = activity.cancellation_details()
                if why is None or why.cancel_requested:
                    execution.stop()
                else:
                    # The worker is being stopped, or was taken for dead, or the workflow is gone.
                    self.hand_back("engine_stopped" if why.worker_shutdown else "engine_lost")
        if execution.abandoned and not execution.task.done():
            await asyncio.wait([execution.task], timeout=_LAST_SECONDS)
        return self._report.result()

    def hand_back(self, reason: str) -> None:
        """End the execution at once and report it as interrupted for this reason."""
        ref = self._order.begin.ref
        if self._execution is not None and not self._report.done():
            self._execution.abandon()
            self._receive(c.Interrupted(ref.key, ref.try_number, attempt=ref.attempt, reason=reason))

    def _note_entry(self) -> None:
        if self._timer is None:
            self._timer = self._loop.call_later(JOURNAL_SECONDS, self._flush_soon)

    def _flush_soon(self) -> None:
        self._timer = None
        before, self._flushing = self._flushing, None
        self._flushing = self._loop.create_task(self._append(before))

    async def _flush(self) -> None:
        """Store what was told and is not stored yet; the report must not overtake it."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        await self._append(self._flushing)

    async def _append(self, before: asyncio.Task[None] | None) -> None:
        if before is not None:
            await before  # lines keep their order
        lines = self._journal.take()
        if not lines:
            return
        order = self._order
        try:
            await self._store.append(order.run_id, None, order.begin.ref.attempt, lines)
        except StoreUnavailable as reason:
            _log.warning("run %s lost %d log lines: %s", order.run_id, len(lines), reason)


async def _beat(every_seconds: float) -> None:
    """Show that this worker lives; the answer brings a wish to stop."""
    while True:
        await asyncio.sleep(every_seconds)  # first: most steps are done sooner, and a heartbeat is a call
        activity.heartbeat()


async def _answered(ask: Callable[[], Awaitable[T]]) -> T:
    """What the database answers, waiting for it as long as it takes."""
    while True:
        try:
            return await ask()
        except StoreUnavailable as reason:
            _log.warning("a step waits for the database: %s", reason)
            await asyncio.sleep(_RETRY_SECONDS)


def _is_expected(row: ActionRunRecord, order: StepOrder) -> bool:
    ref, state = order.begin.ref, row.step.state
    return state.status is StepStatus.RUNNING and (state.attempt, state.tries) == (ref.attempt, ref.try_number)


def _alone(order: StepOrder, spec: StepSpec, interrupts: int) -> RunState:
    """As much of the run as a step's context is made of."""
    ref = order.begin.ref
    context = RunContext(order.tenant_id, order.automation_id, 0, traceparent=order.begin.traceparent)
    step = StepState(
        spec.key,
        attempt=ref.attempt,
        action_run_id=order.begin.action_run_id,
        tries=ref.try_number,
        interrupts=interrupts,
    )
    return RunState(order.run_id, Graph.of([spec]), context, {spec.key: step}, attempt=ref.attempt)
