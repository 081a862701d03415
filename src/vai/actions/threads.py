"""Threads for functions that block. They are daemons: one that never comes back keeps neither the others nor the end
of the process waiting."""

import asyncio
import contextvars
import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any, NamedTuple

import anyio


class _Task(NamedTuple):
    function: Callable[[], Any]
    context: contextvars.Context
    future: asyncio.Future[Any]


class Threads:
    """Runs functions in threads, at most `limit` that somebody waits for."""

    def __init__(self, limit: int) -> None:
        self._slots = anyio.CapacityLimiter(limit)
        self._idle: list[_Worker] = []

    async def run(self, function: Callable[[], Any]) -> Any:
        """What `function` returns or raises. Cancelled, its thread is left behind: a thread cannot be killed."""
        async with self._slots:
            worker = self._idle.pop() if self._idle else _Worker(self._idle)
            future = asyncio.get_running_loop().create_future()
            worker.tasks.put(_Task(function, contextvars.copy_context(), future))
            return await future


class _Worker:
    """One thread, in the list of idle ones whenever it is."""

    def __init__(self, idle: "list[_Worker]") -> None:
        self.tasks: SimpleQueue[_Task] = SimpleQueue()
        self._idle = idle
        threading.Thread(target=self._work, name="vai-action", daemon=True).start()

    def _work(self) -> None:
        while True:
            function, context, future = self.tasks.get()
            value, failure = None, None
            try:
                value = context.run(function)
            except BaseException as error:
                # A future takes no StopIteration.
                failure = RuntimeError("StopIteration was raised.") if isinstance(error, StopIteration) else error
            del function, context
            try:
                future.get_loop().call_soon_threadsafe(self._settle, future, value, failure)
            except RuntimeError:
                return  # the loop is closed: nobody waits
            del future, value, failure  # an idle thread holds on to nothing

    def _settle(self, future: asyncio.Future[Any], value: Any, failure: BaseException | None) -> None:
        self._idle.append(self)
        if future.done():  # its waiter was cancelled
            return
        if failure is None:
            future.set_result(value)
        else:
            future.set_exception(failure)
