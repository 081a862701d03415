"""The context of an action inside a child process: what it tells goes to the parent as messages."""

import asyncio
import itertools
import logging
import os
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from queue import SimpleQueue
from typing import Any

from vai.actions.messages import Attach, Message, Progress, Reply, Request
from vai.ports import ActionFailed, Connection, Ref, find_connection, label_of


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
        self._numbers = itertools.count(1)
        self._asked: dict[int, SimpleQueue[Reply]] = {}

    def connection(self, ref: Ref) -> Connection:
        """The connection of this ref."""
        return find_connection(self.connections, ref)

    def progress(self, **fields: Any) -> None:
        """Tell how far it is."""
        self.send(Progress(fields))

    def attach(
        self, source: str | Path | bytes, *, name: str | None = None, media_type: str | None = None
    ) -> dict[str, Any]:
        """Have the parent keep a copy of a file, or of bytes."""
        label = label_of(source, name, media_type)
        if not isinstance(source, bytes):
            return self._attach(os.path.abspath(source), label.name, label.media_type)
        with tempfile.NamedTemporaryFile(prefix="vai-attach-") as file:
            file.write(source)
            file.flush()
            return self._attach(file.name, label.name, label.media_type)

    def _attach(self, path: str, name: str, media_type: str) -> dict[str, Any]:
        number, answer = next(self._numbers), SimpleQueue[Reply]()
        self._asked[number] = answer
        try:
            self.send(Attach(number, path, name, media_type))
            reply = answer.get()
        finally:
            del self._asked[number]
        if reply.failed is not None:
            raise ActionFailed(reply.failed.type, reply.failed.message, retryable=reply.failed.retryable)
        kept: dict[str, Any] = reply.answer
        return kept

    def answered(self, reply: Reply) -> None:
        """Hand an answer of the parent to whoever waits for it."""
        waiting = self._asked.get(reply.number)
        if waiting is not None:
            waiting.put(reply)

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
