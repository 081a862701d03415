"""What is asked of the store to remove runs that are over."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import msgspec

from vai.domain.state import Instant
from vai.domain.status import RunStatus

FINAL = tuple(status for status in RunStatus if status.is_final)


class Removal(msgspec.Struct, frozen=True):
    """Which runs of an organization are to be removed: those of these final statuses that ended before an instant,
    whose parent is not live and that have no live child."""

    tenant_id: str
    before: Instant
    statuses: Sequence[RunStatus] = FINAL


class RetentionStore(Protocol):
    """How runs are removed: each with all that hangs on it in one transaction, but for the events of a long one, which
    nobody can read any more and which go in pieces."""

    async def organization_ids(self) -> Sequence[str]: ...
    async def count_removable(self, which: Removal) -> int: ...
    async def remove_runs(self, which: Removal, limit: int) -> int:
        """Remove up to `limit` of these runs in one short transaction, the oldest first; how many were. None: there are
        none, or others are just changing them."""
        ...

    async def sweep(self) -> bool:
        """Remove a piece of what removed runs have left. True: there may be more."""
        ...

    async def shrink(self) -> bool:
        """Give a piece of the room that is free in the database back to the system, where a database does not do so by
        itself. True: there may be more."""
        ...
