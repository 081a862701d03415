"""Engines and their leases: the `LeaseStore` part of the store."""

import asyncio
import os
import platform
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

from sqlalchemy import and_, case, delete, insert, literal_column, or_, select, update
from sqlalchemy.sql import ClauseElement, ColumnElement

from vai.domain.state import Instant
from vai.ports import ORCHESTRATORS, StoreUnavailable, UnheldRun
from vai.storage.absences import Absences
from vai.storage.base import StoreBase
from vai.storage.database import Database
from vai.storage.free_runs import AT_ONCE, IS_FREE
from vai.storage.statements import Connection, param
from vai.storage.tables import automation_runs, engines

_run = automation_runs.c
_MAY_BEGIN = _run.is_queued == literal_column("0")  # not held back by its concurrency key


class _Statements:
    def __init__(self, db: Database) -> None:
        self._of_engines(db)
        self._of_runs(db)
        self._of_unheld_runs(db)

    def _of_engines(self, db: Database) -> None:
        now = db.now
        until = now + param("lease_ms")
        values = {
            "id": param("id"),
            "lease_expires_at": until,
            "started_at": now,
            "host": param("host"),
            "pid": param("pid"),
        }
        self.register = db.compile(insert(engines).values(values))
        mine = engines.c.id == param("engine_id")
        self.renew = db.compile(update(engines).values(lease_expires_at=until).where(mine).returning(engines.c.id))
        self.remove = db.compile(delete(engines).where(mine))
        self.others = db.compile(
            select(engines.c.id, engines.c.lease_expires_at <= now).where(engines.c.id != param("engine_id"))
        )
        self.is_registered = db.compile(select(engines.c.id).where(mine))

    def _of_runs(self, db: Database) -> None:
        now = db.now
        live = _run.completed_at.is_(None)
        self.free_orphans = db.compile(
            update(automation_runs)
            .values(lease_owner=None)
            .where(live, _run.lease_owner.is_not(None), _run.lease_owner.not_in(select(engines.c.id)))
            .returning(_run.id)
        )
        served = _run.orchestrator_type.in_([param("orchestrator"), param("other_orchestrator")])
        is_due, limit = and_(_run.due_at.is_not(None), _run.due_at <= now), param("limit")
        self.claim_due = db.compile(_claim(and_(IS_FREE, is_due, served), (_run.due_at, _run.id), limit))
        self.claim_at_once = db.compile(_claim(and_(IS_FREE, AT_ONCE, served), (_run.id,), limit))
        this = and_(_run.id == param("run_id"), IS_FREE, or_(AT_ONCE, is_due), served)
        self.claim_run = db.compile(_claim(this, (), None))
        self.give_back = db.compile(
            update(automation_runs)
            .values(lease_owner=None, version=_run.version + 1)
            .where(live, _run.lease_owner == param("engine_id"))
            .returning(_run.id)
        )
        self.held = db.compile(select(_run.id, _run.version).where(live, _run.lease_owner == param("engine_id")))
        one: ColumnElement[int] = literal_column("1")
        found = select(_run.created_at).where(IS_FREE, AT_ONCE, served).order_by(_run.id)
        self.first_at_once = db.compile(found.limit(one))
        due = select(_run.due_at).where(IS_FREE, _run.due_at.is_not(None), served).order_by(_run.due_at)
        self.next_due = db.compile(due.limit(one))

    def _of_unheld_runs(self, db: Database) -> None:
        pending = _run.status == "pending"
        waits = or_(pending, _run.cancel_requested_at.is_not(None), _run.due_at <= db.now)
        is_pending, is_due = (case((so, literal_column("1")), else_=literal_column("0")) for so in (pending, waits))
        columns = (_run.id, _run.tenant_id, _run.automation_id, _run.version, is_pending, is_due)
        loose = and_(
            *(_run.completed_at.is_(None), _run.lease_owner.is_(None), _MAY_BEGIN),
            _run.orchestrator_type == param("orchestrator"),
        )
        self.unheld = db.compile(
            select(*columns)
            .where(loose, _run.updated_at <= param("before"), _run.id > param("after_id"))
            .order_by(_run.id)
            .limit(param("limit"))
        )
        self.unheld_run = db.compile(select(*columns).where(loose, _run.id == param("run_id")))


def _claim(
    wanted: ColumnElement[bool], order: Sequence[ColumnElement[Any]], limit: ColumnElement[int] | None
) -> ClauseElement:
    # SKIP LOCKED (PostgreSQL; SQLite has one writer): engines that claim at once get different runs.
    found = select(_run.id).where(wanted).order_by(*order).with_for_update(skip_locked=True)
    if limit is not None:
        found = found.limit(limit)
    # A CTE is evaluated once; a subquery might be planned to run, and lock, again for each row.
    taken = found.cte("found")
    return (
        update(automation_runs)
        .values(lease_owner=param("engine_id"), version=_run.version + 1)
        .where(_run.id.in_(select(taken.c.id)))
        .returning(_run.id)
    )


class Leases(StoreBase):
    """Who drives which run. Dead engines are found by every claim, and lose their row and their runs."""

    def _build(self) -> None:
        super()._build()
        self._lease_sql = _Statements(self._db)
        self._absences = Absences(self._db.grace_seconds)
        self._second_look: asyncio.TimerHandle | None = None

    async def register_engine(self, engine_id: str, lease_seconds: float) -> None:
        """Make the engine known, alive for `lease_seconds` and as long as it renews."""
        # The lock comes before the row: a row without a lock is a dead engine.
        await asyncio.to_thread(self._db.hold, engine_id)
        params = {
            "id": engine_id,
            "lease_ms": int(lease_seconds * 1000),
            "now": self._clock(),
            "host": platform.node(),
            "pid": os.getpid(),
        }
        await self._call(lambda c: self._lease_sql.register.run(c, params))

    async def renew(self, engine_id: str, lease_seconds: float) -> bool:
        """Stay alive for `lease_seconds` more. False: it was declared dead."""
        params = {"engine_id": engine_id, "lease_ms": int(lease_seconds * 1000), "now": self._clock()}
        if not await self._call(lambda c: bool(self._lease_sql.renew.all(c, params))):
            await asyncio.to_thread(self._db.let_go, engine_id)
            return False
        await asyncio.to_thread(self._db.hold, engine_id)
        return True

    async def claim(self, engine_id: str, limit: int, orchestrators: Sequence[str] = ORCHESTRATORS) -> Sequence[str]:
        """Take up to `limit` runs of these orchestrators: those that are due, and those that may begin, each the first
        first. Neither has to wait until there are none of the other."""
        params = {"engine_id": engine_id, "now": self._clock(), **_served(orchestrators)}

        def work(connection: Connection) -> list[str]:
            sql = self._lease_sql
            self._bury(connection, engine_id)
            # An engine that was declared dead would lose again at once what it takes.
            if sql.is_registered.one(connection, params) is None:
                return []
            taken: list[str] = []
            for statement, room in ((sql.claim_due, limit // 2), (sql.claim_at_once, limit), (sql.claim_due, limit)):
                if room > len(taken):
                    found = statement.all(connection, {**params, "limit": room - len(taken)})
                    taken += [row[0] for row in found]
            return sorted(taken)

        claimed: list[str] = await self._call(work)
        self._look_again(engine_id)
        return claimed

    async def claim_run(self, engine_id: str, run_id: str, orchestrators: Sequence[str] = ORCHESTRATORS) -> bool:
        """Take this run, if it is of these orchestrators and claimable."""
        params = {"engine_id": engine_id, "run_id": run_id, "now": self._clock(), **_served(orchestrators)}

        def work(connection: Connection) -> bool:
            sql = self._lease_sql
            if sql.is_registered.one(connection, params) is None:
                return False
            if sql.claim_run.all(connection, params):
                return True
            self._bury(connection, engine_id)
            return bool(sql.claim_run.all(connection, params))

        taken: bool = await self._call(work)
        self._look_again(engine_id)
        return taken

    def _bury(self, connection: Connection, engine_id: str) -> Sequence[str]:
        """Remove engines that are dead or expired, and free what engines without a row hold: the runs' ids."""
        sql = self._lease_sql
        others = sql.others.all(connection, {"engine_id": engine_id, "now": self._clock()})
        gone = {other for other, is_expired in others if is_expired}
        missing = self._db.missing(connection, [other for other, _ in others])
        gone.update(self._absences.dead(connection, missing))
        for other in gone:
            sql.remove.run(connection, {"engine_id": other})
        return [row[0] for row in sql.free_orphans.all(connection)]

    def _look_again(self, engine_id: str) -> None:
        """If engines are missing, look again when it can be told whether they are dead. Who drives runs hears of
        those that are free then."""
        if not self._absences.in_doubt or self._second_look is not None:
            return

        def look() -> None:
            self._second_look = None
            with suppress(StoreUnavailable):
                self._call_telling(lambda c, freed: freed.extend(self._bury(c, engine_id))).add_done_callback(looked)

        def looked(done: asyncio.Future[Any]) -> None:
            if not done.cancelled() and done.exception() is None:
                self._look_again(engine_id)

        self._second_look = asyncio.get_running_loop().call_later(self._db.grace_seconds, look)

    async def held(self, engine_id: str) -> Mapping[str, int]:
        """The runs that it holds, each with its version."""
        params = {"engine_id": engine_id}
        return dict(await self._db.read(lambda c: self._lease_sql.held.all(c, params)))

    async def retire_engine(self, engine_id: str) -> None:
        """Give back all that it holds and remove its row."""
        params = {"engine_id": engine_id}

        def work(connection: Connection, touched: list[str]) -> None:
            touched += [row[0] for row in self._lease_sql.give_back.all(connection, params)]
            self._lease_sql.remove.run(connection, params)

        await self._call_telling(work)
        await asyncio.to_thread(self._db.let_go, engine_id)

    async def next_due(self, orchestrators: Sequence[str] = ORCHESTRATORS) -> Instant | None:
        """When the next run of these that nobody holds is due; in the past when it is due at once."""
        params, sql = _served(orchestrators), self._lease_sql

        def work(connection: Connection) -> Instant | None:
            found = (sql.first_at_once.one(connection, params), sql.next_due.one(connection, params))
            return min((row[0] for row in found if row is not None), default=None)

        return await self._db.read(work, is_keyed=True)

    async def unheld(self, orchestrator: str, before: Instant, after_id: str, limit: int) -> Sequence[UnheldRun]:
        """Runs that no engine holds and that nobody has changed since `before`."""
        params = {"orchestrator": orchestrator, "before": before, "after_id": after_id, "limit": limit}
        params["now"] = self._clock()
        found = await self._db.read(lambda c: self._lease_sql.unheld.all(c, params))
        return [_unheld(row) for row in found]

    async def unheld_run(self, orchestrator: str, run_id: str) -> UnheldRun | None:
        """The run, if no engine holds it and it is not final."""
        params = {"orchestrator": orchestrator, "run_id": run_id, "now": self._clock()}
        row = await self._db.read(lambda c: self._lease_sql.unheld_run.one(c, params), is_keyed=True)
        return None if row is None else _unheld(row)


def _served(orchestrators: Sequence[str]) -> dict[str, str]:
    return {"orchestrator": orchestrators[0], "other_orchestrator": orchestrators[-1]}


def _unheld(row: Sequence[Any]) -> UnheldRun:
    run_id, tenant_id, automation_id, version, is_pending, is_due = row
    return UnheldRun(run_id, tenant_id, automation_id, version, bool(is_pending), bool(is_due))
