"""Actions that tests hold by the hand: gates to open, failures to mend."""

import asyncio
import base64
import contextlib
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote, quote_plus

from vai import Context, action
from vai.ports import ActionFailed

_gates: dict[str, asyncio.Event] = {}
_mended: set[str] = set()


@contextlib.contextmanager
def gate(name: str) -> Iterator[asyncio.Event]:
    """A gate that steps wait at until it is set; open for all at the end of the test."""
    event = _gates[name] = asyncio.Event()
    try:
        yield event
    finally:
        event.set()


def mend(name: str) -> None:
    """What failed under this name completes from now on."""
    _mended.add(name)


@action
async def echo(value: Any = None) -> Any:
    """Answers what it is given."""
    return value


@action
async def wait_at(name: str) -> str:
    """Waits at a gate."""
    await _gates[name].wait()
    return name


@action
async def broken(name: str) -> str:
    """Fails until it is mended."""
    if name not in _mended:
        raise ActionFailed("broken", f"{name} is broken", details={"name": name})
    return "mended"


@action
async def say(context: Context, lines: int) -> None:
    """Logs so many lines."""
    for number in range(lines):
        context.logger.info("line %d", number)


@action
async def large(size: int) -> dict[str, str]:
    """Answers a text of so many characters."""
    return {"text": "x" * size}


@action
def leak(context: Context, connection_ref: str) -> dict[str, Any]:
    """Says its secret in every way that there is."""
    secret = context.connection(connection_ref).credentials["token"]
    coded = base64.b64encode(secret.encode()).decode()
    context.logger.info("the token is %s", secret)
    context.progress(url=f"https://x/?token={quote(secret)}", coded=coded)
    return {"echo": f"<{secret}>", secret: [coded, quote_plus(secret)]}


@action
def attach(context: Context, name: str, size: int) -> dict[str, Any]:
    """Attaches a file of so many bytes."""
    return context.attach(bytes(n % 251 for n in range(size)), name=name)
