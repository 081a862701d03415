"""The statements on automations and their versions."""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from sqlalchemy import and_, case, delete, func, insert, select, update

from vai.ports import AutomationRecord, VersionRecord
from vai.storage.artifact_tables import leave_places
from vai.storage.database import Database
from vai.storage.statements import Statement, param
from vai.storage.tables import (
    artifacts,
    automation_runs,
    automation_versions,
    automations,
    decisions,
    events,
    steps,
)
from vai.storage.trigger_tables import triggers

AUTOMATION = AutomationRecord.__struct_fields__
VERSION = VersionRecord.__struct_fields__
_CHANGEABLE = tuple(name for name in AUTOMATION if name not in ("id", "tenant_id", "created_at"))
_automation = automations.c
_version = automation_versions.c
_mine = and_(_automation.id == param("automation_id"), _automation.tenant_id == param("tenant_id"))
_of_mine = and_(_version.automation_id == param("automation_id"), _version.tenant_id == param("tenant_id"))
_COLUMNS = [_automation[name] for name in AUTOMATION]
_VERSION_COLUMNS = [_version[name] for name in VERSION]


class AutomationStatements:
    """Compiled once for a database."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self.page = lru_cache(self._page)
        self.total = lru_cache(self._total)
        self._of_automations()
        self._of_deletion()
        self._of_versions()
        self._of_summaries()

    def _of_automations(self) -> None:
        db, by_name = self._db, and_(_automation.tenant_id == param("tenant_id"), _automation.name == param("name"))
        self.create = db.compile(insert(automations).values({name: param(name) for name in AUTOMATION}))
        self.get = db.compile(select(*_COLUMNS).where(_mine))
        by_slug = and_(_automation.tenant_id == param("tenant_id"), _automation.slug == param("slug"))
        self.by_slug = db.compile(select(*_COLUMNS).where(by_slug).order_by(_automation.id).limit(1))
        self.by_name = db.compile(select(*_COLUMNS).where(by_name))
        self.update = db.compile(update(automations).where(_mine).values({name: param(name) for name in _CHANGEABLE}))

    def _of_deletion(self) -> None:
        db, run = self._db, automation_runs.c
        of_mine = and_(run.tenant_id == param("tenant_id"), run.automation_id == param("automation_id"))
        # A lock on the automation's row keeps new runs out until the deletion is through (PostgreSQL).
        self.lock = db.compile(select(_automation.id).where(_mine).with_for_update())
        self.live_run = db.compile(select(run.id).where(of_mine, run.completed_at.is_(None)).limit(1))
        run_ids = select(run.id).where(of_mine)
        self.deletions = [
            db.compile(leave_places(artifacts.c.run_id.in_(run_ids))),
            *(
                db.compile(delete(part).where(part.c.run_id.in_(run_ids)))
                for part in (steps, events, artifacts, decisions)
            ),
            db.compile(delete(automation_runs).where(of_mine)),
            db.compile(
                delete(triggers).where(
                    triggers.c.automation_id == param("automation_id"), triggers.c.tenant_id == param("tenant_id")
                )
            ),
            db.compile(delete(automation_versions).where(_of_mine)),
            db.compile(delete(automations).where(_mine)),
        ]

    def _of_versions(self) -> None:
        db = self._db
        self.versions = db.compile(select(*_VERSION_COLUMNS).where(_of_mine).order_by(_version.number.desc()))
        self.version = db.compile(select(*_VERSION_COLUMNS).where(_version.id == param("version_id")))
        self.startable = [
            db.compile(
                select(*_COLUMNS, *_VERSION_COLUMNS)
                .outerjoin_from(
                    automations, automation_versions, and_(_version.automation_id == _automation.id, chosen)
                )
                .where(_mine)
            )
            for chosen in (_version.status == "active", _version.number == param("number"))
        ]
        self.add_version = db.compile(insert(automation_versions).values({name: param(name) for name in VERSION}))
        changeable = {name: param(name) for name in ("status", "config", "updated_at", "published_at")}
        self.change_version = db.compile(
            update(automation_versions)
            .values(changeable)
            .where(_version.id == param("version_id"), _of_mine)
            .returning(_version.id)
        )

    def _of_summaries(self) -> None:
        db = self._db
        is_active = case((_version.status == "active", 1), else_=0)
        is_draft = case((_version.status == "draft", 1), else_=0)
        self.summary = db.compile(select(func.count(), func.sum(is_active), func.sum(is_draft)).where(_of_mine))
        shown_first = case((_version.status == "draft", 0), (_version.status == "active", 1), else_=2)
        self.shown_config = db.compile(
            select(_version.config).where(_of_mine).order_by(shown_first, _version.number.desc()).limit(1)
        )

    def _filtered(self, columns: Sequence[Any], statuses: int) -> Any:
        found = select(*columns).select_from(automations).where(_automation.tenant_id == param("tenant_id"))
        if statuses:
            found = found.where(_automation.status.in_([param(f"status_{i}") for i in range(statuses)]))
        return found

    def _page(self, statuses: int) -> Statement:
        found = self._filtered([_automation[name] for name in AUTOMATION], statuses)
        newest = found.order_by(_automation.id.desc())
        return self._db.compile(newest.limit(param("limit")).offset(param("offset")))

    def _total(self, statuses: int) -> Statement:
        return self._db.compile(self._filtered([func.count()], statuses))
