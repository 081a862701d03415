"""Hears of other processes' commits through PostgreSQL's notifications."""

import asyncio
import logging
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

import psycopg

from vai.domain.status import RunStatus
from vai.storage.jobs import Committed
from vai.storage.postgres_session import CHANNEL, QUEUE

_logger = logging.getLogger(__name__)

_FIRST_WAIT, _LONGEST_WAIT = 0.1, 5.0  # seconds before connecting again


class Listener:
    """A task on the event loop with a connection of its own, which it renews when it is lost."""

    def __init__(
        self,
        conninfo: str,
        options: Mapping[str, Any],
        process_id: str,
        tell: Callable[[Committed], None],
    ) -> None:
        self._conninfo = conninfo
        self._options = options
        self._process_id = process_id
        self._tell = tell
        self.is_connected = False
        self._is_lost = False  # and that was told
        self._task = asyncio.get_running_loop().create_task(self._keep_listening(), name="vai-listener")

    async def stop(self) -> None:
        """End the task, with its connection."""
        self._task.cancel()
        with suppress(asyncio.CancelledError):
            await self._task

    async def _keep_listening(self) -> None:
        wait = _FIRST_WAIT
        while True:
            try:
                await self._listen()
            except psycopg.Error as error:
                wait = _FIRST_WAIT if self.is_connected else min(wait * 2, _LONGEST_WAIT)
                level = logging.DEBUG if self._is_lost else logging.WARNING
                _logger.log(level, "Notifications of PostgreSQL are lost, connecting again: %s", type(error).__name__)
                self._is_lost = True
            finally:
                self.is_connected = False
            await asyncio.sleep(wait)

    async def _listen(self) -> None:
        connection = await psycopg.AsyncConnection.connect(self._conninfo, autocommit=True, **self._options)
        try:
            await connection.execute(f"LISTEN {CHANNEL}".encode())
            self.is_connected = True
            if self._is_lost:
                self._is_lost = False
                _logger.warning("Notifications of PostgreSQL come again.")
            async for notification in connection.notifies():
                self._hear(notification.payload)
        finally:
            with suppress(psycopg.Error):
                await connection.close()

    def _hear(self, payload: str) -> None:
        process_id, *run_ids = payload.split(" ")
        if process_id == self._process_id:
            return
        status = RunStatus.PENDING if process_id == QUEUE else None
        for run_id in run_ids:
            self._tell(Committed(run_id, status, ()))
