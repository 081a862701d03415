"""Sees to it that every unfinished run of Temporal has its workflow, and that the workflow hears of others' changes.

What this process commits is handed on at once; a sweep finds what nobody handed on.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from contextlib import suppress
from datetime import timedelta

from temporalio.client import Client
from temporalio.common import WorkflowIDConflictPolicy
from temporalio.exceptions import WorkflowAlreadyStartedError
from temporalio.service import RPCError

from vai.domain.status import RunStatus
from vai.ports import Clock, Store, StoredEvent, StoreUnavailable, UnheldRun
from vai.runs import Door, Upkeep
from vai.temporal.connecting import TemporalSettings, connect
from vai.temporal.messages import WAKE, WORKFLOW, Order, workflow_id

_log = logging.getLogger("vai.temporal")

ORCHESTRATOR = "dag"
_STARTS = frozenset({"run.created"})
_WAKES = frozenset({"run.retried", "run.cancel_requested", "step.decided", "step.child_ended", "step.event_received"})
_CONCERNS_OTHERS = frozenset({"run.completed", "run.failed", "run.cancelled", "run.cancel_requested"})
_AT_ONCE = 32  # calls under way
_BATCH = 100  # runs looked at in one sweep
_RETRY_SECONDS = 1.0
_CHECK_SECONDS = 2.0
_MOST_REMEMBERED = 10_000


class Dispatcher:
    """One in each process that accepts or drives runs. `start` once, then `stop` once."""

    def __init__(self, store: Store, door: Door, clock: Clock, settings: TemporalSettings) -> None:
        self._store = store
        self._upkeep = Upkeep(store, door)
        self._clock = clock
        self._settings = settings
        self._client: Client | None = None
        self._waiting: dict[str, bool] = {}  # run → whether its workflow is to be woken
        self._something = asyncio.Event()
        self._to_look = asyncio.Event()
        self._slots = asyncio.Semaphore(_AT_ONCE)
        self._calls: set[asyncio.Task[None]] = set()
        self._chores: list[asyncio.Task[None]] = []
        self._woken_at: dict[str, int] = {}  # run → its version when the sweep woke it
        self._is_reachable = True

    def name_job(self, orchestrator: str, run_id: str) -> str | None:
        """The `externalJobId` of a new run."""
        return workflow_id(run_id) if orchestrator == ORCHESTRATOR else None

    @property
    def address(self) -> str:
        """Where the server is."""
        return self._settings.address

    async def check(self) -> bool:
        """Whether the server answers just now."""
        assert self._client is not None  # noqa: S101 - set by `start`
        try:
            return await self._client.service_client.check_health(timeout=timedelta(seconds=_CHECK_SECONDS))
        except (RPCError, RuntimeError):
            return False

    def look(self) -> None:
        """Look at once for what one run's change asks of others. Call on the event loop."""
        self._to_look.set()

    async def start(self) -> None:
        """Begin to hand on. The server need not be there. Raises OSError for certificates that cannot be read."""
        self._client = await connect(self._settings, lazy=True)
        self._store.on_commit.append(self._on_commit)
        chores = (self._hand_on(), self._sweep(), self._keep_up())
        self._chores = [asyncio.create_task(chore) for chore in chores]

    async def stop(self) -> None:
        """End. What was not handed on yet is found by another process, or after the next start."""
        if not self._chores:
            return
        self._store.on_commit.remove(self._on_commit)
        tasks = [*self._chores, *self._calls]
        self._chores = []
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _on_commit(self, run_id: str, status: RunStatus | None, events: Sequence[StoredEvent]) -> None:
        if status is RunStatus.PENDING and not events:
            self._put(run_id, wake=True)  # its turn by its concurrency key; it may be one that was retried
        for event in events:
            if event.type in _CONCERNS_OTHERS:
                self._to_look.set()
            if event.type in _WAKES:
                self._put(run_id, wake=True)
            elif event.type in _STARTS:
                self._put(run_id, wake=False)

    def _put(self, run_id: str, *, wake: bool) -> None:
        self._waiting[run_id] = self._waiting.get(run_id, False) or wake
        self._something.set()

    async def _hand_on(self) -> None:
        while True:
            await self._something.wait()
            self._something.clear()
            while self._waiting:
                await self._slots.acquire()
                run_id = next(iter(self._waiting))
                call = asyncio.create_task(self._hand_on_one(run_id, self._waiting.pop(run_id)))
                self._calls.add(call)
                call.add_done_callback(self._called)

    def _called(self, call: asyncio.Task[None]) -> None:
        self._calls.discard(call)
        self._slots.release()

    async def _hand_on_one(self, run_id: str, wake: bool) -> None:
        """Start or wake the run's workflow; when that fails the sweep tries again."""
        try:
            run = await self._store.unheld_run(ORCHESTRATOR, run_id)
            if run is not None:
                await self._call(run, wake=wake)
        except StoreUnavailable as reason:
            _log.warning("run %s is handed to Temporal later: %s", run_id, reason)

    async def _call(self, run: UnheldRun, *, wake: bool) -> bool:
        """True when the server knows it. A workflow that runs already is left alone, or woken."""
        assert self._client is not None  # noqa: S101 - set by `start`
        order = Order(
            run.run_id,
            run.tenant_id,
            run.automation_id,
            self._settings.heartbeat_seconds,
            self._settings.drain_events,
            goes_on=run.is_pending,
        )
        # A retry can come while the workflow is ending: the signal, in one call with the start, keeps it from that.
        policy = WorkflowIDConflictPolicy.USE_EXISTING if wake else WorkflowIDConflictPolicy.FAIL
        try:
            await self._client.start_workflow(
                WORKFLOW,
                order,
                id=workflow_id(run.run_id),
                task_queue=self._settings.task_queue,
                id_conflict_policy=policy,
                start_signal=WAKE if wake else None,
            )
        except WorkflowAlreadyStartedError:
            pass
        except RPCError as error:
            self._told_unreachable(error)
            return False
        if not self._is_reachable:
            _log.warning("Temporal at %s answers again.", self._settings.address)
        self._is_reachable = True
        return True

    def _told_unreachable(self, error: Exception) -> None:
        if self._is_reachable:
            _log.warning("Temporal at %s does not answer, runs wait for it: %s", self._settings.address, error)
        self._is_reachable = False

    # --- what a run's end asks of others ------------------------------------------------------------------

    async def _keep_up(self) -> None:
        """Look when a run has ended, and every now and then."""
        while True:
            try:
                await self._upkeep.look()
            except StoreUnavailable as reason:
                _log.debug("cannot look after runs that concern others: %s", reason)
            except Exception:
                _log.exception("cannot look after runs that concern others")  # a defect of ours
            with suppress(TimeoutError):
                async with asyncio.timeout(self._settings.sweep_seconds):
                    await self._to_look.wait()
            self._to_look.clear()

    # --- what nobody handed on -----------------------------------------------------------------------------

    async def _sweep(self) -> None:
        """Look at all unfinished runs in turn, a batch at a time; those that just changed are in good hands."""
        after = ""
        while True:
            try:
                after = await self._sweep_some(after)
            except StoreUnavailable as reason:
                _log.warning("cannot look for runs of Temporal: %s", reason)
            await asyncio.sleep(_RETRY_SECONDS if not self._is_reachable else self._settings.sweep_seconds)

    async def _sweep_some(self, after: str) -> str:
        before = self._clock() - int(self._settings.sweep_seconds * 1000)
        found = await self._store.unheld(ORCHESTRATOR, before, after, _BATCH)
        for run in found:
            # Each state of a run is worth one signal: an accepted one is not lost, and too many fill its history.
            wake = run.is_due and self._woken_at.get(run.run_id) != run.version
            if not await self._call(run, wake=wake):
                return after
            if wake:
                self._remember(run)
        return found[-1].run_id if len(found) == _BATCH else ""

    def _remember(self, run: UnheldRun) -> None:
        self._woken_at.pop(run.run_id, None)
        self._woken_at[run.run_id] = run.version
        if len(self._woken_at) > _MOST_REMEMBERED:
            del self._woken_at[next(iter(self._woken_at))]
