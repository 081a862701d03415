"""What one run's end or beginning asks of others: parents to be told, children and rivals to be cancelled."""

from collections.abc import Sequence

from sqlalchemy import and_, case, func, literal_column, select, tuple_, update
from sqlalchemy.sql import ColumnElement

from vai.ports import EndedChild, Turn
from vai.storage.base import StoreBase
from vai.storage.database import Database
from vai.storage.statements import Connection, param
from vai.storage.tables import automation_runs, steps

_run = automation_runs.c
_MOST: ColumnElement[int] = literal_column("100")
_ZERO: ColumnElement[int] = literal_column("0")
_ONE: ColumnElement[int] = literal_column("1")
_STEP_ENDED = steps.c.completed_at.is_not(None)


class _Statements:
    def __init__(self, db: Database) -> None:
        self._of_children(db)
        self._of_keys(db)
        self._of_turns(db)

    def _of_children(self, db: Database) -> None:
        to_tell = and_(_run.parent_run_id.is_not(None), _run.parent_told == _ZERO)
        its_step = and_(
            steps.c.run_id == _run.parent_run_id,
            steps.c.attempt == _run.parent_attempt,
            steps.c.key == _run.parent_step_key,
        )
        # A step that has started its child and has not said so yet is neither: it is looked at again later.
        is_awaited = and_(steps.c.child_run_id == _run.id, steps.c.completed_at.is_(None))
        joined = automation_runs.join(steps, its_step)
        self.ended_children = db.compile(
            select(_run.id, _run.parent_run_id, _run.parent_step_key, case((is_awaited, _ONE), else_=_ZERO))
            .select_from(joined)
            .where(to_tell, _run.completed_at.is_not(None), is_awaited | _STEP_ENDED)
            .order_by(_run.completed_at)
            .limit(_MOST)
        )
        self.orphans = db.compile(
            select(_run.id)
            .select_from(joined)
            .where(to_tell, _run.completed_at.is_(None), _run.cancel_requested_at.is_(None), _STEP_ENDED)
            .limit(_MOST)
        )
        self.forget_child = db.compile(
            update(automation_runs).where(_run.id == param("run_id")).values(parent_told=_ONE)
        )

    def _of_keys(self, db: Database) -> None:
        newer, older = automation_runs.alias("newer"), automation_runs.alias("older")
        same = and_(older.c.tenant_id == newer.c.tenant_id, older.c.concurrency_key == newer.c.concurrency_key)
        # The newest of a key are left alone, as many as the limit of the one that is held back.
        between = automation_runs.alias("between")
        kept = (
            select(func.count())
            .select_from(between)
            .where(
                between.c.tenant_id == newer.c.tenant_id,
                between.c.concurrency_key == newer.c.concurrency_key,
                between.c.completed_at.is_(None),
                between.c.cancel_requested_at.is_(None),
                tuple_(between.c.queued_at, between.c.id) > tuple_(older.c.queued_at, older.c.id),
            )
            .scalar_subquery()
        )
        waits = and_(
            newer.c.is_queued == literal_column("1"), newer.c.on_conflict == literal_column("'cancel_running'")
        )
        is_older = tuple_(older.c.queued_at, older.c.id) < tuple_(newer.c.queued_at, newer.c.id)
        self.giving_way = db.compile(
            select(older.c.id)
            .select_from(newer.join(older, same))
            .where(newer.c.completed_at.is_(None), newer.c.concurrency_key.is_not(None), waits)
            .where(older.c.completed_at.is_(None), older.c.concurrency_key.is_not(None))  # the index of both
            .where(older.c.cancel_requested_at.is_(None), is_older)
            .where(kept >= newer.c.concurrency_limit)
            .order_by(newer.c.tenant_id, newer.c.concurrency_key)  # so that SQLite begins with the index of keys
        )

    def _of_turns(self, db: Database) -> None:
        mine = and_(_run.id == param("run_id"), _run.tenant_id == param("tenant_id"))
        held = and_(mine, _run.is_queued == _ONE, _run.completed_at.is_(None))
        self.held_back = db.compile(select(_run.concurrency_key, _run.queued_at).where(held))
        of_key = and_(
            _run.tenant_id == param("tenant_id"),
            _run.concurrency_key == param("key"),
            _run.completed_at.is_(None),
        )
        self.under_way = db.compile(
            select(_run.id).where(of_key, _run.is_queued == _ZERO).order_by(_run.id).limit(literal_column("5"))
        )
        earlier = tuple_(_run.queued_at, _run.id) < tuple_(param("queued_at"), param("run_id"))
        self.before = db.compile(select(func.count()).where(of_key, _run.is_queued == _ONE, earlier))


class Upkeep(StoreBase):
    """See the methods of `UpkeepStore`."""

    def _build(self) -> None:
        super()._build()
        self._upkeep_sql = _Statements(self._db)

    async def turn(self, tenant_id: str, run_id: str) -> Turn:
        """See `UpkeepStore.turn`."""
        sql, params = self._upkeep_sql, {"tenant_id": tenant_id, "run_id": run_id}

        def work(connection: Connection) -> Turn:
            held = sql.held_back.one(connection, params)
            if held is None:
                return Turn()
            of_key = {**params, "key": held[0], "queued_at": held[1]}
            under_way = [row[0] for row in sql.under_way.all(connection, of_key)]
            return Turn(True, held[1], under_way, sql.before.all(connection, of_key)[0][0])

        return await self._db.snapshot(work)

    async def ended_children(self) -> Sequence[EndedChild]:
        """See `UpkeepStore.ended_children`."""
        found = await self._db.read(lambda c: self._upkeep_sql.ended_children.all(c), is_keyed=True)
        return [EndedChild(child, parent, key, bool(is_awaited)) for child, parent, key, is_awaited in found]

    async def forget_child(self, run_id: str) -> None:
        """See `UpkeepStore.forget_child`."""
        await self._call(lambda c: self._upkeep_sql.forget_child.run(c, {"run_id": run_id}))

    async def orphans(self) -> Sequence[str]:
        """See `UpkeepStore.orphans`."""
        return [row[0] for row in await self._db.read(lambda c: self._upkeep_sql.orphans.all(c), is_keyed=True)]

    async def giving_way(self) -> Sequence[str]:
        """See `UpkeepStore.giving_way`."""
        found = await self._db.read(lambda c: self._upkeep_sql.giving_way.all(c), is_keyed=True)
        return list(dict.fromkeys(row[0] for row in found))  # DISTINCT would make SQLite read all runs in order
