"""Tenants and their API keys: the `AccessStore` part of the store."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from sqlalchemy import func, insert, literal_column, or_, select, update

from vai.domain.state import Instant
from vai.ports import ApiKeyRecord
from vai.storage.database import Database
from vai.storage.statements import Connection, param
from vai.storage.tables import api_keys, organizations
from vai.storage.tenant_log import TenantLog

_KEY = ApiKeyRecord.__struct_fields__
_ORGANIZATION = tuple(column.name for column in organizations.columns)


class _Statements:
    def __init__(self, db: Database) -> None:
        key_columns = [api_keys.c[name] for name in _KEY]
        self.create_organization = db.compile(
            insert(organizations).values({name: param(name) for name in _ORGANIZATION})
        )
        self.organization = db.compile(select(organizations).where(organizations.c.id == param("id")))
        self.by_slug = db.compile(select(organizations).where(organizations.c.slug == param("slug")))
        self.create_key = db.compile(insert(api_keys).values({name: param(name) for name in _KEY}))
        parent = api_keys.alias("parent")
        # A session opened while its key was being revoked elsewhere is not good either.
        revoked = func.coalesce(api_keys.c.revoked_at, parent.c.revoked_at)
        self.key_by_hash = db.compile(
            select(*(revoked if column.name == "revoked_at" else column for column in key_columns))
            .select_from(api_keys.outerjoin(parent, parent.c.id == api_keys.c.parent_id))
            .where(api_keys.c.key_hash == param("key_hash"))
        )
        of_tenant = api_keys.c.tenant_id == param("tenant_id")
        self.key = db.compile(select(*key_columns).where(of_tenant, api_keys.c.id == param("key_id")))
        self.keys = db.compile(
            select(*key_columns)
            .where(of_tenant, api_keys.c.kind == literal_column("'api_key'"))
            .order_by(api_keys.c.id.desc())
        )
        key_id = param("key_id")
        key_or_its_sessions = or_(api_keys.c.id == key_id, api_keys.c.parent_id == key_id)
        self.revoke = db.compile(
            update(api_keys)
            .values(revoked_at=param("now"))
            .where(of_tenant, key_or_its_sessions, api_keys.c.revoked_at.is_(None))
            .returning(api_keys.c.id)
        )
        self.touch = db.compile(
            update(api_keys).values(last_used_at=param("now")).where(api_keys.c.id == param("key_id"))
        )


class Access(TenantLog):
    """Keys are found by their hash; the keys themselves are nowhere."""

    def _build(self) -> None:
        super()._build()
        self._access_sql = _Statements(self._db)

    async def create_organization(self, organization_id: str, name: str, slug: str, now: Instant) -> None:
        """Store a new tenant. Raises AlreadyExists when the slug is taken."""
        params = {"id": organization_id, "name": name, "slug": slug, "created_at": now}
        await self._call(lambda c: self._access_sql.create_organization.run(c, params))

    async def organization(self, organization_id: str) -> Mapping[str, Any] | None:
        """The tenant's `id`, `name`, `slug` and `created_at`, or None."""
        row = await self._db.read(
            lambda c: self._access_sql.organization.one(c, {"id": organization_id}), is_keyed=True
        )
        return None if row is None else dict(zip(_ORGANIZATION, row, strict=True))

    async def organization_by_slug(self, slug: str) -> Mapping[str, Any] | None:
        """The tenant of this slug, like `organization`."""
        row = await self._db.read(lambda c: self._access_sql.by_slug.one(c, {"slug": slug}), is_keyed=True)
        return None if row is None else dict(zip(_ORGANIZATION, row, strict=True))

    async def create_api_key(self, key: ApiKeyRecord) -> None:
        """Store a new key. Raises AlreadyExists when its tenant does not exist or its hash is known."""
        params = msgspec.structs.asdict(key)
        told = self._entry(f"{key.kind}.created", key.tenant_id, (key.kind, key.id), name=key.name, role=key.role)

        def work(connection: Connection) -> None:
            self._access_sql.create_key.run(connection, params)
            self._log.run(connection, told)

        await self._call(work)

    async def api_key_by_hash(self, key_hash: str) -> ApiKeyRecord | None:
        """The key with this hash, revoked or not, or None."""
        params = {"key_hash": key_hash}
        row = await self._db.read(lambda c: self._access_sql.key_by_hash.one(c, params), is_keyed=True)
        return None if row is None else ApiKeyRecord(*row)

    async def api_key(self, tenant_id: str, key_id: str) -> ApiKeyRecord | None:
        """The tenant's key or session of this id, revoked or not, or None."""
        params = {"tenant_id": tenant_id, "key_id": key_id}
        row = await self._db.read(lambda c: self._access_sql.key.one(c, params), is_keyed=True)
        return None if row is None else ApiKeyRecord(*row)

    async def api_keys(self, tenant_id: str) -> Sequence[ApiKeyRecord]:
        """The tenant's keys without sessions, newest first."""
        params = {"tenant_id": tenant_id}
        found = await self._db.read(lambda c: self._access_sql.keys.all(c, params), is_keyed=True)
        return [ApiKeyRecord(*row) for row in found]

    async def revoke_api_key(self, tenant_id: str, key_id: str, now: Instant) -> bool:
        """Revoke a key with the sessions made from it. False: the tenant has no such key, or it was revoked before."""
        params = {"tenant_id": tenant_id, "key_id": key_id, "now": now}
        told = self._entry("api_key.revoked", tenant_id, ("api_key", key_id))

        def work(connection: Connection) -> bool:
            if not self._access_sql.revoke.all(connection, params):
                return False
            self._log.run(connection, told)
            return True

        revoked: bool = await self._call(work)
        return revoked

    async def touch_api_key(self, key_id: str, now: Instant) -> None:
        """Note that the key was used."""
        params = {"key_id": key_id, "now": now}
        await self._call(lambda c: self._access_sql.touch.run(c, params))
