"""A context for actions under test: keeps what it is told, and can be asked to stop."""

import asyncio
import logging
import threading
from collections.abc import Callable
from typing import Any

from vai.ports import Connection, Ref, find_connection

TRACEPARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


class Records(logging.Handler):
    """Keeps the lines as text."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(f"{record.levelname}: {record.getMessage()}")


class Context:
    """An ActionContext."""

    def __init__(self, *, grace_seconds: float = 5.0, **names: Any) -> None:
        self.run_id = names.get("run_id", "run-1")
        self.step_key = names.get("step_key", "step")
        self.tenant_id = names.get("tenant_id", "tenant-1")
        self.attempt = 1
        self.try_number = 1
        self.idempotency_key = f"{self.run_id}:{self.step_key}:1"
        self.traceparent = TRACEPARENT
        self.connections = names.get("connections", ())
        self.grace_seconds = grace_seconds
        self.attached: list[tuple[Any, str | None, str | None]] = []
        self.told: list[dict[str, Any]] = []
        self.records = Records()
        self.logger = logging.Logger("action")
        self.logger.addHandler(self.records)
        self._lock = threading.Lock()
        self._cancelled = threading.Event()
        self._callbacks: list[Callable[[], None]] = []
        self._waiting: list[tuple[Callable[[dict[str, Any]], bool], Callable[[], None]]] = []

    @property
    def logs(self) -> list[str]:
        return self.records.lines

    @property
    def everything(self) -> str:
        """All that it was told, as text: to look for secrets in."""
        return repr((self.told, self.logs))

    def connection(self, ref: Ref) -> Connection:
        return find_connection(self.connections, ref)

    def attach(self, source: Any, *, name: str | None = None, media_type: str | None = None) -> dict[str, Any]:
        self.attached.append((source, name, media_type))
        return {"name": name}

    def progress(self, **fields: Any) -> None:
        with self._lock:
            self.told.append(fields)
            for fits, wake in self._waiting:
                if fits(fields):
                    wake()

    async def until_told(self, fits: Callable[[dict[str, Any]], bool]) -> None:
        """Return once a progress that fits was told."""
        event, loop = asyncio.Event(), asyncio.get_running_loop()
        with self._lock:
            if any(fits(fields) for fields in self.told):
                return
            self._waiting.append((fits, lambda: loop.call_soon_threadsafe(event.set)))
        await event.wait()

    @property
    def cancelled(self) -> bool:
        return self._cancelled.is_set()

    def cancel(self) -> None:
        with self._lock:
            self._cancelled.set()
            callbacks, self._callbacks = self._callbacks, []
        for callback in callbacks:
            callback()

    def on_cancel(self, callback: Callable[[], None]) -> None:
        with self._lock:
            if not self._cancelled.is_set():
                self._callbacks.append(callback)
                return
        callback()

    async def wait_cancelled(self) -> None:
        event, loop = asyncio.Event(), asyncio.get_running_loop()
        self.on_cancel(lambda: loop.call_soon_threadsafe(event.set))
        await event.wait()
