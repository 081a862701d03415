"""The event loop of a process."""

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any, TypeVar

import uvloop

T = TypeVar("T")

_log = logging.getLogger("vai")

_LAST_SECONDS = 1.0


def run(main: Coroutine[Any, Any, T]) -> T:
    """Run `main` to its end on a loop of its own. A task that swallows even its cancellation, as a user's action may,
    does not keep the process."""
    return uvloop.run(_and_leave(main))


async def _and_leave(main: Coroutine[Any, Any, T]) -> T:
    try:
        return await main
    finally:
        rest = asyncio.all_tasks() - {asyncio.current_task()}
        for task in rest:
            task.cancel()
        if rest:
            _, deaf = await asyncio.wait(rest, timeout=_LAST_SECONDS)
            for task in deaf:
                _log.warning("an action that ignores its cancellation is left behind: %r", task.get_coro())
                # The loop ends when all tasks have ended that it knows of.
                asyncio._unregister_task(task)
                task._log_destroy_pending = False  # type: ignore[attr-defined]
