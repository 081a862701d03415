"""Ending an asynchronous action at once when it is asked to stop."""

import asyncio
from collections.abc import Coroutine
from typing import Any

from vai.ports import ActionContext, ActionStopped


async def stop_on_cancel(work: Coroutine[Any, Any, Any], context: ActionContext) -> Any:
    """Await `work`; when the context asks to stop, raise CancelledError in it, and ActionStopped from here.

    A cancellation that comes from elsewhere passes through as it is.
    """
    task = asyncio.current_task()
    assert task is not None  # noqa: S101
    loop = task.get_loop()
    is_running, is_stopping = True, False

    def stop() -> None:
        nonlocal is_stopping
        if is_running:  # the request may arrive when the work is done and the task is at something else
            is_stopping = True
            task.cancel()

    def ask() -> None:
        loop.call_soon_threadsafe(stop)

    context.on_cancel(ask)
    try:
        return await work
    except asyncio.CancelledError:
        if is_stopping and task.uncancel() == 0:
            raise ActionStopped from None
        raise
    finally:
        is_running = False
