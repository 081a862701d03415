"""The door of access: who calls, from which organization, by which credential. Roles get their place here."""

import contextlib
import hashlib
import hmac
import secrets
from collections.abc import Mapping
from typing import Any

import msgspec
from uuid_utils import uuid7

from vai.domain.state import Instant
from vai.ports import AccessStore, AlreadyExists, ApiKeyRecord, Clock, StoreUnavailable

KEY_PREFIX = "vai_key_"
SESSION_PREFIX = "vai_ses_"
SESSION_SECONDS = 7 * 24 * 3600
_CACHE_MS = 5_000  # a key revoked by another process is refused after this time at the latest
_CACHE_SIZE = 1_000


class Principal(msgspec.Struct, frozen=True):
    """Who calls: the organization, what kind of caller, and the key's id."""

    tenant_id: str
    source_type: str  # user | api_key: what the runs say of who started them
    source_id: str
    role: str
    name: str = ""  # of the API key
    key_id: str | None = None  # of the API key, also behind a session

    @property
    def names(self) -> tuple[str, ...]:
        """What assignees may call the caller: its id, that of its API key, and the key's name."""
        return tuple(dict.fromkeys(filter(None, (self.source_id, self.key_id, self.name))))


class Unauthenticated(Exception):
    """The credential is missing or not (any longer) good."""


class Access:
    """Keys and sessions of organizations."""

    def __init__(self, store: AccessStore, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._cache: dict[str, tuple[Instant, ApiKeyRecord]] = {}

    async def authenticate(self, secret: str) -> Principal:
        """The caller whose key or session token this is. Raises Unauthenticated."""
        record = await self._record(_hash(secret))
        now = self._clock()
        expired = record.expires_at is not None and record.expires_at <= now
        if record.revoked_at is not None or expired:
            raise Unauthenticated("The credential has been revoked or has expired.")
        source_type = "user" if record.kind == "session" else "api_key"
        return Principal(
            record.tenant_id, source_type, record.id, record.role, record.name, record.parent_id or record.id
        )

    async def _record(self, key_hash: str) -> ApiKeyRecord:
        now = self._clock()
        cached = self._cache.get(key_hash)
        if cached is not None and now - cached[0] < _CACHE_MS:
            return cached[1]
        record = await self._store.api_key_by_hash(key_hash)
        if record is None or not hmac.compare_digest(record.key_hash, key_hash):
            raise Unauthenticated("The credential is not known here.")
        if len(self._cache) >= _CACHE_SIZE:
            self._cache.clear()
        self._cache[key_hash] = (now, record)
        with contextlib.suppress(StoreUnavailable):  # reading goes on where nothing can be written
            await self._store.touch_api_key(record.id, now)
        return record

    async def open_session(self, secret: str) -> tuple[str, Instant]:
        """Exchange an API key for a session token and its expiry. Raises Unauthenticated."""
        principal = await self.authenticate(secret)
        expires_at = self._clock() + SESSION_SECONDS * 1000
        token = SESSION_PREFIX + secrets.token_urlsafe(32)
        await self._add(token, principal.tenant_id, principal.name, principal.role, parent=principal, until=expires_at)
        return token, expires_at

    async def close_session(self, token: str) -> None:
        """Sign out: the token is not good any more. Unknown tokens are ignored."""
        record = await self._store.api_key_by_hash(_hash(token))
        if record is not None and record.kind == "session":
            await self.revoke(record.tenant_id, record.id)

    async def create_api_key(self, tenant_id: str, name: str, role: str = "admin") -> str:
        """A new key of the organization; shown this once, kept as a hash."""
        secret = new_key()
        await self._add(secret, tenant_id, name, role)
        return secret

    async def revoke(self, tenant_id: str, key_id: str) -> bool:
        """Make a key or session useless. False: there is no such key in the organization."""
        self._cache.clear()
        return await self._store.revoke_api_key(tenant_id, key_id, self._clock())

    async def _add(
        self,
        secret: str,
        tenant_id: str,
        name: str,
        role: str,
        *,
        parent: Principal | None = None,
        until: Instant | None = None,
    ) -> None:
        await self._store.create_api_key(
            ApiKeyRecord(
                id=str(uuid7()),
                tenant_id=tenant_id,
                name=name,
                prefix=secret[: len(KEY_PREFIX) + 4],
                key_hash=_hash(secret),
                role=role,
                kind="api_key" if parent is None else "session",
                parent_id=None if parent is None else parent.source_id,
                expires_at=until,
                created_at=self._clock(),
                last_used_at=None,
                revoked_at=None,
            )
        )

    async def organization(self, tenant_id: str) -> Mapping[str, Any]:
        """The organization's id, name and slug."""
        return await self._store.organization(tenant_id) or {}

    async def default_organization(self) -> str:
        """The id of the organization `default`, created when it is not there."""
        found = await self._store.organization_by_slug("default")
        if found is None:
            # Another process may be making it at this moment: then that one counts.
            with contextlib.suppress(AlreadyExists):
                await self._store.create_organization(str(uuid7()), "Default", "default", self._clock())
            found = await self._store.organization_by_slug("default")
        return str(found["id"]) if found else ""

    async def admit(self, secret: str, tenant_id: str, name: str) -> None:
        """Make `secret`, an API key from a file, good for the organization. One that was revoked stays so."""
        if await self._store.api_key_by_hash(_hash(secret)) is None:
            with contextlib.suppress(AlreadyExists):
                await self._add(secret, tenant_id, name, "admin")


def new_key() -> str:
    """A secret for a new API key."""
    return KEY_PREFIX + secrets.token_urlsafe(32)


def _hash(secret: str) -> str:
    # Keys are 256 random bits: a plain hash cannot be searched, and a slow one would cost each request.
    return hashlib.sha256(secret.encode()).hexdigest()
