"""Connections and data keys: the `ConnectionStore` part of the store, the tenant in every statement on connections."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from sqlalchemy import and_, delete, func, insert, select, update

from vai.domain.state import Instant
from vai.ports import ConnectionRecord, DataKeyRecord, Page
from vai.storage import rows
from vai.storage.database import Database
from vai.storage.statements import Connection, param
from vai.storage.tables import connections, data_keys
from vai.storage.tenant_log import TenantLog

_FIELDS = ConnectionRecord.__struct_fields__
_KEY_FIELDS = DataKeyRecord.__struct_fields__
_JSON = ("config", "credential_fields")
_FIXED = ("id", "tenant_id", "created_at")


class _Statements:
    def __init__(self, db: Database) -> None:
        row, columns = connections.c, [connections.c[name] for name in _FIELDS]
        of_tenant = row.tenant_id == param("tenant_id")
        mine = and_(of_tenant, row.id == param("id"))
        found = select(*columns)
        self.create = db.compile(insert(connections).values({name: param(name) for name in _FIELDS}))
        self.get = db.compile(found.where(mine))
        self.named = {
            field: db.compile(found.where(of_tenant, row[field] == param("value")).order_by(row.id).limit(2))
            for field in ("slug", "provider")
        }
        newest = found.where(of_tenant).order_by(row.id.desc())
        self.page = db.compile(newest.limit(param("limit")).offset(param("offset")))
        self.total = db.compile(select(func.count()).select_from(connections).where(of_tenant))
        changes = {name: param(name) for name in _FIELDS if name not in _FIXED}
        is_as_read = row.updated_at == param("expected")
        self.update = db.compile(update(connections).values(changes).where(mine, is_as_read).returning(row.id))
        self.delete = db.compile(delete(connections).where(mine).returning(row.id))
        self._of_keys(db)

    def _of_keys(self, db: Database) -> None:
        key, found = data_keys.c, select(*(data_keys.c[name] for name in _KEY_FIELDS))
        of_tenant = key.tenant_id == param("tenant_id")
        self.key = db.compile(found.where(of_tenant))
        self.keys = db.compile(found.order_by(key.tenant_id))
        self.create_key = db.compile(insert(data_keys).values({name: param(name) for name in _KEY_FIELDS}))
        changes = {"master_key": param("master_key"), "sealed": param("sealed")}
        self.update_key = db.compile(update(data_keys).values(changes).where(of_tenant))


def _params(record: ConnectionRecord) -> dict[str, Any]:
    return {**msgspec.structs.asdict(record), **{name: rows.to_json(getattr(record, name)) for name in _JSON}}


def _record(row: Sequence[Any]) -> ConnectionRecord:
    values = dict(zip(_FIELDS, row, strict=True))
    return ConnectionRecord(**values | {name: rows.from_json(values[name]) for name in _JSON})


class Connections(TenantLog):
    """Credentials come here sealed."""

    def _build(self) -> None:
        super()._build()
        self._connection_sql = _Statements(self._db)

    async def create_connection(self, record: ConnectionRecord) -> None:
        """Store a new connection. Raises AlreadyExists when its slug is taken."""
        params, told = _params(record), self._told_of(record, "created")

        def work(connection: Connection) -> None:
            self._connection_sql.create.run(connection, params)
            self._log.run(connection, told)

        await self._call(work)

    async def connection(self, tenant_id: str, connection_id: str) -> ConnectionRecord | None:
        """The tenant's connection, or None."""
        params = {"tenant_id": tenant_id, "id": connection_id}
        row = await self._db.read(lambda c: self._connection_sql.get.one(c, params), is_keyed=True)
        return None if row is None else _record(row)

    async def connections_named(self, tenant_id: str, field: str, value: str) -> Sequence[ConnectionRecord]:
        """The tenant's connections whose `slug` or `provider` this is; two at most."""
        params, statement = {"tenant_id": tenant_id, "value": value}, self._connection_sql.named[field]
        found = await self._db.read(lambda c: statement.all(c, params), is_keyed=True)
        return [_record(row) for row in found]

    async def connections(self, tenant_id: str, limit: int, offset: int) -> Page:
        """The tenant's connections, newest first."""
        params, sql = {"tenant_id": tenant_id, "limit": limit, "offset": offset}, self._connection_sql

        def read(connection: Connection) -> tuple[Sequence[Any], int]:
            return sql.page.all(connection, params), sql.total.one(connection, params)[0]

        found, total = await self._db.read(read)
        return Page([_record(row) for row in found], total)

    async def update_connection(self, record: ConnectionRecord, expected: Instant) -> bool:
        """Write it unless somebody was faster. Raises AlreadyExists when the slug is taken."""
        params, told = {**_params(record), "expected": expected}, self._told_of(record, "updated")

        def work(connection: Connection) -> bool:
            if not self._connection_sql.update.all(connection, params):
                return False
            self._log.run(connection, told)
            return True

        written: bool = await self._call(work)
        return written

    def _told_of(self, record: ConnectionRecord, change: str) -> Mapping[str, Any]:
        known = {"slug": record.slug, "provider": record.provider, "status": record.status}
        return self._entry(f"connection.{change}", record.tenant_id, ("connection", record.id), **known)

    async def delete_connection(self, tenant_id: str, connection_id: str) -> bool:
        """Remove it. False: the tenant has no such connection."""
        params = {"tenant_id": tenant_id, "id": connection_id}
        told = self._entry("connection.deleted", tenant_id, ("connection", connection_id))

        def work(connection: Connection) -> bool:
            if not self._connection_sql.delete.all(connection, params):
                return False
            self._log.run(connection, told)
            return True

        removed: bool = await self._call(work)
        return removed

    async def data_key(self, tenant_id: str) -> DataKeyRecord | None:
        """The tenant's data key, sealed, or None."""
        params = {"tenant_id": tenant_id}
        row = await self._db.read(lambda c: self._connection_sql.key.one(c, params), is_keyed=True)
        return None if row is None else DataKeyRecord(*row)

    async def data_keys(self) -> Sequence[DataKeyRecord]:
        """All data keys, sealed."""
        return [DataKeyRecord(*row) for row in await self._db.read(self._connection_sql.keys.all)]

    async def create_data_key(self, record: DataKeyRecord) -> None:
        """Store the tenant's data key. Raises AlreadyExists when it has one."""
        params = msgspec.structs.asdict(record)
        await self._call(lambda c: self._connection_sql.create_key.run(c, params))

    async def update_data_keys(self, records: Sequence[DataKeyRecord]) -> None:
        """Replace data keys, in one transaction."""
        many = [msgspec.structs.asdict(record) for record in records]

        def work(connection: Connection) -> None:
            for params in many:
                self._connection_sql.update_key.run(connection, params)

        await self._call(work)
