"""The door of triggers: what starts runs besides people. They are defined with their automation's active version."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import islice
from typing import Any

import msgspec
from uuid_utils import uuid7

from vai.access import Principal
from vai.definition import TRIGGERS, Definition, InvalidDefinition, Schedule, Trigger, schedule_of
from vai.domain.state import Instant
from vai.ports import Clock, Fault, Store, TriggerRecord, VersionRecord
from vai.runs.errors import NotFound

_TIMING = ("schedule", "timezone")


class Triggers:
    """The triggers of all organizations; every question names the one that asks."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    async def list(self, who: Principal, automation_id: str) -> Sequence[TriggerRecord]:
        """Those of an automation's active version, by key. Raises NotFound."""
        if await self._store.automation(who.tenant_id, automation_id) is None:
            raise NotFound(f"There is no automation {automation_id}.")
        return await self._store.triggers(who.tenant_id, automation_id)

    async def get(self, who: Principal, trigger_id: str) -> TriggerRecord:
        """One trigger. Raises NotFound."""
        found = await self._store.trigger(who.tenant_id, trigger_id)
        if found is None:
            raise NotFound(f"There is no trigger {trigger_id}.")
        return found

    async def pause(self, who: Principal, trigger_id: str) -> TriggerRecord:
        """Let it start nothing until it is resumed, in later versions too. Raises NotFound."""
        trigger = await self.get(who, trigger_id)
        if not trigger.is_paused:
            await self._store.set_paused(trigger, True, trigger.next_due_at)
        return await self.get(who, trigger_id)

    async def resume(self, who: Principal, trigger_id: str) -> TriggerRecord:
        """Let it go on. What fell into the pause is made up for only as its `catchUp` says. Raises NotFound."""
        trigger = await self.get(who, trigger_id)
        if trigger.is_paused:
            next_due_at = trigger.next_due_at
            if trigger.type == "schedule" and trigger.config["catchUp"] == "none":
                next_due_at = schedule_of(trigger.config).after(self._clock())
            await self._store.set_paused(trigger, False, next_due_at)
        return await self.get(who, trigger_id)

    async def next(self, who: Principal, trigger_id: str, count: int) -> Sequence[Instant]:
        """Its next due times from now on, if it is a schedule; a pause is not considered. Raises NotFound."""
        trigger = await self.get(who, trigger_id)
        return due_times(schedule_of(trigger.config), self._clock(), count) if trigger.type == "schedule" else []

    def preview(self, line: str, zone: str, count: int) -> Sequence[Instant]:
        """The next due times of a cron line. Raises BadLine, BadZone."""
        return due_times(Schedule(line, zone), self._clock(), count)


def due_times(schedule: Schedule, after: Instant, count: int) -> Sequence[Instant]:
    """The first `count` due times later than `after`."""
    return list(islice(schedule.due_times(after), count))


def renewed(
    definition: Definition, version: VersionRecord, before: Sequence[TriggerRecord], now: Instant
) -> Sequence[TriggerRecord]:
    """The rows of a version's triggers when it becomes the active one; `before` are those that there were."""
    known = {record.key: record for record in before}
    return [_renewed(trigger, version, known.get(trigger.key), now) for trigger in definition.triggers]


def _renewed(trigger: Trigger, version: VersionRecord, before: TriggerRecord | None, now: Instant) -> TriggerRecord:
    record = TriggerRecord(
        id=str(uuid7()),
        tenant_id=version.tenant_id,
        automation_id=version.automation_id,
        version_id=version.id,
        key=trigger.key,
        type=trigger.type,
        config=trigger.settings,
        address=trigger.address,
        is_paused=False,
        next_due_at=schedule_of(trigger.settings).after(now) if trigger.type == "schedule" else None,
        last_due_at=None,
        last_run_id=None,
        last_error=None,
        created_at=now,
        updated_at=now,
    )
    if before is None:
        return record
    record = msgspec.structs.replace(record, id=before.id)
    if before.type != trigger.type or _timing(before.config) != _timing(trigger.settings):
        return record
    # A time that is due just now belongs to the new version.
    return msgspec.structs.replace(record, next_due_at=before.next_due_at)


def _timing(settings: Mapping[str, Any]) -> Sequence[Any]:
    return [settings.get(name) for name in _TIMING]


def trigger_type(definition: Definition, named: str | msgspec.UnsetType, before: str = "manual") -> str:
    """The `triggerType` of an automation with this definition: `named`, else the one `before`, if it has a trigger of
    that type; else the type of its first trigger. Raises InvalidDefinition when one is named that it has not."""
    types = [trigger.type for trigger in definition.triggers]
    kind = before if named is msgspec.UNSET else named
    if kind in types or kind not in ("manual", *TRIGGERS):
        return kind
    if named in TRIGGERS:
        sentence = f"The automation's triggerType is {named}, and there is no trigger of that type."
        raise InvalidDefinition([Fault(("triggers",), sentence, "trigger_type")])
    return types[0] if types else "manual"
