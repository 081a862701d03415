"""Credentials sealed under a data key of their organization, and data keys under the master key."""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import secrets
from typing import Any

import msgspec

from vai.connections.keys import KEY_BYTES, KeyLost, MasterKeys, fingerprint_of
from vai.ports import AlreadyExists, Clock, ConnectionStore, DataKeyRecord


class Sealing:
    """Seals and opens the credentials, and other secrets, of all organizations. Raises BadMasterKey wherever a key is
    needed."""

    def __init__(self, store: ConnectionStore, keys: MasterKeys, clock: Clock) -> None:
        self._store, self._keys, self._clock = store, keys, clock
        self._making = asyncio.Lock()

    async def seal(self, tenant_id: str, owner_id: str, secret: Any) -> str:
        """Credentials as text for the database, bound to the connection, or whatever has them, of this tenant. Raises
        KeyLost."""
        aes = await _aes()
        key = await self._data_key(tenant_id, make=True)
        sealed: str = aes.seal(key, msgspec.json.encode(secret), _bound_to(tenant_id, owner_id))
        return sealed

    async def open(self, tenant_id: str, owner_id: str, sealed: str) -> Any:
        """What was sealed so. Raises KeyLost."""
        aes = await _aes()
        key = await self._data_key(tenant_id, make=False)
        plain = aes.unseal(key, sealed, _bound_to(tenant_id, owner_id))
        if plain is None:
            raise KeyLost("What was sealed cannot be opened; enter the credentials anew.")
        return msgspec.json.decode(plain)

    async def rotate(self) -> int:
        """Seal every data key anew under the newest master key; how many were. Raises KeyLost, having changed
        nothing. What is at work goes on: the old key opens until then, the new one from then on."""
        aes = await _aes()
        records = await self._store.data_keys()
        newest = self._keys.newest()
        name = fingerprint_of(newest)
        changed = [
            msgspec.structs.replace(
                record, master_key=name, sealed=aes.seal(newest, self._opened(aes, record), _of_key(record.tenant_id))
            )
            for record in records
            if record.master_key != name
        ]
        await self._store.update_data_keys(changed)
        return len(changed)

    async def _data_key(self, tenant_id: str, *, make: bool) -> bytes:
        aes = await _aes()
        record = await self._store.data_key(tenant_id)
        if record is None and make:
            async with self._making:
                record = await self._made(aes, tenant_id)
        if record is None:
            raise KeyLost("The organization's data key is not in the database.")
        return self._opened(aes, record)

    async def _made(self, aes: Any, tenant_id: str) -> DataKeyRecord | None:
        master = self._keys.newest()
        sealed = aes.seal(master, secrets.token_bytes(KEY_BYTES), _of_key(tenant_id))
        # Whoever was faster, here or in another process, made the key that counts.
        with contextlib.suppress(AlreadyExists):
            await self._store.create_data_key(DataKeyRecord(tenant_id, fingerprint_of(master), sealed, self._clock()))
        return await self._store.data_key(tenant_id)

    def _opened(self, aes: Any, record: DataKeyRecord) -> bytes:
        master = self._keys.by_fingerprint(record.master_key)
        key: bytes | None = aes.unseal(master, record.sealed, _of_key(record.tenant_id))
        if key is None:
            raise KeyLost("The organization's data key was changed in the database, and cannot be opened.")
        return key


async def _aes() -> Any:
    return await asyncio.to_thread(importlib.import_module, "vai.connections.aes")


def _bound_to(tenant_id: str, owner_id: str) -> bytes:
    return f"vai connection {tenant_id} {owner_id}".encode()


def _of_key(tenant_id: str) -> bytes:
    return f"vai data key {tenant_id}".encode()
