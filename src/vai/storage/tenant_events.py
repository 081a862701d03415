"""The log of organizations: the `EventStore` part of the store."""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import msgspec
from sqlalchemy import and_, bindparam, delete, func, literal_column, or_, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.sql import ColumnElement, Select

from vai.domain.state import Instant
from vai.ports import AwaitingStep, EventCounts, EventFilter, Page, TenantEvent
from vai.storage import rows
from vai.storage.database import Database
from vai.storage.event_tables import tenant_events
from vai.storage.statements import Connection, Statement, param
from vai.storage.tables import HAS_IDEMPOTENCY_KEY, steps
from vai.storage.tenant_log import EVENT_ROW, TenantLog

_event, _step = tenant_events.c, steps.c
_FIELDS = TenantEvent.__struct_fields__
_COLUMNS = [_event[name] for name in _FIELDS]
_FILTERS = ("event_type", "resource_type", "resource_id", "correlation_id")
_ONE: ColumnElement[int] = literal_column("1")
_FEW = 100  # ids in one statement
_MOST_REMOVED = 1_000  # in one transaction


def _record(row: Sequence[Any]) -> TenantEvent:
    return TenantEvent(*(*row[:-1], rows.from_json(row[-1])))


def _awaiting(row: Sequence[Any]) -> AwaitingStep:
    return AwaitingStep(*(*row[:-1], rows.event_wait(row[-1])))


class _Statements:
    def __init__(self, db: Database) -> None:
        found, mine = select(*_COLUMNS), _event.tenant_id == param("tenant_id")
        self.get = db.compile(found.where(mine, _event.id == param("id")))
        self.known = db.compile(found.where(mine, _event.idempotency_key == param("idempotency_key")))
        insert = postgresql.insert if db.dialect.name == "postgresql" else sqlite.insert
        added = insert(tenant_events).values({name: param(name) for name in EVENT_ROW})
        self.add = db.compile(
            added.on_conflict_do_nothing(
                index_elements=[_event.tenant_id, _event.idempotency_key], index_where=HAS_IDEMPOTENCY_KEY
            ).returning(_event.id)
        )
        pending = found.where(_event.is_pending == _ONE)
        self.pending = db.compile(pending.order_by(_event.id).limit(param("limit")))
        of_few = _event.id.in_([param(f"id_{i}") for i in range(_FEW)])
        self.settle = db.compile(update(tenant_events).where(of_few).values(is_pending=literal_column("0")))
        is_old = and_(mine, _event.id < param("before"), _event.is_pending == literal_column("0"))
        oldest = select(_event.id).where(is_old).order_by(_event.id).limit(literal_column(f"{_MOST_REMOVED}"))
        self.remove = db.compile(delete(tenant_events).where(_event.id.in_(oldest)))
        since = and_(mine, _event.event_type == param("event_type"), _event.occurred_at >= param("since"))
        after = found.where(since, _event.id > param("after")).order_by(_event.id)
        self.since = db.compile(after.limit(param("limit")))
        self._of_steps(db)

    def _of_steps(self, db: Database) -> None:
        columns = (_step.tenant_id, _step.run_id, _step.attempt, _step.key, _step.awaits)
        order = (_step.run_id, _step.attempt, _step.key)
        found = select(*columns).where(_step.awaits.is_not(None)).order_by(*order).limit(param("limit"))
        of_type = found.where(_step.tenant_id == param("tenant_id"), _step.awaits_type == param("event_type"))
        run_id, attempt = param("run_id"), bindparam("attempt", type_=_step.attempt.type)
        same_run = and_(_step.run_id == run_id, _step.attempt == attempt)
        later = or_(
            _step.run_id > run_id,
            and_(_step.run_id == run_id, _step.attempt > attempt),
            and_(same_run, _step.key > param("key")),
        )
        self.awaiting = db.compile(of_type)
        self.awaiting_after = db.compile(of_type.where(_step.run_id >= run_id, later))
        self.looking_back = db.compile(
            select(*columns).where(_step.looks_back == _ONE).order_by(*order).limit(param("limit"))
        )
        this = and_(same_run, _step.key == param("key"))
        self.looked_back = db.compile(update(steps).where(this).values(looks_back=None))


class TenantEvents(TenantLog):
    """See the methods of `EventStore`."""

    def _build(self) -> None:
        super()._build()
        self._event_sql = _Statements(self._db)
        self._event_page = lru_cache(self._event_page_of)
        self._event_total = lru_cache(self._event_total_of)
        self._event_groups = lru_cache(self._event_groups_of)

    async def add_event(self, event: TenantEvent, idempotency_key: str | None) -> TenantEvent:
        """See `EventStore.add_event`."""
        params = msgspec.structs.asdict(event)
        params |= {"payload": rows.to_json(event.payload), "idempotency_key": idempotency_key, "is_pending": 1}
        sql = self._event_sql

        def work(connection: Connection) -> TenantEvent:
            if sql.add.all(connection, params):
                return event
            return _record(sql.known.one(connection, params))

        stored: TenantEvent = await self._call(work)
        return stored

    async def tenant_event(self, tenant_id: str, event_id: str) -> TenantEvent | None:
        """The tenant's event, or None."""
        params = {"tenant_id": tenant_id, "id": event_id}
        row = await self._db.read(lambda c: self._event_sql.get.one(c, params), is_keyed=True)
        return None if row is None else _record(row)

    async def tenant_events(self, query: EventFilter) -> Page:
        """The tenant's events, newest first."""
        found, total = await self._db.snapshot(lambda c: self._events(c, query))
        return Page([_record(row) for row in found], total)

    def _events(self, connection: Connection, query: EventFilter) -> tuple[Sequence[Any], int]:
        params = msgspec.structs.asdict(query)
        shape = tuple(name for name in (*_FILTERS, "since", "until") if params[name] is not None)
        total = int(self._event_total(shape).all(connection, params)[0][0])
        if query.limit == 0 or query.offset >= total:
            return (), total
        return self._event_page(shape).all(connection, params), total

    def _event_page_of(self, shape: tuple[str, ...]) -> Statement:
        found = _filtered(select(*_COLUMNS), shape).order_by(_event.id.desc())
        return self._db.compile(found.limit(param("limit")).offset(param("offset")))

    def _event_total_of(self, shape: tuple[str, ...]) -> Statement:
        return self._db.compile(_filtered(select(func.count(_ONE)).select_from(tenant_events), shape))

    async def count_events(self, tenant_id: str, since: Instant | None, until: Instant | None) -> EventCounts:
        """How many events of the tenant there are, by type, actor and resource."""
        params = {"tenant_id": tenant_id, "since": since, "until": until}
        shape = tuple(name for name in ("since", "until") if params[name] is not None)

        def work(connection: Connection) -> EventCounts:
            total = int(self._event_total(shape).all(connection, params)[0][0])
            groups = (self._event_groups(f"{of}_type", shape) for of in ("event", "actor", "resource"))
            return EventCounts(total, *([(k, int(n)) for k, n in g.all(connection, params)] for g in groups))

        return await self._db.snapshot(work)

    def _event_groups_of(self, name: str, shape: tuple[str, ...]) -> Statement:
        column, count = _event[name], func.count(_ONE)
        found = _filtered(select(column, count), shape).where(column.is_not(None))
        return self._db.compile(found.group_by(column).order_by(count.desc(), column))

    # --- those that wait for events ----------------------------------------------------------------------------

    async def pending_events(self, limit: int) -> Sequence[TenantEvent]:
        """See `EventStore.pending_events`."""
        found = await self._db.read(lambda c: self._event_sql.pending.all(c, {"limit": limit}), is_keyed=True)
        return [_record(row) for row in found]

    async def settle_events(self, event_ids: Sequence[str]) -> None:
        """See `EventStore.settle_events`."""
        batches = [event_ids[i : i + _FEW] for i in range(0, len(event_ids), _FEW)]
        # The last id fills up what a batch lacks.
        params = [{f"id_{i}": batch[min(i, len(batch) - 1)] for i in range(_FEW)} for batch in batches]

        def work(connection: Connection) -> None:
            for one in params:
                self._event_sql.settle.run(connection, one)

        await self._call(work)

    async def awaiting_steps(
        self, tenant_id: str, event_type: str, after: AwaitingStep | None, limit: int
    ) -> Sequence[AwaitingStep]:
        """See `EventStore.awaiting_steps`."""
        params: dict[str, Any] = {"tenant_id": tenant_id, "event_type": event_type, "limit": limit}
        statement = self._event_sql.awaiting
        if after is not None:
            params |= {"run_id": after.run_id, "attempt": after.attempt, "key": after.key}
            statement = self._event_sql.awaiting_after
        return [_awaiting(row) for row in await self._db.read(lambda c: statement.all(c, params), is_keyed=True)]

    async def looking_back(self, limit: int) -> Sequence[AwaitingStep]:
        """See `EventStore.looking_back`."""
        found = await self._db.read(lambda c: self._event_sql.looking_back.all(c, {"limit": limit}), is_keyed=True)
        return [_awaiting(row) for row in found]

    async def events_since(
        self, tenant_id: str, event_type: str, since: Instant, after_id: str, limit: int
    ) -> Sequence[TenantEvent]:
        """See `EventStore.events_since`."""
        params = {"tenant_id": tenant_id, "event_type": event_type, "since": since}
        params |= {"after": after_id, "limit": limit}
        return [_record(row) for row in await self._db.read(lambda c: self._event_sql.since.all(c, params))]

    async def looked_back(self, step: AwaitingStep) -> None:
        """See `EventStore.looked_back`."""
        params = {"run_id": step.run_id, "attempt": step.attempt, "key": step.key}
        await self._call(lambda c: self._event_sql.looked_back.run(c, params))

    async def remove_events(self, tenant_id: str, before: Instant) -> int:
        """See `EventStore.remove_events`."""
        params = {"tenant_id": tenant_id, "before": _first_id(before)}
        removed: int = await self._call(lambda c: self._event_sql.remove.run(c, params).rowcount)
        return removed


def _first_id(at: Instant) -> str:
    """No UUIDv7 of that time or later is below this."""
    return f"{at >> 16:08x}-{at & 0xFFFF:04x}"


def _filtered(found: Select[Any], shape: tuple[str, ...]) -> Select[Any]:
    found = found.where(_event.tenant_id == param("tenant_id"))
    for name in shape:
        if name == "since":
            found = found.where(_event.occurred_at >= param(name))
        elif name == "until":
            found = found.where(_event.occurred_at < param(name))
        else:
            found = found.where(_event[name] == param(name))
    return found
