"""Steps whose effects are written to a ledger outside the database, so that it can be held against the events."""

import asyncio
import os
import time
from pathlib import Path

from vai import Context, action


def _write(ledger: str, word: str, context: Context) -> None:
    line = f"{word} {context.run_id} {context.step_key} {context.attempt} {context.try_number}\n"
    with Path(ledger).open("a") as file:  # one short write in append mode: lines of several processes never mix
        file.write(line)


@action
async def effect(ledger: str, seconds: float, context: Context) -> dict[str, int]:
    """Works on the event loop."""
    _write(ledger, "begin", context)
    await asyncio.sleep(seconds)
    _write(ledger, "done", context)
    return {"try": context.try_number}


@action
def effect_in_a_thread(ledger: str, seconds: float, context: Context) -> dict[str, int]:
    """Works in a thread."""
    _write(ledger, "begin", context)
    time.sleep(seconds)
    _write(ledger, "done", context)
    return {"try": context.try_number}


@action(process=True)
def effect_in_a_process(ledger: str, seconds: float, context: Context) -> dict[str, int]:
    """Works in a child process."""
    _write(ledger, "begin", context)
    time.sleep(seconds)
    _write(ledger, "done", context)
    return {"try": context.try_number}


@action
def held(ledger: str, gate: str, context: Context) -> dict[str, int]:
    """Works until somebody opens the gate, which is a file."""
    _write(ledger, "begin", context)
    while not Path(gate).exists():
        time.sleep(0.01)
    _write(ledger, "done", context)
    return {"try": context.try_number}


@action
async def flaky(ledger: str, context: Context) -> dict[str, int]:
    """Fails at its first two tries."""
    _write(ledger, "begin", context)
    if context.try_number < 3:
        raise ConnectionError("not yet")
    _write(ledger, "done", context)
    return {"try": context.try_number}


@action
async def broken(ledger: str, context: Context) -> None:
    """Always fails."""
    _write(ledger, "begin", context)
    raise ValueError("never")


@action
async def poison(ledger: str, context: Context) -> None:
    """Takes its whole engine down, every time."""
    _write(ledger, "begin", context)
    os.kill(os.getpid(), 9)
