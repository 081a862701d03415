"""Connections: created, changed, verified, removed, and found for the steps that name them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

import msgspec
from uuid_utils import uuid7

from vai.access import Principal
from vai.connections.keys import BadMasterKey, KeyLost
from vai.connections.sealing import Sealing
from vai.definition import fixed_refs, unknown_ref
from vai.ports import (
    REF_FIELDS,
    ActionFailed,
    AlreadyExists,
    Clock,
    Connection,
    ConnectionRecord,
    ConnectionStore,
    Fault,
    Page,
    Ref,
)
from vai.runs.errors import NotFound, RunsError

NEEDS_VERIFICATION = "needs_verification"


class SlugTaken(RunsError):
    """Another connection of the organization has this slug."""


class ConnectionChanged(RunsError):
    """Somebody else changed the connection meanwhile."""


class NewConnection(msgspec.Struct, frozen=True):
    """What a connection is made from. `slug`: default, made of the name."""

    name: str
    provider: str
    config: Mapping[str, Any]
    credentials: Mapping[str, Any]
    slug: str | None = None

    def __repr__(self) -> str:
        return f"NewConnection({self.name!r})"


class ConnectionPatch(msgspec.Struct, frozen=True):
    """What is to be changed; UNSET stays. `credentials` replace all that there were."""

    name: str | msgspec.UnsetType = msgspec.UNSET
    slug: str | msgspec.UnsetType = msgspec.UNSET
    provider: str | msgspec.UnsetType = msgspec.UNSET
    config: Mapping[str, Any] | msgspec.UnsetType = msgspec.UNSET
    credentials: Mapping[str, Any] | msgspec.UnsetType = msgspec.UNSET

    def __repr__(self) -> str:
        return "ConnectionPatch(…)"


class Verdict(msgspec.Struct, frozen=True):
    """What trying a connection told. `works` is None for a provider that cannot be tried."""

    works: bool | None
    message: str


Verifier = Callable[[Connection], Awaitable[Verdict]]
"""Tries a connection; its message holds no secret."""


class Connections:
    """The connections of all organizations; every question names the one that asks. It is the Resolver of steps."""

    def __init__(self, store: ConnectionStore, sealing: Sealing, verify: Verifier, clock: Clock) -> None:
        self._store, self._sealing, self._verify, self._clock = store, sealing, verify, clock

    async def create(self, who: Principal, new: NewConnection) -> ConnectionRecord:
        """A new connection, not yet verified. Raises SlugTaken, KeyLost, BadMasterKey."""
        connection_id, now = str(uuid7()), self._clock()
        record = ConnectionRecord(
            id=connection_id,
            tenant_id=who.tenant_id,
            name=new.name,
            slug=new.slug or _slug(new.name),
            provider=new.provider,
            config=new.config,
            credentials=await self._sealed(who.tenant_id, connection_id, new.credentials),
            credential_fields=sorted(new.credentials),
            status=NEEDS_VERIFICATION,
            verification_error=None,
            last_verified_at=None,
            created_at=now,
            updated_at=now,
        )
        try:
            await self._store.create_connection(record)
        except AlreadyExists:
            raise _taken(record.slug) from None
        return record

    async def _sealed(self, tenant_id: str, connection_id: str, credentials: Mapping[str, Any]) -> str | None:
        return await self._sealing.seal(tenant_id, connection_id, credentials) if credentials else None

    async def get(self, who: Principal, connection_id: str) -> ConnectionRecord:
        """One connection. Raises NotFound."""
        record = await self._store.connection(who.tenant_id, connection_id)
        if record is None:
            raise NotFound(f"There is no connection {connection_id}.")
        return record

    async def list(self, who: Principal, limit: int, offset: int) -> Page:
        """Connections, newest first."""
        return await self._store.connections(who.tenant_id, limit, offset)

    async def update(self, who: Principal, connection_id: str, patch: ConnectionPatch) -> ConnectionRecord:
        """Change it; unless only names change, it has to be verified again.

        Raises NotFound, SlugTaken, ConnectionChanged, KeyLost, BadMasterKey.
        """
        record = await self.get(who, connection_id)
        given = {name: getattr(patch, name) for name in patch.__struct_fields__}
        changes = {name: value for name, value in given.items() if value is not msgspec.UNSET}
        if {"provider", "config", "credentials"} & changes.keys():
            changes |= {"status": NEEDS_VERIFICATION, "verification_error": None}
        if "credentials" in changes:
            credentials = changes["credentials"]
            changes["credential_fields"] = sorted(credentials)
            changes["credentials"] = await self._sealed(who.tenant_id, connection_id, credentials)
        return await self._write(record, changes)

    async def _write(self, record: ConnectionRecord, changes: Mapping[str, Any]) -> ConnectionRecord:
        # Each change has a later time than the one before: it is what guards against losing one of two.
        now = max(self._clock(), record.updated_at + 1)
        changed = msgspec.structs.replace(record, updated_at=now, **changes)
        try:
            written = await self._store.update_connection(changed, record.updated_at)
        except AlreadyExists:
            raise _taken(changed.slug) from None
        if not written:
            raise ConnectionChanged("Somebody else changed the connection just now; look again.")
        return changed

    async def delete(self, who: Principal, connection_id: str) -> None:
        """Remove it with its credentials. Raises NotFound."""
        if not await self._store.delete_connection(who.tenant_id, connection_id):
            raise NotFound(f"There is no connection {connection_id}.")

    async def verify(self, who: Principal, connection_id: str) -> tuple[ConnectionRecord, Verdict]:
        """Try it, and keep what that told. Raises NotFound, ConnectionChanged, KeyLost, BadMasterKey."""
        record = await self.get(who, connection_id)
        verdict = await self._verify(await self._opened(record))
        if verdict.works is None:
            return record, verdict
        status, error = ("active", None) if verdict.works else ("error", verdict.message)
        changes = {"status": status, "verification_error": error, "last_verified_at": self._clock()}
        return await self._write(record, changes), verdict

    async def _opened(self, record: ConnectionRecord) -> Connection:
        credentials: Mapping[str, Any] = {}
        if record.credentials is not None:
            credentials = await self._sealing.open(record.tenant_id, record.id, record.credentials)
        return Connection(record.id, record.slug, record.provider, record.config, credentials)

    async def resolve(self, tenant_id: str, ref: Ref) -> Connection:
        """The connection of a ref, for a step. Raises ActionFailed `connection_missing`, `connection_ambiguous` or
        `connection_unreadable`."""
        ways = [(field, ref) for field in REF_FIELDS] if isinstance(ref, str) else list(ref.items())
        for field, value in ways:
            found = await self._found(tenant_id, field, value)
            if len(found) > 1:
                sentence = f"There are several connections of the provider {value!r}: name one by its slug."
                raise ActionFailed("connection_ambiguous", sentence, details={"connectionRef": ref})
            if found:
                return await self._for_step(found[0])
        shown = ref if isinstance(ref, str) else ", ".join(f"{field} {value}" for field, value in ref.items())
        sentence = f"There is no connection {shown!r}. Create it (vai connections create), then retry the run."
        raise ActionFailed("connection_missing", sentence, details={"connectionRef": ref})

    async def unknown(self, who: Principal, config: Any) -> Sequence[Fault]:
        """A note on each connection that a config names and that is not there."""
        known: dict[str, bool] = {}
        notes = []
        for loc, ref in fixed_refs(config):
            ways = [(field, ref) for field in REF_FIELDS] if isinstance(ref, str) else list(ref.items())
            if str(ref) not in known:
                known[str(ref)] = any([await self._found(who.tenant_id, field, value) for field, value in ways])
            if not known[str(ref)]:
                notes.append(unknown_ref(loc, ref))
        return notes

    async def _found(self, tenant_id: str, field: str, value: str) -> Sequence[ConnectionRecord]:
        if field == "id":
            record = await self._store.connection(tenant_id, value)
            return [] if record is None else [record]
        return await self._store.connections_named(tenant_id, field, value)

    async def _for_step(self, record: ConnectionRecord) -> Connection:
        try:
            return await self._opened(record)
        except (KeyLost, BadMasterKey) as reason:
            raise ActionFailed("connection_unreadable", str(reason)) from None


def _taken(slug: str) -> SlugTaken:
    return SlugTaken(f"There is already a connection with the slug {slug!r}. Change that one, or choose another slug.")


def _slug(name: str) -> str:
    words = "".join(char.lower() if char.isascii() and char.isalnum() else " " for char in name).split()
    return "-".join(words)[:80] or "connection"
