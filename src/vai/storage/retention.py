"""Removing runs that are over: the `RetentionStore` part of the store.

Candidates are found beside the writer and looked at once more by it. A run's row goes together with its steps,
decisions and artifacts. The events of a long run would make that transaction long: its id is kept in `removed_runs`
until they are gone, from the last to the first, so that whoever still reads them sees no gap.
"""

import asyncio
from collections.abc import Sequence
from typing import Any

from sqlalchemy import and_, delete, exists, func, insert, literal_column, select, update
from sqlalchemy.sql import ColumnElement

from vai.ports import Removal
from vai.storage.artifact_tables import leave_places
from vai.storage.base import StoreBase
from vai.storage.database import Database
from vai.storage.statements import Connection, param
from vai.storage.tables import artifacts, automation_runs, decisions, events, organizations, removed_runs, steps

MOST_RUNS = 50
"""How many runs one transaction removes."""

MOST_EVENTS = 2_000
"""How many events one transaction removes; a run that has more leaves them to be swept."""

_run = automation_runs.c
_ONE: ColumnElement[int] = literal_column("1")


def _removable() -> ColumnElement[bool]:
    parent, child = automation_runs.alias("parent"), automation_runs.alias("child")
    has_live_parent = exists(_ONE).where(parent.c.id == _run.parent_run_id, parent.c.completed_at.is_(None))
    has_live_child = exists(_ONE).where(child.c.parent_run_id == _run.id, child.c.completed_at.is_(None))
    return and_(
        *(_run.tenant_id == param("tenant_id"), _run.status == param("status")),
        *(_run.completed_at < param("before"), ~has_live_parent, ~has_live_child),
    )


class _Statements:
    def __init__(self, db: Database) -> None:
        self.organizations = db.compile(select(organizations.c.id).order_by(organizations.c.id))
        self.count = db.compile(select(func.count()).select_from(automation_runs).where(_removable()))
        oldest = select(_run.id, _run.event_seq).where(_removable()).order_by(_run.completed_at, _run.id)
        self.oldest = db.compile(oldest.limit(param("limit")))
        self._of_removal(db)
        left = removed_runs.c
        self.left = db.compile(select(left.run_id, left.event_seq).order_by(left.run_id).limit(literal_column("1")))
        self.sweep = db.compile(
            delete(events).where(events.c.run_id == param("run_id"), events.c.seq > param("through"))
        )
        mine = left.run_id == param("run_id")
        self.swept = db.compile(update(removed_runs).where(mine).values(event_seq=param("through")))
        self.forget = db.compile(delete(removed_runs).where(mine))

    def _of_removal(self, db: Database) -> None:
        ids = [param(f"id_{i}") for i in range(MOST_RUNS)]
        # Who retries one of them at this moment is left alone (PostgreSQL; SQLite has one writer).
        still = select(_run.id).where(_run.id.in_(ids), _removable()).order_by(_run.id)
        self.lock = db.compile(still.with_for_update(skip_locked=True))
        is_long = _run.event_seq > literal_column(f"{MOST_EVENTS}")
        long = select(_run.id, _run.event_seq).where(_run.id.in_(ids), is_long)
        left = select(removed_runs.c.run_id).where(removed_runs.c.run_id.in_(ids))
        self.remove = [
            db.compile(insert(removed_runs).from_select(["run_id", "event_seq"], long)),
            db.compile(delete(events).where(events.c.run_id.in_(ids), events.c.run_id.not_in(left))),
            db.compile(leave_places(artifacts.c.run_id.in_(ids))),
            *(db.compile(delete(part).where(part.c.run_id.in_(ids))) for part in (steps, artifacts, decisions)),
            db.compile(delete(automation_runs).where(_run.id.in_(ids))),
        ]


class Retention(StoreBase):
    """See the methods of `RetentionStore`."""

    def _build(self) -> None:
        super()._build()
        self._retention_sql = _Statements(self._db)

    async def organization_ids(self) -> Sequence[str]:
        """The ids of all organizations."""
        return [row[0] for row in await self._db.read(lambda c: self._retention_sql.organizations.all(c))]

    async def count_removable(self, which: Removal) -> int:
        """How many runs could be removed now."""

        def work(connection: Connection) -> int:
            found = [self._retention_sql.count.one(connection, params) for params in _each_status(which)]
            return sum(int(row[0]) for row in found)

        return await self._db.snapshot(work)

    async def remove_runs(self, which: Removal, limit: int) -> int:
        """See `RetentionStore.remove_runs`."""
        for params in _each_status(which):
            removed = await self._remove_some(params, min(limit, MOST_RUNS))
            if removed:
                return removed
        return 0

    async def _remove_some(self, params: dict[str, Any], limit: int) -> int:
        sql = self._retention_sql
        found = await self._db.read(lambda c: sql.oldest.all(c, {**params, "limit": limit}))
        candidates = _few(found)
        if not candidates:
            return 0

        def work(connection: Connection) -> int:
            ids = [row[0] for row in sql.lock.all(connection, {**params, **_padded(candidates)})]
            if ids:
                for statement in sql.remove:
                    statement.run(connection, _padded(ids))
            return len(ids)

        removed: int = await self._call(work)
        return removed

    async def sweep(self) -> bool:
        """See `RetentionStore.sweep`."""
        sql = self._retention_sql
        if await self._db.read(lambda c: sql.left.one(c), is_keyed=True) is None:
            return False

        def work(connection: Connection) -> None:
            left = sql.left.one(connection)
            if left is None:
                return
            params = {"run_id": left[0], "through": max(0, left[1] - MOST_EVENTS)}
            sql.sweep.run(connection, params)
            (sql.swept if params["through"] else sql.forget).run(connection, params)

        await self._call(work)
        return True

    async def shrink(self) -> bool:
        """See `RetentionStore.shrink`."""
        if await asyncio.to_thread(self._db.rebuild):
            return False
        has_more: bool = await self._call(self._db.give_back)
        return has_more


def _each_status(which: Removal) -> list[dict[str, Any]]:
    of_tenant = {"tenant_id": which.tenant_id, "before": which.before}
    return [{**of_tenant, "status": status.value} for status in dict.fromkeys(which.statuses)]


def _few(found: Sequence[Any]) -> list[str]:
    """So many of the runs that their events fit into one transaction; at least one."""
    ids: list[str] = []
    total = 0
    for run_id, event_count in found:
        total += event_count
        if ids and total > MOST_EVENTS:
            break
        ids.append(run_id)
    return ids


def _padded(ids: Sequence[str]) -> dict[str, str]:
    """The ids as the statements' parameters, of which there are always as many: the first fills up."""
    return {f"id_{i}": ids[i] if i < len(ids) else ids[0] for i in range(MOST_RUNS)}
