"""Credentials under a data key, data keys under a master key: what opens what, and what is told when nothing does."""

import base64
import stat
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest

from tests.storage.samples import NOW, Tenant, add_tenant
from vai.connections import BadMasterKey, KeyLost, MasterKeys, Sealing
from vai.storage import open_store
from vai.storage.store import SqlStore

OLD, NEW = (base64.b64encode(bytes([n]) * 32).decode() for n in (1, 2))
SECRET = {"token": "s3cret-value"}


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqlStore]:
    store = open_store(f"sqlite:///{tmp_path / 'vai.db'}", clock=lambda: NOW)
    await store.open()
    yield store  # type: ignore[misc]
    await store.close()


@pytest.fixture
async def tenant(store: SqlStore) -> Tenant:
    return await add_tenant(store)


def sealing(store: SqlStore, keys: str | None, folder: Path) -> Sealing:
    return Sealing(store, MasterKeys(keys, folder / "secret.key"), lambda: NOW)


async def test_what_is_sealed_opens_for_its_own_connection_alone(
    store: SqlStore, tenant: Tenant, tmp_path: Path
) -> None:
    other, seals = await add_tenant(store), sealing(store, OLD, tmp_path)
    sealed = await seals.seal(tenant.id, "one", SECRET)
    await seals.seal(other.id, "one", SECRET)
    assert "s3cret" not in sealed
    assert "s3cret" not in base64.b64decode(sealed).decode(errors="replace")
    assert await seals.open(tenant.id, "one", sealed) == SECRET
    for tenant_id, connection_id in ((tenant.id, "two"), (other.id, "one")):
        with pytest.raises(KeyLost):
            await seals.open(tenant_id, connection_id, sealed)


async def test_a_wrong_key_is_told_and_changes_nothing(store: SqlStore, tenant: Tenant, tmp_path: Path) -> None:
    sealed = await sealing(store, OLD, tmp_path).seal(tenant.id, "one", SECRET)
    before = await store.data_keys()
    wrong = sealing(store, NEW, tmp_path)
    for attempt in (wrong.open(tenant.id, "one", sealed), wrong.seal(tenant.id, "one", SECRET), wrong.rotate()):
        with pytest.raises(KeyLost, match=r"VAI_SECRET_KEY.*nothing was changed"):
            await attempt
    assert await store.data_keys() == before


async def test_rotation_moves_the_data_keys_to_the_newest_master_key(
    store: SqlStore, tenant: Tenant, tmp_path: Path
) -> None:
    at_work = sealing(store, f"{OLD}", tmp_path)
    sealed = await at_work.seal(tenant.id, "one", SECRET)
    both = sealing(store, f"{NEW},{OLD}", tmp_path)
    assert await both.open(tenant.id, "one", sealed) == SECRET
    assert await both.rotate() == 1
    assert await both.rotate() == 0
    assert await sealing(store, NEW, tmp_path).open(tenant.id, "one", sealed) == SECRET
    with pytest.raises(KeyLost):
        await at_work.open(tenant.id, "one", sealed)


async def test_a_changed_data_key_does_not_open(store: SqlStore, tenant: Tenant, tmp_path: Path) -> None:
    other, seals = await add_tenant(store), sealing(store, OLD, tmp_path)
    sealed = await seals.seal(tenant.id, "one", SECRET)
    await seals.seal(other.id, "one", SECRET)
    (theirs,) = [key for key in await store.data_keys() if key.tenant_id == other.id]
    await store.update_data_keys([msgspec.structs.replace(theirs, tenant_id=tenant.id)])
    with pytest.raises(KeyLost):
        await seals.open(tenant.id, "one", sealed)


async def test_the_key_file_is_made_once_for_its_owner_alone(store: SqlStore, tenant: Tenant, tmp_path: Path) -> None:
    file = tmp_path / "secret.key"
    sealed = await sealing(store, None, tmp_path).seal(tenant.id, "one", SECRET)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert await sealing(store, None, tmp_path).open(tenant.id, "one", sealed) == SECRET
    file.unlink()
    with pytest.raises(KeyLost):  # and no other is made in its place
        await sealing(store, None, tmp_path).seal(tenant.id, "one", SECRET)
    assert not file.exists()


@pytest.mark.parametrize("text", ["short", "A" * 44, base64.b64encode(b"x" * 31).decode(), f"{OLD} nonsense", " , "])
def test_a_master_key_that_does_not_do_is_refused_unseen(text: str, tmp_path: Path) -> None:
    with pytest.raises(BadMasterKey) as refused:
        MasterKeys(text, tmp_path / "secret.key")
    assert text.strip(" ,") == "" or text not in str(refused.value)
