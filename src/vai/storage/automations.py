"""Automations and their versions: the `AutomationStore` part of the store."""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

import msgspec
from sqlalchemy import and_, case, delete, func, insert, select, update

from vai.ports import AlreadyExists, AutomationRecord, Page, VersionRecord, VersionsSummary
from vai.storage import rows
from vai.storage.base import StoreBase
from vai.storage.database import Database
from vai.storage.statements import Connection, Statement, param
from vai.storage.tables import artifacts, automation_runs, automation_versions, automations, events, steps

_automation = automations.c
_version = automation_versions.c
_AUTOMATION = AutomationRecord.__struct_fields__
_VERSION = VersionRecord.__struct_fields__
_CHANGEABLE = tuple(name for name in _AUTOMATION if name not in ("id", "tenant_id", "created_at"))


class _Statements:
    def __init__(self, db: Database) -> None:
        self._db = db
        self.page = lru_cache(self._page)
        self.total = lru_cache(self._total)
        tenant, automation_id = param("tenant_id"), param("automation_id")
        mine = and_(_automation.id == automation_id, _automation.tenant_id == tenant)
        columns = [_automation[name] for name in _AUTOMATION]
        versions = [_version[name] for name in _VERSION]
        self.create = db.compile(insert(automations).values({name: param(name) for name in _AUTOMATION}))
        self.get = db.compile(select(*columns).where(mine))
        self.by_name = db.compile(
            select(*columns).where(_automation.tenant_id == tenant, _automation.name == param("name"))
        )
        self.update = db.compile(update(automations).where(mine).values({name: param(name) for name in _CHANGEABLE}))
        self.delete = db.compile(delete(automations).where(mine))
        of_mine = and_(_version.automation_id == automation_id, _version.tenant_id == tenant)
        self.delete_versions = db.compile(delete(automation_versions).where(of_mine))
        runs_of_mine = and_(automation_runs.c.tenant_id == tenant, automation_runs.c.automation_id == automation_id)
        self.live_run = db.compile(
            select(automation_runs.c.id).where(runs_of_mine, automation_runs.c.completed_at.is_(None)).limit(1)
        )
        run_ids = select(automation_runs.c.id).where(runs_of_mine)
        self.delete_runs = [
            *(db.compile(delete(part).where(part.c.run_id.in_(run_ids))) for part in (steps, events, artifacts)),
            db.compile(delete(automation_runs).where(runs_of_mine)),
        ]
        # A lock on the automation's row keeps new runs out until the deletion is through (PostgreSQL).
        self.lock = db.compile(select(_automation.id).where(mine).with_for_update())
        self.versions = db.compile(select(*versions).where(of_mine).order_by(_version.number.desc()))
        self.startable = [
            db.compile(select(*columns, *versions).outerjoin_from(automations, automation_versions, chosen).where(mine))
            for chosen in (
                and_(_version.automation_id == _automation.id, _version.status == "active"),
                and_(_version.automation_id == _automation.id, _version.number == param("number")),
            )
        ]
        self.version = db.compile(select(*versions).where(_version.id == param("version_id")))
        self.add_version = db.compile(insert(automation_versions).values({name: param(name) for name in _VERSION}))
        changeable = {name: param(name) for name in ("status", "config", "updated_at", "published_at")}
        self.change_version = db.compile(
            update(automation_versions)
            .values(changeable)
            .where(_version.id == param("version_id"), of_mine)
            .returning(_version.id)
        )
        is_active = case((_version.status == "active", 1), else_=0)
        is_draft = case((_version.status == "draft", 1), else_=0)
        self.summary = db.compile(select(func.count(), func.sum(is_active), func.sum(is_draft)).where(of_mine))
        shown_first = case((_version.status == "draft", 0), (_version.status == "active", 1), else_=2)
        self.shown_config = db.compile(
            select(_version.config).where(of_mine).order_by(shown_first, _version.number.desc()).limit(1)
        )

    def _filtered(self, columns: Sequence[Any], statuses: int) -> Any:
        found = select(*columns).select_from(automations).where(_automation.tenant_id == param("tenant_id"))
        if statuses:
            found = found.where(_automation.status.in_([param(f"status_{i}") for i in range(statuses)]))
        return found

    def _page(self, statuses: int) -> Statement:
        found = self._filtered([_automation[name] for name in _AUTOMATION], statuses)
        newest = found.order_by(_automation.id.desc())
        return self._db.compile(newest.limit(param("limit")).offset(param("offset")))

    def _total(self, statuses: int) -> Statement:
        return self._db.compile(self._filtered([func.count()], statuses))


def _automation_params(record: AutomationRecord) -> dict[str, Any]:
    return {**msgspec.structs.asdict(record), "automation_id": record.id}


def _version_params(record: VersionRecord) -> dict[str, Any]:
    config = rows.to_json(record.config)
    return {**msgspec.structs.asdict(record), "config": config, "version_id": record.id}


def _version_record(row: Sequence[Any]) -> VersionRecord:
    values = list(row)
    at = _VERSION.index("config")
    values[at] = rows.from_json(values[at])
    return VersionRecord(*values)


class Automations(StoreBase):
    """Automations change rarely: their writes are functions in the writer's transaction."""

    def _build(self) -> None:
        super()._build()
        self._automation_sql = _Statements(self._db)

    async def create_automation(self, record: AutomationRecord, draft: VersionRecord) -> None:
        """Store a new automation with its first version. Raises AlreadyExists when its name is taken."""
        automation, version = _automation_params(record), _version_params(draft)

        def work(connection: Connection) -> None:
            self._automation_sql.create.run(connection, automation)
            self._automation_sql.add_version.run(connection, version)

        await self._call(work)

    async def automation(self, tenant_id: str, automation_id: str) -> AutomationRecord | None:
        """The tenant's automation, or None."""
        params = {"tenant_id": tenant_id, "automation_id": automation_id}
        row = await self._db.read(lambda c: self._automation_sql.get.one(c, params), is_keyed=True)
        return None if row is None else AutomationRecord(*row)

    async def automation_by_name(self, tenant_id: str, name: str) -> AutomationRecord | None:
        """The tenant's automation of this name, or None."""
        params = {"tenant_id": tenant_id, "name": name}
        row = await self._db.read(lambda c: self._automation_sql.by_name.one(c, params), is_keyed=True)
        return None if row is None else AutomationRecord(*row)

    async def automations(self, tenant_id: str, status: Sequence[str], limit: int, offset: int) -> Page:
        """The tenant's automations, newest first; all when `status` names none."""
        params: dict[str, Any] = {f"status_{i}": value for i, value in enumerate(status)}
        params |= {"tenant_id": tenant_id, "limit": limit, "offset": offset}
        sql = self._automation_sql

        def work(connection: Connection) -> tuple[Sequence[Any], int]:
            total = sql.total(len(status)).all(connection, params)[0][0]
            return sql.page(len(status)).all(connection, params), total

        found, total = await self._db.read(work)
        return Page([AutomationRecord(*row) for row in found], total)

    async def update_automation(self, record: AutomationRecord) -> None:
        """Store the automation as `record` has it. Raises AlreadyExists when its new name is taken."""
        params = _automation_params(record)
        await self._call(lambda c: self._automation_sql.update.run(c, params))

    async def delete_automation(self, tenant_id: str, automation_id: str) -> bool:
        """Remove it with its versions and final runs. False: a run is not final, nothing was removed."""
        params = {"tenant_id": tenant_id, "automation_id": automation_id}
        sql = self._automation_sql

        def work(connection: Connection) -> bool:
            sql.lock.all(connection, params)
            if sql.live_run.one(connection, params) is not None:
                return False
            for statement in (*sql.delete_runs, sql.delete_versions, sql.delete):
                statement.run(connection, params)
            return True

        removed: bool = await self._call(work)
        return removed

    async def versions(self, tenant_id: str, automation_id: str) -> Sequence[VersionRecord]:
        """The versions of the tenant's automation, newest first."""
        params = {"tenant_id": tenant_id, "automation_id": automation_id}
        found = await self._db.read(lambda c: self._automation_sql.versions.all(c, params), is_keyed=True)
        return [_version_record(row) for row in found]

    async def version(self, version_id: str) -> VersionRecord | None:
        """The version, or None."""
        params = {"version_id": version_id}
        row = await self._db.read(lambda c: self._automation_sql.version.one(c, params), is_keyed=True)
        return None if row is None else _version_record(row)

    async def startable(
        self, tenant_id: str, automation_id: str, number: int | None
    ) -> tuple[AutomationRecord, VersionRecord | None] | None:
        """The automation with its version of that number, else its active one, if there is such a version."""
        params = {"tenant_id": tenant_id, "automation_id": automation_id, "number": number}
        statement = self._automation_sql.startable[number is not None]
        row = await self._db.read(lambda c: statement.one(c, params), is_keyed=True)
        if row is None:
            return None
        width = len(_AUTOMATION)
        version = None if row[width] is None else _version_record(row[width:])
        return AutomationRecord(*row[:width]), version

    async def save_versions(self, automation: AutomationRecord, versions: Sequence[VersionRecord]) -> bool:
        """Write these versions and the automation together. False: somebody was faster. The order of `versions`
        does not matter: those that give up a status go first."""
        params = _automation_params(automation)
        archived_first = sorted(versions, key=lambda version: ("archived", "active", "draft").index(version.status))
        writes = [_version_params(version) for version in archived_first]
        sql = self._automation_sql

        def work(connection: Connection) -> None:
            for version in writes:
                if not sql.change_version.all(connection, version):
                    sql.add_version.run(connection, version)
            sql.update.run(connection, params)

        try:
            await self._call(work)
        except AlreadyExists:
            return False
        return True

    async def version_summaries(self, tenant_id: str, automation_ids: Sequence[str]) -> Mapping[str, VersionsSummary]:
        """How many versions each automation has, and the config it shows."""
        sql = self._automation_sql

        def work(connection: Connection) -> dict[str, VersionsSummary]:
            found = {}
            for automation_id in automation_ids:
                params = {"tenant_id": tenant_id, "automation_id": automation_id}
                count, active, drafts = sql.summary.all(connection, params)[0]
                config = sql.shown_config.one(connection, params)
                if config is not None:
                    shown = rows.from_json(config[0])
                    found[automation_id] = VersionsSummary(int(count), int(active), bool(drafts), shown)
            return found

        return await self._db.read(work)
