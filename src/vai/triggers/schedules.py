"""Starts the runs of schedules when they are due. Any number of processes may do so at the same time.

A run is started under an idempotency key made of the trigger and its due time, and only then is the trigger moved to
its next one, if it still stands where it stood. So a due time has one run at most, whoever looks and whoever dies
between the two, and one at least, for the next who looks finds it due still.
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress

from vai.access import Principal
from vai.definition import schedule_of, time_text
from vai.domain.state import Instant
from vai.ports import Clock, Fired, Store, StoreUnavailable, TriggerRecord
from vai.runs import IdempotencyMismatch, KeyBusy, Runs, RunsError, StartRun, reserved_key

_log = logging.getLogger("vai.triggers")

MISSED_MS = 60_000
"""A due time so long ago was missed: whether it still starts a run is for `catchUp` to say."""
_BATCH = 1_000


class Schedules:
    """The schedules of all organizations, in one process. `start` once, then `stop` once."""

    def __init__(self, store: Store, runs: Runs, clock: Clock, poll_seconds: float = 1.0) -> None:
        """poll_seconds: how often to look for what other processes published, paused or resumed."""
        self._store = store
        self._runs = runs
        self._clock = clock
        self._poll_seconds = poll_seconds
        self._chore: asyncio.Task[None] | None = None

    @property
    def is_looking(self) -> bool:
        """True between `start` and `stop`."""
        return self._chore is not None

    def start(self) -> None:
        """Begin to look."""
        self._chore = asyncio.create_task(self._keep_looking())

    async def stop(self) -> None:
        """End. What is due meanwhile is found by another process, or after the next start. May be called again."""
        if self._chore is None:
            return
        self._chore.cancel()
        with suppress(asyncio.CancelledError):
            await self._chore
        self._chore = None

    async def _keep_looking(self) -> None:
        while True:
            wait = self._poll_seconds
            try:
                is_well = await self.look()
                due_at = await self._store.next_trigger_due()
                if due_at is not None and is_well:
                    wait = min(wait, max(0.001, (due_at - self._clock()) / 1000))
            except StoreUnavailable as reason:
                _log.debug("cannot look for schedules: %s", reason)
            except Exception:
                _log.exception("cannot look for schedules")  # a defect of ours; the next look may do
                wait = self._poll_seconds
            await asyncio.sleep(wait)

    async def look(self) -> bool:
        """Start one run for each schedule that is due now; one that is behind by more has its turn again with the next
        look. False when one could not be fired through a defect of ours. Raises StoreUnavailable."""
        is_well = True
        for trigger in await self._store.due_triggers(self._clock(), _BATCH):
            try:
                await self._look_at(trigger)
            except StoreUnavailable:
                raise
            except Exception:
                _log.exception("trigger %s cannot be fired", trigger.id)  # others go on
                is_well = False
        return is_well

    async def _look_at(self, trigger: TriggerRecord) -> None:
        now = self._clock()
        schedule = schedule_of(trigger.config)
        due_at = to_fire(trigger, now)
        fired = None if due_at is None else await self._fire(trigger, due_at)
        next_due_at = schedule.after(now - MISSED_MS if due_at is None else due_at)
        await self._store.advance_trigger(trigger, next_due_at, fired)

    async def _fire(self, trigger: TriggerRecord, due_at: Instant) -> Fired:
        key = reserved_key("schedule", trigger.id, str(due_at))
        request = StartRun(
            trigger.automation_id,
            input=trigger.config["input"],
            idempotency_key=key,
            trigger_type="schedule",
            trigger={"key": trigger.key, "dueAt": time_text(due_at)},
        )
        who = Principal(trigger.tenant_id, "schedule", trigger.id, "admin")
        try:
            return Fired(due_at, (await self._runs.start(who, request)).run.id)
        except IdempotencyMismatch:
            # It was fired, and then another version with another input became active.
            known = await self._store.known_run(trigger.tenant_id, trigger.automation_id, key)
            return Fired(due_at, None if known is None else known.run.id)
        except KeyBusy as reason:
            _log.info("trigger %s started no run: %s", trigger.id, reason)
            return Fired(due_at, None, str(reason))
        except RunsError as reason:
            _log.warning("trigger %s started no run: %s", trigger.id, reason)
            return Fired(due_at, None, str(reason))


def to_fire(trigger: TriggerRecord, now: Instant) -> Instant | None:
    """Which due time of a trigger that is due starts a run now: by `catchUp` the one that stands next (all), the last
    one (latest), or none but one that was not missed (none)."""
    due_at = trigger.next_due_at
    if due_at is None or due_at > now:
        return None
    match trigger.config["catchUp"]:
        case "all":
            return due_at
        case "latest":
            return schedule_of(trigger.config).latest(due_at - 1, now)
        case _:
            return schedule_of(trigger.config).latest(max(due_at - 1, now - MISSED_MS), now)
