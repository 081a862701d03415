"""Removing runs that are over: after a set time by engines, or when somebody asks."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from functools import partial

import msgspec

from vai.access import Principal
from vai.domain.status import RunStatus
from vai.ports import FINAL, Clock, Removal, Store
from vai.runs.attachments import Attachments

_log = logging.getLogger("vai.retention")

_MOST_A_REQUEST = 1_000
_MOST_PIECES = 100  # a request tidies up; engines do the rest
_PAUSE_SECONDS = 0.05  # between transactions, for whoever else waits for the database
_DAY_MS = 86_400_000


class Pruned(msgspec.Struct, frozen=True):
    """How many runs were removed, or would be. `has_more`: others are left, for the next request."""

    runs: int
    has_more: bool = False


class Retention:
    """Removes final runs with all that hangs on them. Any number of processes may do so at once."""

    def __init__(self, store: Store, clock: Clock, attachments: Attachments | None = None) -> None:
        self._store = store
        self._clock = clock
        self._attachments = attachments

    async def look(self, days: float) -> None:
        """Remove the runs that ended more than `days` ago, and the events of the organizations from before then (0:
        nothing), and what earlier removals left. Raises StoreUnavailable."""
        if days:
            before = self._clock() - int(days * _DAY_MS)
            for tenant_id in await self._store.organization_ids():
                await self._remove(Removal(tenant_id, before))
                await _in_pieces(partial(self._store.remove_events, tenant_id, before))
        await self._tidy()
        if self._attachments is not None:
            await self._attachments.tidy()

    async def _remove(self, which: Removal) -> None:
        total = await _in_pieces(partial(self._store.remove_runs, which, _MOST_A_REQUEST))
        if total:
            _log.info("removed %d runs of organization %s, which had been over for long", total, which.tenant_id)

    async def prune(self, who: Principal, statuses: Sequence[RunStatus], seconds: float, *, dry_run: bool) -> Pruned:
        """Remove the caller's runs of these statuses (none: every final one) that ended more than `seconds` ago; up to
        1,000 at once. A `dry_run` only counts them."""
        which = Removal(who.tenant_id, self._clock() - int(seconds * 1000), statuses or FINAL)
        if dry_run:
            return Pruned(await self._store.count_removable(which))
        total = 0
        while total < _MOST_A_REQUEST:
            removed = await self._store.remove_runs(which, _MOST_A_REQUEST - total)
            total += removed
            if not removed:
                break
        if total:
            _log.info("removed %d runs of organization %s, as %s asked", total, who.tenant_id, who.source_id)
        if total < _MOST_A_REQUEST:
            await self._tidy(_MOST_PIECES)
        return Pruned(total, total == _MOST_A_REQUEST)

    async def _tidy(self, most: int | None = None) -> None:
        """Remove what is left of long runs, and give free room back; `most`: so many pieces of each."""
        for piece in (self._store.sweep, self._store.shrink):
            done = 0
            while done != most and await piece():
                done += 1


async def _in_pieces(remove: Callable[[], Awaitable[int]]) -> int:
    """Remove until there is nothing left to remove: how much it was."""
    total = 0
    while removed := await remove():
        total += removed
        await asyncio.sleep(_PAUSE_SECONDS)
    return total
