"""The context of an action inside a child process: what it tells goes to the parent as messages."""

import asyncio
import logging
import threading
from collections.abc import Callable
from typing import Any

from vai.actions.messages import Message, Progress, Request
from vai.ports import Connection, Ref, find_connection


class ChildContext:
    """An ActionContext."""

    def __init__(self, request: Request, send: Callable[[Message], None], logger: logging.Logger) -> None:
        self.run_id = request.run_id
        self.step_key = request.step_key
        self.tenant_id = request.tenant_id
        self.attempt = request.attempt
        self.try_number = request.try_number
        self.idempotency_key = request.idempotency_key
        self.grace_seconds = request.grace_seconds
        self.traceparent = request.traceparent
        self.connections = [(ref, Connection(**fields)) for ref, fields in request.connections]
        self.logger = logger
        self.send = send
        self._lock = threading.Lock()
        self._cancelled = threading.Event()
        self._callbacks: list[Callable[[], None]] = []

    def connection(self, ref: Ref) -> Connection:
        """The connection of this ref."""
        return find_connection(self.connections, ref)

    def progress(self, **fields: Any) -> None:
        """Tell how far it is."""
        self.send(Progress(fields))

    @property
    def cancelled(self) -> bool:
        """True once the action is asked to stop."""
        return self._cancelled.is_set()

    def stop(self) -> None:
        """Ask the action to stop."""
        with self._lock:
            self._cancelled.set()
            callbacks, self._callbacks = self._callbacks, []
        for callback in callbacks:
            callback()

    def on_cancel(self, callback: Callable[[], None]) -> None:
        """Call this once when the action is asked to stop; at once if it already was."""
        with self._lock:
            if not self._cancelled.is_set():
                self._callbacks.append(callback)
                return
        callback()

    async def wait_cancelled(self) -> None:
        """Return once the action is asked to stop."""
        event, loop = asyncio.Event(), asyncio.get_running_loop()

        def wake() -> None:
            loop.call_soon_threadsafe(event.set)

        self.on_cancel(wake)
        await event.wait()
