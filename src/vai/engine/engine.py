"""The engine of one process: which runs it holds, when it takes more, and how it begins and ends."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace

from uuid_utils import uuid7

from vai.domain.state import Instant
from vai.domain.status import RunStatus
from vai.engine.driver import Driver, Tools
from vai.ports import ORCHESTRATORS, Actions, Clock, Store, StoredEvent, StoreUnavailable
from vai.ports.current import current_run
from vai.runs import Door, NotFound, Retention, Upkeep

_log = logging.getLogger("vai.engine")

# What somebody other than the driving engine may do to a run that it drives.
_FROM_OUTSIDE = frozenset(
    {
        *("run.cancel_requested", "run.cancelled", "run.retried"),
        *("step.decided", "step.child_ended", "step.event_received"),
    }
)
_CALLS_FOR_ENGINE = _FROM_OUTSIDE | {"run.created"}


_RETRY_SECONDS = 5.0


@dataclass(frozen=True)
class EngineSettings:
    """How an engine holds its runs. Times in seconds."""

    lease_seconds: float = 15.0
    renew_seconds: float = 5.0
    poll_seconds: float = 1.0  # how often to look for work that nobody announced
    drain_seconds: float = 120.0  # what running steps are given at SIGTERM
    max_runs: int = 2_000  # held at once
    orchestrators: Sequence[str] = ORCHESTRATORS  # whose runs it drives
    tidy_seconds: float = 60.0  # how often to remove runs that have been over for long
    retention_days: float = 0.0  # how long that is; 0: for ever
    labels: Sequence[str] = ()  # the `runsOn` labels whose steps it executes


class Engine:
    """Claims runs and drives them. `start` once, then `stop` once."""

    def __init__(
        self, store: Store, door: Door, actions: Actions, clock: Clock, settings: EngineSettings | None = None
    ) -> None:
        self.id = str(uuid7())
        self._store = store
        self._settings = settings or EngineSettings()
        self._tools = Tools(self.id, store, door, actions, clock, frozenset(self._settings.labels))
        self._upkeep = Upkeep(store, door)
        self._retention = Retention(store, clock, door.attachments)
        self._drivers: dict[str, Driver] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._chores: list[asyncio.Task[None]] = []
        self._again: set[str] = set()
        self._put_off: set[str] = set()
        self._look = asyncio.Event()
        self._hint = asyncio.Event()
        self._serves_all = set(self._settings.orchestrators) == set(ORCHESTRATORS)
        self._claiming = False
        self.renewed_at: Instant | None = None  # when the lease was last begun or renewed
        self.leases_lost = 0  # times that this engine was taken for dead
        self.runs_lost = 0  # runs that it drove and another took over

    @property
    def is_draining(self) -> bool:
        """True while it takes nothing more and waits for what is at work."""
        return bool(self._chores) and not self._claiming

    @property
    def runs_held(self) -> int:
        """How many runs it drives now."""
        return len(self._drivers)

    @property
    def steps_at_work(self) -> int:
        """How many steps it executes now."""
        return sum(driver.executing for driver in self._drivers.values())

    async def start(self) -> None:
        """Announce the engine and begin to take runs: first those of engines that died."""
        await self._store.register_engine(self.id, self._settings.lease_seconds)
        self.renewed_at = self._tools.clock()
        self._store.on_commit.append(self._on_commit)
        self._claiming = True
        self._chores = [asyncio.create_task(self._renew()), asyncio.create_task(self._claim())]
        self._chores.append(asyncio.create_task(self._tidy()))
        if not self._serves_all:
            self._chores.append(asyncio.create_task(self._heed_hints()))
        self._look.set()

    async def stop(self, drain_seconds: float | None = None) -> None:
        """Take nothing more, give running steps their time, hand the rest back. Stopping again does nothing."""
        if not self._chores:
            return
        self._claiming = False
        self._look.set()
        for driver in self._drivers.values():
            driver.drain()
        await self._wait_for_drivers(self._settings.drain_seconds if drain_seconds is None else drain_seconds)
        for driver in list(self._drivers.values()):
            driver.hand_back()
        await self._wait_for_drivers(self._settings.lease_seconds)
        for task in (*self._chores, *self._tasks.values()):
            task.cancel()
        await asyncio.gather(*self._chores, *self._tasks.values(), return_exceptions=True)
        self._chores.clear()
        self._store.on_commit.remove(self._on_commit)
        await self._retire()

    def look(self) -> None:
        """Look at once for what is to be done, instead of at the next turn. Call on the event loop."""
        self._look.set()

    def hurry(self) -> None:
        """Hand everything back now, without waiting for running steps: the second SIGTERM."""
        for driver in list(self._drivers.values()):
            driver.hand_back()

    async def _wait_for_drivers(self, seconds: float) -> None:
        if self._tasks:
            await asyncio.wait(list(self._tasks.values()), timeout=seconds)

    async def _retire(self) -> None:
        try:
            await self._store.retire_engine(self.id)
        except StoreUnavailable as reason:
            _log.warning("the engine's lease is left to expire: %s", reason)

    # --- taking runs ---------------------------------------------------------------------------------------

    def place(self, orchestrator: str) -> str | None:
        """The lease owner of a run that is accepted in this process, or None when it takes no more."""
        has_room = self._claiming and len(self._drivers) < self._settings.max_runs
        return self.id if has_room and orchestrator in self._settings.orchestrators else None

    def _on_commit(self, run_id: str, status: RunStatus | None, events: Sequence[StoredEvent]) -> None:
        driver = self._drivers.get(run_id)
        # Our own commits come by here too: only what others do makes the driver's copy stale.
        if driver is not None and (not events or any(event.type in _FROM_OUTSIDE for event in events)):
            driver.others_committed()
        if not self._claiming:
            return
        if self._tools.door.is_handing_over(run_id):
            self._take(run_id)
        elif (not events and driver is None) or any(event.type in _CALLS_FOR_ENGINE for event in events):
            (self._look if self._serves_all else self._hint).set()

    async def _heed_hints(self) -> None:
        """Where some runs are left to others: look only when a commit left something to do for this engine."""
        while await self._hint.wait():
            self._hint.clear()
            try:
                due = await self._store.next_due(self._settings.orchestrators)
            except StoreUnavailable as reason:
                _log.debug("cannot see whether a run is due: %s", reason)
                continue
            if due is not None and due <= self._tools.clock():
                self._look.set()

    async def _claim(self) -> None:
        """Claim what nobody drives, whenever something calls for it, and every now and then."""
        while await self._called_for():
            try:
                await self._look_after_held()
                await self._upkeep.look()
                await self._claim_some()
            except StoreUnavailable as reason:
                _log.debug("cannot look for runs: %s", reason)
            except Exception:
                _log.exception("cannot look for runs")  # a defect of ours; without this chore nothing would run

    async def _called_for(self) -> bool:
        """Wait for a call, or a while. False once the engine is stopped: what it hands back is for others."""
        try:
            async with asyncio.timeout(self._settings.poll_seconds):
                await self._look.wait()
        except TimeoutError:
            pass
        self._look.clear()
        return self._claiming

    async def _look_after_held(self) -> None:
        """Hear of what others did to our runs although no notification came, and drive what nobody drives."""
        for run_id, version in (await self._store.held(self.id)).items():
            driver = self._drivers.get(run_id)
            if driver is not None:
                driver.version_seen(version)
            elif run_id not in self._tasks and run_id not in self._put_off:
                self._take(run_id)

    async def _claim_some(self) -> None:
        room = self._settings.max_runs - len(self._drivers)
        if room <= 0:
            return
        batch = min(room, 100)
        claimed = await self._store.claim(self.id, batch, self._settings.orchestrators)
        for run_id in claimed:
            self._take(run_id)
        if len(claimed) == batch:
            self._look.set()

    def _take(self, run_id: str) -> None:
        if run_id in self._tasks:
            # Claimed again while the driver that had it is just ending: taken up when that has ended.
            self._again.add(run_id)
            return
        task = asyncio.create_task(self._drive(run_id))
        self._tasks[run_id] = task
        task.add_done_callback(lambda _: self._ended(run_id))

    def _ended(self, run_id: str) -> None:
        del self._tasks[run_id]
        if run_id in self._again:
            self._again.discard(run_id)
            self._take(run_id)

    async def _drive(self, run_id: str) -> None:
        current_run.set(run_id)
        try:
            loaded = await self._tools.door.load(run_id)
            if loaded.lease_owner != self.id:
                self._look.set()
                return
            driver = self._drivers[run_id] = Driver(self._tools, loaded)
            if not self._claiming:
                driver.drain()
            await driver.drive()
            self.runs_lost += driver.is_lost
            if driver.ended_a_child:
                self._look.set()  # its parent is to be told
        except NotFound:
            return
        except StoreUnavailable as reason:
            _log.debug("run %s is taken up when the database answers: %s", run_id, reason)  # by `_look_after_held`
        except Exception:
            # A defect of ours must not lose the run, nor spin: it stays ours and is tried again.
            _log.exception("run %s cannot be driven; it is tried again in %g s", run_id, _RETRY_SECONDS)
            self._take_later(run_id)
        finally:
            self._drivers.pop(run_id, None)

    def _take_later(self, run_id: str) -> None:
        self._put_off.add(run_id)
        asyncio.get_running_loop().call_later(_RETRY_SECONDS, self._take_again, run_id)

    def _take_again(self, run_id: str) -> None:
        self._put_off.discard(run_id)
        if self._claiming:
            self._take(run_id)

    # --- keeping them --------------------------------------------------------------------------------------

    async def _renew(self) -> None:
        """Keep the lease; when it was lost, everything held is somebody else's."""
        while True:
            await asyncio.sleep(self._settings.renew_seconds)
            try:
                kept = await self._store.renew(self.id, self._settings.lease_seconds)
                self.renewed_at = self._tools.clock()
                if not kept:
                    _log.warning("this engine was taken for dead; it lets go of its runs and begins anew")
                    await self._begin_anew()
            except StoreUnavailable as reason:
                _log.debug("the lease could not be renewed: %s", reason)
            except Exception:
                _log.exception("the lease could not be renewed")  # a defect of ours; the next attempt may do

    async def _tidy(self) -> None:
        """Remove what has been over for long, apart from all that runs wait for."""
        while True:
            try:
                await self._retention.look(self._settings.retention_days)
            except StoreUnavailable as reason:
                _log.debug("old runs cannot be removed: %s", reason)
            except Exception:
                _log.exception("old runs cannot be removed")  # a defect of ours; the engine goes on
            await asyncio.sleep(self._settings.tidy_seconds)

    async def _begin_anew(self) -> None:
        self.leases_lost += 1
        for task in self._tasks.values():
            task.cancel()
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)
        # A new id: what the old one held and nobody has taken yet is found by the next claim. Should it not be
        # registered now, the next renewal finds it unknown and comes here again.
        self.id = str(uuid7())
        self._tools = replace(self._tools, owner=self.id)
        await self._store.register_engine(self.id, self._settings.lease_seconds)
        self._look.set()
