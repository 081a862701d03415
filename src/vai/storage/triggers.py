"""Triggers: the `TriggerStore` part of the store."""

from collections.abc import Sequence
from typing import Any

import msgspec
from sqlalchemy import and_, delete, func, insert, literal_column, select, update

from vai.domain.state import Instant
from vai.ports import Fired, TriggerRecord
from vai.storage import rows
from vai.storage.base import StoreBase
from vai.storage.database import Database
from vai.storage.statements import Connection, param
from vai.storage.trigger_tables import triggers

_FIELDS = TriggerRecord.__struct_fields__
_NEW_WITH_VERSION = ("version_id", "type", "config", "address", "next_due_at", "updated_at")
_TOLD = {
    "last_due_at": param("last_due_at"),
    "last_run_id": func.coalesce(param("run_id"), triggers.c.last_run_id),
    "last_error": param("error"),
}


class TriggerStatements:
    """Compiled once for a database."""

    def __init__(self, db: Database) -> None:
        row, found = triggers.c, select(*(triggers.c[name] for name in _FIELDS))
        of_automation = and_(row.tenant_id == param("tenant_id"), row.automation_id == param("automation_id"))
        mine = and_(row.id == param("id"), row.tenant_id == param("tenant_id"))
        self.get = db.compile(found.where(mine))
        self.of_automation = db.compile(found.where(of_automation).order_by(row.key))
        self.create = db.compile(insert(triggers).values({name: param(name) for name in _FIELDS}))
        renewed = {name: param(name) for name in _NEW_WITH_VERSION}
        self.renew = db.compile(update(triggers).values(renewed).where(mine, of_automation).returning(row.id))
        # Those of an automation may exchange their addresses, which never two have at the same time.
        self.clear = db.compile(update(triggers).values(address=None).where(of_automation))
        self.remove = db.compile(delete(triggers).where(mine))
        paused = {name: param(name) for name in ("is_paused", "next_due_at", "updated_at")}
        self.set_paused = db.compile(update(triggers).values(paused).where(mine))
        is_webhook = and_(row.type == literal_column("'webhook'"), row.address == param("address"))
        self.webhook = db.compile(found.where(row.tenant_id == param("tenant_id"), is_webhook))
        self.tell = db.compile(update(triggers).values(_TOLD).where(mine))
        self._of_due(db)

    def _of_due(self, db: Database) -> None:
        row, found = triggers.c, select(*(triggers.c[name] for name in _FIELDS))
        to_be_due = and_(row.next_due_at.is_not(None), row.is_paused == literal_column("0"))
        is_due = and_(to_be_due, row.next_due_at <= param("now"))
        self.due = db.compile(found.where(is_due).order_by(row.next_due_at, row.id).limit(param("limit")))
        self.next_due = db.compile(select(func.min(row.next_due_at)).where(to_be_due))
        unchanged = and_(row.id == param("id"), row.next_due_at == param("expected"))
        self.skip = db.compile(
            update(triggers).values(next_due_at=param("next_due_at")).where(unchanged).returning(row.id)
        )
        moved = {**_TOLD, "next_due_at": param("next_due_at")}
        self.advance = db.compile(update(triggers).values(moved).where(unchanged).returning(row.id))

    def replace(self, connection: Connection, automation: dict[str, Any], wanted: Sequence[dict[str, Any]]) -> None:
        """Put `wanted` in the place of the automation's triggers; known ones keep their pause and what they did."""
        kept = {params["id"] for params in wanted}
        for row in self.of_automation.all(connection, automation):
            if row[0] not in kept:
                self.remove.run(connection, {"id": row[0], "tenant_id": automation["tenant_id"]})
        self.clear.run(connection, automation)
        for params in wanted:
            if not self.renew.all(connection, params):
                self.create.run(connection, params)


def trigger_params(record: TriggerRecord) -> dict[str, Any]:
    """A trigger as the parameters of the statements."""
    given = {"config": rows.to_json(record.config), "is_paused": int(record.is_paused)}
    return {**msgspec.structs.asdict(record), **given}


def _record(row: Sequence[Any]) -> TriggerRecord:
    values = dict(zip(_FIELDS, row, strict=True))
    given = {"config": rows.from_json(values["config"]), "is_paused": bool(values["is_paused"])}
    return TriggerRecord(**values | given)


def _told(fired: Fired) -> dict[str, Any]:
    return {"last_due_at": fired.due_at, "run_id": fired.run_id, "error": fired.error}


class Triggers(StoreBase):
    """Their rows are written with the version that has them; see `Automations.save_versions`."""

    def _build(self) -> None:
        super()._build()
        self._trigger_sql = TriggerStatements(self._db)

    async def trigger(self, tenant_id: str, trigger_id: str) -> TriggerRecord | None:
        """The tenant's trigger, or None."""
        params = {"tenant_id": tenant_id, "id": trigger_id}
        row = await self._db.read(lambda c: self._trigger_sql.get.one(c, params), is_keyed=True)
        return None if row is None else _record(row)

    async def triggers(self, tenant_id: str, automation_id: str) -> Sequence[TriggerRecord]:
        """All of the tenant's automation, in the order of their keys."""
        params = {"tenant_id": tenant_id, "automation_id": automation_id}
        found = await self._db.read(lambda c: self._trigger_sql.of_automation.all(c, params), is_keyed=True)
        return [_record(row) for row in found]

    async def set_paused(self, trigger: TriggerRecord, is_paused: bool, next_due_at: Instant | None) -> None:
        """Hold the trigger, or let it go on at `next_due_at`."""
        params = {"id": trigger.id, "tenant_id": trigger.tenant_id, "is_paused": int(is_paused)}
        params |= {"next_due_at": next_due_at, "updated_at": self._clock()}
        await self._call(lambda c: self._trigger_sql.set_paused.run(c, params))

    async def webhook(self, tenant_id: str, path: str) -> TriggerRecord | None:
        """The tenant's webhook with this path, or None."""
        params = {"tenant_id": tenant_id, "address": path}
        row = await self._db.read(lambda c: self._trigger_sql.webhook.one(c, params), is_keyed=True)
        return None if row is None else _record(row)

    async def tell_trigger(self, trigger: TriggerRecord, fired: Fired) -> None:
        """Keep what became of a call."""
        params = {"id": trigger.id, "tenant_id": trigger.tenant_id, **_told(fired)}
        await self._call(lambda c: self._trigger_sql.tell.run(c, params))

    async def due_triggers(self, now: Instant, limit: int) -> Sequence[TriggerRecord]:
        """Those that are due and not paused, the longest due first."""
        params = {"now": now, "limit": limit}
        found = await self._db.read(lambda c: self._trigger_sql.due.all(c, params), is_keyed=True)
        return [_record(row) for row in found]

    async def next_trigger_due(self) -> Instant | None:
        """When the next trigger that is not paused is due."""
        row = await self._db.read(lambda c: self._trigger_sql.next_due.one(c), is_keyed=True)
        due: Instant | None = row[0]
        return due

    async def advance_trigger(self, trigger: TriggerRecord, next_due_at: Instant | None, fired: Fired | None) -> bool:
        """Set the next due time and what became of the last one. False: somebody was faster."""
        params = {"id": trigger.id, "expected": trigger.next_due_at, "next_due_at": next_due_at}
        statement = self._trigger_sql.skip
        if fired is not None:
            params |= _told(fired)
            statement = self._trigger_sql.advance
        landed: bool = await self._call(lambda c: bool(statement.all(c, params)))
        return landed
