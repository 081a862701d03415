"""The whole store over one database: its parts together, opened and closed, and its listeners."""

import asyncio
import logging
from collections.abc import Mapping
from typing import Any

from sqlalchemy import literal_column, select

from vai.ports import Clock, Commits, Transaction
from vai.storage.access import Access
from vai.storage.artifacts import Artifacts
from vai.storage.attachments import Attachments
from vai.storage.automations import Automations
from vai.storage.connections import Connections
from vai.storage.database import Database
from vai.storage.decisions import Decisions
from vai.storage.jobs import Committed
from vai.storage.leases import Leases
from vai.storage.retention import Retention
from vai.storage.runs import Runs
from vai.storage.standing import Operations
from vai.storage.tenant_events import TenantEvents
from vai.storage.triggers import Triggers
from vai.storage.upkeep import Upkeep
from vai.storage.writer import Writer

_logger = logging.getLogger(__name__)


class SqlStore(
    Runs,
    Artifacts,
    Attachments,
    Decisions,
    TenantEvents,
    Automations,
    Access,
    Connections,
    Triggers,
    Leases,
    Upkeep,
    Retention,
    Operations,
):
    """The `Store` of the ports."""

    def __init__(self, database: Database, clock: Clock) -> None:
        super().__init__(database, clock)
        self.on_commit: list[Commits] = []
        self._ping = database.compile(select(literal_column("1")))

    async def open(self) -> None:
        """Migrate, connect, start the writer. Raises StoreUnavailable with a sentence on what to do."""
        await asyncio.to_thread(self._db.prepare)
        writer = Writer(self._db, self._tell, self._tell_transaction)
        writer.start(await asyncio.to_thread(self._db.session))
        self._writer = writer
        self._db.listen(self._tell)

    async def close(self) -> None:
        """Write what waits, then let go of the database. The store cannot be opened again."""
        if self._writer is not None:
            await self._writer.close()
        await self._db.close()

    async def check(self) -> Mapping[str, Any]:
        """What the database is, after reading from it and writing to it. Raises StoreUnavailable."""
        await self._db.read(self._ping.one)
        await self._call(self._ping.one)
        return self._db.describe()

    def _tell(self, run: Committed) -> None:
        for listener in tuple(self.on_commit):
            try:
                listener(run.run_id, run.status, run.events)
            except Exception:
                # One listener's fault must not keep the others, or other runs, from hearing.
                _logger.exception("A listener failed on a commit of run %s", run.run_id)

    def _tell_transaction(self, transaction: Transaction) -> None:
        for listener in self.on_transaction:
            listener(transaction)
