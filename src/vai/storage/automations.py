"""Automations and their versions: the `AutomationStore` part of the store."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from vai.ports import AlreadyExists, AutomationRecord, Page, TriggerRecord, VersionRecord, VersionsSummary
from vai.storage import rows
from vai.storage.automation_statements import AUTOMATION, VERSION, AutomationStatements
from vai.storage.statements import Connection
from vai.storage.tenant_log import TenantLog
from vai.storage.triggers import TriggerStatements, trigger_params


def _automation_params(record: AutomationRecord) -> dict[str, Any]:
    return {**msgspec.structs.asdict(record), "automation_id": record.id}


def _version_params(record: VersionRecord) -> dict[str, Any]:
    config = rows.to_json(record.config)
    return {**msgspec.structs.asdict(record), "config": config, "version_id": record.id}


def _version_record(row: Sequence[Any]) -> VersionRecord:
    values = list(row)
    at = VERSION.index("config")
    values[at] = rows.from_json(values[at])
    return VersionRecord(*values)


def _change_of(automation: AutomationRecord, versions: Sequence[VersionRecord]) -> str:
    """What this change of versions is called in the log."""
    if automation.status == "archived":
        return "automation.archived"
    is_published = any(version.status == "active" for version in versions)
    return "automation.published" if is_published else "automation.updated"


class Automations(TenantLog):
    """Automations change rarely: their writes are functions in the writer's transaction."""

    def _build(self) -> None:
        super()._build()
        self._automation_sql = AutomationStatements(self._db)
        self._trigger_statements = TriggerStatements(self._db)

    async def create_automation(self, record: AutomationRecord, draft: VersionRecord) -> None:
        """Store a new automation with its first version. Raises AlreadyExists when its name is taken."""
        automation, version = _automation_params(record), _version_params(draft)
        told = self._entry("automation.created", record.tenant_id, ("automation", record.id), name=record.name)

        def work(connection: Connection) -> None:
            self._automation_sql.create.run(connection, automation)
            self._automation_sql.add_version.run(connection, version)
            self._log.run(connection, told)

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

    async def automation_by_slug(self, tenant_id: str, slug: str) -> AutomationRecord | None:
        """The tenant's oldest automation with this slug, or None."""
        params = {"tenant_id": tenant_id, "slug": slug}
        row = await self._db.read(lambda c: self._automation_sql.by_slug.one(c, params), is_keyed=True)
        return None if row is None else AutomationRecord(*row)

    async def automations(self, tenant_id: str, status: Sequence[str], limit: int, offset: int) -> Page:
        """The tenant's automations, newest first; all when `status` names none."""
        params: dict[str, Any] = {f"status_{i}": value for i, value in enumerate(status)}
        params |= {"tenant_id": tenant_id, "limit": limit, "offset": offset}
        sql = self._automation_sql

        def work(connection: Connection) -> tuple[Sequence[Any], int]:
            total = sql.total(len(status)).all(connection, params)[0][0]
            return sql.page(len(status)).all(connection, params), total

        found, total = await self._db.snapshot(work)
        return Page([AutomationRecord(*row) for row in found], total)

    async def update_automation(self, record: AutomationRecord) -> None:
        """Store the automation as `record` has it. Raises AlreadyExists when its new name is taken."""
        params = _automation_params(record)
        told = self._entry("automation.updated", record.tenant_id, ("automation", record.id), name=record.name)

        def work(connection: Connection) -> None:
            self._automation_sql.update.run(connection, params)
            self._log.run(connection, told)

        await self._call(work)

    async def delete_automation(self, tenant_id: str, automation_id: str) -> bool:
        """Remove it with its versions and final runs. False: a run is not final, nothing was removed."""
        params = {"tenant_id": tenant_id, "automation_id": automation_id}
        sql = self._automation_sql
        told = self._entry("automation.deleted", tenant_id, ("automation", automation_id))

        def work(connection: Connection) -> bool:
            sql.lock.all(connection, params)
            if sql.live_run.one(connection, params) is not None:
                return False
            for statement in sql.deletions:
                statement.run(connection, params)
            self._log.run(connection, told)
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
        width = len(AUTOMATION)
        version = None if row[width] is None else _version_record(row[width:])
        return AutomationRecord(*row[:width]), version

    async def save_versions(
        self,
        automation: AutomationRecord,
        versions: Sequence[VersionRecord],
        triggers: Sequence[TriggerRecord] | None = None,
    ) -> bool:
        """Write these versions, the automation and, if given, its triggers together. False: somebody was faster.
        The order of `versions` does not matter: those that give up a status go first."""
        params = _automation_params(automation)
        archived_first = sorted(versions, key=lambda version: ("archived", "active", "draft").index(version.status))
        writes = [_version_params(version) for version in archived_first]
        wanted = None if triggers is None else [trigger_params(trigger) for trigger in triggers]
        sql = self._automation_sql
        numbers = {"name": automation.name, "versions": {str(v.number): v.status for v in versions}}
        told = self._entry(
            _change_of(automation, versions), automation.tenant_id, ("automation", automation.id), **numbers
        )

        def work(connection: Connection) -> None:
            for version in writes:
                if not sql.change_version.all(connection, version):
                    sql.add_version.run(connection, version)
            sql.update.run(connection, params)
            self._log.run(connection, told)
            if wanted is not None:
                self._trigger_statements.replace(connection, params, wanted)

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
