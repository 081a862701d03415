"""What every part of the store builds on: the database, its writer, and the clock."""

import asyncio
from collections.abc import Callable
from typing import Any

from vai.ports import Clock
from vai.storage.database import Database
from vai.storage.jobs import Call
from vai.storage.statements import Connection
from vai.storage.writer import Writer


class StoreBase:
    """Holds the database; `_build` compiles the statements of each part once."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._db = database
        self._clock = clock
        self._writer: Writer | None = None
        self._build()

    def _build(self) -> None:
        """Compile this part's statements."""

    @property
    def _open_writer(self) -> Writer:
        if self._writer is None:
            raise RuntimeError("The store was not opened.")
        return self._writer

    def _call(self, work: Callable[[Connection], Any]) -> asyncio.Future[Any]:
        """Write by a function of the connection, in the next commit."""
        writer = self._open_writer
        return writer.put(Call(writer.future(), work))

    def _call_telling(self, work: Callable[[Connection, list[str]], Any]) -> asyncio.Future[Any]:
        """Like `_call`; `work` also collects the ids of runs that the listeners shall hear of."""
        writer = self._open_writer
        touched: list[str] = []
        return writer.put(Call(writer.future(), lambda connection: work(connection, touched), touched))
