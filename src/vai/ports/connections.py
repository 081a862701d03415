"""Connections: what steps need of other systems, with their credentials. Whoever resolves one knows no action."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import msgspec

from vai.domain.state import Instant
from vai.ports.actions import Connection, Ref
from vai.ports.changes import Page


class ConnectionRecord(msgspec.Struct, frozen=True):
    """A connection's row. `credentials` is sealed text; what stands in it is known by its fields' names alone."""

    id: str
    tenant_id: str
    name: str
    slug: str
    provider: str
    config: Any
    credentials: str | None
    credential_fields: Sequence[str]
    status: str  # needs_verification | active | error
    verification_error: str | None
    last_verified_at: Instant | None
    created_at: Instant
    updated_at: Instant


class DataKeyRecord(msgspec.Struct, frozen=True):
    """An organization's data key, sealed under the master key whose fingerprint is `master_key`."""

    tenant_id: str
    master_key: str
    sealed: str
    created_at: Instant


class Resolver(Protocol):
    """Finds connections for steps."""

    async def resolve(self, tenant_id: str, ref: Ref) -> Connection:
        """The tenant's connection of this ref. Raises ActionFailed `connection_missing`, `connection_ambiguous` or
        `connection_unreadable`."""
        ...


class ConnectionStore(Protocol):
    """Where connections and data keys are kept."""

    async def create_connection(self, record: ConnectionRecord) -> None:
        """Raises AlreadyExists when the slug is taken."""
        ...

    async def connection(self, tenant_id: str, connection_id: str) -> ConnectionRecord | None: ...
    async def connections_named(self, tenant_id: str, field: str, value: str) -> Sequence[ConnectionRecord]:
        """Those whose `slug` or `provider` this is; two at most."""
        ...

    async def connections(self, tenant_id: str, limit: int, offset: int) -> Page: ...
    async def update_connection(self, record: ConnectionRecord, expected: Instant) -> bool:
        """Write it, if its `updated_at` is still the `expected` one. Raises AlreadyExists when the slug is taken."""
        ...

    async def delete_connection(self, tenant_id: str, connection_id: str) -> bool: ...
    async def data_key(self, tenant_id: str) -> DataKeyRecord | None: ...
    async def data_keys(self) -> Sequence[DataKeyRecord]:
        """Those of all organizations: for the rotation of the master key."""
        ...

    async def create_data_key(self, record: DataKeyRecord) -> None:
        """Raises AlreadyExists when the organization has one."""
        ...

    async def update_data_keys(self, records: Sequence[DataKeyRecord]) -> None:
        """Replace them, all or none."""
        ...
