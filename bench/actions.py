"""The steps of the benchmark's automations: they do nothing, so that what is measured is the engine."""

import asyncio
import time
from typing import TypedDict

from vai import action


class Stamps(TypedDict):
    """When a step began and ended, in nanoseconds of the machine's monotonic clock."""

    began: int
    ended: int


@action
async def noop() -> None:
    """Nothing, on the event loop."""


@action
def noop_in_thread() -> None:
    """Nothing, as a plain function: in a thread."""


@action
async def stamp(pause_ms: int = 0) -> Stamps:
    """Tell when it began and ended; `pause_ms` lies between."""
    began = time.monotonic_ns()
    if pause_ms:
        await asyncio.sleep(pause_ms / 1000)
    return {"began": began, "ended": time.monotonic_ns()}
