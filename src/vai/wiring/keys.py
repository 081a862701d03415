"""`vai keys`: the data keys of a deployment and the master keys that they are sealed under."""

from __future__ import annotations

from vai.connections import BadMasterKey, KeyLost, Sealing
from vai.ports import StoreUnavailable
from vai.settings import Settings
from vai.storage import open_store
from vai.wiring.faults import CannotServe
from vai.wiring.loop import run
from vai.wiring.system import clock, master_keys


def rotate_keys(settings: Settings) -> int:
    """Seal every data key anew under the newest master key, also while servers work; how many were. Raises
    CannotServe, and has then changed nothing."""
    return run(_rotate(settings))


async def _rotate(settings: Settings) -> int:
    keys = master_keys(settings)
    try:
        store = open_store(settings.database, clock=clock)
        await store.open()
        try:
            return await Sealing(store, keys, clock).rotate()
        finally:
            await store.close()
    except (BadMasterKey, KeyLost, StoreUnavailable, ValueError, OSError) as reason:
        raise CannotServe(str(reason)) from reason
