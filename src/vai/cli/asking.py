"""Puts what a run asks of people to whoever sits at the terminal."""

import asyncio
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any

import msgspec

from vai.cli import output
from vai.wiring import Answer, Ask, Fault

_WORDS = {"y": True, "yes": True, "n": False, "no": False}


def terminal(paused: Callable[[], AbstractContextManager[None]]) -> Ask | None:
    """Asks on the terminal, within `paused`; None where there is none."""
    if not sys.stdin.isatty():
        return None

    async def ask(decision: Mapping[str, Any], faults: Sequence[Fault]) -> Answer | None:
        with paused():
            return await _ask(decision, faults)

    return ask


async def _ask(decision: Mapping[str, Any], faults: Sequence[Fault]) -> Answer | None:
    for fault in faults:
        output.note(f"{'.'.join(map(str, fault.loc)) or 'fields'}: {fault.msg}")
    output.note(f"⏸ {decision['title']}")
    if decision["message"]:
        output.note(decision["message"])
    approved = None
    while approved is None:
        line = await _line("Approve? [y/n] ")
        if line is None:
            return None
        approved = _WORDS.get(line.lower())
    fields = await _fields(decision) if approved and _has_fields(decision) else None
    reason = await _line("Reason (Enter for none): ")
    return Answer(approved, reason or None, fields)


def _has_fields(decision: Mapping[str, Any]) -> bool:
    return decision["fieldsSchema"] is not None or decision["kind"] == "interrupt"


async def _fields(decision: Mapping[str, Any]) -> dict[str, Any] | None:
    if decision["fieldsSchema"] is not None:
        output.note(f"To be filled in, by this schema: {msgspec.json.encode(decision['fieldsSchema']).decode()}")
    while True:
        line = await _line("Fields, as a JSON object (Enter for none): ")
        if not line:
            return None
        try:
            return msgspec.json.decode(line, type=dict[str, Any])
        except msgspec.MsgspecError as error:
            output.note(f"That is not a JSON object: {error}.")


async def _line(prompt: str) -> str | None:
    """A line from the terminal, None at its end; can be cancelled, which a thread that reads could not."""
    sys.stderr.write(prompt)
    sys.stderr.flush()
    loop = asyncio.get_running_loop()
    readable = asyncio.Event()
    loop.add_reader(sys.stdin, readable.set)
    try:
        await readable.wait()
    finally:
        loop.remove_reader(sys.stdin)
    line = sys.stdin.readline()
    return line.strip() if line else None
