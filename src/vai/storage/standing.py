"""How things stand: the `OperationsStore` part of the store, and the same on a bare connection."""

from collections.abc import Sequence

from sqlalchemy import and_, case, func, literal_column, or_, select
from sqlalchemy.sql import ColumnElement

from vai.domain.state import Instant
from vai.ports import ORCHESTRATORS, EngineRecord, Standing, Transactions
from vai.storage.base import StoreBase
from vai.storage.database import Database
from vai.storage.statements import Connection, param
from vai.storage.tables import automation_runs, engines, run_counts
from vai.storage.trigger_tables import triggers

_run = automation_runs.c
_A_MINUTE: ColumnElement[int] = literal_column("60000")
_LIVE = _run.completed_at.is_(None)


class StandingStatements:
    """The statements that a `Standing` takes, compiled for one database."""

    def __init__(self, db: Database) -> None:
        self._db = db
        now = db.now
        self.now = db.compile(select(now))
        self.runs = db.compile(select(run_counts.c.status, func.sum(run_counts.c.count)).group_by(run_counts.c.status))
        # What nobody has to wait for could be taken since it was last changed; the rest since it was due.
        at_once = or_(_run.status == "pending", _run.cancel_requested_at.is_not(None), _run.executing > 0)
        since = case((at_once, _run.updated_at), else_=_run.due_at)
        served = _run.orchestrator_type.in_([param("orchestrator"), param("other_orchestrator")])
        waits = and_(_LIVE, _run.lease_owner.is_(None), served, or_(at_once, _run.due_at <= now))
        self.waiting = db.compile(select(func.count(), func.min(since)).where(waits))
        self.longest = db.compile(select(_run.id).where(waits).order_by(since, _run.id).limit(1))
        held = select(func.count()).where(_LIVE, _run.lease_owner == engines.c.id).correlate(engines).scalar_subquery()
        e = engines.c
        expired = case((e.lease_expires_at <= now, literal_column("1")), else_=literal_column("0"))
        self.engines = db.compile(
            select(e.id, e.host, e.pid, e.started_at, e.lease_expires_at, expired, held).order_by(e.id)
        )

        due = triggers.c.next_due_at
        is_late = and_(due.is_not(None), triggers.c.is_paused == literal_column("0"), due <= now - _A_MINUTE)
        self.overdue = db.compile(select(func.count(), func.min(due)).where(is_late))

    def read(
        self,
        connection: Connection,
        clock: Instant,
        orchestrators: Sequence[str] = ORCHESTRATORS,
        *,
        has_triggers: bool = True,
    ) -> Standing:
        """How things stand. `clock`: the present, for databases without a clock of their own. `has_triggers`: the
        schema is new enough for them."""
        params = {"now": clock, "orchestrator": orchestrators[0], "other_orchestrator": orchestrators[-1]}
        waiting, since = self.waiting.one(connection, params)
        overdue, overdue_since = self.overdue.one(connection, params) if has_triggers else (0, None)
        longest = self.longest.one(connection, params) if waiting else None
        return Standing(
            now=self.now.one(connection, params)[0],
            runs={status: int(count) for status, count in self.runs.all(connection)},
            waiting=waiting,
            waiting_since=since,
            longest_waiting=longest and longest[0],
            engines=self._engines(connection, params),
            overdue=overdue,
            overdue_since=overdue_since,
        )

    def _engines(self, connection: Connection, params: dict[str, object]) -> list[EngineRecord]:
        found = self.engines.all(connection, params)
        missing = set(self._db.missing(connection, [row[0] for row in found]))
        return [
            EngineRecord(
                engine_id, host, pid, started_at, expires_at, engine_id not in missing and not is_expired, held
            )
            for engine_id, host, pid, started_at, expires_at, is_expired, held in found
        ]


class Operations(StoreBase):
    """What operators ask."""

    def _build(self) -> None:
        super()._build()
        self.on_transaction: list[Transactions] = []
        self._standing_sql = StandingStatements(self._db)

    @property
    def outage_since(self) -> Instant | None:
        """Since when the database cannot be used; None while it can."""
        return self._db.outage.since

    @property
    def outage_reason(self) -> str:
        """Why it cannot be used, or could not the last time."""
        return self._db.outage.reason

    async def standing(self, orchestrators: Sequence[str] = ORCHESTRATORS) -> Standing:
        """How things stand; waiting runs are counted of these orchestrators."""
        clock = self._clock()
        return await self._db.read(lambda c: self._standing_sql.read(c, clock, orchestrators))
